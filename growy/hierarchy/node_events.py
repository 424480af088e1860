"""What a node of the tree counts, and tells those who watch."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from growy.hierarchy.effects import Note
from growy.model.audit import AuditEntry
from growy.model.hierarchy import CommandChain

EVENTS = {
    "ownership_changed": "esp_ownership_changed",
    "transfer_ended": "esp_transfer_ended",
    "kaiser_online": "kaiser_status",
    "kaiser_offline": "kaiser_status",
    "ownership_conflict": "ownership_conflict",
    "kaiser_refused": "kaiser_refused",
}
"""Notes that those who watch are told of, and under which name."""

CHAIN_EVENT = "command_chain"
"""Every step of every command chain."""
_STATUS = {"kaiser_online": "online", "kaiser_offline": "offline", "kaiser_refused": "refused"}
_OF_DEVICES = ("ownership_changed", "transfer_ended", "ownership_conflict")


def subject(note: Note) -> Mapping[str, object]:
    """Whom a note is about, by the names that clients filter by."""
    if note.event_type in _OF_DEVICES:
        return {"esp_id": note.source_id}
    status = _STATUS.get(note.event_type)
    return {} if status is None else {"kaiser_id": note.source_id, "status": status}


def entry_of(note: Note, ts_ms: int) -> AuditEntry:
    """For the audit trail."""
    return AuditEntry(
        ts_ms=ts_ms,
        event_type=note.event_type,
        severity=note.severity,
        source_id=note.source_id,
        message=note.message,
        details=note.details,
    )


def event_of(note: Note, entry: AuditEntry) -> Mapping[str, object]:
    """For those who watch."""
    return {
        **note.details,
        **subject(note),
        "source_id": note.source_id,
        "message": note.message,
        "timestamp": entry.ts_ms // 1000,
        "event": note.event_type,
    }


def chain_event(chain: CommandChain) -> Mapping[str, object]:
    """How far a command chain is."""
    return {
        "command_id": chain.command_id,
        "command_type": chain.command_type.value,
        "kaiser_id": chain.kaiser_id,
        "esp_id": chain.esp_id,
        "status": chain.status.value,
        "step": None if chain.step is None else chain.step.value,
        "from_owner": chain.command_data.get("from_owner"),
        "to_owner": chain.command_data.get("to_owner"),
        "message": chain.response_data.get("message"),
        "issued_by": chain.issued_by or None,
    }


@attrs.frozen(kw_only=True)
class NodeStatistics:
    """Counted since start."""

    heard: int
    told: int
    unsent: int
    """Messages that the way to God's broker could not take."""
    unreadable: int
    carried: int
    """Commands of other nodes that went to devices here."""
    relayed: int
    """What devices here said to other nodes."""
    relay_refusals: int
    """Commands of ours that a device's home refused."""
    remade: int
    """How often the disk refused, and everything began anew from what is on it."""
