"""An actuator's account: how long it has been on and off, how long and how much today, how long it may still run. Pure.

It must never come out at less run time than there was. So:

* Within one process durations are the clock's, never the wall's: `Account` is a `Ledger` and the clock at which it was
  counted. A wall that is set forward or back changes neither a run nor a pause.
* A day's account is closed when a later day begins, once in a process at any time; after that only when `DAY_S` by the
  clock have gone by since the last was closed. So a wall that jumps to another day and back gives one more day's
  allowance, as a midnight does. A day before the one on the account is believed after `DAY_S` by the clock.
* Over a restart there is only the wall, and the last writing may be missing. What was on may have gone on being on, and
  what was off may have been switched on, until the lease of what was sent last was over: two leases and the way, since
  whoever keeps the ledger writes it with every command that keeps an actuator on. `opened` is told how long that is
  (`unwatched_s`); infinity where nothing ends a run: a PWM between its value and its lease, firmware without a lease. A
  wall that went backwards over the restart counts as all of it. As long as nobody knows better, what may have been on
  counts as run. A pause begins anew: nothing tells that there was not a run in it whose writing is missing.
* A run that has used up the limit of a run is followed by a rest, or the limit would only be a blink: a tenth of the
  limit, 60 to 600 s.

What is assumed comes off the day's allowance too. At worst a restart that lost a writing gives away `unwatched_s`.
"""

from __future__ import annotations

import math

import attrs
import msgspec

from growy.model.control import FULL, OFF, Ledger
from growy.model.setup import ActuatorSetup
from growy.model.time import Moment

DAY_S = 22 * 3600.0
"""The shortest day has 23 hours, and clocks are corrected by some minutes."""
REST_SHARE = 0.1
MIN_REST_S = 60.0
MAX_REST_S = 600.0
UNKNOWN_S = 86_400.0
"""What an unknown, endless time counts for: the longest run that there may be."""
LEAST_S = 1.0
"""The firmware counts whole seconds: with less than one left nothing may run."""


@attrs.frozen(slots=True)
class Day:
    """A day of the Pi's local time. Whoever has the time zone makes it."""

    name: str
    """ISO date."""
    ends_ms: int
    """When the next begins, Unix ms."""


@attrs.frozen(slots=True)
class Account:
    """A ledger, and the clock at which it was counted (`as_of_ms` by the wall)."""

    ledger: Ledger
    clock: float
    rolled_at: float = -math.inf
    """When a day was closed last in this process; minus infinity: none was."""
    opened_at: float = -math.inf
    """When this process began to count."""
    doubt_s: float = 0.0
    """As long as nobody knows that it is off, though the ledger says so: for how long it may have been on when the
    account was opened."""
    before: Account | None = None
    """As it was before it was switched on: for an ON that never came to be."""

    @property
    def on(self) -> bool:
        return self.ledger.on_since_ms is not None


@attrs.frozen(slots=True)
class Left:
    """How long an actuator may still run."""

    seconds: float
    """0 or more; infinity never, since every run has a limit."""
    why: str = ""
    """What ends it: `run`, `rest`, `day` or `dose`."""
    again_at: float = math.inf
    """If there is nothing left: when there is again, by the clock."""


# --- the account's life -------------------------------------------------------------------------------------------


def opened(
    ledger: Ledger | None, setup: ActuatorSetup | None, moment: Moment, day: Day, unwatched_s: float
) -> Account:
    """The account at the start of the process.

    Args:
        ledger: as it stands in growy.db; None: there is none, and nobody knows how long it has been off.
        unwatched_s: how long it may have been on after `as_of_ms` without anything that stands in the ledger.
    """
    if ledger is None:
        fresh = Ledger(as_of_ms=moment.wall_ms, off_since_ms=moment.wall_ms, day=day.name)
        return Account(fresh, moment.clock, opened_at=moment.clock, doubt_s=unwatched_s)
    gone_s = (moment.wall_ms - ledger.as_of_ms) / 1000
    maybe_s = unwatched_s if gone_s < 0 else min(unwatched_s, gone_s)
    account = Account(ledger, moment.clock, opened_at=moment.clock)
    if account.on:
        # The lost writing may have raised its output.
        full = msgspec.structs.replace(ledger, value=FULL)
        ledger = _accrued(full, setup, _finite(maybe_s))
    else:
        # A lost writing may have been a run that is over only now.
        ledger = msgspec.structs.replace(ledger, rest_ms=0)
        account = attrs.evolve(account, doubt_s=maybe_s)
    # The day that begins with the process is not the one midnight that it may see at any time.
    return attrs.evolve(
        counted(attrs.evolve(account, ledger=ledger), setup, moment, day), rolled_at=-math.inf
    )


