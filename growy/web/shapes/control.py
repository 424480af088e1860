"""Answers about actuators, emergency stops, interlocks and couplings."""

from __future__ import annotations

from growy.control.people import Wish
from growy.control.stops.effects import ClearState
from growy.model.control import CommandState, InterlockKind, Rank, StopScope
from growy.model.setup import ActuatorKind
from growy.store import HistoryKind
from growy.web.shape import (
    FLAG,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    TIME,
    counted,
    many,
    maybe,
    page,
    record,
    said,
    success,
    words,
)
from growy.web.shapes.devices import DELIVERED_ITEM

_RANK = words(*(rank.name.lower() for rank in Rank))
_MODE = words("digital", "pwm")
PIN = record("ActuatorPin", esp_id=TEXT, gpio=INTEGER)

CLAIM = record(
    "Claim",
    holder=TEXT,
    rank=_RANK,
    priority=INTEGER,
    claimed_value=NUMBER,
    since=maybe(TIME),
    until=maybe(TIME),
    issued_by=TEXT,
)
WHY = record(
    "Why",
    text=TEXT,
    holder=TEXT,
    rank=_RANK,
    priority=maybe(INTEGER),
    claimed_value=maybe(NUMBER),
    since=maybe(TIME),
    until=maybe(TIME),
    issued_by=TEXT,
    code=maybe(TEXT),
    message=maybe(TEXT),
    cure=maybe(TEXT),
    again_at=maybe(TIME),
)
STATE = record(
    "ActuatorState",
    gpio=INTEGER,
    mode=_MODE,
    value=maybe(NUMBER),
    is_active=maybe(FLAG),
    wanted_value=NUMBER,
    output_value=NUMBER,
    last_command=maybe(TEXT),
    last_command_at=maybe(TIME),
    last_command_state=maybe(words(CommandState)),
    runtime_seconds=maybe(NUMBER),
    run_today_seconds=maybe(NUMBER),
    dose_today_ml=maybe(NUMBER),
    emergency=FLAG,
    reported_at=maybe(TIME),
    lease_until=maybe(TIME),
    why=WHY,
    claims=many(CLAIM),
)
NOTES = {
    "description": TEXT,
    "metadata": OBJECT,
    "device_scope": TEXT,
    "assigned_zones": many(TEXT),
    "assigned_subzones": many(TEXT),
}
"""What clients keep with a sensor or an actuator, beside what each has of its own."""

ACTUATOR = record(
    "Actuator",
    id=TEXT,
    esp_id=TEXT,
    esp_device_id=TEXT,
    gpio=INTEGER,
    aux_gpio=maybe(INTEGER),
    actuator_type=_MODE,
    hardware_type=words(ActuatorKind),
    name=TEXT,
    enabled=FLAG,
    critical=FLAG,
    inverted_logic=FLAG,
    default_state=FLAG,
    default_pwm=INTEGER,
    max_runtime_seconds=maybe(NUMBER),
    cooldown_seconds=NUMBER,
    min_value=NUMBER,
    max_value=NUMBER,
    max_runtime_day_seconds=maybe(NUMBER),
    dose_ml_per_second=maybe(NUMBER),
    dose_budget_ml=maybe(NUMBER),
    zone_id=maybe(TEXT),
    subzone_id=maybe(TEXT),
    subzone_warning=maybe(TEXT),
    current_value=maybe(NUMBER),
    is_active=maybe(FLAG),
    last_command_at=maybe(TIME),
    wanted_value=NUMBER,
    output_value=NUMBER,
    emergency=FLAG,
    reported_at=maybe(TIME),
    on_since=maybe(TIME),
    lease_until=maybe(TIME),
    run_today_seconds=maybe(NUMBER),
    dose_today_ml=maybe(NUMBER),
    why=WHY,
    **DELIVERED_ITEM,
    created_at=maybe(TIME),
    updated_at=maybe(TIME),
).maybe_with(**NOTES, pwm_frequency=INTEGER, servo_min_pulse=INTEGER, servo_max_pulse=INTEGER)


