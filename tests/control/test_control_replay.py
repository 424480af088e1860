"""What rules would have done with what is stored: when they would have acted, what had run, what the gate had said."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import attrs
import numpy as np
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from replay_rig import (
    DAY_MS,
    FROM_MS,
    NOWHERE,
    SERIES,
    Diary,
    columns,
    pasts,
    replayed,
    rule_lists,
    surroundings,
)
from rules_rig import AIR, HEATER, LAMP, PUMP, SOIL, VALVE, above, below, cold, off, on, rule

from bench import replay as bench
from growy.config import StoreConfig
from growy.control.output_state import Ended, Timing, Transmit
from growy.control.rules import simulation
from growy.control.rules.effects import Effect
from growy.control.rules.replay import MOST_FIRINGS, SLICE_S, ReplayedRule, ReplayReport, replay
from growy.control.rules.simulation import House
from growy.control.switch_effects import SwitchEffect
from growy.control.switchboard import Switchboard
from growy.model.errors import Invalid, StoreError
from growy.model.events import ActuatorResponse
from growy.model.reading import Bus, Columns, Quality, SeriesKey
from growy.model.rules import Always, Channel, Delay, Notify, Rule, Sequence, Step, TimeWindow
from growy.model.time import Moment
from growy.store.store import Store, open_store

MINUTE_MS = 60_000
SAY = Notify(channel=Channel.WEBSOCKET, template="!")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(StoreConfig(), tmp_path / "growy") as one:
        for ref in SERIES:
            key = SeriesKey(ref.esp_id, Bus.GPIO, str(ref.gpio), ref.sensor_type or "")
            assert one.catalog.intern(key, ref.gpio, "", 0) == SERIES[ref]
        yield one


async def play(store: Store, *rules: Rule, minutes: float = 60.0, every: bool = False) -> ReplayReport:
    to_ms = FROM_MS + round(minutes * MINUTE_MS)
    around = surroundings()
    return await replay(rules, store, around, from_ms=FROM_MS, to_ms=to_ms, every_reading=every)


def steady(value: float, minutes: float, start: float = 0.0, series_id: int = 1) -> Columns:
    """A reading every 30 s."""
    at = np.arange(round(start * 60), round((start + minutes) * 60), 30)
    return columns([(series_id, int(second) * 1000, value, Quality.GOOD) for second in at])


def minutes(one: ReplayedRule) -> list[tuple[float, float]]:
    return [((begin - FROM_MS) / MINUTE_MS, (end - FROM_MS) / MINUTE_MS) for begin, end in one.firings]


# --- rules --------------------------------------------------------------------------------------------------------


async def test_a_level_fires_for_as_long_as_the_rule_holds(store: Store):
    await store.commit(
        Columns.concat([steady(17.0, 10.0), steady(21.0, 10.0, 10.0), steady(17.0, 10.0, 20.0)])
    )
    report = await play(store, rule(cold(18.0, 20.0), on(LAMP)), minutes=30.0)

    (one,) = report.rules
    assert minutes(one) == [(0.0, 10.0), (20.0, 30.0)]
    assert (one.executions, one.held_s, one.unknown_s, one.truncated) == (2, 1200.0, 0.0, False)
    assert report.readings == 60
    assert report.shown <= 4


async def test_a_sensor_that_is_silent_makes_the_rule_unknown(store: Store):
    await store.commit(steady(17.0, 10.0, 5.0))
    (one,) = (await play(store, rule(cold(18.0, 20.0), on(LAMP)), minutes=30.0)).rules

    assert one.held_s == pytest.approx(9.5 * 60 + 90, abs=0.01)
    assert one.unknown_s == pytest.approx(30 * 60 - one.held_s, abs=0.01)


async def test_pulses_fire_each_for_itself(store: Store):
    await store.commit(steady(17.0, 10.0))
    (one,) = (await play(store, rule(below(18.0), on(PUMP, 5.0), cooldown_s=180.0), minutes=10.0)).rules

    assert one.executions == 4
    assert [end - begin for begin, end in one.firings] == [5000] * 4
    assert [round((begin - FROM_MS) / 1000) for begin, _ in one.firings] == [0, 180, 360, 540]


async def test_a_notification_fires_for_a_moment_and_a_sequence_until_it_is_over(store: Store):
    await store.commit(steady(17.0, 10.0))
    steps = Sequence(
        steps=(Step(action=on(VALVE)), Step(delay_s=20.0), Step(action=on(LAMP, 30.0, value=0.5)))
    )
    rules = [
        rule(below(18.0), SAY, id="a"),
        rule(below(18.0), steps, id="b", cooldown_s=3600.0),
        rule(below(18.0), SAY, Delay(seconds=60.0), SAY, id="c", cooldown_s=3600.0),
    ]
    report = await play(store, *rules, minutes=10.0)

    lasted = [[(end - begin) / 1000 for begin, end in one.firings] for one in report.rules]
    assert lasted == [[0.0], [50.0], [60.0]]


async def test_firings_are_kept_up_to_a_limit_and_counted_beyond_it(store: Store):
    await store.commit(
        Columns.concat([steady(17.0 + 4 * (number % 2), 0.5, number / 2) for number in range(2400)])
    )
    (one,) = (await play(store, rule(below(18.0), SAY), minutes=1200.0)).rules

    assert one.executions == 1200
    assert one.truncated
    assert len(one.firings) == MOST_FIRINGS
    assert minutes(one)[:2] == [(0.0, 0.0), (1.0, 1.0)]


async def test_a_rule_that_is_not_stored_has_no_id_and_a_disabled_one_is_replayed(store: Store):
    await store.commit(steady(17.0, 5.0))
    rules = [rule(below(18.0), SAY, id="kept", enabled=False), rule(below(18.0), SAY, id="new")]
    report = await replay(
        rules,
        store,
        surroundings(),
        from_ms=FROM_MS,
        to_ms=FROM_MS + 5 * MINUTE_MS,
        stored=frozenset({"kept"}),
    )

    assert [(one.rule_id, one.executions) for one in report.rules] == [("kept", 1), ("", 1)]


async def test_time_goes_on_without_readings(store: Store):
    window = TimeWindow(start_min=14 * 60 + 30, end_min=15 * 60)
    report = await play(store, rule(window, on(LAMP)), minutes=120.0)

    assert [
        (begin % DAY_MS // MINUTE_MS, end % DAY_MS // MINUTE_MS) for begin, end in report.rules[0].firings
    ] == [(870, 900)]
    assert report.readings == 0


# --- actuators and the gate ---------------------------------------------------------------------------------------


async def test_how_long_and_how_often_an_actuator_would_have_run(store: Store):
    await store.commit(Columns.concat([steady(17.0, 3.0), steady(21.0, 3.0, 3.0), steady(17.0, 2.0, 6.0)]))
    report = await play(store, rule(cold(18.0, 20.0), on(LAMP, value=0.5)), minutes=8.0)

    (lamp,) = report.actuators
    assert (lamp.esp_id, lamp.gpio, lamp.on_s, lamp.cycles) == (LAMP.esp_id, LAMP.gpio, 300.0, 2)
    assert lamp.refusals == {}


async def test_the_limit_of_a_run_its_rest_and_the_cooldown_are_kept(store: Store):
    await store.commit(steady(17.0, 10.0))
    report = await play(store, rule(below(18.0), on(HEATER)), minutes=10.0)

    (heater,) = report.actuators
    # 120 s on, then a rest of 60 s, which is longer than its cool-down.
    assert heater.on_s == pytest.approx(420.0, abs=1.0)
    assert heater.cycles == 4
    assert set(heater.refusals) == {"MAX_RUNTIME", "COOLDOWN"}


async def test_the_budget_of_a_day_is_kept(store: Store):
    await store.commit(steady(17.0, 30.0))
    valve = rule(Always(), on(VALVE), id="valve")
    report = await play(store, rule(below(18.0), on(PUMP, 20.0), cooldown_s=60.0), valve, minutes=30.0)

    pump = report.actuators[0]
    assert pump.on_s == pytest.approx(90.0, abs=1.5)
    assert pump.refusals["MAX_RUNTIME"] > 0


async def test_interlocks_are_kept(store: Store):
    await store.commit(Columns.concat([steady(17.0, 3.0), steady(17.0, 1.0, 1.0, series_id=2)]))
    first = rule(below(18.0, SOIL), on(LAMP), id="lamp")
    second = rule(below(18.0), on(HEATER), id="heater", cooldown_s=3600.0)
    report = await play(store, attrs.evolve(first, actions=(on(LAMP, value=0.5),)), second, minutes=3.0)

    by_pin = {(one.esp_id, one.gpio): one for one in report.actuators}
    assert by_pin[HEATER].on_s == pytest.approx(120.0, abs=1.0)
    assert by_pin[LAMP].refusals["INTERLOCK"] == 1
    # From the end of the heater's longest run until its own sensor is stale.
    assert by_pin[LAMP].on_s == pytest.approx(60.0, abs=1.0)


async def test_what_needs_another_goes_off_with_it(store: Store):
    await store.commit(Columns.concat([steady(17.0, 4.0), steady(17.0, 1.0, series_id=2)]))
    needed, needing = rule(below(18.0, SOIL), on(VALVE), id="a"), rule(below(18.0), on(PUMP), id="b")
    report = await play(store, needed, needing, minutes=4.0)

    by_pin = {(one.esp_id, one.gpio): one for one in report.actuators}
    assert by_pin[VALVE].on_s == pytest.approx(30 + 90, abs=0.1)
    assert by_pin[PUMP].on_s == pytest.approx(by_pin[VALVE].on_s, abs=30.1)
    assert by_pin[PUMP].refusals["INTERLOCK"] >= 1


async def test_an_actuator_that_is_not_set_up_is_refused_and_runs_never(store: Store):
    await store.commit(steady(17.0, 5.0))
    report = await play(store, rule(below(18.0), on(NOWHERE)), minutes=5.0)

    (one,) = report.actuators
    assert (one.on_s, one.cycles, one.refusals) == (0.0, 0, {"DEVICE_NOT_APPROVED": 1})
    assert report.rules[0].executions == 1


async def test_rules_contend_for_an_actuator_as_they_do_in_the_house(store: Store):
    await store.commit(steady(17.0, 5.0))
    wants = rule(below(18.0), on(LAMP, value=0.5), id="a", priority=50)
    forbids = rule(below(18.0), off(LAMP), id="b", priority=10)
    report = await play(store, wants, forbids, minutes=5.0)

    assert report.actuators[0].on_s == 0.0
    assert [one.held_s for one in report.rules] == [300.0, 300.0]


class Answered(House):
    """The same house with the real machine of outputs, and devices that answer every command at once."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)

    def _follows(self, effect: Effect | SwitchEffect, now: Moment) -> object:
        match effect:
            case Transmit(command):
                key = command.actuator
                answer = ActuatorResponse(
                    gpio=key.gpio, command=command.verb.value, success=True, correlation_id=command.id
                )
                return self._board.response(key, answer, now)
            case Ended(command):
                return self._engine.command_ended(command, now)
            case _:
                return super()._follows(effect, now)


