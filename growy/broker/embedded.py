"""The embedded broker: rumqttd, from the iotcore wheel, in a child process. For quick start, demo and tests.

The child is ours alone: it listens where it is told, ignores Ctrl-C and SIGTERM (which may go to all of us, while the
daemon must still acknowledge what it commits), and ends when our end of its stdin is closed, so with us at the latest.
It keeps sessions in memory only, so it is no broker for production.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from growy.model.errors import BrokerError, ConfigError, PortInUse

START_TIMEOUT_S = 10.0
SETTLE_S = 0.1
MAX_PAYLOAD = 1 << 20

_CHILD = """
import json, os, signal, sys, threading
def die_with_parent():
    sys.stdin.buffer.read()
    os._exit(0)
for one in (signal.SIGINT, signal.SIGTERM):
    signal.signal(one, signal.SIG_IGN)
threading.Thread(target=die_with_parent, daemon=True).start()
from iotcore.iotcore import IotCoreBroker
IotCoreBroker(**json.loads(sys.argv[1])).run_forever()
"""


def check_port_free(host: str, port: int, option: str) -> None:
    """Raises PortInUse, naming the option, if something listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUse(
                f"Port {port} on {host} cannot be listened on: {error.strerror}",
                cure=f"Stop what uses it, or choose another port with {option}",
                details={"host": host, "port": port},
            ) from error


@asynccontextmanager
async def open_embedded_broker(
    host: str, port: int, *, option: str = "[broker] embedded_listen"
) -> AsyncIterator[None]:
    """Runs the broker for the time of the `with` block; it accepts connections when the block is entered.

    Args:
        option: what the person who runs us can set to choose another port.

    Raises:
        ConfigError: iotcore is not installed.
        PortInUse: the port is taken.
        BrokerError: it did not come up.
    """
    try:
        import iotcore  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "broker.url: the embedded broker needs the package iotcore",
            cure="Install growyd[embedded], or set [broker] url to a Mosquitto",
        ) from error
    check_port_free(host, port, option)
    options = json.dumps({"listen": host, "port": port, "max_payload_size": MAX_PAYLOAD})
    try:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-c", _CHILD, options],
            stdin=subprocess.PIPE,
            # rumqttd tells every packet at level error; what matters of it we see on the connection.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=os.path.dirname(
                sys.executable
            ),  # not the current folder: it is first on the child's sys.path
        )
    except OSError as error:
        raise BrokerError(f"The embedded broker cannot be started: {error}") from error
    try:
        await _wait_listening(process, host, port, option)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch, process)
            yield
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            if process.stdin is not None:
                await process.stdin.aclose()
            with trio.move_on_after(3):
                await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _watch(process: trio.Process) -> None:
    code = await process.wait()
    raise BrokerError(f"The embedded broker has ended with code {code}")


async def _wait_listening(process: trio.Process, host: str, port: int, option: str) -> None:
    with trio.move_on_after(START_TIMEOUT_S):
        while not await _accepts(host, port):
            if process.poll() is not None:
                raise BrokerError(f"The embedded broker ended at start with code {process.returncode}")
            await trio.sleep(0.02)
        # Somebody listens. If it is not our child, the child is about to find that out.
        await trio.sleep(SETTLE_S)
        if process.poll() is not None:
            check_port_free(host, port, option)
            raise BrokerError(f"The embedded broker ended at start with code {process.returncode}")
        return
    raise BrokerError(f"The embedded broker did not listen on {host}:{port} within {START_TIMEOUT_S:g} s")


async def _accepts(host: str, port: int) -> bool:
    try:
        stream = await trio.open_tcp_stream(host, port)
    except OSError:
        return False
    await stream.aclose()
    return True
