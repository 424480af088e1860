"""The virtual device over time: boot, connection, heartbeats, readings. No broker, no clock, no sleeping."""

from __future__ import annotations

import json

import attrs
import pytest
from rig.machine import NOW, SPEC, T0, Machine, of_kind

from growy.sim import session
from growy.sim.events import (
    ClockSet,
    Connected,
    Disconnected,
    DroppedAtGate,
    DroppedOffline,
    Publish,
    PublishReading,
    Subscribe,
    Tick,
)
from growy.sim.faults import Faults
from growy.sim.flash import SensorConfig, SystemState
from growy.sim.spec import SensorKind, SensorSpec, default_fleet
from growy.sim.state import SETUP_S

VALUES = 4
"""Values of one round of the propagation bench: an SHT31 has two."""


def heartbeats(machine: Machine) -> list[float]:
    return [at for at, _ in machine.sent("system/heartbeat")]


# --- boot -----------------------------------------------------------------------------------------


def test_ten_sensors_come_back_from_the_flash():
    moisture = [SensorConfig(gpio=pin, sensor_type="moisture") for pin in (5, 14, 15, 16, 17, 18, 19, 23, 25)]
    light = [SensorConfig(gpio=pin, sensor_type="light") for pin in (32, 33, 34)]
    nvs = attrs.evolve(SPEC.flash, sensors=(*moisture, *light), actuators=())
    machine = Machine(nvs=nvs)
    assert len(machine.board.sensors) == 10
    assert len(machine.board.nvs.sensors) == 12


def test_the_boot_counter_starts_over_after_a_quiet_minute():
    machine = Machine()
    counts = [machine.board.nvs.boot_count]
    for _ in range(3):
        machine.run(61.0)
        machine.reset("SW")
        counts.append(machine.board.nvs.boot_count)
    assert counts == [1, 2, 1, 2]
    machine.run(10.0)
    machine.reset("PANIC")
    assert machine.board.nvs.boot_count == 3, "not after ten seconds"
    machine.connect()
    beat = machine.said("system/heartbeat")[0]
    assert (beat["boot_sequence_id"], beat["reset_reason"]) == ("ESP_00A001-b3-r4", "PANIC")


@pytest.mark.parametrize(
    ("parts", "approved", "state"),
    [
        ("sensors actuators", True, SystemState.OPERATIONAL),
        ("sensors actuators", False, SystemState.PENDING_APPROVAL),
        ("sensors", True, SystemState.CONFIG_PENDING_AFTER_RESET),
        ("actuators", False, SystemState.CONFIG_PENDING_AFTER_RESET),
        ("", True, SystemState.OPERATIONAL),
        ("", False, SystemState.PENDING_APPROVAL),
    ],
)
def test_where_a_boot_ends(parts: str, approved: bool, state: SystemState):
    missing = {part: () for part in ("sensors", "actuators") if part not in parts}
    assert Machine(nvs=attrs.evolve(SPEC.flash, approved=approved, **missing)).system_state is state


def test_a_device_that_waits_for_its_configuration_says_so_with_its_first_connection():
    machine = Machine(nvs=attrs.evolve(SPEC.flash, actuators=()))
    announce, event = machine.take(Connected())
    assert announce.topic.endswith("session/announce")
    assert event.topic == machine.topic("system/intent_outcome/lifecycle")
    said = json.loads(event.payload)
    assert (said["event_type"], said["readiness_decision"]) == ("entered_config_pending", "MISSING_ACTUATORS")
    machine.run(3.0)
    machine.ack("approved")
    assert machine.system_state is SystemState.CONFIG_PENDING_AFTER_RESET, "no ACK helps"
    assert machine.board.nvs.approved


# --- the order of a connection --------------------------------------------------------------------


