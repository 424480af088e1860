"""Read-only connections for worker threads. Must never be used to write, and never from the trio thread.

Each read has a connection to itself; a few are kept open. In WAL mode a reader sees the last commit before it
began and never waits for the writer."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw
import attrs
import trio

from growy.model.errors import StoreError
from growy.ops.latency import Histogram
from growy.store.faults import typed
from growy.store.schema import REGISTRY_FILE, SERIES_FILE, open_reading

T = TypeVar("T")
READERS = 3
"""Reads at once. More only compete for the interpreter."""


@attrs.frozen(kw_only=True)
class ReadProbe:
    """A read of both databases that was made to see whether it can be."""

    latency_ms: float
    connections: int
    """Reads at once, at most."""
    free: int
    """Of these, how many were not busy."""


def read_something(db: apsw.Connection) -> None:
    """A page of the database, not only of memory: the version stands in its header."""
    db.execute("SELECT count(*) FROM sqlite_schema").fetchall()


class Readers:
    """Runs reads of the two databases in worker threads."""

    def __init__(self, directory: Path, vfs: str | None) -> None:
        self._directory = directory
        self._vfs = vfs
        self._limiter = trio.CapacityLimiter(READERS)
        self._idle: dict[str, list[apsw.Connection]] = {SERIES_FILE: [], REGISTRY_FILE: []}
        self._closed = False
        self.times = Histogram()
        """Of reads that came to an end, waiting for their turn included."""

    @property
    def free(self) -> int:
        """How many reads could begin at once."""
        return int(self._limiter.available_tokens)

    async def series(self, read: Callable[[apsw.Connection], T]) -> T:
        """`read(connection to series.db)` in a worker thread."""
        return await self._run(SERIES_FILE, read)

    async def registry(self, read: Callable[[apsw.Connection], T]) -> T:
        """`read(connection to growy.db)` in a worker thread."""
        return await self._run(REGISTRY_FILE, read)

    async def apart(self, read: Callable[[], T]) -> T:
        """`read()`, which opens its own connection, in a worker thread."""
        if self._closed:
            raise StoreError("the store is closed")
        began = time.perf_counter()
        answer = await trio.to_thread.run_sync(self._apart, read, limiter=self._limiter)
        self.times.add(time.perf_counter() - began)
        return answer

    def _apart(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except (apsw.Error, OSError) as error:
            raise typed(error, self._directory) from error

    async def _run(self, name: str, read: Callable[[apsw.Connection], T]) -> T:
        if self._closed:
            raise StoreError("the store is closed")
        began = time.perf_counter()
        answer = await trio.to_thread.run_sync(partial(self._read, name, read), limiter=self._limiter)
        self.times.add(time.perf_counter() - began)
        return answer

    def _read(self, name: str, read: Callable[[apsw.Connection], T]) -> T:
        idle = self._idle[name]
        try:
            db = idle.pop() if idle else open_reading(self._directory / name, vfs=self._vfs)
            try:
                return read(db)
            finally:
                if self._closed:
                    db.close(True)
                else:
                    idle.append(db)
        except (apsw.Error, OSError) as error:
            raise typed(error, self._directory) from error

    def close(self) -> None:
        self._closed = True
        for idle in self._idle.values():
            while idle:
                idle.pop().close(True)
