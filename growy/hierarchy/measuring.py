"""Measured figures for people, kept over restarts: a few rows a minute in `performance_stats`, none while nothing
happens.

A card has only so many writes: all rows of a minute are one transaction. Must never write a figure that nobody has
measured.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import trio

from growy.model.errors import StoreError
from growy.ops.latency import Distribution
from growy.ops.log import get_log

log = get_log(__name__)

RECORD_S = 60.0
PROCESSING = "processing_time"
"""Milliseconds from the receipt of a reading until it is on disk, waiting for the commit included."""
COMMIT = "commit_time"
"""Milliseconds of a commit of the store."""
TRANSFER = "transfer_time"
"""Milliseconds from the beginning of a transfer until its new owner has the device. Leave is not waited for in it."""


class Recorder:
    """Writes down the means of durations, minute by minute.

    Args:
        sources: by name of the figure, all durations since the start.
        keep: writes figures in one go; may raise StoreError.
    """

    def __init__(
        self,
        sources: Mapping[str, Callable[[], Distribution]],
        keep: Callable[[Mapping[str, float]], Awaitable[None]],
    ) -> None:
        self._sources = sources
        self._keep = keep
        self._kept = {name: _total(source()) for name, source in sources.items()}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        task_status.started()
        while True:
            await trio.sleep(RECORD_S)
            try:
                await self.record()
            except StoreError as error:
                log.once_per("performance").warning("measured figures are not written", error=str(error))

    async def record(self) -> None:
        """What has been measured since the last time. What could not be written is in the next mean.

        Raises:
            StoreError.
        """
        now = {name: _total(source()) for name, source in self._sources.items()}
        means = {}
        for name, (count, sum_s) in now.items():
            before, before_s = self._kept[name]
            if count > before:
                means[name] = (sum_s - before_s) * 1000 / (count - before)
        if means:
            await self._keep(means)
        self._kept = now


def _total(times: Distribution) -> tuple[int, float]:
    return times.count, times.sum_s
