"""How often a client may be sent something."""

from hypothesis import given
from hypothesis import strategies as st

from growy.web.pace import Pace


def test_after_a_quiet_moment_a_few_frames_follow_at_once_and_then_one_at_a_time() -> None:
    pace = Pace(0.1, 3)
    sent = []
    now = 100.0
    while len(sent) < 6:
        now = max(now, pace.next_at())
        pace.spend(now)
        sent.append(round(now - 100, 3))
    assert sent == [0, 0, 0, 0.1, 0.2, 0.3]


@given(
    pauses=st.lists(st.floats(0, 0.5), min_size=1, max_size=60),
    interval=st.sampled_from([0.05, 0.1, 0.25]),
    burst=st.integers(1, 5),
)
def test_over_any_stretch_of_time_no_more_than_the_rate_and_a_burst_go_out(
    pauses: list[float], interval: float, burst: int
) -> None:
    pace = Pace(interval, burst)
    now, sent = 0.0, []
    for pause in pauses:
        now = max(now + pause, pace.next_at())
        pace.spend(now)
        sent.append(now)
    for i, begin in enumerate(sent):
        for n, end in enumerate(sent[i:], 1):
            assert n <= (end - begin) / interval + burst + 1e-6
