"""The outbox: lanes, deadlines, and one honest end for each message."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from growy.broker.outbox import Lane, Outbox, Outcome, Outgoing


def message(topic: str, lane: Lane = Lane.NORMAL, deadline: float = 10.0, qos: int = 1) -> Outgoing:
    return Outgoing(topic, b"", qos, False, lane, deadline)


def test_emergency_overtakes_everything_that_waits() -> None:
    outbox = Outbox()
    ordinary = [message(f"t/{n}") for n in range(5)]
    for one in ordinary:
        outbox.put(one)
    stop = message("stop", Lane.EMERGENCY)
    outbox.put(stop)

    assert outbox.next(0.0) is stop
    assert outbox.next(0.0) is ordinary[0]


def test_emergency_does_not_wait_for_room_in_flight() -> None:
    outbox = Outbox(in_flight=1)
    first, second, stop = message("1"), message("2"), message("stop", Lane.EMERGENCY)
    outbox.put(first)
    outbox.sent(outbox.next(0.0) or first, 1)
    outbox.put(second)
    assert outbox.next(0.0) is None

    outbox.put(stop)

    assert outbox.next(0.0) is stop


def test_an_expired_message_is_never_sent() -> None:
    outbox = Outbox()
    late = message("heater on", deadline=1.0)
    outbox.put(late)

    assert outbox.next(1.0) is None
    assert late.outcome is Outcome.EXPIRED
    assert outbox.expired == 1


def test_sent_but_unacknowledged_is_unknown_also_after_a_reconnect() -> None:
    outbox = Outbox()
    one = message("t", deadline=1.0)
    outbox.put(one)
    outbox.next(0.0)
    outbox.sent(one, 7)
    outbox.disconnected()

    assert outbox.next(2.0) is None
    assert one.outcome is Outcome.UNKNOWN


def test_a_reconnect_sends_again_in_the_old_order() -> None:
    outbox = Outbox()
    sent = [message(str(n)) for n in range(3)]
    for mid, one in enumerate(sent):
        outbox.put(one)
        outbox.next(0.0)
        outbox.sent(one, mid + 1)
    outbox.put(message("later"))
    outbox.disconnected()

    order = [outbox.next(0.0) for _ in range(4)]

    assert [one.topic for one in order if one] == ["0", "1", "2", "later"]


def test_what_could_not_be_handed_over_is_next_again() -> None:
    outbox = Outbox()
    first, second = message("1"), message("2")
    outbox.put(first)
    outbox.put(second)
    taken = outbox.next(0.0)
    assert taken is first
    outbox.put_back(first)

    assert [outbox.next(0.0), outbox.next(0.0)] == [first, second]


def test_a_broker_that_never_acknowledges_does_not_stop_what_comes_after() -> None:
    outbox = Outbox(in_flight=1)
    forgotten, second = message("1", deadline=5.0), message("2", deadline=20.0)
    outbox.put(forgotten)
    outbox.put(second)
    outbox.sent(outbox.next(0.0) or forgotten, 1)

    assert outbox.next(4.0) is None
    assert outbox.next(5.0) is second
    assert forgotten.outcome is Outcome.UNKNOWN


class OutboxMachine(RuleBasedStateMachine):
    """Whatever happens, every message ends once, and nothing past its deadline is handed out."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(in_flight=3, capacity=5)
        self.now = 0.0
        self.all: list[Outgoing] = []
        self.under_way: dict[int, Outgoing] = {}
        self.mid = 0

    @rule(lane=st.sampled_from(Lane), wait=st.floats(0, 5), qos=st.integers(0, 1))
    def put(self, lane: Lane, wait: float, qos: int) -> None:
        if lane is Lane.EMERGENCY or not self.outbox.full:
            one = message("t", lane, self.now + wait, qos)
            self.all.append(one)
            self.outbox.put(one)

    @rule(emergency_only=st.booleans())
    def send(self, emergency_only: bool) -> None:
        one = self.outbox.next(self.now, emergency_only=emergency_only)
        if one is not None:
            assert one.deadline > self.now
            assert one.outcome is Outcome.WAITING
            assert one.lane is Lane.EMERGENCY or not emergency_only
            self.mid += 1
            self.outbox.sent(one, self.mid)
            if one.qos:
                self.under_way[self.mid] = one

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        mid = data.draw(st.sampled_from(sorted(self.under_way)))
        expected = self.under_way.pop(mid)
        got = self.outbox.published(mid)
        assert got is (expected if expected.outcome is Outcome.ACKNOWLEDGED else None)

    @rule()
    def disconnect(self) -> None:
        self.outbox.disconnected()
        self.under_way.clear()

    @rule(seconds=st.floats(0, 3))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.all))
        before = one.outcome
        self.outbox.abandon(one)
        assert one.outcome not in (Outcome.WAITING, Outcome.SENT)
        assert before in (Outcome.WAITING, Outcome.SENT) or one.outcome is before

    @invariant()
    def every_message_is_counted_once(self) -> None:
        ended = [one for one in self.all if one.outcome not in (Outcome.WAITING, Outcome.SENT)]
        assert len(ended) == sum(
            (self.outbox.acknowledged, self.outbox.handed_over, self.outbox.expired, self.outbox.unknown)
        )


OutboxMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestOutbox = OutboxMachine.TestCase
