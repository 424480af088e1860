"""The link to the MQTT broker: one persistent session, kept up for ever.

Inbound PUBLISH messages are handed on in batches, as many as one read of the socket held, and are acknowledged by
whoever has committed them (`Link.acknowledge`), in order of receipt. When the receiver waits, the link stops reading,
TCP pushes back and the broker keeps the messages. Outbound messages end as acknowledged, expired or unknown, never as
"probably sent".

It must never look into a payload, and never acknowledge on its own.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import attrs
import trio

from growy.broker.connection import LOST, Connection, open_stream, root_cause
from growy.broker.engine import Endpoint, Will
from growy.broker.frames import Inbound, pubacks
from growy.broker.link_state import LinkState, LinkStatistics
from growy.broker.outbox import Lane, Outbox, Outcome, Outgoing
from growy.broker.reconnect import Backoff
from growy.model.errors import BrokerError, PublishExpired, PublishFailed
from growy.ops.log import get_log

log = get_log(__name__)

WRITE_AHEAD = 1 << 16
"""Bytes collected for the socket before ordinary publishes wait in the outbox instead, where they can still expire."""
BEAT_S = 5.0
LASTING_S = 10.0
"""A connection that has lived this long counts as good."""


@attrs.frozen(slots=True)
class Delivery:
    """PUBLISH messages of one read, in order. `epoch` says on which connection: packet ids mean nothing on another."""

    epoch: int
    messages: list[Inbound]
    received_ms: int
    """Unix ms."""
    received_at: float
    """On trio's clock: what waits under back-pressure waits since then."""


