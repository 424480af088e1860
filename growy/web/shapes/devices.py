"""Answers about devices, their pins, zones and subzones."""

from __future__ import annotations

from growy.fleet.device import DeviceStatus
from growy.fleet.zones import ZoneStatus
from growy.model.messages import Generation
from growy.model.setup import ActuatorKind, ItemState
from growy.web.shape import (
    ANY,
    FLAG,
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    TIME,
    counted,
    many,
    maybe,
    page,
    record,
    success,
    table,
    words,
)

ITEM = {
    "config_status": words(ItemState),
    "config_error": maybe(TEXT),
    "config_error_code": maybe(TEXT),
    "config_error_detail": maybe(TEXT),
    "config_answered_at": maybe(TIME),
}
"""How far a part of the setup has come on its device."""
DELIVERED_ITEM = {**ITEM, "config_cure": maybe(TEXT), "correlation_id": maybe(TEXT)}
TOLD = {"mqtt_sent": FLAG, "ack_received": FLAG, "warning": maybe(TEXT)}
"""How far a change has come on its device."""

SUBZONE = record(
    "Subzone",
    subzone_id=TEXT,
    subzone_name=maybe(TEXT),
    parent_zone_id=maybe(TEXT),
    assigned_gpios=many(INTEGER),
    safe_mode_active=FLAG,
    is_active=FLAG,
    sensor_count=INTEGER,
    actuator_count=INTEGER,
    metadata=OBJECT,
    **ITEM,
)
DECISION = {
    "approved_by": maybe(TEXT),
    "approved_at": maybe(TIME),
    "rejection_reason": maybe(TEXT),
    "rejected_by": maybe(TEXT),
    "rejected_at": maybe(TIME),
}
DEVICE = record(
    "Device",
    id=TEXT,
    device_id=TEXT,
    esp_id=TEXT,
    name=maybe(TEXT),
    zone_id=maybe(TEXT),
    reported_zone_id=maybe(TEXT),
    zone_name=maybe(TEXT),
    master_zone_id=maybe(TEXT),
    kaiser_id=TEXT,
    topic_kaiser_id=TEXT,
    is_zone_master=NULL,
    ip_address=maybe(TEXT),
    mac_address=maybe(TEXT),
    firmware_version=maybe(TEXT),
    firmware_generation=maybe(words(Generation)),
    hardware_type=TEXT,
    capabilities=maybe(OBJECT),
    status=words(DeviceStatus),
    online=FLAG,
    last_seen=maybe(TIME),
    metadata=OBJECT,
    uptime=maybe(INTEGER),
    heap_free=maybe(INTEGER),
    wifi_rssi=maybe(INTEGER),
    sensor_count=INTEGER,
    actuator_count=INTEGER,
    configured_sensors=INTEGER,
    configured_actuators=INTEGER,
    auto_heartbeat=NULL,
    heartbeat_interval_seconds=NULL,
    heartbeat_count=INTEGER,
    reset_reason=maybe(TEXT),
    boots=INTEGER,
    config_pending=FLAG,
    configured_before=FLAG,
    zone_context=NULL,
    zone=maybe(record("ItemState", **ITEM)),
    subzones=many(SUBZONE),
    **DECISION,
    deleted_at=maybe(TIME),
    deleted_by=maybe(TEXT),
    created_at=TIME,
    updated_at=TIME,
)
DEVICES = page(DEVICE)
ONE_DEVICE = success(**DEVICE.fields)
PENDING = counted(devices=many(DEVICE.plus("PendingDevice", discovered_at=TIME)))
DISCOVERY = success(
    message=TEXT,
    discovered_count=INTEGER,
    new_count=INTEGER,
    devices=many(
        record(
            device_id=TEXT,
            ip_address=maybe(TEXT),
            mac_address=maybe(TEXT),
            firmware_version=maybe(TEXT),
            hardware_type=TEXT,
            status=words(DeviceStatus),
            is_registered=FLAG,
        )
    ),
    scan_duration_ms=INTEGER,
)
ALERTS = success(device_id=TEXT, alert_config=OBJECT)
DECIDED = success(message=TEXT, device_id=TEXT, status=words(DeviceStatus), **DECISION)

# --- what a device is told ----------------------------------------------------------------------------------------

CONFIGURED = success(
    device_id=TEXT, warning=maybe(TEXT), config_sent=FLAG, config_acknowledged=FLAG
).maybe_with(log_level=TEXT, answer=OBJECT, items=table(words(ItemState)))
RESET = success(message=TEXT, device_id=TEXT, command=TEXT, command_sent=FLAG, answer=OBJECT)
TOKEN = success(message=TEXT, device_id=TEXT, token_type=words("esp", "broadcast"), generated=FLAG)
ANSWERED = success(device_id=TEXT, command=TEXT, answer=OBJECT)

# --- how it is ----------------------------------------------------------------------------------------------------

