"""What a core wants done, in order, by one task. Must never let anybody believe that something was done which was not:
`settled` says so. While the disk refuses nothing is taken on: the core that wanted it is about to be given up.
"""

from __future__ import annotations

from collections import deque

import trio

from growy.hierarchy.effects import Effects
from growy.model.errors import StoreUnavailable


class Agenda:
    """Trio thread only."""

    def __init__(self) -> None:
        self._waiting: deque[Effects] = deque()
        self._added = self._done = 0
        self._shut = False
        self.shuts = 0
        """How often it was shut."""
        self._changed = trio.Event()

    def add(self, effects: Effects) -> None:
        """To be done, after what waits already. Dropped while it is shut."""
        if effects and not self._shut:
            self._waiting.append(effects)
            self._added += 1
            self._tell()

    async def next(self) -> Effects:
        """What is to be done now. It waits on until it is `done`."""
        while not self._waiting:
            await self._changed.wait()
        return self._waiting[0]

    def done(self) -> None:
        """What `next` has told."""
        self._waiting.popleft()
        self._done += 1
        self._tell()

    def shut(self) -> None:
        """What waits is dropped, and so is what comes until `reopen`."""
        self._waiting.clear()
        self._done = self._added
        self._shut = True
        self.shuts += 1
        self._tell()

    def reopen(self) -> None:
        self._shut = False

    async def settled(self, within_s: float) -> None:
        """Returns when all that was added until now is done.

        Raises:
            StoreUnavailable: it was dropped, or is not done by then.
        """
        added, shuts = self._added, self.shuts
        with trio.move_on_after(within_s):
            while self._done < added:
                await self._changed.wait()
        if self._shut or self.shuts != shuts or self._done < added:
            refused = "The disk refuses or is slow: what was asked may not be done"
            raise StoreUnavailable(refused, cure="Look, and try again")

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
