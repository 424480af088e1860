"""Who is in charge: the epochs, the timers, the two ways into the lock-out and the way out."""

from __future__ import annotations

import attrs
import pytest
from rig.machine import SPEC, Machine

from growy.sim.events import Connected, Disconnected, Received
from growy.sim.flash import ActuatorConfig, OfflineRule
from growy.sim.handover import Mode

PUMP, RELAY = 18, 19
APPROVED = attrs.evolve(SPEC.flash, approved=True)
RULE = OfflineRule(
    actuator_gpio=PUMP,
    sensor_gpio=68,
    sensor_value_type="sht31_temp",
    activate_below=50.0,
    deactivate_above=60.0,
)
WITH_RULE = attrs.evolve(APPROVED, offline_rules=(RULE,))


def at_work(nvs: object = APPROVED) -> Machine:
    machine = Machine(nvs=nvs)
    machine.register()
    return machine


def on(machine: Machine, gpio: int) -> None:
    machine.hear(f"actuator/{gpio}/command", {"command": "ON"})
    assert machine.output(gpio)


# --- the modes ------------------------------------------------------------------------------------


def test_a_short_loss_is_no_loss():
    machine = at_work()
    machine.lose()
    assert machine.state.mode is Mode.DISCONNECTED
    machine.run(20.0)
    machine.take(Connected())
    assert machine.state.mode is Mode.ONLINE
    machine.run(3.0)
    assert machine.said("system/heartbeat")[-1]["active_handover_epoch"] == 0
    machine.ack(epoch=7)
    assert machine.state.registered, "online, any epoch will do"


def test_a_long_loss_needs_the_raised_epoch_and_ends_in_adoption():
    machine = at_work()
    machine.lose()
    machine.run(31.0)
    assert machine.state.mode is Mode.OFFLINE_ACTIVE
    machine.forget()
    machine.connect()
    (announce,) = machine.said("session/announce")
    assert announce["handover_epoch"] == announce["session_epoch"] == 1
    assert announce["reason"] == "boot", "the first reconnect, too"
    assert machine.state.mode is Mode.RECONNECTING
    assert machine.said("system/heartbeat")[-1]["active_handover_epoch"] == 1

    machine.ack(epoch=2)
    assert machine.state.last_ack_refusal == "HANDOVER_EPOCH_MISMATCH"
    assert not machine.state.registered
    machine.forget()
    machine.ack(epoch=1)

    assert machine.state.registered
    assert machine.state.mode is Mode.ADOPTING
    assert machine.said(f"actuator/{PUMP}/status")
    assert machine.said(f"actuator/{RELAY}/status")
    machine.run(2.0)
    assert machine.state.mode is Mode.ONLINE
    assert machine.state.handover.completed_epoch == 1


def test_the_second_long_loss_has_the_second_epoch():
    machine = at_work()
    for epoch in (1, 2):
        machine.lose()
        machine.run(31.0)
        machine.forget()
        machine.connect()
        (announce,) = machine.said("session/announce")
        assert announce["handover_epoch"] == epoch
        assert announce["reason"] == ("boot" if epoch == 1 else "reconnect")
        machine.echo()
        machine.run(3.0)
        assert machine.state.mode is Mode.ONLINE


def test_the_burst_of_a_reconnect_is_swallowed_by_the_closed_gate():
    machine = at_work()
    machine.lose()
    machine.forget()
    before = machine.state.seq
    machine.take(Connected())
    assert not machine.said(f"actuator/{PUMP}/status")
    assert machine.state.seq > before, "but the numbers are used up"


@pytest.mark.parametrize("again", [False, True])
def test_a_loss_while_handing_over_is_counted(again: bool):
    machine = at_work()
    machine.lose()
    machine.run(31.0)
    machine.connect()
    if again:
        machine.echo()
    machine.lose()
    assert machine.state.handover.aborts == 1
    assert machine.state.mode is (Mode.DISCONNECTED if again else Mode.OFFLINE_ACTIVE)


def test_an_emergency_stop_forgets_the_epochs():
    machine = at_work()
    machine.lose()
    machine.run(31.0)
    machine.connect()
    assert machine.state.handover.active_epoch == 1
    machine.hear("actuator/emergency", {"command": "emergency_stop"})
    assert machine.state.mode is Mode.ONLINE
    assert machine.state.handover.active_epoch == 0


# --- the lock-out ---------------------------------------------------------------------------------


