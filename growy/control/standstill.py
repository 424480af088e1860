"""The last resort: a thread outside trio that ends the process when trio stands still, and says where everybody stood.

It uses neither trio, nor logging, nor any lock of growyd: whoever hangs may hold it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import trio

STUCK_EXIT = 70
"""Exit code of a growyd that stood still. systemd starts it again."""
STUCK_S = 20.0
"""Two thirds of the unit's `WatchdogSec`: the thread, which can tell why, is to come before systemd, which cannot."""
LOOKS = 10
"""Within `stuck_s`."""
WRITING_S = 3.0
"""What cannot be written by then is not: a blocked stderr may be the reason for it all."""
STDERR = 2
MAX_TASKS = 100
"""Of which the stack is written."""
_TRIO = os.path.dirname(trio.__file__)


class Guard:
    """A context manager: watches between entering and leaving.

    It counts its own looks instead of time, so that a process that was paused as a whole (a stopped container, a Pi
    that swaps itself to death) is given its time again when it goes on.

    Args:
        stuck_s: ends the process when there was no `stamp` for so long.
        end: ends the process with a code.
        fd: where stacks are written to: the journal, under systemd.
    """

    def __init__(self, stuck_s: float, end: Callable[[int], object], fd: int = STDERR) -> None:
        self._stuck_s = stuck_s
        self._end = end
        self._fd = fd
        self._stamps = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="growyd-watchdog", daemon=True)

    def __enter__(self) -> Self:
        if not faulthandler.is_enabled():
            # systemd's SIGABRT then says where all threads stand, too, even if one of them keeps Python's own lock.
            faulthandler.enable(self._fd)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()

    def stamp(self) -> None:
        """trio has been round."""
        self._stamps += 1

    def _watch(self) -> None:
        seen, idle = -1, 0
        while not self._over.wait(self._stuck_s / LOOKS):
            stamps = self._stamps
            idle = idle + 1 if stamps == seen else 0
            seen = stamps
            if idle >= LOOKS:
                self.give_up(f"its event loop has not been round for {self._stuck_s:g} s")
                return

    def give_up(self, why: str) -> None:
        """Writes down where every thread stands, and ends the process."""
        self.write(f"growyd ends itself with code {STUCK_EXIT}: {why}. All threads:\n", threads=True)
        self._end(STUCK_EXIT)

    def write(self, text: str, *, threads: bool = False) -> None:
        """Text, and the stacks of all threads; by a thread of its own, which nobody waits for long."""
        writer = threading.Thread(target=self._write, args=(text, threads), daemon=True)
        writer.start()
        writer.join(WRITING_S)

    def _write(self, text: str, threads: bool) -> None:
        with contextlib.suppress(OSError):  # closed, or gone: it could not be said anywhere
            os.write(self._fd, text.encode(errors="backslashreplace"))
            if threads:
                faulthandler.dump_traceback(self._fd, all_threads=True)


def task_stacks() -> str:
    """Where every task of trio waits, as an indented tree. A task that hangs is not seen in the stack of any thread."""
    root = trio.lowlevel.current_root_task()
    waiting = [] if root is None else [(root, 0)]
    lines: list[str] = []
    for _ in range(MAX_TASKS):
        if not waiting:
            break
        task, depth = waiting.pop()
        indent = "  " * depth
        lines.append(f"{indent}{task.name}")
        for frame, line in task.iter_await_frames():
            code = frame.f_code
            if not code.co_filename.startswith(_TRIO):
                lines.append(f"{indent}    {code.co_filename}:{line} in {code.co_qualname}")
        for nursery in task.child_nurseries:
            waiting.extend((child, depth + 1) for child in nursery.child_tasks)
    if waiting:
        lines.append(f"... and {len(waiting)} more")
    return "\n".join([*lines, ""])
