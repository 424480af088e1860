"""A growyd that stands still is noticed, says where, and is ended: by systemd, by itself, or by a thread."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio

from growy.cli.exits import ExitCode
from growy.control.standstill import STUCK_EXIT, STUCK_S, Guard, task_stacks
from growy.control.watchdog import GIVE_UP_S, LIMITS, Watchdog
from growy.ops.sdnotify import Notifier

ROOT = Path(__file__).parents[2]
NOBODY = Notifier("")


class Systemd:
    """A socket like systemd's, and what came in. The kernel keeps only some datagrams: somebody must read."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._sock = sock
        self.notifier = Notifier(address, 30.0)
        self.lines: list[str] = []

    async def read(self) -> None:
        while True:
            with contextlib.suppress(BlockingIOError):
                while True:
                    self.lines.append(self._sock.recv(4096).decode())
            await trio.sleep(1)


@pytest.fixture
async def systemd(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        made = Systemd(sock, str(tmp_path / "notify"))
        nursery.start_soon(made.read)
        yield made
        nursery.cancel_scope.cancel()


@pytest.fixture
def ended() -> list[int]:
    """Codes with which the process would have ended."""
    return []


@pytest.fixture
def dog(ended: list[int], autojump_clock: object) -> Callable[..., Watchdog]:
    def made(**limits: float) -> Watchdog:
        return Watchdog(limits, clock=trio.current_time, end=ended.append)

    return made


async def beating(dog: Watchdog, name: str, every_s: float, until: float = float("inf")) -> None:
    while trio.current_time() < until:
        dog.beat(name)
        await trio.sleep(every_s)


# --- stamps -------------------------------------------------------------------------------------------------------


async def test_a_part_is_late_when_its_own_limit_has_passed(dog, autojump_clock) -> None:
    watched = dog(control=10.0, writer=60.0)
    started = trio.current_time()

    await trio.sleep(11)

    late = watched.late(trio.current_time())
    assert [(one.name, one.limit_s) for one in late] == [("control", 10.0)]
    assert late[0].silent_s == pytest.approx(trio.current_time() - started, abs=0.1)
    watched.beat("control")
    assert watched.late(trio.current_time()) == []


async def test_a_part_that_nobody_watches_cannot_stamp(dog) -> None:
    with pytest.raises(KeyError, match="contorl"):
        dog(control=10.0).beat("contorl")


async def test_a_part_without_a_loop_is_alive_while_it_answers(dog, autojump_clock) -> None:
    watched = dog(writer=10.0)
    answering = True

    async def probe() -> None:
        if not answering:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.pulse, "writer", probe)
        await trio.sleep(100)
        assert watched.late(trio.current_time()) == []
        answering = False
        await trio.sleep(30)
        assert [one.name for one in watched.late(trio.current_time())] == ["writer"]
        nursery.cancel_scope.cancel()


# --- systemd ------------------------------------------------------------------------------------------------------


