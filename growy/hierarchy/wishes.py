"""What Kaisers want of God: that a device changes its owner, that a command reaches another Kaiser after all. Pure.

A wish may be heard more than once; it is granted once. God's own rules judge it, not the wisher's.
"""

from __future__ import annotations

from collections.abc import Iterable

from growy.hierarchy import transfers
from growy.hierarchy.chains import Chains
from growy.hierarchy.effects import AlternativeRoute, Effects, Note, Tell
from growy.hierarchy.realm import Realm, TransferPlan
from growy.model.audit import AuditSeverity
from growy.model.errors import GrowyError
from growy.model.hierarchy import ChainStatus, ChainType, CommandChain, NodeId
from growy.model.time import Moment
from growy.model.tree_messages import CrossFault, CrossResponse, Petition, Reroute

FAULTS = {ChainStatus.TIMEOUT: CrossFault.NO_ANSWER, ChainStatus.CANCELLED: CrossFault.CANCELLED}
"""Ends of a chain that are not the other Kaiser's word."""
KEPT = 256
"""Petitions that are known when they are heard again."""


class Wishes:
    """Of one God."""

    def __init__(self, realm: Realm, chains: Chains) -> None:
        self._realm = realm
        self._chains = chains
        self.heard: dict[tuple[NodeId, str], None] = {}
        """Petitions, by who has told them."""
        self._ended: set[str] = set()

    def remember(self, petition_ids: Iterable[str], before: Wishes | None = None) -> None:
        """What was granted, refused or ended before this God was made. It is told more than once."""
        self._ended.update(petition_ids)
        if before is not None:
            self.heard |= before.heard

    def petitioned(self, sender: NodeId, petition: Petition, moment: Moment, out: Effects) -> None:
        """A transfer: at once, after a person's consent, or not at all."""
        record = self._realm.records.get(petition.esp_id)
        key = (sender, petition.petition_id)
        if record is None or sender not in self._realm.nodes or key in self.heard:
            return
        if (
            petition.petition_id in self._ended
            or transfers.find(self._realm, petition.petition_id) is not None
        ):
            return  # of before God's last start
        self.heard[key] = None
        if len(self.heard) > KEPT:
            del self.heard[next(iter(self.heard))]
        plan = TransferPlan(
            from_owner=record.owner,
            to_owner=petition.to_owner,
            reason=petition.reason or "petition",
            wisher=sender,
        )
        issued_by = f"kaiser:{sender}"
        try:
            transfers.begin(
                self._realm, petition.petition_id, petition.esp_id, plan, moment, out, issued_by=issued_by
            )
        except GrowyError as error:
            out.append(
                Note(
                    event_type="ownership_conflict",
                    message=f"{sender} wanted {petition.esp_id} to go to {petition.to_owner}: {error}",
                    source_id=petition.esp_id,
                    severity=AuditSeverity.WARNING,
                    details=error.details,
                )
            )

    def rerouted(self, sender: NodeId, message: Reroute, moment: Moment, out: Effects) -> None:
        """What two Kaisers could not settle directly."""
        chain_id = f"{sender}/{message.command_id}"
        if sender not in self._realm.nodes or any(one.command_id == chain_id for one in self._chains.live):
            return
        if message.target not in self._realm.nodes:
            gone = CrossResponse(
                command_id=message.command_id,
                success=False,
                message=f"there is no Kaiser {message.target}",
                fault=CrossFault.NO_KAISER,
            )
            out.append(Tell(sender, gone))
            return
        out.append(AlternativeRoute(source=sender, target=message.target, command_type=message.command_type))
        data = {"source_kaiser": sender, "command_type": message.command_type, "data": dict(message.data)}
        self._chains.open(chain_id, message.target, ChainType.CROSS_KAISER, data, moment, out)

    def carried(self, chain: CommandChain, *, success: bool, message: str, out: Effects) -> None:
        """A chain has ended: if God carried it from one Kaiser to another, the first is told."""
        if chain.command_type is not ChainType.CROSS_KAISER:
            return
        source, _, command_id = chain.command_id.partition("/")
        response = CrossResponse(
            command_id=command_id,
            success=success,
            message=message,
            data={name: value for name, value in chain.response_data.items() if name != "message"},
            fault=FAULTS.get(chain.status),
        )
        out.append(Tell(source, response))
