"""System commands on a virtual board."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.boards import (
    ATTACHED,
    OTHER_ROM,
    ROM,
    board,
    bodies,
    configured,
    ctx,
    ds18b20,
    encoded,
    ended,
    intent,
    of,
    old_board,
    push,
    sensor,
)

from growy.sim.arduino_json import ParseFailed
from growy.sim.board import Board, RebootIn, Replies, Reply, SystemState
from growy.sim.payload_board import command_refused
from growy.sim.sensor_setup import reachable
from growy.sim.spec import ds18b20_rom
from growy.sim.system_commands import SystemCommand, execute, read, unreadable


def told(on: Board, document: object, uptime_s: float = 100.0) -> tuple[Board, Replies]:
    command = read(encoded(document))
    assert isinstance(command, SystemCommand)
    return execute(on, command, ctx(uptime_s))


def answer(on: Board, document: object, **facts: Any) -> dict[str, Any]:
    return bodies(told(on, document, **facts)[1], "system/command/response")[-1]


def test_status_tells_the_live_state():
    on = configured(state=SystemState.PENDING_APPROVAL)
    assert answer(on, {"command": "status"}) == {
        "command": "status",
        "success": True,
        "esp_id": "ESP_00A001",
        "state": 10,
        "uptime": 100,
        "heap_free": 118244,
        "wifi_rssi": -58,
        "sensor_count": 1,
        "actuator_count": 1,
        "zone_id": "house",
        "zone_assigned": True,
        "ts": ctx().ts,
        "seq": 7,
    }


def test_diagnostics_tell_more_and_the_stored_state():
    said = answer(configured(state=SystemState.PENDING_APPROVAL), {"command": "diagnostics"})
    assert {"heap_min", "chip_model", "chip_revision", "flash_size", "sdk_version", "boot_count"} <= set(said)
    assert said["wifi_mac"] == "24:6F:28:00:A0:01"
    assert said["config_status"] == {
        "wifi_configured": True,
        "zone_assigned": True,
        "system_configured": True,
        "subzone_count": 0,
        "boot_count": 0,
        "state": 0,
    }


def test_get_config_counts_and_lists_nothing():
    said = answer(configured(), {"command": "get_config"})
    assert (said["sensors"], said["actuators"]) == ([], [])
    assert (said["sensor_count"], said["actuator_count"]) == (1, 1)
    assert said["zone"] == {
        "zone_id": "house",
        "master_zone_id": "farm",
        "zone_name": "",
        "kaiser_id": "god",
        "zone_assigned": True,
    }


@pytest.mark.parametrize(
    "name", ["reboot", "STATUS", "Status", "restart", "onewire_scan", "", "factory_reset"]
)
def test_a_name_must_fit_letter_by_letter(name: str):
    taken, replies = told(board(), {"command": name})
    (said,) = bodies(replies)
    assert (said["command"], said["success"], said["error"]) == (name, False, "Unknown command")
    assert taken == board()


def test_a_missing_name_is_the_word_null():
    assert answer(board(), {"params": {}})["command"] == "null"


def test_no_reply_carries_a_correlation():
    for name in ("status", "diagnostics", "get_config", "safe_mode", "exit_safe_mode", "nonsense"):
        assert "correlation_id" not in answer(board(), {"command": name, "correlation_id": "c-1"})


def test_what_cannot_be_read_is_answered_with_a_correlation():
    failed = read(encoded({"command": "status", "filler": "x" * 256}))
    assert isinstance(failed, ParseFailed)
    _, replies = unreadable(board(), failed, intent(), ctx())
    (said,) = bodies(replies)
    assert (said["error"], said["correlation_id"]) == ("JSON_PARSE_ERROR", "c-1")
    assert said["message"] == "System command JSON parse failed: NoMemory"
    assert ended(replies) == ("failed", "JSON_PARSE_ERROR")


def test_a_refusal_names_a_state_that_is_a_constant():
    reply = command_refused(board(), "onewire/scan", "PENDING_APPROVAL_BLOCKED", "PENDING_APPROVAL", ctx())
    assert bodies((reply,)) == [
        {
            "command": "onewire/scan",
            "success": False,
            "esp_id": "ESP_00A001",
            "error": "PENDING_APPROVAL_BLOCKED",
            "reason_code": "PENDING_APPROVAL",
            "state": "CONFIG_PENDING_AFTER_RESET",
            "ts": ctx().ts,
            "seq": 7,
        }
    ]


def test_factory_reset_forgets_wifi_and_zone_and_keeps_the_rest():
    on = configured()
    taken, replies = told(on, {"command": "factory_reset", "confirm": True})
    assert bodies(replies) == [{"status": "factory_reset_initiated", "esp_id": "ESP_00A001", "seq": 7}]
    assert of(replies, RebootIn) == [RebootIn(3.0, into_portal=True)]
    assert (taken.nvs.wifi_configured, taken.nvs.zone_id, taken.nvs.kaiser_id) == (False, "", "god")
    assert taken.nvs.approved
    assert (taken.nvs.sensors, taken.nvs.actuators) == (on.nvs.sensors, on.nvs.actuators)


@pytest.mark.parametrize("confirm", [False, 1, "true", None])
def test_factory_reset_wants_the_word_true(confirm: object):
    assert answer(board(), {"command": "factory_reset", "confirm": confirm})["error"] == "Unknown command"


# --- safe mode ------------------------------------------------------------------------------------


def test_safe_mode_stops_everything():
    taken, replies = told(configured(), {"command": "safe_mode"})
    assert bodies(replies, "system/command/response")[0]["success"]
    assert taken.emergency
    assert all(output.emergency for output in taken.actuators)


@pytest.mark.parametrize(("after_s", "latched"), [(4.9, True), (5.0, False)])
def test_exit_safe_mode_claims_success_whether_or_not_it_worked(after_s: float, latched: bool):
    on, _ = told(configured(), {"command": "safe_mode"}, 100.0)
    taken, replies = told(on, {"command": "exit_safe_mode"}, 100.0 + after_s)
    assert bodies(replies, "system/command/response")[0]["success"]
    assert taken.emergency is latched


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [{"level": "debug"}, {"params": {"level": "DEBUG"}}])
def test_a_log_level_is_stored(document: dict[str, object]):
    taken, replies = told(board(), document | {"command": "set_log_level"})
    said = bodies(replies)[0]
    assert (said["success"], said["level"], said["persisted"]) == (True, "DEBUG", True)
    assert taken.nvs.log_level == "DEBUG"


def test_an_unknown_log_level_is_named():
    taken, replies = told(board(), {"command": "set_log_level", "level": "loud"})
    said = bodies(replies)[0]
    assert (said["success"], said["error"], said["requested_level"]) == (False, "Invalid log level", "LOUD")
    assert taken.nvs.log_level == "INFO"


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({"token": "t1"}, ("t1", "")),
        ({"token": "t1", "token_type": "broadcast"}, ("", "t1")),
        ({"token": "t1", "token_type": "other"}, ("t1", "")),
        ({}, ("null", "")),
        ({"token": "t" * 64}, ("t" * 64, "")),
    ],
)
def test_an_emergency_token_is_stored_and_a_missing_one_as_the_word_null(
    fields: dict[str, str], stored: tuple[str, str]
):
    taken, replies = told(board(), fields | {"command": "set_emergency_token"})
    assert bodies(replies)[0]["success"]
    assert (taken.nvs.emergency_token, taken.nvs.broadcast_token) == stored


@pytest.mark.parametrize("token", ["", "t" * 65])
def test_a_token_has_1_to_64_characters(token: str):
    taken, replies = told(board(), {"command": "set_emergency_token", "token": token})
    assert bodies(replies)[0]["error"] == "Token must be 1-64 characters"
    assert taken == board()


# --- OneWire --------------------------------------------------------------------------------------


def test_a_scan_publishes_what_it_found_below_god_and_then_answers():
    on = board(kaiser_id="other")
    taken, replies = told(on, {"command": "onewire/scan"})
    result, reply = of(replies, Reply)
    assert (result.topic_tail, result.under_god) == ("onewire/scan_result", True)
    assert bodies((result,)) == [
        {
            "devices": [{"rom_code": rom, "device_type": "ds18b20", "pin": 4} for rom in (ROM, OTHER_ROM)],
            "found_count": 2,
            "seq": 7,
        }
    ]
    assert bodies((reply,)) == [
        {"command": "onewire/scan", "status": "ok", "found_count": 2, "pin": 4, "seq": 7}
    ]
    assert taken.onewire_pin == 4


@pytest.mark.parametrize("document", [{"pin": 5}, {"params": {"pin": 5}}, {"params": {"pin": "5"}, "pin": 4}])
def test_the_pin_of_a_scan_stands_at_the_top_or_in_params(document: dict[str, object]):
    assert answer(board(), document | {"command": "onewire/scan"})["pin"] == 5


def test_a_scan_finds_ten_at_most_and_none_with_a_wrong_checksum():
    roms = tuple(ds18b20_rom(n) for n in range(12))
    broken = roms[0][:14] + ("00" if roms[0][14:] != "00" else "01")
    on = board(attached=attrs.evolve(ATTACHED, onewire={4: (broken, *roms)}))
    assert answer(on, {"command": "onewire/scan"})["found_count"] == 10


def test_scanning_another_pin_takes_the_bus_away_from_its_sensors():
    on, _ = push(board(), {"sensors": [ds18b20()]})
    assert reachable(on, on.sensors[0])
    taken, _ = told(on, {"command": "onewire/scan", "pin": 5})
    assert not reachable(taken, taken.sensors[0])


@pytest.mark.parametrize("pin", [0, 6, 12, 21, 34])
def test_a_pin_that_cannot_be_had_is_an_error_without_a_command(pin: int):
    on, _ = push(board(), {"sensors": [sensor(34)]})
    assert answer(on, {"command": "onewire/scan", "pin": pin}) == {
        "error": "Failed to initialize OneWire bus",
        "pin": pin,
        "seq": 7,
    }


def test_a_bus_that_cannot_move_stays():
    on, _ = push(board(), {"sensors": [ds18b20()]})
    taken, replies = told(on, {"command": "onewire/scan", "pin": 12})
    assert bodies(replies)[0] == {
        "error": "Failed to switch OneWire bus",
        "requested_pin": 12,
        "active_pin": 4,
        "seq": 7,
    }
    assert taken.onewire_pin == 4


# --- 2025-12 and anything -------------------------------------------------------------------------


def test_old_firmware_knows_factory_reset_alone():
    for name in ("status", "onewire/scan", "safe_mode", "nonsense"):
        assert told(old_board(), {"command": name}) == (old_board(), ())
    _, replies = told(old_board(), {"command": "factory_reset", "confirm": True})
    assert bodies(replies) == [{"status": "factory_reset_initiated", "esp_id": "ESP_00A001"}]


NAMES = st.sampled_from(
    (
        "status",
        "diagnostics",
        "get_config",
        "set_log_level",
        "set_emergency_token",
        "onewire/scan",
        "safe_mode",
    )
) | st.text(max_size=20)
EXTRA = st.dictionaries(
    st.sampled_from(("level", "token", "pin", "params", "confirm")), st.none() | st.text(max_size=9)
)


@given(NAMES, EXTRA)
def test_every_command_that_can_be_read_is_answered(name: str, extra: dict[str, object]):
    _, replies = told(board(), {"command": name} | extra)
    assert bodies(replies, "system/command/response")
