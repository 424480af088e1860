"""What a core wants kept, as the store writes it: one transaction, so one `Persist` is there whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from growy.hierarchy.effects import Persist
from growy.store import HierarchyBatch, Store

BOOT = "hierarchy.boot"
GOD_INSTANCE = "hierarchy.god_instance"
INSTANCE = "hierarchy.instance"
RESTORED = "hierarchy.restored"
"""Keys of facts in growy.db."""


def batch_of(what: Persist, god_id: str, now_ms: int) -> HierarchyBatch:
    """The rows."""
    return HierarchyBatch(
        god_id=god_id,
        removed_nodes=what.removed_nodes,
        nodes=what.nodes,
        records=what.records,
        chains=what.chains,
        documents=dict.fromkeys(what.dropped),
        updated_ms=now_ms,
    )


def facts_of(what: Persist) -> Mapping[str, str | None]:
    """The facts that are written with them."""
    facts: dict[str, str | None] = {}
    if what.boot is not None:
        facts[BOOT] = str(what.boot)
    if what.god_instance is not None:
        facts[GOD_INSTANCE] = what.god_instance
    if what.settled:
        facts[RESTORED] = None
    return facts


async def installation_of(store: Store) -> str:
    """The name of this installation, made at its first start. Raises StoreError."""
    name = await store.keyed(INSTANCE)
    if name is None:
        name = secrets.token_hex(8)
        await store.set_keyed(INSTANCE, name)
    return name
