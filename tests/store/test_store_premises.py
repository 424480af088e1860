"""What the doctor sees of the disk around the databases, and that its look leaves nothing behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import apsw
import attrs
import pytest
import trio

from growy.config import Config, NodeConfig, StoreConfig
from growy.doctor import FileKind, FolderFault
from growy.model.reading import Bus, Columns, Quality, Reading, SeriesKey
from growy.store import open_store
from growy.store.backup import copy_database
from growy.store.premises import check, look
from growy.store.schema import REGISTRY_FILE, SERIES_FILE, open_reading


def config(folder: Path) -> Config:
    return Config(node=NodeConfig(data_dir=folder))


async def filled(folder: Path, readings: int = 50_000) -> None:
    async with open_store(StoreConfig(min_free_mb=0), folder) as store:
        series = store.catalog.intern(SeriesKey("ESP_00A001", Bus.GPIO, "4", "ds18b20"), 4, "°C", 1)
        rows = [
            Reading(series, 1_767_225_600_000 + n * 977, 1, n * 1.37, n * 0.731, Quality.GOOD)
            for n in range(readings)
        ]
        await store.commit(Columns.from_readings(rows))
        await store.seal()


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_folder_that_no_daemon_has_open_is_looked_at_and_left_as_it_was(tmp_path: Path) -> None:
    await filled(tmp_path, 100)
    before = files_in(tmp_path)

    facts = look(config(tmp_path), None)

    assert files_in(tmp_path) == before
    assert [(one.file, one.verdict, one.complete) for one in facts.integrity] == [
        (REGISTRY_FILE, "ok", True),
        (SERIES_FILE, "ok", True),
    ]
    assert facts.wal_bytes == {REGISTRY_FILE: 0, SERIES_FILE: 0}
    assert facts.backup_ages_s == ()
    assert facts.written is not None
    assert facts.written.own_bytes is None, "the command's own writing says nothing of growyd's"
    assert facts.free_bytes is not None
    assert facts.disk_bytes is not None
    assert 0 < facts.free_bytes < facts.disk_bytes


async def test_a_store_in_use_is_looked_at_beside_its_commits(tmp_path: Path) -> None:
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        series = store.catalog.intern(SeriesKey("ESP_00A001", Bus.GPIO, "4", "ds18b20"), 4, "°C", 1)
        await store.commit(Columns.from_readings([Reading(series, 1, 1, 1.0, 1.0, Quality.GOOD)]))
        facts = await trio.to_thread.run_sync(look, config(tmp_path), None, 60.0)
        await store.commit(Columns.from_readings([Reading(series, 2, 2, 1.0, 1.0, Quality.GOOD)]))

    assert {one.verdict for one in facts.integrity} == {"ok"}
    assert facts.wal_bytes[SERIES_FILE] > 0
    assert facts.written is not None
    assert facts.written.own_s == 60.0


async def test_a_damaged_database_is_found(tmp_path: Path) -> None:
    await filled(tmp_path)
    path = tmp_path / SERIES_FILE
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 1024 * 1024)
        file.write(b"\xff" * 4096)

    found = check(path, served=False)

    assert found.verdict != "ok"


async def test_a_look_that_takes_too_long_says_that_it_is_not_complete(tmp_path: Path) -> None:
    await filled(tmp_path)

    found = check(tmp_path / SERIES_FILE, served=False, limit_s=0.0)

    assert (found.verdict, found.complete) == ("ok", False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_what_a_killed_daemon_left_is_not_opened_by_another_user(tmp_path: Path) -> None:
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        series = store.catalog.intern(SeriesKey("ESP_00A001", Bus.GPIO, "4", "ds18b20"), 4, "°C", 1)
        await store.commit(Columns.from_readings([Reading(series, 1, 1, 1.0, 1.0, Quality.GOOD)]))
        left = tmp_path / "left"
        left.mkdir()
        for name in (SERIES_FILE, f"{SERIES_FILE}-wal"):
            (left / name).write_bytes((tmp_path / name).read_bytes())
    os.chown(left / SERIES_FILE, 12345, 12345)

    found = check(left / SERIES_FILE, served=False)

    assert (found.verdict, found.complete) == ("ok", False)
    assert files_in(left) == {SERIES_FILE, f"{SERIES_FILE}-wal"}


async def test_files_are_told_with_who_may_reach_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    await filled(folder, 10)
    (folder / "sensor_libs").mkdir()
    library = folder / "sensor_libs" / "mine.py"
    library.write_text("")
    library.chmod(0o666)
    (folder / "growy.db").chmod(0o644)
    (folder / "series.db").chmod(0o640)
    settings = folder / "growyd.toml"
    settings.write_text("")
    settings.chmod(0o600)

    told = {Path(one.path).name: (one.kind, one.mode) for one in look(config(folder), settings).files}

    reached = all(path.stat().st_mode & 0o001 for path in folder.parents)
    assert told["series.db"] == (FileKind.DATA, 0o640)
    assert told["growyd.toml"] == (FileKind.SETTINGS, 0o600)
    assert told["mine.py"] == (FileKind.CODE, 0o666 if reached else 0o660)
    folder.chmod(0o750)
    told = {Path(one.path).name: one.mode for one in look(config(folder), settings).files}
    assert told["growy.db"] == 0o640, "who may not pass the folder cannot read what is in it"


async def test_backups_beside_the_databases_are_found_by_their_age(tmp_path: Path) -> None:
    await filled(tmp_path, 10)
    for name, days in (("backup-monday", 3), ("backups/2026-01-01", 40), ("before", 0)):
        target = tmp_path / name / REGISTRY_FILE
        source = open_reading(tmp_path / REGISTRY_FILE)
        copy_database(target, source)
        source.close()
        at = time.time() - days * 86_400
        os.utime(target, (at, at))

    ages = look(config(tmp_path), None).backup_ages_s

    assert ages is not None
    assert sorted(round(age / 86_400) for age in ages) == [3, 40]


def test_a_folder_that_is_not_there_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    facts = look(config(tmp_path / "nowhere"), None)

    assert facts.folder_fault is FolderFault.MISSING
    assert (facts.free_bytes, facts.integrity, facts.backup_ages_s) == (None, (), None)
    assert not (tmp_path / "nowhere").exists()


def test_the_version_is_that_of_the_sqlite_in_use(tmp_path: Path) -> None:
    assert look(config(tmp_path), None).sqlite == apsw.sqlite_lib_version()


def test_what_the_card_bears_is_a_setting(tmp_path: Path) -> None:
    told = attrs.evolve(config(tmp_path), store=StoreConfig(card_endurance_tb=2.5))
    assert look(told, None).endurance_bytes == 2_500_000_000_000
