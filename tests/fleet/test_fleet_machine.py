"""The machine of one device: answered first, judged by our own clock, never demoted by a database that was lost."""

from __future__ import annotations

import msgspec
import pytest
from fleet_rig import ESP, Bench, beat, said
from hypothesis import given, settings
from hypothesis import strategies as st

from growy.fleet.device import DeviceStatus, Standing
from growy.fleet.effects import (
    Acknowledge,
    ClearWill,
    Decided,
    Effect,
    LinkBack,
    LinkLost,
    Measured,
    Note,
    SayOnline,
    Tell,
)
from growy.fleet.machine import COOLDOWN_MS, KEEP_COMPANY_S, OFFLINE_AFTER_S
from growy.model.messages import Will


def approved(bench: Bench | None = None) -> Bench:
    bench = bench or Bench()
    bench.take(Decided(Standing.APPROVED, "tester"))
    return bench


def will(**fields: object) -> Will:
    message = said("system/will", status="offline", reason="unexpected_disconnect", timestamp=0)
    assert isinstance(message, Will)
    return msgspec.structs.replace(message, **fields)


# --- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("standing", "word"),
    [
        (None, "pending_approval"),
        (Standing.APPROVED, "approved"),
        (Standing.REJECTED, "rejected"),
        (Standing.DELETED, "pending_approval"),
    ],
)
def test_every_heartbeat_is_answered_first_whatever_the_device_is(
    standing: Standing | None, word: str
) -> None:
    bench = Bench()
    if standing is not None:
        bench.take(Decided(standing, "tester"))
    effects = bench.hear(beat(active_handover_epoch=7))
    assert effects[0] == Acknowledge(word, 7)


def test_a_heartbeat_that_cannot_be_read_is_answered_with_the_epoch_known_last() -> None:
    bench = approved()
    bench.hear(beat(active_handover_epoch=4))
    assert bench.hear(None)[0] == Acknowledge("approved", 4)


def test_a_device_that_was_configured_before_growyd_knew_it_is_flagged_and_not_demoted() -> None:
    bench = Bench()
    effects = bench.hear(beat(sensor_count=3, actuator_count=1))
    assert effects[0] == Acknowledge("unchanged", 0)
    assert bench.state.status is DeviceStatus.PENDING_APPROVAL
    assert bench.state.record.configured_before


def test_a_device_whose_approval_was_taken_back_is_told_so_although_it_is_configured() -> None:
    bench = approved()
    bench.hear(beat(sensor_count=3))
    assert Acknowledge("pending_approval", 0) in bench.take(Decided(Standing.PENDING, "tester"))
    bench.now += 60
    assert bench.hear(beat(121, sensor_count=3))[0] == Acknowledge("pending_approval", 0)


def test_company_is_kept_every_half_minute_with_the_epoch_the_device_reported() -> None:
    bench = approved()
    bench.hear(beat(active_handover_epoch=3))
    assert not [one for one in bench.tick(KEEP_COMPANY_S - 1) if isinstance(one, Acknowledge)]
    assert bench.tick(1) == [Acknowledge("approved", 3)]
    assert bench.tick(KEEP_COMPANY_S) == [Acknowledge("approved", 3)]


def test_a_rejected_device_is_not_told_so_again_and_again() -> None:
    bench = Bench()
    bench.hear(beat())
    bench.take(Decided(Standing.REJECTED, "tester", "not ours"))
    assert bench.tick(KEEP_COMPANY_S) == []


# --- life cycle ------------------------------------------------------------------------------------


def test_the_life_of_a_device() -> None:
    bench = Bench()
    assert bench.state.status is DeviceStatus.PENDING_APPROVAL
    bench.hear(beat())
    approved(bench)
    assert bench.state.status is DeviceStatus.APPROVED
    bench.now += 60
    bench.hear(beat(121))
    assert bench.state.status is DeviceStatus.ONLINE
    bench.hear(will())
    assert bench.state.status is DeviceStatus.OFFLINE
    bench.hear(beat(130))
    assert bench.state.status is DeviceStatus.ONLINE
    bench.take(Decided(Standing.DELETED, "tester"))
    assert bench.state.status is DeviceStatus.DELETED


def test_who_decided_stands_in_the_audit_trail() -> None:
    bench = Bench()
    bench.take(Decided(Standing.REJECTED, "anna", "not ours"))
    assert [one.entry.details for one in bench.of(Note)] == [{"by": "anna", "reason": "not ours"}]


def test_a_device_in_its_error_state_is_shown_so() -> None:
    bench = approved()
    bench.hear(beat(config_status={"state": 14}))
    assert bench.state.status is DeviceStatus.ERROR