class Link:
    """Made by the daemon; lives in `run`.

    Args:
        endpoint: the broker.
        subscriptions: (filter, qos) pairs; qos at most 1.
        deliver: takes each Delivery; may wait, which is back-pressure.
        backoff: pauses between attempts.
        wall_ms: the time of day, Unix ms.
        will: what the broker says when we vanish.
        hello: (topic, payload) published retained on each connect, before anything is subscribed.
        farewell: (topic, payload, retain) of each message that is published before an orderly DISCONNECT.
        on_connection: told True when the connection stands, False when it does not any more.
        beat: called at least every `BEAT_S` while the link does what it should, connected or not.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        subscriptions: Sequence[tuple[str, int]],
        deliver: Callable[[Delivery], Awaitable[None]],
        backoff: Backoff,
        wall_ms: Callable[[], int],
        will: Callable[[], Will] | None = None,
        hello: Callable[[], tuple[str, bytes]] | None = None,
        farewell: Callable[[], Sequence[tuple[str, bytes, bool]]] = tuple,
        on_connection: Callable[[bool], None] = lambda connected: None,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        if any(qos > 1 for _, qos in subscriptions):
            raise ValueError("growyd subscribes with QoS 0 or 1: a QoS 2 flow cannot wait for a commit")
        self._endpoint = endpoint
        self._subscriptions = list(subscriptions)
        self._deliver = deliver
        self._backoff = backoff
        self._wall_ms = wall_ms
        self._will = will
        self._hello = hello
        self._farewell = farewell
        self._on_connection = on_connection
        self._beat = beat
        self._outbox = Outbox()
        self._room = trio.Event()
        self._waiters: dict[int, trio.Event] = {}
        self._connection: Connection | None = None
        self._reading = trio.CancelScope()
        self._draining = False
        self._state = LinkState.DISCONNECTED
        self._state_changed = trio.Event()
        self._epoch = 0
        self._session_present = False
        self._last_error: str | None = None
        self._connects = 0
        self._sessions_lost = 0
        self._failures = 0
        self._received = 0
        self._last_message_ms: int | None = None
        self._received_bytes = 0
        self._acknowledged = 0
        self._sends_refused = 0

    # -- state ---------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._state is LinkState.CONNECTED

    def quiet(self) -> AbstractContextManager[None]:
        """As `Connection.quiet`."""
        return nullcontext() if self._connection is None else self._connection.quiet()

    async def wait_connected(self) -> None:
        while self._state is not LinkState.CONNECTED:
            await self._state_changed.wait()

    def statistics(self) -> LinkStatistics:
        connection = self._connection
        return LinkStatistics(
            state=self._state.value,
            broker=str(self._endpoint),
            host=self._endpoint.host,
            port=self._endpoint.port,
            connects=self._connects,
            failures=self._failures,
            breaker=self._backoff.breaker.value,
            breaker_after=self._backoff.breaker_after,
            last_error=self._last_error,
            session_present=self._session_present,
            sessions_lost=self._sessions_lost,
            subscriptions=len(self._subscriptions),
            messages_received=self._received,
            bytes_received=self._received_bytes + (connection.bytes_received if connection else 0),
            last_message_ms=self._last_message_ms,
            messages_acknowledged=self._acknowledged,
            publishes_waiting=len(self._outbox),
            publishes_acknowledged=self._outbox.acknowledged,
            publishes_handed_over=self._outbox.handed_over,
            publishes_expired=self._outbox.expired,
            publishes_unknown=self._outbox.unknown,
            sends_refused=self._sends_refused,
            paused=connection is not None and connection.paused_since is not None,
        )

    def _become(self, state: LinkState) -> None:
        before, self._state = self.connected, state
        self._state_changed.set()
        self._state_changed = trio.Event()
        if self.connected is not before:
            self._on_connection(self.connected)

    # -- life ----------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connects, serves, reconnects, until cancelled; then says `farewell` and DISCONNECT: the will stays unsaid."""
        task_status.started()
        while True:
            self._backoff = self._backoff.retrying()
            wait = 0.0
            try:
                await self._serve_once()
            except* LOST as group:
                wait = self._note_failure(root_cause(group))
            self._become(LinkState.DISCONNECTED)
            await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        ends = trio.current_time() + seconds
        while (left := ends - trio.current_time()) > 0:
            self._beat()
            await trio.sleep(min(left, BEAT_S))
        self._beat()

    async def _beat_loop(self) -> None:
        """While a connection stands. Opening and closing one have their own deadlines, shorter than the watchdog's."""
        while True:
            self._beat()
            await trio.sleep(BEAT_S)

    def drain(self) -> None:
        """Begins an orderly end: stops reading, for good.

        What was read can still be acknowledged; what was not stays with the broker.
        """
        self._draining = True
        self._reading.cancel()
        if self._state is LinkState.CONNECTED:
            self._become(LinkState.DRAINING)

    def _note_failure(self, error: BaseException) -> float:
        self._failures += 1
        self._last_error = str(error) or type(error).__name__
        self._backoff, wait = self._backoff.failed(random.random())
        log.warning(
            "broker connection failed",
            broker=str(self._endpoint),
            error=self._last_error,
            failures=self._backoff.failures,
            breaker=self._backoff.breaker.value,
            retry_in_s=round(wait, 1),
        )
        return wait

    async def _serve_once(self) -> None:
        self._become(LinkState.CONNECTING)
        stream = await open_stream(self._endpoint)
        self._epoch += 1
        will = self._will() if self._will is not None else None
        connection = Connection(stream, self._endpoint, will, self._epoch, self._on_published)
        self._connection = connection
        lost = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.write_loop, self._pump)
                await self._converse(connection, nursery)
        except* LOST:
            lost = True
            raise
        finally:
            self._received_bytes += connection.bytes_received
            self._connection = None
            self._outbox.disconnected()
            # Without `drain` this is no orderly end but a crash of ours: then the will is the truth.
            await connection.close(self._farewell(), orderly=self._draining and not lost)

    async def _converse(self, connection: Connection, nursery: trio.Nursery) -> None:
        """Handshake, then delivers what comes, until drained; then waits for the end."""
        early: list[Inbound] = []
        hello = self._hello() if self._hello is not None else None
        await connection.handshake(self._subscriptions, hello, early.extend)
        self._session_present = connection.session_present
        if self._connects and not connection.session_present:
            self._sessions_lost += 1
            log.warning(
                "the broker has forgotten our session, and with it what it had queued for us",
                advice="set persistence true in mosquitto.conf",
            )
        self._connects += 1
        self._last_error = None
        self._become(LinkState.DRAINING if self._draining else LinkState.CONNECTED)
        log.info("broker connected", broker=str(self._endpoint), session_present=connection.session_present)
        self._pump()
        nursery.start_soon(connection.keep_alive_loop)
        nursery.start_soon(self._beat_loop)
        nursery.start_soon(self._trust_when_it_lasts)
        self._reading = trio.CancelScope()
        if self._draining:
            self._reading.cancel()
        with self._reading:
            await trio.lowlevel.checkpoint()  # a drained link takes nothing any more
            await self._receive(connection, early)
            while True:
                await self._receive(connection, await connection.read())
                self._pump()
        await trio.sleep_forever()

    async def _trust_when_it_lasts(self) -> None:
        """Only a connection that lasts ends the backoff: two clients with one id throw each other out at once."""
        await trio.sleep(LASTING_S)
        self._backoff = self._backoff.connected()

    async def _receive(self, connection: Connection, messages: list[Inbound]) -> None:
        if messages:
            self._received += len(messages)
            connection.paused_since = trio.current_time()
            self._last_message_ms = now_ms = self._wall_ms()
            await self._deliver(Delivery(connection.epoch, messages, now_ms, trio.current_time()))
            connection.paused_since = None

    def acknowledge(self, epoch: int, mids: Sequence[int]) -> bool:
        """Acknowledges packet ids of connection `epoch`, in order of receipt.

        Returns False, and does nothing, if that connection is gone: the broker will deliver those messages again.
        """
        connection = self._connection
        if connection is None or connection.epoch != epoch:
            return False
        self._acknowledged += len(mids)
        connection.write(pubacks(mids))
        return True

    # -- publishing ----------------------------------------------------------------------------------------------

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        timeout_s: float = 10.0,
        lane: Lane = Lane.NORMAL,
    ) -> None:
        """Publishes and waits for the broker's acknowledgement (QoS 0: until it is handed to the connection).

        Args:
            timeout_s: deadline. After it, a message that was not sent never will be, whatever reconnects later.
            lane: the emergency lane overtakes everything else that waits.

        Raises:
            PublishExpired: the deadline passed before it could be sent.
            PublishFailed: sent, but not acknowledged by the deadline: it may or may not have arrived.

        Cancelling withdraws the message if it was not sent yet.
        """
        if qos not in (0, 1):
            raise ValueError("qos must be 0 or 1: a QoS 2 flow, once begun, cannot be ended by a deadline")
        message = Outgoing(topic, payload, qos, retain, lane, trio.current_time() + timeout_s)
        done = trio.Event()
        try:
            with trio.move_on_at(message.deadline):
                while lane is Lane.NORMAL and self._outbox.full:
                    await self._room.wait()
                self._waiters[id(message)] = done
                self._outbox.put(message)
                self._pump()
                if message.outcome in (Outcome.WAITING, Outcome.SENT):
                    await done.wait()
        finally:
            self._waiters.pop(id(message), None)
            self._outbox.abandon(message)
        if message.outcome is Outcome.EXPIRED:
            raise PublishExpired(
                f"{topic} could not be published within {timeout_s:g} s", cure="Check the broker"
            )
        if message.outcome not in (Outcome.ACKNOWLEDGED, Outcome.HANDED_OVER):
            raise PublishFailed(f"The broker did not acknowledge {topic} within {timeout_s:g} s")

    def send(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        timeout_s: float = 10.0,
        lane: Lane = Lane.NORMAL,
        spare: bool = False,
    ) -> bool:
        """Publishes without waiting for the end, which is only counted (heartbeat acknowledgements, processed values).

        Args:
            spare: may be left out when much else waits: half of the room is for what is needed.

        Returns False, and counts, when too much waits already.
        """
        if lane is Lane.NORMAL and (self._outbox.full or (spare and self._outbox.busy)):
            self._sends_refused += 1
            return False
        self._outbox.put(Outgoing(topic, payload, qos, retain, lane, trio.current_time() + timeout_s))
        self._pump()
        return True

    def _pump(self) -> None:
        """Hands waiting messages to the connection, as far as there is room. Never from inside a callback of paho."""
        connection = self._connection
        if connection is None or self._state not in (LinkState.CONNECTED, LinkState.DRAINING):
            return
        while True:
            message = self._outbox.next(
                trio.current_time(), emergency_only=connection.unwritten > WRITE_AHEAD
            )
            if message is None:
                break
            urgent = message.lane is Lane.EMERGENCY
            try:
                mid = connection.publish(
                    message.topic, message.payload, qos=message.qos, retain=message.retain, overtake=urgent
                )
            except BrokerError:
                # The connection has just died and its own tasks are about to find out. Whoever publishes has no part
                # in that: the message waits for the next connection, or for its deadline.
                self._outbox.put_back(message)
                break
            self._outbox.sent(message, mid)
            if message.outcome is Outcome.HANDED_OVER:
                self._wake(message)
        if not self._outbox.full:
            self._room.set()
            self._room = trio.Event()

    def _on_published(self, mid: int) -> None:
        message = self._outbox.published(mid)
        if message is not None:
            self._wake(message)

    def _wake(self, message: Outgoing) -> None:
        done = self._waiters.get(id(message))
        if done is not None:
            done.set()
