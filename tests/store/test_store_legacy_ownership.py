"""What the God/Kaiser tables would hold for devices of the old server."""

from __future__ import annotations

from pathlib import Path

import apsw
from hypothesis import given
from hypothesis import strategies as st
from rig.legacy import NOW_MS, T0, legacy_file, row

from growy.store.legacy import open_source, ownership_of_legacy
from growy.store.legacy.ownership import KaiserRow, OwnerRow, read_hierarchy

IDS = st.lists(st.from_regex(r"\AESP_[0-9A-F]{6}\Z"), max_size=9)
DEFAULT = KaiserRow("default_kaiser", "god_pi_central", "Default Kaiser", "[]", "online", None, NOW_MS)


@given(IDS)
def test_every_device_belongs_to_god_once(esp_ids):
    found = ownership_of_legacy([*esp_ids, *esp_ids], NOW_MS)

    assert found.kaisers == (DEFAULT,)
    assert found.owners == tuple(
        OwnerRow(esp_id, "god", None, NOW_MS, "migration_from_legacy", NOW_MS)
        for esp_id in sorted(set(esp_ids))
    )


@given(IDS)
def test_it_is_the_same_every_time(esp_ids):
    assert ownership_of_legacy(esp_ids, NOW_MS) == ownership_of_legacy(reversed(esp_ids), NOW_MS)


def test_what_the_old_database_says_itself_wins():
    found = ownership_of_legacy(
        ["ESP_00A001", "ESP_00A002"],
        NOW_MS,
        owners=[
            {
                "esp_id": "ESP_00A002",
                "current_owner": "kaiser_north",
                "previous_owner": "god",
                "transfer_timestamp": T0,
                "transfer_reason": "load",
                "created_at": "2025-01-01 00:00:00",
            }
        ],
    )

    assert [one.current_owner for one in found.owners] == ["god", "kaiser_north"]
    assert found.owners[1] == OwnerRow(
        "ESP_00A002", "kaiser_north", "god", T0 * 1000, "load", 1_735_689_600_000
    )


def test_rows_that_name_no_device_or_no_owner_say_nothing():
    owners = [
        {"esp_id": None, "current_owner": "kaiser_north"},
        {"esp_id": "esp-1", "current_owner": "kaiser_north"},
        {"esp_id": "ESP_00A001", "current_owner": None},
    ]

    found = ownership_of_legacy(["ESP_00A001"], NOW_MS, owners=owners)

    assert [(one.esp_id, one.current_owner) for one in found.owners] == [("ESP_00A001", "god")]


def test_kaisers_of_the_old_database_stay_beside_the_default_one():
    kaisers = [
        {"kaiser_id": "north", "status": None},
        {"kaiser_id": None},
        {"kaiser_id": "default_kaiser", "status": "offline"},
    ]

    found = ownership_of_legacy([], NOW_MS, kaisers=kaisers)

    assert [(one.kaiser_id, one.status) for one in found.kaisers] == [
        ("north", "offline"),
        ("default_kaiser", "offline"),
    ]


def test_it_is_read_from_the_file_as_far_as_it_has_the_tables(tmp_path: Path):
    path = legacy_file(tmp_path / "old.db", [row()])
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE esp_ownership (esp_id TEXT UNIQUE, current_owner TEXT)")
    db.execute("INSERT INTO esp_ownership VALUES ('ESP_00A009', 'kaiser_north')")
    db.close()

    with open_source(path, tmp_path) as source:
        found = read_hierarchy(source, ["ESP_00A001"], NOW_MS)

    assert [(one.esp_id, one.current_owner) for one in found.owners] == [
        ("ESP_00A001", "god"),
        ("ESP_00A009", "kaiser_north"),
    ]
    assert found.kaisers == (DEFAULT,)
