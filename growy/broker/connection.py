"""One connection to the broker, from TCP to SUBACK to goodbye. The link makes a new one after each loss.

It never decides whether to reconnect, and never acknowledges a message.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable, Iterator, Sequence

import trio

from growy.broker.client_certificate import load_pair
from growy.broker.engine import Endpoint, Engine, Will
from growy.broker.frames import FrameSplitter, Inbound
from growy.broker.tls_refusals import refusal_of
from growy.model.errors import BrokerError, BrokerRefused, ConfigError

READ_SIZE = 1 << 17
"""One read takes what has arrived, up to this: some 500 readings. Larger only delays the first of them."""
CONNECT_TIMEOUT_S = 10.0
HANDSHAKE_TIMEOUT_S = 10.0
STALL_S = 30.0
"""A broker that takes no byte for this long is dead, whatever TCP says."""
GOODBYE_S = 1.0
PINGREQ = b"\xc0\x00"

LOST = (
    BrokerError,
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.BusyResourceError,
    ssl.SSLError,
)
"""What a connection can die of."""


def root_cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first cause in a group: what a person wants to read."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def open_stream(endpoint: Endpoint) -> trio.abc.Stream:
    """TCP, and TLS if so configured.

    Raises:
        BrokerError: not reachable in time, or TLS failed; names the broker and the cure.
    """
    cure = f"Check [{endpoint.section}] url and that the broker runs"
    with trio.move_on_after(CONNECT_TIMEOUT_S):
        try:
            tcp = await trio.open_tcp_stream(endpoint.host, endpoint.port)
        except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
            reason = getattr(error, "strerror", None) or str(error)
            raise BrokerError(f"Cannot reach the broker at {endpoint}: {reason}", cure=cure) from error
        if not endpoint.tls:
            return tcp
        try:
            context = ssl.create_default_context(cafile=endpoint.ca_file or None)
            load_pair(context, endpoint)
            stream = trio.SSLStream(tcp, context, server_hostname=endpoint.host, https_compatible=True)
            await stream.do_handshake()
        except ConfigError as error:
            # It was right when growyd started: somebody is changing the files, or has taken them away.
            await trio.aclose_forcefully(tcp)
            raise BrokerError(": ".join((error.message, *error.faults)), cure=error.cure) from error
        except (OSError, ssl.SSLError, trio.BrokenResourceError) as error:
            await trio.aclose_forcefully(tcp)
            if (refused := refusal_of(endpoint, error)) is not None:
                raise refused from error
            reason = str(error.__cause__ or error)
            raise BrokerError(
                f"TLS with the broker at {endpoint} failed: {reason}",
                cure=f"Check [{endpoint.section}] ca_file and that the certificate names this host",
            ) from error
        except BaseException:
            await trio.aclose_forcefully(tcp)
            raise
        return stream
    raise BrokerError(f"No answer from the broker at {endpoint} within {CONNECT_TIMEOUT_S:g} s", cure=cure)


class Connection:
    """An open stream with a protocol engine on it. Bytes out are collected and written by one task (`write_loop`)."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        endpoint: Endpoint,
        will: Will | None,
        epoch: int,
        on_published: Callable[[int], None],
        *,
        clean_session: bool = False,
    ) -> None:
        self.epoch = epoch
        self.bytes_received = 0
        self.paused_since: float | None = None
        """When the receiver of the messages read last began to make us wait; None while it does not."""
        self._endpoint = endpoint
        self._stream = stream
        self._engine = Engine(endpoint, will, on_published, clean_session=clean_session)
        self._splitter = FrameSplitter()
        self._out = bytearray()
        self._urgent = 0
        self._wake_writer = trio.Event()
        self._writing = False
        self._quiet = 0
        self._read_on = trio.Event()
        self._flush()

    @property
    def session_present(self) -> bool:
        return self._engine.session_present

    @property
    def unwritten(self) -> int:
        """Bytes waiting for the socket."""
        return len(self._out)

    async def read(self) -> list[Inbound]:
        """The PUBLISH messages of one read, perhaps none; control frames are dealt with here.

        Raises:
            BrokerError: end of stream, protocol violation or refusal.
        """
        while self._quiet:
            self._read_on = trio.Event()
            await self._read_on.wait()
        try:
            data = await self._stream.receive_some(READ_SIZE)
        except trio.BrokenResourceError as error:
            raise self._explained(error) from error.__cause__
        if not data:
            raise BrokerError("The broker closed the connection")
        self.bytes_received += len(data)
        messages, control = self._splitter.feed(bytes(data))
        if control:
            self._engine.feed(control)
            self._flush()
        return messages

    def _explained(self, error: trio.BrokenResourceError) -> Exception:
        """TLS 1.3: what the broker thinks of our certificate comes only after the handshake."""
        return refusal_of(self._endpoint, error, unanswered=self._engine.connack is None) or error

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing more is read until the block ends: it waits with the broker. For moments only."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1
            self._read_on.set()

    async def handshake(
        self,
        subscriptions: Sequence[tuple[str, int]],
        hello: tuple[str, bytes] | None,
        deliver: Callable[[list[Inbound]], object],
    ) -> None:
        """CONNACK, then `hello` (retained), then SUBACK. A resumed session's messages may already arrive: `deliver`.

        Raises:
            BrokerRefused: credentials, client id or a subscription.
            BrokerError: no answer in time.
        """
        with trio.move_on_after(HANDSHAKE_TIMEOUT_S):
            while self._engine.connack is None:
                deliver(await self.read())
            if hello is not None:
                self.publish(hello[0], hello[1], qos=1, retain=True)
            # One SUBSCRIBE a filter: rumqttd answers a long list with fewer codes than filters.
            mids = [self._engine.subscribe([subscription]) for subscription in subscriptions]
            self._flush()
            while not all(mid in self._engine.granted for mid in mids):
                deliver(await self.read())
            for (name, _), mid in zip(subscriptions, mids, strict=True):
                if any(code >= 0x80 for code in self._engine.granted[mid]):
                    raise BrokerRefused(
                        f"The broker refused the subscription to {name}", cure="Allow it in the broker's ACL"
                    )
            return
        raise BrokerError(
            f"The broker at {self._endpoint} accepted the connection and then said nothing",
            cure="Check that it is an MQTT 3.1.1 broker",
        )

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool, overtake: bool = False) -> int:
        """Puts a PUBLISH on its way; returns the packet id. `overtake`: before what the socket does not have yet."""
        mid = self._engine.publish(topic, payload, qos, retain)
        if overtake:
            self._overtake(self._engine.tap.take())
        else:
            self._flush()
        return mid

    def _overtake(self, frame: bytes) -> None:
        """What waits are whole frames (the writer takes all there is), so a frame may go before them; but not before an
        earlier one that overtook: a clear must never arrive before its stop.
        """
        if not self._urgent and not self._writing:
            frame = frame[self._write_now(frame) :]
        if frame:
            self._out[self._urgent : self._urgent] = frame
            self._urgent += len(frame)
            self._wake_writer.set()

    def _write_now(self, frame: bytes) -> int:
        """How much of it the socket has taken this moment. Under load the writer's turn comes only after a batch of
        readings: up to 10 ms that an order to stop need not wait.
        """
        if not isinstance(self._stream, trio.SocketStream):
            return 0  # TLS: its state is the stream's own
        try:
            return os.write(self._stream.socket.fileno(), frame)
        except OSError:  # full (the writer waits for room), or dead (the reader finds out)
            return 0

    def write(self, frames: bytes) -> None:
        """Puts whole frames on their way."""
        if frames:
            self._out += frames
            self._wake_writer.set()

    def _flush(self) -> None:
        self.write(self._engine.tap.take())

    async def write_loop(self, has_room: Callable[[], object]) -> None:
        """Writes for ever; calls `has_room` after each write.

        Raises:
            BrokerError: the broker takes nothing any more.
        """
        while True:
            if not self._out:
                self._wake_writer = trio.Event()
                await self._wake_writer.wait()
            data = bytes(self._out)
            self._out.clear()
            self._urgent = 0
            taken = self._write_now(data)
            self._writing = taken < len(data)
            with trio.move_on_after(STALL_S) as stall:
                try:
                    await self._stream.send_all(data[taken:])
                except trio.BrokenResourceError as error:
                    raise self._explained(error) from error.__cause__
            if stall.cancelled_caught:
                raise BrokerError(f"The broker has taken no data for {STALL_S:g} s")
            self._writing = False
            has_room()

    async def keep_alive_loop(self) -> None:
        """Pings, and notices a broker that has gone silent."""
        pause = self._endpoint.keepalive_s / 3
        next_ping = 0.0
        paused_until = 0.0
        while True:
            await trio.sleep(1)
            now = trio.current_time()
            if self.paused_since is not None and now - self.paused_since > 1:
                paused_until = now
            if now - paused_until > pause:
                self._engine.keep_alive()
                self._flush()
            elif now >= next_ping:
                # The answer to a ping waits unread behind messages that nobody takes, or took until just now: asking
                # paho would end a connection that is only full. Say that we live, without expecting an answer.
                next_ping = now + pause
                self.write(PINGREQ)

    async def close(self, farewell: Sequence[tuple[str, bytes, bool]], *, orderly: bool = True) -> None:
        """Writes what is left, `farewell` and DISCONNECT: the will stays unsaid. In bounded time.

        Args: farewell: topics, payloads, and whether the broker is to keep them.

        Not orderly: only closes, so that the broker says the will.
        """
        # A connection that dies while it is closed has been closed; what was not acknowledged comes again.
        with trio.move_on_after(GOODBYE_S, shield=True), contextlib.suppress(*LOST):
            # After a write that was cut short the stream stands in the middle of a frame: nothing can follow.
            if orderly and not self._writing and self._engine.connack is not None:
                for topic, payload, retain in farewell:
                    self.publish(topic, payload, qos=1, retain=retain)
                self._engine.disconnect()
                self._flush()
                await self._stream.send_all(bytes(self._out))
                self._out.clear()
        await trio.aclose_forcefully(self._stream)
