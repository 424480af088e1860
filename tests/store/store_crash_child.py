"""Commits, seals and checkpoints as fast as it can until it is killed; prints the number of commits after each.

Arguments: folder, number of the first commit, number of series, time of commit 0 (Unix ms).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import trio

from growy.config import StoreConfig
from growy.model.reading import Bus, Columns, SeriesKey
from growy.store import Store, open_store


async def commit(store: Store, number: int, series: int, start_ms: int) -> None:
    ids = [store.catalog.intern(SeriesKey("ESP", Bus.I2C, str(i), "t"), 4, "", 1) for i in range(series)]
    one = np.ones(series, np.int64)
    while True:
        ts = one * (start_ms + number * 1000)
        columns = Columns.of(ids, ts, ts + 1, one * number, one * number, one, one * number, one * 0, one * 0)
        await store.commit(columns)
        number += 1
        print(number, flush=True)  # said only after the commit: a promise to the test


async def main(folder: str, begin: str, series: str, start_ms: str) -> None:
    async with (
        open_store(StoreConfig(chunk_readings=60), Path(folder)) as store,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(commit, store, int(begin), int(series), int(start_ms))
        while True:
            await store.seal()
            await store.checkpoint()


trio.run(main, *sys.argv[1:])
