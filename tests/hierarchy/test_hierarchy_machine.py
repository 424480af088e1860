"""One owner per device, whatever happens: God, three Kaisers and five devices against lost, doubled, late and reordered
messages, partitions, crashes in the midst of a step, disks restored from old copies, clocks that run one percent fast
or slow, processes that stand still. What must hold is in `tree_judge`.
"""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, seed, settings
from tree_moves import MOVES, play
from tree_things import Counts

PROMISED, LONG = 300_000, 6_000_000
LENGTH = 60


def histories() -> st.SearchStrategy[list[tuple[str, int]]]:
    """What happens, one thing after the other. Shrinks to few things, and those to the simplest of their kind."""
    return st.lists(
        st.tuples(st.sampled_from(MOVES), st.integers(0, 2**20)), min_size=LENGTH // 2, max_size=LENGTH
    )


def search(counts: Counts, examples: int, number: int) -> None:
    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(world=st.integers(0, 2**20), history=histories())
    def holds(world: int, history: list[tuple[str, int]]) -> None:
        play(world, history, counts)

    holds()


@pytest.mark.slow
def test_hierarchy_every_device_has_one_owner_whatever_happens(long_form: bool) -> None:
    counts = Counts()
    promised = LONG if long_form else PROMISED
    for number in itertools.count():
        if counts.steps >= promised:
            break
        search(counts, 50, number)
    print(f"\n{counts}")
    assert counts.steps >= promised
    # A proof about a world in which nothing happens would be none.
    assert min(counts.grants, counts.lost) >= promised // 20
    assert min(counts.takes, counts.moves, counts.carried) >= promised // 200
    assert min(counts.fences, counts.crashes, counts.mid_crashes, counts.handed_over) >= promised // 1000
    assert min(counts.twice, counts.late, counts.restores) >= promised // 2000
    assert counts.refused.keys() >= {"no_pass", "stale_epoch", "old_command"}
    assert counts.ended.keys() >= {
        "transfer_esp:done",
        "transfer_esp:timeout",
        "transfer_esp:failed",
        "transfer_esp:cancelled",
        "failover_esp:done",
        "emergency_stop:done",
        "sync_config:done",
        "sync_config:timeout",
    }
