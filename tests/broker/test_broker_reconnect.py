"""When the broker is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from growy.broker.reconnect import Backoff, Breaker

START = Backoff(1.0, 60.0, 5, 30.0)


def test_pauses_double_up_to_the_maximum() -> None:
    backoff, waits = START, []
    for _ in range(4):
        backoff, wait = backoff.failed(random=1.0)
        waits.append(wait)

    assert waits == [1.0, 2.0, 4.0, 8.0]


def test_five_failures_open_the_breaker_for_its_pause() -> None:
    backoff = START
    for _ in range(4):
        backoff, _ = backoff.failed(0.0)
        assert backoff.breaker is Breaker.CLOSED
    backoff, wait = backoff.failed(0.0)

    assert backoff.breaker is Breaker.OPEN
    assert wait >= 30.0


def test_the_attempt_after_the_pause_decides() -> None:
    backoff = START
    for _ in range(5):
        backoff, _ = backoff.failed(0.0)
    half_open = backoff.retrying()
    assert half_open.breaker is Breaker.HALF_OPEN

    assert half_open.failed(0.0)[0].breaker is Breaker.OPEN
    assert half_open.connected() == START


@given(st.lists(st.floats(0, 1, exclude_max=True), max_size=200))
def test_no_pause_is_longer_than_the_maximum_or_shorter_than_half_the_minimum(randoms: list[float]) -> None:
    backoff = START
    for random in randoms:
        backoff, wait = backoff.retrying().failed(random)
        assert 0.5 <= wait <= 60.0
