"""The writer of a database: a thread that owns its writing connection and does one job after the other.

SQLite has one writer at a time anyway; a thread of its own keeps the order of commits and never meets a lock.
Trio hands it jobs and sleeps until the answer is there. Must never run two jobs at once, and never lose one: a
job that has been handed over is done even if its caller is cancelled (the caller's cancellation is delivered
after it)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import apsw
import attrs
import trio

from growy.model.errors import StoreError
from growy.store.faults import typed

T = TypeVar("T")
QUEUED_JOBS = 64
"""Jobs that wait at most; a caller beyond waits for room."""


@contextmanager
def transaction(db: apsw.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE ... COMMIT, rolled back on any exception."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # SQLite rolls back by itself on some faults (full disk), on others it leaves that to us.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@attrs.frozen(eq=False)
class _Job:
    """Work for the thread; it keeps its own answer and never raises. `done` is set on the trio thread."""

    work: Callable[[], None]
    done: trio.Event = attrs.field(factory=trio.Event)


@attrs.frozen(eq=False)
class Submitted:
    """A job that the thread has, and that is done whether anybody waits for it or not."""

    _job: _Job
    _failed: Callable[[], None]

    @property
    def done(self) -> bool:
        return self._job.done.is_set()

    async def wait(self) -> None:
        """Until it is done; may be cancelled, and called again. Raises StoreError, as `Writer.run`."""
        await self._job.done.wait()
        self._failed()


class Writer:
    """Runs callables in order in its own thread."""

    def __init__(self, directory: Path, name: str = "growyd-writer") -> None:
        self._directory = directory
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._room = trio.Semaphore(QUEUED_JOBS)
        self._token = trio.lowlevel.current_trio_token()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._closed = False
        self._thread.start()

    async def run(self, call: Callable[[], T], db: apsw.Connection) -> T:
        """`call()` in the writer's thread.

        Args:
            call: the job; it uses `db` and nothing of trio.
            db: the connection it writes to, asked for the kernel's error number when it fails.

        Raises:
            StoreError: SQLite or the kernel refused (`StoreUnavailable`: full or read-only, try again).
        """
        answers: list[T] = []

        def answered() -> None:
            answers.append(call())

        async with self._room:
            submitted = self.submit(answered, db)
            with trio.CancelScope(shield=True):
                await submitted.wait()
        return answers[0]

    def submit(self, call: Callable[[], None], db: apsw.Connection) -> Submitted:
        """Hands the job over this moment, also when more wait than may: for what nothing must hold up. As `run`."""
        if self._closed:
            raise StoreError("the store is closed")
        errors: list[BaseException] = []

        def work() -> None:
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - raised again in the caller, who waits for it
                errors.append(error)

        def failed() -> None:
            for error in errors:
                if isinstance(error, apsw.Error | OSError):
                    raise typed(error, self._directory, db) from error
                raise error

        job = _Job(work)
        self._jobs.put(job)
        return Submitted(job, failed)

    async def close(self) -> None:
        """Finish what is queued, then end the thread. Takes no more jobs."""
        self._closed = True
        self._jobs.put(None)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._thread.join)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.work()
            try:
                self._token.run_sync_soon(job.done.set)
            except trio.RunFinishedError:
                return
