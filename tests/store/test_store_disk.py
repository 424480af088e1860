"""A full or read-only disk: nothing is committed, it is said so, and the store goes on when there is room
again."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import apsw
import numpy as np
import pytest
import trio
from store_faults import FaultyDisk
from store_readings import T0, key, readings, same

from growy.config import StoreConfig
from growy.model.errors import StoreUnavailable
from growy.model.reading import Columns
from growy.store import DiskState, Store, open_store

FAULTS = [
    (apsw.FullError, DiskState.FULL, "is full"),
    (apsw.ReadOnlyError, DiskState.READ_ONLY, "cannot be written"),
    (apsw.IOError, DiskState.FAILED, "failed"),
]


async def values(store: Store, series_id: int) -> list[float]:
    found = (await store.query(series_id, 0, 1 << 50)).readings
    assert found is not None
    return found.value.tolist()


@pytest.mark.parametrize(("error", "state", "words"), FAULTS)
async def test_a_refused_commit_commits_nothing_and_can_be_repeated(
    opener, disk: FaultyDisk, error: type[apsw.Error], state: DiskState, words: str
) -> None:
    async with opener(vfs=disk.name) as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        await store.commit(readings(one, [T0], 1.0))
        two = store.catalog.intern(key(2), 4, "", T0)
        again = readings([one, two], [T0 + 1, T0 + 1], 2.0)
        disk.fault = lambda: error("injected")
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=words):
                await store.commit(again)
        facts = store.statistics()
        assert (facts.state, facts.failed_commits, facts.commits, facts.readings) == (state, 3, 1, 1)
        assert words in facts.last_error
        assert await values(store, one) == [1.0]
        disk.fault = None
        await store.commit(again)
        assert store.statistics().state is DiskState.OK
        assert await values(store, one) == [1.0, 2.0]
    async with opener() as store:
        assert await values(store, one) == [1.0, 2.0]
        assert await values(store, two) == [2.0]


async def test_a_disk_that_fails_at_any_write_of_a_commit_or_a_seal_leaves_each_reading_once(
    opener, disk: FaultyDisk
) -> None:
    """Given a fault at the first, second, third... write, each operation is done wholly or not at all."""
    async with opener(vfs=disk.name, chunk_readings=60) as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        sent: list[float] = []
        for nth in range(40):
            writes = iter(range(nth % 13))
            disk.fault = lambda left=writes: (
                None if next(left, None) is not None else apsw.FullError("injected")
            )
            at = T0 + nth * 60_000 + np.arange(20) * 1000
            try:
                await store.commit(readings(one, at, float(nth), raw=np.arange(20) * np.pi))
                sent += [float(nth)] * 20
                await store.seal()
            except StoreUnavailable:
                pass
            disk.fault = None
            assert await values(store, one) == sent
        assert disk.refused > 20
        await store.seal()
        assert await values(store, one) == sent
    async with opener() as store:
        assert await values(store, one) == sent


async def test_too_little_room_counts_as_full_before_sqlite_is_asked(opener) -> None:
    room = {"free": 100 * 2**20}
    async with opener(free=lambda _: room["free"], min_free_mb=20) as store:
        one = store.catalog.intern(key(1), 4, "", T0)
        room["free"] = 19 * 2**20
        with pytest.raises(StoreUnavailable, match=r"full \(19 MB free\)"):
            await store.commit(readings(one, [T0], 1.0))
        assert store.statistics().state is DiskState.FULL
        room["free"] = 21 * 2**20
        await store.commit(readings(one, [T0], 1.0))
        assert store.statistics().state is DiskState.OK


async def test_opening_on_a_full_disk_says_so(opener) -> None:
    with pytest.raises(StoreUnavailable, match="is full"):
        async with opener(free=lambda _: 1):
            pass


@pytest.mark.parametrize(("error", "_state", "words"), FAULTS)
async def test_opening_on_a_disk_that_refuses_says_so(
    opener, disk: FaultyDisk, error: type[apsw.Error], _state: DiskState, words: str
) -> None:
    disk.fault = lambda: error("injected")
    with pytest.raises(StoreUnavailable, match=words):
        async with opener(vfs=disk.name):
            pass
    disk.fault = None
    async with opener(vfs=disk.name) as store:
        await store.commit(Columns.empty())


@contextlib.contextmanager
def tmpfs(where: Path, options: str) -> Iterator[Path]:
    """A small file system of its own; the test is skipped where mounting is not permitted."""
    where.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mount is not permitted: {done.stderr.decode().strip()}")
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


async def test_a_disk_that_really_fills_up_and_gets_room_again(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "card", "size=1m") as card:
        ballast = card / "ballast"
        ballast.write_bytes(b"x" * 200_000)
        sent: list[Columns] = []
        async with open_store(StoreConfig(min_free_mb=0), card / "growy") as store:
            one = store.catalog.intern(key(1), 4, "", T0)
            random = np.random.default_rng(1)
            for i in range(1000):
                batch = readings(
                    one, T0 + i * 1000 + np.arange(500), random.random(500), raw=random.random(500)
                )
                try:
                    await store.commit(batch)
                except StoreUnavailable as error:
                    assert "is full" in str(error)  # noqa: PT017 - the loop must go on to here
                    break
                sent.append(batch)
            assert store.statistics().state is DiskState.FULL
            ballast.unlink()
            await store.commit(batch)
            sent.append(batch)
            assert store.statistics().state is DiskState.OK
            found = (await store.query(one, 0, 1 << 50)).readings
            assert found is not None
            assert same(found, Columns.concat(sent))
        async with open_store(StoreConfig(min_free_mb=0), card / "growy") as store:
            found = (await store.query(one, 0, 1 << 50)).readings
            assert found is not None
            assert same(found, Columns.concat(sent))


async def test_a_read_only_mount_is_named_at_open(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "card", "size=1m") as card:
        async with open_store(StoreConfig(min_free_mb=0), card / "growy"):
            pass
        await trio.run_process(["mount", "-o", "remount,ro", str(card)])
        with pytest.raises(StoreUnavailable, match=r"cannot be written .*owner and mount"):
            async with open_store(StoreConfig(min_free_mb=0), card / "growy"):
                pass
