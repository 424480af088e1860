"""docs/operations.md and the systemd unit: what an operator copies from them does what they say."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import attrs
import trio

from growy.broker.connection import GOODBYE_S
from growy.broker.engine import Endpoint
from growy.broker.probe import probe_broker
from growy.cli import COMMANDS
from growy.cli.exits import ExitCode
from growy.config import Config, StoreConfig
from growy.config.load import load
from growy.daemon import STOP_WITHIN_S
from growy.model.reading import Bus, Columns, Quality, Reading, SeriesKey
from growy.store.store import open_store
from growy.web.health import Vitals, assess

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
WELL = Vitals(broker_connected=True, store_state="ok", workers=2, workers_alive=2)


class UnitFile(configparser.ConfigParser):
    """systemd's option names keep their capitals."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def unit() -> configparser.ConfigParser:
    parser = UnitFile(interpolation=None, strict=False)
    parser.read(ROOT / "systemd" / "growyd.service")
    return parser


def block(page: str, kind: str, beginning: str) -> str:
    found = re.search(rf"^```{kind}\n({re.escape(beginning)}.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert found, f"no block of {kind} that begins with {beginning}"
    return found[1]


def test_the_unit_runs_growyd_as_its_console_script_from_where_the_page_installs_it() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    program, command = unit()["Service"]["ExecStart"].split(maxsplit=1)
    folder, name = program.rsplit("/", 1)

    assert name in scripts
    assert command in COMMANDS
    assert f"python3 -m venv {folder.removesuffix('/bin')}\n" in PAGE


def test_the_state_directory_is_the_default_data_folder() -> None:
    assert Path("/var/lib") / unit()["Service"]["StateDirectory"] == Config().node.data_dir


def test_the_user_of_the_unit_is_the_one_that_the_page_makes() -> None:
    service = unit()["Service"]

    assert re.search(rf"useradd .* {service['User']}$", PAGE, re.MULTILINE)
    assert service["Group"] == service["User"]


def test_the_unit_gives_growyd_the_time_to_stop_that_it_takes() -> None:
    assert int(unit()["Service"]["TimeoutStopSec"]) > STOP_WITHIN_S + GOODBYE_S


def test_only_faults_in_the_settings_keep_the_unit_from_starting_again() -> None:
    service = unit()["Service"]

    assert service["Restart"] == "on-failure"
    assert [int(code) for code in service["RestartPreventExitStatus"].split()] == [ExitCode.CONFIG]


def test_the_workers_outlive_the_signal_that_stops_the_daemon() -> None:
    assert unit()["Service"]["KillMode"] == "mixed"


def test_readme_and_page_install_alike() -> None:
    steps = block(PAGE, "sh", "sudo apt install")

    assert steps in README
    assert block(PAGE, "toml", "broker =") in README


def test_the_settings_to_begin_with_are_valid(tmp_path: Path) -> None:
    file = tmp_path / "growyd.toml"
    file.write_text(block(PAGE, "toml", "broker ="), encoding="utf-8")

    config = load(file, {}).config

    assert config.broker.address.user == "growyd"
    assert config.fleet.auto_approve


async def test_a_mosquitto_set_as_both_pages_say_leaves_growyd_nothing_to_advise(mosquitto_with) -> None:
    for page in (README, PAGE):
        recommended = block(page, "text", "listener 1883").splitlines()
        # Address, passwords and folder are the test's own; all else is taken as it stands.
        kept = [
            line
            for line in recommended
            if line.split()[0] not in {"listener", "allow_anonymous", "password_file"}
        ]
        assert kept

        broker = mosquitto_with("\n".join(kept))
        found = await probe_broker(Endpoint(host="127.0.0.1", port=broker.port, client_id="unused"))

        assert found.advice == ()


def test_every_cause_of_bad_health_has_a_cure_on_the_page() -> None:
    ill = [
        attrs.evolve(WELL, broker_connected=False),
        attrs.evolve(WELL, store_state="full"),
        attrs.evolve(WELL, store_state="readonly"),
        attrs.evolve(WELL, store_state="failed"),
        attrs.evolve(WELL, workers_alive=1),
        attrs.evolve(WELL, workers_alive=0),
        attrs.evolve(WELL, set_aside=("my_probe",)),
        attrs.evolve(WELL, standing_still=("writer",)),
        attrs.evolve(WELL, stopping=True),
    ]
    codes = {cause.code for vitals in ill for cause in assess(vitals).causes}

    assert len(codes) == len(ill)
    assert {
        code for code in codes if not re.search(rf"^\|[^|]*\|[^|]*`{code}`[^|]*\| \S", PAGE, re.MULTILINE)
    } == set()


async def test_the_backup_on_the_page_copies_a_store_in_use(tmp_path: Path) -> None:
    script = re.search(r"<<'EOF'\n(.*?)^EOF$", PAGE, re.DOTALL | re.MULTILINE)
    assert script is not None
    source, target = tmp_path / "live", tmp_path / "backup"

    async with open_store(StoreConfig(), source) as store:
        series = store.catalog.intern(SeriesKey("ESP_00A001", Bus.GPIO, "4", "ds18b20"), 4, "°C", 1)
        reading = Reading(series, 1_767_225_600_000, 1_767_225_600_100, 400.0, 25.0, Quality.GOOD)
        await store.commit(Columns.from_readings([reading]))
        done = await trio.run_process(
            [sys.executable, "-", str(source), str(target)],
            stdin=script[1].encode(),
            cwd=ROOT,
            check=False,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
        )

    assert done.returncode == 0, done.stdout.decode()
    async with open_store(StoreConfig(), target) as restored:
        assert restored.tail.latest(series) == reading