def test_case_a_a_device_that_booted_before_its_broker_refuses_every_ack_until_it_is_told_online():
    machine = Machine(nvs=APPROVED)
    for _ in range(5):
        machine.take(Disconnected())  # each attempt to connect that fails
        machine.run(10.0)
    assert machine.state.mode is Mode.OFFLINE_ACTIVE

    machine.connect()  # the broker is there at last; the first connection of this boot
    machine.forget()
    machine.run(60.0)
    assert len(machine.said("system/heartbeat")) == 12, "5 s apart: it does not get its answer"
    for _ in range(3):
        machine.echo()
        machine.run(30.0)
    assert not machine.state.registered
    assert machine.state.last_ack_refusal == "MISSING_ACTIVE_SESSION_EPOCH"
    assert machine.state.handover.rejects == 3

    machine.server("online")
    machine.run(5.0)
    assert machine.said("system/heartbeat")[-1]["active_handover_epoch"] == 1
    machine.echo()
    machine.run(2.0)
    assert machine.state.registered
    assert machine.state.mode is Mode.ONLINE


def test_case_b_a_server_that_was_dead_while_the_broker_lived_is_refused_until_it_says_online():
    machine = at_work()
    machine.run(151.0)
    assert machine.state.connected
    assert machine.state.mode is Mode.OFFLINE_ACTIVE
    machine.echo()
    assert machine.state.last_ack_refusal == "MISSING_ACTIVE_SESSION_EPOCH"
    assert machine.state.registered, "the gate stays open, readings go on"

    machine.server("online")
    machine.run(60.0)
    machine.echo()
    machine.run(2.0)
    assert machine.state.mode is Mode.ONLINE


def test_case_b_again_an_ack_of_the_finished_epoch_is_accepted_and_changes_nothing():
    machine = at_work()
    for _ in range(2):
        machine.run(151.0)
        assert machine.state.mode is Mode.OFFLINE_ACTIVE
        accepted, refused = machine.state.acks_accepted, machine.state.acks_refused
        machine.echo()
        machine.run(5.0)
        assert machine.state.mode is Mode.OFFLINE_ACTIVE
        machine.server("online")
        machine.echo()
        machine.run(2.0)
        assert machine.state.mode is Mode.ONLINE
    assert (machine.state.acks_accepted, machine.state.acks_refused) == (accepted + 2, refused), (
        "the second time epoch 1 is known, so it is accepted, but only the raised one leads out"
    )


# --- P1, P5 and the outputs -----------------------------------------------------------------------


def test_120_s_without_an_ack_switch_everything_to_its_default():
    machine = at_work()
    on(machine, PUMP)
    machine.run(119.0)
    assert machine.output(PUMP)
    machine.run(1.1)
    assert not machine.output(PUMP)
    assert machine.state.mode is Mode.DISCONNECTED
    assert machine.said(f"actuator/{PUMP}/status")[-1]["state"] is False, "the server may see it"


def test_an_ack_every_110_s_is_enough():
    machine = at_work()
    on(machine, PUMP)
    for _ in range(5):
        machine.run(110.0)
        machine.ack()
    assert machine.output(PUMP)
    assert machine.state.mode is Mode.ONLINE


def test_transport_loss_is_immediate_and_with_a_rule_only_for_what_it_does_not_cover():
    machine = at_work()
    on(machine, PUMP)
    machine.lose()
    assert not machine.output(PUMP)

    ruled = at_work(WITH_RULE)
    on(ruled, PUMP)
    on(ruled, RELAY)
    ruled.lose()
    assert ruled.output(PUMP)
    assert not ruled.output(RELAY)


def test_a_server_that_says_offline_leaves_uncovered_actuators_running_where_there_is_a_rule():
    machine = at_work()
    on(machine, PUMP)
    machine.server("offline", reason="graceful_shutdown")
    assert not machine.output(PUMP)
    assert machine.state.mode is Mode.DISCONNECTED
    machine.server("online")
    assert machine.state.mode is Mode.ONLINE

    ruled = at_work(WITH_RULE)
    on(ruled, RELAY)
    ruled.server("offline", reason="graceful_shutdown")
    ruled.run(31.0)
    assert ruled.output(RELAY)
    assert ruled.state.mode is Mode.OFFLINE_ACTIVE


def test_a_default_state_of_on_is_the_safe_state():
    fan = ActuatorConfig(gpio=23, actuator_type="relay", default_state=True)
    machine = at_work(attrs.evolve(APPROVED, actuators=(*APPROVED.actuators, fan)))
    machine.hear("actuator/23/command", {"command": "OFF"})
    assert not machine.output(23)
    machine.lose()
    assert machine.output(23)


def test_a_stale_offline_is_ignored_after_a_reconnect_but_not_after_a_boot():
    machine = at_work()
    machine.lose()
    machine.take(Connected())
    machine.server("offline", reason="unexpected_disconnect")
    assert machine.state.mode is Mode.ONLINE
    machine.run(15.1)
    machine.server("offline", reason="unexpected_disconnect")
    assert machine.state.mode is Mode.DISCONNECTED

    fresh = Machine(nvs=APPROVED)
    fresh.take(Connected())
    fresh.server("offline", reason="unexpected_disconnect")
    assert fresh.state.mode is Mode.DISCONNECTED


