"""Several Pis in growy.db: everything comes back as it was written, an epoch never falls, and the tables have the names
and columns that others read."""

from __future__ import annotations

import json
from pathlib import Path

import apsw
import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from growy.hierarchy.effects import Persist
from growy.hierarchy.writing import BOOT, GOD_INSTANCE, RESTORED, batch_of, facts_of
from growy.model.errors import StoreError
from growy.model.hierarchy import (
    GOD,
    ChainStatus,
    ChainType,
    CommandChain,
    Node,
    NodeState,
    Ownership,
    TransferStep,
)
from growy.store import HierarchyBatch, Mean, Measurement, Store
from growy.store.hierarchy import CHAINS_KEPT, read_nodes, read_records, write_hierarchy
from growy.store.schema import REGISTRY_MIGRATIONS, migrate

T0 = 1_780_000_000_000
NODE = Node(
    kaiser_id="k1",
    name="North house",
    instance="i-1",
    state=NodeState.ONLINE,
    max_esps=20,
    stand_in="k2",
    failover=False,
    gives_to=("k2", "k3"),
    zone_ids=("north",),
    capabilities={"cores": 4},
    last_heartbeat_ms=T0,
    created_ms=T0 - 5,
)
RECORD = Ownership(
    esp_id="ESP_EA5484",
    owner="k1",
    epoch=7,
    lease_s=30.5,
    home="k2",
    previous_owner=GOD,
    transfer_reason="manual",
    transfer_ms=T0,
    created_ms=T0 - 9,
)
CHAIN = CommandChain(
    command_id="t-1",
    god_id="god_pi_central",
    kaiser_id="k1",
    command_type=ChainType.TRANSFER,
    esp_id="ESP_EA5484",
    command_data={"from_owner": "god", "to_owner": "k1", "state": {"outputs": [{"gpio": 26}]}},
    status=ChainStatus.RUNNING,
    step=TransferStep.REVOKE,
    response_data={"message": "so far"},
    timeout_s=60.0,
    issued_by="ada",
    created_ms=T0,
)


async def write(store: Store, **what: object) -> None:
    await store.write_registry(hierarchy=HierarchyBatch(god_id="god_pi_central", **what))


async def test_everything_is_there_after_a_restart(opener) -> None:
    async with opener() as store:
        await write(
            store,
            nodes=[NODE],
            records=[RECORD],
            chains=[CHAIN],
            documents={"ESP_EA5484": ("v2", b"\x00\xff")},
            measurements=[Measurement(name="processing_time", value=2.0, ts_ms=T0)],
        )
    async with opener() as store:
        assert await store.kaisers() == [NODE]
        assert await store.ownerships() == [RECORD]
        assert await store.command_chains() == [CHAIN]
        assert await store.command_chain("t-1") == CHAIN
        assert await store.command_chain("t-2") is None
        assert await store.esp_documents("ESP_EA5484") == ("v2", b"\x00\xff")
        assert await store.esp_document_versions() == {"ESP_EA5484": "v2"}
        assert await store.performance(T0) == {"processing_time": Mean(2.0, 1)}


async def test_an_epoch_never_falls_and_never_has_two_owners(store: Store) -> None:
    await write(store, records=[RECORD])

    for wrong in (
        msgspec.structs.replace(RECORD, epoch=6),
        msgspec.structs.replace(RECORD, owner="k2"),
        msgspec.structs.replace(RECORD, epoch=6, owner="k2"),
    ):
        with pytest.raises(StoreError, match="ESP_EA5484"):
            await write(store, nodes=[NODE], records=[wrong])
        assert await store.ownerships() == [RECORD]
        assert await store.kaisers() == []  # all of it, or nothing

    moved = msgspec.structs.replace(RECORD, epoch=8, owner="k2")
    home = msgspec.structs.replace(moved, home=GOD)
    await write(store, records=[moved])
    await write(store, records=[home])
    assert await store.ownerships() == [home]


async def test_what_is_written_again_keeps_its_id_and_the_time_it_was_made(
    store: Store, folder: Path
) -> None:
    await write(store, nodes=[NODE], records=[RECORD], chains=[CHAIN])
    ended = msgspec.structs.replace(
        CHAIN, status=ChainStatus.DONE, step=TransferStep.DONE, completed_ms=T0 + 9, created_ms=T0 + 9
    )
    await write(
        store,
        nodes=[msgspec.structs.replace(NODE, created_ms=T0 + 9, state=NodeState.OFFLINE)],
        records=[msgspec.structs.replace(RECORD, created_ms=T0 + 9, epoch=8)],
        chains=[ended],
    )

    assert (await store.kaisers())[0].created_ms == NODE.created_ms
    assert (await store.ownerships())[0].created_ms == RECORD.created_ms
    assert (await store.command_chains())[0] == msgspec.structs.replace(ended, created_ms=T0)
    db = apsw.Connection(str(folder / "growy.db"), flags=apsw.SQLITE_OPEN_READONLY)
    for table in ("kaiser_registry", "esp_ownership", "command_chains"):
        assert db.execute(f"SELECT id FROM {table}").fetchall() == [(1,)]
    db.close()


