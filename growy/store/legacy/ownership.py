"""What the tables of the God/Kaiser extension hold for devices of the old server: pure, but for looking into its file.

Every device that the old readings name belongs to god, and there is a default Kaiser. What growyd's tables hold already
wins. Kaisers and owners that the old database names itself are not taken: growyd would leave a device to a Kaiser that
nobody has ever heard of. They are counted in the report.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from growy.model.hierarchy import GOD, Node, NodeId, NodeState, Ownership
from growy.store.hierarchy import HierarchyBatch
from growy.store.legacy.source import LegacySource

REASON: Final = "migration_from_legacy"
GOD_ID: Final = "god_pi_central"
DEFAULT_KAISER: Final = "default_kaiser"
TABLES: Final = ("kaiser_registry", "esp_ownership", "command_chains", "performance_stats")


def ownership_of_legacy(
    esp_ids: Iterable[str], now_ms: int, *, owned: Collection[str] = (), kaisers: Collection[NodeId] = ()
) -> HierarchyBatch:
    """The rows to be written; nothing where everything is there.

    Args:
        esp_ids: the devices of the old readings, each valid; in any order, repeated or not.
        now_ms: when the migration runs.
        owned: devices that have an owner already.
        kaisers: Kaisers that are registered already.
    """
    default = Node(kaiser_id=DEFAULT_KAISER, name="Default Kaiser", state=NodeState.ONLINE, created_ms=now_ms)
    return HierarchyBatch(
        god_id=GOD_ID,
        nodes=() if DEFAULT_KAISER in kaisers else (default,),
        records=tuple(
            Ownership(esp_id=esp_id, owner=GOD, transfer_reason=REASON, transfer_ms=now_ms, created_ms=now_ms)
            for esp_id in sorted(set(esp_ids) - set(owned))
        ),
        updated_ms=now_ms,
    )


def extension_rows(source: LegacySource) -> dict[str, int]:
    """How many rows the old database has in each table of the extension; only those that are there."""
    counts = {name: source.count(name) for name in TABLES}
    return {name: count for name, count in counts.items() if count is not None}
