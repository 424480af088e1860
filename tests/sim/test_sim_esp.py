"""The virtual device's state machine: no broker, no clock, no sleeping."""

from __future__ import annotations

import json
import math
import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.sim import esp, payload
from growy.sim.greenhouse import GreenhouseState
from growy.sim.sensing import measure
from growy.sim.spec import EspSpec, default_fleet

SPEC = default_fleet(1)[0]
HOUSE = GreenhouseState(time_s=0.0)
ACK_TOPIC = payload.heartbeat_ack_topic(SPEC)
ACK = b'{"status":"approved","handover_epoch":1,"server_time":1767225600}'
T0 = 1000.0


@attrs.define
class Board:
    """Drives a device as a broker and a clock would, and remembers what it did."""

    spec: EspSpec = SPEC
    now: float = T0
    state: esp.EspState = attrs.field(init=False)
    done: list[tuple[float, esp.Effect]] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.state = esp.boot(self.spec, self.now)

    def take(self, *events: esp.Event) -> list[esp.Effect]:
        effects: list[esp.Effect] = []
        for event in events:
            self.state, some = esp.step(self.state, event, self.now)
            effects.extend(some)
        self.done.extend((self.now, effect) for effect in effects)
        for effect in list(effects):
            if isinstance(effect, esp.Measure):
                sensor = self.spec.sensors[effect.index]
                effects += self.take(esp.Measured(effect.index, measure(sensor, HOUSE, random.Random(0))))
            elif isinstance(effect, esp.Subscribe):
                effects += self.take(esp.Subscribed(effect.topic))
        return effects

    def run(self, seconds: float) -> list[esp.Effect]:
        """Let time pass: a tick whenever the device asked for one."""
        until, effects = self.now + seconds, []
        while (wake := esp.next_wakeup(self.state)) <= until:
            assert wake < math.inf
            self.now = max(self.now, wake)
            effects += self.take(esp.Tick())
        self.now = until
        return effects

    def register(self) -> None:
        self.take(esp.Connected())
        self.run(0.2)
        self.take(esp.Received(ACK_TOPIC, ACK))


def of_kind(effects: list[esp.Effect], kind: type) -> list:
    return [effect for effect in effects if isinstance(effect, kind)]


def heartbeats(board: Board) -> list[float]:
    return [
        at
        for at, effect in board.done
        if isinstance(effect, esp.Publish) and effect.topic == payload.heartbeat_topic(board.spec)
    ]


def test_on_connect_it_announces_subscribes_and_beats_when_the_answer_can_arrive():
    board = Board()
    (announce,) = board.take(esp.Connected())
    assert announce.topic == payload.announce_topic(SPEC)
    assert announce.qos == 1

    effects = board.run(0.5)

    (subscribe,) = of_kind(effects, esp.Subscribe)
    assert subscribe == esp.Subscribe(ACK_TOPIC, 1)
    assert len(heartbeats(board)) == 2, "one when the loop starts, one forced after SUBACK"
    assert heartbeats(board)[0] == pytest.approx(T0 + esp.SUBSCRIBE_TICK_S)
    assert all(beat.qos == 0 for beat in of_kind(effects, esp.Publish))


def test_heartbeats_come_every_5_s_until_the_ack_and_every_60_s_after_it():
    board = Board()
    board.take(esp.Connected())
    board.run(20.1)
    assert [round(at - T0 - 0.05) for at in heartbeats(board)] == [0, 0, 5, 10, 15, 20]

    board.take(esp.Received(ACK_TOPIC, ACK))
    board.done.clear()
    board.run(180.0)

    assert [round(at - T0 - 0.05) for at in heartbeats(board)] == [80, 140, 200]


def test_readings_wait_for_the_ack_and_are_lost_until_then():
    board = Board()
    board.take(esp.Connected())
    board.run(5.0)
    assert len(of_kind([effect for _, effect in board.done], esp.DroppedAtGate)) == 4
    assert board.state.seq == 0

    board.take(esp.Received(ACK_TOPIC, ACK))
    readings = of_kind(board.run(60.0), esp.PublishReading)

    assert [reading.seq for reading in readings] == list(range(1, len(readings) + 1))
    assert {reading.sample.sensor_type for reading in readings} == {
        "sht31_temp",
        "sht31_humidity",
        "ds18b20",
        "moisture",
    }


def test_without_a_gate_readings_flow_at_once():
    board = Board(attrs.evolve(SPEC, gate=False))
    board.take(esp.Connected())
    assert len(of_kind(board.run(5.0), esp.PublishReading)) == 4


def test_nothing_is_kept_for_later_while_the_broker_is_away():
    board = Board()
    board.register()
    board.take(esp.Disconnected())
    effects = board.run(100.0)

    assert not of_kind(effects, esp.PublishReading)
    assert not of_kind(effects, esp.Publish)
    assert len(of_kind(effects, esp.DroppedOffline)) == 4 * 3 + 2, (
        "SHT31 and DS18B20 every 30 s, moisture every 60 s"
    )
    assert board.state.seq == 0


def test_every_connection_needs_its_own_ack():
    board = Board()
    board.register()
    assert board.state.registered
    board.take(esp.Disconnected(), esp.Connected())
    assert not board.state.registered
    assert of_kind(board.run(31.0), esp.DroppedAtGate)


