"""What the demo shows, and when it calls itself proven."""

import io

import attrs
import pytest
from rich.console import Console

from growy.cli.demo_view import (
    DemoActuator,
    DemoDevice,
    DemoMove,
    DemoSnapshot,
    live,
    progress,
    proven,
    summary,
)

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


MOVE = DemoMove(
    esp_id="ESP_00A001",
    device="Bench A",
    actuator="Heating",
    source="k1",
    target="god",
    owner="god",
    home="k1",
    took_s=1.94,
    before=1.0,
    after=1.0,
    switched=0,
)
TREE = attrs.evolve(SNAPSHOT, kaisers=2, missing=0, moves=(MOVE,))


def test_with_kaisers_owner_and_home_of_a_device_are_shown_and_the_move():
    bench, tank = TREE.devices
    bench = attrs.evolve(bench, owner="god", home="k1", actuators=(HEATING,))
    tree = attrs.evolve(TREE, devices=(bench, attrs.evolve(tank, owner="k2", home="k2")))

    text = " ".join(drawn(tree).split())
    for part in ("owner", "god (at k1)", " k2 ", "moved: Bench A (ESP_00A001) from k1 to god in 1.94 s"):
        assert part in text
    assert progress(tree).endswith("; Bench A of god (at k1): Heating on: keep warm")
    assert "owner" not in drawn(SNAPSHOT)


def test_with_kaisers_the_summary_says_what_was_moved_and_that_nothing_was_switched():
    *_, moved, stored = summary(TREE).splitlines()

    assert moved == (
        "moved: Bench A (ESP_00A001) from k1 to god in 1.94 s; it hangs on k1; Heating on before, on after, "
        "switched 0 times"
    )
    assert stored == "Every one of the 40 published readings is in God's store, each once."
    assert proven(TREE)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"switched": 2}, "SWITCHED BY THE MOVE: "),
        ({"after": 0.0}, "SWITCHED BY THE MOVE: "),
        ({"owner": "k1"}, "NOT MOVED: Bench A (ESP_00A001) from k1 to god: it is still of k1"),
        ({"fault": "timeout"}, "NOT MOVED: Bench A (ESP_00A001) from k1 to god: timeout"),
        ({"before": 0.0, "after": 0.0}, "SWITCHED BY THE MOVE: "),
    ],
)
def test_a_move_that_switched_something_or_did_not_take_place_is_not_proven(changes, verdict):
    snapshot = attrs.evolve(TREE, moves=(attrs.evolve(MOVE, **changes),))

    assert verdict in summary(snapshot)
    assert not proven(snapshot)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"moves": ()}, "NOT PROVEN: no device was moved."),
        ({"doubled": 3}, "DOUBLED: 3 readings are in God's store more than once."),
        ({"missing": 3}, "LOST: 3 published readings are not in God's store."),
    ],
)
def test_with_kaisers_what_is_not_proven_is_not_called_so(changes, verdict):
    snapshot = attrs.evolve(TREE, **changes)

    assert verdict in summary(snapshot).splitlines()
    assert "each once" not in summary(snapshot) or not snapshot.moves
    assert not proven(snapshot)
