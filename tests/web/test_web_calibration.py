"""Calibrations over HTTP: made of points, in use from the next reading on, taken back, refused with the reason."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rig.desk import ESP, Desk, open_desk

ROM, OTHER_ROM = "28FF641E8D3C0CDA", "28AA112233445535"
SENSORS = f"/api/v1/sensors/{ESP}"
BUFFERS = [{"raw": 2522, "reference": 4.0}, {"raw": 1861, "reference": 7.0}]


@pytest.fixture
async def desk(tmp_path: Path, connect: Any) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, connect) as desk:
        await desk.fleet.register(ESP, by="test")
        yield desk


async def setup(desk: Desk, gpio: int, sensor_type: str, **more: Any) -> Any:
    return await desk.post(f"{SENSORS}/{gpio}", {"sensor_type": sensor_type, **more})


async def test_a_calibration_counts_from_the_very_next_reading_and_raw_stays(desk: Desk) -> None:
    made = await setup(desk, 4, "ds18b20", onewire_address=ROM)
    await desk.heard("ds18b20", 400, gpio=4, onewire_address=ROM, seq=1)
    said = await desk.post(f"{SENSORS}/4/calibrate", {"points": [{"raw": 400, "reference": 25.5}]})
    await desk.heard("ds18b20", 400, gpio=4, onewire_address=ROM, seq=2)
    await desk.delete(f"{SENSORS}/4/calibrate")
    await desk.heard("ds18b20", 400, gpio=4, onewire_address=ROM, seq=3)

    assert (said["saved"], said["config_id"], said["method"]) == (True, made["id"], "offset")
    rows = await desk.bench.stored("ds18b20")
    assert [(row.raw, row.value) for row in rows] == [(400, 25.0), (400, 25.5), (400, 25.0)]
    assert rows[0].conversion == rows[2].conversion != rows[1].conversion
    made_by = json.loads(desk.bench.store.conversions.get(rows[1].conversion).parameters)
    assert (made_by["calibration_offset"], made_by["calibration_method"]) == (0.5, "offset")


async def test_the_answer_shows_before_and_after(desk: Desk) -> None:
    await setup(desk, 34, "ph")
    await desk.heard("ph", 1861, gpio=34)
    said = await desk.post(
        f"{SENSORS}/34/calibrate", {"sensor_type": "ph_sensor", "calibration_points": BUFFERS}
    )

    assert (said["method"], said["measured_unit"], said["value_unit"]) == ("ph", "mV", "pH")
    assert [(one["raw"], one["reference"], one["role"]) for one in said["points"]] == [
        (2522, 4.0, "buffer_low"),
        (1861, 7.0, "buffer_neutral"),
    ]
    # the bottle says 4.0, and is pH 4.01 at 25 °C
    assert [one["after"] for one in said["points"]] == [4.01, 7.0]
    assert [one["before"] for one in said["points"]] == [4.0, 7.0]
    assert said["latest"] == {"raw": 1861, "before": 7.0, "after": 7.0}
    assert 95 < said["facts"]["acid_efficiency_percent"] < 105
    assert said["parameters"].keys() == {"neutral_mv", "acid_slope_mv", "alkaline_slope_mv"}
    kept = await desk.get(f"{SENSORS}/34")
    assert kept["calibration"] == said["calibration"]
    assert kept["calibration"]["method"] == "ph"


@pytest.mark.parametrize(
    ("sensor_type", "points", "method", "raw", "value"),
    [
        ("moisture", [{"raw": 3000, "reference": 0}, {"raw": 1000, "role": "wet"}], "moisture", 2000, 50.0),
        ("ec", [{"raw": 300, "reference": 1413}], "ec", 300, 1413.0),
        ("ec", [{"raw": 0, "role": "air"}, {"raw": 300, "reference": 1413}], "ec", 300, 1413.0),
    ],
)
async def test_each_kind_of_sensor_has_its_method(
    desk: Desk, sensor_type: str, points: list[dict[str, Any]], method: str, raw: float, value: float
) -> None:
    await setup(desk, 34, sensor_type)
    said = await desk.post(f"{SENSORS}/34/calibrate", {"points": points})
    await desk.heard(sensor_type, raw, gpio=34)

    assert (said["method"], said["latest"]) == (method, None)
    (reading,) = await desk.bench.stored(sensor_type)
    assert reading.value == pytest.approx(value, abs=0.5)


async def test_a_sensors_own_converter_is_what_its_points_are_read_by(desk: Desk) -> None:
    """The same voltage in counts of another converter gives the same calibration."""
    await setup(desk, 34, "ph", parameters={"adc": "ads1115_4096"})
    points = [
        {"raw": round(one["raw"] / 4095 * 3300 / 4096 * 32768), "reference": one["reference"]}
        for one in BUFFERS
    ]
    ads = await desk.post(f"{SENSORS}/34/calibrate", {"points": points})
    await desk.delete(f"{SENSORS}/34")
    await setup(desk, 34, "ph")
    esp32 = await desk.post(f"{SENSORS}/34/calibrate", {"points": BUFFERS})

    for name, number in esp32["parameters"].items():
        assert ads["parameters"][name] == pytest.approx(number, rel=1e-3), name


async def test_what_is_not_saved_changes_nothing(desk: Desk) -> None:
    await setup(desk, 34, "ph")
    said = await desk.post(f"{SENSORS}/34/calibrate", {"points": BUFFERS, "save_to_config": False})

    assert (said["success"], said["saved"]) == (True, False)
    assert (await desk.get(f"{SENSORS}/34"))["calibration"] is None


async def test_a_calibration_replaces_the_one_before_and_keeps_the_others(desk: Desk) -> None:
    await setup(desk, 68, "sht31", i2c_address=68)
    for sensor_type, reference in (("sht31_temp", 20.5), ("sht31_humidity", 52.0), ("sht31_temp", 21.0)):
        measured = 20.0 if sensor_type == "sht31_temp" else 50.0
        body = {"sensor_type": sensor_type, "points": [{"measured": measured, "reference": reference}]}
        await desk.post(f"{SENSORS}/68/calibrate", body)
    first = await desk.get(f"{SENSORS}/68?sensor_type=sht31_temp")
    second = await desk.get(f"{SENSORS}/68?sensor_type=sht31_humidity")

    assert first["calibration"]["parameters"]["calibration_offset"] == 1.0
    assert second["calibration"]["parameters"]["calibration_offset"] == 2.0
    await desk.delete(f"{SENSORS}/68/calibrate?sensor_type=sht31_temp")
    assert list(desk.setups()[0].calibrations) == ["sht31_humidity"]
    # one is left: no need to say which
    assert (await desk.delete(f"{SENSORS}/68/calibrate"))["calibration"] is None
    said = await desk.delete(f"{SENSORS}/68/calibrate", status=404)
    assert said["error"]["code"] == "CALIBRATION_NOT_FOUND"


async def test_a_chip_is_asked_which_of_its_values_is_meant(desk: Desk) -> None:
    await setup(desk, 68, "sht31", i2c_address=68)
    said = await desk.post(f"{SENSORS}/68/calibrate", {"points": [{"raw": 1, "reference": 20}]}, status=400)

    assert said["error"]["details"]["sensor_types"] == ["sht31_humidity", "sht31_temp"]


async def test_two_on_a_pin_are_told_apart_by_their_ids(desk: Desk) -> None:
    for rom in (ROM, OTHER_ROM):
        await setup(desk, 4, "ds18b20", onewire_address=rom)
    body = {"points": [{"raw": 400, "reference": 25.5}]}
    said = await desk.post(f"{SENSORS}/4/calibrate", body, status=409)
    chosen = said["error"]["details"]["ids"][0]
    await desk.post(f"{SENSORS}/{chosen}/calibrate", body)

    assert [bool(one.calibrations) for one in desk.setups()] == [one.id == chosen for one in desk.setups()]


async def test_the_sensor_may_be_named_in_the_body(desk: Desk) -> None:
    await setup(desk, 34, "ph")
    body = {
        "esp_id": ESP,
        "gpio": 34,
        "sensor_type": "ph",
        "method": "ph_2point",
        "calibration_points": BUFFERS,
    }
    assert (await desk.post("/api/v1/sensors/calibrate", body))["saved"] is True
    said = await desk.post("/api/v1/sensors/calibrate", {"points": BUFFERS}, status=400)
    assert "esp_id" in said["detail"]


@pytest.mark.parametrize(
    ("body", "code", "why"),
    [
        ({}, "VALIDATION_ERROR", "1 to 10 points"),
        ({"points": []}, "VALIDATION_ERROR", "1 to 10 points"),
        ({"points": BUFFERS * 6}, "VALIDATION_ERROR", "1 to 10 points"),
        ({"points": BUFFERS, "gpio": 35}, "VALIDATION_ERROR", "gpio 35"),
        ({"points": BUFFERS, "esp_id": "ESP_77EE66FF"}, "VALIDATION_ERROR", "ESP_77EE66FF"),
        ({"points": BUFFERS, "method": "spline"}, "CALIBRATION_REFUSED", "spline"),
        ({"points": [{"raw": 1861}]}, "CALIBRATION_REFUSED", "no reference"),
        ({"points": [{"reference": 7.0}]}, "CALIBRATION_REFUSED", "neither raw nor measured"),
        ({"points": [{"raw": 4095, "reference": 7.0}]}, "CALIBRATION_REFUSED", "end of the converter's scale"),
        ({"points": [{"raw": 3000, "reference": 7.0}]}, "CALIBRATION_REFUSED", "more than ±30 mV"),
        ({"points": [BUFFERS[0], {**BUFFERS[1], "raw": 2522}]}, "CALIBRATION_REFUSED", "same value"),
        ({"points": [{"raw": 1861, "reference": "seven"}]}, "VALIDATION_ERROR", "reference"),
    ],
)  # fmt: skip
async def test_what_is_implausible_is_refused_and_changes_nothing(
    desk: Desk, body: dict[str, Any], code: str, why: str
) -> None:
    await setup(desk, 34, "ph")
    said = await desk.post(f"{SENSORS}/34/calibrate", body, status=400)

    assert said["error"]["code"] == code
    assert why in said["detail"]
    assert not desk.setups()[0].calibrations


async def test_what_is_only_heard_can_be_tried_but_not_kept(desk: Desk) -> None:
    await desk.heard("ph", 1861, gpio=34)
    said = await desk.post(f"{SENSORS}/34/calibrate", {"points": BUFFERS}, status=404)
    assert "not set up" in said["detail"]
    said = await desk.post(f"{SENSORS}/34/calibrate", {"points": BUFFERS, "save_to_config": False})
    assert (said["saved"], said["config_id"], said["latest"]["raw"]) == (False, None, 1861)


async def test_a_changed_parameter_keeps_the_calibration(desk: Desk) -> None:
    await setup(desk, 34, "ph")
    await desk.post(f"{SENSORS}/34/calibrate", {"points": BUFFERS})
    said = await setup(desk, 34, "ph", parameters={"temperature_c": 22})

    assert list(said["calibrations"]) == ["ph"]


async def test_what_was_at_the_pin_before_is_not_asked_about(desk: Desk) -> None:
    await desk.heard("moisture", 2000, gpio=34)
    await desk.heard("ds18b20", 400, gpio=4, onewire_address=OTHER_ROM)
    await setup(desk, 34, "ph")
    await setup(desk, 4, "ds18b20", onewire_address=ROM)

    assert (await desk.get(f"{SENSORS}/34"))["sensor_type"] == "ph"
    assert (await desk.post(f"{SENSORS}/34/calibrate", {"points": BUFFERS}))["sensor_type"] == "ph"
    await desk.post(f"{SENSORS}/4/calibrate", {"points": [{"raw": 400, "reference": 25.5}]})
    assert [list(one.calibrations) for one in desk.setups()] == [["ph"], ["ds18b20"]]
