"""Asks the broker what it can do, by trying: how many messages it sends ahead, whether a queued burst survives.

Done once after the first connect with a short-lived client of its own, on a private topic. The answer sets the commit
policy (a window that fills must be committed early) and is shown, with the cure, by `growyd status`.
"""

from __future__ import annotations

import secrets

import attrs
import trio

from growy.broker.connection import LOST, Connection, open_stream, root_cause
from growy.broker.engine import Endpoint
from growy.broker.frames import Inbound, pubacks
from growy.model.errors import BrokerError

PROBE_TOPIC = "growyd/probe"
BURST = 1200
"""Messages published at once: more than Mosquitto's default queue (1,000) holds beside its default window (20)."""
FIRST_S = 2.0
"""How long the first message of the burst may take."""
QUIET_S = 0.3
"""No message for this long after one means that the broker waits for acknowledgements."""
LIMIT_S = 8.0
LARGE = 8192
"""The firmware's own limit for inbound messages: a broker must pass on what an ESP32 can take."""


@attrs.frozen(kw_only=True)
class BrokerFindings:
    """What the probe saw."""

    window: int
    """Messages sent ahead of acknowledgement; BURST when it sent the whole burst."""
    window_is_whole_burst: bool
    queued: int
    """How many of the burst arrived in the end."""
    burst: int
    large_message: bool
    advice: tuple[str, ...]
    """What to change, one sentence each; empty when all is well."""


def judge(window: int, queued: int, burst: int, large_message: bool) -> BrokerFindings:
    """Findings with advice. Pure."""
    advice: list[str] = []
    if window >= burst:
        advice.append(
            "The broker sends without limit ahead of acknowledgement, so that when the disk is full heartbeats wait "
            "behind readings and devices stop: set max_inflight_messages 1000 in mosquitto.conf"
        )
    if window < 100:
        advice.append(
            f"The broker sends only {window} messages ahead of acknowledgement, so growyd commits at least every "
            f"{max(1, window // 2)} messages: set max_inflight_messages 1000 in mosquitto.conf"
        )
    if queued < burst:
        advice.append(
            f"The broker dropped {burst - queued} of {burst} queued messages: "
            "set max_queued_messages 100000 in mosquitto.conf, or readings are lost while growyd is down"
        )
    if not large_message:
        advice.append(f"The broker does not pass on a message of {LARGE} bytes: raise message_size_limit")
    return BrokerFindings(
        window=window,
        window_is_whole_burst=window >= burst,
        queued=queued,
        burst=burst,
        large_message=large_message,
        advice=tuple(advice),
    )


async def probe_broker(endpoint: Endpoint) -> BrokerFindings:
    """Measures the broker; takes a second or two, and a few hundred kilobytes of loopback traffic.

    Raises:
        BrokerError: the broker could not be asked.
    """
    name = f"growyd-probe-{secrets.token_hex(4)}"
    topic = f"{PROBE_TOPIC}/{name}"
    asked = attrs.evolve(endpoint, client_id=name)
    failure = f"it took longer than {LIMIT_S:g} s"
    with trio.move_on_after(LIMIT_S):
        try:
            return await _probe(asked, topic)
        except BaseExceptionGroup as group:
            lost, others = group.split(LOST)
            if others is not None or lost is None:
                raise
            failure = str(root_cause(lost))
        except LOST as error:
            failure = str(error)
    raise BrokerError(f"The broker could not be measured: {failure}")


async def _probe(endpoint: Endpoint, topic: str) -> BrokerFindings:
    stream = await open_stream(endpoint)
    connection = Connection(stream, endpoint, None, 0, lambda mid: None, clean_session=True)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.write_loop, lambda: None)
            early: list[Inbound] = []
            await connection.handshake([(topic, 1)], None, early.extend)
            for number in range(BURST):
                connection.publish(topic, b"%d" % number, qos=1, retain=False)
            held = await _take(connection, FIRST_S)
            window = len(held)
            arrived = window
            while held:
                connection.write(pubacks([message.mid for message in held]))
                held = await _take(connection, QUIET_S) if arrived < BURST else []
                arrived += len(held)
            connection.publish(topic, b"x" * LARGE, qos=1, retain=False)
            large = await _take(connection, FIRST_S)
            nursery.cancel_scope.cancel()
    finally:
        await connection.close(())
    if window == 0:
        raise BrokerError(
            "The broker passed on nothing of what it was sent",
            cure=f"Allow growyd to read and write {PROBE_TOPIC}/# in the broker's access list",
        )
    return judge(window, arrived, BURST, any(len(message.payload) == LARGE for message in large))


async def _take(connection: Connection, patience_s: float) -> list[Inbound]:
    """What the broker sends until it falls quiet; nothing is acknowledged. `patience_s`: for the first of it."""
    messages: list[Inbound] = []
    while True:
        with trio.move_on_after(QUIET_S if messages else patience_s) as quiet:
            messages += await connection.read()
        if quiet.cancelled_caught:
            return messages
