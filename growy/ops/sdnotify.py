"""Tell systemd how we are: READY, STATUS, STOPPING, WATCHDOG. Without systemd every call does nothing.

One datagram per message (sd_notify(3)). Never blocks the trio loop longer than `SEND_TIMEOUT_S`, and never fails the
daemon: a message that systemd does not take is reported by the return value, and the next one may be.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

SEND_TIMEOUT_S = 1.0
"""READY and STOPPING are said once and must arrive: wait this long while systemd's queue is full."""


class Notifier:
    """The notification socket of the service manager.

    Args:
        address: value of NOTIFY_SOCKET: a path, `@name` for an abstract socket, or "" when not run by systemd.
        watchdog_s: systemd kills us after this many seconds without `watchdog()`; None: it does not watch.
    """

    def __init__(self, address: str, watchdog_s: float | None = None) -> None:
        # An abstract address begins with NUL; in the environment it is written with @ in its place.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = watchdog_s
        self.refused = 0
        """Messages that systemd did not take."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Notifier:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; the watchdog counts only when it is meant for this
        process.
        """
        usec = environ.get("WATCHDOG_USEC", "")
        pid = environ.get("WATCHDOG_PID", str(os.getpid()))
        watched = usec.isdecimal() and int(usec) > 0 and pid == str(os.getpid())
        return cls(environ.get("NOTIFY_SOCKET", ""), int(usec) / 1e6 if watched else None)

    @property
    def enabled(self) -> bool:
        return bool(self._address)

    def ready(self, status: str = "") -> bool:
        """The daemon serves. `status` is shown by `systemctl status`."""
        return self._send(_lines("READY=1", status), wait=True)

    def status(self, text: str) -> bool:
        return self._send(_lines("", text), wait=False)

    def stopping(self, status: str = "") -> bool:
        return self._send(_lines("STOPPING=1", status), wait=True)

    def watchdog(self) -> bool:
        """Alive. Said at least twice per `watchdog_s`; a lost one is made good by the next."""
        return self._send("WATCHDOG=1", wait=False)

    def _send(self, message: str, *, wait: bool) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(SEND_TIMEOUT_S if wait else 0.0)
                sock.sendto(message.encode(), self._address)
        except OSError:
            # Gone, full or not ours: systemd will draw its own conclusions (timeout, watchdog), and the
            # caller sees False.
            self.refused += 1
            return False
        return True


def _lines(state: str, status: str) -> str:
    """One assignment per line; a line break in the status would begin another."""
    said = f"STATUS={' '.join(status.split())}" if status else ""
    return "\n".join(line for line in (state, said) if line)
