"""Several Pis in growy.db: the registry of Kaisers, whose each device is, command chains, documents of devices,
measured figures.

Names and columns are those that God and Kaisers have always had, with what fencing needs beside them. Whose a device is
must never be guessed: a row that cannot be read is an error. An epoch never falls, whatever is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import apsw
import attrs
import msgspec

from growy.model.errors import StoreError
from growy.model.hierarchy import (
    ChainStatus,
    CommandChain,
    Node,
    NodeId,
    Ownership,
)
from growy.store.bounded import retire_oldest
from growy.store.readers import Readers

T = TypeVar("T")

CHAINS_KEPT = 2000
"""Chains that have ended; of those under way none is ever deleted."""
PERFORMANCE_KEPT = 20_000
_LIVE = (ChainStatus.PENDING.value, ChainStatus.RUNNING.value)
_CHAIN = (
    "command_id, god_id, kaiser_id, esp_id, command_type, command_data, status, step, response_data, timeout_s,"
    " issued_by, created_at, completed_at"
)


@attrs.frozen(kw_only=True, slots=True)
class Measurement:
    """One measured figure."""

    name: str
    value: float
    ts_ms: int


@attrs.frozen(slots=True)
class Mean:
    """Of a figure over a span."""

    mean: float
    count: int


@attrs.frozen(kw_only=True, slots=True)
class HierarchyBatch:
    """What is to be written together. What is removed goes before what is written."""

    god_id: str = ""
    """Stands in the rows of nodes."""
    removed_nodes: Collection[NodeId] = ()
    nodes: Sequence[Node] = ()
    records: Sequence[Ownership] = ()
    chains: Sequence[CommandChain] = ()
    """Inserted or replaced by id; of those that have ended the newest 2000 are kept."""
    documents: Mapping[str, tuple[str, bytes] | None] = {}
    """Device -> (version, content). None deletes."""
    measurements: Sequence[Measurement] = ()
    """Appended; the newest 20,000 are kept."""
    updated_ms: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(
            self.removed_nodes
            or self.nodes
            or self.records
            or self.chains
            or self.documents
            or self.measurements
        )


def write_hierarchy(db: apsw.Connection, batch: HierarchyBatch) -> None:
    """All of it. Inside the caller's transaction.

    Raises:
        StoreError: an epoch would fall, or have two owners.
    """
    db.executemany("DELETE FROM kaiser_registry WHERE kaiser_id = ?", [(one,) for one in batch.removed_nodes])
    _write_nodes(db, batch)
    _write_records(db, batch.records)
    _write_chains(db, batch.chains)
    for esp_id, documents in batch.documents.items():
        if documents is None:
            db.execute("DELETE FROM esp_documents WHERE esp_id = ?", (esp_id,))
        else:
            db.execute(
                "INSERT INTO esp_documents (esp_id, version, content) VALUES (?, ?, ?) ON CONFLICT (esp_id)"
                " DO UPDATE SET version = excluded.version, content = excluded.content",
                (esp_id, *documents),
            )
    if batch.measurements:
        db.executemany(
            "INSERT INTO performance_stats (metric_name, metric_value, timestamp) VALUES (?, ?, ?)",
            [(one.name, one.value, one.ts_ms) for one in batch.measurements],
        )
        retire_oldest(db, "performance_stats", PERFORMANCE_KEPT, len(batch.measurements))


class HierarchyRegistry:
    """What the store knows of the tree. Written by `Registry.write_registry(hierarchy=...)`. Trio thread only.

    Every method raises StoreError if the disk cannot be read, or what stands there cannot be understood.
    """

    _readers: Readers

    async def kaisers(self) -> list[Node]:
        """All Kaisers in the registry, by id."""
        return await self._readers.registry(read_nodes)

    async def ownerships(self) -> list[Ownership]:
        """Whose each device is, by device."""
        return await self._readers.registry(read_records)

    async def command_chains(
        self, *, live_only: bool = False, limit: int = 100, offset: int = 0
    ) -> list[CommandChain]:
        """Newest first; with `live_only` all that have not ended."""
        return await self._readers.registry(lambda db: read_chains(db, live_only, limit, offset))

    async def command_chain(self, command_id: str) -> CommandChain | None:
        return await self._readers.registry(lambda db: read_chain(db, command_id))

    async def esp_documents(self, esp_id: str) -> tuple[str, bytes] | None:
        """Version and content of what the rules of a device need."""
        return await self._readers.registry(lambda db: read_documents(db, esp_id))

    async def esp_document_versions(self) -> dict[str, str]:
        return await self._readers.registry(
            lambda db: dict(db.execute("SELECT esp_id, version FROM esp_documents"))
        )

    async def performance(self, from_ms: int) -> dict[str, Mean]:
        """Means of all figures measured since then."""
        return await self._readers.registry(lambda db: read_performance(db, from_ms))


# --- reading ------------------------------------------------------------------------------------------------------


def read_nodes(db: apsw.Connection) -> list[Node]:
    return [
        _understood(
            f"Kaiser {kaiser_id}",
            {
                **_document(f"Kaiser {kaiser_id}", document),
                "kaiser_id": kaiser_id,
                "name": name,
                "state": state,
                "last_heartbeat_ms": heartbeat,
                "created_ms": created,
            },
            Node,
        )
        for kaiser_id, name, state, heartbeat, created, document in db.execute(
            "SELECT kaiser_id, kaiser_name, status, last_heartbeat, created_at, document FROM kaiser_registry"
            " ORDER BY kaiser_id"
        )
    ]


def read_records(db: apsw.Connection) -> list[Ownership]:
    return [
        Ownership(
            esp_id=esp_id,
            owner=owner,
            epoch=epoch,
            lease_s=lease_s,
            home=home,
            previous_owner=previous,
            transfer_reason=reason,
            transfer_ms=transfer_ms,
            created_ms=created_ms,
        )
        for esp_id, owner, epoch, lease_s, home, previous, reason, transfer_ms, created_ms in db.execute(
            "SELECT esp_id, current_owner, epoch, lease_s, home, previous_owner, transfer_reason,"
            " transfer_timestamp, created_at FROM esp_ownership ORDER BY esp_id"
        )
    ]


def read_chains(db: apsw.Connection, live_only: bool, limit: int, offset: int) -> list[CommandChain]:
    if live_only:
        rows = db.execute(
            f"SELECT {_CHAIN} FROM command_chains WHERE status IN (?, ?) ORDER BY created_at DESC, id DESC",
            _LIVE,
        )
    else:
        rows = db.execute(
            f"SELECT {_CHAIN} FROM command_chains ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?",
            (limit, offset),
        )
    return [_chain(row) for row in rows]


def read_chain(db: apsw.Connection, command_id: str) -> CommandChain | None:
    row = db.execute(f"SELECT {_CHAIN} FROM command_chains WHERE command_id = ?", (command_id,)).fetchone()
    return None if row is None else _chain(row)


def read_documents(db: apsw.Connection, esp_id: str) -> tuple[str, bytes] | None:
    row = db.execute("SELECT version, content FROM esp_documents WHERE esp_id = ?", (esp_id,)).fetchone()
    return None if row is None else (row[0], row[1])


def read_performance(db: apsw.Connection, from_ms: int) -> dict[str, Mean]:
    return {
        name: Mean(mean, count)
        for name, mean, count in db.execute(
            "SELECT metric_name, avg(metric_value), count(*) FROM performance_stats WHERE timestamp >= ?"
            " GROUP BY metric_name",
            (from_ms,),
        )
    }


# --- writing ------------------------------------------------------------------------------------------------------


def _write_nodes(db: apsw.Connection, batch: HierarchyBatch) -> None:
    # What has a column of its own is not in the document; an upsert keeps a row's id and time of making.
    columns = ("kaiser_id", "name", "state", "last_heartbeat_ms", "created_ms")
    db.executemany(
        "INSERT INTO kaiser_registry (kaiser_id, god_id, kaiser_name, status, last_heartbeat, created_at, updated_at,"
        " document) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kaiser_id) DO UPDATE SET"
        " god_id = excluded.god_id, kaiser_name = excluded.kaiser_name, status = excluded.status,"
        " last_heartbeat = excluded.last_heartbeat, updated_at = excluded.updated_at, document = excluded.document",
        [
            (
                node.kaiser_id,
                batch.god_id,
                node.name,
                node.state.value,
                node.last_heartbeat_ms,
                node.created_ms,
                batch.updated_ms,
                msgspec.json.encode(
                    {name: value for name, value in msgspec.to_builtins(node).items() if name not in columns}
                ).decode(),
            )
            for node in batch.nodes
        ],
    )
    if batch.nodes:
        _name_devices(db)


def _write_records(db: apsw.Connection, records: Sequence[Ownership]) -> None:
    for record in records:
        db.execute(
            "INSERT INTO esp_ownership (esp_id, current_owner, epoch, lease_s, home, previous_owner, transfer_reason,"
            " transfer_timestamp, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (esp_id) DO UPDATE SET"
            " current_owner = excluded.current_owner, epoch = excluded.epoch, lease_s = excluded.lease_s,"
            " home = excluded.home, previous_owner = excluded.previous_owner,"
            " transfer_reason = excluded.transfer_reason, transfer_timestamp = excluded.transfer_timestamp"
            " WHERE excluded.epoch > esp_ownership.epoch"
            " OR (excluded.epoch = esp_ownership.epoch AND excluded.current_owner = esp_ownership.current_owner)",
            (
                record.esp_id,
                record.owner,
                record.epoch,
                record.lease_s,
                record.home,
                record.previous_owner,
                record.transfer_reason,
                record.transfer_ms,
                record.created_ms,
            ),
        )
        if not db.changes():
            raise StoreError(
                f"Epoch {record.epoch} of {record.esp_id} for {record.owner} is not newer than what is on the disk",
                cure="Restart growyd: it goes on from what is there",
            )
    if records:
        _name_devices(db)


def _name_devices(db: apsw.Connection) -> None:
    """`esp_devices` of a Kaiser says what `esp_ownership` says; for whoever looks into the table."""
    db.execute(
        "UPDATE kaiser_registry SET esp_devices = (SELECT json_group_array(esp_id) FROM"
        " (SELECT esp_id FROM esp_ownership WHERE current_owner = kaiser_id ORDER BY esp_id))"
    )


def _write_chains(db: apsw.Connection, chains: Sequence[CommandChain]) -> None:
    if not chains:
        return
    db.executemany(
        f"INSERT INTO command_chains ({_CHAIN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (command_id) DO UPDATE SET kaiser_id = excluded.kaiser_id,"
        " command_data = excluded.command_data, status = excluded.status, step = excluded.step,"
        " response_data = excluded.response_data, completed_at = excluded.completed_at",
        [
            (
                one.command_id,
                one.god_id,
                one.kaiser_id,
                one.esp_id,
                one.command_type.value,
                msgspec.json.encode(one.command_data).decode(),
                one.status.value,
                None if one.step is None else one.step.value,
                msgspec.json.encode(one.response_data).decode(),
                one.timeout_s,
                one.issued_by,
                one.created_ms,
                one.completed_ms,
            )
            for one in chains
        ],
    )
    db.execute(
        "DELETE FROM command_chains WHERE status NOT IN (?, ?) AND id NOT IN (SELECT id FROM command_chains"
        " WHERE status NOT IN (?, ?) ORDER BY id DESC LIMIT ?)",
        (*_LIVE, *_LIVE, CHAINS_KEPT),
    )


# --- rows ---------------------------------------------------------------------------------------------------------


def _chain(row: tuple[object, ...]) -> CommandChain:
    said = dict(zip(_CHAIN.split(","), row, strict=True))
    fields: dict[str, object] = {name.strip(): value for name, value in said.items()}
    what = f"Command chain {fields['command_id']}"
    fields["command_data"] = _document(what, fields["command_data"])
    fields["response_data"] = _document(what, fields["response_data"])
    fields["created_ms"] = fields.pop("created_at")
    fields["completed_ms"] = fields.pop("completed_at")
    return _understood(what, fields, CommandChain)


def _document(what: str, text: object) -> dict[str, object]:
    try:
        return msgspec.json.decode(str(text), type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise _unreadable(what, error) from error


def _understood(what: str, fields: Mapping[str, object], kind: type[T]) -> T:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.MsgspecError as error:
        raise _unreadable(what, error) from error


def _unreadable(what: str, error: Exception) -> StoreError:
    return StoreError(
        f"{what} in growy.db cannot be read: {error}",
        cure="Restore growy.db from a backup, or start the newer growyd that wrote it",
    )