def untouched(moment: Moment, day: Day) -> Account:
    """Of an actuator that was set up this moment, and that nobody can have switched: it has rested for ever."""
    fresh = Ledger(as_of_ms=moment.wall_ms, day=day.name, rest_ms=round(UNKNOWN_S * 1000))
    return Account(fresh, moment.clock, opened_at=moment.clock)


def counted(account: Account, setup: ActuatorSetup | None, moment: Moment, day: Day) -> Account:
    """The account as of now. Time over a midnight counts for the new day."""
    elapsed_s = max(0.0, moment.clock - account.clock)
    ledger = account.ledger
    rolled_at = account.rolled_at
    if _new_day(account, moment, day):
        ledger = msgspec.structs.replace(ledger, day=day.name, day_on_ms=0, day_dose_ml=0.0)
        rolled_at = moment.clock
    if ledger.on_since_ms is not None:
        ledger = _accrued(ledger, setup, elapsed_s)
        ledger = msgspec.structs.replace(ledger, as_of_ms=moment.wall_ms)
    else:
        rest_ms = ledger.rest_ms + _floor_ms(elapsed_s)
        ledger = msgspec.structs.replace(ledger, rest_ms=rest_ms, as_of_ms=moment.wall_ms)
    clock = max(account.clock, moment.clock)
    # Not attrs.evolve, which takes four times as long: this is done at every switching, in replays 40,000 times.
    return Account(ledger, clock, rolled_at, account.opened_at, account.doubt_s, account.before)


def switched(
    account: Account,
    value: float,
    setup: ActuatorSetup | None,
    moment: Moment,
    day: Day,
    max_runtime_s: float,
    *,
    found: bool = False,
) -> Account:
    """It has, from now on, at most this output.

    Args:
        value: 0 to 1.
        max_runtime_s: limit of a run where the setup has none.
        found: it was found off, and not switched off by this process.
    """
    account = counted(account, setup, moment, day)
    ledger = account.ledger
    if value > OFF and not account.on:
        doubt_s = _doubt_s(account, moment)
        ledger = msgspec.structs.replace(
            ledger,
            on_since_ms=moment.wall_ms - _ceil_ms(doubt_s),
            value=FULL,
            run_ms=0,
            rest_ms=0,
            spent=False,
        )
        ledger = msgspec.structs.replace(_accrued(ledger, setup, doubt_s), value=value)
        return _as(account, ledger, before=account)
    if value > OFF:
        return _as(
            account, msgspec.structs.replace(ledger, value=value), account.doubt_s, before=account.before
        )
    if not account.on:
        if account.doubt_s > 0 and not found:
            # It was switched off now, and may have been on until then.
            ledger = msgspec.structs.replace(ledger, rest_ms=0)
        return _as(account, ledger)
    spent = _limit_s(setup, max_runtime_s) - ledger.run_ms / 1000 < LEAST_S
    ledger = msgspec.structs.replace(
        ledger, on_since_ms=None, off_since_ms=moment.wall_ms, value=OFF, rest_ms=0, spent=spent
    )
    return _as(account, ledger)


def _as(account: Account, ledger: Ledger, doubt_s: float = 0.0, before: Account | None = None) -> Account:
    """The account with that ledger. Not attrs.evolve, as above."""
    return Account(ledger, account.clock, account.rolled_at, account.opened_at, doubt_s, before)


def undone(account: Account, setup: ActuatorSetup | None, moment: Moment, day: Day) -> Account:
    """The ON with which it was last switched on never came to be: as if it had not been sent."""
    if account.before is None:
        raise ValueError("there is nothing to undo: it was not switched on")
    return counted(attrs.evolve(account.before, rolled_at=account.rolled_at), setup, moment, day)


# --- questions ----------------------------------------------------------------------------------------------------


def on_for_s(account: Account, moment: Moment) -> float:
    """How long it has been on without a break, seconds; 0 while it is off."""
    return account.ledger.run_ms / 1000 + _since(account, moment) if account.on else 0.0


