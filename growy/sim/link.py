"""One device's connection to a broker: a paho client whose socket trio drives. One process holds hundreds
of them, without a thread.

paho speaks MQTT and keeps unacknowledged QoS 1 messages (sent again with DUP after a reconnect); this shell
opens the socket, waits for it, and reconnects with the firmware's backoff. It must never block the loop
(paho's own connect would) and knows nothing of payloads.
"""

from __future__ import annotations

import random
import socket
import struct
from typing import Any, Protocol

import attrs
import trio
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from growy.config import BrokerUrl
from growy.model.errors import PublishFailed

KEEPALIVE_S = 60
CONNECT_TIMEOUT_S = 10.0
"""For the TCP connection and the broker's CONNACK, each."""
MISC_S = 5.0
"""How often paho looks whether a ping is due; a twelfth of the keep-alive."""
RECONNECT_S = 10.0
"""After a connection was lost, as the firmware's MQTT client waits."""
RETRY_MIN_S = 1.5
RETRY_MAX_S = 12.0
RETRY_JITTER_S = 0.65
IN_FLIGHT = 20
OUTBOX = 64
"""QoS 1 messages that may wait for their PUBACK. The device's own outbox is a few kilobytes."""


class LinkOwner(Protocol):
    """Who is told. Called in the trio task that drives the socket: must not block."""

    def on_connected(self) -> None: ...
    def on_lost(self) -> None: ...
    def on_failed(self) -> None:
        """An attempt to connect came to nothing."""

    def on_subscribed(self, topic: str) -> None: ...
    def on_message(self, topic: str, payload: bytes) -> None: ...
    def on_acked(self, mid: int) -> None: ...


@attrs.frozen(kw_only=True)
class LastWill:
    topic: str
    payload: bytes


class _PahoOnTrio(paho.Client):
    """paho with its socket factory replaced: it takes the socket that trio has connected."""

    prepared: socket.socket | None = None

    def _create_socket_connection(self) -> socket.socket:
        sock, self.prepared = self.prepared, None
        if sock is None:
            raise ConnectionError("no connected socket was prepared for this client")
        return sock

    def abandon(self) -> None:
        """Close the socket without saying goodbye, if it is open."""
        self._sock_close()