def test_on_connect_it_announces_subscribes_one_by_one_and_beats_as_soon_as_it_can():
    machine = Machine(nvs=attrs.evolve(SPEC.flash, approved=True))
    machine.run(SETUP_S + 3.5)
    (announce,) = machine.take(Connected())
    assert announce.topic == "kaiser/god/esp/ESP_00A001/session/announce"
    assert announce.qos == 1
    began = machine.now

    effects = machine.run(2.0)

    subscribed = [(at, effect) for at, effect in machine.done if isinstance(effect, Subscribe)]
    assert [effect.topic.replace("kaiser/god/esp/ESP_00A001/", "") for _, effect in subscribed] == [
        "system/heartbeat/ack",
        "config",
        "system/command",
        "kaiser/broadcast/emergency",
        "actuator/+/command",
        "actuator/emergency",
        "zone/assign",
        "subzone/assign",
        "subzone/remove",
        "subzone/safe",
        "sensor/+/command",
        "kaiser/god/server/status",
    ]
    assert [effect.qos for _, effect in subscribed] == [1, 2, 2, 2, 2, 1, 1, 1, 1, 1, 2, 1]
    assert [at - began for at, _ in subscribed] == pytest.approx([0.05 * n for n in range(1, 13)])
    assert [at - began for at in heartbeats(machine)] == pytest.approx([0.05, 0.1]), (
        "with the first subscription; forced when those for the ACK and for config stand"
    )
    assert all(beat.qos == 0 for beat in of_kind(effects, Publish) if beat.topic.endswith("/heartbeat"))


def test_a_device_that_waits_subscribes_more_slowly():
    machine = Machine()
    machine.run(5.0)
    machine.take(Connected())
    began = machine.now
    machine.run(2.0)
    ats = [at - began for at, effect in machine.done if isinstance(effect, Subscribe)]
    assert ats == pytest.approx([0.1 * n for n in range(1, 13)])


def test_at_boot_the_announce_precedes_the_loops_that_subscribe():
    machine = Machine()
    machine.take(Connected())
    effects = machine.run(SETUP_S - 0.1)
    assert not effects
    assert of_kind(machine.run(0.1), Subscribe)


def test_heartbeats_come_every_5_s_until_the_ack_and_every_60_s_after_it():
    machine = Machine()
    machine.take(Connected())
    machine.run(22.0)
    first = heartbeats(machine)[0]
    assert first == pytest.approx(T0 + SETUP_S)
    assert [round(at - first) for at in heartbeats(machine)] == [0, 0, 5, 10, 15, 20]

    machine.ack()
    machine.forget()
    machine.run(180.0)

    assert [round(at - first) for at in heartbeats(machine)] == [80, 140, 200]


def test_counters_travel_behind_the_heartbeats_of_a_registered_device_when_they_have_changed():
    machine = Machine()
    machine.register()
    assert not machine.said("system/heartbeat_metrics")
    for _ in range(30):
        machine.run(20.0)
        machine.ack()
    assert len(machine.said("system/heartbeat_metrics")) == 2, "the first, and every fifth after it"
    machine.hear("system/heartbeat/ack", {"status": "approved"})
    machine.forget()
    machine.run(60.0)
    (metrics,) = machine.said("system/heartbeat_metrics")
    assert metrics["handover_contract_reject_count"] == 1
    assert metrics["handover_contract_last_reject"] == "MISSING_HANDOVER_EPOCH"


def test_an_ack_that_nobody_asked_for_opens_the_gate_and_the_first_heartbeat_still_comes():
    machine = Machine()
    machine.take(Connected())
    machine.ack()
    assert machine.state.registered
    machine.run(3.0)
    assert len(heartbeats(machine)) == 2


def test_every_connection_needs_its_own_ack():
    machine = Machine()
    machine.register()
    assert machine.state.registered
    machine.take(Disconnected(), Connected())
    assert not machine.state.registered
    assert of_kind(machine.run(31.0), DroppedAtGate)


def test_a_reconnect_soon_after_a_heartbeat_waits_for_the_forced_one():
    machine = Machine()
    machine.register()
    machine.run(60.0)
    machine.lose()
    machine.forget()
    machine.take(Connected())
    machine.run(1.0)
    assert len(heartbeats(machine)) == 1


# --- the gate -------------------------------------------------------------------------------------


