"""What a person says of a Kaiser, as God's registry has it."""

from __future__ import annotations

import attrs
import msgspec
from attrs import validators as v

from growy.hierarchy.god_node import GodNode
from growy.model.errors import Invalid
from growy.model.hierarchy import GOD, Node, NodeId
from growy.model.tree_errors import NodeNotFound

MOST = 1000


@attrs.frozen
class KaiserConfig:
    """Absent: as it was, or the default."""

    name: str | None = attrs.field(default=None, validator=v.optional(v.max_len(100)))
    max_esps: int | None = attrs.field(default=None, validator=v.optional([v.ge(0), v.le(MOST)]))
    stand_in: str | None = None
    failover: bool | None = None
    gives_to: list[str] | None = attrs.field(default=None, validator=v.optional(v.max_len(MOST)))
    zone_ids: list[str] | None = attrs.field(default=None, validator=v.optional(v.max_len(MOST)))
    capabilities: dict[str, object] | None = None


def node_of(god: GodNode, kaiser_id: NodeId, config: KaiserConfig | None) -> Node:
    """The entry as it shall be.

    Raises:
        NodeNotFound: a stand-in or a receiver that nobody has entered.
        Invalid: it is to stand in for itself, or called god.
    """
    entered = {node.kaiser_id: node for node in god.core.nodes}
    node = entered.get(kaiser_id, Node(kaiser_id=kaiser_id))
    if config is None:
        return node
    for other in (config.stand_in, *(config.gives_to or ())):
        if other is not None and other not in (GOD, *entered):
            raise NodeNotFound(f"There is no Kaiser {other[:64]!r}", cure="Add it first")
    if kaiser_id in (config.stand_in, *(config.gives_to or ())):
        raise Invalid(f"{kaiser_id} cannot stand in for itself, or give devices to itself")
    said: dict[str, object] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in attrs.asdict(config, recurse=False).items()
        if value is not None
    }
    return msgspec.structs.replace(node, **said)
