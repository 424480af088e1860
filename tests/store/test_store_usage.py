"""Run time of an actuator, from the moments at which it was switched: parts of runs count in their part."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.store.usage import used

MINUTE = 60_000
Switch = tuple[int, bool, float | None]


@pytest.mark.parametrize(
    ("switches", "on_before", "run_s", "cycles"),
    [
        ([], None, 0, 0),
        ([], False, 0, 0),
        ([], True, 60, 0),
        ([(10_000, True, None), (25_000, False, 15.0)], False, 15, 1),
        (
            [(10_000, True, None), (25_000, False, None), (30_000, True, None), (31_000, False, None)],
            None,
            16,
            2,
        ),
        ([(10_000, False, 500.0)], True, 10, 0),
        ([(45_000, True, None)], False, 15, 1),
        # The output of a PWM changes: one run.
        ([(10_000, True, None), (20_000, True, None), (30_000, False, None)], False, 20, 1),
        # Said twice.
        ([(10_000, True, None), (20_000, False, 10.0), (30_000, False, 10.0)], False, 10, 1),
        # Its beginning is no longer kept: within the span, and before it.
        ([(30_000, False, 12.0)], None, 12, 1),
        ([(30_000, False, 3600.0)], None, 30, 0),
        ([(30_000, False, None)], None, 0, 0),
        # It is known to have been off: what the device counted is another matter.
        ([(30_000, False, 12.0)], False, 0, 0),
    ],
)
def test_what_lies_within_the_minute_is_counted(
    switches: list[Switch], on_before: bool | None, run_s: float, cycles: int
) -> None:
    usage = used(switches, 0, MINUTE, on_before=on_before)

    assert (usage.run_s, usage.cycles, usage.duty) == (run_s, cycles, run_s / 60)


@given(
    st.lists(st.tuples(st.integers(1, 20_000), st.booleans()), max_size=30),
    st.booleans(),
    st.lists(st.integers(0, MINUTE), max_size=5),
)
def test_usages_of_adjoining_spans_add_up(
    steps: list[tuple[int, bool]], on_before: bool, cuts: list[int]
) -> None:
    times = accumulate(gap for gap, _ in steps)
    switches: list[Switch] = [(ts, on, None) for ts, (_, on) in zip(times, steps, strict=True) if ts < MINUTE]
    whole = used(switches, 0, MINUTE, on_before=on_before)
    edges = [0, *sorted(cuts), MINUTE]
    parts = []
    for begin, end in pairwise(edges):
        earlier = [on for ts, on, _ in switches if ts < begin]
        parts.append(
            used(
                [one for one in switches if begin <= one[0] < end],
                begin,
                end,
                on_before=earlier[-1] if earlier else on_before,
            )
        )

    assert sum(part.run_s for part in parts) == pytest.approx(whole.run_s)
    assert sum(part.cycles for part in parts) == whole.cycles
    assert 0 <= whole.duty <= 1
