"""One worker process as the daemon sees it: start, one request at a time, kill. No thread, no library code, never
waits for ever.

Pipes are read and written with `os.read`/`os.write` on trio's loop: a batch fits the pipe buffer, so a request costs
one write, one wait and one read.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import trio

import growy
from growy.model.errors import GrowyError
from growy.sensors import frames
from growy.sensors.worker import PROGRESS

START_TIMEOUT_S: Final = 30.0
"""A Pi Zero on a slow card imports numpy in a few seconds; beyond this the interpreter itself is broken."""
MEMORY_MB: Final = 512
"""Data a worker may allocate; at rest it holds some 25 MB."""
PATIENCE_S: Final = 0.25
"""A request that takes longer is reported overdue, so that a relief can be started before the deadline."""
_PIPE_BYTES: Final = 1 << 20
_READ: Final = 1 << 18
_ROOT: Final = str(Path(growy.__file__).resolve().parent.parent)
_ENVIRONMENT: Final = {
    # Nothing of the daemon's environment: it may hold passwords, which are no library's business.
    "PATH": os.environ.get("PATH", os.defpath),
    "LANG": "C.UTF-8",
    "PYTHONPATH": _ROOT,
    # One thread per worker: OpenBLAS would otherwise start one per core and reserve memory for each.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class WorkerError(GrowyError):
    """A worker process cannot be started."""

    code = "SENSOR_WORKER_ERROR"
    numeric_code = 5423
    http_status = 503


@attrs.define(slots=True)
class WorkerGone(Exception):
    """The worker died or was killed in the middle of a request.

    Args:
        progress: number of the group (from 1) that was being converted; 0: none.
        overdue: it was killed because that group did not end by the deadline.
    """

    progress: int
    overdue: bool


class WorkerProcess:
    """A started worker. Not concurrency-safe: one request at a time."""

    def __init__(
        self, process: subprocess.Popen[bytes], requests: int, answers: int, progress: mmap.mmap
    ) -> None:
        self._process = process
        self._requests = requests
        self._answers = answers
        self._progress = progress
        self._closed = False
        self.loaded: set[str] = set()
        """Digests of the libraries it holds."""
        self.served = 0
        """Requests answered."""
        self.overdue = False
        """A relief has been called for: not to be used again after this request."""

    @classmethod
    def spawn(cls) -> WorkerProcess:
        """A process that has begun to import; wait for `ready`. Raises WorkerError."""
        # subprocess here and not trio's open_process: that forks in a thread of trio's cache, and PR_SET_PDEATHSIG
        # would kill the worker when that *thread* ends, ten seconds later. Popen uses vfork: a few milliseconds.
        theirs: list[int] = []
        ours: list[int] = []
        try:
            theirs.append(os.memfd_create("growy-progress"))
            os.ftruncate(theirs[0], mmap.PAGESIZE)
            requests_read, requests = os.pipe2(os.O_CLOEXEC)
            theirs.append(requests_read)
            ours.append(requests)
            answers, answers_write = os.pipe2(os.O_CLOEXEC)
            theirs.append(answers_write)
            ours.append(answers)
            progress = mmap.mmap(theirs[0], mmap.PAGESIZE)
            arguments = [str(theirs[0]), str(MEMORY_MB), str(os.getpid())]
            # -P -s: only what the daemon itself imports from; a session of its own: Ctrl-C is for the daemon.
            process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-m", "growy.sensors.worker", *arguments],
                stdin=requests_read,
                stdout=answers_write,
                pass_fds=(theirs[0],),
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        except OSError as error:
            for fd in ours:
                os.close(fd)
            cure = "Free memory, processes or open files"
            raise WorkerError(f"a sensor worker cannot be started: {error}", cure=cure) from error
        finally:
            for fd in theirs:
                os.close(fd)
        for fd in (requests, answers):
            os.set_blocking(fd, False)
            # The user's quota of pipe pages may be used up: the default size works too, with more wake-ups.
            with contextlib.suppress(OSError):
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return cls(process, requests, answers, progress)

    async def ready(self) -> None:
        """Wait until a fresh process says so; kill it when it does not. Raises WorkerError."""
        said: object = None
        try:
            with trio.move_on_after(START_TIMEOUT_S):
                said = await self._receive()
        except (WorkerGone, frames.FrameError):
            said = None
        except BaseException:
            self.kill()
            raise
        if isinstance(said, list) and said[:1] == ["ready"]:
            return
        status = self._process.poll()
        self.kill()
        raise WorkerError(
            "a sensor worker does not start" + ("" if status is None else f" (exit status {status})"),
            cure=f"Its error stands in the log; try: {sys.executable} -c 'import numpy, cbor2'",
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._closed and self._process.poll() is None

    async def request(
        self, message: list[Any], deadline_s: float, on_overdue: Callable[[], None] | None = None
    ) -> Any:
        """Send a request and wait for its answer.

        Args:
            message: see `growy.sensors.worker`.
            deadline_s: without progress for so long, the worker is killed.
            on_overdue: called once when the answer takes longer than `PATIENCE_S`.

        Returns:
            the answer's payload, or the text of an error as `WorkerRefusal`.

        Raises:
            WorkerGone: it died, or was killed at the deadline. It is closed then; also when the caller is cancelled,
            because
                an answer that nobody reads would be taken for the next one.
        """
        answered = False
        try:
            await self._send(frames.encode(message), deadline_s)
            answer = await self._receive(deadline_s, on_overdue)
            if not isinstance(answer, list) or len(answer) != 2 or answer[0] not in {"ok", "error"}:
                raise WorkerGone(self.progress, overdue=False)
            answered = True
        except frames.FrameError as error:
            raise WorkerGone(self.progress, overdue=False) from error
        finally:
            if not answered:
                self.kill()
        self.served += 1
        return WorkerRefusal(str(answer[1])) if answer[0] == "error" else answer[1]

    @property
    def progress(self) -> int:
        return int(PROGRESS.unpack_from(self._progress, 0)[0])

    async def _send(self, frame: bytes, deadline_s: float) -> None:
        view = memoryview(frame)
        with trio.move_on_after(deadline_s):
            while view:
                try:
                    view = view[os.write(self._requests, view) :]
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self._requests)
                except BrokenPipeError:
                    raise WorkerGone(self.progress, overdue=False) from None
            return
        raise WorkerGone(self.progress, overdue=True)

    async def _receive(
        self, deadline_s: float = START_TIMEOUT_S, on_overdue: Callable[[], None] | None = None
    ) -> Any:
        buffer = bytearray()
        needed = frames.PREFIX.size
        body_known = False
        moved = looked = time.monotonic()
        progress = -1
        while True:
            with trio.move_on_after(min(PATIENCE_S, deadline_s)) as patience:
                await trio.lowlevel.wait_readable(self._answers)
            if patience.cancelled_caught:
                now = time.monotonic()
                if now - looked > 2 * PATIENCE_S:
                    moved += now - looked  # this process stood still (a paused machine): so did the worker
                looked = now
                if on_overdue is not None:
                    on_overdue()
                    on_overdue = None
                if self.progress != progress:
                    progress = self.progress
                    # 0 or 1: what runs has been running since the request was sent.
                    moved = moved if progress <= 1 else now
                if now - moved >= deadline_s:
                    raise WorkerGone(self.progress, overdue=True)
                continue
            part = os.read(self._answers, _READ)
            if not part:
                raise WorkerGone(self.progress, overdue=False)
            buffer += part
            if not body_known and len(buffer) >= needed:
                needed += frames.body_length(buffer)
                body_known = True
            if body_known and len(buffer) >= needed:
                return frames.decode(memoryview(buffer)[frames.PREFIX.size : needed])

    def kill(self) -> None:
        """End the process now and close its pipes. May be called again."""
        if self._closed:
            return
        self._closed = True
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                # Its whole session: what a library has started must not outlive it. Not yet collected, so the number
                # is still its own.
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
        trio.lowlevel.notify_closing(self._requests)
        trio.lowlevel.notify_closing(self._answers)
        os.close(self._requests)
        os.close(self._answers)
        self._progress.close()  # it holds a descriptor of its own
        self._process.poll()

    def reaped(self) -> bool:
        """Whether the kernel has let go of a killed process (asking collects it)."""
        return self._process.poll() is not None


@attrs.frozen(slots=True)
class WorkerRefusal:
    """The worker lives and answered that it could not."""

    text: str
