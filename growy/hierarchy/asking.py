"""What a person at a Kaiser has another Kaiser do: who can be asked, and how it is told what became of it. Pure.

It must never call no answer a refusal: what was not answered may have been done all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from growy.hierarchy.effects import CrossEnded
from growy.model.audit import AuditEntry, AuditSeverity, AuditSource
from growy.model.hierarchy import GOD, NodeId
from growy.model.tree_errors import ChainEnded, NodeNotFound, NodeSilent
from growy.model.tree_messages import CrossFault
from growy.wire.topics import is_kaiser_id

PERHAPS = "It may do it all the same"
WANTED = ("esp_id", "to_owner", "reason")
"""What the audit trail keeps of a command, besides its kind."""
MOST_CHARS = 500
"""Of each: another node's word is kept here."""


def need_other(me: NodeId, god_id: str, target: NodeId) -> None:
    """Raises NodeNotFound: not the id of another Kaiser. Whether there is one, God knows."""
    if target == me:
        raise NodeNotFound(f"{me} is this Kaiser itself", cure="Ask another one, or look here")
    if target in (GOD, god_id):
        raise NodeNotFound(f"{target} is God and no Kaiser", cure="Ask at God itself what it is to do")
    if not is_kaiser_id(target):
        raise NodeNotFound(
            f"No Kaiser can be called {target[:80]!r}", cure="An id has 1 to 63 letters, digits, - and _"
        )


def answer_of(target: NodeId, command_type: str, ended: CrossEnded, *, god_heard: bool) -> CrossEnded:
    """What the other Kaiser has answered. Args: god_heard: God is there now.

    Raises:
        NodeNotFound: God has no such Kaiser.
        ChainEnded: a person at God has cancelled it.
        NodeSilent: it has not answered.
    """
    match ended.fault:
        case None:
            return ended
        case CrossFault.NO_KAISER:
            raise NodeNotFound(
                f"There is no Kaiser {target!r}",
                cure="`growyd kaisers` at God lists them, `growyd kaisers add` enters one",
            )
        case CrossFault.CANCELLED:
            raise ChainEnded(
                f"{command_type} was cancelled at God before {target} had answered", cure=PERHAPS
            )
        case CrossFault.NO_ANSWER:
            raise silent(
                target,
                command_type,
                cure="See at God whether it is there: `growyd kaisers`"
                if god_heard
                else "God is not heard here, and what Kaisers say to each other goes over its broker: "
                "mend that first",
                god_heard=god_heard,
            )


def silent(target: NodeId, command_type: str, *, cure: str, **details: object) -> NodeSilent:
    """A Kaiser has not answered in time."""
    return NodeSilent(
        f"{target} did not answer to {command_type} in time",
        cure=f"{PERHAPS}. {cure}",
        details={"kaiser_id": target, "command": command_type, **details},
    )


# --- for the audit trail ------------------------------------------------------------------------------------------


def asked(
    target: NodeId,
    command_type: str,
    data: Mapping[str, object],
    ended: CrossEnded | None,
    *,
    by: str,
    ts_ms: int,
) -> AuditEntry:
    """At the Kaiser that asks. Args: ended: None: whoever wanted it has gone before an answer came."""
    if ended is None:
        became, success = "nobody waited for the answer", False
    else:
        became, success = _became(ended.message, ended.success, answered=ended.fault is None), ended.success
    said = f"{target} was asked for {command_type} (by {by or 'nobody named'}): {became}"
    return _entry(target, said, AuditSource.of(by), command_type, data, by, success=success, ts_ms=ts_ms)


def obeyed(
    me: NodeId,
    command_type: str,
    data: Mapping[str, object],
    *,
    success: bool,
    message: str,
    ts_ms: int,
) -> AuditEntry:
    """At the Kaiser that was asked."""
    source, by = str(data.get("source_kaiser", "")), str(data.get("issued_by", ""))[:MOST_CHARS]
    became = _became(message, success, answered=True)
    said = f"{source} asked {me} for {command_type[:MOST_CHARS]} (by {by or 'nobody named'}): {became}"
    # Who it was stands in another node's word: here it came from the tree.
    return _entry(source, said, AuditSource.SYSTEM, command_type, data, by, success=success, ts_ms=ts_ms)


def _became(message: str, success: bool, *, answered: bool) -> str:
    if answered and not success:
        return f"refused: {message}"
    return message or "done"


def _entry(
    source_id: str,
    message: str,
    source: AuditSource,
    command_type: str,
    data: Mapping[str, object],
    by: str,
    *,
    success: bool,
    ts_ms: int,
) -> AuditEntry:
    wanted = {name: str(data[name])[:MOST_CHARS] for name in WANTED if data.get(name)}
    return AuditEntry(
        ts_ms=ts_ms,
        event_type="kaiser_asked",
        severity=AuditSeverity.INFO if success else AuditSeverity.WARNING,
        source_type=source,
        source_id=source_id,
        message=message,
        details={"command": command_type[:MOST_CHARS], **wanted, "success": success, "by": by},
    )
