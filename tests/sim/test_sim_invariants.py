"""Whatever happens to a device, in whatever order: what can never be."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.machine import NOW, SPEC, encoded

from growy.sim import esp
from growy.sim.events import (
    ClockSet,
    Connected,
    Disconnected,
    Dropped,
    Event,
    Measure,
    Measured,
    Publish,
    PublishReading,
    Received,
    Restart,
    Subscribe,
    Subscribed,
    Tick,
)
from growy.sim.flash import Generation, OfflineRule, SystemState
from growy.sim.handover import Mode
from growy.sim.sensing import Sample
from growy.sim.spec import EspSpec
from growy.sim.state import EspState
from growy.sim.turn import passes_closed_gate

PREFIX = "kaiser/god/esp/ESP_00A001/"
BYPASS = ("session/announce", "system/intent_outcome/lifecycle")
SAMPLE = Sample("moisture", 2000, 2000.0, "raw", "good", 50.0, "%")
RULE = OfflineRule(actuator_gpio=18, sensor_gpio=34, sensor_value_type="light", activate_below=1.0)
FLASHES = [
    SPEC.flash,
    attrs.evolve(SPEC.flash, approved=True),
    attrs.evolve(SPEC.flash, approved=True, offline_rules=(RULE,)),
    attrs.evolve(SPEC.flash, actuators=()),
    attrs.evolve(SPEC.flash, sensors=(), actuators=()),
]


def message(tail: str, document: object) -> Received:
    return Received(PREFIX + tail, encoded(document))


MESSAGES = st.sampled_from(
    [
        message("system/heartbeat/ack", b"\xff"),
        message("system/heartbeat/ack", {"status": "approved"}),
        message("actuator/18/command", {"command": "ON", "duration": 5}),
        message("actuator/18/command", {"command": "OFF", "intent_id": "same"}),
        message("actuator/99/command", {"command": "ON"}),
        message("actuator/x/command", b"{"),
        message("sensor/34/command", {"command": "measure", "request_id": "r"}),
        message("sensor/1/command", {"command": "measure", "ttl_ms": 1, "created_at_ms": 1}),
        message("config", {"correlation_id": "c", "sensors": [{"gpio": 35, "sensor_type": "ph"}]}),
        message(
            "config",
            {
                "correlation_id": "c",
                "actuators": [{"gpio": 23, "actuator_type": "relay", "actuator_name": "L"}],
                "offline_rules": [],
            },
        ),
        message("config", {"correlation_id": "c", "sensors": [{"gpio": 34, "active": False}]}),
        message("config", b"nonsense"),
        message("zone/assign", {"zone_id": "", "kaiser_id": "god"}),
        message(
            "zone/assign",
            {"zone_id": "z", "master_zone_id": "m", "zone_name": "Z", "kaiser_id": "god"},
        ),
        message("subzone/assign", {"subzone_id": "s", "parent_zone_id": "z", "assigned_gpios": [18]}),
        message("system/command", {"command": "status"}),
        message("system/command", {"command": "safe_mode"}),
        message("system/command", {"command": "onewire/scan"}),
        message("system/command", {"command": "factory_reset", "confirm": True}),
        message("actuator/emergency", {"command": "emergency_stop"}),
        message("actuator/emergency", {"command": "clear_emergency"}),
        Received("kaiser/broadcast/emergency", b'{"command":"stop_all"}'),
        Received("kaiser/god/server/status", b'{"status":"online"}'),
        Received("kaiser/god/server/status", b'{"status":"offline","reason":"graceful_shutdown"}'),
        Received("somewhere/else", b"{}"),
    ]
)
ACKS = st.builds(
    lambda status, epoch: message(
        "system/heartbeat/ack", {"status": status, "handover_epoch": epoch, "server_time": NOW}
    ),
    st.sampled_from(["approved", "online", "pending_approval", "rejected", "error"]),
    st.integers(0, 3),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(Connected()),
    st.builds(Disconnected, st.booleans()),
    st.just(Tick()),
    st.builds(ClockSet, st.floats(1.7e9, 2e9)),
    st.builds(Subscribed, st.sampled_from([PREFIX + "config", PREFIX + "system/heartbeat/ack", "other"])),
    MESSAGES,
    ACKS,
)


def is_gated(effect: Publish | PublishReading) -> bool:
    tail = effect.topic.split("/", 4)[-1]
    return not passes_closed_gate(effect.topic) and tail not in BYPASS


def follow(state: EspState, event: Event, now: float) -> list[tuple[EspState, Any, EspState]]:
    """(state before, effect, state after) of an event and of the answers it asks for at once."""
    after, effects = esp.step(state, event, now)
    seen = [(state, effect, after) for effect in effects]
    for effect in effects:
        if isinstance(effect, Measure):
            more = follow(seen[-1][2], Measured(effect.sensor, (SAMPLE,), effect.number), now)
            seen += more or [(seen[-1][2], None, esp.step(seen[-1][2], Measured(effect.sensor, ()), now)[0])]
    return seen or [(state, None, after)]


@settings(deadline=None)
@pytest.mark.parametrize("generation", Generation)
@given(
    flash=st.sampled_from(FLASHES),
    gate=st.booleans(),
    happenings=st.lists(
        st.tuples(EVENTS, st.sampled_from([0.0, 0.01, 0.3, 2.0, 6.0, 31.0, 121.0])), max_size=50
    ),
)
def test_what_can_never_be(generation: Generation, flash: Any, gate: bool, happenings: list) -> None:
    spec: EspSpec = attrs.evolve(SPEC, gate=gate, generation=generation)
    old = generation is Generation.DEC_2025
    state, now, seq = esp.boot(spec, 0.0, flash), 0.0, 0
    epoch = 0
    for event, pause in happenings:
        now += pause
        for before, effect, after in follow(state, event, now):
            state = after
            match effect:
                case Restart(reset_reason):
                    state, seq, epoch = esp.boot(spec, now, after.board.nvs, reset_reason=reset_reason), 0, 0
                    break
                case Publish() | PublishReading():
                    # Nothing is said without a broker.
                    assert after.connected
                    if is_gated(effect) and not old:
                        assert before.gate_open or after.gate_open
                    document = json.loads(effect.payload)
                    if "seq" in document:
                        assert not old
                        assert document["seq"] > 0
                    if isinstance(effect, PublishReading) and not old:
                        assert effect.seq > seq
                        seq = effect.seq
                    assert effect.retain is (old and isinstance(effect, PublishReading)) or old
                case Subscribe():
                    assert after.connected
                case Dropped():
                    assert not (after.connected and before.gate_open and after.gate_open)
                case _:
                    pass
            check(state, old=old)
            # Only an emergency stop takes an epoch back, and then to nothing.
            assert state.handover.active_epoch >= epoch or state.handover.active_epoch == 0
            epoch = state.handover.active_epoch
        if isinstance(event, Tick):
            assert esp.next_wakeup(state) > now


def check(state: EspState, *, old: bool) -> None:
    handover, session = state.handover, state.session
    assert handover.completed_epoch <= handover.active_epoch
    assert session.connected or not session.registered
    assert handover.mode is not Mode.RECONNECTING or handover.active_epoch > 0
    assert (handover.grace_at < float("inf")) == (handover.mode is Mode.DISCONNECTED)
    assert (handover.settle_at < float("inf")) == (handover.mode is Mode.ADOPTING)
    assert (handover.evaluate_at < float("inf")) == handover.rules_rule
    assert len(state.beats) == len(state.board.sensors)
    assert [beat.sensor for beat in state.beats] == list(state.board.sensors)
    assert len(state.pushes) <= 3
    assert len(state.board.nvs.outcomes) <= 48
    assert len(state.final) <= 32
    if old:
        assert handover.mode is Mode.ONLINE
        assert not session.registered
    else:
        assert state.board.state is not SystemState.BOOT


@given(st.lists(st.tuples(EVENTS, st.floats(0.0, 50.0)), max_size=40))
def test_numbers_only_rise(happenings: list) -> None:
    state, now, last = esp.boot(SPEC, 0.0), 0.0, 0
    for event, pause in happenings:
        now += pause
        state, effects = esp.step(state, event, now)
        numbers = [
            document["seq"]
            for effect in effects
            if isinstance(effect, Publish) and "seq" in (document := json.loads(effect.payload))
        ]
        assert len(set(numbers)) == len(numbers)
        assert all(number > last for number in numbers)
        assert all(number <= state.seq for number in numbers)
        last = max([last, *numbers])


@given(st.text(max_size=60), st.binary(max_size=400))
def test_no_message_breaks_it(tail: str, body: bytes) -> None:
    state, _ = esp.step(esp.boot(SPEC, 0.0), Connected(), 0.0)
    esp.step(state, Received(PREFIX + tail, body), 1.0)
    for known in ("config", "system/command", "actuator/emergency", "zone/assign", "sensor/4/command"):
        esp.step(state, message(known, body), 1.0)