@pytest.mark.parametrize("standing", [Standing.REJECTED, Standing.DELETED])
def test_a_rejected_or_deleted_device_comes_back_as_pending_after_its_cool_down(standing: Standing) -> None:
    bench = Bench()
    bench.hear(beat())
    bench.take(Decided(standing, "tester", "why"))
    bench.now += COOLDOWN_MS / 1000 - 1
    bench.hear(beat(400))
    assert bench.state.record.standing is standing
    bench.now += 1
    effects = bench.hear(beat(401))
    assert effects[0] == Acknowledge("pending_approval", 0)
    assert "device_rediscovered" in [one.event for one in bench.of(Tell)]
    assert bench.state.status is DeviceStatus.PENDING_APPROVAL


def test_a_deleted_device_does_not_come_back_with_what_was_set_up_on_it() -> None:
    bench = approved()
    bench.state = bench.state.recording(
        msgspec.structs.replace(bench.state.record, name="Old", emergency_token="t")
    )
    bench.take(Decided(Standing.DELETED, "tester"))
    bench.now += COOLDOWN_MS / 1000
    bench.hear(beat())
    assert bench.state.record.name == ""
    assert bench.state.record.emergency_token == ""


# --- presence --------------------------------------------------------------------------------------


def test_silence_ends_in_offline_and_one_lost_heartbeat_does_not() -> None:
    bench = approved()
    bench.hear(beat())
    bench.tick(OFFLINE_AFTER_S)
    assert bench.state.live.online
    bench.tick(1)
    assert not bench.state.live.online
    assert [one.data["source"] for one in bench.of(Tell)] == ["heartbeat_timeout"]


def test_a_kept_will_is_old_news_and_is_taken_back_when_the_device_is_here() -> None:
    bench = approved()
    bench.hear(beat())
    assert bench.hear(will(retained=True))[0] == ClearWill()
    assert bench.state.live.online


def test_a_will_that_is_kept_while_the_device_is_away_is_taken_back_with_its_first_word() -> None:
    bench = approved()
    bench.hear(beat())
    bench.hear(will())
    assert not bench.state.live.online
    bench.now += 30
    assert ClearWill() in bench.hear(beat(95))
    assert ClearWill() not in bench.hear(beat(96))


def test_losses_in_a_row_are_flapping() -> None:
    bench = approved()
    for number in range(3):
        bench.hear(beat(60 + number))
        bench.now += 20
        bench.hear(will())
        bench.now += 20
    assert bench.state.flapping(bench.now)
    assert [note.entry.error_code for note in bench.of(Note)] == ["flapping"]
    bench.now += 400
    assert not bench.state.flapping(bench.now)


def test_readings_are_a_sign_of_life() -> None:
    bench = approved()
    bench.take(Measured())
    assert bench.state.status is DeviceStatus.ONLINE


def test_after_our_own_absence_devices_are_answered_at_once() -> None:
    bench = approved()
    bench.hear(beat(active_handover_epoch=2))
    bench.take(LinkLost())
    assert bench.take(LinkBack()) == [Acknowledge("approved", 2)]


# --- reboots ---------------------------------------------------------------------------------------


def test_a_reboot_is_seen_by_the_uptime() -> None:
    bench = approved()
    bench.hear(beat(5000))
    bench.now += 60
    bench.hear(beat(12, reset_reason="BROWNOUT"))
    assert bench.state.record.boots == 2
    assert [(one.entry.event_type, one.entry.severity) for one in bench.of(Note)] == [
        ("device_rebooted", "warning")
    ]


def test_a_reboot_during_a_long_absence_is_seen_although_the_uptime_has_grown() -> None:
    bench = approved()
    bench.hear(beat(100))
    bench.now += 3600
    bench.hear(beat(1200))
    assert bench.state.record.boots == 2


def test_a_reboot_right_after_a_reboot_is_seen_by_its_boot_id() -> None:
    bench = approved()
    bench.hear(beat(2, boot_sequence_id="x-b1-r1"))
    bench.now += 8
    bench.hear(beat(2, boot_sequence_id="x-b2-r3"))
    assert bench.state.record.boots == 2


def test_a_late_heartbeat_and_a_drifting_clock_are_no_reboot() -> None:
    bench = approved()
    uptime = 100
    for _ in range(50):
        bench.hear(beat(uptime))
        bench.now += 60.0
        uptime += 59
    assert bench.state.record.boots == 1


def test_after_a_restart_of_growyd_the_start_of_the_devices_clock_tells_a_reboot() -> None:
    bench = approved()
    bench.hear(beat(100, segment_start_ts=1_790_000_000))
    again = Bench(state=bench.state.living(Bench().state.live), now=0.0)
    again.hear(beat(900, segment_start_ts=1_790_000_000))
    assert again.state.record.boots == 1
    once_more = Bench(state=bench.state.living(Bench().state.live), now=0.0)
    once_more.hear(beat(900, segment_start_ts=1_790_005_000))
    assert once_more.state.record.boots == 2


# --- sessions --------------------------------------------------------------------------------------


