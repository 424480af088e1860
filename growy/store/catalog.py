"""The series and the conversions that readings point at, in memory with their tables behind.

`intern` is called from the trio thread and never waits. What is new or changed is written by the next commit,
in the same transaction as the first readings that use it, and stays pending until a commit has succeeded: no
stored reading ever points at nothing."""

from __future__ import annotations

from collections.abc import Iterable

import apsw
import attrs

from growy.model.reading import Bus, Series, SeriesKey


@attrs.frozen(slots=True)
class Conversion:
    """What made a value: a library's version with its parameters (canonical JSON)."""

    id: int
    library: str
    version: str
    parameters: str


class Catalog:
    """All series. Trio thread only, but `series()` and `get` may be called from any thread."""

    def __init__(self, rows: Iterable[Series] = ()) -> None:
        self._by_id = {series.id: series for series in rows}
        self._by_key = {series.key: series.id for series in self._by_id.values()}
        self._of_esp: dict[str, list[int]] = {}
        for series in self._by_id.values():
            self._of_esp.setdefault(series.key.esp_id, []).append(series.id)
        self._next = max(self._by_id, default=0) + 1
        self._pending: dict[int, Series] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def intern(self, key: SeriesKey, gpio: int, unit: str, now_ms: int) -> int:
        """Id of a series, made now if it is new. A known one takes the new gpio label, and the unit unless it
        is ""."""
        series_id = self._by_key.get(key)
        if series_id is None:
            series_id, self._next = self._next, self._next + 1
            self._by_key[key] = series_id
            self._put(Series(id=series_id, key=key, gpio=gpio, unit=unit, created_ms=now_ms))
            return series_id
        known = self._by_id[series_id]
        if known.gpio != gpio or (unit and known.unit != unit):
            self._put(attrs.evolve(known, gpio=gpio, unit=unit or known.unit))
        return series_id

    def set_unit(self, series_id: int, unit: str) -> None:
        """Raises KeyError: no such series."""
        known = self._by_id[series_id]
        if known.unit != unit:
            self._put(attrs.evolve(known, unit=unit))

    def get(self, series_id: int) -> Series:
        """Raises KeyError: no such series."""
        return self._by_id[series_id]

    def known(self, series_id: int) -> Series | None:
        return self._by_id.get(series_id)

    def find(
        self, esp_id: str | None = None, gpio: int | None = None, value_type: str | None = None
    ) -> list[Series]:
        """The series that fit everything given, by id."""
        found = self.series() if esp_id is None else [self._by_id[id] for id in self._of_esp.get(esp_id, ())]
        if gpio is None and value_type is None:
            return found
        return [
            series
            for series in found
            if (gpio is None or series.gpio == gpio)
            and (value_type is None or series.key.value_type == value_type)
        ]

    def series(self) -> list[Series]:
        """All of them, by id."""
        return list(self._by_id.values())

    def _put(self, series: Series) -> None:
        if series.id not in self._by_id:
            self._of_esp.setdefault(series.key.esp_id, []).append(series.id)
        self._by_id[series.id] = series
        self._pending[series.id] = series

    def pending(self) -> list[Series]:
        """What the next commit has to write."""
        return list(self._pending.values())

    def written(self, rows: Iterable[Series]) -> None:
        """These are durable now; what has changed since stays pending."""
        for series in rows:
            if self._pending.get(series.id) is series:
                del self._pending[series.id]


class Conversions:
    """All conversions. Id 0 is none: the device's own value, or no value."""

    def __init__(self, rows: Iterable[Conversion] = ()) -> None:
        self._by_id = {row.id: row for row in rows}
        self._by_what = {(row.library, row.version, row.parameters): row.id for row in self._by_id.values()}
        self._next = max(self._by_id, default=0) + 1
        self._pending: dict[int, Conversion] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def intern(self, library: str, version: str, parameters: str) -> int:
        what = (library, version, parameters)
        conversion_id = self._by_what.get(what)
        if conversion_id is None:
            conversion_id, self._next = self._next, self._next + 1
            self._by_what[what] = conversion_id
            row = Conversion(conversion_id, library, version, parameters)
            self._by_id[conversion_id] = self._pending[conversion_id] = row
        return conversion_id

    def get(self, conversion_id: int) -> Conversion:
        """Raises KeyError: no such conversion."""
        return self._by_id[conversion_id]

    def pending(self) -> list[Conversion]:
        return list(self._pending.values())

    def written(self, rows: Iterable[Conversion]) -> None:
        for row in rows:
            self._pending.pop(row.id, None)


def load_catalog(db: apsw.Connection) -> Catalog:
    rows = db.execute(
        "SELECT id, esp_id, bus, address, value_type, gpio, unit, created_ms FROM series ORDER BY id"
    )
    return Catalog(
        Series(id=i, key=SeriesKey(esp, Bus(bus), address, kind), gpio=gpio, unit=unit, created_ms=created)
        for i, esp, bus, address, kind, gpio, unit, created in rows
    )


def load_conversions(db: apsw.Connection) -> Conversions:
    rows = db.execute("SELECT id, library, version, parameters FROM conversion ORDER BY id")
    return Conversions(Conversion(*row) for row in rows)


def write_names(db: apsw.Connection, series: Iterable[Series], conversions: Iterable[Conversion]) -> None:
    """New and changed ones, inside the caller's transaction."""
    for one in series:
        key = one.key
        db.execute(
            "INSERT INTO series (id, esp_id, bus, address, value_type, gpio, unit, created_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET gpio = excluded.gpio, unit = excluded.unit",
            (
                one.id,
                key.esp_id,
                str(key.bus),
                key.address,
                key.value_type,
                one.gpio,
                one.unit,
                one.created_ms,
            ),
        )
    for row in conversions:
        db.execute(
            "INSERT INTO conversion (id, library, version, parameters) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            (row.id, row.library, row.version, row.parameters),
        )
