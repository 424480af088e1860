"""One live client's conversation, once its WebSocket stands: what it says, what it is sent, whether it is still there.

A client that does not read can only delay itself: what it is owed waits in its `Feed`, which is bounded, and a client
that lets that overflow, or one write stand for too long, is given up with a reason. It is never sent less than it
asked for without being told.
"""

from __future__ import annotations

import math

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from growy.model.errors import Invalid
from growy.ops.log import get_log
from growy.web.events import Dialect, LiveEvent
from growy.web.feed import Feed
from growy.web.gate import Admission
from growy.web.limits import Limits
from growy.web.live import LiveHub
from growy.web.pace import Pace
from growy.web.stream import ReplayStream
from growy.web.subscription import Clear, PingRequest, Remove, parse

log = get_log(__name__)

TOO_SLOW = 1013
"""RFC 6455 registry: "try again later". Also for one client too many."""
GOING_AWAY = 1001
NOT_ADMITTED = 4001
"""The existing frontend's number: no login, or one that counts no longer."""
PING_S = 30.0
"""Often enough for the routers that forget a silent connection after a minute."""


class Session:
    """Joins the hub when it is made, leaves it when `run` ends.

    Args:
        stream: what the socket writes to. Events and readings go there directly, as frames that the hub has made once
            for all clients; the library would encode each of them for each client.
        admission: how long it may watch.
    """

    def __init__(
        self,
        socket: WebSocketConnection,
        stream: ReplayStream,
        client_id: str,
        dialect: Dialect,
        hub: LiveHub,
        limits: Limits,
        admission: Admission,
    ) -> None:
        self._socket = socket
        self._stream = stream
        self._dialect = dialect
        self._hub = hub
        self._limits = limits
        self._admission = admission
        self._news = trio.Event()
        self._scope = trio.CancelScope()
        self._end = (1000, "")
        self._feed: Feed = hub.join(client_id, self._wake)

    async def run(self) -> tuple[int, str]:
        """Close code and reason for the client."""
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                await self._write(self._welcome().in_(self._dialect))
                nursery.start_soon(self._listen)
                nursery.start_soon(self._send)
                nursery.start_soon(self._keep_alive)
                nursery.start_soon(self._watch_login)
        finally:
            self._hub.leave(self._feed)
        return self._end

    def _wake(self) -> None:
        self._news.set()
        if self._feed.overflowed:
            self._give_up("it does not read its events")

    def _give_up(self, why: str) -> None:
        if self._scope.cancel_called:
            return
        self._hub.too_slow += 1
        log.warning("live client closed", client_id=self._feed.client_id, reason=f"too slow: {why}")
        self._finish(TOO_SLOW, f"too slow: {why}")

    def _finish(self, code: int, reason: str) -> None:
        self._end = (code, reason)
        self._scope.cancel()

    async def _write(self, frames: bytes) -> None:
        """Whole frames. A write that was cut off half way leaves the connection unusable: the client is given up."""
        if self._socket.closed is not None:
            self._scope.cancel()
            return
        self._hub.frames += 1
        with trio.move_on_after(self._limits.send_timeout) as scope:
            try:
                await self._stream.send_all(frames)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._scope.cancel()
        if scope.cancelled_caught:
            self._give_up("it does not read")
            await trio.lowlevel.checkpoint()

    # What it says

    async def _listen(self) -> None:
        try:
            while True:
                await self._take(await self._socket.get_message())
        except ConnectionClosed:
            self._scope.cancel()

    def _welcome(self) -> LiveEvent:
        data = {"client_id": self._feed.client_id, "message": "Connected to growyd"}
        # The welcome is read by its top-level fields, every other message by its envelope: it has both.
        return self._hub.event("connection_established", data, beside=data)

    async def _take(self, said: str | bytes) -> None:
        hub, feed = self._hub, self._feed
        try:
            message = parse(said)
            if isinstance(message, PingRequest):
                await self._write(hub.event("pong", {"timestamp": message.timestamp}).in_(self._dialect))
                return
            hub.obey(feed, message)
        except Invalid as error:
            told = {"code": error.code, "numeric_code": error.numeric_code, "message": str(error)}
            await self._write(hub.event("error", told | {"details": error.details}).in_(self._dialect))
            return
        kind = "unsubscribed" if isinstance(message, Clear | Remove) else "subscribed"
        await self._write(hub.event(kind, feed.subscription.describe()).in_(self._dialect))
        hub.replay(feed, message)  # after the answer, so that the client knows what it is the state of

    # What it is sent

    async def _send(self) -> None:
        """Plain: events at once, readings at the client's pace. Batches: everything at the client's pace."""
        hub, feed, limits = self._hub, self._feed, self._limits
        pace = Pace(limits.frame_interval, limits.frame_burst)
        gathered = -math.inf
        while True:
            if feed.events_waiting and not self._dialect.batched:
                await self._write(hub.take_events(feed, limits.flush_readings))
                continue
            if not feed.readings_waiting and not feed.events_waiting:
                feed.listening = True
                await self._wait_for_news()
                # What comes together (the sensors of a device, a batch of the intake) is sent together.
                gathered = trio.current_time() + limits.gather
                continue
            due = max(pace.next_at(), gathered if not feed.events_waiting else -math.inf)
            if (now := trio.current_time()) < due:
                feed.listening = False  # only an event may end this pause
                with trio.move_on_at(due):
                    await self._wait_for_news()
                continue
            await self._flush(pace, now)

    async def _flush(self, pace: Pace, now: float) -> None:
        hub, feed, limits = self._hub, self._feed, self._limits
        if self._dialect.batched:
            frames = hub.take_all(feed, self._dialect, limits.flush_batch)
        else:
            frames = hub.take(feed, limits.flush_readings)
        if frames:  # the series that waited may have been unsubscribed meanwhile
            pace.spend(now)
            await self._write(frames)

    async def _wait_for_news(self) -> None:
        # No checkpoint between the look at the feed and this: what came in between has set the old event.
        self._news = trio.Event()
        await self._news.wait()

    # Whether it is still there

    async def _keep_alive(self) -> None:
        """A client from which nothing is heard for the idle time, not even a pong, is gone."""
        idle = self._limits.websocket_idle
        pause = min(PING_S, idle / 2)
        while True:
            await trio.sleep(pause)
            try:
                with trio.fail_after(idle - pause):
                    await self._socket.ping()
            except trio.TooSlowError:
                log.info("live client closed", client_id=self._feed.client_id, reason="no answer to ping")
                self._finish(GOING_AWAY, "no answer to ping")
                return
            except ConnectionClosed:
                self._scope.cancel()
                return

    async def _watch_login(self) -> None:
        """What was open when a login expires or is revoked must not stay open: a client comes back with a new one."""
        with trio.move_on_at(self._admission.expires_s):
            await self._admission.ended.wait()
        self._hub.unauthorized += 1
        ended = "was ended" if self._admission.ended.is_set() else "has expired"
        self._finish(NOT_ADMITTED, f"the login {ended}")