def off_for_s(account: Account, moment: Moment) -> float:
    """How long it has been off without a break, seconds; 0 while it is on."""
    return 0.0 if account.on else account.ledger.rest_ms / 1000 + _since(account, moment)


def day_on_s(account: Account, moment: Moment, day: Day) -> float:
    """How long it has been on today, seconds."""
    before = 0.0 if _new_day(account, moment, day) else account.ledger.day_on_ms / 1000
    return before + (_since(account, moment) if account.on else 0.0)


def dose_ml(account: Account, setup: ActuatorSetup | None, moment: Moment, day: Day) -> float:
    """What it has delivered today, millilitres, as far as its setup says what it delivers in a second."""
    before = 0.0 if _new_day(account, moment, day) else account.ledger.day_dose_ml
    return before + (_rate(setup) * account.ledger.value * _since(account, moment) if account.on else 0.0)


def left(
    account: Account,
    setup: ActuatorSetup | None,
    value: float,
    moment: Moment,
    day: Day,
    max_runtime_s: float,
) -> Left:
    """How long it may run from now on at that output: the least of what the run, the day and the dose leave. If it may
    be on already, though the ledger says that it is off, that counts.

    Args:
        value: 0 to 1.
        max_runtime_s: limit of a run where the setup has none.
    """
    limit_s = _limit_s(setup, max_runtime_s)
    if account.ledger.spent and not account.on:
        rest_s = min(MAX_REST_S, max(MIN_REST_S, limit_s * REST_SHARE)) - off_for_s(account, moment)
        if rest_s > 0:
            return Left(0.0, "rest", moment.clock + rest_s)
    doubt_s = 0.0 if account.on else _doubt_s(account, moment)
    least = Left(limit_s - on_for_s(account, moment) - doubt_s, "run")
    if setup is not None and setup.max_runtime_day_s is not None:
        day_s = setup.max_runtime_day_s - day_on_s(account, moment, day) - doubt_s
        if day_s < least.seconds:
            least = Left(day_s, "day", moment.clock_of(day.ends_ms))
    if setup is not None and setup.dose_budget_ml is not None and (rate := _rate(setup) * value) > 0:
        delivered_ml = dose_ml(account, setup, moment, day) + _rate(setup) * doubt_s
        dose_s = (setup.dose_budget_ml - delivered_ml) / rate
        if dose_s < least.seconds:
            least = Left(dose_s, "dose", moment.clock_of(day.ends_ms))
    return least if least.seconds >= 0 else attrs.evolve(least, seconds=0.0)


# --- inside -------------------------------------------------------------------------------------------------------


def _new_day(account: Account, moment: Moment, day: Day) -> bool:
    """Whether the day on the account is over."""
    written = account.ledger.day
    if day.name == written:
        return False
    if day.name > written and account.rolled_at == -math.inf:
        return True
    return moment.clock - max(account.rolled_at, account.opened_at) >= DAY_S


def _accrued(ledger: Ledger, setup: ActuatorSetup | None, seconds: float) -> Ledger:
    if seconds <= 0:
        return ledger
    more_ms = _ceil_ms(seconds)
    return msgspec.structs.replace(
        ledger,
        run_ms=ledger.run_ms + more_ms,
        day_on_ms=ledger.day_on_ms + more_ms,
        day_dose_ml=ledger.day_dose_ml + _rate(setup) * ledger.value * seconds,
    )


def _limit_s(setup: ActuatorSetup | None, max_runtime_s: float) -> float:
    if setup is None or setup.max_runtime_s is None:
        return max_runtime_s
    return setup.max_runtime_s


def _rate(setup: ActuatorSetup | None) -> float:
    return 0.0 if setup is None or setup.dose_ml_per_s is None else setup.dose_ml_per_s


def _since(account: Account, moment: Moment) -> float:
    return max(0.0, moment.clock - account.clock)


def _doubt_s(account: Account, moment: Moment) -> float:
    """For how long it may have been on by now, though the ledger says that it is off."""
    if not account.doubt_s:
        return 0.0
    return _finite(account.doubt_s) + max(0.0, moment.clock - account.opened_at)


def _finite(seconds: float) -> float:
    return seconds if seconds < math.inf else UNKNOWN_S


def _ceil_ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)


def _floor_ms(seconds: float) -> int:
    return math.floor(seconds * 1000)
