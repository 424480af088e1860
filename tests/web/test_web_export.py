"""Readings as CSV and JSON lines: all of a time, as it is read, safe for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import math
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
import trio

from growy.model.errors import StoreUnavailable
from growy.model.reading import NO_SEQ, Bus, Columns, Quality, SeriesKey
from growy.web.export import csv_cell, csv_line

T0 = 1_760_000_000_000


def columns_of(series: int, ts: Any, value: Any) -> Columns:
    n = len(ts)
    value = np.broadcast_to(np.asarray(value, float), (n,))
    quality = np.where(np.isnan(value), int(Quality.ERROR), int(Quality.GOOD))
    return Columns.of([series] * n, ts, ts, [1000.0] * n, value, quality, [NO_SEQ] * n, [0] * n, [0] * n)


@pytest.fixture
async def stored(house: Any) -> Any:
    """One honest sensor, and one whose names were chosen by somebody with a spreadsheet in mind."""
    catalog = house.store.catalog
    good = catalog.intern(SeriesKey("ESP_12AB34CD", Bus.I2C, "68", "sht31_temp"), 21, "°C", T0)
    evil = catalog.intern(SeriesKey("ESP_12AB34CD", Bus.GPIO, "4", '=cmd|"/c calc"!a1'), 4, "@SUM(1,2)", T0)
    ts = T0 + 1000 * np.arange(5)
    await house.store.commit(columns_of(good, ts, [20.5, -3.25, math.nan, math.inf, 0.0]))
    await house.store.commit(columns_of(evil, ts[:1] + 1, 7.0))
    return house


async def rows_of(reply: Any) -> list[dict[str, str]]:
    assert reply.status == 200
    return list(csv.DictReader(io.StringIO(reply.body.decode(), newline="")))


async def test_csv_has_all_readings_oldest_first(stored: Any, serve: Any, connect: Any) -> None:
    async with serve(stored) as web, connect(web) as client:
        reply = await client.ask("GET", "/api/v1/sensors/data?format=csv&sensor_type=sht31_temp")
        assert reply.headers["content-type"] == "text/csv; charset=utf-8"
        assert reply.headers["content-disposition"] == 'attachment; filename="growyd-readings.csv"'
        assert reply.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in reply.headers
        first, second, *_ = reply.body.split(b"\r\n")
        assert first == b"time,esp_id,gpio,address,sensor_type,raw,value,unit,quality"
        assert second.decode() == "2025-10-09T08:53:20.000Z,ESP_12AB34CD,21,68,sht31_temp,1000.0,20.5,°C,good"
        rows = await rows_of(reply)
        assert [row["value"] for row in rows] == ["20.5", "-3.25", "", "", "0.0"]
        assert [row["quality"] for row in rows][2] == "error"
        assert (await client.ask("GET", "/health")).status == 200  # the connection goes on


async def test_accept_asks_for_csv_and_json_lines_too(stored: Any, serve: Any, connect: Any) -> None:
    async with serve(stored) as web, connect(web) as client:
        reply = await client.ask("GET", "/api/v1/sensors/data?esp_id=ESP_12AB34CD", Accept="text/csv")
        assert len(await rows_of(reply)) == 6
        reply = await client.ask("GET", "/api/v1/sensors/data?gpio=21", Accept="application/x-ndjson")
        assert reply.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in reply.body.splitlines()]
        plain = (await client.ask("GET", "/api/v1/sensors/data?gpio=21&start_time=0")).json()
        assert lines == plain["readings"]
        reply = await client.ask("GET", "/api/v1/sensors/data?gpio=21", Accept="text/html, */*;q=0.8")
        assert reply.json()["count"] == 5


async def test_a_name_that_is_a_formula_is_defused(stored: Any, serve: Any, connect: Any) -> None:
    async with serve(stored) as web, connect(web) as client:
        (row,) = await rows_of(await client.ask("GET", "/api/v1/sensors/data?format=csv&gpio=4"))
        assert row["sensor_type"].startswith("'=")
        assert row["unit"] == "'@SUM(1,2)"
        table = await client.ask("GET", "/api/v1/sensors/data?format=csv&gpio=4&limit=1")
        assert await rows_of(table) == [row]


@pytest.mark.parametrize("text", ["a", "a,b", 'say "x"', "=1", "-1", "+1", "@x", "\tx", "a\r\nb", ""])
def test_a_cell_reads_back_as_it_was_or_with_an_apostrophe(text: str) -> None:
    for line in (f"{csv_cell(text)},x\r\n", csv_line([text, "x"])):
        ((cell, other),) = csv.reader(io.StringIO(line, newline=""))
        assert cell in (text, f"'{text}")
        assert other == "x"
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_numbers_are_no_formulas() -> None:
    assert csv_line([-5.5, None, 3]) == "-5.5,,3\r\n"


async def test_buckets_and_limits_come_as_csv_too(stored: Any, serve: Any, connect: Any) -> None:
    async with serve(stored) as web, connect(web) as client:
        span = "start_time=1760000000&end_time=1760003600"
        rows = await rows_of(
            await client.ask("GET", f"/api/v1/sensors/data?format=csv&gpio=21&resolution=1m&{span}")
        )
        assert list(rows[0]) == [
            *("time", "esp_id", "gpio", "address", "sensor_type"),
            *("value", "min_value", "max_value", "sample_count", "unit"),
        ]
        assert len(rows) == 1
        rows = await rows_of(await client.ask("GET", "/api/v1/sensors/data?format=csv&gpio=21&limit=2"))
        assert [row["value"] for row in rows] == ["", "0.0"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_a_file_of_buckets_is_whole_or_refused(house: Any, serve: Any, connect: Any, form: str) -> None:
    """Nothing in a file says that its beginning is missing."""
    series = house.store.catalog.intern(SeriesKey("ESP_12AB34CD", Bus.I2C, "68", "sht31_temp"), 21, "°C", T0)
    await house.store.commit(columns_of(series, T0 + 60_000 * np.arange(20_010), 20.0))
    path = f"/api/v1/sensors/data?format={form}&resolution=1m&start_time=0"
    async with serve(house) as web, connect(web) as client:
        reply = await client.ask("GET", path)
        assert (reply.status, reply.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
        for more in ("limit=100", f"end_time={T0 + 60_000 * 100}"):
            reply = await client.ask("GET", f"{path}&{more}")
            assert reply.status == 200
            assert len(reply.body.splitlines()) == 100 + (form == "csv")


async def test_errors_before_the_first_piece_are_errors(
    stored: Any, serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(stored) as web, connect(web) as client:
        reply = await client.ask("GET", "/api/v1/sensors/data?format=csv&esp_id=ESP_00000000")
        assert reply.status == 404
        assert reply.json()["error"]["code"] == "ESP_NOT_FOUND"
        assert (await client.ask("GET", "/api/v1/sensors/data?format=xml")).status == 400

        async def broken(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("the card is gone")

        monkeypatch.setattr(stored.store._readers, "series", broken)
        reply = await client.ask("GET", "/api/v1/sensors/data?format=jsonl")
        assert reply.status == 503
        assert reply.json()["error"]["code"] == "STORE_UNAVAILABLE"


async def test_head_of_an_export_reads_nothing_on(stored: Any, serve: Any, connect: Any) -> None:
    async with serve(stored) as web, connect(web) as client:
        reply = await client.ask("HEAD", "/api/v1/sensors/data?format=csv")
        assert (reply.status, reply.headers["content-type"]) == (200, "text/csv; charset=utf-8")
        assert (await client.ask("GET", "/health")).status == 200


async def test_http_1_0_gets_it_until_the_close(stored: Any, serve: Any, connect: Any) -> None:
    async with serve(stored) as web, connect(web) as client:
        await client.send(
            b"GET /api/v1/sensors/data?format=csv&gpio=21 HTTP/1.0\r\n" + client.key_line + b"\r\n"
        )
        data = b""
        async for part in client.stream:
            data += bytes(part)
        head, _, body = data.partition(b"\r\n\r\n")
        assert b"chunked" not in head
        assert body.count(b"\r\n") == 6


async def test_memory_stays_flat_whatever_is_exported(house: Any, serve: Any, connect: Any) -> None:
    """These are some 8 MB of CSV and 6 MB of columns, and twice that much as text on the way."""
    series = house.store.catalog.intern(SeriesKey("ESP_12AB34CD", Bus.I2C, "68", "sht31_temp"), 21, "°C", T0)
    count = 100_000
    for part in range(10):
        ts = T0 + 1000 * np.arange(part * count // 10, (part + 1) * count // 10)
        await house.store.commit(columns_of(series, ts, np.sin(ts)))
        await house.store.seal()
    async with serve(house) as web, connect(web) as client:
        await client.send(
            b"GET /api/v1/sensors/data?format=csv HTTP/1.1\r\nHost: x\r\n" + client.key_line + b"\r\n"
        )
        while b"\r\n\r\n" not in client.rest:
            await client.more()
        client.rest = client.rest.partition(b"\r\n\r\n")[2]
        lines = 0
        tracemalloc.start()
        try:
            async for piece in client.chunks():
                lines += piece.count(b"\r\n")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert lines == count + 1
        assert peak < 5_000_000, f"{peak / 1e6:.1f} MB"


async def test_a_slow_reader_holds_the_export_back(house: Any, serve: Any, connect: Any) -> None:
    """Back-pressure: what is not read is not made."""
    series = house.store.catalog.intern(SeriesKey("ESP_12AB34CD", Bus.I2C, "68", "sht31_temp"), 21, "°C", T0)
    ts = T0 + 1000 * np.arange(300_000)
    await house.store.commit(columns_of(series, ts, 1.0))
    async with serve(house) as web, connect(web) as client:
        await client.send(
            b"GET /api/v1/sensors/data?format=csv HTTP/1.1\r\nHost: x\r\n" + client.key_line + b"\r\n"
        )
        before, still = -1, time.monotonic() + 10
        while before != web.statistics().bytes_sent and time.monotonic() < still:
            before = web.statistics().bytes_sent
            await trio.sleep(0.3)
        assert before < 15_000_000  # of 24 MB: what the sockets' buffers hold
