"""What growyd wants to publish: two lanes, deadlines, and an honest end for each message.

A pure structure, driven by the link. The emergency lane overtakes whatever else waits. A message whose deadline passes
before it was sent never will be; one that was sent and not acknowledged ends as "unknown", never as delivered.
"""

from __future__ import annotations

import enum
from collections import deque

import attrs


class Lane(enum.Enum):
    NORMAL = "normal"
    EMERGENCY = "emergency"


class Outcome(enum.Enum):
    WAITING = "waiting"
    SENT = "sent"
    """Handed to the broker's connection; its acknowledgement is awaited."""
    ACKNOWLEDGED = "acknowledged"
    HANDED_OVER = "handed_over"
    """QoS 0, which nobody acknowledges: given to the connection."""
    EXPIRED = "expired"
    """The deadline passed before it was sent."""
    UNKNOWN = "unknown"
    """Sent, and the deadline passed without an acknowledgement: it may or may not have arrived."""


@attrs.define(eq=False, slots=True)
class Outgoing:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    lane: Lane
    deadline: float
    """On the clock of the link (trio's), seconds."""
    outcome: Outcome = Outcome.WAITING
    tries: int = 0


class Outbox:
    """Messages waiting for a connection, for room in flight, or for the broker's acknowledgement.

    Args:
        in_flight: unacknowledged QoS 1 messages of the normal lane at a time. The emergency lane ignores it.
        capacity: messages of the normal lane that may wait; `full` tells publishers to wait.
    """

    def __init__(self, in_flight: int = 100, capacity: int = 1000) -> None:
        self._lanes: dict[Lane, deque[Outgoing]] = {Lane.EMERGENCY: deque(), Lane.NORMAL: deque()}
        self._under_way: dict[int, Outgoing] = {}
        self._in_flight = in_flight
        self._capacity = capacity
        self.expired = 0
        self.unknown = 0
        self.acknowledged = 0
        self.handed_over = 0

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes.values()) + len(self._under_way)

    @property
    def busy(self) -> bool:
        """So much waits that what is not needed should stay away."""
        return len(self._lanes[Lane.NORMAL]) >= self._capacity // 2

    @property
    def full(self) -> bool:
        return len(self._lanes[Lane.NORMAL]) >= self._capacity

    def put(self, message: Outgoing) -> None:
        self._lanes[message.lane].append(message)

    def next(self, now: float, *, emergency_only: bool = False) -> Outgoing | None:
        """The next message to send now, or None. Expired ones are ended here and never returned."""
        for kind in (Lane.EMERGENCY,) if emergency_only else (Lane.EMERGENCY, Lane.NORMAL):
            lane = self._lanes[kind]
            while lane:
                if lane[0].outcome is not Outcome.WAITING:
                    lane.popleft()
                elif lane[0].deadline <= now:
                    self._end(lane.popleft(), Outcome.EXPIRED)
                elif kind is Lane.NORMAL and not self._room_under_way(now):
                    return None
                else:
                    return lane.popleft()
        return None

    def _room_under_way(self, now: float) -> bool:
        """Whether another message may be under way. A broker that forgets to acknowledge must not stop all others."""
        if len(self._under_way) >= self._in_flight:
            for message in [one for one in self._under_way.values() if one.deadline <= now]:
                self.abandon(message)
        return len(self._under_way) < self._in_flight

    def put_back(self, message: Outgoing) -> None:
        """`message` could not be handed over after all: it is the next of its lane again."""
        self._lanes[message.lane].appendleft(message)

    def sent(self, message: Outgoing, mid: int) -> None:
        """`message` went to the connection under packet id `mid`. QoS 0 has no acknowledgement and ends here."""
        message.tries += 1
        if message.qos == 0:
            self._end(message, Outcome.HANDED_OVER)
        else:
            message.outcome = Outcome.SENT
            self._under_way[mid] = message

    def published(self, mid: int) -> Outgoing | None:
        """The broker acknowledged `mid`."""
        message = self._under_way.pop(mid, None)
        if message is not None:
            self._end(message, Outcome.ACKNOWLEDGED)
        return message

    def abandon(self, message: Outgoing) -> None:
        """Its deadline passed: ends it, if it has not ended by itself."""
        if message.outcome is Outcome.WAITING:
            self._end(message, Outcome.EXPIRED)
        elif message.outcome is Outcome.SENT:
            self._end(message, Outcome.UNKNOWN)
            self._under_way = {mid: other for mid, other in self._under_way.items() if other is not message}

    def disconnected(self) -> None:
        """The connection died: what was under way waits again, first in its lane, in its old order."""
        for message in reversed(self._under_way.values()):
            message.outcome = Outcome.WAITING
            self._lanes[message.lane].appendleft(message)
        self._under_way.clear()

    def _end(self, message: Outgoing, outcome: Outcome) -> None:
        if outcome is Outcome.EXPIRED and message.tries:
            outcome = Outcome.UNKNOWN  # an earlier connection had sent it
        message.outcome = outcome
        if outcome is Outcome.EXPIRED:
            self.expired += 1
        elif outcome is Outcome.UNKNOWN:
            self.unknown += 1
        elif outcome is Outcome.HANDED_OVER:
            self.handed_over += 1
        else:
            self.acknowledged += 1
