"""Questions to devices that somebody waits for: each is answered once, by the first message that fits, or never.

Nothing here outlives a restart, and nothing is sent again: who asks decides what silence means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs
import trio

from growy.model.errors import DeviceSilent, PublishFailed
from growy.wire.table import Message

Fits: TypeAlias = Callable[[Message], bool]
MOST_WAITING = 500


@attrs.define(eq=False)
class _Ask:
    fits: Fits
    done: trio.Event = attrs.field(factory=trio.Event)
    answer: Message | None = None


class Asks:
    """All open questions, by device."""

    def __init__(self) -> None:
        self._open: dict[str, list[_Ask]] = {}
        self._locks: dict[str, trio.Lock] = {}
        self.asked = 0
        self.answered = 0
        self.unanswered = 0

    def lock(self, esp_id: str) -> trio.Lock:
        """For questions whose answers cannot be told apart: one at a time per device."""
        return self._locks.setdefault(esp_id, trio.Lock())

    def offer(self, esp_id: str, message: Message) -> None:
        """A message that may be an answer."""
        for ask in self._open.get(esp_id, ()):
            if ask.answer is None and ask.fits(message):
                ask.answer = message
                ask.done.set()
                return

    async def ask(
        self, esp_id: str, what: str, fits: Fits, send: Callable[[], bool], timeout_s: float
    ) -> Message:
        """Sends a question and waits for its answer.

        Args:
            what: for the error message.
            send: publishes it; False when there is no room.

        Raises:
            DeviceSilent: no answer within `timeout_s`. The device may have done what was asked.
            PublishFailed: it was not sent.
        """
        ask = _Ask(fits)
        self._open.setdefault(esp_id, []).append(ask)
        if sum(map(len, self._open.values())) > MOST_WAITING or not send():
            self._forget(esp_id, ask)
            raise PublishFailed(
                f"{what} could not be sent to {esp_id}: too much is waiting", cure="Try again in a moment"
            )
        self.asked += 1
        try:
            with trio.move_on_after(timeout_s):
                await ask.done.wait()
        finally:
            self._forget(esp_id, ask)
        if ask.answer is None:
            self.unanswered += 1
            raise DeviceSilent(
                f"{esp_id} did not answer {what} within {timeout_s:g} s",
                cure="It may have done it all the same; look at its state",
            )
        self.answered += 1
        return ask.answer

    async def refusal(
        self, esp_id: str, what: str, fits: Fits, send: Callable[[], bool], timeout_s: float
    ) -> Message | None:
        """As `ask`, for what a device answers only when it refuses: silence is None. Raises PublishFailed."""
        try:
            return await self.ask(esp_id, what, fits, send, timeout_s)
        except DeviceSilent:
            self.unanswered -= 1
            return None

    def _forget(self, esp_id: str, ask: _Ask) -> None:
        waiting = self._open.get(esp_id, [])
        if ask in waiting:
            waiting.remove(ask)
        if not waiting:
            self._open.pop(esp_id, None)
