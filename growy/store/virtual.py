"""`sensor_data`: the readings as the table that SQL users know, over chunks and journal. Read only.

    SELECT timestamp, processed_value FROM sensor_data WHERE esp_id = 'ESP_00D1' AND sensor_type = 'ds18b20'
     AND timestamp >= 1767225600000

Conditions on esp_id, gpio, sensor_type, address and timestamp are used to find the rows; without them everything is
unpacked, series by series. Must never run on a connection that can write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apsw
import numpy as np

from growy.model.reading import NO_SEQ, Columns, Quality, Series, TimeSource
from growy.store.blob import decode
from growy.store.chunks import blob_of, summaries
from growy.store.unsealed import Unsealed

COLUMNS = (
    "esp_id",
    "gpio",
    "sensor_type",
    "raw_data",
    "processed_value",
    "timestamp",
    "quality",
    "address",
    "bus",
    "unit",
    "rx",
    "seq",
    "time_source",
    "conversion",
)
_DECLARATION = (
    "CREATE TABLE sensor_data (esp_id TEXT, gpio INTEGER, sensor_type TEXT, raw_data REAL, processed_value REAL,"
    " timestamp INTEGER, quality TEXT, address TEXT, bus TEXT, unit TEXT, rx INTEGER, seq INTEGER,"
    " time_source TEXT, conversion INTEGER)"
)
_EQUAL = apsw.SQLITE_INDEX_CONSTRAINT_EQ
_TIMES = {
    apsw.SQLITE_INDEX_CONSTRAINT_EQ: "=",
    apsw.SQLITE_INDEX_CONSTRAINT_GE: ">=",
    apsw.SQLITE_INDEX_CONSTRAINT_GT: ">",
    apsw.SQLITE_INDEX_CONSTRAINT_LE: "<=",
    apsw.SQLITE_INDEX_CONSTRAINT_LT: "<",
}
_NAMES = frozenset({"esp_id", "gpio", "sensor_type", "address"})
_EVER = (-(1 << 63), (1 << 63) - 1)

Row = tuple[Any, ...]


class SensorData:
    """Module and table in one (there is one such table per connection).

    Args:
        db: the read-only connection, in a transaction.
        look: the unsealed commits that belong to it.
        series: all series.
        check: called for every block of rows; raises when the query's time is up.
    """

    def __init__(
        self, db: apsw.Connection, look: Unsealed, series: Sequence[Series], check: Callable[[], None]
    ) -> None:
        self._db = db
        self._look = look
        self._series = series
        self._check = check

    def Create(self, *_: object) -> tuple[str, SensorData]:  # noqa: N802 - apsw's names
        return _DECLARATION, self

    Connect = Create

    def BestIndex(self, constraints: Sequence[tuple[int, int]], _order: object) -> Any:  # noqa: N802
        """Take every condition that narrows series or time; SQLite checks each row again."""
        used: list[Any] = []
        plan: list[str] = []
        cost = 1e9
        for column, operator in constraints:
            name = COLUMNS[column] if 0 <= column < len(COLUMNS) else ""
            if name in _NAMES and operator == _EQUAL:
                cost /= 30.0
                plan.append(f"{name} =")
            elif name == "timestamp" and operator in _TIMES:
                cost /= 10.0
                plan.append(f"timestamp {_TIMES[operator]}")
            else:
                used.append(None)
                continue
            used.append((len(plan) - 1, False))
        return used, 0, ",".join(plan), False, cost

    def Open(self) -> _Cursor:  # noqa: N802
        return _Cursor(self)

    def Disconnect(self) -> None:  # noqa: N802
        """Nothing is held."""

    Destroy = Disconnect

    def rows(self, plan: str, arguments: Sequence[Any]) -> Iterator[Row]:
        """Rows that fit the plan's conditions, series by series, block by block."""
        wanted: dict[str, Any] = {}
        start, end = _EVER
        for term, argument in zip(plan.split(",") if plan else (), arguments, strict=True):
            name, operator = term.split(" ")
            if name != "timestamp":
                if name in wanted and wanted[name] != argument:
                    return
                wanted[name] = argument
            elif isinstance(argument, int | float):
                # Whole milliseconds that hold everything the condition allows; SQLite drops what is too much.
                if operator in ("=", ">=", ">"):
                    start = max(start, _whole(argument))
                if operator in ("=", "<=", "<"):
                    end = min(end, _whole(argument) + 2)
        for series in self._series:
            if start < end and _fits(series, wanted):
                yield from self._rows_of(series, start, end)

    def _rows_of(self, series: Series, start: int, end: int) -> Iterator[Row]:
        for summary in summaries(self._db, series.id, start, end):
            self._check()
            yield from _table_rows(series, decode(blob_of(self._db, summary.id), series.id), start, end)
        self._check()
        yield from _table_rows(series, self._look.of(series.id), start, end)


class _Cursor:
    def __init__(self, table: SensorData) -> None:
        self._table = table
        self._rows: Iterator[Row] = iter(())
        self._row: Row | None = None
        self._number = 0

    def Filter(self, _number: int, plan: str, arguments: Sequence[Any]) -> None:  # noqa: N802
        self._rows = self._table.rows(plan, arguments)
        self.Next()

    def Eof(self) -> bool:  # noqa: N802
        return self._row is None

    def Rowid(self) -> int:  # noqa: N802
        return self._number

    def Column(self, number: int) -> Any:  # noqa: N802
        if self._row is None or number < 0:
            return self._number
        return self._row[number]

    def Next(self) -> None:  # noqa: N802
        self._number += 1
        self._row = next(self._rows, None)

    def Close(self) -> None:  # noqa: N802
        self._rows = iter(())


def _whole(argument: float) -> int:
    # Bounded first: 9e999 is infinite, which is no int.
    return int(max(min(argument, _EVER[1] >> 1), _EVER[0] >> 1) // 1)


def _fits(series: Series, wanted: dict[str, Any]) -> bool:
    key = series.key
    own = {"esp_id": key.esp_id, "gpio": series.gpio, "sensor_type": key.value_type, "address": key.address}
    return all(own[name] == value for name, value in wanted.items())


def _table_rows(series: Series, columns: Columns, start: int, end: int) -> Iterator[Row]:
    columns = columns.take((columns.ts_ms >= start) & (columns.ts_ms < end))
    key = series.key
    words = {int(quality): quality.word for quality in Quality}
    sources = {int(source): source.name.lower() for source in TimeSource}
    values: list[float | None] = columns.value.tolist()
    for at in np.flatnonzero(np.isnan(columns.value)).tolist():
        values[at] = None
    return zip(
        [key.esp_id] * len(columns),
        [series.gpio] * len(columns),
        [key.value_type] * len(columns),
        columns.raw.tolist(),
        values,
        columns.ts_ms.tolist(),
        [words[quality] for quality in columns.quality.tolist()],
        [key.address] * len(columns),
        [str(key.bus)] * len(columns),
        [series.unit] * len(columns),
        columns.rx_ms.tolist(),
        [None if seq == NO_SEQ else seq for seq in columns.seq.tolist()],
        [sources[source] for source in columns.source.tolist()],
        columns.conversion.tolist(),
        strict=True,
    )
