"""The worker pool: converts batches in preloaded processes, keeps libraries fresh, lets nothing wait for a bad one.

Never runs library code in the daemon, never raises for a library's fault, never answers an error with a number. A
library that raises loses its rows (no value, quality error); one that hangs or dies takes its worker with it, the
other groups are converted again by a fresh one; after `breaker_failures` in a row it is set aside until its file
changes or `reload`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

import sensor_libs
from growy.config import SensorsConfig
from growy.model.errors import ConversionError
from growy.model.reading import FloatArray, IntArray
from growy.ops.latency import LatencyWindow
from growy.ops.log import get_log
from growy.sensors.batch import ConvertedColumns, Group, derived_group, group_rows
from growy.sensors.frames import FrameError
from growy.sensors.plan import Plan
from growy.sensors.process import WorkerError, WorkerGone, WorkerProcess
from growy.sensors.registry import LibraryStatus, Registry
from growy.sensors.reload import Reloader
from growy.sensors.staff import Staff

MAX_ROWS = 65_536
"""Rows per request: bounds frames and the memory of a worker; larger batches are converted in slices."""
SPARE_ATTEMPTS = 3
"""Times that workers may die around a batch through nobody's fault in it before it goes on without values."""
SHIPPED_DIR = Path(sensor_libs.__file__).resolve().parent

log = get_log("sensors")


@attrs.frozen(slots=True)
class PoolStatistics:
    """What the pool has done since it was opened."""

    workers: int
    """Wanted."""
    workers_alive: int
    restarts: int
    """Workers started in place of one that died or was killed."""
    batches: int
    conversions: int
    """Rows converted by a library (also to "no value", where that is what was measured)."""
    failures: int
    """Rows lost by a library's fault."""
    unserved: int
    """Rows lost because no worker could be started in time."""
    deadline_kills: int
    reloads: int
    """Times that a library was loaded anew while running."""
    generation: int
    by_library: Mapping[str, int]
    """Rows converted by the version that serves, per library."""
    set_aside: tuple[str, ...]
    breaker_after: int
    """Failures in a row that set a library aside."""
    p50_ms: float | None
    """Round trip of a batch, from `convert` called to its values in hand."""
    p99_ms: float | None


