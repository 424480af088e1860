"""The end of a stop on one device: not too early, again if it is refused, and never forgotten. Pure.

A broadcast cannot clear, and the firmware refuses a clear within five seconds of the last stop that reached it. When
that was nobody knows exactly; so growyd waits a little longer, and asks again.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import attrs

from growy.control.stops.effects import ClearReport, ClearState, OwedClear
from growy.model.time import Moment

AFTER_STOP_S = 5.5
"""The firmware's five seconds, and the way there."""
SETTLE_S = 5.0
"""A device that has come back may not have subscribed yet; unless it is known to hear, it is given this long."""
ANSWER_S = 8.0
"""The firmware sleeps two seconds before it answers."""
REFUSED_S = 1.0
ATTEMPTS = 8
WITHIN_S = 30.0
"""Without success until then it has failed."""
AGAIN_S = 30.0
"""One that has failed is tried again when the device still says that it is latched, but no sooner."""
FOR_GOOD = frozenset({"UNAUTHORIZED", "NO_TOKEN_CONFIGURED", "VALIDATION_FAIL"})
"""Refusals that the same message would meet again."""


@attrs.define(kw_only=True, slots=True)
class Clearing:
    """One device that is to be let go."""

    owed: OwedClear
    not_before: float = math.inf
    deadline: float = math.inf
    answer_by: float = math.inf
    """Infinity: no message is in the air."""
    attempts: int = 0
    message_id: str = ""
    failed: str = ""
    failed_at: float = -math.inf
    heard: dict[int, bool] = attrs.field(factory=dict)
    """Pin -> whether it still says that it is latched, since the last message."""

    def begin(self, moment: Moment, not_before: float) -> None:
        """A series of attempts, the first at `not_before` by the clock."""
        self.not_before = max(moment.clock, not_before)
        self.deadline = self.not_before + WITHIN_S
        self.answer_by = math.inf
        self.attempts = 0
        self.failed = ""
        self.heard.clear()

    def pause(self) -> None:
        """The device is gone: it waits for it, for ever."""
        self.not_before = self.deadline = self.answer_by = math.inf

    @property
    def in_the_air(self) -> bool:
        return self.answer_by < math.inf

    @property
    def next_at(self) -> float:
        if self.failed:
            return math.inf
        return self.answer_by if self.in_the_air else self.not_before

    def sent(self, message_id: str, moment: Moment) -> None:
        self.message_id = message_id
        self.attempts += 1
        self.answer_by = moment.clock + ANSWER_S
        self.heard.clear()

    def refused(self, reason: str, moment: Moment) -> bool:
        """The device said no. Whether that was the last time."""
        if not self.in_the_air:
            return False  # said twice: as an error and as an outcome
        self.answer_by = math.inf
        self.not_before = moment.clock + REFUSED_S
        if reason in FOR_GOOD or self.attempts >= ATTEMPTS or self.not_before > self.deadline:
            self.fail(reason, moment)
        return bool(self.failed)

    def unanswered(self, moment: Moment) -> bool:
        """Nothing was heard in time. Whether that was the last time."""
        self.answer_by = math.inf
        self.not_before = moment.clock
        if self.attempts >= ATTEMPTS or moment.clock >= self.deadline:
            self.fail("no answer", moment)
        return bool(self.failed)

    def fail(self, reason: str, moment: Moment) -> None:
        self.failed, self.failed_at = reason, moment.clock
        self.answer_by = math.inf

    def hears_of(self, gpio: int, latched: bool, fitted: Collection[int]) -> bool:
        """A status. Whether it shows, with those before it, that all latches are open."""
        if not self.attempts:
            return False
        self.heard[gpio] = latched
        return all(self.heard.get(one) is False for one in fitted)

    def worth_another(self, latched: bool, now: float) -> bool:
        """It has failed, the device is still latched, and another attempt may succeed."""
        return (
            latched and bool(self.failed) and self.failed not in FOR_GOOD and now - self.failed_at >= AGAIN_S
        )

    def report(self, online: bool) -> ClearReport:
        state = ClearState.SENT if self.in_the_air else ClearState.WAITING
        if self.failed:
            state = ClearState.FAILED
        elif not online:
            state = ClearState.OFFLINE
        return ClearReport(
            esp_id=self.owed.esp_id,
            state=state,
            reason=self.failed,
            attempts=self.attempts,
            since_ms=self.owed.since_ms,
        )