def test_readings_wait_for_the_ack_and_are_lost_until_then():
    machine = Machine()
    machine.connect()
    assert len(of_kind([effect for _, effect in machine.done], DroppedAtGate)) == VALUES
    assert machine.state.seq == 2, "a lost reading takes no number; the drivers' first statuses took these"

    machine.ack()
    readings = of_kind(machine.run(60.0), PublishReading)

    numbers = [reading.seq for reading in readings]
    assert numbers == sorted(set(numbers))
    assert {reading.sample.sensor_type for reading in readings} == {
        "sht31_temp",
        "sht31_humidity",
        "ds18b20",
        "moisture",
    }


def test_without_a_gate_readings_flow_at_once():
    machine = Machine(attrs.evolve(SPEC, gate=False))
    assert len(of_kind(machine.connect(), PublishReading)) == VALUES


def test_nothing_is_kept_for_later_while_the_broker_is_away():
    machine = Machine()
    machine.register()
    machine.lose()
    effects = machine.run(100.0)

    assert not of_kind(effects, PublishReading)
    assert not of_kind(effects, Publish)
    assert len(of_kind(effects, DroppedOffline)) == VALUES * 3 - 2, (
        "SHT31 and DS18B20 every 30 s, moisture every 60 s"
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"status":"approved"}', "MISSING_HANDOVER_EPOCH"),
        (b'{"status":"approved","handover_epoch":0}', "INVALID_HANDOVER_EPOCH"),
        (b"garbage", "JSON_PARSE_ERROR"),
    ],
)
def test_an_ack_that_breaks_the_contract_leaves_the_gate_shut(body: bytes, reason: str):
    machine = Machine()
    machine.connect()
    machine.hear("system/heartbeat/ack", body)
    assert not machine.state.registered
    assert (machine.state.acks_refused, machine.state.last_ack_refusal) == (1, reason)


@pytest.mark.parametrize("status", ["approved", "pending_approval", "rejected", "error", "offline"])
def test_any_valid_ack_opens_the_gate(status: str):
    machine = Machine()
    machine.register(status)
    assert machine.state.registered
    assert of_kind(machine.run(60.0), PublishReading)


def test_a_message_of_8_kilobytes_is_not_heard():
    machine = Machine()
    machine.connect()
    body = b'{"status":"approved","handover_epoch":1}'
    machine.hear("system/heartbeat/ack", body.ljust(8192))
    assert not machine.state.registered
    machine.hear("system/heartbeat/ack", body.ljust(8191))
    assert machine.state.registered


# --- time -----------------------------------------------------------------------------------------


def test_the_clock_comes_from_sntp_or_else_once_from_the_ack():
    unsynced = Machine()
    unsynced.register()
    assert unsynced.state.unix_time(unsynced.now) == NOW
    unsynced.ack(server_time=NOW + 4400)
    assert unsynced.state.unix_time(unsynced.now) == NOW, "later ACKs correct nothing"

    synced = Machine()
    synced.take(ClockSet(1_800_000_000.0))
    synced.register()
    assert synced.state.unix_time(synced.now) == pytest.approx(1_800_000_003.0)


def test_messages_before_the_clock_is_known_say_ts_0():
    machine = Machine(attrs.evolve(SPEC, gate=False))
    (announce,) = machine.take(Connected())
    assert json.loads(announce.payload)["ts_ms"] == 0, "uptime"
    for reading in of_kind(machine.run(2.0), PublishReading):
        assert json.loads(reading.payload)["ts"] == 0


def test_a_device_that_stood_still_skips_what_it_missed():
    machine = Machine(attrs.evolve(SPEC, gate=False))
    machine.connect()
    machine.now += 1000.0
    assert len(of_kind(machine.take(Tick()), PublishReading)) == VALUES


def test_sensors_keep_their_beat():
    machine = Machine(attrs.evolve(SPEC, gate=False))
    machine.connect()
    machine.run(297.0)
    ats = [at - T0 for at, _ in machine.sent("sensor/4/data")]
    assert ats == pytest.approx([1.5 + 30.0 * n for n in range(10)])


