"""Emergency stop and clear on a virtual board."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.boards import actuator, bodies, configured, ctx, encoded, ended, intent, of, old_board, push

from growy.sim.actuators import execute
from growy.sim.board import Board, Outcome, Pause, QueuesFlushed, Replies, Reply, TrackedError
from growy.sim.emergency import broadcast, command

STOP = {"command": "emergency_stop"}
CLEAR = {"command": "clear_emergency"}


def running(**nvs: Any) -> Board:
    """Two actuators at work; flash fields as given."""
    on = configured(actuator(18), actuator(19, "pwm"))
    for gpio in ("18", "19"):
        on, _ = execute(on, gpio, b'{"command":"ON"}', intent(), ctx(50.0))
    return attrs.evolve(on, nvs=attrs.evolve(on.nvs, **nvs))


def told(on: Board, document: object, at_s: float = 100.0) -> tuple[Board, Replies]:
    return command(on, encoded(document), intent("emg-1"), ctx(at_s))


def called(on: Board, document: object) -> tuple[Board, Replies]:
    return broadcast(on, encoded(document), intent("emg-2"), ctx())


def stopped(on: Board) -> bool:
    return on.emergency and all(a.emergency and not a.on and a.pwm == 0 for a in on.actuators)


# --- per device -----------------------------------------------------------------------------------


def test_a_stop_is_acknowledged_and_told_of_every_actuator():
    taken, replies = told(running(), STOP)
    assert stopped(taken)
    assert ended(replies) == ("applied", "EMERGENCY_STOP_TRIGGERED")
    assert bodies(replies, "actuator/emergency/ack") == [
        {
            "ts": ctx().ts,
            "esp_id": "ESP_00A001",
            "correlation_id": "emg-1",
            "command": "emergency_stop",
            "gpio_count": 2,
            "outcome": "executed",
            "seq": 7,
        }
    ]
    assert [reply.topic_tail for reply in of(replies, Reply)][1:] == [
        "actuator/18/alert",
        "actuator/18/status",
        "actuator/19/alert",
        "actuator/19/status",
    ]
    alert, status = bodies(replies)[1:3]
    assert (alert["alert_type"], alert["message"]) == ("emergency_stop", "Actuator stopped")
    assert (status["state"], status["emergency"]) == (False, "active")
    assert QueuesFlushed() in replies
    assert taken.safety_epoch == 1


@pytest.mark.parametrize(
    "document", [{}, {"command": "EMERGENCY_STOP"}, {"command": "stop_all"}, {"action": "stop_all"}, 5]
)
def test_other_words_stop_nothing(document: object):
    on = running()
    taken, replies = told(on, document)
    assert taken == on
    assert bodies(replies) == []
    assert ended(replies) == ("rejected", "VALIDATION_FAIL")


def test_a_stop_that_is_too_long_for_its_pool_stops_nothing():
    on = running()
    taken, replies = told(
        on,
        STOP
        | {"auth_token": "t" * 32, "correlation_id": "c" * 36, "intent_id": "i" * 36, "reason": "operator"}
        | {"issued_by": "user:1", "timestamp": 1767225600},
    )
    assert taken == on
    assert ended(replies) == ("failed", "EMERGENCY_PARSE_ERROR")
    assert of(replies, Outcome)[0].reason == "Emergency command parse error: NoMemory"


def test_a_wrong_token_is_refused_and_named():
    on = running(emergency_token="right")
    for document in (STOP, STOP | {"auth_token": "wrong"}, CLEAR):
        taken, replies = told(on, document)
        assert taken == on
        assert bodies(replies, "actuator/emergency/error") == [
            {"error": "unauthorized", "message": "Invalid auth_token", "seq": 7}
        ]
        assert [error.code for error in of(replies, TrackedError)] == [3500]
        assert ended(replies) == ("rejected", "UNAUTHORIZED")
    assert stopped(told(on, STOP | {"auth_token": "right"})[0])


def test_a_token_stored_by_accident_as_null_lets_everyone_without_one_in():
    assert stopped(told(running(emergency_token="null"), STOP)[0])


def test_a_production_build_wants_a_token_to_be_stored():
    on = attrs.evolve(running(), production=True)
    taken, replies = told(on, STOP)
    assert taken == on
    assert ended(replies) == ("rejected", "NO_TOKEN_CONFIGURED")
    assert [error.code for error in of(replies, TrackedError)] == [3501]


# --- clear ----------------------------------------------------------------------------------------


def test_clear_comes_five_seconds_after_the_stop_at_the_earliest():
    on, _ = told(running(), STOP, 100.0)
    early, replies = told(on, CLEAR, 104.9)
    assert stopped(early)
    assert [body.get("alert_type") or body.get("error") for body in bodies(replies)] == [
        "verification_failed",
        "clear_failed",
    ]
    assert bodies(replies)[0]["gpio"] == 255
    assert ended(replies) == ("failed", "EMERGENCY_CLEAR_REJECTED")
    assert not told(on, CLEAR, 105.0)[0].emergency


def test_a_clear_is_answered_after_two_seconds_and_leaves_actuators_off():
    on, _ = told(running(), STOP, 100.0)
    taken, replies = told(on, CLEAR, 110.0)
    assert replies[0] == Pause(2.0)
    assert bodies(replies) == [
        {"status": "emergency_cleared", "timestamp": 112_000, "seq": 7},
        {
            "ts": ctx().ts,
            "esp_id": "ESP_00A001",
            "correlation_id": "emg-1",
            "command": "clear_emergency",
            "state": "cleared",
            "seq": 7,
        },
    ]
    assert [reply.topic_tail for reply in of(replies, Reply)] == [
        "actuator/emergency/response",
        "actuator/recovery_confirm",
    ]
    assert ended(replies) == ("applied", "EMERGENCY_CLEAR_APPLIED")
    assert not any(a.emergency or a.on for a in taken.actuators)


def test_an_actuator_configured_after_the_stop_is_free():
    on, _ = told(running(), STOP)
    on, _ = push(on, {"actuators": [actuator(25)]})
    taken, replies = execute(on, "25", b'{"command":"ON"}', intent(), ctx())
    assert ended(replies) == ("applied", "NONE")
    assert taken.emergency


# --- broadcast ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        {"command": "stop_all"},
        {"command": "emergency_stop"},
        {"action": "stop_all"},
        {"command": "stop_all", "action": "stop_all"},
        {"command": "stop_all", "reason": "operator", "timestamp": "2026-01-01T00:00:00Z"},
    ],
)
def test_a_broadcast_stops_without_an_acknowledgement(document: object):
    taken, replies = called(running(), document)
    assert stopped(taken)
    assert ended(replies) == ("applied", "BROADCAST_EMERGENCY_STOP_TRIGGERED")
    assert bodies(replies, "actuator/emergency/ack") == []


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        ({"command": "clear_emergency"}, "UNKNOWN_COMMAND_VALUE"),
        ({}, "MISSING_COMMAND_FIELD"),
        ({"command": ""}, "MISSING_COMMAND_FIELD"),
        ({"command": "stop_all", "timestamp": 1767225600}, "FIELD_TYPE_TIMESTAMP"),
        ({"command": "stop_all", "reason": None}, "FIELD_TYPE_REASON"),
        ({"command": "stop_all", "issued_by": 7}, "FIELD_TYPE_ISSUED_BY"),
        ({"command": "stop_all", "action": 7}, "FIELD_TYPE_ACTION"),
    ],
)
def test_a_broadcast_that_breaks_the_contract_stops_nothing(document: object, detail: str):
    taken, replies = called(running(), document)
    assert not taken.emergency
    assert ended(replies) == ("failed", "EMERGENCY_CONTRACT_MISMATCH")
    assert f"detail={detail} " in of(replies, Outcome)[0].reason


@pytest.mark.parametrize(
    "document",
    [
        {"command": 5},
        {"command": "stop_all", "auth_token": 5},
        {"command": "stop_all", "action": "emergency_stop"},
    ],
)
def test_some_broken_broadcasts_stop_without_asking_for_the_token(document: object):
    taken, replies = called(running(broadcast_token="right"), document)
    assert stopped(taken)
    assert ended(replies) == ("failed", "EMERGENCY_CONTRACT_MISMATCH")


def test_a_broadcast_has_a_token_of_its_own():
    on = running(emergency_token="esp", broadcast_token="all")
    taken, replies = called(on, {"command": "stop_all", "auth_token": "esp"})
    assert not taken.emergency
    assert ended(replies) == ("rejected", "UNAUTHORIZED")
    assert bodies(replies) == []
    assert stopped(called(on, {"command": "stop_all", "auth_token": "all"})[0])


def test_a_production_build_wants_a_broadcast_token_too():
    _, replies = called(attrs.evolve(running(), production=True), {"command": "stop_all"})
    assert ended(replies) == ("rejected", "NO_TOKEN_CONFIGURED")


def test_what_is_no_json_is_counted_and_stops_nothing():
    on, _ = called(running(), b"{")
    taken, replies = called(on, {"command": "stop_all", "reason": "x" * 512})
    assert not taken.emergency
    assert "NoMemory (code=EMERGENCY_PARSE_ERROR, class=malformed, count=2" in of(replies, Outcome)[0].reason


# --- 2025-12 --------------------------------------------------------------------------------------


def old_running() -> Board:
    return push(old_board(), {"actuators": [actuator(18, default_state=True)]})[0]


def test_old_firmware_takes_its_own_id_for_a_token():
    on = old_running()
    refused, replies = told(on, STOP)
    assert refused == on
    assert bodies(replies) == [{"error": "unauthorized", "message": "Invalid auth_token"}]
    taken, replies = told(on, STOP | {"auth_token": "ESP_00A001"})
    assert stopped(taken)
    assert of(replies, Outcome) == []


@pytest.mark.parametrize("document", [{}, {"command": "clear_emergency"}, []])
def test_old_firmware_stops_on_any_broadcast_it_can_read(document: object):
    assert stopped(called(old_running(), document)[0])


def test_old_firmware_ignores_a_broadcast_it_cannot_read():
    assert called(old_running(), b"{") == (old_running(), ())


# --- anything -------------------------------------------------------------------------------------

FIELDS = st.dictionaries(
    st.sampled_from(("command", "action", "auth_token", "reason", "issued_by", "timestamp")),
    st.none()
    | st.integers()
    | st.text(max_size=40)
    | st.sampled_from(("stop_all", "emergency_stop", "right")),
)


@given(FIELDS, st.sampled_from((command, broadcast)))
def test_either_everything_stops_or_nothing_and_there_is_always_an_outcome(document: object, handler: Any):
    on = running(emergency_token="right", broadcast_token="right")
    taken, replies = handler(on, encoded(document), intent(), ctx())
    assert of(replies, Outcome)
    assert stopped(taken) or taken.actuators == on.actuators
