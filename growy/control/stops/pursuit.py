"""A device, or one actuator, is told to stop until it has proven that it has. Pure.

The firmware acknowledges a stop before it has finished, may lose the acknowledgement, and says nothing at all to a
broadcast; that of 2025-12 never acknowledges. So every way in which a device can show that it stands still counts, and
whatever it says later to the contrary takes the proof away again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable

import attrs

from growy.control.stops.effects import Proof
from growy.model.messages import Generation
from growy.model.time import Moment

GAPS_S = (2.0, 2.0, 2.0, 2.0, 2.0, 5.0)
"""From one message to the next; a device that connects is deaf for a second or so, one that reboots for ten."""
EVERY_S = 15.0
"""After those, for as long as it takes."""
NO_ACK = frozenset({Generation.DEC_2025, Generation.JAN_2026})
"""Firmware that does not acknowledge a stop."""
IDS_KEPT = 32


@attrs.frozen(slots=True)
class Reported:
    """What an actuator said of itself last."""

    on: bool
    latched: bool


@attrs.define(kw_only=True, slots=True)
class Pursuit:
    """One thing to be stopped, on one device."""

    gpio: int | None
    """None: the device as a whole, latch and all. Else one actuator, of which the firmware has no latch: OFF."""
    began: float
    """The clock, when the stop was ordered or the device came back to it."""
    next_at: float
    told: int = 0
    told_at: float = -math.inf
    told_ms: int | None = None
    proof: Proof | None = None
    proven_ms: int | None = None
    after_ms: int | None = None
    refused: str = ""
    """The device's word for why it will not."""
    heard: dict[int, Reported] = attrs.field(factory=dict)
    """What its actuators said since it began. What they said before proves nothing."""
    ids: deque[str] = attrs.field(factory=lambda: deque(maxlen=IDS_KEPT))
    broadcast_id: str = ""

    @classmethod
    def begun(cls, gpio: int | None, moment: Moment) -> Pursuit:
        return cls(gpio=gpio, began=moment.clock, next_at=moment.clock)

    @property
    def reason(self) -> str:
        return "" if self.proof is not None else self.refused

    def again(self, moment: Moment) -> None:
        """From the start: the device has come back, and nothing that it proved before counts."""
        self.began = self.next_at = moment.clock
        self.told = 0
        self.proof = self.proven_ms = self.after_ms = None
        self.refused = ""
        self.heard.clear()
        self.ids.clear()
        self.broadcast_id = ""

    def due(self, now: float) -> bool:
        return self.proof is None and now >= self.next_at

    def sent(self, message_id: str, moment: Moment) -> None:
        self.next_at = moment.clock + (GAPS_S[self.told] if self.told < len(GAPS_S) else EVERY_S)
        self.told += 1
        self.told_at, self.told_ms = moment.clock, moment.wall_ms
        self.ids.append(message_id)

    def hold_back(self) -> None:
        """A command to a device that does not take any yet would only keep it from getting there. Not for ever."""
        self.next_at = max(self.began, self.told_at) + EVERY_S

    def within(self, seconds: float, now: float) -> None:
        """The next message goes that long after the last one, or now if that is over."""
        self.next_at = max(now, self.told_at + seconds)

    def prove(self, proof: Proof, moment: Moment) -> None:
        self.proof = proof
        self.proven_ms = moment.wall_ms
        self.after_ms = round((moment.clock - self.began) * 1000)
        self.refused = ""

    def doubt(self, moment: Moment, *, urgent: bool) -> None:
        """What was proven is not so. `urgent`: something runs; else only the latch is missing.

        The gaps do not start over: a device that contradicts itself for ever is told every fifteen seconds.
        """
        self.proof = self.proven_ms = self.after_ms = None
        self.within(GAPS_S[0] if urgent else EVERY_S, moment.clock)

    def unsettled(self, gpios: Iterable[int]) -> list[int]:
        """Those of the pins that have not said since then that they are off."""
        return [gpio for gpio in sorted(gpios) if (said := self.heard.get(gpio)) is None or said.on]

    def judged(self, fitted: Collection[int], generation: Generation | None) -> Proof | None:
        """What the statuses prove, of the pins that the device has."""
        said = [self.heard.get(gpio) for gpio in fitted]
        if not said or any(one is None or one.on for one in said):
            return None
        if self.gpio is not None:
            return Proof.OFF  # a latch that is shut besides is another stop's, and opens with it
        if all(one is not None and one.latched for one in said):
            return Proof.LATCHED
        # Where a token was refused, off is all that an OFF command has done: nothing keeps it so.
        return Proof.OFF if generation in NO_ACK and not self.refused else None

    def contradiction(self, gpio: int, said: Reported) -> str:
        """Why this cannot be if the proof were true; "" if it can."""
        if said.on:
            return f"gpio {gpio} is on"
        if self.proof in (Proof.ACKNOWLEDGED, Proof.LATCHED) and self.gpio is None and not said.latched:
            return f"gpio {gpio} is off, but not latched"
        return ""
