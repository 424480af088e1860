"""Answers about sensors, readings, calibrations and conversions."""

from __future__ import annotations

from growy.model.reading import QUALITY_BY_WORD, Bus
from growy.model.setup import ItemState, OperatingMode
from growy.web.shape import (
    ANY,
    FLAG,
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    TIME,
    Record,
    counted,
    many,
    maybe,
    page,
    record,
    said,
    success,
    table,
    words,
)
from growy.web.shapes.control import NOTES
from growy.web.shapes.devices import DELIVERED_ITEM

QUALITY = words(*QUALITY_BY_WORD)
PLACE = {
    "bus": words(Bus),
    "address": TEXT,
    "i2c_address": maybe(INTEGER),
    "onewire_address": maybe(TEXT),
}
LATEST = {
    "latest_value": maybe(NUMBER),
    "latest_raw": maybe(NUMBER),
    "latest_quality": maybe(QUALITY),
    "latest_timestamp": maybe(TIME),
}
AGE = {"max_age_seconds": maybe(NUMBER)}
"""From when on a reading is stale."""
SPAN = record(start=TIME, end=TIME)
CALIBRATION = record(
    "Calibration",
    schema=INTEGER,
    method=TEXT,
    value_unit=TEXT,
    measured_unit=TEXT,
    parameters=table(NUMBER),
    nominal=table(NUMBER),
    facts=OBJECT,
    points=many(OBJECT),
)

SERIES = record(
    "Series",
    id=TEXT,
    config_id=maybe(TEXT),
    esp_id=TEXT,
    esp_device_id=TEXT,
    gpio=INTEGER,
    sensor_type=TEXT,
    name=maybe(TEXT),
    enabled=FLAG,
    unit=TEXT,
    interface_type=maybe(TEXT),
    series_id=maybe(INTEGER),
    **PLACE,
    zone_id=maybe(TEXT),
    subzone_id=maybe(TEXT),
    **LATEST,
    **AGE,
    created_at=maybe(TIME),
)
"""One value of one sensor, as it is heard."""
_NOTES = {
    **NOTES,
    "measurement_role": TEXT,
    "processing_mode": TEXT,
    "provides_values": many(TEXT),
    "threshold_min": NUMBER,
    "threshold_max": NUMBER,
    "warning_min": NUMBER,
    "warning_max": NUMBER,
    "timeout_seconds": INTEGER,
    "timeout_warning_enabled": FLAG,
    "schedule_config": OBJECT,
    "measurement_freshness_hours": INTEGER,
    "calibration_interval_days": INTEGER,
}
_SETUP = {
    "interval_ms": INTEGER,
    "operating_mode": words(OperatingMode),
    "parameters": OBJECT,
    "subzone_warning": maybe(TEXT),
    **DELIVERED_ITEM,
}
VALUE = SERIES.plus(
    "SensorValue",
    config_status=maybe(words(ItemState)),
    config_error=maybe(TEXT),
    config_error_detail=maybe(TEXT),
    calibration=maybe(CALIBRATION),
    updated_at=maybe(TIME),
).maybe_with(
    **{
        name: shape
        for name, shape in _SETUP.items()
        if name not in ("config_status", "config_error", "config_error_detail")
    },
    **_NOTES,
)
"""One value of one sensor, set up or only heard. What is not set up has no setup's fields."""
SENSOR = record(
    "Sensor",
    id=TEXT,
    config_id=TEXT,
    esp_id=TEXT,
    esp_device_id=TEXT,
    gpio=INTEGER,
    sensor_type=TEXT,
    name=TEXT,
    enabled=FLAG,
    unit=maybe(TEXT),
    interface_type=maybe(TEXT),
    **PLACE,
    zone_id=maybe(TEXT),
    subzone_id=maybe(TEXT),
    **_SETUP,
    updated_at=maybe(TIME),
    calibrations=table(CALIBRATION),
    values=many(VALUE),
    created_at=maybe(TIME),
).maybe_with(**LATEST, **_NOTES)
"""A sensor as it is set up."""