class Pool:
    """Made by `open_pool`. Concurrency-safe: calls are spread over the workers."""

    def __init__(self, config: SensorsConfig, staff: Staff, registry: Registry, reloader: Reloader) -> None:
        self.registry = registry
        self._config = config
        self._staff = staff
        self._reloader = reloader
        self._round_trips = LatencyWindow(2048)
        self._batches = 0
        self._conversions = 0
        self._failures = 0
        self._unserved = 0
        self._deadline_kills = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Replace workers that die, look at the library files every `reload_interval`. Ends only by cancellation."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._staff.keep_up)
            task_status.started()
            while True:
                await trio.sleep(self._config.reload_interval)
                try:
                    await self._reloader.refresh()
                except WorkerError as error:  # the change is tried again next time
                    log.once_per("reload").error("sensor_library_test_impossible", error=str(error))

    async def convert(
        self,
        plans: Sequence[Plan | None],
        which: IntArray,
        raw: FloatArray,
        live: Mapping[str, FloatArray] | None = None,
    ) -> ConvertedColumns:
        """Convert row i by `plans[which[i]]`; None: no value, quality unknown.

        Args:
            plans: from `registry.plan`; those of an older generation are still converted by the version they name.
            which: int64, shape (n,).
            raw: float64, shape (n,).
            live: numbers that are known per row only now, by parameter name (`temperature_c` for pH, EC and
                pressure), shape (n,); NaN: what the plan says. Libraries without such a parameter do not see it.

        Raises:
            ValueError: the caller's columns do not fit together. Never for a library's fault.
        """
        started = time.perf_counter()
        columns = ConvertedColumns.empty(len(raw))
        if len(raw) <= MAX_ROWS:
            await self._convert_groups(group_rows(plans, which, raw, live), columns)
        else:
            for start in range(0, len(raw), MAX_ROWS):
                rows = slice(start, start + MAX_ROWS)
                part = ConvertedColumns(columns.value[rows], columns.quality[rows])
                part_live = {name: column[rows] for name, column in (live or {}).items()}
                await self._convert_groups(group_rows(plans, which[rows], raw[rows], part_live), part)
                columns.failed += part.failed
                columns.reasons = tuple(dict.fromkeys(columns.reasons + part.reasons))
        self._batches += 1
        self._round_trips.add(1000 * (time.perf_counter() - started))
        return columns

    async def ping(self) -> bool:
        """Has a worker answer a request for nothing; False: none could be had, or it had to be replaced."""
        worker = await self._staff.acquire()
        if worker is None:
            return False
        try:
            await worker.request(["convert", []], self._config.deadline, lambda: self._staff.relieve(worker))
        except WorkerGone:
            self._staff.lost(worker)
            return False
        except BaseException:
            self._staff.lost(worker)
            raise
        self._staff.release(worker)
        return True

    async def derive(self, plan: Plan, inputs: Mapping[str, FloatArray]) -> ConvertedColumns:
        """Compute a derived value (`vpd`) from columns of equal length, one per input of its output.

        Raises ConversionError where an input is missing or the plan is for a measured value.
        """
        info = self.registry.resolve(plan.value_type)
        wanted = () if info is None else info.inputs
        if info is not None and (not wanted or set(wanted) != set(inputs)):
            raise ConversionError(
                f"{plan.value_type} is computed from {', '.join(wanted) or 'its raw value'}, "
                f"not from {', '.join(inputs)}"
            )
        group = derived_group(plan, inputs)
        columns = ConvertedColumns.empty(group.size)
        if group.size:
            await self._convert_groups([group], columns)
        return columns

    async def reload(self) -> list[LibraryStatus]:
        """Look at all library files now, and give libraries that were set aside a new chance."""
        await self._reloader.refresh(everything=True)
        for entry in self.registry.serving():
            entry.enable()
        return self.registry.describe()

    def worker_pids(self) -> tuple[int, ...]:
        """Processes that convert, for `status` and for those who measure them."""
        return self._staff.pids

    def statistics(self) -> PoolStatistics:
        round_trips = self._round_trips.statistics()
        serving = self.registry.serving()
        return PoolStatistics(
            workers=self._config.workers,
            workers_alive=self._staff.alive,
            restarts=self._staff.restarts,
            batches=self._batches,
            conversions=self._conversions,
            failures=self._failures,
            unserved=self._unserved,
            deadline_kills=self._deadline_kills,
            reloads=self._reloader.reloads,
            generation=self.registry.generation,
            by_library={entry.library.name: entry.conversions for entry in serving},
            set_aside=tuple(entry.library.name for entry in serving if entry.set_aside),
            breaker_after=self._config.breaker_failures,
            p50_ms=round_trips.p50_ms,
            p99_ms=round_trips.p99_ms,
        )

    async def _convert_groups(self, groups: list[Group], columns: ConvertedColumns) -> None:
        """Convert until every group has an answer or a fault.

        A worker that was killed at the deadline stood in the group that hung: that library's fault, at once. One that
        died by itself is no proof (somebody may have killed it): the same groups go to a fresh worker, and only the
        group that dies twice is at fault.
        """
        pending = self._admitted(groups, columns)
        died_in: set[int] = set()
        attempts = 2 * len(groups) + SPARE_ATTEMPTS
        while pending:
            worker = await self._staff.acquire() if attempts else None
            if worker is None:
                for group in pending:
                    group.fail(columns, "no sensor worker could be had")
                    self._unserved += group.size
                return
            attempts -= 1
            try:
                pending = await self._prepare(worker, pending, columns)
                if pending:
                    await self._attempt(worker, pending, columns)
                pending = []
            except WorkerGone as gone:
                self._staff.lost(worker)
                self._deadline_kills += gone.overdue
                pending = self._admitted(self._without_culprit(gone, pending, died_in, columns), columns)
            except BaseException:
                self._staff.lost(worker)  # cancelled in the middle of a request: nobody will read its answer
                raise
            else:
                self._staff.release(worker)

    def _without_culprit(
        self, gone: WorkerGone, groups: list[Group], died_in: set[int], columns: ConvertedColumns
    ) -> list[Group]:
        """The groups to convert again after a worker was lost."""
        if not 0 < gone.progress <= len(groups):
            return groups
        culprit = groups[gone.progress - 1]
        if not gone.overdue and id(culprit) not in died_in:
            died_in.add(id(culprit))
            return groups
        why = (
            f"no answer within {self._config.deadline:g} s" if gone.overdue else "it ends the worker process"
        )
        self._fault(culprit, why)
        culprit.fail(columns, f"{culprit.message[1]}: {why}")
        return [group for group in groups if group is not culprit]

    def _admitted(self, groups: list[Group], columns: ConvertedColumns) -> list[Group]:
        """The groups whose library may be called; the others fail here."""
        admitted = []
        for group in groups:
            entry = self.registry.entry(group.digest)
            if entry is None or entry.set_aside:
                reason = (
                    "library is set aside" if entry is not None else "library version is gone: renew the plan"
                )
                group.fail(columns, f"{group.message[1]}: {reason}")
                self._failures += group.size
            else:
                admitted.append(group)
        return admitted

    async def _prepare(
        self, worker: WorkerProcess, groups: list[Group], columns: ConvertedColumns
    ) -> list[Group]:
        """Load what the worker lacks (a version saved a moment ago). Returns the groups that it can convert. Raises
        WorkerGone."""
        missing = {group.digest for group in groups} - worker.loaded
        for digest in missing:
            entry = self.registry.entry(digest)
            if entry is not None:
                refused = await self._staff.load(worker, entry)
                if refused:
                    self._staff.condemn(entry, refused)
        return self._admitted(groups, columns) if missing else groups

    async def _attempt(self, worker: WorkerProcess, groups: list[Group], columns: ConvertedColumns) -> None:
        """One request to one worker. Raises WorkerGone."""
        answers = await worker.request(
            ["convert", [group.message for group in groups]],
            self._config.deadline,
            lambda: self._staff.relieve(worker),
        )
        if not isinstance(answers, list) or len(answers) != len(groups):
            worker.kill()
            raise WorkerGone(0, overdue=False)
        for group, answer in zip(groups, answers, strict=True):
            try:
                fault = group.settle(columns, answer)
            except (FrameError, TypeError, ValueError) as error:
                fault = f"unusable answer: {error}"
                group.fail(columns, f"{group.message[1]}: {fault}")
            if fault:
                self._fault(group, fault)
                continue
            self._conversions += group.size
            entry = self.registry.entry(group.digest)
            if entry is not None:
                entry.succeeded(group.size)

    def _fault(self, group: Group, why: str) -> None:
        self._failures += group.size
        entry = self.registry.entry(group.digest)
        if entry is None:
            return
        log.once_per(("fault", group.digest)).warning(
            "sensor_library_failed",
            library=entry.library.name,
            version=entry.version,
            type=group.message[1],
            error=why,
        )
        if entry.failed(why, self._config.breaker_failures):
            log.error(
                "sensor_library_set_aside",
                library=entry.library.name,
                version=entry.version,
                failures=entry.failures_in_row,
                error=why,
                cure="change the file or run `growyd sensors reload`",
            )


@asynccontextmanager
async def open_pool(config: SensorsConfig, library_dir: Path | None) -> AsyncIterator[Pool]:
    """Open the pool: on return the libraries are known, tested, and loaded in at least one worker.

    Args:
        config: `[sensors]`.
        library_dir: the grower's own libraries; may not exist.

    Raises:
        WorkerError: no worker process can be started at all.
    """
    registry = Registry()
    staff = Staff(config, registry)
    reloader = Reloader(config, registry, staff, SHIPPED_DIR, library_dir)
    failures: list[WorkerError] = []

    async def attempt(start: Callable[[], Awaitable[None]]) -> None:
        try:
            await start()
        except WorkerError as error:
            failures.append(error)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                attempt, staff.hire
            )  # imports numpy while a process beside it tests the libraries
            nursery.start_soon(attempt, reloader.refresh)
        if failures:
            raise failures[0]
        await staff.preload()
        yield Pool(config, staff, registry, reloader)
    finally:
        with trio.CancelScope(shield=True):
            await staff.close()


__all__ = ["ConvertedColumns", "Pool", "PoolStatistics", "WorkerError", "open_pool"]
