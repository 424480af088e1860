"""What one Kaiser wants of another: directly, and again, and when that fails by way of God. Pure.

A command may arrive more than once, and by both ways; it is carried out once, because it is known by its id.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import attrs

from growy.hierarchy.effects import CrossEnded, Effects, Obey, Tell
from growy.model.hierarchy import GOD, NodeId
from growy.model.tree_messages import ChainCommand, CrossCommand, CrossFault, CrossResponse, Reroute

AGAIN_S = 2.0
DIRECTLY = 3
"""Attempts before it goes by way of God."""
KEPT = 256


@attrs.define(slots=True)
class _Sent:
    target: NodeId
    command: CrossCommand
    deadline: float
    again_at: float = -math.inf
    attempts: int = 0


class Cross:
    """Args: me: this Kaiser."""

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self._sent: dict[str, _Sent] = {}
        self._heard: dict[str, CrossResponse | None] = {}

    def next_due(self) -> float:
        return min((min(one.again_at, one.deadline) for one in self._sent.values()), default=math.inf)

    def send(
        self,
        target: NodeId,
        command_id: str,
        command_type: str,
        data: Mapping[str, object],
        *,
        deadline: float,
    ) -> None:
        """Goes out with the next `tick`, and ends in a `CrossEnded`."""
        command = CrossCommand(command_id=command_id, command_type=command_type, data=data)
        self._sent[command_id] = _Sent(target, command, deadline)

    def forget(self, command_id: str) -> None:
        """Nobody waits for the answer any more: it is not sent again."""
        self._sent.pop(command_id, None)

    def tick(self, peers: Collection[NodeId], now: float, out: Effects) -> None:
        """Args: peers: Kaisers that God hears."""
        for command_id, one in list(self._sent.items()):
            if now >= one.deadline:
                del self._sent[command_id]
                out.append(unanswered(command_id))
            elif now >= one.again_at:
                one.attempts += 1
                one.again_at = now + AGAIN_S
                out.append(self._attempt(one, peers))

    def heard(self, sender: NodeId, command: CrossCommand, out: Effects) -> None:
        """Another Kaiser's command. What became of it is told with `answer`."""
        key = f"{sender}/{command.command_id}"
        if key in self._heard:
            response = self._heard[key]
            if response is not None:
                out.append(Tell(sender, response))
            return
        self._obey(key, sender, command.command_type, command.data, out)

    def carried(self, chain: ChainCommand, out: Effects) -> CrossResponse | None:
        """Another Kaiser's command, by way of God: the chain's id is the key of `heard`. What was answered to it, if
        it had come directly and only the answer was lost."""
        key = chain.command_id
        if key in self._heard:
            return self._heard[key]
        data = chain.data.get("data")
        said = data if isinstance(data, Mapping) else {}
        self._obey(key, key.partition("/")[0], str(chain.data.get("command_type", "")), said, out)
        return None

    def answer(self, key: str, success: bool, message: str, data: Mapping[str, object]) -> Effects:
        """Directly, whichever way it came. Args: key: the `command_id` of the `Obey`."""
        sender, _, command_id = key.partition("/")
        response = CrossResponse(command_id=command_id, success=success, message=message, data=data)
        self._remember(key, response)
        return [Tell(sender, response)]

    def answered(self, response: CrossResponse, out: Effects) -> None:
        """From the other, or from God who carried it."""
        if self._sent.pop(response.command_id, None) is not None:
            out.append(
                CrossEnded(
                    command_id=response.command_id,
                    success=response.success,
                    message=response.message,
                    data=response.data,
                    fault=response.fault,
                )
            )

    def _obey(self, key: str, sender: NodeId, kind: str, data: Mapping[str, object], out: Effects) -> None:
        self._remember(key, None)
        # The last word on whose command it is has the way that it came, not the command.
        out.append(
            Obey(command_id=key, command_type=kind, esp_id=None, data={**data, "source_kaiser": sender})
        )

    def _attempt(self, one: _Sent, peers: Collection[NodeId]) -> Tell:
        if one.attempts <= DIRECTLY and one.target in peers:
            return Tell(one.target, one.command)
        return Tell(
            GOD,
            Reroute(
                kaiser_id=self._me,
                target=one.target,
                command_id=one.command.command_id,
                command_type=one.command.command_type,
                data=one.command.data,
            ),
        )

    def _remember(self, key: str, response: CrossResponse | None) -> None:
        self._heard.pop(key, None)
        self._heard[key] = response
        while len(self._heard) > KEPT:
            del self._heard[next(iter(self._heard))]


def unanswered(command_id: str) -> CrossEnded:
    """Its time is over."""
    return CrossEnded(
        command_id=command_id, success=False, message="no answer", data={}, fault=CrossFault.NO_ANSWER
    )
