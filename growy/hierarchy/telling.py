"""What happens in the tree, in the words of those who watch it live. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from growy.hierarchy.effects import Note
from growy.model.hierarchy import CommandChain

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
