"""Counts of what became of the rows: by reason with examples, by series. Adds up, and goes to disk with the rows it
counts, so that a run that was killed is counted once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import attrs
import numpy as np

from growy.model.reading import ByteArray, IndexArray, IntArray
from growy.store.legacy.instants import Unit
from growy.store.legacy.judge import Judged, LegacyName, Remark, Why
from growy.store.legacy.merging import groups
from growy.store.legacy.source import COLUMNS, Row

EXAMPLES = 3
"""Rows named per reason."""
_SHOWN = 40
_TELLING: dict[Why, tuple[str, ...]] = {
    Why.BAD_ESP_ID: ("esp_id",),
    Why.BAD_GPIO: ("esp_id", "gpio"),
    Why.BAD_SENSOR_TYPE: ("esp_id", "gpio", "sensor_type"),
    Why.NOTHING_MEASURED: ("esp_id", "gpio", "sensor_type", "raw_data", "processed_value"),
    Why.BAD_RAW: ("esp_id", "gpio", "sensor_type", "raw_data"),
}
_OTHERS = ("esp_id", "gpio", "sensor_type", "timestamp")


@attrs.define(slots=True)
class SeriesTally:
    """Of one series of the old table."""

    taken: int = 0
    stored_already: int = 0
    refused: int = 0
    """For any other reason."""
    first_ms: int | None = None
    """Of those that are taken."""
    last_ms: int | None = None

    def join(self, other: SeriesTally) -> None:
        """Add another's counts to these."""
        self.taken += other.taken
        self.stored_already += other.stored_already
        self.refused += other.refused
        if other.first_ms is not None and other.last_ms is not None:
            self.first_ms = other.first_ms if self.first_ms is None else min(self.first_ms, other.first_ms)
            self.last_ms = other.last_ms if self.last_ms is None else max(self.last_ms, other.last_ms)


@attrs.define(slots=True)
class Tally:
    """Of any number of rows. `rows` is the sum of `why`."""

    rows: int = 0
    why: Counter[Why] = attrs.field(factory=Counter)
    examples: dict[Why, list[str]] = attrs.field(factory=dict)
    remarks: Counter[Remark] = attrs.field(factory=Counter)
    units: Counter[Unit] = attrs.field(factory=Counter)
    """How the times of all rows were written."""
    series: dict[LegacyName, SeriesTally] = attrs.field(factory=dict)

    @property
    def taken(self) -> int:
        return self.why[Why.TAKEN]

    def add_refused(self, rows: Sequence[Row], judged: Judged, names: Sequence[LegacyName]) -> None:
        """A page: everything about it but the rows that are taken so far."""
        self.rows += len(rows)
        for unit, count in enumerate(np.bincount(judged.unit).tolist()):
            if count:
                self.units[Unit(unit)] += count
        for reason in np.unique(judged.why).tolist():
            if reason == Why.TAKEN:
                continue
            at = np.flatnonzero(judged.why == reason)
            self.why[Why(reason)] += len(at)
            told = self.examples.setdefault(Why(reason), [])
            told += [_example(Why(reason), rows[i]) for i in at[: EXAMPLES - len(told)].tolist()]
        refused = judged.name[(judged.why != Why.TAKEN) & (judged.name >= 0)]
        for number, count in enumerate(np.bincount(refused).tolist() if len(refused) else ()):
            if count:
                self._of(names[number]).refused += count

    def add_judged(
        self,
        number: IndexArray,
        ts_ms: IntArray,
        why: ByteArray,
        remarks: ByteArray,
        rowid: IntArray,
        names: Sequence[LegacyName],
    ) -> None:
        """Rows that were good so far: taken, or there already. In any order."""
        order = np.argsort(number, kind="stable")
        number, ts_ms, why, rowid = number[order], ts_ms[order], why[order], rowid[order]
        of_taken = remarks[order][why == Why.TAKEN]
        for bit, remark in enumerate(Remark):
            self.remarks[remark] += int((of_taken >> bit & 1).sum())
        for one, start, end in groups(number):
            reasons, series = why[start:end], self._of(names[one])
            taken = ts_ms[start:end][reasons == Why.TAKEN]
            already = int((reasons == Why.STORED_ALREADY).sum())
            series.join(
                SeriesTally(
                    taken=len(taken),
                    stored_already=already,
                    refused=len(reasons) - len(taken) - already,
                    first_ms=int(taken.min()) if len(taken) else None,
                    last_ms=int(taken.max()) if len(taken) else None,
                )
            )
        for reason in np.unique(why).tolist():
            at = np.flatnonzero(why == reason)
            self.why[Why(reason)] += len(at)
            if reason != Why.TAKEN:
                told = self.examples.setdefault(Why(reason), [])
                more = at[: EXAMPLES - len(told)].tolist()
                told += [f"row {rowid[i]}: {names[number[i]]} at {ts_ms[i]} ms" for i in more]

    def _of(self, name: LegacyName) -> SeriesTally:
        found = self.series.get(name)
        if found is None:
            found = self.series[name] = SeriesTally()
        return found

    def to_json(self) -> str:
        return json.dumps(
            {
                "rows": self.rows,
                "why": {why.word: count for why, count in sorted(self.why.items())},
                "examples": {why.word: told for why, told in sorted(self.examples.items())},
                "remarks": {remark: count for remark, count in sorted(self.remarks.items()) if count},
                "units": {unit.word: count for unit, count in sorted(self.units.items())},
                "series": [
                    [n.esp_id, n.gpio, n.sensor_type, *attrs.astuple(one)] for n, one in self.series.items()
                ],
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Tally:
        given = json.loads(text)
        return cls(
            rows=given["rows"],
            why=Counter({Why[word.upper()]: count for word, count in given["why"].items()}),
            examples={Why[word.upper()]: told for word, told in given["examples"].items()},
            remarks=Counter({Remark(word): count for word, count in given["remarks"].items()}),
            units=Counter({Unit[word.upper()]: count for word, count in given["units"].items()}),
            series={LegacyName(*row[:3]): SeriesTally(*row[3:]) for row in given["series"]},
        )


def _example(why: Why, row: Row) -> str:
    cells = dict(zip(COLUMNS, row[1:], strict=True))
    told = ", ".join(f"{name} {cells[name]!r:.{_SHOWN}}" for name in _TELLING.get(why, _OTHERS))
    return f"row {row[0]}: {told}".encode("ascii", "backslashreplace").decode()