def test_a_reconnect_soon_after_a_heartbeat_waits_for_the_forced_one():
    board = Board()
    board.register()
    board.run(1.0)
    board.take(esp.Disconnected())
    board.done.clear()
    board.take(esp.Connected())
    board.run(1.0)
    assert len(heartbeats(board)) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"status":"approved"}', "MISSING_HANDOVER_EPOCH"),
        (b'{"status":"approved","handover_epoch":0}', "INVALID_HANDOVER_EPOCH"),
        (b"garbage", "JSON_PARSE_ERROR"),
    ],
)
def test_an_ack_that_breaks_the_contract_leaves_the_gate_shut(body: bytes, reason: str):
    board = Board()
    board.take(esp.Connected(), esp.Received(ACK_TOPIC, body))
    assert not board.state.registered
    assert (board.state.acks_refused, board.state.last_ack_refusal) == (1, reason)


def test_an_ack_for_somebody_else_is_not_heard():
    board = Board()
    board.take(esp.Connected(), esp.Received(ACK_TOPIC.replace("A001", "A002"), ACK))
    assert not board.state.registered


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("approved", payload.SystemState.OPERATIONAL),
        ("pending_approval", payload.SystemState.PENDING_APPROVAL),
        ("rejected", payload.SystemState.ERROR),
    ],
)
def test_the_ack_decides_about_approval(status: str, state: payload.SystemState):
    board = Board(attrs.evolve(SPEC, sensors=()))
    board.take(esp.Connected(), esp.Received(ACK_TOPIC, ACK.replace(b"approved", status.encode())))
    assert board.state.registered, "any valid ACK opens the gate"
    assert esp.system_state(board.state) is state


def test_sensors_without_an_actuator_keep_a_device_in_config_pending():
    board = Board()
    board.register()
    assert esp.system_state(board.state) is payload.SystemState.CONFIG_PENDING_AFTER_RESET


def test_the_clock_comes_from_sntp_or_else_once_from_the_ack():
    unsynced = Board()
    unsynced.register()
    assert esp.unix_time(unsynced.state, unsynced.now) == 1767225600
    unsynced.take(esp.Received(ACK_TOPIC, ACK.replace(b"1767225600", b"1767229999")))
    assert esp.unix_time(unsynced.state, unsynced.now) == 1767225600, "later ACKs correct nothing"

    synced = Board()
    synced.take(esp.ClockSet(1_800_000_000.0))
    synced.register()
    assert esp.unix_time(synced.state, synced.now) == pytest.approx(1_800_000_000.2)


def test_messages_before_the_clock_is_known_say_ts_0():
    board = Board(attrs.evolve(SPEC, gate=False))
    (announce,) = board.take(esp.Connected())
    assert json.loads(announce.payload)["ts_ms"] == 0, "uptime"
    for reading in of_kind(board.run(2.0), esp.PublishReading):
        assert json.loads(reading.payload)["ts"] == 0


def test_a_device_that_stood_still_skips_what_it_missed():
    board = Board(attrs.evolve(SPEC, gate=False))
    board.take(esp.Connected())
    board.run(2.0)
    board.now += 1000.0
    assert len(of_kind(board.take(esp.Tick()), esp.PublishReading)) == 4
    assert esp.next_wakeup(board.state) > board.now


def test_sensors_keep_their_beat():
    board = Board(attrs.evolve(SPEC, gate=False))
    board.take(esp.Connected())
    board.run(300.0)
    ats = [
        at - T0
        for at, effect in board.done
        if isinstance(effect, esp.PublishReading) and effect.sample.sensor_type == "ds18b20"
    ]
    assert ats == pytest.approx([1.5 + 30.0 * n for n in range(10)])


EVENTS = st.one_of(
    st.builds(esp.Connected),
    st.builds(esp.Disconnected),
    st.builds(esp.Tick),
    st.builds(esp.ClockSet, st.floats(1.7e9, 2e9)),
    st.builds(esp.Subscribed, st.sampled_from([ACK_TOPIC, "other"])),
    st.builds(esp.Received, st.sampled_from([ACK_TOPIC, "other"]), st.sampled_from([ACK, b"{}", b"\xff"])),
    st.sampled_from(range(len(SPEC.sensors))).map(
        lambda index: esp.Measured(index, measure(SPEC.sensors[index], HOUSE, random.Random(0)))
    ),
)


@given(st.lists(st.tuples(EVENTS, st.floats(0.0, 100.0)), max_size=60), st.booleans())
def test_whatever_happens_it_publishes_only_through_an_open_gate_and_never_a_seq_twice(events, gate):
    state, now, seq = esp.boot(attrs.evolve(SPEC, gate=gate), 0.0), 0.0, 0
    for event, pause in events:
        now += pause
        before = state
        state, effects = esp.step(state, event, now)
        for effect in effects:
            if isinstance(effect, esp.PublishReading):
                assert before.connected
                assert before.registered or not gate
                assert effect.seq == seq + 1
                seq = effect.seq
                assert json.loads(effect.payload)["seq"] == seq
            if isinstance(effect, esp.Publish | esp.Subscribe):
                assert before.connected or isinstance(event, esp.Connected)
        assert esp.next_wakeup(state) > now or not isinstance(event, esp.Tick)
