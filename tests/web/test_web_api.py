"""The endpoints over a real store, fleet and pool: what a grower's client sees."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from growy.config import SensorsConfig
from growy.model.reading import NO_SEQ, Bus, Columns, Quality, SeriesKey
from growy.sensors.pool import open_pool
from growy.store import DeadLetter
from growy.web.limits import Limits
from growy.wire.decode import decode
from growy.wire.topics import parse_topic

T0 = 1_760_000_000_000
"""Some Thursday in October 2025."""
HEARTBEAT = {
    "esp_id": "ESP_12AB34CD",
    "ts": 1_760_000_000,
    "uptime": 360,
    "heap_free": 210_000,
    "wifi_rssi": -61,
    "sensor_count": 2,
    "actuator_count": 1,
    "zone_id": "tent",
}


@pytest.fixture
async def full(house: Any) -> Any:
    """A house with one SHT31 (two series on gpio 21) and one DS18B20, ten minutes of readings each."""
    catalog = house.store.catalog
    series = [
        catalog.intern(SeriesKey("ESP_12AB34CD", Bus.I2C, "68", "sht31_temp"), 21, "°C", T0),
        catalog.intern(SeriesKey("ESP_12AB34CD", Bus.I2C, "68", "sht31_humidity"), 21, "%RH", T0),
        catalog.intern(SeriesKey("ESP_77EE66FF", Bus.ONEWIRE, "28FF641E8D3C0C79", "ds18b20"), 4, "°C", T0),
    ]
    ids, times, values, qualities = [], [], [], []
    for second in range(0, 600, 10):
        for series_id in series:
            ids.append(series_id)
            times.append(T0 + second * 1000)
            failed = second == 590 and series_id == series[2]
            values.append(float("nan") if failed else 20.0 + second / 100)
            qualities.append(int(Quality.ERROR if failed else Quality.GOOD))
    n = len(ids)
    columns = Columns.of(ids, times, times, [1000.0] * n, values, qualities, [NO_SEQ] * n, [0] * n, [0] * n)
    house.store.tail.append(columns)
    await house.store.commit(
        columns, [DeadLetter(T0, "kaiser/god/esp/ESP_12AB34CD/x", b"\xff{", "bad_json", "no JSON")]
    )
    topic = parse_topic("kaiser/god/esp/ESP_12AB34CD/system/heartbeat")
    house.fleet.handle(topic, decode(topic, json.dumps(HEARTBEAT).encode()), T0)
    return house


@pytest.fixture
async def ask(full: Any, serve: Any, connect: Any) -> AsyncIterator[Any]:
    async with serve(full) as web, connect(web) as client:
        yield client.ask


async def get(ask: Any, path: str, status: int = 200) -> Any:
    reply = await ask("GET", path)
    assert reply.status == status, reply.body
    return reply.json()


async def test_the_root_says_where_to_begin(ask: Any) -> None:
    assert (await get(ask, "/"))["api"] == "/api/v1"


@pytest.mark.parametrize(
    ("trouble", "status", "http", "codes"),
    [
        ({}, "healthy", 200, []),
        ({"broker_connected": False}, "degraded", 200, ["broker_disconnected"]),
        ({"store_state": "full"}, "degraded", 200, ["store_full"]),
        ({"store_state": "readonly"}, "degraded", 200, ["store_readonly"]),
        ({"workers_alive": 0}, "degraded", 200, ["no_conversion_worker"]),
        ({"set_aside": ("ph",)}, "degraded", 200, ["library_set_aside"]),
        (
            {"broker_connected": False, "store_state": "full"},
            "unhealthy",
            503,
            ["broker_disconnected", "store_full"],
        ),
        ({"store_state": "broken"}, "unhealthy", 503, ["store_failed"]),
    ],
)
async def test_health_names_what_is_wrong(
    full: Any, ask: Any, trouble: dict[str, Any], status: str, http: int, codes: list[str]
) -> None:
    full.vitals = attrs.evolve(full.vitals, **trouble)
    said = await get(ask, "/api/v1/health/", http)
    assert said["status"] == status
    assert [cause["code"] for cause in said["causes"]] == codes
    short = await get(ask, "/health", http)
    assert (short["status"], short["mqtt_connected"]) == (status, trouble.get("broker_connected", True))
    ready = not {"broker_connected", "store_state", "workers_alive"} & trouble.keys()
    said = await get(ask, "/api/v1/health/ready", 200 if ready else 503)
    assert (said["ready"], said["degraded_reason_codes"]) == (ready, codes)
    assert (await get(ask, "/api/v1/health/live"))["alive"] is True


async def test_sensors_are_listed_with_their_newest_reading(ask: Any) -> None:
    said = await get(ask, "/api/v1/sensors/?page_size=2")
    assert said["pagination"] == {
        "page": 1,
        "page_size": 2,
        "total_items": 3,
        "total_pages": 2,
        "has_next": True,
        "has_prev": False,
    }
    first = said["data"][0]
    assert first["esp_device_id"] == "ESP_12AB34CD"
    assert (first["gpio"], first["sensor_type"], first["unit"]) == (21, "sht31_temp", "°C")
    assert (first["bus"], first["i2c_address"], first["onewire_address"]) == ("i2c", 68, None)
    assert (first["latest_value"], first["latest_quality"]) == (25.9, "good")
    assert first["latest_timestamp"] == "2025-10-09T09:03:10.000Z"
    assert first["zone_id"] == "tent"
    (last,) = (await get(ask, "/api/v1/sensors?page=2&page_size=2"))["data"]
    assert last["onewire_address"] == "28FF641E8D3C0C79"
    assert (last["latest_value"], last["latest_quality"]) == (None, "error")


async def test_ids_stay_the_same(ask: Any) -> None:
    ids = [one["id"] for one in (await get(ask, "/api/v1/sensors"))["data"]]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"[0-9a-f-]{36}", one) for one in ids)
    assert ids == [one["id"] for one in (await get(ask, "/api/v1/sensors"))["data"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("esp_id=ESP_77EE66FF", 1),
        ("sensor_type=SHT31_Temp", 1),
        ("esp_id=ESP_12AB34CD&gpio=21", 2),
        ("gpio=4", 1),
        ("esp_id=none", 0),
        ("page=7", 3),
        ("whatever=1&esp_id=", 3),
    ],
)
async def test_sensors_are_filtered(ask: Any, query: str, found: int) -> None:
    assert (await get(ask, f"/api/v1/sensors?{query}"))["pagination"]["total_items"] == found


@pytest.mark.parametrize(
    ("query", "fault"),
    [("page=0", "page"), ("page_size=101", "page_size"), ("page=x", "page"), ("gpio=1.5", "gpio")],
)
async def test_a_wrong_query_names_the_parameter(ask: Any, query: str, fault: str) -> None:
    said = await get(ask, f"/api/v1/sensors?{query}", 400)
    assert said["error"]["code"] == "VALIDATION_ERROR"
    assert said["error"]["details"]["faults"][0].startswith(f"{fault}: ")


async def test_one_pin_with_two_series_shows_both(ask: Any) -> None:
    said = await get(ask, "/api/v1/sensors/ESP_12AB34CD/21")
    assert said["sensor_type"] == "sht31_temp"
    assert [one["sensor_type"] for one in said["others"]] == ["sht31_humidity"]
    said = await get(ask, "/api/v1/sensors/ESP_12AB34CD/21?sensor_type=sht31_humidity")
    assert (said["sensor_type"], said["others"]) == ("sht31_humidity", [])


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/sensors/ESP_NONE/21", 404, "ESP_NOT_FOUND"),
        ("/api/v1/sensors/ESP_12AB34CD/5", 404, "SENSOR_NOT_FOUND"),
        ("/api/v1/sensors/ESP_12AB34CD/five", 400, "VALIDATION_ERROR"),
        ("/api/v1/sensors/ESP_12AB34CD/5/stats", 404, "SENSOR_NOT_FOUND"),
        ("/api/v1/esp/devices/ESP_NONE", 404, "ESP_NOT_FOUND"),
        ("/api/v1/sensors/data?esp_id=ESP_NONE", 404, "ESP_NOT_FOUND"),
    ],
)
async def test_what_is_not_there_is_said_to_be_missing(ask: Any, path: str, status: int, code: str) -> None:
    assert (await get(ask, path, status))["error"]["code"] == code


async def test_statistics_of_a_sensor(ask: Any) -> None:
    said = await get(ask, f"/api/v1/sensors/ESP_77EE66FF/4/stats?start_time={T0}&end_time={T0 + 600_000}")
    assert said["stats"]["min_value"] == 20.0
    assert said["stats"]["max_value"] == 25.8
    assert (said["stats"]["reading_count"], said["stats"]["value_count"]) == (60, 59)
    assert said["stats"]["quality_distribution"] == {"good": 59, "error": 1}
    assert said["time_range"] == {"start": "2025-10-09T08:53:20.000Z", "end": "2025-10-09T09:03:20.000Z"}


async def test_statistics_of_a_time_that_ends_before_it_begins_are_refused(ask: Any) -> None:
    said = await get(ask, "/api/v1/sensors/ESP_77EE66FF/4/stats?start_time=5&end_time=1", 400)
    assert "start_time" in said["error"]["message"]


async def test_statistics_of_a_time_without_readings_have_no_figures(ask: Any) -> None:
    said = await get(ask, "/api/v1/sensors/ESP_77EE66FF/4/stats")
    assert (said["stats"]["min_value"], said["stats"]["avg_value"], said["stats"]["reading_count"]) == (
        None,
        None,
        0,
    )


async def test_without_a_time_the_newest_readings_come_however_old(ask: Any) -> None:
    said = await get(ask, "/api/v1/sensors/data?esp_id=ESP_77EE66FF&gpio=4&limit=2")
    assert [one["timestamp"] for one in said["readings"]] == [
        "2025-10-09T09:03:00.000Z",
        "2025-10-09T09:03:10.000Z",
    ]
    assert [one["processed_value"] for one in said["readings"]] == [25.8, None]
    assert said["readings"][1]["quality"] == "error"
    assert said["readings"][1]["raw_value"] == 1000
    assert (said["count"], said["resolution"], said["sensor_type"], said["unit"]) == (
        2,
        "raw",
        "ds18b20",
        "°C",
    )
    (latest,) = (await get(ask, "/api/v1/sensors/data?esp_id=ESP_77EE66FF&limit=1"))["readings"]
    assert latest == said["readings"][1]


async def test_memory_and_disk_tell_the_same(ask: Any) -> None:
    from_memory = await get(ask, "/api/v1/sensors/data?esp_id=ESP_77EE66FF&limit=60")
    from_disk = await get(ask, f"/api/v1/sensors/data?esp_id=ESP_77EE66FF&start_time={T0}")
    assert from_memory["readings"] == from_disk["readings"]
    assert len(from_disk["readings"]) == 60


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("1760000100", "1760000200"),
        ("1760000100000", "1760000200000"),
        ("2025-10-09T08:55:00Z", "2025-10-09T08:56:40Z"),
        ("2025-10-09T08:55:00", "2025-10-09T08:56:40.000"),
        ("2025-10-09T10:55:00+02:00", "2025-10-09T10:56:40%2B02:00"),
    ],
)
async def test_times_are_understood_in_every_usual_form(ask: Any, start: str, end: str) -> None:
    said = await get(
        ask,
        f"/api/v1/sensors/data?esp_id=ESP_12AB34CD&sensor_type=sht31_temp&start_time={start}&end_time={end}",
    )
    assert said["count"] == 10
    assert said["readings"][0]["timestamp"] == "2025-10-09T08:55:00.000Z"
    assert said["time_range"] == {"start": "2025-10-09T08:55:00.000Z", "end": "2025-10-09T08:56:40.000Z"}


async def test_several_series_come_together_in_order_and_each_names_itself(ask: Any) -> None:
    said = await get(ask, f"/api/v1/sensors/data?esp_id=ESP_12AB34CD&start_time={T0}&limit=4")
    assert [one["sensor_type"] for one in said["readings"]] == ["sht31_temp", "sht31_humidity"] * 2
    assert [one["i2c_address"] for one in said["readings"]] == [68] * 4
    stamps = [one["timestamp"] for one in said["readings"]]
    assert stamps == sorted(stamps)
    assert said["truncated"] is True


async def test_quality_is_a_filter(ask: Any) -> None:
    said = await get(ask, "/api/v1/sensors/data?esp_id=ESP_77EE66FF&quality=error")
    assert [one["quality"] for one in said["readings"]] == ["error"]
    said = await get(ask, f"/api/v1/sensors/data?esp_id=ESP_77EE66FF&quality=error,good&start_time={T0}")
    assert said["count"] == 60


@pytest.mark.parametrize(("asked", "used", "points"), [("1m", "1m", 10), ("5m", "5m", 3), ("10M", "5m", 3)])
async def test_buckets_of_time_have_minimum_maximum_and_count(
    ask: Any, asked: str, used: str, points: int
) -> None:
    said = await get(
        ask,
        "/api/v1/sensors/data?esp_id=ESP_12AB34CD&sensor_type=sht31_temp"
        f"&start_time=2025-10-09T08:54:00Z&end_time=2025-10-09T09:04:00Z&resolution={asked}",
    )
    assert (said["resolution"], said["count"]) == (used, points)
    assert said["bucket_seconds"] == int(used[0]) * 60
    assert sum(one["sample_count"] for one in said["readings"]) == 56
    one = said["readings"][0]
    assert one["min_value"] <= one["processed_value"] <= one["max_value"]


async def test_max_points_bounds_the_points(ask: Any) -> None:
    said = await get(
        ask,
        f"/api/v1/sensors/data?esp_id=ESP_12AB34CD&gpio=21&sensor_type=sht31_temp&start_time={T0}&max_points=12",
    )
    assert 5 <= said["count"] <= 12
    assert said["bucket_seconds"] == 60
    assert sum(one["sample_count"] for one in said["readings"]) == 60


@pytest.mark.parametrize(
    "query",
    [
        "resolution=often",
        "quality=lovely",
        "start_time=yesterday",
        "end_time=1e99",
        "start_time=-99999999999999",
        "end_time=9999-12-31T23:59:59-14:00",
        "start_time=2000000000&end_time=1000000000",
        "limit=0",
        "limit=20001",
        "max_points=0",
    ],
)
async def test_a_wrong_question_is_400(ask: Any, query: str) -> None:
    assert (await get(ask, f"/api/v1/sensors/data?{query}", 400))["error"]["code"] == "VALIDATION_ERROR"


async def test_devices_are_listed_with_what_they_said(ask: Any) -> None:
    (device,) = (await get(ask, "/api/v1/esp/devices"))["data"]
    assert device["device_id"] == "ESP_12AB34CD"
    assert (device["status"], device["online"], device["zone_id"]) == ("online", True, "tent")
    assert (device["heap_free"], device["wifi_rssi"], device["sensor_count"]) == (210_000, -61, 2)
    assert (device["name"], device["mac_address"], device["firmware_version"]) == (None, None, None)
    assert device["last_seen"] == "2025-10-09T08:53:20.000Z"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=online", 1),
        ("status=offline", 0),
        ("zone_id=tent", 1),
        ("zone_id=x", 0),
        ("kaiser_id=god", 1),
    ],
)
async def test_devices_are_filtered(ask: Any, query: str, found: int) -> None:
    assert (await get(ask, f"/api/v1/esp/devices?{query}"))["pagination"]["total_items"] == found


async def test_one_device_comes_with_what_it_has_sent(ask: Any) -> None:
    said = await get(ask, "/api/v1/esp/devices/ESP_12AB34CD")
    assert [one["sensor_type"] for one in said["series"]] == ["sht31_temp", "sht31_humidity"]
    assert (await get(ask, "/api/v1/esp/devices/pending"))["count"] == 0


async def test_dead_letters_are_shown_newest_first_and_readable(ask: Any) -> None:
    (letter,) = (await get(ask, "/api/v1/deadletters?limit=5"))["data"]
    assert letter["topic"] == "kaiser/god/esp/ESP_12AB34CD/x"
    assert (letter["reason"], letter["payload"]) == ("bad_json", "\\xff{")


async def test_statistics_show_every_part(ask: Any) -> None:
    parts = (await get(ask, "/api/v1/statistics"))["parts"]
    assert parts["store"]["readings"] == 180
    assert parts["fleet"]["devices"] == 1
    assert parts["live"]["clients"] == 0
    assert parts["web"]["connections"] == 1
    assert parts["sensors"]["workers_alive"] == 0


PROBE = """
from sensor_libs import Check, Converted, FloatArray, Library, Number, Output, Params

