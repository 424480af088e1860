"""What is set up reaches the device: once, in order, with every item's end known, and again after a reboot."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import msgspec
import pytest
from fleet_rig import ESP, WALL_MS, Bench, beat, said
from hypothesis import given, settings
from hypothesis import strategies as st

from growy.fleet import edit, work
from growy.fleet.device import ZONE_KEY, Record, Standing
from growy.fleet.effects import Changed, Decided, Note, Send, Tell
from growy.fleet.lane import ATTEMPTS
from growy.fleet.work import CONFIG_S
from growy.model.setup import (
    OFFLINE_RULES_KEY,
    ActuatorKind,
    ActuatorSetup,
    ItemState,
    OfflineRule,
    SensorSetup,
    SubzoneSetup,
    ZoneSetup,
)

AIR = SensorSetup(id="1", gpio=68, sensor_type="sht31", name="Air", i2c_address=68)
PH = SensorSetup(id="2", gpio=34, sensor_type="ph", name="pH")
ROOT_1 = SensorSetup(id="3", gpio=4, sensor_type="ds18b20", name="Root 1", onewire_address="28FF641E8D3C0C79")
ROOT_2 = SensorSetup(id="4", gpio=4, sensor_type="ds18b20", name="Root 2", onewire_address="28AA641E8D3C0C15")
FAN = ActuatorSetup(id="5", gpio=18, kind=ActuatorKind.RELAY, name="Fan")
PUMP = ActuatorSetup(id="6", gpio=19, kind=ActuatorKind.PUMP, name="Pump")


def ready(**setup: object) -> Bench:
    """An approved device that can hear, with something set up on it."""
    bench = Bench()
    bench.take(Decided(Standing.APPROVED, "tester"))
    bench.hear(beat(60))
    bench.take(Changed(msgspec.structs.replace(bench.state.record, **setup)))
    bench.tick(3)
    return bench


def answer(bench: Bench, scope: str, status: str = "success", **fields: object) -> None:
    bench.hear(said("config_response", type=scope, status=status, correlation_id=bench.flight_id, **fields))


def outcome(bench: Bench, word: str = "persisted", code: str = "NONE") -> None:
    correlation_id = bench.flight_id
    bench.hear(
        said(
            "system/intent_outcome",
            flow="config",
            intent_id=correlation_id,
            correlation_id=correlation_id,
            outcome=word,
            code=code,
        )
    )


def accept(bench: Bench) -> None:
    """The device takes what is in the air."""
    flight = bench.state.live.lane.flight
    assert flight is not None
    for scope in sorted(flight.answers_due):
        answer(bench, scope, count=1)
    if flight.scope.value == "config":
        outcome(bench)
    elif flight.scope.value == "zone":
        zone = bench.state.record.zone
        status = "zone_assigned" if zone is not None and zone.zone_id else "zone_removed"
        bench.hear(
            said("zone/ack", status=status, zone_id=zone and zone.zone_id, correlation_id=bench.flight_id)
        )
    else:
        status = "subzone_removed" if "removed" in flight.items.values() else "subzone_assigned"
        bench.hear(
            said("subzone/ack", status=status, subzone_id=flight.subject, correlation_id=bench.flight_id)
        )


def states(bench: Bench) -> dict[str, ItemState]:
    wanted = work.fingerprints(bench.state)
    return {key: work.standing_of(bench.state, key, print) for key, print in wanted.items()}


def idle(bench: Bench, seconds: float = 600.0) -> bool:
    """Whether nothing more is sent by itself."""
    before = len(bench.sent)
    for _ in range(10):
        bench.now += seconds / 10
        bench.hear(beat(60 + int(bench.now)))
        bench.tick(3)
    return len(bench.sent) == before


# --- the way of a config -----------------------------------------------------------------------------


def test_sensors_and_actuators_travel_in_one_document_and_are_applied_when_the_device_says_so() -> None:
    bench = ready(sensors=(AIR, PH), actuators=(FAN,))
    (sent,) = bench.sent
    assert sent.topic == f"kaiser/god/esp/{ESP}/config"
    document = bench.document()
    assert document["correlation_id"] == document["intent_id"] == bench.flight_id
    assert [one["gpio"] for one in document["sensors"]] == [68, 34]
    assert document["sensors"][0]["i2c_address"] == 68
    assert set(states(bench).values()) == {ItemState.PENDING}
    accept(bench)
    assert set(states(bench).values()) == {ItemState.APPLIED}
    assert idle(bench)


def test_nothing_is_sent_before_the_subscriptions_stand_or_to_a_device_that_nobody_approved() -> None:
    bench = Bench()
    bench.hear(beat(60))
    bench.take(Changed(msgspec.structs.replace(bench.state.record, sensors=(AIR,))))
    bench.tick(10)
    assert bench.sent == []
    bench.take(Decided(Standing.APPROVED, "tester"))
    bench.hear(said("session/announce", handover_epoch=1, reason="boot", ts_ms=1))
    bench.hear(beat(62))
    bench.tick(2.9)
    assert bench.sent == []
    bench.tick(0.1)
    assert len(bench.sent) == 1


def test_a_sensor_that_the_device_refuses_is_failed_and_the_others_are_applied() -> None:
    bench = ready(sensors=(AIR, PH), actuators=(FAN,))
    answer(
        bench,
        "sensor",
        "partial_success",
        count=1,
        failed_count=1,
        failures=[
            {"type": "sensor", "gpio": 34, "error_code": 1002, "error": "GPIO_CONFLICT", "detail": "in use"}
        ],
    )
    answer(bench, "actuator", count=1)
    outcome(bench, "failed", "COMMIT_FAILED")
    assert states(bench) == {AIR.key: ItemState.APPLIED, PH.key: ItemState.FAILED, FAN.key: ItemState.APPLIED}
    result = bench.state.record.results[PH.key]
    assert (result.error_code, result.error, result.detail) == ("1002", "GPIO_CONFLICT", "in use")
    assert [one.entry.event_type for one in bench.of(Note)][-1] == "config_failed"
    assert "config_failed" in [one.event for one in bench.of(Tell)]
    assert idle(bench)


def test_of_actuators_the_bad_one_is_named_and_the_good_one_is_known_by_the_end() -> None:
    bench = ready(actuators=(FAN, PUMP))
    answer(bench, "actuator", "error", error_code="GPIO_CONFLICT", failed_item={"gpio": 19}, message="taken")
    answer(bench, "system", "error", error_code="COMMIT_FAILED", message="Config apply/persist failed")
    outcome(bench, "failed", "COMMIT_FAILED")
    bench.tick(6)
    assert states(bench) == {FAN.key: ItemState.APPLIED, PUMP.key: ItemState.FAILED}


def test_a_scope_that_is_refused_as_a_whole_fails_all_its_items() -> None:
    bench = ready(sensors=(AIR, PH))
    answer(bench, "sensor", "error", error_code="MISSING_FIELD", message="no")
    outcome(bench, "failed", "COMMIT_FAILED")
    assert set(states(bench).values()) == {ItemState.FAILED}


def test_an_outcome_without_its_answers_is_believed_after_a_grace() -> None:
    bench = ready(sensors=(AIR,), actuators=(FAN,))
    answer(bench, "sensor", count=1)
    outcome(bench)
    assert set(states(bench).values()) == {ItemState.PENDING}
    bench.tick(6)
    assert set(states(bench).values()) == {ItemState.APPLIED}


def test_answers_without_the_outcome_are_believed_after_a_grace_but_not_for_rules() -> None:
    rules = (
        OfflineRule(actuator_gpio=18, sensor_gpio=68, sensor_value_type="sht31_temp", activate_above=28.0),
    )
    bench = ready(sensors=(AIR,), actuators=(FAN,), offline_rules=rules)
    answer(bench, "sensor", count=1)
    answer(bench, "actuator", count=1)
    bench.tick(6)
    assert states(bench) == {
        AIR.key: ItemState.APPLIED,
        FAN.key: ItemState.APPLIED,
        OFFLINE_RULES_KEY: ItemState.PENDING,
    }
    bench.tick(10)
    assert set(bench.document()) == {"correlation_id", "intent_id", "offline_rules"}
    outcome(bench)
    assert states(bench)[OFFLINE_RULES_KEY] is ItemState.APPLIED


def test_an_answer_to_another_push_says_nothing_of_this_one() -> None:
    bench = ready(sensors=(AIR,))
    bench.hear(
        said("config_response", type="sensor", status="success", count=1, correlation_id="somebody-else")
    )
    bench.hear(said("system/intent_outcome", intent_id="somebody-else", outcome="persisted", flow="config"))
    assert states(bench)[AIR.key] is ItemState.PENDING


def test_an_answer_to_an_older_version_does_not_mark_a_newer_one_applied() -> None:
    bench = ready(sensors=(AIR,))
    newer = msgspec.structs.replace(AIR, interval_s=60)
    bench.take(Changed(edit.put_sensor(bench.state.record, newer, WALL_MS)))
    accept(bench)
    assert states(bench)[AIR.key] is ItemState.PENDING
    bench.tick(1)
    assert bench.document()["sensors"][0]["measurement_interval_seconds"] == 60
    accept(bench)
    assert states(bench)[AIR.key] is ItemState.APPLIED


@pytest.mark.parametrize("code", ["QUEUE_FULL", "CONFIG_LANE_BUSY", "WRITE_TIMEOUT", "REGISTRATION_PENDING"])
def test_a_busy_device_is_tried_again_with_a_fresh_id(code: str) -> None:
    bench = ready(sensors=(AIR,))
    first = bench.flight_id
    outcome(bench, "rejected", code)
    assert idle(bench, 0.0) or bench.state.live.lane.flight is None
    bench.tick(6)
    assert bench.flight_id != first
    accept(bench)
    assert states(bench)[AIR.key] is ItemState.APPLIED


def test_silence_is_tried_again_and_ends_as_failed_with_the_reason() -> None:
    bench = ready(sensors=(AIR,))
    for _ in range(ATTEMPTS):
        bench.hear(beat(60 + int(bench.now)))
        bench.tick(CONFIG_S)
        bench.tick(61)
    assert len(bench.sent) == ATTEMPTS
    assert states(bench)[AIR.key] is ItemState.FAILED
    assert bench.state.record.results[AIR.key].error_code == "TIMEOUT"


def test_what_the_device_cannot_read_is_not_sent_again() -> None:
    bench = ready(sensors=(AIR,))
    answer(bench, "system", "error", error_code="JSON_PARSE_ERROR", message="bad")
    assert states(bench)[AIR.key] is ItemState.FAILED
    assert idle(bench)


def test_a_setup_that_never_passed_admission_is_noted_and_stops_nobody() -> None:
    monster = msgspec.structs.replace(AIR, name="x" * 5000)
    bench = ready(sensors=(monster,))
    assert bench.sent == []
    (note,) = [one.entry for one in bench.of(Note)]
    assert (note.event_type, note.severity, note.error_code) == ("config_failed", "error", "CONFIG_TOO_LARGE")
    assert idle(bench)


def test_after_a_reboot_everything_is_sent_once_more_and_only_once() -> None:
    bench = ready(sensors=(AIR,), actuators=(FAN,))
    accept(bench)
    bench.now += 60
    bench.hear(beat(5))
    bench.tick(3)
    assert len(bench.sent) == 2
    accept(bench)
    assert idle(bench)


def test_a_restart_of_growyd_sends_nothing_again() -> None:
    bench = ready(sensors=(AIR,), actuators=(FAN,))
    accept(bench)
    again = Bench(state=attrs.evolve(Bench().state, record=bench.state.record))
    again.hear(beat(200))
    again.tick(3)
    assert again.sent == []


def test_sensors_of_one_wire_travel_apart_because_a_failure_is_named_by_its_pin() -> None:
    bench = ready(sensors=(ROOT_1, ROOT_2))
    assert [one["onewire_address"] for one in bench.document()["sensors"]] == [ROOT_1.onewire_address]
    answer(
        bench,
        "sensor",
        "error",
        failed_count=1,
        failures=[{"type": "sensor", "gpio": 4, "error_code": 1041, "error": "CONFIG_FAILED"}],
    )
    outcome(bench, "failed", "COMMIT_FAILED")
    bench.tick(1)
    assert [one["onewire_address"] for one in bench.document()["sensors"]] == [ROOT_2.onewire_address]
    accept(bench)
    assert states(bench) == {ROOT_1.key: ItemState.FAILED, ROOT_2.key: ItemState.APPLIED}


def test_a_sensor_whose_cable_was_pulled_is_tried_again_after_ten_minutes() -> None:
    bench = ready(sensors=(ROOT_1,))
    failure = {"type": "sensor", "gpio": 4, "error_code": 1041, "error": "CONFIG_FAILED"}
    answer(bench, "sensor", "error", failed_count=1, failures=[failure])
    outcome(bench, "failed", "COMMIT_FAILED")
    assert len(bench.sent) == 1
    for _ in range(11):
        bench.now += 60
        bench.hear(beat(60 + int(bench.now)))
        bench.tick(1)
    assert len(bench.sent) == 2


# --- changes and removals ---------------------------------------------------------------------------


def test_a_removed_sensor_is_removed_from_the_device_and_then_forgotten() -> None:
    bench = ready(sensors=(AIR, PH))
    accept(bench)
    record, _ = edit.take_sensor(bench.state.record, ESP, PH.id)
    bench.take(Changed(record))
    bench.tick(1)
    (item,) = bench.document()["sensors"]
    assert (item["gpio"], item["active"]) == (34, False)
    accept(bench)
    assert bench.state.record.removed_sensors == ()
    assert PH.key not in bench.state.record.results
    assert idle(bench)


def test_a_changed_actuator_is_made_anew_because_the_firmware_would_keep_the_old_one_until_its_reboot() -> (
    None
):
    bench = ready(actuators=(FAN,))
    accept(bench)
    changed = msgspec.structs.replace(FAN, default_state=True)
    bench.take(Changed(edit.put_actuator(bench.state.record, changed, WALL_MS)))
    bench.tick(1)
    assert bench.document()["actuators"][0]["active"] is False
    accept(bench)
    bench.tick(1)
    assert bench.document()["actuators"][0]["default_state"] is True
    accept(bench)
    assert states(bench)[FAN.key] is ItemState.APPLIED
    assert idle(bench)


def test_a_sensor_that_is_switched_off_is_taken_from_the_device_and_stays_in_the_setup() -> None:
    bench = ready(sensors=(AIR,))
    accept(bench)
    off = msgspec.structs.replace(AIR, enabled=False)
    bench.take(Changed(edit.put_sensor(bench.state.record, off, WALL_MS)))
    bench.tick(1)
    assert bench.document()["sensors"][0]["active"] is False
    accept(bench)
    assert [one.id for one in bench.state.record.sensors] == [AIR.id]
    assert states(bench)[AIR.key] is ItemState.APPLIED
    assert idle(bench)


# --- zones -----------------------------------------------------------------------------------------


def test_a_zone_comes_before_its_subzones_and_both_before_the_config() -> None:
    bench = ready(
        zone=ZoneSetup(zone_id="green", master_zone_id="farm", zone_name="Green"),
        subzones=(SubzoneSetup(subzone_id="bench_a", name="A", gpios=(4,)),),
        sensors=(AIR,),
    )
    topics = []
    for _ in range(3):
        topics.append(bench.sent[-1].topic.split("/", 4)[4])
        accept(bench)
        bench.tick(1)
    assert topics == ["zone/assign", "subzone/assign", "config"]
    assert bench.state.record.zone_id == "green"
    bench.hear(beat(70, zone_id="green"))
    assert len(bench.sent) == 3


def test_the_heartbeat_that_follows_a_zone_ack_does_not_make_a_device_look_deaf() -> None:
    bench = ready(zone=ZoneSetup(zone_id="green"))
    accept(bench)
    bench.now += 1
    bench.hear(beat(65, zone_id="green"))
    assert bench.state.live.deaf == 0
    assert bench.state.live.ready_at <= bench.now


def test_a_busy_zone_lane_is_tried_again_and_a_refusal_is_final() -> None:
    bench = ready(zone=ZoneSetup(zone_id="green"))
    bench.hear(
        said("zone/ack", status="error", reason_code="CONFIG_LANE_BUSY", correlation_id=bench.flight_id)
    )
    bench.tick(6)
    assert len(bench.sent) == 2
    bench.hear(
        said("zone/ack", status="error", message="Zone validation failed", correlation_id=bench.flight_id)
    )
    assert states(bench)[ZONE_KEY] is ItemState.FAILED
    assert idle(bench)


def test_a_device_that_says_it_is_elsewhere_is_told_again_but_not_at_once() -> None:
    bench = ready(zone=ZoneSetup(zone_id="green"))
    accept(bench)
    bench.hear(beat(65, zone_id="other"))
    bench.tick(5)
    assert len(bench.sent) == 1
    bench.now += 60
    bench.hear(beat(130, zone_id="other"))
    bench.tick(1)
    assert len(bench.sent) == 2


def test_a_device_that_waits_for_the_other_half_of_its_configuration_is_lifted_out_by_its_zone_once_per_boot() -> (
    None
):
    bench = ready(zone=ZoneSetup(zone_id="green"))
    accept(bench)
    stuck = {"zone_id": "green", "sensor_count": 2, "runtime_state_degraded": True}
    bench.now += 60
    bench.hear(beat(5, **stuck))
    bench.tick(3)
    assert [one.topic.split("/", 4)[4] for one in bench.sent] == ["zone/assign", "zone/assign"]
    accept(bench)
    bench.now += 60
    bench.hear(beat(66, **stuck))
    bench.tick(3)
    assert len(bench.sent) == 2


def test_out_of_its_zone() -> None:
    bench = ready(zone=ZoneSetup(zone_id=""))
    assert bench.document() == {
        "zone_id": "",
        "master_zone_id": "",
        "zone_name": "",
        "kaiser_id": "god",
        "correlation_id": bench.flight_id,
    }


def test_firmware_of_2025_12_gets_both_scopes_and_its_answers_without_ids_are_understood() -> None:
    bench = Bench()
    bench.take(Decided(Standing.APPROVED, "tester"))
    bench.hear(said("system/heartbeat", ts=0, uptime=60, sensor_count=0, actuator_count=0))
    bench.take(Changed(msgspec.structs.replace(bench.state.record, sensors=(AIR,), actuators=(FAN,))))
    bench.tick(3)
    assert bench.document()["sensors"]
    assert bench.document()["actuators"]
    bench.hear(said("config_response", type="sensor", status="success", count=1))
    bench.hear(said("config_response", type="actuator", status="success", count=1))
    assert set(states(bench).values()) == {ItemState.APPLIED}
    later = msgspec.structs.replace(AIR, interval_s=90)
    bench.take(Changed(edit.put_sensor(bench.state.record, later, WALL_MS)))
    bench.tick(1)
    assert [one["gpio"] for one in bench.document()["actuators"]] == [18]


# --- whatever the device does, the lane comes to rest ----------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([AIR, PH, ROOT_1, ROOT_2]), unique_by=lambda one: one.id, max_size=4),
    st.lists(st.sampled_from([FAN, PUMP]), unique_by=lambda one: one.id, max_size=2),
    st.lists(
        st.sampled_from(
            ["accept", "busy", "fail", "silence", "answers only", "reboot", "announce", "gone", "twice"]
        ),
        max_size=25,
    ),
)
def test_every_item_ends_known_and_then_nothing_more_is_sent(
    sensors: Sequence[SensorSetup], actuators: Sequence[ActuatorSetup], habits: Sequence[str]
) -> None:
    bench = ready(sensors=tuple(sensors), actuators=tuple(actuators))
    uptime = 60
    for habit in [*habits, *["accept"] * 30]:
        bench.now += 20
        uptime += 20
        if habit == "reboot":
            uptime = 5
        elif habit == "announce":
            bench.hear(said("session/announce", handover_epoch=1, reason="reconnect", ts_ms=1))
        elif habit == "gone":
            bench.hear(said("system/will", status="offline", reason="x"))
        elif bench.state.live.lane.flight is not None:
            if habit == "accept":
                accept(bench)
            elif habit == "busy":
                outcome(bench, "rejected", "QUEUE_FULL")
            elif habit == "fail":
                outcome(bench, "failed", "COMMIT_FAILED")
            elif habit == "answers only":
                answer(bench, "sensor", count=1)
            elif habit == "twice":
                answer(bench, "sensor", count=1)
                answer(bench, "sensor", count=1) if bench.state.live.lane.flight is not None else None
        bench.hear(beat(uptime))
        bench.tick(10)
        uptime += 10
        in_air = [one for one in bench.out if isinstance(one, Send)]
        assert len(in_air) <= 1
    assert ItemState.PENDING not in states(bench).values()
    assert bench.state.live.lane.flight is None
    assert isinstance(bench.state.record, Record)