@pytest.mark.parametrize("body", [b"", b"offline", b'{"status":1}', b'{"status":"' + b"x" * 300 + b'"}'])
def test_a_server_status_that_cannot_be_read_changes_nothing(body: bytes):
    machine = at_work()
    before = machine.state
    machine.take(Received("kaiser/god/server/status", body))
    assert machine.state == before


def test_rules_rule_from_the_grace_on_every_5_s_after_three_values():
    machine = at_work(WITH_RULE)
    machine.lose()
    machine.run(30.0)
    assert not machine.output(PUMP)
    machine.run(11.0)
    assert not machine.output(PUMP), "two evaluations"
    machine.run(5.0)
    assert machine.output(PUMP), "the house is colder than 50 °C"
    machine.connect()
    machine.echo()
    machine.run(3.0)
    assert machine.output(PUMP), "adoption touches nothing"
    assert machine.state.mode is Mode.ONLINE


def test_a_command_while_rules_rule_takes_the_actuator_from_its_rule():
    machine = at_work(WITH_RULE)
    machine.run(121.0)
    machine.run(60.0)
    assert machine.state.mode is Mode.OFFLINE_ACTIVE
    assert machine.output(PUMP)
    machine.hear(f"actuator/{PUMP}/command", {"command": "OFF"})
    machine.run(60.0)
    assert not machine.output(PUMP)


# --- approval -------------------------------------------------------------------------------------


def test_approval_stays_in_the_flash_until_it_is_taken_back():
    machine = Machine()
    machine.register("approved")
    machine.reset()
    assert machine.system_state.name == "OPERATIONAL"
    machine.register("pending_approval")
    assert machine.system_state.name == "PENDING_APPROVAL"
    assert not machine.board.nvs.approved
    machine.reset()
    assert machine.system_state.name == "PENDING_APPROVAL"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, "HEARTBEAT_REJECTED"),
        ({"upstream_deleted": True}, "UPSTREAM_DELETE_REVOKED"),
        ({"reason_code": "device_deleted"}, "UPSTREAM_DELETE_REVOKED"),
    ],
)
def test_a_rejected_device_says_so_and_stands_in_error_until_it_is_approved(more: dict, code: str):
    machine = at_work()
    machine.ack("rejected", **more)
    assert machine.outcomes() == [("rejected", code)]
    assert machine.said("system/intent_outcome")[0]["flow"] == "heartbeat"
    assert machine.system_state.name == "ERROR"
    assert machine.board.nvs.system_state.name == "ERROR"
    machine.hear(f"actuator/{PUMP}/command", {"command": "ON"})
    assert machine.outcomes()[-1] == ("rejected", "DEGRADED_MODE_BLOCKED")
    machine.ack("approved")
    assert machine.system_state.name == "OPERATIONAL"


@pytest.mark.parametrize("status", ["offline", "error", "whatever"])
def test_other_words_change_nothing(status: str):
    machine = at_work()
    machine.ack(status)
    assert machine.system_state.name == "OPERATIONAL"
    assert machine.board.nvs.approved


# --- the portal -----------------------------------------------------------------------------------


def test_half_a_minute_without_wifi_opens_the_portal_until_the_next_ack():
    machine = at_work()
    machine.lose(wifi_lost=True)
    machine.run(29.0)
    assert machine.system_state.name == "OPERATIONAL"
    machine.run(1.1)
    assert machine.system_state.name == "SAFE_MODE_PROVISIONING"
    machine.connect()
    machine.forget()
    machine.hear(f"actuator/{PUMP}/command", {"command": "ON"})
    beat = machine.run(5.0) and machine.said("system/heartbeat")[-1]
    assert beat["config_status"]["state"] == 13
    assert beat["runtime_state_degraded"] is True
    machine.echo()
    assert machine.system_state.name == "OPERATIONAL"


def test_a_broker_that_is_away_opens_it_only_after_more_than_five_minutes():
    machine = at_work()
    for _ in range(30):
        machine.lose()
        machine.run(10.0)
    assert machine.system_state.name == "OPERATIONAL"
    machine.run(60.0)
    assert machine.system_state.name == "SAFE_MODE_PROVISIONING"


def test_a_device_that_waits_for_approval_opens_none():
    machine = Machine()
    machine.register("pending_approval")
    machine.lose(wifi_lost=True)
    machine.run(60.0)
    assert machine.system_state.name == "PENDING_APPROVAL"


def test_a_short_loss_of_wifi_opens_none():
    machine = at_work()
    machine.lose(wifi_lost=True)
    machine.run(20.0)
    machine.connect()
    machine.run(60.0)
    assert machine.system_state.name == "OPERATIONAL"
