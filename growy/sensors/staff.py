"""The workers: hired, preloaded, lent out one request at a time, replaced when they die. Knows processes, not rows.

Never holds more than the configured number of workers that can take a request; one that has been busy for long does
not count while somebody waits, so that a hanging library delays nobody else by its whole deadline.
"""

from __future__ import annotations

from typing import Final

import trio

from growy.config import SensorsConfig
from growy.ops.log import get_log
from growy.sensors.process import WorkerError, WorkerGone, WorkerProcess, WorkerRefusal
from growy.sensors.registry import Entry, Registry

ACQUIRE_PATIENCE_S: Final = 15.0
"""A batch waits this long for a worker; then it goes on without values rather than hold up the readings
themselves."""
BACKOFF_S: Final = (0.1, 30.0)
"""Pause after a failed start: first, doubling to the longest."""
LOOK_S: Final = 1.0
"""How often idle workers are looked at. One that died idle is also found by the next batch."""
CLOSE_S: Final = 2.0

log = get_log("sensors")


class Staff:
    """All worker processes that convert. Opened and closed by `open_pool`."""

    def __init__(self, config: SensorsConfig, registry: Registry) -> None:
        self._config = config
        self._registry = registry
        self._workers: set[WorkerProcess] = set()
        self._idle: list[WorkerProcess] = []
        self._dead: list[WorkerProcess] = []
        self._waiting = trio.lowlevel.ParkingLot()
        self._vacancy = trio.Event()
        self._starting = 0
        self._owed = 0
        self.restarts = 0
        self._pause_s = 0.0

    @property
    def alive(self) -> int:
        return sum(worker.alive for worker in self._workers)

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(worker.pid for worker in self._workers if worker.alive)

    async def acquire(self) -> WorkerProcess | None:
        """A worker for one request: give it back by `release` or `lost`. None: there was none for
        `ACQUIRE_PATIENCE_S`."""
        if self._idle:
            return self._idle.pop()  # the one that worked last: its caches are warm
        with trio.move_on_after(ACQUIRE_PATIENCE_S):
            while True:
                if self._idle:
                    return self._idle.pop()
                if self._vacancies(relief=True) > 0:
                    try:
                        return await self._hire()
                    except WorkerError as error:
                        log.once_per("worker_start").error("sensor_worker_start_failed", error=str(error))
                else:
                    await self._waiting.park()
        return None

    def release(self, worker: WorkerProcess) -> None:
        """It answered."""
        if worker.overdue and len(self._workers) > self._config.workers:
            self._workers.discard(worker)  # its relief has taken over
            self.bury(worker)
            return
        worker.overdue = False
        self._idle.append(worker)
        self._waiting.unpark()

    def lost(self, worker: WorkerProcess) -> None:
        """It died, was killed, or is not wanted any more."""
        worker.kill()
        if worker not in self._workers:
            return
        self._workers.discard(worker)
        self._owed += 1
        if worker in self._idle:
            self._idle.remove(worker)
        self.bury(worker)
        if not worker.served:
            self._hesitate()
        self._vacancy.set()
        self._waiting.unpark()

    async def start(self) -> WorkerProcess:
        """A fresh process that belongs to the caller: `bury` it. Raises WorkerError."""
        worker = WorkerProcess.spawn()
        try:
            await worker.ready()
        except BaseException:
            self.bury(worker)
            raise
        return worker

    def relieve(self, worker: WorkerProcess) -> None:
        """It has been busy for long: whoever waits may have another one hired."""
        worker.overdue = True
        self._waiting.unpark()

    def bury(self, worker: WorkerProcess) -> None:
        """Collect a killed process when the kernel is done with it."""
        worker.kill()
        self._dead = [dead for dead in (*self._dead, worker) if not dead.reaped()]

    async def load(self, worker: WorkerProcess, entry: Entry) -> str:
        """Give a library to a worker. Returns why it cannot be loaded, or "". Raises WorkerGone."""
        try:
            answer = await worker.request(
                ["load", entry.digest, str(entry.source.path), entry.content], self._config.deadline
            )
        except WorkerGone as gone:
            # Somebody else may have killed it (out of memory): only deaths in a row are the library's.
            entry.load_deaths += 1
            if gone.overdue or entry.load_deaths >= self._config.breaker_failures:
                self.condemn(entry, "it hangs or ends the process while being loaded")
            raise
        if isinstance(answer, WorkerRefusal):
            return answer.text
        worker.loaded.add(entry.digest)
        entry.load_deaths = 0
        return ""

    def condemn(self, entry: Entry, why: str) -> None:
        """Set a library aside at once: it passed its self-test, but a serving worker cannot load it."""
        entry.failed(why, limit=1)
        log.error("sensor_library_set_aside", library=entry.library.name, version=entry.version, error=why)

    async def hire(self) -> None:
        """Start a worker now. Raises WorkerError."""
        self.release(await self._hire())

    async def preload(self) -> None:
        """Load into all idle workers what serves now, and drop what nobody needs: no reading waits for an import."""
        for worker in list(self._idle):
            if worker not in self._idle:
                continue  # lent out while another one was loading: it loads with its next request
            self._idle.remove(worker)
            try:
                await self._prepare(worker)
            except WorkerGone:
                self.lost(worker)
            except BaseException:
                self.lost(worker)
                raise
            else:
                self.release(worker)

    async def keep_up(self) -> None:
        """Replace who died. Ends only by cancellation."""
        while True:
            for worker in [idle for idle in self._idle if not idle.alive]:
                log.warning("sensor_worker_died", pid=worker.pid)
                self.lost(worker)
            self._dead = [dead for dead in self._dead if not dead.reaped()]
            while self._vacancies() > 0:
                try:
                    await self.hire()
                except WorkerError as error:
                    log.once_per("worker_start").error("sensor_worker_start_failed", error=str(error))
            self._vacancy = trio.Event()
            with trio.move_on_after(LOOK_S):
                await self._vacancy.wait()

    async def close(self) -> None:
        """Kill and collect all workers."""
        for worker in list(self._workers):
            self._workers.discard(worker)
            self.bury(worker)
        self._idle.clear()
        with trio.move_on_after(CLOSE_S):
            while self._dead:
                self._dead = [dead for dead in self._dead if not dead.reaped()]
                await trio.sleep(0.002)

    def _vacancies(self, *, relief: bool = False) -> int:
        counted = sum(not (relief and worker.overdue) for worker in self._workers)
        return self._config.workers - counted - self._starting

    async def _hire(self) -> WorkerProcess:
        """A new worker with all libraries loaded; not yet idle. Raises WorkerError."""
        self._starting += 1
        try:
            await trio.sleep(self._pause_s)
            worker = await self.start()
        except WorkerError:
            self._hesitate()
            raise
        finally:
            self._starting -= 1
            self._waiting.unpark()
        self._workers.add(worker)
        if self._owed:
            self._owed -= 1
            self.restarts += 1
        try:
            await self._prepare(worker)
        except WorkerGone as gone:
            self.lost(worker)
            raise WorkerError("a sensor worker died while libraries were loaded into it") from gone
        except BaseException:
            self.lost(worker)
            raise
        self._pause_s = 0.0
        return worker

    async def _prepare(self, worker: WorkerProcess) -> None:
        for entry in self._registry.serving():
            if entry.digest not in worker.loaded and not entry.set_aside:
                refused = await self.load(worker, entry)
                if refused:
                    self.condemn(entry, refused)
        stale = [digest for digest in worker.loaded if self._registry.entry(digest) is None]
        if stale:
            await worker.request(["forget", stale], self._config.deadline)
            worker.loaded.difference_update(stale)

    def _hesitate(self) -> None:
        shortest, longest = BACKOFF_S
        self._pause_s = min(longest, max(shortest, 2 * self._pause_s))
