"""How a command ends: exit codes that a script can rely on, and the errors of the command line itself."""

from __future__ import annotations

import enum

from growy.model.errors import ConfigError, GrowyError


class ExitCode(enum.IntEnum):
    """Part of the interface: documented in docs/cli.md, never renumbered."""

    OK = 0
    FAILED = 1
    CONFIG = 2
    UNREACHABLE = 3
    UNWELL = 4
    STUCK = 70
    INTERRUPTED = 130


MEANING: dict[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "the command or the daemon reports a failure; the message says which",
    ExitCode.CONFIG: "wrong use of the command, or faults in the settings",
    ExitCode.UNREACHABLE: "no daemon answers",
    ExitCode.UNWELL: "status: the daemon answers, but is degraded or unhealthy",
    ExitCode.STUCK: "run: the daemon stood still and ended itself; systemd starts it again",
    ExitCode.INTERRUPTED: "ended by Ctrl-C",
}


class DaemonUnreachable(GrowyError):
    """No daemon answers where we looked; the message lists where, and what happened there."""

    code = "DAEMON_UNREACHABLE"
    numeric_code = 5410
    http_status = 503

    def __str__(self) -> str:
        return f"{self.message}\n{self.cure}"


class DaemonRefused(GrowyError):
    """The daemon answered with an error; message and code are its own."""

    code = "DAEMON_REFUSED"

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.said = code

    def __str__(self) -> str:
        return f"{self.message} [{self.said}]" if self.said else self.message


class OutputFailed(GrowyError):
    """What the command prints cannot be written: the disk is full, or nobody reads it any more."""

    code = "OUTPUT_FAILED"


def code_of(error: GrowyError) -> ExitCode:
    if isinstance(error, ConfigError):
        return ExitCode.CONFIG
    return ExitCode.UNREACHABLE if isinstance(error, DaemonUnreachable) else ExitCode.FAILED


def epilog() -> str:
    """For the help page."""
    lines = [f"  {code.value:<4} {text}\n" for code, text in MEANING.items()]
    return "Exit codes:\n" + "".join(lines)