HEALTH = success(
    device_id=TEXT,
    status=words(DeviceStatus),
    online=FLAG,
    metrics=maybe(OBJECT),
    diagnostics=maybe(OBJECT),
    last_seen=maybe(TIME),
    uptime_formatted=maybe(TEXT),
    connection_losses=INTEGER,
    config=record(in_flight=FLAG, attempts=INTEGER, last_error=maybe(TEXT), config_pending=FLAG),
)
_FACTOR = record("HealthFactor", score=maybe(NUMBER), value=ANY, says=TEXT)
SCORE = success(
    device_id=TEXT,
    score=NUMBER,
    factors=record(
        presence=_FACTOR,
        answers=_FACTOR,
        heap=_FACTOR,
        rssi=_FACTOR,
        errors=_FACTOR,
        configuration=_FACTOR,
    ),
)
PINS = success(
    esp_id=TEXT,
    hardware_type=TEXT,
    available=many(INTEGER),
    available_analog=many(INTEGER),
    available_input_only=many(INTEGER),
    reserved=many(
        record(gpio=INTEGER, owner=TEXT, component=maybe(TEXT), name=maybe(TEXT), id=maybe(TEXT), source=TEXT)
    ),
    reserved_gpios=many(INTEGER),
    system=many(INTEGER),
    system_reasons=table(TEXT),
    i2c_bus=record(
        sda_pin=INTEGER,
        scl_pin=INTEGER,
        is_available=FLAG,
        devices=many(record(gpio=INTEGER, i2c_address=INTEGER, sensor_type=TEXT, name=maybe(TEXT), id=TEXT)),
    ),
    onewire_buses=many(
        record(
            gpio=INTEGER,
            is_available=FLAG,
            devices=many(record(rom_code=TEXT, sensor_type=TEXT, name=maybe(TEXT), id=TEXT)),
        )
    ),
    last_esp_report=maybe(TIME),
)

# --- zones --------------------------------------------------------------------------------------------------------

ZONE = record(
    "Zone",
    id=TEXT,
    zone_id=TEXT,
    name=TEXT,
    zone_name=TEXT,
    description=maybe(TEXT),
    master_zone_id=maybe(TEXT),
    status=words(ZoneStatus),
    registered=FLAG,
    device_count=INTEGER,
    sensor_count=INTEGER,
    actuator_count=INTEGER,
    created_at=maybe(TIME),
    updated_at=maybe(TIME),
)
ZONES = success(zones=many(ZONE), total=INTEGER)
ONE_ZONE = success(**ZONE.fields)
ZONE_WITH_DEVICES = ONE_ZONE.plus(devices=many(TEXT))
ZONE_GONE = success(message=TEXT, zone_id=TEXT)
ZONE_DEVICES = counted(**ZONE.fields, devices=many(DEVICE))
UNASSIGNED = counted(devices=many(DEVICE))
PLACED = success(
    message=TEXT,
    device_id=TEXT,
    zone_id=maybe(TEXT),
    zone_name=maybe(TEXT),
    master_zone_id=maybe(TEXT),
    **TOLD,
    **ITEM,
)
PLACE = success(
    device_id=TEXT,
    zone_id=maybe(TEXT),
    reported_zone_id=maybe(TEXT),
    zone_name=maybe(TEXT),
    master_zone_id=maybe(TEXT),
    kaiser_id=TEXT,
    **ITEM,
)
MONITOR = success(
    zone_id=TEXT,
    zone_name=TEXT,
    subzones=many(
        record(
            subzone_id=maybe(TEXT),
            subzone_name=maybe(TEXT),
            sensors=many(
                record(
                    "MonitoredSensor",
                    esp_id=TEXT,
                    gpio=INTEGER,
                    sensor_type=TEXT,
                    series_id=maybe(INTEGER),
                    name=maybe(TEXT),
                    raw_value=maybe(NUMBER),
                    value=maybe(NUMBER),
                    raw=maybe(NUMBER),
                    unit=maybe(TEXT),
                    quality=maybe(TEXT),
                    last_read=maybe(TIME),
                )
            ),
            actuators=many(
                record(
                    "MonitoredActuator",
                    esp_id=TEXT,
                    gpio=INTEGER,
                    actuator_type=TEXT,
                    hardware_type=words(ActuatorKind),
                    name=TEXT,
                    enabled=FLAG,
                    state=maybe(FLAG),
                    pwm_value=maybe(INTEGER),
                    emergency_stopped=FLAG,
                )
            ),
        )
    ),
    sensor_count=INTEGER,
    actuator_count=INTEGER,
    alarm_count=NULL,
)
SUBZONES = success(device_id=TEXT, zone_id=maybe(TEXT), subzones=many(SUBZONE), total_count=INTEGER)
ONE_SUBZONE = success(device_id=TEXT, **SUBZONE.fields)
SUBZONE_SET = success(message=TEXT, device_id=TEXT, **SUBZONE.fields, **TOLD, warnings=many(TEXT))
SUBZONE_GONE = success(message=TEXT, device_id=TEXT, subzone_id=TEXT, **TOLD)
SAFE_MODE = success(message=TEXT, device_id=TEXT, subzone_id=TEXT, safe_mode_active=FLAG, **TOLD)
