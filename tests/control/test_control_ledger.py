"""Accounts: what limits of run time, pauses and doses are judged by, over restarts and wall clocks that jump."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from growy.control import ledger
from growy.control.ledger import Account, Day
from growy.model.control import Ledger
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.model.time import Moment

NOON_MS = 1_780_000_000_000 // 86_400_000 * 86_400_000 + 43_200_000
DAY_MS = 86_400_000
HOUR_S = 3600.0
RELAY = ActuatorSetup(id="r", gpio=16, kind=ActuatorKind.RELAY, name="Heater", max_runtime_s=600)
DOSER = ActuatorSetup(
    id="d",
    gpio=17,
    kind=ActuatorKind.PUMP,
    name="Doser",
    max_runtime_day_s=100,
    dose_ml_per_s=2.0,
    dose_budget_ml=50.0,
)
UNWATCHED_S = 280.0


def day_of(wall_ms: int) -> Day:
    number = wall_ms // DAY_MS
    return Day(f"{number:06d}", (number + 1) * DAY_MS)


class Desk:
    """An account with its two clocks."""

    def __init__(self, setup: ActuatorSetup = RELAY) -> None:
        self.setup = setup
        self.wall_ms = NOON_MS
        self.account: Account
        self.restart(None, unwatched_s=0.0)  # it was set up this moment

    @property
    def moment(self) -> Moment:
        return Moment(self.clock, self.wall_ms)

    @property
    def day(self) -> Day:
        return day_of(self.wall_ms)

    def restart(
        self, written: Ledger | None, *, gone_s: float = 0.0, unwatched_s: float = UNWATCHED_S
    ) -> Desk:
        """Another process begins: its clock has nothing to do with that of the last."""
        self.clock, self.wall_ms = 5.0, self.wall_ms + round(gone_s * 1000)
        self.account = ledger.opened(written, self.setup, self.moment, self.day, unwatched_s)
        return self

    def after(self, seconds: float) -> Desk:
        self.clock += seconds
        self.wall_ms += round(seconds * 1000)
        return self

    def wall_jumps(self, seconds: float) -> Desk:
        self.wall_ms += round(seconds * 1000)
        return self

    def switch(self, value: float, *, found: bool = False) -> Desk:
        self.account = ledger.switched(
            self.account, value, self.setup, self.moment, self.day, HOUR_S, found=found
        )
        return self

    def count(self) -> Desk:
        self.account = ledger.counted(self.account, self.setup, self.moment, self.day)
        return self

    def left(self, value: float = 1.0) -> ledger.Left:
        return ledger.left(self.account, self.setup, value, self.moment, self.day, HOUR_S)

    @property
    def on_s(self) -> float:
        return ledger.on_for_s(self.account, self.moment)

    @property
    def off_s(self) -> float:
        return ledger.off_for_s(self.account, self.moment)

    @property
    def day_s(self) -> float:
        return ledger.day_on_s(self.account, self.moment, self.day)

    @property
    def dose_ml(self) -> float:
        return ledger.dose_ml(self.account, self.setup, self.moment, self.day)


# --- a run ----------------------------------------------------------------------------------------------------------


def test_a_run_and_a_pause_are_counted_by_the_second():
    desk = Desk().switch(1.0).after(90)
    assert desk.on_s == pytest.approx(90)
    assert desk.off_s == 0
    desk.switch(0.0).after(30)
    assert desk.on_s == 0
    assert desk.off_s == pytest.approx(30)
    assert desk.account.ledger.on_since_ms is None


def test_counting_often_comes_to_the_same_as_counting_once_and_never_to_less():
    once, often = Desk().switch(1.0).after(100), Desk().switch(1.0)
    for _ in range(1000):
        often.after(0.1).count()
    assert once.on_s <= often.on_s <= once.on_s + 1.0


def test_a_run_has_what_its_setup_leaves_it():
    desk = Desk().switch(1.0).after(90)
    assert desk.left().seconds == pytest.approx(510)
    assert desk.left().why == "run"


def test_where_no_limit_is_set_up_the_settings_is_used():
    desk = Desk(msgspec.structs.replace(RELAY, max_runtime_s=None)).switch(1.0).after(90)
    assert desk.left().seconds == pytest.approx(HOUR_S - 90)


def test_another_output_does_not_begin_another_run():
    desk = Desk().switch(0.3).after(100).switch(0.8).after(100)
    assert desk.on_s == pytest.approx(200)


def test_a_run_that_was_ended_early_is_followed_by_no_rest():
    desk = Desk().switch(1.0).after(500).switch(0.0)
    assert desk.left().seconds == pytest.approx(600)


def test_a_run_that_has_used_up_its_limit_is_followed_by_a_rest():
    desk = Desk().switch(1.0).after(600).switch(0.0)
    assert desk.left() == ledger.Left(0.0, "rest", pytest.approx(desk.clock + 60))
    assert desk.after(59).left().seconds == 0
    assert desk.after(1.1).left().seconds == pytest.approx(600)


@pytest.mark.parametrize(("limit_s", "rest_s"), [(30, 60), (600, 60), (3600, 360), (86_400, 600)])
def test_the_rest_is_a_tenth_of_the_limit_within_bounds(limit_s: int, rest_s: float):
    desk = Desk(msgspec.structs.replace(RELAY, max_runtime_s=limit_s)).switch(1.0).after(limit_s).switch(0.0)
    assert desk.left().again_at - desk.clock == pytest.approx(rest_s)


def test_the_devices_own_whole_seconds_do_not_rob_the_limit_of_its_rest():
    desk = Desk().switch(1.0).after(599.2).switch(0.0)
    assert desk.left().why == "rest"


def test_an_on_that_never_came_to_be_leaves_no_trace():
    desk = Desk().after(1000).switch(1.0).after(8)
    desk.account = ledger.undone(desk.account, desk.setup, desk.moment, desk.day)
    assert not desk.account.on
    assert desk.off_s == pytest.approx(1008)
    assert desk.day_s == 0


def test_nothing_is_undone_that_was_not_switched_on():
    desk = Desk().switch(1.0).after(8).switch(0.0)
    with pytest.raises(ValueError, match="nothing to undo"):
        ledger.undone(desk.account, desk.setup, desk.moment, desk.day)


# --- a day ----------------------------------------------------------------------------------------------------------


def test_a_day_has_a_limit_over_all_its_runs():
    desk = Desk(DOSER).switch(0.1).after(60).switch(0.0).after(60).switch(0.1).after(30)
    assert desk.day_s == pytest.approx(90)
    assert desk.left(0.1).seconds == pytest.approx(10)
    assert desk.left(0.1).why == "day"


def test_a_dose_counts_by_the_output():
    desk = Desk(DOSER).switch(0.5).after(20).switch(0.0)
    assert desk.dose_ml == pytest.approx(20)
    assert desk.left(1.0) == ledger.Left(
        pytest.approx(15), "dose", pytest.approx(desk.clock + 43_120, abs=60)
    )
    assert desk.left(0.5).seconds == pytest.approx(30)


def test_a_new_day_has_its_own_allowance():
    desk = Desk(DOSER).switch(1.0).after(25).switch(0.0)
    assert desk.left().seconds == 0
    assert desk.after(12 * HOUR_S).left().seconds == pytest.approx(25)
    assert desk.day_s == 0


def test_a_run_over_midnight_does_not_count_for_the_old_day():
    desk = Desk(DOSER).after(12 * HOUR_S - 10).switch(0.01).after(20).count()
    assert 10 <= desk.day_s <= 21
    assert desk.on_s == pytest.approx(20, abs=0.1)


def test_every_midnight_opens_an_account_also_the_short_night_of_summer_time():
    desk = Desk(DOSER)
    for _ in range(4):
        desk.switch(1.0).after(25).switch(0.0).count()
        assert desk.left().seconds == 0
        # 23 hours by the clock, and the wall says that a day has gone by.
        desk.after(23 * HOUR_S - 25).wall_jumps(HOUR_S + 25).count()
        assert desk.left().seconds == pytest.approx(25)


# --- walls that jump ------------------------------------------------------------------------------------------------

jumps = st.floats(-400 * 86_400.0, 400 * 86_400.0)


@given(st.lists(st.tuples(jumps, st.floats(0, 300)), max_size=20))
def test_no_jump_of_the_wall_gives_a_run_more_time(happened: list[tuple[float, float]]):
    desk, ran_s = Desk().switch(1.0), 0.0
    for jump_s, seconds in happened:
        desk.wall_jumps(jump_s).after(seconds).count()
        ran_s += seconds
        assert ran_s - 0.001 <= desk.on_s <= ran_s + 0.1
        assert desk.left().seconds <= max(0.0, 600 - ran_s) + 0.001


@given(st.lists(st.tuples(jumps, st.floats(0, 300)), max_size=20))
def test_no_jump_of_the_wall_shortens_a_pause(happened: list[tuple[float, float]]):
    desk, rested_s = Desk().switch(1.0).after(1).switch(0.0), 0.0
    for jump_s, seconds in happened:
        desk.wall_jumps(jump_s).after(seconds).count()
        rested_s += seconds
        assert desk.off_s <= rested_s + 0.001


@given(st.lists(st.tuples(jumps, st.floats(0, 10 * HOUR_S), st.floats(0, 30)), max_size=25))
def test_jumps_give_no_more_days_than_the_clock_could_have_seen(happened: list[tuple[float, float, float]]):
    """One for the day it begins in, one for the midnight that it may see at any time, one more for each 22 hours."""
    desk, on_s = Desk(DOSER), 0.0
    begun = desk.clock
    for jump_s, pause_s, wish_s in happened:
        desk.wall_jumps(jump_s).after(pause_s)
        run_s = min(wish_s, desk.left().seconds)
        desk.switch(1.0).after(run_s).switch(0.0)
        on_s += run_s
        days = 2 + (desk.clock - begun) / ledger.DAY_S
        assert on_s <= 25 * days + 0.1


def test_a_wall_that_goes_a_day_ahead_and_back_gives_one_allowance():
    desk = Desk(DOSER).switch(1.0).after(25).switch(0.0)
    desk.wall_jumps(86_400).count()
    assert desk.left().seconds == pytest.approx(25)
    desk.switch(1.0).after(25).switch(0.0)
    for jump_s in (-86_400, 86_400, 86_400, -86_400, 10 * 86_400):
        assert desk.wall_jumps(jump_s).count().left().seconds == 0


def test_a_wall_that_stood_in_the_far_future_does_not_close_the_account_for_ever():
    desk = Desk(DOSER).wall_jumps(3650 * 86_400).count().wall_jumps(-3650 * 86_400)
    desk.switch(1.0).after(25).switch(0.0)
    assert desk.after(21 * HOUR_S).count().left().seconds == 0
    assert desk.after(2 * HOUR_S).count().left().seconds == pytest.approx(25)


# --- restarts -------------------------------------------------------------------------------------------------------


def test_what_was_on_may_have_gone_on_being_on_until_its_lease_was_over():
    desk = Desk().switch(1.0).after(100).count()
    desk.restart(desk.account.ledger, gone_s=60)
    assert desk.account.on
    assert desk.on_s == pytest.approx(160)
    desk.restart(desk.account.ledger, gone_s=10_000)
    assert desk.on_s == pytest.approx(160 + UNWATCHED_S)


def test_a_run_that_nothing_ends_counts_over_the_whole_time():
    desk = Desk().switch(1.0).after(100).count()
    desk.restart(desk.account.ledger, gone_s=10_000, unwatched_s=math.inf)
    assert desk.on_s == pytest.approx(10_100)


def test_the_output_of_the_time_that_nobody_saw_counts_as_full():
    desk = Desk(DOSER).switch(0.1).after(10).count()
    desk.restart(desk.account.ledger, gone_s=5)
    assert desk.dose_ml == pytest.approx(2 + 10)


@pytest.mark.parametrize(
    ("unwatched_s", "on_s"), [(UNWATCHED_S, 100 + UNWATCHED_S), (math.inf, 100 + 86_400)]
)
def test_a_wall_that_went_back_over_a_restart_counts_as_all_that_may_have_been(
    unwatched_s: float, on_s: float
):
    desk = Desk().switch(1.0).after(100).count()
    desk.restart(desk.account.ledger, gone_s=-7200, unwatched_s=unwatched_s)
    assert desk.on_s == pytest.approx(on_s)


def test_what_is_found_on_though_its_ledger_says_off_may_have_been_on_since_it_was_written():
    desk = Desk().switch(1.0).after(1).switch(0.0).after(100).count()
    desk.restart(desk.account.ledger, gone_s=60)
    desk.after(5).switch(1.0, found=True)
    assert desk.on_s == pytest.approx(65)
    assert desk.day_s == pytest.approx(66, abs=0.1)


def test_what_may_be_on_already_has_less_left():
    desk = Desk().after(100).count()
    desk.restart(desk.account.ledger, gone_s=60)
    desk.after(5)
    assert desk.left().seconds == pytest.approx(600 - 65)
    desk.switch(1.0)
    assert desk.left().seconds == pytest.approx(600 - 65)
    assert desk.on_s == pytest.approx(65)


def test_an_on_that_never_came_to_be_leaves_the_doubt_that_was_there():
    desk = Desk().after(100).count()
    desk.restart(desk.account.ledger, gone_s=60)
    desk.switch(1.0).after(5)
    desk.account = ledger.undone(desk.account, desk.setup, desk.moment, desk.day)
    assert desk.left().seconds == pytest.approx(600 - 65)


def test_what_is_found_off_has_had_no_run_that_nobody_saw():
    desk = Desk().after(100).count()
    desk.restart(desk.account.ledger, gone_s=60)
    desk.after(5).switch(0.0, found=True).after(5)
    assert desk.left().seconds == pytest.approx(600)
    desk.switch(1.0)
    assert desk.on_s == 0


@pytest.mark.parametrize("gone_s", [-60, 0, 60, 100_000])
def test_a_pause_begins_anew_with_a_restart_since_nobody_knows_what_was_not_written_down(gone_s: float):
    desk = Desk().switch(1.0).after(1).switch(0.0).after(100).count()
    desk.restart(desk.account.ledger, gone_s=gone_s)
    assert desk.off_s == 0
    assert desk.after(30).off_s == pytest.approx(30)


def test_what_was_set_up_this_moment_has_rested_for_long():
    desk = Desk()
    desk.account = ledger.untouched(desk.moment, desk.day)
    assert desk.off_s >= 86_400
    assert desk.left().seconds == pytest.approx(600)


def test_what_this_process_switched_off_before_it_knew_anything_rests_from_then_on():
    desk = Desk().after(100).count()
    desk.restart(desk.account.ledger, gone_s=10_000)
    desk.after(20).switch(0.0)
    assert desk.off_s == 0


def test_a_rest_outlives_a_restart():
    desk = Desk().switch(1.0).after(600).switch(0.0)
    written = msgspec.json.decode(msgspec.json.encode(desk.account.ledger), type=Ledger)
    assert desk.restart(written, gone_s=10).left().why == "rest"


def test_nobody_knows_how_long_an_actuator_without_a_ledger_has_been_off():
    desk = Desk().restart(None)
    assert desk.off_s == 0
    assert desk.left().seconds == pytest.approx(600 - UNWATCHED_S)
    assert desk.switch(0.0, found=True).left().seconds == pytest.approx(600)


def test_a_day_that_begins_with_the_process_is_not_the_midnight_that_it_may_see():
    desk = Desk(DOSER).switch(1.0).after(25).switch(0.0).count()
    desk.restart(desk.account.ledger, gone_s=35 * HOUR_S).switch(0.0, found=True)  # 23:00 of the next day
    assert desk.left().seconds == pytest.approx(25)
    desk.switch(1.0).after(25).switch(0.0)
    assert desk.after(2 * HOUR_S).count().left().seconds == pytest.approx(25)


def test_a_process_that_starts_in_the_past_gets_no_new_day():
    desk = Desk(DOSER).switch(1.0).after(25).switch(0.0).count()
    desk.restart(desk.account.ledger, gone_s=-20_000 * 86_400)  # a Pi without a clock chip wakes up in 1970
    assert desk.left().seconds == 0
    assert desk.after(60).wall_jumps(20_000 * 86_400).count().left().seconds == 0
