"""The doors: one daemon per port and socket, and a socket file that only its owner may use."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import trio

from growy.config import WebConfig
from growy.model.errors import ConfigError, PortInUse
from growy.web.limits import Limits
from growy.web.listeners import address_of, open_unix
from growy.web.server import open_web


@pytest.mark.parametrize(
    ("host", "address"),
    [("localhost", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("[::1]", "::1"), ("0.0.0.0", "0.0.0.0")],
)
def test_an_address_in_any_spelling_is_fine(host: str, address: str) -> None:
    assert address_of(host) == address


async def test_port_0_takes_a_free_port_and_says_which(house: Any) -> None:
    async with open_web(WebConfig(port=0), None, house.app()) as web:
        assert web.port > 0
        assert web.url == f"http://127.0.0.1:{web.port}"


async def test_a_taken_port_names_the_port_and_the_option(house: Any) -> None:
    async with open_web(WebConfig(port=0), None, house.app()) as web:
        with pytest.raises(PortInUse) as taken:
            async with open_web(WebConfig(port=web.port), None, house.app()):
                pass
        assert str(web.port) in str(taken.value)
        assert "--port" in str(taken.value)
        assert "[web] port" in str(taken.value)


async def test_a_port_can_be_taken_again_at_once(house: Any, serve: Any, connect: Any) -> None:
    async with serve(house) as web, connect(web) as client:
        await client.ask("GET", "/")
        port = web.port
    async with serve(house, WebConfig(port=port)) as web, connect(web) as client:
        assert (await client.ask("GET", "/")).status == 200


async def test_the_unix_socket_is_the_owners_alone_and_goes_with_the_server(
    house: Any, serve: Any, tmp_path: Path
) -> None:
    path = tmp_path / "growyd.sock"
    async with serve(house, socket_path=path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(b"GET /health HTTP/1.1\r\nHost: growyd\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 OK")
    assert not path.exists()


async def test_a_full_port_does_not_lock_the_command_line_out(
    house: Any, serve: Any, connect: Any, tmp_path: Path
) -> None:
    path = tmp_path / "growyd.sock"
    async with serve(house, socket_path=path, limits=Limits(connections=1)) as web, connect(web) as crowd:
        await crowd.ask("GET", "/")
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(b"GET /health HTTP/1.1\r\nHost: growyd\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 OK")


async def test_the_socket_of_a_dead_daemon_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "growyd.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with open_unix(path):
        assert path.is_socket()
    assert not path.exists()


async def test_the_socket_of_a_living_daemon_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "growyd.sock"
    async with open_unix(path):
        with pytest.raises(PortInUse, match="Another growyd"):
            async with open_unix(path):
                pass
        assert path.is_socket()


async def test_a_daemon_too_busy_to_answer_is_still_alive(tmp_path: Path) -> None:
    path = tmp_path / "growyd.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(PortInUse):
            async with open_unix(path):
                pass


async def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "growyd.sock"
    path.write_text("precious")
    with pytest.raises(ConfigError, match=r"\[web\] socket"):
        async with open_unix(path):
            pass
    assert path.read_text() == "precious"


@pytest.mark.parametrize("where", ["no/such/folder/s", "x" * 200])
async def test_a_socket_path_that_cannot_be_is_named(tmp_path: Path, where: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        async with open_unix(tmp_path / where):
            pass
    assert "[web] socket" in str(wrong.value)
    assert where in str(wrong.value)


async def test_the_socket_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "growyd.sock"
    async with open_unix(path):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
    assert path.exists()


async def test_no_door_stays_open_when_another_cannot_be_opened(house: Any, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(ConfigError):
            async with open_web(WebConfig(port=0), tmp_path / "no" / "folder", house.app()):
                pass
    assert len(os.listdir("/proc/self/fd")) == before