class SimLink:
    """The connection of one device. `run` keeps it up until cancelled."""

    def __init__(
        self,
        broker: BrokerUrl,
        client_id: str,
        will: LastWill,
        owner: LinkOwner,
        rng: random.Random,
        reconnect_s: float = RECONNECT_S,
        attempts: int | None = None,
    ) -> None:
        self._broker = broker
        self._owner = owner
        self._rng = rng
        self._reconnect_s = reconnect_s
        self._attempts = attempts
        self._plugged = trio.Event()
        self._plugged.set()
        self._subscribing: dict[int, str] = {}
        self._write_wanted = trio.Event()
        self._lost = trio.Event()
        self._accepted = False
        self._patience = trio.CancelScope()
        self.connects = 0
        self.failures = 0
        """Attempts that did not reach an accepted CONNACK."""
        self.last_error = ""

        client = _PahoOnTrio(
            CallbackAPIVersion.VERSION2, client_id, clean_session=True, protocol=paho.MQTTv311
        )
        client.max_inflight_messages_set(IN_FLIGHT)
        client.max_queued_messages_set(OUTBOX)
        client.will_set(will.topic, will.payload, qos=1, retain=True)
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        # Sets host, port and keep-alive; connects nothing.
        client.connect_async(broker.host, broker.port, KEEPALIVE_S)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        self._client = client

    @property
    def connected(self) -> bool:
        # paho's own word is not enough: after a protocol error or a dead keep-alive its state still says
        # connected.
        return self._client.is_connected() and self._client.socket() is not None

    def publish(self, topic: str, payload: bytes, qos: int, *, retain: bool = False) -> int:
        """Hand a message to paho; the id that `on_acked` will name (QoS 1).

        Raises:
            PublishFailed: not connected, or the outbox is full. The message is not kept.
        """
        if not self.connected:
            raise PublishFailed(f"{topic}: the device is not connected")
        info = self._client.publish(topic, payload, qos, retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise PublishFailed(f"{topic}: {paho.error_string(info.rc)}")
        return info.mid

    def subscribe(self, topic: str, qos: int) -> None:
        """Ask for a subscription; `on_subscribed` tells when it stands. Nothing happens while offline."""
        _, mid = self._client.subscribe(topic, qos)
        if mid is not None:
            self._subscribing[mid] = topic

    def unsubscribe(self, topic: str) -> None:
        """Give a subscription up. Nothing happens while offline."""
        self._client.unsubscribe(topic)

    def cut(self) -> None:
        """Reset the connection, if there is one, without a DISCONNECT: the broker publishes the last will."""
        sock, connected = self._client.socket(), self.connected
        if isinstance(sock, socket.socket):
            # A plain close would look like a client that ended; a reset cannot be taken for anything else.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._client.abandon()
        self._lost.set()
        if connected:
            self._owner.on_lost()

    def unplug(self) -> None:
        """Lose the connection and make no other until `plug`."""
        if self._plugged.is_set():
            self._plugged = trio.Event()
        self.last_error = "the cable is pulled"
        self.cut()

    def plug(self) -> None:
        self._plugged.set()

    async def run(self) -> None:
        """Connect, serve, reconnect: 10 s after a loss; after a failure with a pause of 1.5 s doubling to 12 s, and
        jitter. After as many failures in a row as it has attempts it tries no more.

        Ends only by cancellation, with a clean DISCONNECT.
        """
        pause_s = RETRY_MIN_S
        failed = 0
        try:
            while True:
                if await self._session():
                    wait_s, pause_s, failed = self._reconnect_s, RETRY_MIN_S, 0
                else:
                    self.failures += 1
                    failed += 1
                    self._owner.on_failed()
                    if failed == self._attempts:
                        self.last_error = f"gave up after {failed} attempts: {self.last_error}"
                        await trio.sleep_forever()
                    wait_s, pause_s = pause_s, min(RETRY_MAX_S, pause_s * 2.0)
                if not self._plugged.is_set():
                    await self._plugged.wait()
                    wait_s = 0.0
                await trio.sleep(wait_s + self._rng.uniform(0.0, RETRY_JITTER_S))
        finally:
            self._close()

    async def _session(self) -> bool:
        """One connection from TCP to its end; whether the broker accepted it."""
        await self._plugged.wait()
        try:
            with trio.fail_after(CONNECT_TIMEOUT_S):
                stream = await trio.open_tcp_stream(self._broker.host, self._broker.port)
        except (OSError, trio.TooSlowError) as error:
            self.last_error = f"cannot reach {self._broker}: {error or 'timed out'}"
            return False
        self._lost, self._write_wanted, self._accepted = trio.Event(), trio.Event(), False
        self._subscribing.clear()
        if not self._plugged.is_set():
            await stream.aclose()
            return False
        # paho wants a plain socket; no task waits on this one yet.
        sock = socket.socket(fileno=stream.socket.detach())
        self._client.prepared = sock
        self._client.reconnect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, sock)
            nursery.start_soon(self._write, sock)
            nursery.start_soon(self._misc)
            with trio.move_on_after(CONNECT_TIMEOUT_S) as self._patience:
                await self._lost.wait()
            nursery.cancel_scope.cancel()
        if not self._lost.is_set():
            self.last_error = f"{self._broker} accepted the connection but did not answer CONNECT"
            self._client.abandon()
        return self._accepted

    async def _read(self, sock: socket.socket) -> None:
        try:
            while self._client.socket() is sock:
                await trio.lowlevel.wait_readable(sock)
                self._client.loop_read()
        except trio.ClosedResourceError:
            return  # paho closed the socket in another task; `_lost` is set

    async def _write(self, sock: socket.socket) -> None:
        try:
            while True:
                await self._write_wanted.wait()
                self._write_wanted = trio.Event()
                self._client.loop_write()
                while self._client.socket() is sock and self._client.want_write():
                    await trio.lowlevel.wait_writable(sock)
                    self._client.loop_write()
        except trio.ClosedResourceError:
            return

    async def _misc(self) -> None:
        while True:
            await trio.sleep(MISC_S)
            self._client.loop_misc()

    def _close(self) -> None:
        """DISCONNECT, so that the last will stays unpublished; a socket that will not take it is dropped."""
        if self._client.socket() is not None:
            self._client.disconnect()
            self._client.loop_write()
        self._client.abandon()

    # paho's callbacks. They run inside loop_read, loop_write, loop_misc or reconnect, in a trio task of
    # this link.

    def _on_connect(self, _c: Any, _u: Any, _flags: Any, reason: ReasonCode, _p: Properties | None) -> None:
        if reason.is_failure:
            self.last_error = f"{self._broker} refused the device: {reason}"
            return
        self.connects += 1
        self.last_error = ""
        self._accepted = True
        self._patience.deadline = float("inf")
        self._owner.on_connected()

    def _on_disconnect(
        self, _c: Any, _u: Any, _flags: Any, reason: ReasonCode, _p: Properties | None
    ) -> None:
        self._lost.set()
        if self._accepted:
            if reason.is_failure:
                self.last_error = f"connection to {self._broker} lost: {reason}"
            self._owner.on_lost()

    def _on_subscribe(
        self, _c: Any, _u: Any, mid: int, reasons: list[ReasonCode], _p: Properties | None
    ) -> None:
        topic = self._subscribing.pop(mid, None)
        if topic is not None and not any(reason.is_failure for reason in reasons):
            self._owner.on_subscribed(topic)

    def _on_message(self, _c: Any, _u: Any, message: paho.MQTTMessage) -> None:
        self._owner.on_message(message.topic, bytes(message.payload))

    def _on_publish(self, _c: Any, _u: Any, mid: int, _reason: ReasonCode, _p: Properties | None) -> None:
        self._owner.on_acked(mid)

    def _on_socket_close(self, _c: Any, _u: Any, sock: Any) -> None:
        # Wakes whoever waits for the socket; a closed descriptor must never stay in epoll.
        trio.lowlevel.notify_closing(sock)

    def _on_register_write(self, _c: Any, _u: Any, _sock: Any) -> None:
        self._write_wanted.set()
