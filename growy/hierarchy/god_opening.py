"""How a God is opened: from what its disk holds."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from growy.hierarchy.estate import Estate, Mail
from growy.hierarchy.god import God
from growy.hierarchy.god_node import GodNode
from growy.hierarchy.leases import Terms
from growy.hierarchy.starts import next_count
from growy.hierarchy.writing import BOOT, RESTORED, installation_of
from growy.model.time import Moment
from growy.ops.log import get_log
from growy.store.store import Store

log = get_log(__name__)

REMEMBERED = 100
"""Command chains that ended last."""


async def open_god(
    god_id: str,
    terms: Terms,
    *,
    store: Store,
    estate: Estate,
    mail: Mail,
    moment: Callable[[], Moment],
) -> GodNode:
    """Reads what the disk holds. Raises StoreError."""
    instance = await installation_of(store)

    async def make() -> God:
        now, restored = moment(), await store.keyed(RESTORED) is not None
        god = God(
            god_id=god_id,
            instance=instance,
            boot=next_count(int(await store.keyed(BOOT) or 0), now.wall_ms, restored=restored),
            nodes=await store.kaisers(),
            records=await store.ownerships(),
            chains=await store.command_chains(live_only=True),
            terms=terms,
            fresh_id=lambda: f"c-{secrets.token_hex(6)}",
            moment=now,
            restored=restored,
        )
        god.ended(one.command_id for one in await store.command_chains(limit=REMEMBERED) if one.status.ended)
        for esp_id, version in (await store.esp_document_versions()).items():
            god.configured(esp_id, version)
        return god

    return GodNode(instance, god_id, await make(), make, store=store, estate=estate, mail=mail, moment=moment)
