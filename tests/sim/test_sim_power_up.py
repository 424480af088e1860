"""A virtual board comes up from its flash."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from rig.boards import (
    ATTACHED,
    OTHER_ROM,
    ROM,
    actuator,
    board,
    bodies,
    configured,
    ctx,
    ds18b20,
    of,
    push,
    sensor,
    sht31,
)

from growy.sim.board import Attached, Board, Generation, Lifecycle, Replies, SystemState
from growy.sim.emergency import stop_all
from growy.sim.power_up import powered


def rebooted(on: Board, attached: Attached = ATTACHED, **changes: Any) -> tuple[Board, Replies]:
    nvs = attrs.evolve(on.nvs, **changes)
    return powered(on.esp_id, nvs, attached, ctx(1.0, ts=0), generation=on.generation)


def test_a_configured_board_goes_back_to_work():
    rule = {"actuator_gpio": 18, "sensor_gpio": 68, "sensor_value_type": "sht31_temp"}
    on = configured(actuator(default_state=True), rules=[rule])
    up, _ = rebooted(on)
    assert up.state is SystemState.OPERATIONAL
    assert (up.sensors, up.rules) == (on.sensors, on.rules)
    assert up.nvs == on.nvs
    assert up.actuators[0].on


def test_ram_is_forgotten_and_with_it_the_emergency():
    on, _ = stop_all(configured(), ctx())
    up, _ = rebooted(on)
    assert not up.emergency
    assert not up.actuators[0].emergency
    assert up.safety_epoch == 0


def test_only_ten_sensors_come_back():
    on = board()
    for label in range(60, 75):
        on, _ = push(on, {"sensors": [sht31(label)]})
    up, _ = rebooted(on)
    assert len(up.sensors) == 10
    assert len(up.nvs.sensors) == 15


def test_a_ds18b20_that_does_not_answer_stays_away():
    on, _ = push(board(), {"sensors": [ds18b20(), ds18b20(OTHER_ROM)]})
    up, _ = rebooted(on, Attached(onewire={4: (OTHER_ROM,)}))
    assert [s.onewire_address for s in up.sensors] == [OTHER_ROM]


def test_the_alias_of_a_ds18b20_loses_its_rom_code():
    on, _ = push(board(), {"sensors": [sensor(4, "temperature_ds18b20", onewire_address=ROM)]})
    assert len(on.sensors) == 1
    up, _ = rebooted(on)
    assert up.sensors == ()


def test_an_address_that_was_never_pushed_is_the_default_again_and_doubles_the_flash():
    on, _ = push(board(), {"sensors": [sensor(68, "sht31")]})
    up, _ = rebooted(on)
    assert [s.i2c_address for s in up.sensors] == [0x44]
    again, _ = rebooted(up)
    assert [s.i2c_address for s in again.nvs.sensors] == [0, 0x44]
    assert [s.i2c_address for s in again.sensors] == [0x44]


def test_a_soft_change_works_after_the_reboot():
    on, _ = push(configured(), {"actuators": [actuator(default_state=True, actuator_name="Vent")]})
    up, _ = rebooted(on)
    assert (up.actuators[0].on, up.actuators[0].config.actuator_name) == (True, "Vent")


def test_max_runtime_is_forgotten():
    up, _ = rebooted(configured(actuator(max_runtime_ms=5000)))
    assert up.actuators[0].config.max_runtime_ms == 3_600_000


def test_an_inverted_relay_draws_current_at_boot():
    up, _ = rebooted(configured(actuator(inverted_logic=True)))
    assert (up.actuators[0].on, up.actuators[0].energised) == (False, True)


@pytest.mark.parametrize(
    ("pushed", "approved", "state"),
    [
        ({}, True, SystemState.OPERATIONAL),
        ({}, False, SystemState.PENDING_APPROVAL),
        ({"sensors": [sht31()]}, True, SystemState.CONFIG_PENDING_AFTER_RESET),
        ({"actuators": [actuator()]}, True, SystemState.CONFIG_PENDING_AFTER_RESET),
        ({"sensors": [sht31()], "actuators": [actuator()]}, False, SystemState.PENDING_APPROVAL),
        ({"offline_rules": [{}]}, True, SystemState.OPERATIONAL),
    ],
)
def test_the_state_after_a_boot_depends_on_what_is_configured_and_approved(
    pushed: dict[str, Any], approved: bool, state: SystemState
):
    up, replies = rebooted(push(board(), pushed)[0], approved=approved)
    assert up.state is state
    events = [json.loads(event.reply.body(5)) for event in of(replies, Lifecycle)]
    assert [event["event_type"] for event in events] == (
        ["entered_config_pending"] if state is SystemState.CONFIG_PENDING_AFTER_RESET else []
    )


def test_the_event_says_what_is_missing():
    up, replies = rebooted(push(board(), {"sensors": [sht31()]})[0])
    (event,) = of(replies, Lifecycle)
    assert json.loads(event.reply.body(5)) == {
        "seq": 5,
        "event_type": "entered_config_pending",
        "reason_code": "CONFIG_PENDING_AFTER_RESET",
        "trigger_source": "boot_runtime_partial",
        "esp_id": "ESP_00A001",
        "state_before": "OPERATIONAL",
        "state_after": "CONFIG_PENDING_AFTER_RESET",
        "sensor_count": 1,
        "actuator_count": 0,
        "offline_rule_count": 0,
        "runtime_profile": "sensor_required",
        "readiness_decision": "MISSING_ACTUATORS",
        "config_pending_enter_count": 1,
        "config_pending_exit_count": 0,
        "config_pending_exit_blocked_count": 0,
        "ts": 0,
        "boot_sequence_id": "ESP_00A001-b1-r1",
        "schema": "config_pending_lifecycle_v1",
    }
    assert up.pending_enters == 1


def test_a_board_that_forgot_its_wifi_opens_a_portal():
    assert rebooted(configured(), wifi_configured=False)[0].state is SystemState.SAFE_MODE_PROVISIONING


def test_the_prefix_in_flash_is_the_one_in_use():
    assert rebooted(configured(), kaiser_id="null")[0].kaiser_id == "null"


def test_old_firmware_does_not_load_its_actuators():
    on = configured()
    up, replies = powered(on.esp_id, on.nvs, ATTACHED, ctx(1.0), generation=Generation.DEC_2025)
    assert up.actuators == ()
    assert up.state is SystemState.OPERATIONAL
    assert bodies(replies) == []
