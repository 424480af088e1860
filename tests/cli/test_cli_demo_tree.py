"""`growyd demo --kaisers`: several Pis in one process, and a device that is moved while its heater runs."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from test_cli_daemon import finished, free_port, growyd

from growy.cli.demo_pis import shares
from growy.cli.exits import ExitCode
from growy.model.errors import ConfigError
from growy.model.hierarchy import GOD
from growy.sim.greenhouse import Role
from growy.sim.spec import default_fleet


@pytest.mark.parametrize(("esps", "kaisers"), [(6, 1), (6, 2), (6, 3), (40, 2), (4, 3)])
def test_every_node_has_devices_and_the_first_kaiser_one_with_a_heater(esps: int, kaisers: int) -> None:
    shared = shares(default_fleet(esps), kaisers)

    assert list(shared) == [GOD, *(f"k{number}" for number in range(1, kaisers + 1))]
    assert Role.HEATER in shared["k1"][0].plant.values()
    held = Counter(spec.esp_id for specs in shared.values() for spec in specs)
    assert held == Counter(spec.esp_id for spec in default_fleet(esps))
    sizes = [len(specs) for specs in shared.values()]
    assert max(sizes) - min(sizes) <= 1
    zones = [{spec.zone_id for spec in specs} for specs in shared.values()]
    assert sum(map(len, zones)) == len(set().union(*zones)), "two nodes have one house"


@pytest.mark.parametrize(("esps", "kaisers"), [(2, 1), (3, 3)])
def test_too_few_devices_are_refused_with_the_number_that_is_needed(esps: int, kaisers: int) -> None:
    with pytest.raises(ConfigError, match=f"--esps {max(3, kaisers + 1)} or more"):
        shares(default_fleet(esps), kaisers)


def test_a_device_is_moved_while_its_heater_runs_and_every_reading_is_in_god_s_store():
    code, out, err = finished(
        growyd("demo", "--kaisers", 2, "--for", "15s", "--port", 0, "--broker-port", free_port()), 90
    )

    assert code == ExitCode.OK, out + err
    lines = out.splitlines()
    assert "k1 follows God: broker mqtt://127.0.0.1:" in out
    assert "k2 follows God: broker mqtt://127.0.0.1:" in out
    assert " s: Heating of Bench B (ESP_00A003) is on: by hand at k1, its owner" in out
    assert " s: transfer of Bench B from k1 to god begins" in out
    before = [line for line in lines if "Bench B of k1: Heating on" in line]
    after = [line for line in lines if "Bench B of god (at k1): Heating on" in line]
    assert before
    assert after
    *_, moved, stored = lines
    assert re.fullmatch(
        r"moved: Bench B \(ESP_00A003\) from k1 to god in \d+\.\d\d s; it hangs on k1; "
        r"Heating on before, on after, switched 0 times",
        moved,
    )
    count = re.fullmatch(r"Every one of the (\d+) published readings is in God's store, each once\.", stored)
    assert count
    assert int(count[1]) > 200
    assert err == ""
