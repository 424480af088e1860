"""What the store's tests share: a folder on disk and an open store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from store_faults import FaultyDisk

from growy.config import StoreConfig
from growy.store import Store, open_store

Opener = Callable[..., AbstractAsyncContextManager[Store]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "growy"


@pytest.fixture
def opener(folder: Path) -> Opener:
    """Open (again) the store of this test, with other settings if wanted."""

    def again(
        vfs: str | None = None,
        free: Callable[[Path], int] | None = None,
        history_rows: int = 20_000,
        **settings: object,
    ) -> object:
        extra = (
            {"history_rows": history_rows} if free is None else {"history_rows": history_rows, "free": free}
        )
        return open_store(StoreConfig(**settings), folder, vfs=vfs, **extra)

    return again


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[Store]:
    async with open_store(StoreConfig(), folder) as one:
        yield one


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    faulty = FaultyDisk()
    yield faulty
    faulty.unregister()