async def test_others_find_the_tables_and_columns_that_they_know(store: Store, folder: Path) -> None:
    await write(
        store,
        nodes=[NODE],
        records=[RECORD],
        chains=[CHAIN],
        measurements=[Measurement(name="m", value=1.0, ts_ms=T0)],
    )
    db = apsw.Connection(str(folder / "growy.db"), flags=apsw.SQLITE_OPEN_READONLY)

    assert db.execute(
        "SELECT kaiser_id, god_id, kaiser_name, esp_devices, status, last_heartbeat, created_at FROM kaiser_registry"
    ).fetchall() == [("k1", "god_pi_central", "North house", '["ESP_EA5484"]', "online", T0, T0 - 5)]
    assert db.execute(
        "SELECT esp_id, current_owner, previous_owner, transfer_timestamp, transfer_reason, created_at"
        " FROM esp_ownership"
    ).fetchall() == [("ESP_EA5484", "k1", "god", T0, "manual", T0 - 9)]
    found = db.execute(
        "SELECT command_id, god_id, kaiser_id, esp_id, command_type, command_data, status, response_data,"
        " created_at, completed_at FROM command_chains"
    ).fetchall()
    assert found[0][:5] == ("t-1", "god_pi_central", "k1", "ESP_EA5484", "transfer_esp")
    assert json.loads(found[0][5]) == CHAIN.command_data
    assert found[0][6] == "running"
    assert db.execute("SELECT metric_name, metric_value, timestamp FROM performance_stats").fetchall() == [
        ("m", 1.0, T0)
    ]
    db.close()


async def test_a_kaisers_list_of_devices_follows_the_owners(store: Store, folder: Path) -> None:
    await write(store, nodes=[NODE], records=[RECORD])
    await write(store, records=[msgspec.structs.replace(RECORD, owner=GOD, epoch=8)])

    db = apsw.Connection(str(folder / "growy.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert db.execute("SELECT esp_devices FROM kaiser_registry").fetchall() == [("[]",)]
    db.close()


async def test_chains_under_way_are_never_dropped_and_ended_ones_are_bounded(store: Store) -> None:
    ended = [
        msgspec.structs.replace(CHAIN, command_id=f"e-{n}", status=ChainStatus.DONE, created_ms=n)
        for n in range(CHAINS_KEPT + 10)
    ]
    await write(store, chains=[CHAIN])
    await write(store, chains=ended)

    assert await store.command_chains(live_only=True) == [CHAIN]
    kept = await store.command_chains(limit=10_000)
    assert len(kept) == CHAINS_KEPT + 1
    assert {"e-9"}.isdisjoint(one.command_id for one in kept)
    assert [one.command_id for one in await store.command_chains(limit=2, offset=1)] == [
        f"e-{CHAINS_KEPT + 9}",
        f"e-{CHAINS_KEPT + 8}",
    ]


async def test_what_is_removed_is_gone(store: Store) -> None:
    await write(store, nodes=[NODE], documents={"ESP_EA5484": ("v", b"")})

    await write(store, removed_nodes=["k1"], documents={"ESP_EA5484": None})

    assert await store.kaisers() == []
    assert await store.esp_documents("ESP_EA5484") is None


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE kaiser_registry SET document = '{'", "Kaiser k1"),
        ("UPDATE kaiser_registry SET status = 'asleep'", "Kaiser k1"),
        ("UPDATE command_chains SET status = 'asleep'", "Command chain t-1"),
        ("UPDATE command_chains SET command_data = '[]'", "Command chain t-1"),
    ],
)
async def test_what_cannot_be_understood_is_an_error_and_never_nothing(
    opener, folder: Path, damage: str, named: str
) -> None:
    async with opener() as store:
        await write(store, nodes=[NODE], chains=[CHAIN])
    db = apsw.Connection(str(folder / "growy.db"))
    db.execute(damage)
    db.close()

    async with opener() as store:
        read = store.kaisers if named.startswith("Kaiser") else store.command_chains
        with pytest.raises(StoreError, match=named):
            await read()


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=10)


@given(
    st.builds(Node, kaiser_id=words, name=words, gives_to=st.lists(words, max_size=3).map(tuple)),
    st.builds(Ownership, esp_id=words, owner=words, epoch=st.integers(1, 2**62), lease_s=st.floats(0, 1e6)),
)
def test_any_node_and_any_owner_come_back(node: Node, record: Ownership) -> None:
    db = apsw.Connection(":memory:")
    migrate(db, REGISTRY_MIGRATIONS)
    with db:
        write_hierarchy(db, HierarchyBatch(nodes=[node], records=[record]))

    assert read_nodes(db) == [node]
    assert read_records(db) == [record]
    db.close()


async def test_what_a_core_wants_kept_is_one_write(store: Store) -> None:
    what = Persist(
        records=(RECORD,),
        nodes=(NODE,),
        chains=(CHAIN,),
        boot=5,
        settled=True,
        god_instance="g",
        dropped=("ESP_EA5485",),
    )
    await store.set_keyed(RESTORED, "yes")
    await store.write_registry(hierarchy=HierarchyBatch(documents={"ESP_EA5485": ("v2", b"x")}))

    await store.write_registry(hierarchy=batch_of(what, "god_pi_central", T0), keyed=facts_of(what))

    assert await store.ownerships() == [RECORD]
    assert await store.kaisers() == [NODE]
    assert await store.command_chains() == [CHAIN]
    assert await store.esp_documents("ESP_EA5485") is None
    assert [await store.keyed(key) for key in (BOOT, GOD_INSTANCE, RESTORED)] == ["5", "g", None]
