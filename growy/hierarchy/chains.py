"""Command chains that are not transfers: God tells a Kaiser until it has answered, or the time is over. Pure.

A chain is on disk before it is told, and at its end. An emergency stop has no time-out: it is told until every device
has proven that it stands still.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import attrs
import msgspec

from growy.hierarchy.effects import ChainTimedOut, Effects, Persist, Tell
from growy.model.hierarchy import ChainStatus, ChainType, CommandChain, NodeId
from growy.model.time import Moment
from growy.model.tree_errors import ChainEnded, ChainNotFound
from growy.model.tree_messages import ChainCommand, ChainResponse

AGAIN_S = 5.0
URGENT_AGAIN_S = 2.0
TIMEOUT_S = 60.0


@attrs.define(slots=True)
class _Live:
    chain: CommandChain
    deadline: float
    again_at: float

    @property
    def urgent(self) -> bool:
        return self.chain.command_type is ChainType.EMERGENCY_STOP


class Chains:
    """Args: live: those that had not ended, from the disk; they are told again, and their time begins anew."""

    def __init__(self, god_id: str, god_instance: str, live: Iterable[CommandChain], moment: Moment) -> None:
        self._god_id = god_id
        self._instance = god_instance
        self._live = {
            chain.command_id: _Live(chain, _deadline(chain, moment.clock), moment.clock) for chain in live
        }

    @property
    def live(self) -> list[CommandChain]:
        return [one.chain for one in self._live.values()]

    def open(
        self,
        command_id: str,
        to: NodeId,
        kind: ChainType,
        data: Mapping[str, object],
        moment: Moment,
        out: Effects,
        *,
        esp_id: str | None = None,
        timeout_s: float | None = TIMEOUT_S,
        issued_by: str = "",
    ) -> CommandChain:
        chain = CommandChain(
            command_id=command_id,
            god_id=self._god_id,
            kaiser_id=to,
            command_type=kind,
            esp_id=esp_id,
            command_data=data,
            status=ChainStatus.RUNNING,
            timeout_s=timeout_s,
            issued_by=issued_by,
            created_ms=moment.wall_ms,
        )
        self.again((chain,), moment, out)
        return chain

    def again(self, chains: Iterable[CommandChain], moment: Moment, out: Effects) -> None:
        """Those among them that are not known here are told, and kept."""
        for chain in chains:
            if chain.command_id not in self._live:
                live = self._live[chain.command_id] = _Live(chain, _deadline(chain, moment.clock), -math.inf)
                out.append(Persist(chains=(chain,)))
                self._tell(live, moment, out)

    def heard(
        self, sender: NodeId, response: ChainResponse, moment: Moment, out: Effects
    ) -> CommandChain | None:
        """A Kaiser's answer. The chain, if it has ended by this."""
        live = self._live.get(response.command_id)
        if live is None or live.chain.kaiser_id != sender:
            return None
        data = {**live.chain.response_data, **response.data}
        if response.message:
            data["message"] = response.message
        if response.success is None:
            live.chain = msgspec.structs.replace(live.chain, response_data=data)
            return None
        if live.urgent and not response.success:
            # A stop that fails is not over.
            live.chain = msgspec.structs.replace(live.chain, response_data=data)
            return None
        return self._end(
            live, ChainStatus.DONE if response.success else ChainStatus.FAILED, data, moment, out
        )

    def cancel(self, command_id: str, moment: Moment, out: Effects) -> CommandChain:
        """No answer is waited for any more; the Kaiser is told, and may have done it all the same.

        Raises:
            ChainNotFound: there is none, or it has ended.
            ChainEnded: an emergency stop is ended by clearing it.
        """
        live = self._live.get(command_id)
        if live is None:
            raise ChainNotFound(f"There is no command chain {command_id} under way")
        if live.urgent:
            raise ChainEnded("An emergency stop cannot be cancelled", cure="Clear it")
        ended = self._end(live, ChainStatus.CANCELLED, live.chain.response_data, moment, out)
        out.append(Tell(ended.kaiser_id, self._command(ended, cancelled=True)))
        return ended

    def node_gone(self, kaiser_id: NodeId, moment: Moment, out: Effects) -> None:
        for live in [one for one in self._live.values() if one.chain.kaiser_id == kaiser_id]:
            self._end(live, ChainStatus.FAILED, {"message": "the Kaiser was unregistered"}, moment, out)

    def tick(self, moment: Moment, out: Effects) -> list[CommandChain]:
        """Tells again, and ends what has waited too long. Those."""
        late = []
        for live in list(self._live.values()):
            if moment.clock >= live.deadline:
                late.append(self._end(live, ChainStatus.TIMEOUT, live.chain.response_data, moment, out))
                out.append(
                    ChainTimedOut(command_id=live.chain.command_id, command_type=live.chain.command_type)
                )
            elif moment.clock >= live.again_at:
                self._tell(live, moment, out)
        return late

    def _tell(self, live: _Live, moment: Moment, out: Effects) -> None:
        live.again_at = moment.clock + (URGENT_AGAIN_S if live.urgent else AGAIN_S)
        out.append(Tell(live.chain.kaiser_id, self._command(live.chain), urgent=live.urgent))

    def _command(self, chain: CommandChain, *, cancelled: bool = False) -> ChainCommand:
        return ChainCommand(
            god_instance=self._instance,
            command_id=chain.command_id,
            command_type=chain.command_type.value,
            esp_id=chain.esp_id,
            data=chain.command_data,
            cancelled=cancelled,
        )

    def _end(
        self,
        live: _Live,
        status: ChainStatus,
        data: Mapping[str, object],
        moment: Moment,
        out: Effects,
    ) -> CommandChain:
        ended = msgspec.structs.replace(
            live.chain, status=status, response_data=data, completed_ms=moment.wall_ms
        )
        live.chain = ended
        del self._live[ended.command_id]
        out.append(Persist(chains=(ended,)))
        return ended


def _deadline(chain: CommandChain, now: float) -> float:
    return math.inf if chain.timeout_s is None else now + chain.timeout_s