def test_a_device_that_does_not_hear_our_answers_makes_us_say_online_again() -> None:
    bench = approved()
    bench.hear(said("session/announce", handover_epoch=1, reason="boot", ts_ms=5))
    bench.hear(beat(60))
    bench.now += 0.3
    bench.hear(beat(60))
    assert bench.of(SayOnline) == []
    bench.now += 5
    bench.hear(beat(65))
    assert bench.of(SayOnline) == []
    bench.now += 5
    bench.hear(beat(70))
    assert bench.of(SayOnline) == [SayOnline()]
    assert bench.state.live.ready_at > bench.now + 5


def test_a_device_is_ready_three_seconds_after_the_first_heartbeat_of_its_session() -> None:
    bench = approved()
    bench.hear(beat(60))
    assert bench.state.live.ready_at == 3.0
    bench.now = 100.0
    bench.hear(said("session/announce", handover_epoch=2, reason="reconnect", ts_ms=5))
    assert bench.state.live.ready_at > 1e9
    bench.hear(beat(160))
    assert bench.state.live.ready_at == 103.0


# --- reports ---------------------------------------------------------------------------------------


def test_an_error_is_told_and_noted() -> None:
    bench = approved()
    bench.hear(
        said("system/error", error_code=1060, severity=2, category="HARDWARE", message="DS18B20 fault")
    )
    assert [one.event for one in bench.of(Tell) if one.event != "esp_health"] == ["error_event"]
    entry = bench.of(Note)[-1].entry
    assert (entry.event_type, entry.severity, entry.error_code, entry.source_id) == (
        "device_error",
        "error",
        "1060",
        ESP,
    )


@pytest.mark.parametrize("severity", [None, 0, 9, "fatal", "critical"])
def test_a_severity_that_nobody_knows_is_an_error(severity: object) -> None:
    bench = approved()
    bench.hear(said("system/error", error_code="X", severity=severity, message="m"))
    assert bench.of(Note)[-1].entry.severity == ("critical" if severity == "critical" else "error")


def test_an_alert_that_qos_1_brings_twice_is_told_once() -> None:
    bench = approved()
    alert = said(
        "actuator/18/alert", gpio=18, alert_type="emergency_stop", message="Actuator stopped", seq=90
    )
    bench.hear(alert)
    assert "actuator_alert" in [one.event for one in bench.of(Tell)]
    bench.hear(alert)
    assert bench.of(Tell) == []


def test_traces_of_commands_are_nobodys_business() -> None:
    bench = approved()
    bench.hear(beat())
    assert (
        bench.hear(said("system/intent_outcome/lifecycle", event_type="intent_chain_stage", stage="x", seq=3))
        == []
    )


def test_a_refused_intent_is_noted_and_an_accepted_one_is_not() -> None:
    bench = approved()
    bench.hear(beat())
    bench.hear(
        said("system/intent_outcome", intent_id="a", outcome="accepted", flow="command", code="", seq=1)
    )
    assert bench.of(Note) == []
    bench.hear(said("system/intent_outcome", intent_id="a", outcome="rejected", code="QUEUE_FULL", seq=2))
    assert [one.entry.error_code for one in bench.of(Note)] == ["QUEUE_FULL"]


# --- whatever comes --------------------------------------------------------------------------------

MESSAGES = st.sampled_from(
    [
        None,
        beat(5),
        beat(5000, active_handover_epoch=3, sensor_count=2),
        beat(70, zone_id="z", generation="?"),
        will(),
        will(retained=True),
        said("session/announce", handover_epoch=2, reason="reconnect", ts_ms=5),
        said("config_response", status="success", type="sensor", count=1, correlation_id="g"),
        said("zone/ack", status="error", reason_code="CONFIG_LANE_BUSY"),
        said("subzone/ack", status="subzone_assigned", subzone_id="a"),
        said("system/diagnostics", uptime_seconds=5, system_state="CONFIG_PENDING_AFTER_RESET"),
        said("system/heartbeat_metrics", handover_contract_reject_count=4),
        said("system/queue_pressure", event="entered_pressure", fill_level=6),
    ]
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 400.0),
            MESSAGES
            | st.sampled_from(list(Standing)).map(lambda standing: Decided(standing, "x"))
            | st.sampled_from([Measured(), LinkLost(), LinkBack(), "tick"]),
        ),
        max_size=40,
    )
)
def test_no_order_of_events_breaks_it_and_every_heartbeat_is_answered(
    script: list[tuple[float, object]],
) -> None:
    bench = Bench()
    for pause, event in script:
        bench.now += pause
        if event == "tick":
            bench.tick()
        elif isinstance(event, Decided | Measured | LinkLost | LinkBack):
            bench.take(event)
        else:
            effects: list[Effect] = bench.hear(event)  # type: ignore[arg-type]
            if event is None or type(event).__name__ == "Heartbeat":
                assert isinstance(effects[0], Acknowledge)
    assert bench.state.record.boots >= 0
