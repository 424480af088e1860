"""What the demo shows, and when it calls itself proven."""

import io

import attrs
import pytest
from rich.console import Console

from growy.cli.demo_view import DemoActuator, DemoDevice, DemoSnapshot, live, progress, proven, summary

SNAPSHOT = DemoSnapshot(
    elapsed_s=12.4,
    duration_s=20.0,
    broker="mqtt://127.0.0.1:1883",
    web="http://127.0.0.1:8000",
    devices=(
        DemoDevice(
            esp_id="ESP_00A001", name="Bench A", status="online", published=30, values=("24.1 °C", "61 %RH")
        ),
        DemoDevice(esp_id="ESP_00A002", name="Tank", status="", published=10, values=()),
    ),
    published=40,
    received=40,
    derived=12,
    committed=52,
    converted={"sht31_temp": 20, "vpd": 12},
    failed={"ph": 1},
    unconverted=7,
    latency_from="receipt",
    p50_ms=512.4,
    p99_ms=1003.6,
)


def drawn(snapshot):
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    console.print(live(snapshot))
    return console.file.getvalue()


def test_the_live_table_shows_devices_values_and_counts():
    text = drawn(SNAPSHOT)

    for part in (
        "12 of 20 s",
        "ESP_00A001",
        "Bench A",
        "online",
        "24.1 °C  61 %RH",
        "published 40",
        "derived 12",
        "committed 52",
        "converted 32",
        "failed 1",
        "kept raw 7",
        "receipt to commit p50 512 ms, p99 1004 ms",
        "http://127.0.0.1:8000",
    ):
        assert part in text


HEATING = DemoActuator(name="Heating", output=1.0, why="keep warm")
FAN = DemoActuator(name="Fan", output=0.35)
VENT = DemoActuator(name="Vent", output=0.0, why="INTERLOCK")


def test_the_live_table_shows_what_actuators_do_why_and_the_rules():
    bench, tank = SNAPSHOT.devices
    bench = attrs.evolve(bench, actuators=(HEATING, FAN, VENT), rules=("+ keep warm", "? let heat out"))
    text = drawn(attrs.evolve(SNAPSHOT, devices=(bench, tank)))

    for part in (
        "Heating on: keep warm",
        "Fan 35%",
        "Vent off: INTERLOCK",
        "+ keep warm",
        "? let heat out",
    ):
        assert part in text


def test_what_a_device_calls_its_actuator_cannot_break_the_table():
    (bench, _) = SNAPSHOT.devices
    evil = attrs.evolve(bench, actuators=(DemoActuator(name="He\x1b[2Jat", output=0.0),))

    assert "\x1b" not in drawn(attrs.evolve(SNAPSHOT, devices=(evil,)))


def test_without_figures_the_table_shows_none():
    text = drawn(attrs.evolve(SNAPSHOT, p50_ms=None, p99_ms=None, duration_s=None))

    assert "nothing committed yet" in text
    assert "0 ms" not in text


def test_a_large_fleet_is_cut_and_said_so():
    text = drawn(attrs.evolve(SNAPSHOT, devices=SNAPSHOT.devices * 20))

    assert "and 16 devices more" in text


def test_a_pipe_gets_one_line():
    assert progress(SNAPSHOT) == "12 of 20 s: 2 devices, 40 readings published, 52 committed"


def test_the_line_names_what_is_on():
    bench, tank = SNAPSHOT.devices
    devices = (attrs.evolve(bench, actuators=(VENT, HEATING)), attrs.evolve(tank, actuators=(FAN,)))

    assert progress(attrs.evolve(SNAPSHOT, devices=devices)).endswith(
        "52 committed; Bench A Heating on: keep warm, Tank Fan 35%"
    )


def test_the_summary_names_each_type_and_the_verdict():
    text = summary(attrs.evolve(SNAPSHOT, missing=0, latency_from="publishing"))

    assert "publishing to commit p50 512 ms" in text
    assert text.index("ph ") < text.index("sht31_temp") < text.index("vpd")
    assert text.endswith("Every one of the 40 published readings is in the store.")


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"missing": 3}, "LOST: 3 published readings are not in the store."),
        ({"missing": None}, "NOT PROVEN: the readings in the store were not counted."),
        ({"missing": 0, "published": 0}, "NOT PROVEN: no reading was published."),
    ],
)
def test_what_is_not_proven_is_not_called_so(changes, verdict):
    snapshot = attrs.evolve(SNAPSHOT, **changes)

    assert summary(snapshot).endswith(verdict)
    assert not proven(snapshot)


def test_proven_is_when_every_published_reading_was_found():
    assert proven(attrs.evolve(SNAPSHOT, missing=0))