async def test_devices_that_obey_at_once_are_the_machine_of_outputs_with_answers_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    await bench.fill(store, 1)
    rules, around = bench.rules_of(20), bench.around(store)

    async def one() -> ReplayReport:
        to_ms = bench.START_MS + bench.DAY_MS
        return await replay(rules, store, around, from_ms=bench.START_MS, to_ms=to_ms)

    obeying = await one()
    limits = around.limits

    def real(given: object, basis_good: object) -> Switchboard:
        return Switchboard(
            Timing(adopt_s=0.0),
            max_runtime_s=limits.max_runtime_s,
            max_switches=limits.max_switches,
            basis_good=basis_good,
            day_of=limits.day_of,
            prefix="r",
        )

    monkeypatch.setattr(simulation, "_Board", real)
    monkeypatch.setattr("growy.control.rules.replay.House", Answered)
    real_machine = await one()

    assert sum(actuator.cycles for actuator in obeying.actuators) > 50
    assert {code for actuator in obeying.actuators for code in actuator.refusals} >= {
        "MAX_RUNTIME",
        "COOLDOWN",
    }
    assert obeying.actuators == real_machine.actuators
    assert obeying.rules == real_machine.rules


# --- the past -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sealed", [False, True])
async def test_the_past_is_read_from_chunks_and_from_what_is_not_sealed_yet(store: Store, sealed: bool):
    await store.commit(steady(17.0, 30.0))
    if sealed:
        await store.seal()
    await store.commit(steady(21.0, 30.0, 30.0))
    report = await play(store, rule(below(18.0), on(LAMP)))

    assert report.readings == 120
    assert minutes(report.rules[0]) == [(0.0, 30.0)]


