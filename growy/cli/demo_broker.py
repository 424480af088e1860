"""A Mosquitto for each node of a demo with several Pis: child processes on loopback, gone with the demo at the latest.

The embedded broker will not do here: it insists on acknowledgements in the order of receipt, and a node acknowledges
what other nodes say at once, readings when they are on its disk. It must never touch a Mosquitto of somebody else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from growy.broker.embedded import check_port_free
from growy.model.errors import BrokerError, ConfigError

SBIN = "/usr/sbin:/usr/local/sbin"
"""Where distributions put it, and where people's PATH does not look."""
START_S = 10.0
LOOK_S = 0.02
END_S = 3.0
SETTINGS = """\
{user}listener {port} {host}
allow_anonymous true
max_inflight_messages 1000
max_queued_messages 100000
"""
# In a session of its own, so that Ctrl-C does not end it before the readings are in; its end is that of our pipe.
_KEEPER = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
sys.stdin.buffer.read()
child.terminate()
child.wait()
"""


def mosquitto() -> str:
    """Where it is. Raises ConfigError: it is not installed."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=SBIN)
    if found is None:
        raise ConfigError(
            "--kaisers: several Pis need a Mosquitto each; the embedded broker will not do",
            cure="Install it (Debian: sudo apt install mosquitto), or run the demo without --kaisers",
        )
    return found


@asynccontextmanager
async def open_mosquitto(folder: Path, host: str, port: int, option: str) -> AsyncIterator[None]:
    """Runs one for the time of the `with` block; it accepts connections when the block is entered.

    Args:
        option: what the person who runs us can set to choose another port.

    Raises:
        ConfigError: it is not installed.
        PortInUse: the port is taken.
        BrokerError: it did not come up.
    """
    program = mosquitto()
    check_port_free(host, port, option)
    await trio.to_thread.run_sync(lambda: folder.mkdir(parents=True, exist_ok=True))
    # Started as root it would become a user who may not see the folder.
    user = "user root\n" if os.geteuid() == 0 else ""
    settings = trio.Path(folder / "mosquitto.conf")
    await settings.write_text(SETTINGS.format(user=user, host=host, port=port))
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", _KEEPER, program, "-c", str(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await _accepting(process, host, port)
        yield
    finally:
        with trio.CancelScope(shield=True):
            assert process.stdin is not None
            await process.stdin.aclose()
            with trio.move_on_after(END_S):
                await process.wait()


async def _accepting(process: trio.Process, host: str, port: int) -> None:
    with trio.move_on_after(START_S):
        while process.poll() is None:
            try:
                stream = await trio.open_tcp_stream(host, port)
            except OSError:
                await trio.sleep(LOOK_S)
            else:
                await stream.aclose()
                return
    raise BrokerError(f"Mosquitto did not listen on {host}:{port} within {START_S:g} s")
