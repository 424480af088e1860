"""The accounts of all actuators: kept by what their outputs may be, asked by the gate. Pure; `ledger` calculates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from growy.control import ledger
from growy.control.ledger import Account, Day, Left
from growy.control.output_state import Switched, Timing, unwatched_s
from growy.model.control import FULL, OFF, ActuatorKey, DeviceView, Ledger
from growy.model.setup import ActuatorSetup
from growy.model.time import Moment

WRITTEN_WITHIN_S = 10.0
"""The account of a run that goes on is on disk that much after the command, at the latest."""


class Accounts:
    """By actuator. Trio thread only.

    Args:
        max_runtime_s: limit of a run where an actuator's setup has none.
        day_of: the Pi's local day at a Unix ms.
    """

    def __init__(self, timing: Timing, max_runtime_s: float, day_of: Callable[[int], Day]) -> None:
        self._timing = timing
        self.max_runtime_s = max_runtime_s
        self.day_of = day_of
        self._stored: dict[ActuatorKey, Ledger] = {}
        self._accounts: dict[ActuatorKey, Account] = {}
        self._met: set[ActuatorKey] = set()
        """In this process, also those that are gone: one that was removed may still run."""

    def open(self, ledgers: Mapping[ActuatorKey, Ledger]) -> None:
        """What growy.db holds, before any device is met."""
        self._stored = dict(ledgers)

    def take_over(self, ledgers: Mapping[ActuatorKey, Ledger]) -> None:
        """What another process has kept, of actuators that are about to be met."""
        self._stored |= ledgers

    def __contains__(self, key: ActuatorKey) -> bool:
        return key in self._accounts

    def __iter__(self) -> Iterator[ActuatorKey]:
        return iter(list(self._accounts))

    def add(
        self, key: ActuatorKey, setup: ActuatorSetup, view: DeviceView, moment: Moment, *, new: bool
    ) -> tuple[float, float, float]:
        """An actuator is met for the first time in this process.

        Args:
            new: its device was known without it. If nobody has ever had it, nobody can have switched it.

        Returns how high its output may be, and until when by the clock, as long as the device has said nothing; and
        until when what an earlier process sent may be under way, or have it on.
        """
        day = self.day_of(moment.wall_ms)
        untouched = new and key not in self._met and key not in self._stored
        self._met.add(key)
        if untouched:
            self._accounts[key] = ledger.untouched(moment, day)
            return OFF, -math.inf, -math.inf
        watchless_s = unwatched_s(self._timing, setup, view, WRITTEN_WITHIN_S)
        stored = self._stored.pop(key, None)
        account = self._accounts[key] = ledger.opened(stored, setup, moment, day, watchless_s)
        before_until = moment.clock + watchless_s
        if stored is None or not account.on:
            return OFF, -math.inf, before_until
        # Only the wall could tell that its lease is over already, and that may have jumped.
        return FULL, before_until, before_until

    def drop(self, key: ActuatorKey) -> None:
        self._accounts.pop(key, None)

    def switched(self, effect: Switched, setup: ActuatorSetup | None, moment: Moment) -> tuple[Ledger, bool]:
        """An output may be higher or lower from now on. The account, and whether it was switched on or off by that."""
        before, day = self._accounts[effect.actuator], self.day_of(moment.wall_ms)
        if effect.undone and before.before is not None:
            account = ledger.undone(before, setup, moment, day)
        else:
            account = ledger.switched(
                before, effect.value, setup, moment, day, self.max_runtime_s, found=effect.found
            )
        self._accounts[effect.actuator] = account
        return account.ledger, account.on is not before.on

    def count(self, key: ActuatorKey, setup: ActuatorSetup | None, moment: Moment) -> Ledger:
        """Counts up to now."""
        account = self._accounts[key] = self.now(key, setup, moment)
        return account.ledger

    def now(self, key: ActuatorKey, setup: ActuatorSetup | None, moment: Moment) -> Account:
        """As of now. Of an actuator that there is not: an empty one."""
        day = self.day_of(moment.wall_ms)
        account = self._accounts.get(key)
        if account is None:
            return ledger.opened(None, setup, moment, day, 0.0)
        return ledger.counted(account, setup, moment, day)

    def left(self, key: ActuatorKey, setup: ActuatorSetup | None, value: float, moment: Moment) -> Left:
        """How long it may still run at that output."""
        account = self.now(key, setup, moment)
        return ledger.left(account, setup, value, moment, self.day_of(moment.wall_ms), self.max_runtime_s)
