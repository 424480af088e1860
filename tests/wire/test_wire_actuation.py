"""What switches and what stops: the simulator's firmware reads every payload as it was meant."""

from __future__ import annotations

import json
import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.boards import actuator, bodies, configured, ctx, ended, intent, old_board, push

from growy.model.control import ActuatorKey, Command, DeviceView, Verb
from growy.model.errors import Invalid
from growy.sim import emergency
from growy.sim.actuators import execute, read_command
from growy.sim.board import Board
from growy.wire import actuation
from growy.wire.actuation import actuator_command, pwm_step, token_for, wire_value
from growy.wire.commands import MAX_TOKEN
from growy.wire.limits import MAX_ID, POOL_USED, pool_bytes

PUMP = ActuatorKey("ESP_00A001", 18)
ALPHABET = "abcxyzABCXYZ0189_.:-"
IDS = st.text(ALPHABET, min_size=1, max_size=MAX_ID)
SHORT_IDS = st.text(ALPHABET, min_size=1, max_size=actuation.MAX_EMERGENCY_ID)
TOKENS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"\\'), min_size=1
).map(lambda text: text[:MAX_TOKEN])
ANY_TEXT = st.text(st.characters(), max_size=300)
LONGEST_TOKEN = "t" * MAX_TOKEN


def made(verb: Verb, value: float = 1.0, **fields: object) -> Command:
    return Command(**{"id": "c-1", "actuator": PUMP, "verb": verb, "value": value, **fields})


# --- commands -----------------------------------------------------------------------------------------------------


def test_a_command_is_what_the_firmware_reads_and_nothing_more() -> None:
    on = made(Verb.ON, duration_s=30, issued_by="rule:12")
    pwm = made(Verb.PWM, 0.35)

    assert actuator_command(on) == (
        b'{"command":"ON","duration":30,"issued_by":"rule:12","correlation_id":"c-1","intent_id":"c-1"}'
    )
    assert actuator_command(pwm) == (
        b'{"command":"PWM","value":0.35,"correlation_id":"c-1","intent_id":"c-1"}'
    )
    assert actuator_command(made(Verb.OFF)) == (b'{"command":"OFF","correlation_id":"c-1","intent_id":"c-1"}')


@given(
    verb=st.sampled_from(Verb),
    name=IDS,
    value=st.floats(0, 1),
    duration_s=st.integers(1, 10**9),
    issued_by=ANY_TEXT,
)
def test_the_firmware_reads_every_command_as_it_was_meant(
    verb: Verb, name: str, value: float, duration_s: int, issued_by: str
) -> None:
    payload = actuator_command(
        made(verb, value, id=name, duration_s=duration_s, issued_by=issued_by, actuator=PUMP)
    )

    read = read_command(18, payload)

    assert len(payload) <= actuation.MAX_COMMAND
    assert read.command == verb
    assert read.correlation_id == name
    assert json.loads(payload)["intent_id"] == name
    assert read.duration_s == (min(duration_s, actuation.MAX_DURATION_S) if verb is Verb.ON else 0)
    assert read.value == pytest.approx(value, abs=0.003) if verb is Verb.PWM else read.value == 0
    assert not read.issued_by.strip("".join(chr(c) for c in range(33, 127)))
    assert len(read.issued_by) <= MAX_ID


@pytest.mark.parametrize(
    ("issued_by", "told"),
    [
        ("user:anna", "user:anna"),
        ("rule:Heat at night", "rule:Heat_at_night"),
        ('x","command":"ON', "x___command_:_ON"),
        ("user:J\u00f6rg", "user:J_rg"),
        ("", "system:unknown"),
    ],
)
def test_who_issued_it_cannot_change_what_is_issued(issued_by: str, told: str) -> None:
    read = read_command(18, actuator_command(made(Verb.OFF, issued_by=issued_by)))

    assert (read.command, read.issued_by) == ("OFF", told)


@pytest.mark.parametrize("step", range(256))
def test_an_output_of_eight_bits_comes_to_the_step_that_was_meant(step: int) -> None:
    on = configured(actuator(18, "pwm"))

    on, replies = execute(on, "18", actuator_command(made(Verb.PWM, step / 255)), intent(), ctx())

    assert pwm_step(step / 255) == step
    assert bodies(replies, "actuator/18/status")[-1]["pwm"] == step


@given(st.floats(allow_nan=False))
def test_a_value_beyond_the_range_is_the_end_of_the_range(value: float) -> None:
    assert 0 <= wire_value(value) <= 1
    assert wire_value(value) == round(wire_value(value), 3)
    assert (value > 0) or wire_value(value) == 0
    assert (value < 1) or wire_value(value) == 1


@pytest.mark.parametrize(("value", "position"), [(0.0, 0), (0.5, 127), (1.0, 254)])
def test_a_valve_has_three_places(value: float, position: int) -> None:
    on = configured(actuator(18, "valve", aux_gpio=19))
    on, _ = execute(on, "18", actuator_command(made(Verb.PWM, value)), intent(), ctx())

    assert on.actuator(18).valve_target * 127 == position


def test_a_value_that_is_no_number_is_refused() -> None:
    with pytest.raises(Invalid, match="number"):
        actuator_command(made(Verb.PWM, math.nan))


@pytest.mark.parametrize("duration_s", [0, -1])
def test_an_on_without_an_end_is_refused(duration_s: int) -> None:
    with pytest.raises(Invalid, match="never end"):
        actuator_command(made(Verb.ON, duration_s=duration_s))


