"""Readings as CSV and as JSON lines: columns -> bytes. Pure; made to run in a thread, piece by piece.

CSV is UTF-8 with a header, CRLF, ISO 8601 times in UTC and RFC 4180 quoting; no value is an empty cell. A text that a
spreadsheet would take for a formula - devices choose their own names - gets an apostrophe before it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs
import msgspec
import numpy as np

from growy.model.reading import Columns, FloatArray, IntArray, Quality, Series

CSV_COLUMNS = ("time", "esp_id", "gpio", "address", "sensor_type", "raw", "value", "unit", "quality")
BUCKET_COLUMNS = (
    *("time", "esp_id", "gpio", "address", "sensor_type"),
    *("value", "min_value", "max_value", "sample_count", "unit"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_WORDS = {int(quality): quality.word for quality in Quality}


def stamps(ts_ms: IntArray) -> list[str]:
    """ISO 8601 in UTC, without the Z."""
    made: list[str] = np.datetime_as_string(ts_ms.astype("datetime64[ms]"), unit="ms").tolist()
    return made


def csv_cell(text: str) -> str:
    """A text as one cell: no formula, quoted where it must be."""
    safe = f"'{text}" if text.startswith(_FORMULA) else text
    return '"' + safe.replace('"', '""') + '"' if any(one in safe for one in ',"\r\n') else safe


def csv_line(cells: Iterable[object]) -> str:
    """A line of a small table; numbers stay numbers, None is empty."""
    line = io.StringIO()
    csv.writer(line).writerow(
        f"'{one}" if isinstance(one, str) and one.startswith(_FORMULA) else one for one in cells
    )
    return line.getvalue()


def _numbers(column: FloatArray) -> list[str]:
    return [repr(one) if math.isfinite(one) else "" for one in column.tolist()]


@attrs.frozen
class CsvRows:
    """Makes CSV lines of columns."""

    before: Mapping[int, str]
    """By series: the cells between the time and the raw value."""
    after: Mapping[int, str]
    """By series: the unit."""

    @classmethod
    def of(cls, series: Iterable[Series]) -> CsvRows:
        known = tuple(series)
        return cls(
            {
                one.id: f",{csv_cell(one.key.esp_id)},{one.gpio},{csv_cell(one.key.address)},"
                f"{csv_cell(one.key.value_type)},"
                for one in known
            },
            {one.id: f",{csv_cell(one.unit)}," for one in known},
        )

    def __call__(self, columns: Columns) -> bytes:
        before, after = self.before, self.after
        lines = [
            f"{stamp}Z{before[series]}{raw},{value}{after[series]}{_WORDS[quality]}\r\n"
            for stamp, series, raw, value, quality in zip(
                stamps(columns.ts_ms),
                columns.series.tolist(),
                _numbers(columns.raw),
                _numbers(columns.value),
                columns.quality.tolist(),
                strict=True,
            )
        ]
        return "".join(lines).encode()


@attrs.frozen
class JsonLines:
    """Makes JSON lines of columns, each as the JSON answer has it in `readings`."""

    record: Callable[[Series], Mapping[str, object]]
    """What all readings of a series have in common."""
    series: Mapping[int, Series]

    @classmethod
    def of(cls, series: Iterable[Series], record: Callable[[Series], Mapping[str, object]]) -> JsonLines:
        return cls(record, {one.id: one for one in series})

    def __call__(self, columns: Columns) -> bytes:
        fixed = {id: dict(self.record(self.series[id])) for id in np.unique(columns.series).tolist()}
        return json_lines(
            {
                "timestamp": f"{stamp}Z",
                "raw_value": raw,
                "processed_value": value,  # NaN becomes null
                "quality": _WORDS[quality],
                **fixed[series],
                "min_value": None,
                "max_value": None,
                "sample_count": 1,
            }
            for stamp, series, raw, value, quality in zip(
                stamps(columns.ts_ms),
                columns.series.tolist(),
                columns.raw.tolist(),
                columns.value.tolist(),
                columns.quality.tolist(),
                strict=True,
            )
        )


_encoder = msgspec.json.Encoder()


def json_lines(records: Iterable[object]) -> bytes:
    made: bytes = _encoder.encode_lines(records)
    return made


def csv_table(records: Sequence[Mapping[str, object]], buckets: bool) -> bytes:
    """The `readings` of a JSON answer as CSV, with the header."""
    names = {"time": "timestamp", "raw": "raw_value", "value": "processed_value"}
    columns = BUCKET_COLUMNS if buckets else CSV_COLUMNS
    lines = [csv_line(columns)]
    lines += [csv_line(_finite(record[names.get(name, name)]) for name in columns) for record in records]
    return "".join(lines).encode()


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
