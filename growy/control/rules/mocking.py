"""What a person makes up for a trial: values of sensors, and what time it shall be. Read here, judged nowhere."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from growy.control.lookup import SAME_TYPE
from growy.control.rules.walk import conditions_of
from growy.control.rules.windows import zone_of
from growy.model.errors import Invalid
from growy.model.rules import Photoperiod, Rule, SensorRef, TimeWindow

_NAME = re.compile(r"([^:/@\s]+):(\d{1,3})(?:/([^/@\s]+))?(?:@(\S+))?")
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def meant(mocks: Mapping[str, float], sensors: Iterable[SensorRef]) -> dict[SensorRef, float]:
    """The value that each sensor of a rule shall have, as far as somebody has made one up.

    Args:
        mocks: `ESP:GPIO`, `ESP:GPIO/type` or either with `@address` -> value. A name must fit a sensor that the rule
            looks at, and not two that differ in what it leaves open.

    Raises:
        Invalid: with every fault.
    """
    known = list(sensors)
    faults: list[str] = []
    found: dict[SensorRef, float] = {}
    for name, value in mocks.items():
        fitting = _fitting(name, value, known, faults)
        for sensor in fitting:
            if found.setdefault(sensor, float(value)) != value:
                faults.append(f"{name[:80]!r} and another name give {sensor} two values")
    if faults:
        looked_at = ", ".join(map(str, known)) or "no sensor"
        raise Invalid("; ".join(faults), cure=f"The rule looks at {looked_at}", details={"faults": faults})
    return found


def _fitting(name: str, value: float, known: list[SensorRef], faults: list[str]) -> list[SensorRef]:
    match = _NAME.fullmatch(name)
    if match is None:
        faults.append(f"{name[:80]!r} names no sensor: ESP:GPIO or ESP:GPIO/type does")
        return []
    if not math.isfinite(value):
        faults.append(f"{name[:80]!r} is to be {value:g}, which is no number")
        return []
    esp_id, gpio, kind, address = match.groups()
    fitting = [
        one
        for one in known
        if (one.esp_id, one.gpio) == (esp_id, int(gpio))
        and _agree(_published(kind), _published(one.sensor_type))
        and _agree(address, one.address)
    ]
    if not fitting:
        faults.append(f"{name[:80]!r} is no sensor of the rule")
    for what in ({_published(one.sensor_type) for one in fitting}, {one.address for one in fitting}):
        if len(what - {None}) > 1:
            several = " or ".join(sorted(one for one in what if one))
            faults.append(f"{name[:80]!r} could be {several}: say which")
            return []
    return fitting


def _published(kind: str | None) -> str | None:
    """The type as devices publish it."""
    return None if kind is None else SAME_TYPE.get(kind.lower(), kind.lower())


def _agree(a: str | None, b: str | None) -> bool:
    return a is None or b is None or a.lower() == b.lower()


# --- time ---------------------------------------------------------------------------------------------------------


def time_of(at: str, rule: Rule, now_ms: int) -> int:
    """The moment that somebody means, Unix ms.

    Args:
        at: `HH:MM`: today at that time, or ISO 8601; where they leave it open, in the time zone of the rule, which is
            that of its first time window or photoperiod, else UTC.

    Raises:
        Invalid: it is no time.
    """
    zone = zone_of(_timezone(rule))
    if (match := _TIME.fullmatch(at.strip())) is not None:
        today = datetime.fromtimestamp(now_ms / 1000, zone)
        then = today.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
        return _ms(then)
    try:
        then = datetime.fromisoformat(at.strip())
        return _ms(then if then.tzinfo is not None else then.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise Invalid(f"{at[:40]!r} is no time", cure="HH:MM, or ISO 8601 like 2026-06-01T05:30") from None


def _timezone(rule: Rule) -> str:
    zones = [one.timezone for one in conditions_of(rule.condition) if isinstance(one, TimeWindow)]
    zones += [one.timezone for one in rule.actions if isinstance(one, Photoperiod)]
    return zones[0] if zones else "UTC"


def _ms(then: datetime) -> int:
    return (then.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
