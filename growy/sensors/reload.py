"""Hot reload: a saved file is tested in a process of its own, and serves only when it has passed. The daemon never
runs it.

What served before goes on serving until then, and for good when the new file is refused. Never waits longer for a
file than the deadline of a conversion.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import trio

from growy.config import SensorsConfig
from growy.ops.log import get_log
from growy.sensors import sources
from growy.sensors.declarations import from_plain
from growy.sensors.process import WorkerGone, WorkerProcess, WorkerRefusal
from growy.sensors.registry import Entry, Registry
from growy.sensors.sources import SourceFile
from growy.sensors.staff import Staff

log = get_log("sensors")


class Reloader:
    """Keeps a registry in step with two folders."""

    def __init__(
        self,
        config: SensorsConfig,
        registry: Registry,
        staff: Staff,
        shipped_dir: Path,
        library_dir: Path | None,
    ) -> None:
        self._config = config
        self._registry = registry
        self._staff = staff
        self._folders = (shipped_dir, library_dir)
        self._seen: dict[Path, SourceFile] = {}
        self._lock = trio.Lock()
        self.reloads = -1  # the first time is no reload

    async def refresh(self, *, everything: bool = False) -> None:
        """Look at the files; take over what changed and passes its self-test.

        Args:
            everything: look again at files that have not changed, too.

        Raises:
            WorkerError: no process can be started to test what changed. The next call tries again.
        """
        async with self._lock:
            found, faults = sources.scan(*self._folders)
            if faults:
                # A folder that cannot be read right now has not lost its libraries.
                log.once_per("folder").error("sensor_library_folder_unreadable", error="; ".join(faults))
                found = {**self._seen, **found}
            gone = self._seen.keys() - found.keys()
            fresh = sources.changed({} if everything else self._seen, found)
            if not fresh and not gone:
                return
            for path in gone:
                self._registry.withdraw(path)
                self._seen.pop(path)
            try:
                await self._examine(fresh)
            finally:
                await self._take_over()

    async def _take_over(self) -> None:
        before = self._registry.generation
        self._registry.decide()
        if self._registry.generation == before:
            return
        self.reloads += 1
        if self.reloads:
            log.info("sensor_libraries_changed", generation=self._registry.generation)
            await self._staff.preload()

    async def _examine(self, fresh: Sequence[SourceFile]) -> None:
        bench: WorkerProcess | None = None
        try:
            for source in fresh:
                try:
                    content = sources.read(source)
                except OSError as error:
                    self._refuse(source, f"cannot be read: {error.strerror or error}")
                    continue
                digest = sources.digest(content)
                known = self._registry.known(digest, source.name)
                if known is not None:
                    self._registry.offer(Entry(known.library, digest, source, content))
                    self._seen[source.path] = source
                    continue
                bench = await self._test(bench, source, digest, content)
        finally:
            if bench is not None:
                self._staff.bury(bench)

    async def _test(
        self, bench: WorkerProcess | None, source: SourceFile, digest: str, content: bytes
    ) -> WorkerProcess | None:
        """Run the self-test. Returns the process while it lives: a dozen good libraries share one."""
        for attempt in (1, 2):
            if bench is None:
                bench = await self._staff.start()
            try:
                answer = await bench.request(["inspect", str(source.path), content], self._config.deadline)
            except WorkerGone as gone:
                self._staff.bury(bench)
                bench = None
                if gone.overdue:
                    self._refuse(source, f"import and self-test take longer than {self._config.deadline:g} s")
                    return None
                if attempt == 1:
                    continue  # somebody else may have killed the process
                self._refuse(source, "import or self-test ends the process")
                return None
            if isinstance(answer, WorkerRefusal):
                self._refuse(source, answer.text)
                return bench
            break
        try:
            library = from_plain(answer)
        except (ValueError, TypeError, KeyError) as error:
            self._refuse(source, f"its declaration is not usable: {error}")
            return bench
        self._registry.offer(Entry(library, digest, source, content))
        self._seen[source.path] = source
        return bench

    def _refuse(self, source: SourceFile, error: str) -> None:
        self._registry.refuse(source, error)
        self._seen[source.path] = source
        log.error("sensor_library_refused", path=str(source.path), error=error)