async def test_only_what_was_received_in_the_time_counts(store: Store):
    await store.commit(columns([(1, at * 1000, 17.0, Quality.GOOD) for at in (-1, 0, 59, 60, 61)]))
    report = await play(store, rule(below(18.0), on(LAMP)), minutes=1.0)

    assert report.readings == 2


async def test_readings_come_when_they_were_received_not_when_they_were_measured(store: Store):
    past = columns(
        [(1, 0, 21.0, Quality.GOOD), (1, 30_000, 21.0, Quality.GOOD), (1, 60_000, 17.0, Quality.GOOD)]
    )
    # Measured in the first second by a device that was cut off, and by one whose clock is ahead.
    past.ts_ms = past.ts_ms + np.array([0, 200_000, -59_000])
    await store.commit(past)
    (one,) = (await play(store, rule(below(18.0), on(LAMP)), minutes=2.0)).rules

    assert minutes(one) == [(1.0, 2.0)]


async def test_a_past_of_many_pieces_is_one_past(store: Store):
    random = np.random.default_rng(3)
    at = np.sort(random.integers(0, 3 * DAY_MS, 4000))
    late = random.integers(-250_000, 3_600_000, 4000)
    past = columns([(int(one % 3) + 1, int(ms), float(one % 29), Quality.GOOD) for one, ms in enumerate(at)])
    past.ts_ms = past.ts_ms - late
    for part in np.array_split(np.arange(len(past)), 5):
        await store.commit(past.take(part))
        await store.seal()
    rules = [
        rule(cold(8.0, 20.0), on(LAMP, value=0.5), id="a"),
        rule(above(20.0, SOIL), on(VALVE, 5.0), id="b"),
    ]
    report = await play(store, *rules, minutes=3 * 1440)

    wanted = past.take(np.isin(past.series, [1, 2]) & (past.ts_ms >= FROM_MS - 600_000))
    diary = replayed(rules, wanted, every=True, end_s=3 * 86_400.0)
    assert report.readings == len(wanted)
    assert [one.executions for one in report.rules] == [one.executions for one in diary.rules.values()]
    assert [one.held_s for one in report.rules] == pytest.approx([one.held_s for one in diary.rules.values()])
    assert {(one.esp_id, one.gpio): one.cycles for one in report.actuators} == {
        key: one.cycles for key, one in diary.actuators.items()
    }


