"""The actuators of an `Esp`: the simulator's own board, told what the device hears, saying what the firmware says."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import attrs

from growy.sim import actuators, config_apply, emergency
from growy.sim.board import Board, BoardReply, Ctx, Intent, Outcome, Pause, Reply, SystemState

Saying = tuple[str, dict[str, Any]]
"""Topic below the device's own, payload."""
STATUS_S = 30.0


@attrs.define
class Outputs:
    """Actuators in a board's RAM. `now_s` is the device's uptime."""

    esp_id: str
    now_s: Callable[[], float]
    ts: Callable[[], int]
    board: Board = attrs.field(init=False)
    deaf: bool = False
    """Hears nothing that is about actuators, as if it hung."""
    refuses: bool = False
    """Answers every command with a failure."""
    told_at: float = 0.0
    seq: int = 100
    """What a device numbers its messages with: one that says the same twice is heard once."""

    def __attrs_post_init__(self) -> None:
        self.board = Board(esp_id=self.esp_id, state=SystemState.OPERATIONAL)

    @property
    def rest_s(self) -> float:
        """Until when nothing happens by itself."""
        if not self.board.actuators:
            return math.inf
        due_ms = actuators.next_due_ms(self.board)
        soonest = self.told_at + STATUS_S if due_ms is None else min(self.told_at + STATUS_S, due_ms / 1000)
        return max(0.001, soonest - self.now_s())

    def on(self, gpio: int) -> bool:
        """Whether current flows."""
        found = self.board.actuator(gpio)
        return found is not None and found.energised

    def pwm(self, gpio: int) -> int:
        found = self.board.actuator(gpio)
        return 0 if found is None else found.pwm

    def configure(self, said: dict[str, Any]) -> list[Saying]:
        """A config push: what it says of actuators is taken over; the answer to it is the Esp's own."""
        push = json.dumps({"actuators": said["actuators"]}, separators=(",", ":")).encode()
        self.board, replies = config_apply.apply(self.board, push, self._intent(said), self._ctx())
        return [(tail, body) for tail, body in self._said(replies) if tail.startswith("actuator/")]

    def take(self, tail: str, said: dict[str, Any]) -> list[Saying]:
        """A message on `actuator/...` or `broadcast/emergency`."""
        if self.deaf:
            return []
        payload = json.dumps(said, separators=(",", ":")).encode()
        intent, ctx = self._intent(said), self._ctx()
        if tail == "broadcast/emergency":
            self.board, replies = emergency.broadcast(self.board, payload, intent, ctx)
        elif tail == "actuator/emergency":
            self.board, replies = emergency.command(self.board, payload, intent, ctx)
        else:
            gpio = tail.split("/")[1]
            if self.refuses:
                return self._refusal(int(gpio), said)
            self.board, replies = actuators.execute(self.board, gpio, payload, intent, ctx)
        return self._said(replies)

    def pass_time(self) -> list[Saying]:
        """What has run out by now, and the regular statuses."""
        self.board, replies = actuators.tick(self.board, self._ctx())
        if self.now_s() - self.told_at >= STATUS_S:
            self.told_at = self.now_s()
            replies = (*replies, *actuators.statuses(self.board, self._ctx()))
        return self._said(replies)

    def statuses(self) -> list[Saying]:
        return self._said(actuators.statuses(self.board, self._ctx()))

    def reboot(self) -> None:
        """RAM is lost: everything off, the latch open."""
        outputs = tuple(type(one)(config=one.config) for one in self.board.actuators)
        self.board = attrs.evolve(self.board, actuators=outputs, emergency=False, emergency_at_ms=0)

    def _ctx(self) -> Ctx:
        return Ctx(
            ts=self.ts(), uptime_ms=round(self.now_s() * 1000), boot_sequence_id=f"{self.esp_id}-b1-r1"
        )

    def _intent(self, said: dict[str, Any]) -> Intent:
        correlation_id = said.get("correlation_id", "")
        return Intent(intent_id=said.get("intent_id", correlation_id), correlation_id=correlation_id)

    def _next(self) -> int:
        self.seq += 1
        return self.seq

    def _refusal(self, gpio: int, said: dict[str, Any]) -> list[Saying]:
        answer = {"gpio": gpio, "command": said["command"], "success": False, "message": "Driver failed"}
        return [
            (
                f"actuator/{gpio}/response",
                {**answer, "correlation_id": said["correlation_id"], "seq": self._next()},
            )
        ]

    def _said(self, replies: tuple[BoardReply, ...]) -> list[Saying]:
        said: list[Saying] = []
        for reply in replies:
            if isinstance(reply, Reply):
                said.append((reply.topic_tail, json.loads(reply.body(self._next()), strict=False)))
            elif isinstance(reply, Outcome):
                ids = {"intent_id": reply.intent.intent_id, "correlation_id": reply.intent.correlation_id}
                what = {
                    "flow": reply.flow,
                    "outcome": reply.outcome,
                    "code": reply.code,
                    "reason": reply.reason,
                }
                said.append(("system/intent_outcome", {**ids, **what, "seq": self._next()}))
            else:
                # Errors that are only tracked, and the pause after a clear, are not what these tests are about.
                assert not isinstance(reply, Pause) or reply.seconds
        return said
