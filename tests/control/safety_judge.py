"""What must hold of control, judged by the truth: by what current flows at the devices, which claims live, which stops
are in force. Never by what growyd believes, and without asking the gate.

What a network can do cannot be undone by growyd, so three things have a margin, and only these:

* a run may be longer than its limit by what a command may be late (`LATE_S`), and by the time in which an output had
  no lease and nobody could reach it: that is a PWM between its value and its lease, and nothing else;
* a day's allowance may be exceeded by as much, and by what a restart cannot know of if the last writing was lost;
* `requires` may be violated until a message and a lease are over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safety_devices import ACTUATORS, COOLER, FAN, HEATER, INTERLOCKS, MIST, SETUPS, TIMING, limit_s

from growy.model.control import ActuatorKey, Command, InterlockKind, Verb
from growy.model.setup import ActuatorKind

if TYPE_CHECKING:
    from safety_rig import World

LATE_S = TIMING.late_s
SLACK_S = 2.0
"""For the devices' timers, which growyd's are not."""
MOMENT_S = 0.01
"""A sensor that goes stale is seen with the next tick."""
STEP = 0.003
"""Of an output of 8 bits."""


def judge(world: World, command: Command) -> None:
    """A command is being sent."""
    key = command.actuator
    assert key in SETUPS
    assert command.duration_s == 0 or command.verb is Verb.ON
    if command.value == 0:
        assert command.verb is Verb.OFF or (command.verb is Verb.PWM and SETUPS[key].inverted_logic)
        return
    assert not any(stop.covers(key) for stop in world.stops.values()), "a stop is in force"
    setup, view = SETUPS[key], world.views[key.esp_id]
    assert view.approved
    assert view.online
    assert view.ready or world.now >= view.ready_at
    assert world.enabled[key]
    if command.verb is Verb.ON:
        assert 1 <= command.duration_s <= TIMING.lease_s
    if setup.kind is ActuatorKind.PWM:
        assert setup.min_value - STEP <= command.value <= setup.max_value + STEP
        if command.verb is Verb.ON:
            # It would go to full, if it were off.
            fan = world.truth(key)
            assert fan.on or world.now - fan.changed_at <= 2 * LATE_S, "its lease would switch it on"
    else:
        assert command.verb is Verb.ON
    _judge_claim(world, command)
    _judge_time(world, command)
    _judge_partners(world, key)


def _judge_claim(world: World, command: Command) -> None:
    live = [
        (claim.rank, claim.priority, claim.holder)
        for (_, key), claim in world.claims.items()
        if key == command.actuator and claim.until > world.now
    ]
    mine = world.claims.get((command.holder, command.actuator))
    assert mine is not None, "nobody claims it"
    assert mine.until > world.now, "the claim has ended"
    assert mine.value > 0
    assert all(world.fresh(series, world.now) for series in mine.basis), "its sensor is stale"
    for rank, priority, holder in live:
        higher = (rank, priority, holder) < (mine.rank, mine.priority, mine.holder)
        assert not higher or (holder, command.actuator) in world.lapsed, f"{holder} goes before"


def _judge_time(world: World, command: Command) -> None:
    key, now = command.actuator, world.now
    setup, truth = SETUPS[key], world.truth(key)
    run_s = now - truth.changed_at - truth.excused_s if truth.on and not truth.by_boot else 0.0
    assert run_s + max(1, command.duration_s) <= limit_s(key) + 0.01, "it would run for too long"
    told = world.told_off.get(key, -1.0) >= truth.changed_at
    if told and not truth.on:
        assert now - truth.changed_at >= setup.cooldown_s - 0.01, "it has not rested"
    assert total_s(world, key) + 1 <= _day_s(world, key), "its day is over"


def _judge_partners(world: World, key: ActuatorKey) -> None:
    for one in INTERLOCKS:
        if one.kind is InterlockKind.EXCLUSIVE and key in (one.a, one.b):
            partner = one.b if key == one.a else one.a
            assert not world.truth(partner).on, f"{partner} is on"
            for _, command, _ in world.devices[partner.esp_id].inbox:
                will_be_on = command is not None and command.actuator == partner and command.value > 0
                assert not will_be_on, f"{partner} will be on"
        elif one.kind is InterlockKind.REQUIRES and key == one.b:
            needed = world.truth(one.a)
            assert needed.on or world.now - needed.changed_at <= LATE_S + TIMING.lease_s


def look(world: World) -> None:
    """What must hold at any time."""
    now = world.now
    for key in ACTUATORS:
        truth = world.truth(key)
        if not truth.on or truth.by_boot:
            continue
        run_s = now - truth.changed_at - truth.excused_s
        assert run_s <= limit_s(key) + LATE_S + SLACK_S, f"{key} runs for too long"
        assert total_s(world, key) <= _day_s(world, key), f"{key} runs for too long in a day"
        if SETUPS[key].kind is not ActuatorKind.PWM:
            assert not world.devices[key.esp_id].leaseless(key.gpio), f"{key} is on without an end"
    assert not (world.truth(HEATER).on and world.truth(COOLER).on), "both are on"
    if world.truth(MIST).on and not world.truth(FAN).on:
        since = world.alone_since = min(world.alone_since, now)
        assert now - since <= TIMING.lease_s + LATE_S + SLACK_S, "mist without the fan"
    else:
        world.alone_since = float("inf")
    for key in ACTUATORS if world.growyd is not None else ():
        output = world.growyd.output(key)
        if output is None or output.want.value == 0:
            continue
        claim = world.claims.get((output.want.holder, key))
        assert claim is not None, "it is wanted by a claim that there is not"
        assert claim.until > now, "it is wanted by a claim that has ended"
        assert all(world.fresh(series, now - MOMENT_S) for series in claim.basis), (
            "it is wanted on a stale sensor"
        )
        assert not any(stop.covers(key) for stop in world.stops.values()), "it is wanted under a stop"


def total_s(world: World, key: ActuatorKey) -> float:
    truth = world.truth(key)
    return truth.total_s + (world.now - truth.changed_at if truth.on and not truth.by_boot else 0.0)


def _day_s(world: World, key: ActuatorKey) -> float:
    """Seconds on since the world began: a day's for each day that could begin, and the margins."""
    setup = SETUPS[key]
    allowed_s = float("inf")
    if setup.max_runtime_day_s is not None:
        allowed_s = setup.max_runtime_day_s
    if setup.dose_budget_ml is not None and setup.dose_ml_per_s is not None:
        allowed_s = min(allowed_s, setup.dose_budget_ml / setup.dose_ml_per_s)
    return world.days * (allowed_s + LATE_S) + world.kills * (2 * TIMING.lease_s + LATE_S + SLACK_S)
