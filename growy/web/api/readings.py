"""Stored readings over time: raw, or in buckets of time with minimum and maximum. The newest never touch the disk."""

from __future__ import annotations

import enum
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import attrs
import numpy as np
from attrs import validators as v

from growy.model.errors import Invalid
from growy.model.people import Scope
from growy.model.reading import QUALITY_BY_WORD, Columns, IntArray, Quality, Reading, Series
from growy.store.buckets import Buckets
from growy.web.answers import CSV, JSON, JSON_LINES, Response, answer, iso
from growy.web.api.series import find, identity, need_device
from growy.web.app import App
from growy.web.export import CSV_COLUMNS, CsvRows, JsonLines, csv_line, csv_table, json_lines, stamps
from growy.web.inputs import Moment
from growy.web.router import Answer, Call, Endpoint
from growy.web.shapes import faults
from growy.web.shapes import sensors as shapes

DAY_MS = 86_400_000
NEWEST = 100
"""Readings when neither a time nor a limit is given: what a person looks through."""
MOST_READINGS = 20_000
"""Readings in one answer: 5 MB of JSON. A longer time asks for a coarser resolution."""
PIECE = 4096
"""Readings that an export makes at once, about: a third of a megabyte of CSV."""
MOST_SERIES = 64
"""Series in one answer that has to look at the disk."""
_WIDTHS_S = {"raw": 0, "1m": 60, "5m": 300, "1h": 3600, "1d": 86_400}
_RESOLUTION = re.compile(r"(\d{1,6})([smhdw])", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Format(enum.StrEnum):
    """How readings are written."""

    JSON = "json"
    CSV = "csv"
    JSONL = "jsonl"


@attrs.frozen
class DataQuery:
    esp_id: str | None = None
    gpio: int | None = None
    sensor_type: str | None = None
    address: str | None = None
    series_id: int | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    quality: str | None = None
    """One word, or several with commas."""
    resolution: str = "raw"
    max_points: int | None = attrs.field(default=None, validator=v.optional([v.ge(1), v.le(MOST_READINGS)]))
    limit: int | None = attrs.field(default=None, validator=v.optional([v.ge(1), v.le(MOST_READINGS)]))
    format: Format | None = None


@attrs.frozen
class _Rows:
    """Readings of one series as they go into the answer, with the times they are sorted by."""

    ts_ms: IntArray
    records: list[dict[str, object]]
    truncated: bool = False
    width_ms: int = 0


def resolution_of(said: str) -> str:
    """The resolution that growyd keeps for what a client asks: the next finer one. Raises Invalid."""
    word = said.lower()
    if word in _WIDTHS_S:
        return word
    match = _RESOLUTION.fullmatch(word)
    if match is None:
        raise Invalid(f"resolution {said[:32]!r} does not exist", cure=f"Use one of {', '.join(_WIDTHS_S)}")
    wanted_s = int(match[1]) * _SECONDS[match[2]]
    return max((width_s, name) for name, width_s in _WIDTHS_S.items() if width_s <= wanted_s)[1]


def qualities_of(said: str | None) -> tuple[Quality, ...] | None:
    """Raises Invalid naming the word that is none."""
    if said is None:
        return None
    words = [word.strip().lower() for word in said.split(",") if word.strip()]
    for word in words:
        if word not in QUALITY_BY_WORD:
            raise Invalid(f"quality {word[:32]!r} does not exist", cure=f"Use {', '.join(QUALITY_BY_WORD)}")
    return tuple(QUALITY_BY_WORD[word] for word in words)


_MEDIA = {Format.CSV: CSV, Format.JSONL: JSON_LINES}


def format_of(said: Format | None, accept: bytes) -> Format:
    """What is asked for; by the Accept header where the query does not say."""
    if said is not None:
        return said
    wanted = accept.lower()
    return Format.CSV if b"text/csv" in wanted else Format.JSONL if JSON_LINES in wanted else Format.JSON


async def data(call: Call, query: DataQuery) -> Response:
    """Readings of every series that fits, oldest first. Without a time the newest, however old they are.

    As CSV or JSON lines there is no limit unless one is given: all readings of the time, or all there are, come as they
    are read. Of buckets more than 20,000 are refused unless a limit is given.
    """
    app = call.app
    wanted = format_of(query.format, call.headers.get(b"accept", b""))
    resolution = resolution_of(query.resolution)
    qualities = qualities_of(query.quality)
    timed = query.start_time is not None or query.end_time is not None
    limit = query.limit or (MOST_READINGS if timed or resolution != "raw" or query.max_points else NEWEST)
    start_ms, end_ms = _span(query, resolution)
    if query.esp_id is not None:
        need_device(app, query.esp_id)
    fitting = [
        series
        for series in _candidates(app, query)
        if query.address is None or series.key.address.upper() == query.address.upper()
    ]
    if wanted is not Format.JSON and resolution == "raw" and not query.max_points and not query.limit:
        return _exported(app, fitting, start_ms, end_ms, wanted, qualities)
    plain = not timed and resolution == "raw" and qualities is None and query.max_points is None
    parts: list[_Rows] = []
    for series in fitting:
        rows = _newest(app, series, limit) if plain else None
        if rows is None:
            if len(fitting) > MOST_SERIES:
                raise Invalid(
                    f"{len(fitting)} series fit",
                    cure=f"Name esp_id, gpio or sensor_type until at most {MOST_SERIES} do",
                )
            rows = await _stored(
                app, series, start_ms, end_ms, resolution, query.max_points, limit, qualities
            )
        parts.append(rows)
    readings, truncated = _merged(parts, limit)
    if wanted is not Format.JSON:
        if truncated and query.limit is None:
            raise Invalid(
                f"More than {limit} lines fit, and a file does not say that some are missing",
                cure="Name a shorter time, fewer sensors, a coarser resolution or fewer max_points, or give a limit",
            )
        buckets = any(part.width_ms for part in parts)
        table = csv_table(readings, buckets) if wanted is Format.CSV else json_lines(readings)
        return Response(200, table, _MEDIA[wanted], (_named(wanted),))
    only = fitting[0] if len(fitting) == 1 else None
    return answer(
        {
            "success": True,
            "esp_id": only.key.esp_id if only is not None else query.esp_id,
            "gpio": only.gpio if only is not None else query.gpio,
            "sensor_type": only.key.value_type if only is not None else query.sensor_type,
            "unit": only.unit if only is not None else None,
            "readings": readings,
            "count": len(readings),
            "series": len(fitting),
            "resolution": resolution,
            "bucket_seconds": max((part.width_ms for part in parts), default=0) / 1000 or None,
            "truncated": truncated and not plain,
            "time_range": {"start": iso(start_ms), "end": iso(end_ms)} if timed or not plain else None,
        }
    )


def _candidates(app: App, query: DataQuery) -> Sequence[Series]:
    if query.series_id is None:
        return find(app, query.esp_id, query.gpio, query.sensor_type)
    one = app.store.catalog.known(query.series_id)
    if one is None or query.esp_id not in (None, one.key.esp_id):
        return ()
    if query.gpio is None and query.sensor_type is None:
        return (one,)
    # Its type may be said by any of its names.
    return [
        series for series in find(app, one.key.esp_id, query.gpio, query.sensor_type) if series.id == one.id
    ]


def _exported(
    app: App,
    fitting: Sequence[Series],
    start_ms: int,
    end_ms: int,
    wanted: Format,
    qualities: Sequence[Quality] | None,
) -> Response:
    """Every reading of the time, by time, while the client takes them."""
    make = CsvRows.of(fitting) if wanted is Format.CSV else JsonLines.of(fitting, _fixed)

    async def pieces() -> AsyncGenerator[bytes, None]:
        if wanted is Format.CSV:
            yield csv_line(CSV_COLUMNS).encode()
        ids = [series.id for series in fitting]
        found = app.store.pieces(ids, start_ms, end_ms, make, readings=PIECE, quality=qualities)
        async with aclosing(found):
            async for piece in found:
                yield piece

    return Response(200, content_type=_MEDIA[wanted], headers=(_named(wanted),), stream=pieces())


def _named(wanted: Format) -> tuple[bytes, bytes]:
    return (b"Content-Disposition", b'attachment; filename="growyd-readings.%s"' % wanted.value.encode())


def _span(query: DataQuery, resolution: str) -> tuple[int, int]:
    """[start, end) in Unix ms. Buckets without a start begin 24 hours before the end. Raises Invalid."""
    now_ms = int(time.time() * 1000)
    # A device's clock may be a little ahead of ours: its newest reading is still "now".
    end_ms = query.end_time if query.end_time is not None else now_ms + DAY_MS
    if query.start_time is not None:
        start_ms: int = query.start_time
    else:
        start_ms = 0 if resolution == "raw" and query.max_points is None else min(now_ms, end_ms) - DAY_MS
    if start_ms >= end_ms:
        raise Invalid("start_time is not before end_time")
    return start_ms, end_ms


def _newest(app: App, series: Series, limit: int) -> _Rows | None:
    """From memory, where memory holds enough of them."""
    if limit == 1:
        latest = app.store.tail.latest(series.id)
        return None if latest is None else _one_row(series, latest)
    columns = app.store.tail.window(series.id, 0)
    if len(columns) < limit:
        return None
    newest = columns.take(np.argsort(columns.ts_ms, kind="stable")[-limit:])
    return _raw_rows(series, newest, truncated=False)


async def _stored(
    app: App,
    series: Series,
    start_ms: int,
    end_ms: int,
    resolution: str,
    max_points: int | None,
    limit: int,
    qualities: Sequence[Quality] | None,
) -> _Rows:
    found = await app.store.query(
        series.id,
        start_ms,
        end_ms,
        resolution=resolution,
        max_points=max_points,
        limit=limit,
        quality=qualities,
    )
    if found.readings is not None:
        return _raw_rows(series, found.readings, found.truncated)
    if found.buckets is not None:
        return _bucket_rows(series, found.buckets, found.width_ms)
    return _Rows(np.zeros(0, np.int64), [])


def _one_row(series: Series, latest: Reading) -> _Rows:
    """What is asked most often, without the detour through columns."""
    record: dict[str, object] = {
        "timestamp": iso(latest.ts_ms),
        "raw_value": latest.raw,
        "processed_value": latest.value,
        "quality": latest.quality.word,
        **_fixed(series),
        "min_value": None,
        "max_value": None,
        "sample_count": 1,
    }
    return _Rows(np.array([latest.ts_ms]), [record])


def _raw_rows(series: Series, columns: Columns, truncated: bool) -> _Rows:
    fixed = _fixed(series)
    records: list[dict[str, object]] = [
        {
            "timestamp": f"{stamp}Z",
            "raw_value": raw,
            "processed_value": value,  # NaN becomes null
            "quality": Quality(quality).word,
            **fixed,
            "min_value": None,
            "max_value": None,
            "sample_count": 1,
        }
        for stamp, raw, value, quality in zip(
            stamps(columns.ts_ms),
            columns.raw.tolist(),
            columns.value.tolist(),
            columns.quality.tolist(),
            strict=True,
        )
    ]
    return _Rows(columns.ts_ms, records, truncated)


def _bucket_rows(series: Series, found: Buckets, width_ms: int) -> _Rows:
    fixed = _fixed(series)
    records: list[dict[str, object]] = [
        {
            "timestamp": f"{stamp}Z",
            "raw_value": None,
            "processed_value": mean,
            "quality": None,
            **fixed,
            "min_value": low,
            "max_value": high,
            "sample_count": count,
        }
        for stamp, mean, low, high, count in zip(
            stamps(found.start_ms),
            found.mean.tolist(),
            found.low.tolist(),
            found.high.tolist(),
            found.count.tolist(),
            strict=True,
        )
    ]
    return _Rows(found.start_ms, records, width_ms=width_ms)


def _fixed(series: Series) -> dict[str, object]:
    return {
        "unit": series.unit,
        "sensor_type": series.key.value_type,
        "esp_id": series.key.esp_id,
        "gpio": series.gpio,
        **identity(series),
        "zone_id": None,
        "subzone_id": None,
    }


def _merged(parts: list[_Rows], limit: int) -> tuple[list[dict[str, object]], bool]:
    """The newest `limit` of all series by time, oldest first, and whether older ones were left out."""
    truncated = any(part.truncated for part in parts)
    if len(parts) == 1:
        records = parts[0].records
    else:
        every = [record for part in parts for record in part.records]
        times = np.concatenate([part.ts_ms for part in parts]) if parts else np.zeros(0, np.int64)
        records = [every[at] for at in np.argsort(times, kind="stable").tolist()]
    if len(records) > limit:
        return records[-limit:], True
    return records, truncated


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/sensors/data",
        scope=Scope.READINGS,
        summary="Readings over time",
        handler=data,
        query=DataQuery,
        answers=Answer(shapes.READINGS, media=(JSON, CSV, JSON_LINES)),
        errors=faults.DEVICE,
    ),
)
