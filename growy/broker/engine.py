"""paho-mqtt without its socket: the protocol engine of the link.

paho reads and writes a pair of byte buffers (`Tap`) instead of a socket; the link moves the bytes with trio. So paho
keeps what it is good at (CONNECT, SUBSCRIBE, outbound QoS 1, keep-alive), never blocks, needs no thread, and is as
cancellable as everything else in growyd. One engine lives as long as one connection: a new connection begins with a
fresh one, so nothing that paho still held can be sent again behind our back, past its deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from growy.model.errors import BrokerError, BrokerRefused, LoginRefused


@attrs.frozen(kw_only=True)
class Endpoint:
    """Where the broker is and who we are to it."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    """Client certificate, PEM, with its key in `key_file`; None: none is shown."""
    key_file: str | None = None
    section: str = "broker"
    """Of the settings, where all of this stands: for cures."""
    keepalive_s: int = 60

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


@attrs.frozen(kw_only=True)
class Will:
    """The last will: what the broker says for us when we are gone without a word. QoS 1, retained."""

    topic: str
    payload: bytes


class Tap:
    """Looks like a non-blocking socket to paho; is two buffers."""

    def __init__(self) -> None:
        self.inbound = bytearray()
        self.outbound = bytearray()

    def recv(self, size: int) -> bytes:
        if not self.inbound:
            raise BlockingIOError
        data = bytes(self.inbound[:size])
        del self.inbound[:size]
        return data

    def send(self, data: bytes) -> int:
        self.outbound += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self.outbound)
        self.outbound.clear()
        return data

    def setblocking(self, flag: bool) -> None:
        """paho asks for a non-blocking socket; a buffer is one."""

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        """paho closes its socket after DISCONNECT; what it wrote must still be taken."""


class _SocketlessClient(paho.Client):
    """The only place that touches paho's inside: where its socket comes from (paho is pinned to 2.x)."""

    tap: Tap

    def _create_socket(self) -> Any:
        return self.tap


_REFUSED = {
    "Not authorized": "Check user and password in [{section}] url, and the broker's ACL",
    "Bad user name or password": "Check user and password in [{section}] url",
    "Client identifier not valid": "Choose another [broker] client_id",
    "Unsupported protocol version": "growyd speaks MQTT 3.1.1; the broker must too",
}
_WRONG_LOGIN = ("Not authorized", "Bad user name or password")


class Engine:
    """One MQTT session on one connection.

    Args:
        endpoint: for client id, credentials and keep-alive.
        will: published by the broker if the connection dies.
        on_published: called with the packet id when the broker has acknowledged a QoS 1 publish.
        clean_session: forget the session at the end; the link never does, a probe does.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        will: Will | None,
        on_published: Callable[[int], None],
        *,
        clean_session: bool = False,
    ) -> None:
        self.tap = Tap()
        self.connack: ReasonCode | None = None
        self.session_present = False
        self.granted: dict[int, list[int]] = {}
        client = _SocketlessClient(
            CallbackAPIVersion.VERSION2,
            client_id=endpoint.client_id,
            clean_session=clean_session,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            # PUBLISH frames never reach paho, so nobody but the intake acknowledges; said here too, lest that change.
            manual_ack=True,
        )
        client.tap = self.tap
        self._section = endpoint.section
        if endpoint.username is not None:
            client.username_pw_set(endpoint.username, endpoint.password)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        # The link bounds what is under way; a limit here as well would let ordinary traffic hold up an emergency stop.
        client.max_inflight_messages_set(0)
        client.on_connect = self._on_connect
        client.on_publish = lambda _c, _u, mid, _r, _p: on_published(mid)
        client.on_subscribe = self._on_subscribe
        self._client = client
        client.connect(endpoint.host, endpoint.port, endpoint.keepalive_s)

    def _on_connect(
        self, _c: paho.Client, _u: Any, flags: paho.ConnectFlags, code: ReasonCode, _p: Properties | None
    ) -> None:
        self.connack = code
        self.session_present = flags.session_present

    def _on_subscribe(
        self, _c: paho.Client, _u: Any, mid: int, codes: list[ReasonCode], _p: Properties | None
    ) -> None:
        self.granted[mid] = [code.value for code in codes]

    def feed(self, data: bytes) -> None:
        """Takes control frames from the broker.

        Raises:
            LoginRefused: CONNACK says that user and password are wrong.
            BrokerRefused: CONNACK with another refusal.
            BrokerError: paho gave the connection up.
        """
        self.tap.inbound += data
        while self.tap.inbound:
            before = len(self.tap.inbound)
            code = self._client.loop_read()
            if self.connack is not None and self.connack.is_failure:
                reason = str(self.connack)
                kind = LoginRefused if reason in _WRONG_LOGIN else BrokerRefused
                raise kind(f"The broker refused the connection: {reason}", cure=self._cure(reason))
            self._check(code)
            if len(self.tap.inbound) == before:
                break
        self._flush()

    def _cure(self, reason: str) -> str:
        return _REFUSED.get(reason, "").format(section=self._section)

    def subscribe(self, filters: list[tuple[str, int]]) -> int:
        """Sends SUBSCRIBE; `granted[mid]` appears when the broker has answered."""
        code, mid = self._client.subscribe(filters)
        self._check(code)
        assert mid is not None
        self._flush()
        return mid

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        """Sends PUBLISH; returns the packet id."""
        info = self._client.publish(topic, payload, qos, retain)
        self._check(info.rc)
        self._flush()
        return info.mid

    def keep_alive(self) -> None:
        """To be called about once a second: pings, and notices that a ping was not answered.

        Raises:
            BrokerError: the broker has been silent for longer than the keep-alive allows.
        """
        self._check(self._client.loop_misc())
        self._flush()

    def disconnect(self) -> None:
        """Says DISCONNECT, so that the broker does not publish the will."""
        self._client.disconnect()
        self._flush()

    def _flush(self) -> None:
        if self._client.want_write():
            self._client.loop_write()

    @staticmethod
    def _check(code: MQTTErrorCode) -> None:
        if code not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_AGAIN):
            raise BrokerError(f"The connection to the broker was lost: {paho.error_string(code)}")
