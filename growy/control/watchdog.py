"""Sees to it that growyd never stands still and looks alive: deadlines of its critical parts, and an end with a reason.

A part stamps (`beat`) whenever it has been round. While all stamps are fresh systemd is told so; when one is not, it
hears nothing, and starts growyd anew after its `WatchdogSec`. Without systemd growyd ends itself after the same time.
If trio itself stands still nobody is left to say anything: a thread outside it writes down where every thread stands,
and ends the process. Actuators are safe meanwhile: what is on has a duration, and goes off by itself.

It must never wait for a part, nor for its own report: a disk, a pipe or a lock may be the very thing that hangs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping

import attrs
import trio

from growy.control.standstill import STUCK_S, Guard, task_stacks
from growy.ops.log import get_log
from growy.ops.sdnotify import Notifier

log = get_log(__name__)

LIMITS: Mapping[str, float] = {"control": 15.0, "link": 20.0, "writer": 60.0, "workers": 60.0}
"""Seconds that a part may go without a stamp. A worn SD card may hold one forced write for half a minute, and a worker
is given its own deadlines before the pool starts another."""
PERIOD_S = 5.0
"""Between two looks, at most."""
GIVE_UP_S = 30.0
"""How long a part may be late before growyd ends itself where no systemd does it: `WatchdogSec` of the unit."""


@attrs.frozen(slots=True)
class Late:
    """A part that has missed its deadline."""

    name: str
    silent_s: float
    limit_s: float

    def __str__(self) -> str:
        return f"{self.name} ({self.silent_s:.0f} s)"


@attrs.frozen(kw_only=True, slots=True)
class WatchdogStatistics:
    ages_s: Mapping[str, float]
    """Seconds since the last stamp, by part."""
    late: tuple[str, ...]
    told: int
    """Times that systemd was told that all is well."""
    withheld: int
    """Times that it was not, because a part was late."""
    complaints: int
    """Times that a part became late."""


class Watchdog:
    """The stamps, and who looks at them. `beat` is for the trio thread; all parts count as fresh at first.

    Args:
        limits: by part, the seconds that it may go without a stamp. No other part can stamp.
        clock: seconds that only go forward.
        end: ends the process with a code, at once and whatever else it does.
    """

    def __init__(
        self,
        limits: Mapping[str, float] = LIMITS,
        *,
        clock: Callable[[], float] = time.monotonic,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._limits = dict(limits)
        self._clock = clock
        self._end = end
        self._stamps = dict.fromkeys(limits, clock())
        self._complained: set[str] = set()
        self._late_since: float | None = None
        self._status = ""
        self._told = 0
        self._withheld = 0
        self._complaints = 0

    def beat(self, name: str) -> None:
        """The part has been round.

        Raises:
            KeyError: there is no such part; the right one would be found late without a reason.
        """
        if name not in self._stamps:
            raise KeyError(name)
        self._stamps[name] = self._clock()

    def late(self, now: float) -> list[Late]:
        """Parts whose stamp is too old, by the clock."""
        return [
            Late(name, now - stamp, self._limits[name])
            for name, stamp in self._stamps.items()
            if now - stamp > self._limits[name]
        ]

    async def pulse(
        self, name: str, probe: Callable[[], Awaitable[object]], every_s: float = PERIOD_S
    ) -> None:
        """Stamps for a part that has no loop of its own on trio: sends something through it, and stamps when it is out.

        Args:
            probe: asks the part for as little as possible, and returns when it has answered. What it raises ends the
                task: a part that fails is not one that hangs.
        """
        while True:
            await probe()
            self.beat(name)
            await trio.sleep(every_s)

    def statistics(self) -> WatchdogStatistics:
        now = self._clock()
        return WatchdogStatistics(
            ages_s={name: now - stamp for name, stamp in self._stamps.items()},
            late=tuple(one.name for one in self.late(now)),
            told=self._told,
            withheld=self._withheld,
            complaints=self._complaints,
        )

    async def run(
        self,
        notifier: Notifier,
        *,
        summary: Callable[[], str] = lambda: "",
        stuck_s: float = STUCK_S,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Looks every few seconds, until cancelled. Start it when all parts run.

        Args:
            notifier: systemd, if there is one.
            summary: one line for `systemctl status`.
            stuck_s: ends the process when trio has not been round for so long.
        """
        watchdog_s = notifier.watchdog_s if notifier.enabled else None
        period = min(PERIOD_S, stuck_s / 4, (watchdog_s or GIVE_UP_S) / 4)
        self._stamps = dict.fromkeys(self._stamps, self._clock())
        with Guard(stuck_s, self._end) as guard:
            task_status.started()
            while True:
                guard.stamp()
                self._look(notifier, guard, summary, watched=watchdog_s is not None)
                await trio.sleep(period)

    def _look(self, notifier: Notifier, guard: Guard, summary: Callable[[], str], *, watched: bool) -> None:
        now = self._clock()
        late = self.late(now)
        self._complain(late, guard)
        if late:
            self._withheld += 1
            self._late_since = now if self._late_since is None else self._late_since
            self._say(notifier, f"stands still: {', '.join(map(str, late))}")
            if not watched and now - self._late_since >= GIVE_UP_S:
                guard.give_up(f"{', '.join(map(str, late))} stood still")
            return
        self._late_since = None
        self._told += notifier.watchdog()
        self._say(notifier, summary())

    def _say(self, notifier: Notifier, status: str) -> None:
        if status != self._status and notifier.status(status):
            self._status = status

    def _complain(self, late: list[Late], guard: Guard) -> None:
        names = {one.name for one in late}
        for one in late:
            if one.name not in self._complained:
                self._complaints += 1
                log.critical(
                    "a critical part stands still",
                    part=one.name,
                    silent_s=round(one.silent_s, 1),
                    limit_s=one.limit_s,
                )
        for name in sorted(self._complained - names):
            log.warning("a part that stood still goes on", part=name)
        if names - self._complained:
            guard.write(f"Tasks of growyd while {', '.join(sorted(names))} stood still:\n{task_stacks()}")
        self._complained = names