SENSORS = page(VALUE)
AT_PIN = said(VALUE).plus(others=many(VALUE))
ONE_VALUE = said(VALUE)
ONE_SENSOR = said(SENSOR)
SENSOR_SET_UP = ONE_SENSOR.plus(warnings=many(TEXT), request_id=TEXT)
SENSOR_REMOVED = ONE_SENSOR.plus(confirmed=FLAG, request_id=TEXT)
FIGURES = record(
    "SeriesFigures",
    esp_id=TEXT,
    gpio=INTEGER,
    sensor_type=TEXT,
    unit=TEXT,
    series_id=INTEGER,
    **PLACE,
    stats=record(
        min_value=maybe(NUMBER),
        max_value=maybe(NUMBER),
        avg_value=maybe(NUMBER),
        std_dev=maybe(NUMBER),
        reading_count=INTEGER,
        value_count=INTEGER,
        quality_distribution=table(INTEGER),
        first_timestamp=maybe(TIME),
        last_timestamp=maybe(TIME),
    ),
)
STATS = success(**FIGURES.fields, others=many(FIGURES), time_range=SPAN)
LIBRARIES = counted(
    libraries=many(
        record(
            "Library",
            name=TEXT,
            version=TEXT,
            path=TEXT,
            shipped=FLAG,
            types=many(TEXT),
            state=TEXT,
            error=TEXT,
            conversions=INTEGER,
            failures=INTEGER,
        )
    )
)

# --- readings -----------------------------------------------------------------------------------------------------

READING = record(
    "Reading",
    timestamp=TIME,
    raw_value=maybe(NUMBER),
    processed_value=maybe(NUMBER),
    quality=maybe(QUALITY),
    unit=TEXT,
    sensor_type=TEXT,
    esp_id=TEXT,
    gpio=INTEGER,
    series_id=INTEGER,
    **PLACE,
    zone_id=NULL,
    subzone_id=NULL,
    min_value=maybe(NUMBER),
    max_value=maybe(NUMBER),
    sample_count=INTEGER,
)
READINGS = success(
    esp_id=maybe(TEXT),
    gpio=maybe(INTEGER),
    sensor_type=maybe(TEXT),
    unit=maybe(TEXT),
    readings=many(READING),
    count=INTEGER,
    series=INTEGER,
    resolution=TEXT,
    bucket_seconds=maybe(NUMBER),
    truncated=FLAG,
    time_range=maybe(SPAN),
)
_METADATA = record(
    sensor_type=TEXT,
    quantity=TEXT,
    library=TEXT,
    library_version=TEXT,
    parameters=OBJECT,
    esp_id=maybe(TEXT),
    gpio=maybe(INTEGER),
    timestamp=ANY,
    request=ANY,
)
PROCESSED = Record(
    fields={
        "success": FLAG,
        "processed_value": maybe(NUMBER),
        "value": maybe(NUMBER),
        "unit": TEXT,
        "quality": QUALITY,
        "status": words("success", "error"),
        "processing_time_ms": NUMBER,
        "error": maybe(TEXT),
        "metadata": _METADATA,
    },
    free=True,  # the value stands once more under the name of its quantity
)

# --- what is asked of devices -------------------------------------------------------------------------------------

MEASURED = success(
    request_id=TEXT,
    esp_id=TEXT,
    gpio=INTEGER,
    sensor_type=TEXT,
    config_id=maybe(TEXT),
    warnings=many(TEXT),
    message=TEXT,
    raw=maybe(NUMBER),
    quality=maybe(QUALITY),
)
ONEWIRE = counted(esp_id=TEXT, devices=many(VALUE.plus("OneWireValue", rom_code=TEXT, configured=FLAG)))
SCANNED = success(
    esp_id=TEXT,
    pin=INTEGER,
    devices=many(
        record(
            rom_code=TEXT,
            device_type=TEXT,
            pin=INTEGER,
            already_configured=FLAG,
            sensor_name=maybe(TEXT),
            config_id=maybe(TEXT),
        )
    ),
    found_count=INTEGER,
    new_count=INTEGER,
    scan_duration_ms=INTEGER,
)
CALIBRATED = success(
    esp_id=TEXT,
    gpio=INTEGER,
    sensor_type=TEXT,
    config_id=maybe(TEXT),
    method=TEXT,
    value_unit=TEXT,
    measured_unit=TEXT,
    parameters=table(NUMBER),
    facts=OBJECT,
    points=many(
        record(
            raw=maybe(NUMBER),
            measured=NUMBER,
            reference=NUMBER,
            role=TEXT,
            temperature_c=NUMBER,
            before=maybe(NUMBER),
            after=maybe(NUMBER),
        )
    ),
    latest=maybe(record(raw=maybe(NUMBER), before=maybe(NUMBER), after=maybe(NUMBER))),
    calibration=CALIBRATION,
    saved=FLAG,
    message=TEXT,
)
TAKEN_BACK = ONE_VALUE.plus(message=TEXT)
