"""Zones and subzones on a virtual board."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.boards import board, bodies, configured, ctx, encoded, ended, intent, of, old_board

from growy.sim.board import Board, ForceHeartbeat, KaiserChanged, Outcome, Replies, StateChange, SystemState
from growy.sim.zones import assign_subzone, assign_zone, remove_subzone, switch_safe_mode

Handler = Callable[..., tuple[Board, Replies]]
ZONE = {
    "zone_id": "z1",
    "master_zone_id": "farm",
    "zone_name": "Z 1",
    "kaiser_id": "god",
    "correlation_id": "z-1",
}


def told(handler: Handler, on: Board, document: object, **facts: Any) -> tuple[Board, Replies]:
    return handler(on, encoded(document), intent(), ctx(**facts))


def subzone(name: str = "bench", gpios: Any = (4, 18), **fields: Any) -> dict[str, Any]:
    return {
        "subzone_id": name,
        "subzone_name": name.title(),
        "parent_zone_id": "house",
        "assigned_gpios": list(gpios) if isinstance(gpios, tuple) else gpios,
        "safe_mode_active": False,
        "correlation_id": "s-1",
        **fields,
    }


# --- zones ----------------------------------------------------------------------------------------


def test_a_zone_is_stored_acknowledged_and_told_by_a_heartbeat():
    taken, replies = told(assign_zone, board(), ZONE)
    assert bodies(replies, "zone/ack") == [
        {
            "esp_id": "ESP_00A001",
            "status": "zone_assigned",
            "zone_id": "z1",
            "master_zone_id": "farm",
            "ts": ctx().ts,
            "seq": 7,
            "correlation_id": "z-1",
        }
    ]
    assert (taken.nvs.zone_id, taken.nvs.zone_name) == ("z1", "Z 1")
    assert replies[-1] == ForceHeartbeat()


@pytest.mark.parametrize(
    "state", [SystemState.CONFIG_PENDING_AFTER_RESET, SystemState.PENDING_APPROVAL, SystemState.ERROR]
)
def test_a_zone_frees_a_device_from_whatever_it_waited_for(state: SystemState):
    taken, replies = told(assign_zone, board(state=state), ZONE)
    assert taken.state is taken.nvs.system_state is SystemState.ZONE_CONFIGURED
    assert StateChange(state, SystemState.ZONE_CONFIGURED) in replies


def test_a_missing_field_is_stored_as_the_word_null_and_the_device_is_lost():
    taken, replies = told(assign_zone, board(), {"zone_id": "z1", "zone_name": None})
    assert (taken.nvs.master_zone_id, taken.nvs.zone_name, taken.kaiser_id) == ("null", "null", "null")
    assert KaiserChanged("god") in replies


def test_an_ack_without_a_correlation_has_one_of_the_devices_own():
    _, replies = told(assign_zone, board(), {k: v for k, v in ZONE.items() if k != "correlation_id"})
    assert bodies(replies)[0]["correlation_id"] == "fw_ESP_00A001_100000_1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"zone_id": "z" * 33},
        {"zone_id": "haus eins"},
        {"zone_id": "häus"},
        {"master_zone_id": "m" * 33},
        {"zone_name": "n" * 65},
        {"kaiser_id": "k" * 64},
    ],
)
def test_a_zone_that_breaks_a_limit_is_refused(wrong: dict[str, str]):
    taken, replies = told(assign_zone, board(), ZONE | wrong)
    (ack,) = bodies(replies)
    assert (ack["status"], ack["message"], ack["correlation_id"]) == (
        "error",
        "Zone validation failed",
        "z-1",
    )
    assert taken == board()


def test_removing_a_zone_takes_eight_subzones_along_and_asks_for_approval_again():
    on = board()
    for number in range(9):
        on, _ = told(assign_subzone, on, subzone(f"s{number}", ()))
    taken, replies = told(assign_zone, on, ZONE | {"zone_id": ""})
    assert bodies(replies, "zone/ack")[0]["status"] == "zone_removed"
    assert [s.subzone_id for s in taken.nvs.subzones] == ["s8"]
    assert taken.nvs.zone_id == ""
    assert taken.state is taken.nvs.system_state is SystemState.PENDING_APPROVAL
    assert ForceHeartbeat() in replies


def test_removing_a_zone_with_another_kaiser_loses_the_device_only_at_the_next_boot():
    taken, replies = told(assign_zone, board(), {"zone_id": ""})
    assert (taken.kaiser_id, taken.nvs.kaiser_id) == ("god", "null")
    assert of(replies, KaiserChanged) == []


def test_a_busy_lane_refuses_and_asks_to_come_back():
    taken, replies = told(assign_zone, board(), ZONE, lane_busy=True)
    assert bodies(replies)[0]["reason_code"] == "CONFIG_LANE_BUSY"
    assert ended(replies) == ("failed", "CONFIG_LANE_BUSY")
    assert of(replies, Outcome)[-1].retryable
    assert taken == board()


@pytest.mark.parametrize("payload", [b"{", encoded(ZONE | {"extra": "x" * 512})])
def test_a_zone_that_cannot_be_read_or_is_too_large_is_refused(payload: bytes):
    _, replies = told(assign_zone, board(), payload)
    assert bodies(replies)[0]["reason_code"] == "JSON_PARSE_ERROR"
    assert ended(replies) == ("failed", "JSON_PARSE_ERROR")


# --- subzones -------------------------------------------------------------------------------------


def test_a_subzone_is_stored_with_its_pins():
    taken, replies = told(assign_subzone, configured(), subzone())
    assert bodies(replies, "subzone/ack") == [
        {
            "esp_id": "ESP_00A001",
            "status": "subzone_assigned",
            "subzone_id": "bench",
            "timestamp": ctx().ts,
            "seq": 7,
            "correlation_id": "s-1",
        }
    ]
    assert taken.nvs.subzones[0].gpios == (4, 18)
    assert taken.subzone_pins == {"bench": (4, 18)}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"subzone_id": ""}, "subzone_id is required"),
        ({"parent_zone_id": "other"}, "parent_zone_id mismatch"),
        ({"parent_zone_id": None}, "parent_zone_id mismatch"),
        ({"subzone_id": "s" * 33}, "subzone config validation failed"),
        ({"assigned_gpios": [68]}, "subzone config validation failed"),
        ({"assigned_gpios": [6]}, "subzone config validation failed"),
        ({"assigned_gpios": [0]}, "GPIO assignment failed"),
        ({"assigned_gpios": [12]}, "GPIO assignment failed"),
    ],
)
def test_a_subzone_that_will_not_do_is_refused_with_one_code_for_everything(
    wrong: dict[str, object], message: str
):
    taken, replies = told(assign_subzone, board(), subzone() | wrong)
    (ack,) = bodies(replies)
    assert (ack["status"], ack["error_code"], ack["message"]) == ("error", 2506, message)
    assert taken.nvs.subzones == ()


def test_a_subzone_needs_a_zone():
    on = attrs.evolve(board(), nvs=attrs.evolve(board().nvs, zone_id=""))
    _, replies = told(assign_subzone, on, subzone(parent_zone_id=""))
    assert bodies(replies)[0]["message"] == "ESP zone not assigned"


def test_a_pin_belongs_to_one_subzone():
    on, _ = told(assign_subzone, board(), subzone("a", (4,)))
    taken, replies = told(assign_subzone, on, subzone("b", (4, 5)))
    assert bodies(replies)[0]["message"] == "GPIO assignment failed"
    assert [s.subzone_id for s in taken.nvs.subzones] == ["a"]


def test_a_refused_assignment_takes_pins_from_others():
    on, _ = told(assign_subzone, board(), subzone("a", (4,)))
    on, _ = told(assign_subzone, on, subzone("b", (5,)))
    taken, _ = told(assign_subzone, on, subzone("c", (4, 5)))
    assert taken.subzone_pins == {"a": (4,)}


def test_a_pin_left_out_of_a_new_assignment_stays_taken_until_a_reboot():
    on, _ = told(assign_subzone, board(), subzone("a", (4, 5)))
    on, _ = told(assign_subzone, on, subzone("a", (4,)))
    assert on.nvs.subzones[0].gpios == (4,)
    _, replies = told(assign_subzone, on, subzone("b", (5,)))
    assert bodies(replies)[0]["status"] == "error"


def test_safe_mode_is_the_default_and_spares_actuators():
    pushed = subzone(gpios=(4, 18))
    del pushed["safe_mode_active"]
    taken, _ = told(assign_subzone, configured(), pushed)
    assert taken.safe_gpios == {4}


def test_removing_a_subzone_frees_its_pins():
    on, _ = told(assign_subzone, board(), subzone())
    taken, replies = told(remove_subzone, on, {"subzone_id": "bench", "correlation_id": "s-2"})
    ack = bodies(replies)[0]
    assert (ack["status"], ack["correlation_id"]) == ("subzone_removed", "s-2")
    assert taken.nvs.subzones == ()
    assert taken.subzone_pins == {}


@pytest.mark.parametrize("handler", [remove_subzone, switch_safe_mode])
@pytest.mark.parametrize(
    ("document", "reason_code", "named"),
    [
        ({"subzone_id": ""}, "VALIDATION_ERROR", "unknown"),
        ({"subzone_id": "none"}, "SUBZONE_NOT_FOUND", "none"),
        ({}, "SUBZONE_NOT_FOUND", "null"),
        (b"[", "JSON_PARSE_ERROR", "unknown"),
    ],
)
def test_a_subzone_that_is_not_there_is_refused(
    handler: Handler, document: object, reason_code: str, named: str
):
    _, replies = told(handler, board(), document)
    ack = bodies(replies)[0]
    assert (ack["status"], ack["reason_code"], ack["subzone_id"]) == ("error", reason_code, named)


@pytest.mark.parametrize(
    ("handler", "flow"),
    [
        (assign_subzone, "subzone_assign"),
        (remove_subzone, "subzone_remove"),
        (switch_safe_mode, "subzone_safe"),
    ],
)
def test_a_busy_lane_refuses_subzones_too(handler: Handler, flow: str):
    _, replies = told(handler, board(), subzone(), lane_busy=True)
    assert bodies(replies)[0]["reason_code"] == "CONFIG_LANE_BUSY"
    assert of(replies, Outcome)[-1].flow == flow


@pytest.mark.parametrize("pool", [(assign_subzone, 1_024), (remove_subzone, 256), (switch_safe_mode, 512)])
def test_each_lane_has_its_pool(pool: tuple[Handler, int]):
    handler, size = pool
    _, replies = told(handler, board(), {"subzone_id": "bench", "filler": "x" * size})
    assert bodies(replies)[0]["message"] == "JSON parse failed: NoMemory"


@pytest.mark.parametrize(
    ("document", "safe"),
    [
        ({"action": "enable"}, True),
        ({"safe_mode": True}, True),
        ({"action": "enable", "safe_mode": False}, True),
        ({"action": "disable"}, False),
        ({"safe_mode": False}, False),
        ({}, False),
    ],
)
def test_safe_mode_is_switched_in_silence(document: dict[str, object], safe: bool):
    on, _ = told(assign_subzone, board(), subzone(safe_mode_active=not safe))
    taken, replies = told(switch_safe_mode, on, document | {"subzone_id": "bench"})
    assert replies == ()
    assert taken.nvs.subzones[0].safe_mode_active is safe
    assert taken.safe_gpios == ({4, 18} if safe else set())


# --- 2025-12 --------------------------------------------------------------------------------------


def test_old_firmware_acknowledges_without_number_or_correlation_and_in_uptime():
    _, replies = told(assign_zone, old_board(), ZONE)
    assert set(bodies(replies, "zone/ack")[0]) == {"esp_id", "status", "zone_id", "master_zone_id", "ts"}
    on, replies = told(assign_subzone, old_board(), subzone())
    ack = bodies(replies)[0]
    assert "seq" not in ack
    assert ack["timestamp"] == 100
    _, replies = told(remove_subzone, on, {"subzone_id": "bench"})
    assert replies == ()


# --- anything -------------------------------------------------------------------------------------

FIELDS = st.dictionaries(
    st.sampled_from(
        ("zone_id", "kaiser_id", "subzone_id", "parent_zone_id", "assigned_gpios", "action", "safe_mode")
    ),
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=40)
    | st.lists(st.integers(-1, 300) | st.text()),
)


@given(
    st.lists(
        st.tuples(st.sampled_from((assign_zone, assign_subzone, remove_subzone, switch_safe_mode)), FIELDS)
    )
)
def test_any_sequence_leaves_each_pin_in_at_most_one_subzone(sequence: list[tuple[Handler, object]]):
    on = board()
    for handler, document in sequence:
        on, _ = told(handler, on, document)
        held = [pin for pins in on.subzone_pins.values() for pin in pins]
        assert len(set(held)) == len(held)
        names = [s.subzone_id for s in on.nvs.subzones]
        assert len(set(names)) == len(names)