ACTUATORS = page(ACTUATOR)
ONE_ACTUATOR = said(ACTUATOR)
ACTUATOR_SET_UP = ONE_ACTUATOR.plus(warnings=many(TEXT), request_id=TEXT)
ACTUATOR_REMOVED = ONE_ACTUATOR.plus(confirmed=FLAG, request_id=TEXT)
COMMANDED = success(
    message=TEXT,
    esp_id=TEXT,
    gpio=INTEGER,
    command=words(Wish),
    value=NUMBER,
    duration=NUMBER,
    correlation_id=TEXT,
    command_sent=FLAG,
    acknowledged=FLAG,
    command_state=words(CommandState),
    state=STATE,
    safety_warnings=many(TEXT),
    request_id=TEXT,
)
OUTPUT_SET = success(
    message=TEXT,
    correlation_id=TEXT,
    command_sent=FLAG,
    acknowledged=FLAG,
    state=STATE,
    safety_warnings=many(TEXT),
)
STATUS = success(esp_id=TEXT, gpio=INTEGER, state=STATE).maybe_with(config=ACTUATOR)
HISTORY = success(
    esp_id=TEXT,
    gpio=INTEGER,
    entries=many(
        record(
            "ActuatorHistoryEntry",
            id=INTEGER,
            gpio=INTEGER,
            kind=words(HistoryKind),
            actuator_type=_MODE,
            command_type=TEXT,
            value=NUMBER,
            success=maybe(FLAG),
            state=maybe(TEXT),
            issued_by=maybe(TEXT),
            error_code=maybe(TEXT),
            error_message=maybe(TEXT),
            metadata=record(duration_seconds=maybe(NUMBER), correlation_id=maybe(TEXT)),
            timestamp=TIME,
        )
    ),
    total_count=INTEGER,
    truncated=FLAG,
    aggregation=maybe(
        record(
            total_runtime_seconds=NUMBER,
            total_cycles=INTEGER,
            duty_cycle_percent=NUMBER,
            avg_cycle_seconds=maybe(NUMBER),
        )
    ),
    from_time=TIME,
    to_time=TIME,
)

# --- emergency stops ----------------------------------------------------------------------------------------------

STOP = record(
    "EmergencyStop",
    id=TEXT,
    scope=words(StopScope),
    esp_id=maybe(TEXT),
    gpio=maybe(INTEGER),
    reason=TEXT,
    by=TEXT,
    since=TIME,
    text=TEXT,
    durable=FLAG,
    proven=FLAG,
    devices=many(
        record(
            "EmergencyProof",
            esp_id=TEXT,
            state=words("proven", "waiting", "offline", "refused"),
            sent=FLAG,
            told=INTEGER,
            told_at=maybe(TIME),
            proof=maybe(TEXT),
            proven_at=maybe(TIME),
            after_ms=maybe(INTEGER),
            reason=maybe(TEXT),
            actuators=many(record(gpio=INTEGER, off=maybe(FLAG))),
        )
    ),
)
STOPS = counted(active=FLAG, stops=many(STOP))
STOPPED = success(
    message=TEXT,
    incident_correlation_id=TEXT,
    devices_stopped=INTEGER,
    actuators_stopped=INTEGER,
    devices_told=INTEGER,
    reason=TEXT,
    timestamp=TIME,
    details=many(
        record(
            esp_id=TEXT,
            actuators=many(record(esp_id=TEXT, gpio=INTEGER, success=FLAG, off=maybe(FLAG), message=TEXT)),
        )
    ),
    stop=STOP,
    warnings=many(TEXT),
)
CLEARED = success(
    message=TEXT,
    devices_cleared=INTEGER,
    reason=TEXT,
    timestamp=TIME,
    details=many(record(esp_id=TEXT, state=words(ClearState), reason=maybe(TEXT))),
    remaining=many(STOP.only("id", "scope", "esp_id", "gpio", "reason", "since", "text")),
)

# --- interlocks and couplings -------------------------------------------------------------------------------------

INTERLOCK = record(
    "Interlock",
    id=TEXT,
    kind=words(InterlockKind),
    a=PIN,
    b=PIN,
    name=maybe(TEXT),
    text=TEXT,
    created_at=maybe(TIME),
)
INTERLOCKS = counted(data=many(INTERLOCK))
ONE_INTERLOCK = success(**INTERLOCK.fields)
COUPLING = record(
    "Coupling",
    actuator=PIN,
    sensors=many(
        record(esp_id=TEXT, gpio=maybe(INTEGER), sensor_type=maybe(TEXT), address=maybe(TEXT)),
    ),
    text=TEXT,
)
COUPLINGS = counted(data=many(COUPLING))
ONE_COUPLING = success(**COUPLING.fields)
