"""How far the old database has been read, and to which series its rows went: in series.db, changed only in the
transaction that takes the rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import apsw
import attrs

from growy.model.reading import Bus, SeriesKey
from growy.store.catalog import Catalog
from growy.store.legacy.judge import LegacyName
from growy.store.legacy.source import LegacySource
from growy.store.legacy.tally import Tally


@attrs.define(slots=True)
class Progress:
    """Of one old database, over all runs."""

    cursor: int
    """Rows up to this rowid have been judged, and stored or not."""
    tally: Tally
    began_ms: int


def load(db: apsw.Connection, source: LegacySource, now_ms: int) -> Progress:
    """Where to go on. From the first row where this database was never read, or is not the one that it was: what is
    stored already is found out then, row by row."""
    row = db.execute(
        "SELECT cursor, cursor_row, tally, began_ms FROM legacy_progress WHERE identity = ?",
        (source.identity,),
    ).fetchone()
    if row is not None:
        cursor, cursor_row, tally, began_ms = row
        if source.fingerprint(cursor) == cursor_row:
            return Progress(cursor, Tally.from_json(tally), began_ms)
    return Progress(source.first_row - 1, Tally(), now_ms)


def save(db: apsw.Connection, source: LegacySource, progress: Progress, now_ms: int) -> None:
    """Inside the caller's transaction."""
    db.execute(
        "INSERT OR REPLACE INTO legacy_progress VALUES (?, ?, ?, ?, ?, ?)",
        (
            source.identity,
            progress.cursor,
            source.fingerprint(progress.cursor),
            progress.tally.to_json(),
            progress.began_ms,
            now_ms,
        ),
    )


class Homes:
    """Which series the readings of an old name go to.

    The same for ever once chosen: else a second run would store them again elsewhere. Chosen is the series that a live
    reading without address would have; if there is none, the only one that reports this type under this gpio; else the
    former is made.
    """

    def __init__(self, db: apsw.Connection, catalog: Catalog, now_ms: int) -> None:
        self._catalog = catalog
        self._now_ms = now_ms
        self._made: set[int] = set()
        self._known: dict[LegacyName, int] = {}
        if db.table_exists(
            None, "legacy_series"
        ):  # a dry run looks at a store that this growyd has not opened yet
            rows = db.execute("SELECT esp_id, gpio, sensor_type, series FROM legacy_series")
            self._known = {
                LegacyName(*row[:3]): row[3] for row in cast("list[tuple[str, int, str, int]]", rows)
            }
        self._pending: dict[LegacyName, int] = {}
        self._live: dict[tuple[str, int, str], list[int]] = {}
        for series in catalog.series():
            self._live.setdefault((series.key.esp_id, series.gpio, series.key.value_type), []).append(
                series.id
            )
        self._exact = {series.key: series.id for series in catalog.series()}

    def of(self, name: LegacyName) -> int:
        """Id of the series."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._pending[name] = self._chosen(name)
        return known

    def counted(self, names: Iterable[LegacyName]) -> tuple[int, int]:
        """How many series these go to: made by this run, and there before."""
        homes = {self.of(name) for name in names}
        return len(homes & self._made), len(homes - self._made)

    def pending(self) -> list[tuple[str, int, str, int]]:
        return [(*attrs.astuple(name), series) for name, series in self._pending.items()]

    def written(self) -> None:
        self._pending.clear()

    def _chosen(self, name: LegacyName) -> int:
        key = SeriesKey(name.esp_id, Bus.GPIO, str(name.gpio), name.sensor_type)
        exact = self._exact.get(key)
        if exact is not None:
            return exact
        live = self._live.get((name.esp_id, name.gpio, name.sensor_type), [])
        if len(live) == 1:
            return live[0]
        made = self._catalog.intern(key, name.gpio, "", self._now_ms)
        self._made.add(made)
        return made


def write_homes(db: apsw.Connection, rows: Iterable[tuple[str, int, str, int]]) -> None:
    """Inside the caller's transaction."""
    db.executemany("INSERT OR IGNORE INTO legacy_series VALUES (?, ?, ?, ?)", rows)
