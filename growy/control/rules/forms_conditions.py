"""Conditions out of JSON: the one table of condition types. What is not in it is refused. Part of `forms`.

A condition that could never be true as it reads - a threshold without a value, a window without days, a hysteresis
without thresholds - is at fault: upstream took it and was silent for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs

from growy.control.rules.forms_fields import DAY_S, Fields, Form
from growy.control.rules.forms_places import (
    OPERATORS,
    days_of,
    max_age_of,
    operator_of,
    sensor_of,
    time_of,
    zone_name_of,
)
from growy.model.rules import (
    All,
    Always,
    AnyOf,
    Between,
    Condition,
    Difference,
    Freshness,
    HeldFor,
    Hysteresis,
    Not,
    Operator,
    RateOfChange,
    Threshold,
    TimeWindow,
)

MAX_DEPTH = 8
MAX_NESTED = 20
"""Conditions in one compound; at the top it is ten."""
MAX_CONDITIONS = 100
"""In one rule, nested ones included."""
MAX_HELD_S = 7 * DAY_S
NOTHING = AnyOf(conditions=())
"""Never holds. Stands where something could not be read."""

_HELD = ("for_seconds", "held_seconds", "for")
_ANYWHERE = ("id", "name", "label", "description")
"""Fields that clients add for themselves."""


def read_condition(form: Form, said: object, path: str, depth: int = 1) -> Condition:
    """A condition of any type; `NOTHING`, and a fault in the form, if it cannot be read."""
    fields = form.object_at(said, path)
    if fields is None:
        return NOTHING
    form.conditions += 1
    if form.conditions == MAX_CONDITIONS + 1:
        form.fault(path, f"is one condition more than the {MAX_CONDITIONS} that a rule may have")
    if depth > MAX_DEPTH:
        form.fault(path, f"is nested more than {MAX_DEPTH} deep")
    if depth > MAX_DEPTH or form.conditions > MAX_CONDITIONS:
        return NOTHING
    kind = _kind_of(fields)
    if kind is None:
        return NOTHING
    condition = kind.read(fields, depth)
    if kind.makes is not HeldFor and fields.has(*_HELD):
        seconds = fields.seconds(*_HELD, high=MAX_HELD_S)
        condition = HeldFor(condition=condition, seconds=seconds) if seconds else condition
    fields.mind_the_rest(*_ANYWHERE)
    return condition


def _kind_of(fields: Fields) -> _Kind | None:
    if fields.has("logic") and fields.has("conditions"):
        return _COMPOUND
    name = fields.text("type", default="").lower()
    if not name:
        fields.fault("type", f"is missing; one of {', '.join(_BY_NAME)}")
    if name in REFUSED:
        fields.fault("type", f"is {name}: {REFUSED[name]}")
        return None
    kind = _BY_NAME.get(name)
    if kind is None and name:
        fields.fault("type", f"is {name}, which is no condition; one of {', '.join(_BY_NAME)}")
    return kind


# --- sensors ------------------------------------------------------------------------------------------------------


_OPERATORS_AND_BETWEEN: Mapping[str, Operator | None] = {**OPERATORS, "between": None}


def _place(fields: Fields) -> dict[str, str | None]:
    return {name: fields.text(name, default="") or None for name in ("zone_id", "subzone_id")}


def _threshold(fields: Fields, depth: int) -> Condition:
    said = fields.find("operator")[1]
    if isinstance(said, str) and said.strip().lower() == "between":
        return _between(fields, depth)
    operator = fields.choice("operator", table=_OPERATORS_AND_BETWEEN)
    fields.has("min", "max")
    return Threshold(
        sensor=sensor_of(fields),
        operator=operator or Operator.GT,
        value=fields.number("value"),
        max_age_s=max_age_of(fields),
        **_place(fields),
    )


def _between(fields: Fields, depth: int) -> Condition:
    fields.has("operator", "value")
    low, high = fields.number("min"), fields.number("max")
    return Between(
        sensor=sensor_of(fields),
        low=min(low, high),
        high=max(low, high),
        max_age_s=max_age_of(fields),
        **_place(fields),
    )


def _hysteresis(fields: Fields, depth: int) -> Condition:
    on_above, off_below = fields.optional("activate_above"), fields.optional("deactivate_below")
    on_below, off_above = fields.optional("activate_below"), fields.optional("deactivate_above")
    cooling, heating = (on_above, off_below), (on_below, off_above)
    if cooling == heating == (None, None):
        fields.fault(
            "",
            "has no thresholds: activate_above and deactivate_below, or activate_below and deactivate_above",
        )
    elif cooling != (None, None) and heating != (None, None):
        fields.fault("", "has both pairs of thresholds, and must have one")
    elif None in cooling and None in heating:
        names = ("activate_above", "deactivate_below", "activate_below", "deactivate_above")
        missing = {"activate_above": 1, "deactivate_below": 0, "activate_below": 3, "deactivate_above": 2}
        there = next(name for name in names if fields.has(name))
        fields.fault(names[missing[there]], f"is missing; there is only {there}")
    if on_above is not None and off_below is not None and on_above <= off_below:
        fields.fault("activate_above", f"is {on_above:g}, and must be more than deactivate_below")
    if on_below is not None and off_above is not None and on_below >= off_above:
        fields.fault("activate_below", f"is {on_below:g}, and must be less than deactivate_above")
    return Hysteresis(
        sensor=sensor_of(fields),
        on_above=on_above,
        off_below=off_below,
        on_below=on_below,
        off_above=off_above,
        max_age_s=max_age_of(fields),
        **_place(fields),
    )


def _difference(fields: Fields, depth: int) -> Condition:
    a, b = sensor_of(fields, "sensor_a", flat=False), sensor_of(fields, "sensor_b", flat=False)
    if a == b and a.esp_id:
        fields.fault("sensor_b_id", "is the same sensor as sensor_a_id")
    return Difference(
        a=a,
        b=b,
        operator=operator_of(fields) or Operator.GT,
        value=fields.number("value", "threshold"),
        consecutive=fields.integer("consecutive_count", "consecutive", low=1, high=100, default=1),
        max_age_s=max_age_of(fields),
    )


def _rate_of_change(fields: Fields, depth: int) -> Condition:
    return RateOfChange(
        sensor=sensor_of(fields),
        operator=operator_of(fields) or Operator.GT,
        per_min=fields.number("value", "per_minute", "per_min"),
        window_s=fields.seconds("window_seconds", "window", "window_s", low=10.0, high=DAY_S, default=300.0),
        max_age_s=max_age_of(fields),
    )


def _freshness(fields: Fields, depth: int) -> Condition:
    return Freshness(sensor=sensor_of(fields), max_age_s=max_age_of(fields), stale=fields.flag("stale"))


# --- time ---------------------------------------------------------------------------------------------------------


def _time_window(fields: Fields, depth: int) -> Condition:
    start, end = time_of(fields, "start"), time_of(fields, "end", end=True)
    if start is not None and start == end:
        fields.fault("", "begins when it ends, and so never holds; the whole day is 00:00 to 24:00")
    return TimeWindow(
        start_min=start or 0, end_min=end or 0, days=days_of(fields), timezone=zone_name_of(fields)
    )


# --- of other conditions ------------------------------------------------------------------------------------------


def joined(logic: str, conditions: tuple[Condition, ...]) -> Condition:
    """One is itself; several are AND or OR."""
    if len(conditions) == 1:
        return conditions[0]
    return All(conditions=conditions) if logic == "AND" else AnyOf(conditions=conditions)


def _compound(fields: Fields, depth: int) -> Condition:
    logic = fields.choice("logic", "logic_operator", table={word: word for word in ("AND", "OR", "NOT")})
    return _joined(fields, depth, logic or "AND")


def _joined(fields: Fields, depth: int, logic: str) -> Condition:
    path = fields.at("conditions")
    listed = fields.form.list_at(fields.find("conditions")[1], path, MAX_NESTED)
    conditions = tuple(
        read_condition(fields.form, said, f"{path}[{index}]", depth + 1) for index, said in enumerate(listed)
    )
    if logic != "NOT":
        return joined(logic, conditions)
    if len(conditions) > 1:
        fields.fault("conditions", "has several, and NOT takes one; put them into an AND or OR of their own")
    return Not(condition=conditions[0]) if conditions else NOTHING


def _inner(fields: Fields, depth: int) -> Condition:
    name, said = fields.find("condition")
    if said is None:
        fields.fault(name, "is missing")
        return NOTHING
    return read_condition(fields.form, said, fields.at(name), depth + 1)


def _not(fields: Fields, depth: int) -> Condition:
    if fields.has("conditions"):
        return _joined(fields, depth, "NOT")
    return Not(condition=_inner(fields, depth))


def _held_for(fields: Fields, depth: int) -> Condition:
    return HeldFor(
        condition=_inner(fields, depth), seconds=fields.seconds("seconds", *_HELD, low=0.001, high=MAX_HELD_S)
    )


# --- the table ----------------------------------------------------------------------------------------------------


@attrs.frozen(slots=True)
class _Kind:
    names: tuple[str, ...]
    makes: type
    """A compound also makes the classes of `any` and `not`, a threshold that of `between`."""
    read: Callable[[Fields, int], Condition]


_COMPOUND = _Kind(("compound", "composite"), All, _compound)
_KINDS = (
    _Kind(("sensor", "sensor_threshold"), Threshold, _threshold),
    _Kind(("between",), Between, _between),
    _Kind(("hysteresis",), Hysteresis, _hysteresis),
    _Kind(("time", "time_window"), TimeWindow, _time_window),
    _Kind(("sensor_diff",), Difference, _difference),
    _Kind(("rate_of_change",), RateOfChange, _rate_of_change),
    _Kind(("freshness",), Freshness, _freshness),
    _Kind(("always",), Always, lambda fields, depth: Always()),
    _COMPOUND,
    _Kind(("any",), AnyOf, lambda fields, depth: _joined(fields, depth, "OR")),
    _Kind(("not",), Not, _not),
    _Kind(("held_for",), HeldFor, _held_for),
)
_BY_NAME = {name: kind for kind in _KINDS for name in kind.names}

CONDITION_TYPES: Mapping[str, type] = MappingProxyType({name: kind.makes for name, kind in _BY_NAME.items()})
"""Every `type` that a condition may have -> what becomes of it."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "diagnostics_status": "growyd makes no diagnostic reports that a rule could look at; use freshness for a sensor"
        " that fails",
        "cooldown": "a pause between two executions is the rule's cooldown_seconds",
    }
)
"""Types that clients know and growyd does not run -> why, and what to do instead."""
