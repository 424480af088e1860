"""The registry of zones: durable before it answers, and refuses what no device would take."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from growy.config import StoreConfig
from growy.fleet.zones import ZoneArchived, ZoneInUse, Zones, ZoneStatus, zone_of_row
from growy.model.errors import Duplicate, Invalid, StoreError, ZoneNotFound
from growy.store import Store, open_store

T0 = 1_760_000_000_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        yield store


@pytest.fixture
def zones(store: Store) -> Zones:
    return Zones(store, wall_ms=lambda: T0)


async def reloaded(store: Store) -> Zones:
    return Zones(store, [zone_of_row(row) for row in await store.zone_rows()])


async def test_a_zone_survives_a_restart_as_it_was(store: Store, zones: Zones) -> None:
    made = await zones.create("tent", by="ann", name="Zelt Süd", description="left", master_zone_id="hall")
    assert made.created_ms == T0
    assert (await reloaded(store)).all() == [made]


async def test_changes_survive_and_what_is_not_said_stays(store: Store, zones: Zones) -> None:
    await zones.create("tent", by="ann", name="Tent", description="left")
    changed = await zones.edit("tent", by="ann", name="Big tent")
    assert (changed.name, changed.description) == ("Big tent", "left")
    assert (await reloaded(store)).need("tent").name == "Big tent"


async def test_a_deleted_zone_is_gone_for_good(store: Store, zones: Zones) -> None:
    await zones.create("tent", by="ann")
    await zones.delete("tent", by="ann", devices=[])
    assert zones.get("tent") is None
    assert (await reloaded(store)).all() == []
    with pytest.raises(ZoneNotFound):
        await zones.delete("tent", by="ann", devices=[])


async def test_a_zone_with_devices_stays_and_the_error_names_them(zones: Zones) -> None:
    await zones.create("tent", by="ann")
    with pytest.raises(ZoneInUse, match="2 devices are in zone tent: ESP_00AA01, ESP_00AA02"):
        await zones.delete("tent", by="ann", devices=["ESP_00AA02", "ESP_00AA01"])
    assert zones.need("tent").zone_id == "tent"


async def test_an_archived_zone_takes_no_devices_until_it_is_used_again(zones: Zones) -> None:
    await zones.create("tent", by="ann")
    await zones.edit("tent", by="ann", status=ZoneStatus.ARCHIVED)
    with pytest.raises(ZoneArchived, match="reactivate"):
        zones.check_open("tent")
    await zones.edit("tent", by="ann", status=ZoneStatus.ACTIVE)
    zones.check_open("tent")
    zones.check_open("never_heard_of")


@pytest.mark.parametrize("zone_id", ["", "a" * 33, "tent 1", "tent/1", "zelt_süd", "null\0"])
async def test_an_id_that_no_device_would_take_is_refused(zones: Zones, zone_id: str) -> None:
    with pytest.raises(Invalid, match="zone_id"):
        await zones.create(zone_id, by="ann")
    with pytest.raises(Invalid, match="zone_id"):
        zones.check_open(zone_id)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "ü" * 33}, "66 bytes"),
        ({"name": 'the "best"'}, "cannot echo"),
        ({"master_zone_id": "a b"}, "master_zone_id"),
        ({"master_zone_id": "tent"}, "part of itself"),
        ({"description": "x" * 501}, "500 characters"),
    ],
)
async def test_what_a_device_could_not_hold_is_refused_and_changes_nothing(
    store: Store, zones: Zones, wrong: dict[str, str], said: str
) -> None:
    before = await zones.create("tent", by="ann", name="Tent")
    with pytest.raises(Invalid, match=said):
        await zones.edit("tent", by="ann", **wrong)  # type: ignore[arg-type]
    assert zones.need("tent") == before
    assert (await reloaded(store)).need("tent") == before


async def test_of_two_who_make_the_same_zone_at_once_one_is_refused(zones: Zones) -> None:
    refused: list[Duplicate] = []

    async def make() -> None:
        try:
            await zones.create("tent", by="ann")
        except Duplicate as error:
            refused.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(make)
        nursery.start_soon(make)
    assert len(refused) == 1


async def test_adopting_makes_a_zone_once_and_leaves_a_known_one_alone(zones: Zones) -> None:
    async def adopt() -> None:
        await zones.adopt("tent", by="api", name="Tent")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(adopt)
        nursery.start_soon(adopt)
    await zones.adopt("tent", by="api", name="Something else")
    assert [zone.name for zone in zones.all()] == ["Tent"]


async def test_every_change_is_in_the_audit_trail_with_its_author(store: Store, zones: Zones) -> None:
    await zones.create("tent", by="ann", name="Tent")
    await zones.edit("tent", by="bob", name="Big tent")
    await zones.edit("tent", by="bob", name="Big tent")  # nothing new
    await zones.delete("tent", by="cid", devices=[])
    entries = (await store.audit()).rows
    assert [(row.entry.event_type, row.entry.details["by"]) for row in entries] == [
        ("zone_deleted", "cid"),
        ("zone_changed", "bob"),
        ("zone_created", "ann"),
    ]


async def test_a_zone_that_cannot_be_written_is_not_there(tmp_path: Path) -> None:
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        zones = Zones(store)
    with pytest.raises(StoreError):
        await zones.create("tent", by="ann")
    assert zones.all() == []