async def test_a_clock_of_ours_that_was_set_back_does_not_stop_the_replay(store: Store):
    past = steady(17.0, 60.0)
    past.rx_ms = past.rx_ms - np.where(np.arange(len(past)) >= 60, 20 * MINUTE_MS, 0)
    await store.commit(past)
    report = await play(store, rule(below(18.0), on(LAMP)))

    assert report.readings == 120
    assert report.rules[0].executions == 1


class Counting:
    """The store, and how much was asked of it at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.sizes: list[int] = []

    async def received(self, series_ids: Collection[int], start_ms: int, end_ms: int) -> Columns:
        found = await self._store.received(series_ids, start_ms, end_ms)
        self.sizes.append(len(found))
        return found


async def test_a_long_past_is_never_in_memory_as_a_whole(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("growy.control.rules.replay.PIECE_READINGS", 2000)
    seconds = np.arange(0, 8 * 3600)
    await store.commit(columns([(1, int(at) * 1000, float(at % 40), Quality.GOOD) for at in seconds]))
    counting = Counting(store)
    report = await replay(
        [rule(above(20.0), SAY)],
        counting,  # type: ignore[arg-type]
        surroundings(),
        from_ms=FROM_MS,
        to_ms=FROM_MS + 8 * 3_600_000,
    )

    assert report.readings == len(seconds)
    assert max(counting.sizes) <= 4000
    assert len(counting.sizes) < 100


@pytest.mark.parametrize("long_ms", [0, -1, 367 * DAY_MS])
async def test_a_time_that_is_none_is_refused(store: Store, long_ms: int):
    with pytest.raises(Invalid):
        await replay([rule()], store, surroundings(), from_ms=FROM_MS, to_ms=FROM_MS + long_ms)


async def test_a_damaged_past_is_an_error_and_not_half_an_answer(store: Store):
    class Damaged(Counting):
        async def received(self, series_ids: Collection[int], start_ms: int, end_ms: int) -> Columns:
            if end_ms > FROM_MS + 10 * MINUTE_MS:
                raise StoreError("a block of readings is damaged")
            return await super().received(series_ids, start_ms, end_ms)

    await store.commit(steady(17.0, 60.0))
    with pytest.raises(StoreError, match="damaged"):
        await play(Damaged(store), rule(below(18.0), SAY))  # type: ignore[arg-type]


# --- beside everything else ---------------------------------------------------------------------------------------


async def test_nothing_waits_longer_than_a_slice_for_a_replay(store: Store):
    await bench.fill(store, 2)
    rules, around = bench.rules_of(20), bench.around(store)
    held_up: list[float] = []

    async def other() -> None:
        while True:
            before = time.thread_time()
            await trio.lowlevel.checkpoint()
            held_up.append(time.thread_time() - before)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        report = await replay(
            rules, store, around, from_ms=bench.START_MS, to_ms=bench.START_MS + 2 * bench.DAY_MS
        )
        nursery.cancel_scope.cancel()

    # What the replay computes between two turns of the other task, whoever else has the processor.
    assert report.rules[0].executions > 0
    assert len(held_up) > 100
    assert np.percentile(held_up, 99) < SLICE_S + 0.004
    assert max(held_up) < 0.05


async def test_a_replay_can_be_given_up(store: Store):
    await bench.fill(store, 2)
    rules, around = bench.rules_of(20), bench.around(store)
    with trio.move_on_after(0.1) as given_up:
        await replay(rules, store, around, from_ms=bench.START_MS, to_ms=bench.START_MS + 2 * bench.DAY_MS)
    assert given_up.cancelled_caught
    assert (await store.query(1, bench.START_MS, bench.START_MS + 3_600_000)).readings is not None


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(rule_lists, pasts())
def test_what_is_counted_adds_up(rules: list[Rule], past: Columns):
    numbered = [attrs.evolve(one, id=f"r{number}") for number, one in enumerate(rules)]
    diary: Diary = replayed(numbered, past, diary=Diary(numbered, most=5))
    long_s = float(past.rx_ms.max() - FROM_MS) / 1000 + 400.0 if len(past) else 400.0

    for tally in diary.rules.values():
        assert 0.0 <= tally.held_s + tally.unknown_s <= long_s + 0.001
        assert len(tally.firings) == min(5, tally.executions)
        assert all(0.0 <= begin <= end <= long_s for begin, end in tally.firings)
        assert [begin for begin, _ in tally.firings] == sorted(begin for begin, _ in tally.firings)
    for one in diary.actuators.values():
        assert 0.0 <= one.on_s <= long_s
        assert one.on_s == 0.0 or one.cycles > 0


async def test_a_rule_that_always_holds_begins_with_the_replay(store: Store):
    report = await play(store, rule(Always(), on(LAMP, value=0.5)), minutes=2.0)
    assert minutes(report.rules[0]) == [(0.0, 2.0)]
    assert AIR not in {one.name for one in report.rules}


async def test_a_step_takes_an_actuator_over_from_an_earlier_one_without_a_break(store: Store):
    await store.commit(steady(17.0, 5.0))
    steps = Sequence(
        steps=(
            Step(action=on(LAMP, value=0.25)),
            Step(delay_s=10.0),
            Step(action=on(LAMP, value=0.75)),
            Step(delay_s=10.0),
            Step(action=off(LAMP)),
            Step(action=on(VALVE, 5.0)),
        )
    )
    rules = [rule(below(18.0), steps, cooldown_s=3600.0)]
    diary = replayed(rules, steady(17.0, 5.0), every=True, end_s=300.0)
    report = await play(store, *rules, minutes=5.0)

    ended = [line for line in diary.lines if line[1] == "execution" and line[3] is not None]
    assert [line[4] for line in ended] == [["acknowledged"]]
    by_pin = {(one.esp_id, one.gpio): (one.on_s, one.cycles) for one in report.actuators}
    assert by_pin == {LAMP: (20.0, 1), VALVE: (5.0, 1)}
