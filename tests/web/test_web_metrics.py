"""/metrics as Prometheus reads it: its own parser says so. Names, kinds and labels are what dashboards are built on."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from rig.desk import ESP, open_desk

from growy.model.setup import SensorSetup
from growy.ops.latency import Histogram
from growy.web.exposition import Family, Kind, Sample, counter, figures, gauge, histogram, render

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
ROMS = ("28FF641E8D3C0CDA", "28FF641E8D3C0D84")


def parsed(text: str) -> dict[str, Metric]:
    """Strictly: every line belongs to a family with HELP and TYPE, no family and no sample is there twice."""
    declared = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    helped = re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE)
    assert [name for name, _ in helped] == [name for name, _ in declared]
    assert len({name for name, _ in declared}) == len(declared)
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.type != "unknown" or family.name in dict(declared), f"{family.name} has no type"
        found[family.name] = family
    everything = [(one.name, tuple(sorted(one.labels.items()))) for one in samples(found)]
    assert len(everything) == len(set(everything)), "a sample is there twice"
    assert len(found) == len(declared)
    return found


def samples(found: dict[str, Metric]) -> Iterator[Any]:
    return (sample for family in found.values() for sample in family.samples)


def values(found: dict[str, Metric], name: str) -> dict[tuple[str, ...], float]:
    return {tuple(one.labels.values()): one.value for one in samples(found) if one.name == name}


@pytest.fixture
async def desk(tmp_path: Path, connect: Any) -> Any:
    async with open_desk(tmp_path, connect) as desk:
        desk.bench.clock_ms = time.time_ns() // 1_000_000
        yield desk


async def scrape(desk: Any, path: str = "/metrics") -> dict[str, Metric]:
    reply = await desk.ask("GET", path)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return parsed(reply.body.decode())


async def test_prometheus_reads_all_of_it_at_both_paths(desk: Any) -> None:
    esp = await desk.new_esp()
    await desk.until(lambda: desk.fleet.need(ESP).live.heartbeat is not None)
    await desk.heard("moisture", 2000, gpio=32)
    esp.say(
        "system/diagnostics", ts=65, esp_id=ESP, heap_free=90_000, error_count=3, system_state="OPERATIONAL"
    )

    found = await scrape(desk)

    assert set(await scrape(desk, "/api/v1/health/metrics")) >= set(found)
    assert values(found, "growy_ready") == {(): 1}
    assert values(found, "growy_esp_online") == {(): 1}
    assert values(found, "growy_esp_errors_total") == {(ESP,): 3}
    assert values(found, "growy_esp_heap_free_bytes") == {(ESP,): 118_244}
    assert values(found, "growy_esp_avg_wifi_rssi_dbm") == {(): -58}
    assert values(found, "growy_db_commit_duration_seconds_count")[()] >= 1
    assert values(found, "growy_sensor_value").keys() == {(ESP, "32", "moisture")}


async def test_two_sensors_on_one_wire_are_two_samples(desk: Any) -> None:
    await desk.new_esp()
    for number, rom in enumerate(ROMS):
        setup = SensorSetup(id=str(number), gpio=4, sensor_type="ds18b20", name=rom, onewire_address=rom)
        await desk.fleet.set_sensor(ESP, setup)
        await desk.heard("ds18b20", 320 + 16 * number, gpio=4, onewire_address=rom)

    told = values(await scrape(desk), "growy_sensor_value")

    assert told == {(ESP, "4", "ds18b20", ROMS[0]): 20.0, (ESP, "4", "ds18b20", ROMS[1]): 21.0}


async def test_a_sensor_that_went_silent_has_no_value_any_more_and_says_since_when(desk: Any) -> None:
    await desk.new_esp()
    desk.bench.clock_ms -= 3_700_000
    await desk.heard("moisture", 2000, gpio=32)

    found = await scrape(desk)

    assert "growy_sensor_value" not in found
    assert values(found, "growy_sensor_last_update") == {(ESP, "32", "moisture"): desk.bench.clock_ms / 1000}


async def test_what_nobody_has_said_is_not_there_instead_of_zero(desk: Any) -> None:
    found = await scrape(desk)

    assert values(found, "growy_esp_devices") == {(): 0}
    for name in ("growy_esp_avg_heap_free_bytes", "growy_esp_min_heap_free_bytes", "growy_sensor_value"):
        assert name not in found


async def test_counters_only_rise(desk: Any) -> None:
    await desk.new_esp()
    before = await scrape(desk)
    await desk.heard("moisture", 2000, gpio=32)
    await desk.ask("GET", "/api/v1/nothing")
    await desk.fleet.delete(ESP, by="test")
    after = await scrape(desk)

    rising = {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in before.values()
        if family.type in {"counter", "histogram"} and family.name != "growy_esp_errors"
        for one in family.samples
    }
    now = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in samples(after)}
    assert rising
    assert {name: (value, now.get(name)) for name, value in rising.items() if now.get(name, -1) < value} == {}
    assert values(after, "growy_http_errors_total")[("4xx",)] == 1


async def test_every_family_is_on_the_page_with_its_kind(desk: Any) -> None:
    await desk.new_esp()
    await desk.heard("moisture", 2000, gpio=32)
    text = (await desk.ask("GET", "/metrics")).body.decode()
    declared = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)

    missing = [
        name
        for name, kind in declared
        if kind != "untyped" and not re.search(rf"^\| `{name}[`{{].*\| {kind} \|", PAGE, re.MULTILINE)
    ]
    assert missing == []


def test_names_of_people_and_devices_cannot_break_the_text() -> None:
    nasty = 'a"b\\c\nd{e="f"} 1'
    found = parsed(render([gauge("growy_x", "Say\n\\it.", 1.5, name=nasty)]))
    assert values(found, "growy_x") == {(nasty,): 1.5}


def test_a_histogram_adds_up_as_prometheus_wants_it() -> None:
    times = Histogram((0.01, 0.1))
    for seconds in (0.005, 0.01, 0.05, 7.0):
        times.add(seconds)
    found = parsed(render([histogram("growy_t_seconds", "Times.", times.distribution())]))
    assert values(found, "growy_t_seconds_bucket") == {("0.01",): 2, ("0.1",): 3, ("+Inf",): 4}
    assert values(found, "growy_t_seconds_count") == {(): 4}
    assert values(found, "growy_t_seconds_sum")[()] == pytest.approx(7.065)


def test_a_family_without_a_sample_is_not_there() -> None:
    assert render([gauge("growy_x", "X.", None), counter("growy_y_total", "Y.", float("nan"))]) == ""


def test_a_table_without_end_is_cut() -> None:
    family = Family("growy_x", Kind.GAUGE, "X.", tuple(Sample(1, {"n": number}) for number in range(20_000)))
    assert len(list(samples(parsed(render([family]))))) == 5000


@pytest.mark.parametrize("name", ["growy x", "growy_x{", "x\n", "1x"])
def test_a_name_that_prometheus_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        gauge(name, "X.", 1)


def test_a_counter_says_so_in_its_name() -> None:
    with pytest.raises(ValueError, match="no name"):
        counter("growy_x", "X.", 1)


def test_a_part_that_nobody_has_described_tells_its_numbers_untyped() -> None:
    @attrs.frozen
    class Inner:
        waits: int = 3

    @attrs.frozen
    class Part:
        done: int = 2
        by_kind: Any = attrs.field(factory=lambda: {"a b": 1})
        inner: Inner = Inner()
        word: str = "ok"

    found = parsed(render(figures("growy_new", Part())))
    assert {name: values(found, name) for name in found} == {
        "growy_new_done": {(): 2},
        "growy_new_by_kind": {("a b",): 1},
        "growy_new_inner_waits": {(): 3},
    }
    assert {family.type for family in found.values()} == {"unknown"}


def test_json_of_a_distribution_is_plain() -> None:
    from growy.web.answers import json_bytes

    times = Histogram((0.5,))
    times.add(0.1)
    assert json.loads(json_bytes(times.distribution())) == {"bounds_s": [0.5], "counts": [1, 0], "sum_s": 0.1}
