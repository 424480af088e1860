"""A TCP wire with a person at it: cut it silently or with a reset, mend it, slow it down. On trio's loop."""

from __future__ import annotations

import enum
from functools import partial

import attrs
import trio

from rig.brokers import free_port


class Cut(enum.Enum):
    WHOLE = "whole"
    SILENT = "silent"
    """Nothing comes through, and nobody is told: a dead switch, a Wi-Fi without an uplink."""
    RESET = "reset"
    """Connections are broken, new ones refused: a dead Pi whose network card lives."""


@attrs.define(eq=False)
class Wire:
    """Listens on `port` and passes on to `target`."""

    target: int
    port: int = attrs.field(factory=free_port)
    delay_s: float = 0.0
    """One way."""
    passed: int = 0
    """Bytes, both ways."""
    upwards: int = 0
    """Bytes from who connects."""
    _state: Cut = Cut.WHOLE
    _changed: trio.Event = attrs.field(factory=trio.Event)
    _scopes: set[trio.CancelScope] = attrs.field(factory=set)

    def cut(self, how: Cut = Cut.SILENT) -> None:
        self._become(how)
        if how is Cut.RESET:
            self._break()

    def mend(self) -> None:
        """What stood in the wire is gone: whoever talked over it has to connect again."""
        if self._state is not Cut.WHOLE:
            self._become(Cut.WHOLE)
            self._break()

    def _become(self, state: Cut) -> None:
        self._state = state
        self._changed.set()
        self._changed = trio.Event()

    def _break(self) -> None:
        for scope in self._scopes:
            scope.cancel()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        serve = partial(trio.serve_tcp, self._serve, self.port, host="127.0.0.1")
        async with trio.open_nursery() as nursery:
            await nursery.start(serve)
            task_status.started()

    async def _serve(self, near: trio.SocketStream) -> None:
        if self._state is Cut.RESET:
            return
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                far = await trio.open_tcp_stream("127.0.0.1", self.target)
                async with far, trio.open_nursery() as nursery:
                    nursery.start_soon(self._pass, near, far, scope, True)
                    nursery.start_soon(self._pass, far, near, scope, False)
            except* (OSError, trio.BrokenResourceError):
                pass
            finally:
                self._scopes.discard(scope)

    async def _pass(
        self, source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope, upwards: bool
    ) -> None:
        try:
            while data := await source.receive_some(65536):
                if self.delay_s:
                    await trio.sleep(self.delay_s)
                while self._state is not Cut.WHOLE:
                    await self._changed.wait()
                await sink.send_all(data)
                self.passed += len(data)
                self.upwards += len(data) if upwards else 0
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        scope.cancel()
