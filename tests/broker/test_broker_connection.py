"""What a connection puts on the wire: whole frames, whoever overtakes whom. Only the wire is looked at: no broker."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from rig.brokers import free_port

from growy.broker.connection import Connection
from growy.broker.engine import Endpoint
from growy.broker.frames import FrameSplitter

BULK = b"x" * 1_000_000
"""More than a socket takes at a time."""


class Wire:
    """A connection that has been opened, and the other end of it."""

    def __init__(self, connection: Connection, end: socket.socket) -> None:
        self.connection = connection
        self.end = end
        self._splitter = FrameSplitter()
        self.payloads: list[bytes] = []

    def publish(self, payload: bytes, *, urgent: bool = False) -> None:
        self.connection.publish("t", payload, qos=1, retain=False, overtake=urgent)

    def read(self) -> None:
        """What is there, at once: the connection does not learn of it before its turn comes."""
        try:
            while data := self.end.recv(1 << 20):
                messages, _ = self._splitter.feed(data)
                self.payloads += [message.payload for message in messages]
        except BlockingIOError:
            pass

    async def read_until(self, count: int) -> None:
        with trio.fail_after(5):
            while len(self.payloads) < count:
                self.read()
                await trio.sleep(0.001)


@asynccontextmanager
async def opened(*, writing: bool = True) -> AsyncIterator[Wire]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    endpoint = Endpoint(host="127.0.0.1", port=free_port(), client_id="test")
    with theirs:
        async with stream, trio.open_nursery() as nursery:
            wire = Wire(Connection(stream, endpoint, None, 1, lambda _mid: None), theirs)
            if writing:
                nursery.start_soon(wire.connection.write_loop, lambda: None)
                await trio.testing.wait_all_tasks_blocked()
            yield wire
            nursery.cancel_scope.cancel()


async def test_an_order_is_on_the_wire_before_anything_else_gets_its_turn() -> None:
    async with opened() as wire:
        wire.publish(b"ordinary")
        wire.publish(b"stop", urgent=True)
        wire.read()

        assert wire.payloads == [b"stop"], "no other task has run since"
        await wire.read_until(2)


async def test_an_order_never_breaks_a_frame_that_is_half_way_out() -> None:
    async with opened() as wire:
        wire.publish(BULK)
        await trio.testing.wait_all_tasks_blocked()
        wire.read()  # the socket has room again, and the writer does not know yet
        wire.publish(b"stop", urgent=True)
        wire.publish(b"later")
        await wire.read_until(3)

    assert wire.payloads == [BULK, b"stop", b"later"]


@pytest.mark.parametrize("second", [b"clear", BULK[:-1]])
async def test_an_order_that_the_socket_takes_in_part_is_finished_first(second: bytes) -> None:
    async with opened() as wire:
        wire.publish(BULK, urgent=True)
        wire.read()
        wire.publish(second, urgent=True)
        wire.publish(b"ordinary")
        await wire.read_until(3)

    assert wire.payloads == [BULK, second, b"ordinary"]