def test_of_two_chips_with_one_label_the_first_is_read_twice():
    first = SensorConfig(gpio=68, sensor_type="sht31", i2c_address=0x44)
    second = attrs.evolve(first, i2c_address=0x45)
    spec = attrs.evolve(
        SPEC,
        gate=False,
        sensors=(
            SensorSpec(kind=SensorKind.SHT31, gpio=68, i2c_address=0x44),
            SensorSpec(kind=SensorKind.SHT31, gpio=69, i2c_address=0x45),
        ),
    )
    machine = Machine(spec, attrs.evolve(spec.flash, sensors=(first, second)))
    machine.connect()
    assert [said["i2c_address"] for said in machine.said("sensor/68/data")] == [0x44] * 4


def test_a_sensor_that_is_gone_is_probed_every_five_minutes_after_ten_failures():
    gone = attrs.evolve(SPEC, gate=False, sensors=tuple(s for s in SPEC.sensors if s.gpio != 68))
    machine = Machine(gone, SPEC.flash)
    sht31 = SensorConfig(gpio=68, sensor_type="sht31", i2c_address=0x44)
    machine.state = attrs.evolve(
        machine.state,
        beats=(attrs.evolve(machine.state.beats[0], sensor=sht31),),
        board=attrs.evolve(machine.board, sensors=(sht31,)),
    )
    machine.connect()
    machine.run(9 * 30.0)
    assert machine.state.beats[0].failures == 10
    assert machine.state.beats[0].due == pytest.approx(T0 + 1.5 + 9 * 30.0 + 300.0)
    assert not machine.said("sensor/68/data")


# --- by the clock ---------------------------------------------------------------------------------


def test_statuses_come_every_30_s_from_a_device_at_work():
    machine = Machine(nvs=attrs.evolve(SPEC.flash, approved=True))
    machine.register()
    machine.run(90.0)
    assert len(machine.said("actuator/18/status")) == 3
    machine.ack("pending_approval")
    machine.forget()
    machine.run(90.0)
    assert not machine.said("actuator/18/status")


def test_diagnostics_come_once_and_then_when_something_has_changed():
    machine = Machine()
    machine.register()
    for _ in range(10):
        machine.run(60.0)
        machine.ack()
    (said,) = machine.said("system/diagnostics")
    assert (said["ts"], said["system_state"]) == (60, "OPERATIONAL"), "uptime, not Unix time"
    machine.ack("pending_approval")
    machine.run(60.0)
    assert machine.said("system/diagnostics")[-1]["system_state"] == "PENDING_APPROVAL"


def test_the_first_minute_has_no_errors():
    machine = Machine()
    machine.register()
    machine.ack("rejected")
    assert not machine.said("system/error")
    machine.run(60.0)
    machine.ack("rejected")
    machine.ack("rejected")
    (error,) = machine.said("system/error")
    assert (error["error_code"], error["category"]) == (4200, "APPLICATION")


def test_a_whole_default_fleet_comes_up():
    for spec in default_fleet(6):
        machine = Machine(spec)
        machine.register()
        assert machine.system_state is SystemState.OPERATIONAL
        assert len(machine.board.sensors) == len(spec.sensors)
        machine.run(61.0)
        told = {at for at, effect in machine.done if isinstance(effect, PublishReading)}
        assert told, spec.name


def test_a_fault_in_the_flash_is_a_token_that_nobody_knows():
    spec = attrs.evolve(SPEC, faults=Faults(wrong_token=True))
    machine = Machine(spec)
    machine.register()
    machine.hear("actuator/emergency", {"command": "emergency_stop", "auth_token": "right"})
    assert ("rejected", "UNAUTHORIZED") in machine.outcomes()
    assert machine.said("actuator/emergency/error")[0]["error"] == "unauthorized"
    assert not machine.board.emergency


def test_silence_is_told_once():
    assert session.SILENCE_S == 120.0
    machine = Machine()
    machine.register()
    machine.run(400.0)
    assert machine.state.handover.offline_enters == 1