@pytest.mark.parametrize("name", ["", "x" * 64, 'a"b', "a b"])
def test_an_id_that_cannot_be_echoed_is_refused_for_all_but_off(name: str) -> None:
    with pytest.raises(Invalid):
        actuator_command(made(Verb.ON, duration_s=5, id=name))
    assert actuator_command(made(Verb.OFF, math.nan, id=name)) == b'{"command":"OFF"}'


# --- emergency ----------------------------------------------------------------------------------------------------


def running(**nvs: object) -> Board:
    on = configured(actuator(18), actuator(19, "pwm"))
    on, _ = execute(on, "18", b'{"command":"ON"}', intent(), ctx(50.0))
    return attrs.evolve(on, nvs=attrs.evolve(on.nvs, **nvs))


@given(token=TOKENS, name=SHORT_IDS)
def test_a_stop_and_its_clear_are_understood_with_any_token(token: str, name: str) -> None:
    on = running(emergency_token=token)
    stop = actuation.emergency_stop(token, name)
    clear = actuation.clear_emergency(token, name)

    stopped, replies = emergency.command(on, stop, intent(name), ctx(100.0))
    free, answers = emergency.command(stopped, clear, intent(name), ctx(105.0))

    assert ended(replies) == ("applied", "EMERGENCY_STOP_TRIGGERED")
    assert stopped.emergency
    assert json.loads(stop)["correlation_id"] == json.loads(clear)["correlation_id"] == name
    assert ended(answers) == ("applied", "EMERGENCY_CLEAR_APPLIED")
    assert not free.emergency


@pytest.mark.parametrize("build", [actuation.emergency_stop, actuation.clear_emergency])
def test_the_longest_token_with_the_longest_short_id_leaves_a_fifth_of_the_pool(build) -> None:
    payload = build(LONGEST_TOKEN, "i" * actuation.MAX_EMERGENCY_ID)

    assert json.loads(payload).keys() == {"command", "auth_token", "correlation_id"}
    assert pool_bytes(payload) <= POOL_USED * actuation.EMERGENCY_POOL


@pytest.mark.parametrize("name", ["i" * 63, "i" * 1000, 'a"b', "", "\ud800"])
def test_a_stop_whose_id_does_not_fit_goes_without_it(name: str) -> None:
    assert json.loads(actuation.emergency_stop(LONGEST_TOKEN, name)) == {
        "command": "emergency_stop",
        "auth_token": LONGEST_TOKEN,
    }


@given(token=ANY_TEXT, name=ANY_TEXT)
def test_a_stop_can_always_be_built_and_is_always_parsed(token: str, name: str) -> None:
    for build in (actuation.emergency_stop, actuation.clear_emergency):
        payload = build(token, name)

        assert pool_bytes(payload) <= POOL_USED * actuation.EMERGENCY_POOL
    _, replies = emergency.command(running(), actuation.emergency_stop(token, name), intent("e"), ctx())
    assert ended(replies) == ("applied", "EMERGENCY_STOP_TRIGGERED")


@given(token=TOKENS, reason=ANY_TEXT, name=IDS)
def test_a_broadcast_stops_whatever_reason_a_person_gives(token: str, reason: str, name: str) -> None:
    on = running(broadcast_token=token)
    payload = actuation.broadcast_stop(token, reason, name, "2026-01-01T00:00:00Z")

    stopped, replies = emergency.broadcast(on, payload, intent(name), ctx())

    assert ended(replies) == ("applied", "BROADCAST_EMERGENCY_STOP_TRIGGERED")
    assert stopped.emergency
    read = json.loads(payload)
    assert (read["command"], read["timestamp"], read["correlation_id"]) == (
        "stop_all",
        "2026-01-01T00:00:00Z",
        name,
    )
    assert pool_bytes(payload) <= POOL_USED * actuation.BROADCAST_POOL


@given(token=ANY_TEXT, reason=ANY_TEXT, name=ANY_TEXT, timestamp=ANY_TEXT)
def test_a_broadcast_can_always_be_built_and_is_always_parsed(
    token: str, reason: str, name: str, timestamp: str
) -> None:
    payload = actuation.broadcast_stop(token, reason, name, timestamp)
    _, replies = emergency.broadcast(running(), payload, intent("e"), ctx())

    assert ended(replies) == ("applied", "BROADCAST_EMERGENCY_STOP_TRIGGERED")


def test_a_long_reason_is_cut_between_letters_and_stays_one_line() -> None:
    payload = actuation.broadcast_stop("t", "\n" + "\u00fc" * 200, "e-1", "2026-01-01T00:00:00Z")
    reason = json.loads(payload)["reason"]

    assert reason == "\u00fc" * (actuation.MAX_REASON // 2)
    assert "reason" not in json.loads(actuation.broadcast_stop("t", " ", "e-1", "now"))


def test_the_token_is_the_one_it_was_given_or_the_device_itself() -> None:
    view = DeviceView(esp_id="ESP_00A001", kaiser_id="god", approved=True, online=True, ready=True)
    old, _ = push(old_board(), {"sensors": [], "actuators": [actuator()]})

    assert token_for(attrs.evolve(view, emergency_token="s3cret")) == "s3cret"
    stopped, _ = emergency.command(
        old, actuation.emergency_stop(token_for(view), "e-1"), intent("e-1"), ctx()
    )
    assert stopped.emergency