async def test_systemd_hears_often_enough_that_all_is_well(dog, systemd, ended, autojump_clock) -> None:
    watched = dog(control=10.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(beating, watched, "control", 1.0)
        await nursery.start(lambda task_status: watched.run(systemd.notifier, task_status=task_status))
        await trio.sleep(300)
        nursery.cancel_scope.cancel()

    assert set(systemd.lines) == {"WATCHDOG=1"}
    assert len(systemd.lines) >= 300 / (systemd.notifier.watchdog_s / 2)
    assert ended == []


async def test_a_part_that_hangs_keeps_systemd_from_hearing_and_is_named(
    dog, systemd, ended, caplog, autojump_clock
) -> None:
    watched = dog(control=10.0, link=1000.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(beating, watched, "control", 1.0, trio.current_time() + 60)
        nursery.start_soon(watched.run, systemd.notifier)
        await trio.sleep(75)
        systemd.lines.clear()
        await trio.sleep(60)
        nursery.cancel_scope.cancel()

    assert not any("WATCHDOG=1" in line for line in systemd.lines)
    criticals = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert [record.growy_fields["part"] for record in criticals] == ["control"]
    assert watched.statistics().late == ("control",)
    assert ended == []  # that is systemd's business here


async def test_a_part_that_goes_on_is_taken_back_into_grace(dog, systemd, caplog, autojump_clock) -> None:
    watched = dog(control=10.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.run, systemd.notifier)
        await trio.sleep(20)
        nursery.start_soon(beating, watched, "control", 1.0)
        await trio.sleep(7)
        systemd.lines.clear()
        await trio.sleep(10)
        nursery.cancel_scope.cancel()

    assert "WATCHDOG=1" in systemd.lines
    assert "a part that stood still goes on" in [record.getMessage() for record in caplog.records]


async def test_systemd_is_shown_a_summary_when_it_changes(dog, systemd, autojump_clock) -> None:
    watched = dog(control=10.0)
    devices = 3
    async with trio.open_nursery() as nursery:
        nursery.start_soon(beating, watched, "control", 1.0, trio.current_time() + 60)
        nursery.start_soon(lambda: watched.run(systemd.notifier, summary=lambda: f"{devices} devices"))
        await trio.sleep(30)
        devices = 4
        await trio.sleep(60)
        nursery.cancel_scope.cancel()

    said = [line for line in systemd.lines if line.startswith("STATUS=")]
    assert said[:2] == ["STATUS=3 devices", "STATUS=4 devices"]
    assert said[2].startswith("STATUS=stands still: control (")


# --- without systemd ----------------------------------------------------------------------------------------------


async def test_without_systemd_it_ends_itself_after_the_same_time(dog, ended, capfd, autojump_clock) -> None:
    watched = dog(control=10.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.run, NOBODY)
        await trio.sleep(10 + GIVE_UP_S - 1)
        assert ended == []
        await trio.sleep(12)
        nursery.cancel_scope.cancel()

    assert set(ended) == {STUCK_EXIT}
    said = capfd.readouterr().err
    assert "growyd ends itself with code 70: control (" in said
    assert "Current thread" in said or "Thread 0x" in said


async def test_a_service_manager_without_a_watchdog_does_not_end_it_either(
    dog, systemd, ended, autojump_clock
) -> None:
    systemd.notifier.watchdog_s = None
    watched = dog(control=10.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.run, systemd.notifier)
        await trio.sleep(60)
        nursery.cancel_scope.cancel()

    assert set(ended) == {STUCK_EXIT}


async def test_where_a_task_hangs_is_written_down(dog, capfd, autojump_clock) -> None:
    watched = dog(control=10.0)

    async def waits_for_something_that_never_comes() -> None:
        await trio.Event().wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waits_for_something_that_never_comes)
        nursery.start_soon(watched.run, NOBODY)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()

    said = capfd.readouterr().err
    assert "Tasks of growyd while control stood still" in said
    assert said.count("waits_for_something_that_never_comes") >= 2


async def test_the_tasks_that_are_written_down_are_not_endless() -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(1000):
            nursery.start_soon(trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()

        text = task_stacks()

        assert len(text.splitlines()) < 1000
        assert "more" in text.splitlines()[-1]
        nursery.cancel_scope.cancel()


# --- when trio itself stands still --------------------------------------------------------------------------------


def run_python(code: str, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, stderr=subprocess.PIPE, **options
    )


BLOCKED = """
    import time
    import trio
    from growy.control.watchdog import Watchdog
    from growy.ops.sdnotify import Notifier

    def somebody_calls_a_blocking_function():
        print("blocks", flush=True)
        time.sleep(60)

    async def main():
        watchdog = Watchdog({"control": 1000.0})
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: watchdog.run(Notifier(""), stuck_s=1.0, task_status=task_status))
            await trio.sleep(2)
            somebody_calls_a_blocking_function()

    trio.run(main)
"""


def test_a_blocked_event_loop_is_ended_by_the_thread_with_the_stacks_of_all() -> None:
    process = run_python(BLOCKED)
    began = time.monotonic()

    _, said = process.communicate(timeout=40)

    assert process.returncode == STUCK_EXIT
    assert time.monotonic() - began < 30
    assert b"its event loop has not been round for 1 s" in said
    assert b"somebody_calls_a_blocking_function" in said


def test_a_stderr_that_nobody_reads_does_not_keep_it_alive() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 65536)
    os.set_blocking(writing, True)
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(BLOCKED)], cwd=ROOT, stderr=writing)
    try:
        assert process.wait(timeout=40) == STUCK_EXIT
    finally:
        os.close(reading)
        os.close(writing)


def test_a_process_that_was_paused_as_a_whole_is_given_its_time_again() -> None:
    code = """
        import time
        import trio
        from growy.control.watchdog import Watchdog
        from growy.ops.sdnotify import Notifier

        async def main():
            watchdog = Watchdog({"control": 1000.0})
            with trio.move_on_after(8):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(lambda: watchdog.run(Notifier(""), stuck_s=2.0))
                    await trio.sleep(0.1)
                    print("runs", flush=True)

        trio.run(main)
    """
    process = run_python(code, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"runs\n"

    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(4)  # of real time, because it is about a process that gets none
    os.kill(process.pid, signal.SIGCONT)

    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said.decode()


async def test_the_thread_is_gone_when_the_watchdog_is(ended) -> None:
    with Guard(0.2, ended.append):
        pass
    await trio.sleep(0.5)

    assert ended == []


def test_systemds_own_signal_says_where_the_threads_stand() -> None:
    code = """
        import trio
        from growy.control.watchdog import Watchdog
        from growy.ops.sdnotify import Notifier

        async def waits_in_here():
            watchdog = Watchdog({"control": 1000.0})
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watchdog.run, Notifier(""))
                await trio.sleep(0.1)
                print("runs", flush=True)
                await trio.sleep(60)

        trio.run(waits_in_here)
    """
    process = run_python(code, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"runs\n"

    process.send_signal(signal.SIGABRT)
    _, said = process.communicate(timeout=30)

    assert process.returncode == -signal.SIGABRT
    assert b"Fatal Python error: Aborted" in said
    assert b"in _watch" in said  # also the thread of the watchdog


# --- what it promises ---------------------------------------------------------------------------------------------


def test_the_exit_code_is_the_one_that_the_command_line_documents() -> None:
    assert STUCK_EXIT == ExitCode.STUCK


def test_the_thread_comes_before_systemd_and_every_part_has_a_deadline() -> None:
    assert STUCK_S < GIVE_UP_S
    assert set(LIMITS) == {"control", "link", "writer", "workers"}
