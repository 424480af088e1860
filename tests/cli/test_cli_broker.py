"""`growyd broker`: a password comes from a terminal or standard input, never from the command line."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from rig.brokers import Mosquitto as Broker
from rig.daemon import Growyd
from rig.passwords import guarded

from growy.cli import main
from growy.cli.exits import ExitCode

NOWHERE = ["--url", "http://127.0.0.1:1"]
SECRET = "under the lamp"


def at_a_terminal(*typed: str) -> tuple[int, str]:
    """Exit code and all that the terminal shows of `growyd broker passwd esp`, where no daemon is."""
    master, slave = pty.openpty()
    program = [sys.executable, "-m", "growy", "broker", "passwd", "esp", *NOWHERE]
    shown = ""
    with subprocess.Popen(
        program, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, text=True
    ) as process:
        os.close(slave)
        for line in typed:
            asked = shown.count(": ") + 1
            while shown.count(": ") < asked:  # only then is nothing shown that is typed
                shown += os.read(master, 4096).decode()
            os.write(master, f"{line}\n".encode())
        with contextlib.suppress(OSError):  # the terminal has gone
            while said := os.read(master, 4096):
                shown += said.decode()
    os.close(master)
    return process.returncode, shown


def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown() -> None:
    code, shown = at_a_terminal(SECRET, SECRET)

    assert (code, "No daemon answers" in shown) == (ExitCode.UNREACHABLE, True)
    assert SECRET not in shown


def test_without_a_terminal_a_password_must_come_by_stdin() -> None:
    done = CliRunner().invoke(main, ["broker", "passwd", "esp", *NOWHERE], input=f"{SECRET}\n{SECRET}\n")
    assert (done.exit_code, "--stdin" in done.stderr) == (ExitCode.CONFIG, True)
    done = CliRunner().invoke(main, ["broker", "passwd", "esp", "--stdin", *NOWHERE], input="")
    assert (done.exit_code, "no password" in done.stderr) == (ExitCode.CONFIG, True)
    done = CliRunner().invoke(main, ["broker", "passwd", "esp", "--stdin", *NOWHERE], input=f"{SECRET}\n")
    assert done.exit_code == ExitCode.UNREACHABLE
    assert SECRET not in done.output


@pytest.mark.mosquitto
def test_a_login_comes_and_goes_with_a_running_daemon(
    mosquitto_with: Callable[[str], Broker], tmp_path: Path
) -> None:
    broker, mosquitto, _ = guarded(mosquitto_with, tmp_path, {"growyd": "its-own-secret"})
    files = f'[broker]\nurl = "mqtt://growyd:its-own-secret@127.0.0.1:{broker.port}"\n'
    files += f'password_file = "{mosquitto.password_file}"\npid_file = "{mosquitto.pid_file}"\n'
    growyd = Growyd(tmp_path, broker.port)
    growyd.config.write_text(
        f'{files}[node]\ndata_dir = "{tmp_path}"\n[web]\nport = 0\n[log]\nlevel = "warning"\n'
    )

    def run(*arguments: str, typed: str = "") -> str:
        done = CliRunner().invoke(main, ["broker", *arguments, "--socket", str(growyd.socket)], input=typed)
        assert done.exit_code == 0, done.output
        assert SECRET not in done.output
        return done.output

    growyd.start()
    try:
        assert "has set up no login" in run("status")
        assert "lets esp in" in run("passwd", "esp", "--stdin", typed=f"{SECRET}\n")
        assert b"esp:$7$" in mosquitto.read()
        assert "esp can log in" in run("status")
        growyd.stop()
        growyd.start()
        assert "esp can log in; set up 20" in run("status")
        assert "does not let esp in" in run("rm", "esp")
        assert b"esp:" not in mosquitto.read()
        assert "esp cannot log in" in run("status")
        refused = CliRunner().invoke(main, ["broker", "rm", "growyd", "--socket", str(growyd.socket)])
        assert (refused.exit_code, "MQTT_OWN_LOGIN" in refused.stderr) == (ExitCode.FAILED, True)
        assert "mqtt_login_changed" in CliRunner().invoke(
            main, ["events", "--socket", str(growyd.socket), "--json"]
        ).output  # fmt: skip
    finally:
        growyd.end()
