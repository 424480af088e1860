"""Versions: an old SQLite and a newer database are refused, an older database is migrated step by step."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from growy.model.errors import SchemaError, StoreError
from growy.store.schema import REGISTRY_MIGRATIONS, SERIES_MIGRATIONS, check_sqlite, migrate, open_writing


@pytest.mark.parametrize("version", ["3.51.2", "3.50.9", "3.7.17", "2.8.17"])
def test_a_sqlite_that_can_lose_commits_is_refused_with_the_cure(version: str) -> None:
    with pytest.raises(SchemaError, match=r"apsw >= 3\.51\.3"):
        check_sqlite(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "3.54.1", "4.0.0"])
def test_a_sound_sqlite_is_accepted(version: str) -> None:
    check_sqlite(version)


@pytest.mark.parametrize("name", ["series.db", "growy.db"])
async def test_a_database_of_a_newer_growyd_is_refused_and_left_alone(
    opener, folder: Path, name: str
) -> None:
    async with opener():
        pass
    db = apsw.Connection(str(folder / name))
    db.pragma("user_version", 99)
    db.close()
    before = (folder / name).read_bytes()
    with pytest.raises(SchemaError, match="schema version 99"):
        async with opener():
            pass
    assert (folder / name).read_bytes() == before


@pytest.mark.parametrize("migrations", [SERIES_MIGRATIONS, REGISTRY_MIGRATIONS])
def test_each_migration_leads_from_the_version_before(tmp_path: Path, migrations) -> None:
    db = apsw.Connection(str(tmp_path / "x.db"))
    for version in range(1, len(migrations) + 1):
        migrate(db, migrations[:version])
        assert db.pragma("user_version") == version
        migrate(db, migrations[:version])
    db.close()


def test_a_migration_that_fails_leaves_the_version_before(tmp_path: Path) -> None:
    def broken(db: apsw.Connection) -> None:
        db.execute("CREATE TABLE half (x)")
        raise RuntimeError("power cut")

    db = apsw.Connection(str(tmp_path / "x.db"))
    migrate(db, REGISTRY_MIGRATIONS)
    with pytest.raises(RuntimeError):
        migrate(db, (*REGISTRY_MIGRATIONS, broken))
    assert db.pragma("user_version") == len(REGISTRY_MIGRATIONS)
    assert not db.table_exists(None, "half")
    db.close()


def test_a_newer_version_is_found_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    open_writing(path, synchronous="full", migrations=REGISTRY_MIGRATIONS, vfs=None).close()
    with pytest.raises(SchemaError):
        open_writing(path, synchronous="full", migrations=(), vfs=None)


async def test_a_file_that_is_no_database_is_named(opener, folder: Path) -> None:
    folder.mkdir()
    (folder / "series.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="damaged"):
        async with opener():
            pass
