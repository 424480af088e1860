"""Readings of several series at once, as they were received: for who goes through a long time piece by piece.

Blocking; on a read-only connection in a worker thread."""

from __future__ import annotations

from collections.abc import Collection

import apsw
import numpy as np

from growy.model.reading import Columns
from growy.store.blob import decode
from growy.store.chunks import blob_of, summaries
from growy.store.unsealed import Unsealed


def received(
    db: apsw.Connection, look: Unsealed, series_ids: Collection[int], start_ms: int, end_ms: int
) -> Columns:
    """All readings of these series measured in [start_ms, end_ms), by time of receipt; those of one ms by series, then
    by time of measurement. `seq` and `source` of what is sealed are left out.

    Raises:
        StoreError: a chunk is damaged.
    """
    wanted = sorted(set(series_ids))
    rest = look.everything()
    parts = [_within(rest.take(np.isin(rest.series, wanted)), start_ms, end_ms)]
    for series_id in wanted:
        for summary in summaries(db, series_id, start_ms, end_ms):
            parts.append(
                _within(decode(blob_of(db, summary.id), series_id, numbered=False), start_ms, end_ms)
            )
    columns = Columns.concat(parts)
    return columns.take(np.lexsort((columns.ts_ms, columns.series, columns.rx_ms)))


def _within(columns: Columns, start_ms: int, end_ms: int) -> Columns:
    keep = (columns.ts_ms >= start_ms) & (columns.ts_ms < end_ms)
    return columns if bool(keep.all()) else columns.take(keep)
