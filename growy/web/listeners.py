"""The doors: a TCP port and a unix socket that only its owner may open. Opens and closes them, serves nothing."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from growy.config import WebConfig
from growy.model.errors import ConfigError, PortInUse

BACKLOG = 128
"""Waiting connections; the kernel's own cap on a Raspberry Pi OS is 4096, but a client that waits behind 128
gives up."""
LONGEST_SOCKET_PATH = 107
"""Linux: sun_path holds 108 bytes with the final zero."""
_ANSWER_S = 1.0
"""A daemon whose accept queue is full still answers within this; if not even that, it is alive but stuck."""


def address_of(host: str) -> str:
    """The address to listen on."""
    return "127.0.0.1" if host == "localhost" else host.strip("[]")


async def open_tcp(config: WebConfig) -> trio.SocketListener:
    """The TCP door, bound and listening. Raises ConfigError, PortInUse."""
    address = address_of(config.host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    door = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restarted daemon must not wait for the kernel to forget the connections of the one before.
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await door.bind((address, config.port))
        door.listen(BACKLOG)
    except OSError as error:
        door.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"Port {config.port} on {address} is taken by another program",
                cure="Choose another with --port or [web] port; 0 takes any free one",
                details={"port": config.port, "host": address, "option": "--port"},
            ) from error
        raise ConfigError(
            "growyd cannot listen",
            (f"[web] host, port: {address}:{config.port}: {error.strerror}",),
            cure="Ports below 1024 need the capability CAP_NET_BIND_SERVICE" if config.port < 1024 else "",
        ) from error
    return trio.SocketListener(door)


@asynccontextmanager
async def open_unix(path: Path) -> AsyncIterator[trio.SocketListener]:
    """The unix door, mode 0600 from its first moment; its file goes when the door closes.

    Raises ConfigError (no such folder, not ours, not a socket, too long), PortInUse (another daemon listens
    there).
    """
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise _wrong(path, f"longer than the {LONGEST_SOCKET_PATH} bytes that Linux allows")
    await _clear(path)
    door = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        await door.bind(os.fspath(path))
        # Between bind and listen nobody can connect: no moment at which others could slip in.
        os.chmod(path, 0o600)
        identity = os.stat(path).st_ino
        door.listen(BACKLOG)
    except OSError as error:
        door.close()
        raise _wrong(path, error.strerror or str(error)) from error
    listener = trio.SocketListener(door)
    try:
        yield listener
    finally:
        door.close()
        _remove(path, identity)


def _remove(path: Path, identity: int) -> None:
    """Ours only: a daemon that was started meanwhile may have put its own there."""
    try:
        if path.stat().st_ino == identity:
            path.unlink()
    except OSError:
        pass  # already gone, or its folder is: nothing of ours is left


async def _clear(path: Path) -> None:
    """Remove the socket of a daemon that is no more."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from error
    if not stat.S_ISSOCK(mode):
        raise _wrong(path, "something that is not a socket is there")
    if await _answers(path):
        raise PortInUse(
            f"Another growyd listens on {path}",
            cure="Stop it first, or set [web] socket to another path (- for none)",
            details={"socket": str(path)},
        )
    try:
        os.unlink(path)
    except OSError as error:
        raise _wrong(path, f"cannot remove what an earlier growyd left: {error.strerror}") from error


async def _answers(path: Path) -> bool:
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock, trio.move_on_after(_ANSWER_S):
        try:
            await knock.connect(os.fspath(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True  # a full queue (EAGAIN), or a socket that is not ours to judge
    return True


def _wrong(path: Path, why: str) -> ConfigError:
    return ConfigError("growyd cannot open its unix socket", (f"[web] socket: {path}: {why}",))
