"""A worker process: holds libraries, converts groups of rows, answers in order, dies with its parent.

Started by the pool as `python -m growy.sensors.worker PROGRESS_FD MEMORY_MB PARENT_PID`; frames come on stdin,
answers go to stdout. Must never
import trio, attrs or another room: its memory is paid once per worker on a Pi.

Each request is one frame, answered by one frame `["ok", result]` or `["error", text]`:

* `["load", digest, path, source]`: hold a library (it has passed its self-test in another process);
* `["inspect", path, source]`: load it, run its self-test, answer its declaration;
* `["forget", [digest, ...]]`: drop versions that no plan uses any more;
* `["convert", [group, ...]]`: group = [digest, type, choices, numbers, lines, which, raw, live]; answers per group
  [value, quality, reason], or [null, null, reason] where the library failed.

Before a group is touched its number (from 1) is stored in the shared progress page: whoever finds this process
hanging or dead knows whose fault it is without a system call per group.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import struct
import sys
import types
from typing import Any, Final, NoReturn

import numpy as np

from growy.sensors import frames
from growy.sensors.apply import LibraryFault, LoadedLibrary, self_test
from growy.sensors.declarations import to_plain
from sensor_libs import Library

PROGRESS: Final = struct.Struct("<q")
_PR_SET_PDEATHSIG: Final = 1
_READ: Final = 1 << 18


def load(path: str, source: bytes) -> LoadedLibrary:
    """Run a library's file. Raises whatever it raises, or LibraryFault when it declares nothing."""
    name = os.path.basename(path).removesuffix(".py")
    module = types.ModuleType(f"sensor_libs.{name}")
    module.__file__ = path
    # dataclasses and typing look a class's module up by name; the entry is the newest version's, which is what they
    # want.
    sys.modules[module.__name__] = module
    exec(
        compile(source, path, "exec"), module.__dict__
    )  # what a library folder is for; in a process of its own
    library = getattr(module, "LIBRARY", None)
    if not isinstance(library, Library):
        raise LibraryFault("has no LIBRARY = Library(...)")
    if library.name != name:
        raise LibraryFault(f"declares the name {library.name!r}; the file {name}.py must hold {name!r}")
    return LoadedLibrary(library, getattr(module, "convert", None), getattr(module, "derive", None))


class Worker:
    """The loop of the process, apart from its pipes."""

    def __init__(self, progress: mmap.mmap) -> None:
        self._progress = progress
        self._libraries: dict[str, LoadedLibrary] = {}

    def answer(self, request: list[Any]) -> list[Any]:
        """The answer to one request; what a library raises is part of the answer."""
        kind, *rest = request
        try:
            if kind == "convert":
                return ["ok", [self._convert(number, group) for number, group in enumerate(rest[0], 1)]]
            if kind == "load":
                digest, path, source = rest
                self._libraries[digest] = load(path, source)
                return ["ok", None]
            if kind == "inspect":
                path, source = rest
                return ["ok", _inspect(path, source)]
            self._forget(*rest)
        except BaseException as error:  # noqa: BLE001 - a library may raise anything, SystemExit too: it is reported and counted
            return ["error", _told(error)]
        else:
            return ["ok", None]
        finally:
            PROGRESS.pack_into(self._progress, 0, 0)

    def _forget(self, digests: list[str]) -> None:
        for digest in digests:
            self._libraries.pop(digest, None)

    def _convert(self, number: int, group: list[Any]) -> list[Any]:
        PROGRESS.pack_into(self._progress, 0, number)
        digest, type, words, table, lines, which, raw, live = group
        try:
            columns = frames.array(table, frames.FLOAT64_LE).reshape(lines, -1)
            value, quality, reason = self._libraries[digest].apply(
                type,
                {name: frames.array(one, frames.FLOAT64_LE) for name, one in raw.items()}
                if isinstance(raw, dict)
                else frames.array(raw, frames.FLOAT64_LE),
                words,
                columns,
                None if which is None else frames.array(which, frames.INT32_LE),
                {name: frames.array(one, frames.FLOAT64_LE) for name, one in live.items()},
            )
        except BaseException as error:  # noqa: BLE001 - as above: only this library's rows are lost
            return [None, None, _told(error)]
        return [frames.floats(value), frames.bytes_column(quality), reason]


def _inspect(path: str, source: bytes) -> dict[str, Any]:
    loaded = load(path, source)
    self_test(loaded, loaded.library.checks)
    return to_plain(loaded.library)


def _told(error: BaseException) -> str:
    """The error in one line, with the line of the library where it happened."""
    where, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").startswith("sensor_libs."):
            where = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    if isinstance(error, LibraryFault):
        return str(error) + where
    return f"{type(error).__name__}: {error}{where}"[:500]


def _stay_bound(memory_mb: int, parent: int) -> None:
    """Die with the parent, and alone when a library eats memory."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(0)
    limit = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crashing library must not fill an SD card


def _take_pipes() -> tuple[int, int]:
    """The pipes under private numbers; stdin and stdout become /dev/null, so that a print() cannot be taken for a
    frame."""
    requests, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    return requests, answers


def _read_exactly(fd: int, length: int) -> bytes:
    """Raises EOFError when the parent is gone."""
    parts: list[bytes] = []
    while length:
        part = os.read(fd, min(length, _READ))
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _write_all(fd: int, frame: bytes) -> None:
    view = memoryview(frame)
    while view:
        view = view[os.write(fd, view) :]


def main() -> NoReturn:
    progress_fd, memory_mb, parent = (int(argument) for argument in sys.argv[1:4])
    _stay_bound(memory_mb, parent)
    requests, answers = _take_pipes()
    worker = Worker(mmap.mmap(progress_fd, mmap.PAGESIZE))
    _write_all(answers, frames.encode(["ready", os.getpid(), np.__version__]))
    while True:
        try:
            length = frames.body_length(_read_exactly(requests, frames.PREFIX.size))
            request = frames.decode(_read_exactly(requests, length))
        except EOFError:
            os._exit(0)  # not sys.exit: a library's thread or atexit must not keep the process
        try:
            answer = frames.encode(worker.answer(request))
        except frames.FrameError as error:
            answer = frames.encode(["error", str(error)])
        try:
            _write_all(answers, answer)
        except BrokenPipeError:
            os._exit(0)


if __name__ == "__main__":
    main()
