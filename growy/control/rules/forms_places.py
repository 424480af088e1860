"""What a rule's JSON says of sensors, actuators and times of the day, in all its spellings. Part of `forms`."""

from __future__ import annotations

import re

import attrs

from growy.control.rules.forms_fields import DAY_S, MAX_PIN, Fields, number_of, shown
from growy.control.rules.windows import DAY_MIN, check_zone
from growy.model.control import ActuatorKey
from growy.model.rules import Operator, SensorRef
from growy.wire.fields import is_sensor_type

NO_SENSOR = SensorRef("", 0)
OPERATORS = {operator.value: operator for operator in Operator}
MAX_AGE_S = 7 * DAY_S
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY_NUMBERS = {name: day for day, full in enumerate(_DAYS) for name in (full, full[:3])}
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::00)?")


# --- sensors and actuators ----------------------------------------------------------------------------------------


def sensor_of(fields: Fields, inline: str = "sensor", *, flat: bool = True) -> SensorRef:
    """A sensor: by its id (`sensor_id`, a UUID), in an object of its own (`sensor`), or by the fields beside it.

    Where an id was resolved, what it means now is kept beside it: the rule can still be read when the sensor is gone.

    Args:
        inline: name of the object; the id's names begin with it.
        flat: whether esp_id and gpio may stand in `fields` itself.
    """
    id_name, sensor_id = fields.find(f"{inline}_id", f"{inline}_uuid")
    ref = fields.form.resolve(str(sensor_id)) if sensor_id is not None else None
    if ref is not None:
        ref = _of_type(fields, ref, inline)
        fields.said[inline] = _kept(str(sensor_id), ref)
        return ref
    name, said = fields.find(inline)
    if said is not None:
        own = fields.form.object_at(said, fields.at(name))
        if own is None:
            return NO_SENSOR
        if sensor_id is None or own.find("id")[1] in (None, sensor_id):
            return _ref(own)
    if flat and fields.has("esp_id", "gpio"):
        return _ref(fields)
    if sensor_id is not None:
        fields.fault(id_name, f"is {shown(sensor_id)}, and no sensor has this id")
    elif flat:
        return _ref(fields)
    else:
        fields.fault(id_name, f"is missing; or {inline}, with esp_id, gpio and sensor_type")
    return NO_SENSOR


def _ref(fields: Fields) -> SensorRef:
    return SensorRef(
        esp_id=fields.esp_id(),
        gpio=fields.integer("gpio", low=0, high=MAX_PIN),
        sensor_type=_sensor_type(fields, "sensor_type"),
        address=_address(fields),
    )


def _of_type(fields: Fields, ref: SensorRef, inline: str) -> SensorRef:
    """An id names a chip; which of its values is meant may stand beside it."""
    sensor_type = _sensor_type(fields, f"{inline}_type", "sensor_type")
    return attrs.evolve(ref, sensor_type=ref.sensor_type or sensor_type)


def _kept(sensor_id: str, ref: SensorRef) -> dict[str, object]:
    return {
        "id": sensor_id,
        "esp_id": ref.esp_id,
        "gpio": ref.gpio,
        "sensor_type": ref.sensor_type,
        "address": ref.address,
    }


def _sensor_type(fields: Fields, *names: str) -> str | None:
    name, _ = fields.find(*names)
    text = fields.text(name, default="").lower()
    if text and not is_sensor_type(text):
        fields.fault(name, f"is {shown(text)}, and no sensor type")
    return text or None


def _address(fields: Fields) -> str | None:
    """I²C: decimal, whether it was written so or as 0x44. OneWire: the ROM code."""
    name, said = fields.find("address", "i2c_address", "onewire_address")
    if said is None or said == "":
        return None
    text = str(said).strip().upper()
    if text.startswith("0X"):
        try:
            text = str(int(text, 16))
        except ValueError:
            text = ""
    if isinstance(said, bool) or not re.fullmatch(r"[0-9A-F]{1,16}", text):
        fields.fault(name, f"is {shown(said)}, and no address")
        return None
    return text


def actuator_of(fields: Fields) -> ActuatorKey:
    """An actuator: in an object of its own (`actuator`), or by the fields beside it."""
    name, said = fields.find("actuator")
    own = fields.form.object_at(said, fields.at(name)) if said is not None else fields
    if own is None:
        return ActuatorKey("", 0)
    return ActuatorKey(own.esp_id(), own.integer("gpio", low=0, high=MAX_PIN))


def operator_of(fields: Fields) -> Operator | None:
    return fields.choice("operator", table=OPERATORS)


def max_age_of(fields: Fields) -> float | None:
    """Seconds. `require_fresh_data` asks for what is always so, and is looked at only for its spelling."""
    fields.has("require_fresh_data")
    names = ("max_age_seconds", "max_age", "max_age_s")
    return fields.seconds(*names, low=1.0, high=MAX_AGE_S) if fields.has(*names) else None


# --- times of the day ---------------------------------------------------------------------------------------------


def time_of(fields: Fields, which: str, *, end: bool = False) -> int | None:
    """Minutes of `{which}_time` ("22:30") or of `{which}_hour` and `{which}_minute`; None if they are at fault.

    Args:
        end: 24:00 is possible.
    """
    by_text = _time_by_text(fields, f"{which}_time", end)
    by_hour = _time_by_hour(fields, which, end)
    if by_text is None and by_hour is None:
        if not fields.has(f"{which}_time", f"{which}_hour"):
            fields.fault(f"{which}_hour", f"is missing; or {which}_time, like 06:30")
        return None
    if None not in (by_text, by_hour) and by_text != by_hour:
        fields.fault(f"{which}_time", f"says something else than {which}_hour")
    return by_hour if by_text is None else by_text


def _time_by_text(fields: Fields, name: str, end: bool) -> int | None:
    if not fields.has(name):
        return None
    text = fields.text(name, longest=8)
    match = _TIME.fullmatch(text)
    minutes = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else DAY_MIN + 1
    if minutes > (DAY_MIN if end else DAY_MIN - 1):
        fields.fault(name, f"is {shown(text)}, and must be a time like 06:30")
        return None
    return minutes


def _time_by_hour(fields: Fields, which: str, end: bool) -> int | None:
    hour_name, minute_name = f"{which}_hour", f"{which}_minute"
    if not fields.has(hour_name):
        fields.find(minute_name)
        return None
    faults = len(fields.form.faults)
    hour = fields.integer(hour_name, low=0, high=24 if end else 23)
    minute = fields.integer(minute_name, low=0, high=59, default=0)
    if hour * 60 + minute > DAY_MIN:
        fields.fault(minute_name, "must be 0, because the day ends at 24:00")
    return hour * 60 + minute if len(fields.form.faults) == faults else None


def zone_name_of(fields: Fields) -> str:
    name, _ = fields.find("timezone", "time_zone")
    text = fields.text(name, default="")
    return fields.checked(name, text, check_zone) if text else "UTC"


def days_of(fields: Fields) -> frozenset[int] | None:
    """0 Monday ... 6 Sunday, or names; None: every day."""
    name, said = fields.find("days_of_week", "days")
    if said is None:
        return None
    days = set()
    for index, day in enumerate(fields.form.list_at(said, fields.at(name), 14)):
        named = DAY_NUMBERS.get(day.strip().lower()) if isinstance(day, str) else None
        number = number_of(day) if named is None else named
        if number is None or number not in range(7):
            fields.fault(f"{name}[{index}]", f"is {shown(day)}, and must be 0 (Monday) to 6, or a name")
        else:
            days.add(int(number))
    return frozenset(days) if len(days) < 7 else None