LIBRARY = Library(
    name="my_probe", version="1.0.0",
    outputs=(Output("my_probe", aliases=("myprobe",), unit="°C", quantity="temperature", low=-40, high=85),),
    parameters={"scale": Number(0.1, unit="°C", low=0, high=10)},
    checks=(Check(raw=215, value=21.5),),
)

def convert(raw: FloatArray, params: Params) -> Converted:
    return Converted(raw * params["scale"])
"""


@pytest.fixture
async def process(house: Any, serve: Any, connect: Any, tmp_path: Path) -> AsyncIterator[Any]:
    """POST to /sensors/process over a pool that works."""
    libraries = tmp_path / "sensor_libs"
    libraries.mkdir()
    (libraries / "my_probe.py").write_text(PROBE)
    async with open_pool(SensorsConfig(), libraries) as pool:
        house.pool = pool
        async with serve(house) as web, connect(web) as client:

            async def post(body: object, status: int = 200) -> Any:
                reply = await client.ask("POST", "/api/v1/sensors/process", body=body)
                assert reply.status == status, reply.body
                return reply.json()

            post.ask = client.ask  # type: ignore[attr-defined]
            yield post


async def test_processing(process: Any) -> None:
    # One working pool for all of it: starting one takes most of the time.
    said = await process({"esp_id": "ESP_1", "gpio": 4, "sensor_type": "my_probe", "raw_value": 215})
    assert (said["success"], said["processed_value"], said["unit"], said["quality"]) == (
        True,
        21.5,
        "°C",
        "good",
    )
    assert said["error"] is None
    assert said["processing_time_ms"] > 0
    assert said["metadata"]["library"] == "my_probe"

    said = await process({"raw_data": -39.5, "sensor_type": "MyProbe", "metadata": {"bench": 1}})
    assert (said["temperature"], said["value"], said["status"]) == (-3.95, -3.95, "success")
    assert said["metadata"]["request"] == {"bench": 1}

    said = await process({"sensor_type": "my_probe", "raw_value": 4294966896})
    assert (said["success"], said["processed_value"], said["temperature"]) == (False, None, None)
    assert (said["quality"], said["status"]) == ("error", "error")
    assert "-40" in said["error"]

    said = await process({"sensor_type": "my_probe", "raw_value": 100, "params": {"scale": 0.5}})
    assert said["processed_value"] == 50.0
    said = await process(
        {"sensor_type": "my_probe", "raw_value": 100, "calibration": {"calibration_offset": 1.5}}
    )
    assert said["processed_value"] == 11.5

    said = await process({"sensor_type": "my_prob", "raw_value": 1}, 404)
    assert said["error"]["code"] == "SENSOR_TYPE_UNKNOWN"
    assert "my_probe" in said["error"]["details"]["nearest"]

    for wrong, complaint in [
        ({"sensor_type": "my_probe"}, "raw_value"),
        ({"raw_value": 1}, "sensor_type"),
        ({"sensor_type": "my_probe", "raw_value": "hot"}, "raw_value"),
        ({"sensor_type": "my_probe", "raw_data": True}, "raw_data"),
        ({"sensor_type": "my_probe", "raw_data": 10**400}, "raw_data"),
        ({"sensor_type": "vpd", "raw_data": {"temperature": 10**400, "humidity": 50}}, "temperature"),
        ({"sensor_type": "my_probe", "raw_value": 1, "params": {"scael": 1}}, "scael"),
        ({"sensor_type": "my_probe", "raw_value": 1, "params": []}, "params"),
        ({"sensor_type": "my_probe", "raw_value": 1, "calibration": {"points": 3}}, "calibration"),
        ([], "object"),
    ]:
        assert complaint in (await process(wrong, 400))["error"]["message"], wrong

    (mine,) = (
        one
        for one in (await process.ask("GET", "/api/v1/sensors/libraries")).json()["libraries"]
        if one["name"] == "my_probe"
    )
    assert (mine["state"], mine["shipped"], mine["version"].split("+")[0]) == ("active", False, "1.0.0")
    reloaded = (await process.ask("POST", "/api/v1/sensors/libraries/reload")).json()
    assert "my_probe" in [one["name"] for one in reloaded["libraries"]]


async def test_a_disk_that_cannot_be_read_is_an_error_with_a_cause(
    full: Any, serve: Any, connect: Any
) -> None:
    async with serve(full, limits=Limits()) as web, connect(web) as client:
        full.store._readers.close()
        reply = await client.ask("GET", "/api/v1/deadletters")
        assert reply.status == 503
        assert reply.json()["error"]["code"] == "DATABASE_ERROR"
        assert reply.headers["retry-after"] == "5"


async def test_questions_do_not_hold_each_other_up(ask: Any, full: Any, serve: Any, connect: Any) -> None:
    async with serve(full) as web, trio.open_nursery() as nursery:

        async def one() -> None:
            async with connect(web) as client:
                for _ in range(5):
                    assert (await client.ask("GET", f"/api/v1/sensors/data?start_time={T0}")).json()[
                        "count"
                    ] == 180

        for _ in range(8):
            nursery.start_soon(one)
