"""Actions out of JSON: the one table of action types. What is not in it is refused. Part of `forms`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs

from growy.config.webhooks import allowed
from growy.control.rules.forms_fields import Fields, Form, shown
from growy.control.rules.forms_places import actuator_of, max_age_of, sensor_of, time_of, zone_name_of
from growy.control.rules.windows import DAY_MIN
from growy.model.rules import (
    Action,
    Channel,
    Delay,
    Notify,
    Photoperiod,
    Pid,
    Sequence,
    Step,
    Switch,
    SwitchCommand,
)

MAX_STEPS = 50
LONGEST_TEMPLATE = 1000
LONGEST_TARGET = 500
HOUR_S = 3600.0
BITS_8 = 255
MAX_GAIN = 1e6
MAX_PID_WINDOW_S = HOUR_S
NOTHING = Delay(seconds=0.0)
"""Stands where something could not be read."""

_ANYWHERE = ("id", "name", "label", "description", "actuator_type")
_SEVERITIES = {word: word for word in ("info", "warning", "error", "critical")}
_COMMANDS = {command.value: command for command in SwitchCommand}
_CHANNELS = {channel.value: channel for channel in Channel}
NO_EMAIL = "growyd sends no e-mail; use websocket, or a webhook to something that does"


def read_action(form: Form, said: object, path: str) -> Action:
    """An action of any type; `NOTHING`, and a fault in the form, if it cannot be read."""
    fields = form.object_at(said, path)
    return NOTHING if fields is None else _read(fields, _BY_NAME)


def _read(fields: Fields, kinds: Mapping[str, _Kind]) -> Action:
    name = fields.text("type", default="").lower()
    kind = kinds.get(name)
    if kind is None:
        if name in REFUSED:
            fields.fault("type", f"is {name}: {REFUSED[name]}")
        else:
            what = f"is {name}, which is no action here" if name else "is missing"
            fields.fault("type", f"{what}; one of {', '.join(kinds)}")
        return NOTHING
    action = kind.read(fields)
    fields.mind_the_rest(*_ANYWHERE)
    return action


# --- one thing at a time ------------------------------------------------------------------------------------------


def _switch(fields: Fields) -> Action:
    command = fields.choice("command", table=_COMMANDS, default=SwitchCommand.ON) or SwitchCommand.OFF
    # Upstream let the default 0 of duration_seconds lose against duration; one that is written down wins.
    return Switch(
        actuator=actuator_of(fields),
        command=command,
        value=_value(fields, command),
        duration_s=fields.seconds("duration_seconds", "duration", default=0.0),
        critical=fields.flag("is_safety_critical", "critical"),
    )


def _value(fields: Fields, command: SwitchCommand) -> float:
    """0-1. What a form has left in the field of a command that has no value does not count."""
    fields.has("value")
    if command is SwitchCommand.OFF:
        return 0.0
    if command is SwitchCommand.TOGGLE:
        return 1.0
    if command is SwitchCommand.ON:
        value = fields.number("value", default=1.0, low=0.0, high=1.0)
        if value == 0.0:
            fields.fault("value", "is 0, and the command is ON; to switch off, the command is OFF")
        return value
    value = fields.number("value")
    if 2 <= value <= BITS_8 and value == int(value):
        return value / BITS_8
    if value < 0.0 or value > 1.0:
        fields.fault("value", f"is {value:g}, and must be 0 to 1, or a whole number from 2 to {BITS_8}")
    return value


def _notify(fields: Fields) -> Action:
    if str(fields.find("channel")[1]).strip().lower() == "email":
        fields.fault("channel", f"is email: {NO_EMAIL}")
        channel: Channel | None = Channel.WEBSOCKET
    else:
        channel = fields.choice("channel", table=_CHANNELS)
    target = fields.text("target", default="", longest=LONGEST_TARGET)
    if channel is Channel.WEBHOOK:
        _check_target(fields, target)
    return Notify(
        channel=channel or Channel.WEBSOCKET,
        template=fields.text("message_template", "message", shortest=1, longest=LONGEST_TEMPLATE),
        target=target if channel is Channel.WEBHOOK else "",
        severity=fields.choice("severity", table=_SEVERITIES, default="info") or "info",
    )


def _check_target(fields: Fields, target: str) -> None:
    webhooks = fields.form.webhooks
    if fields.find("target")[1] in (None, ""):
        fields.fault("target", "is missing; a webhook needs a URL")
    elif target and webhooks is not None and not allowed(target, webhooks):
        where = f"are {', '.join(webhooks)}" if webhooks else "is none"
        fields.fault(
            "target", f"is {shown(target)}, where rules may not post to; in control.webhooks {where}"
        )


def _delay(fields: Fields) -> Action:
    return Delay(seconds=fields.seconds("seconds", "delay_seconds", "duration_seconds", low=1.0, high=HOUR_S))


# --- sequences ----------------------------------------------------------------------------------------------------


def _sequence(fields: Fields) -> Action:
    abort = fields.flag("abort_on_failure", default=True)
    path = fields.at("steps")
    listed = fields.form.list_at(fields.find("steps")[1], path, MAX_STEPS)
    steps = tuple(_step(fields.form, said, f"{path}[{index}]", abort) for index, said in enumerate(listed))
    most = fields.seconds("max_duration_seconds", low=1.0, high=HOUR_S, default=HOUR_S)
    pauses = sum(step.delay_s + step.before_s + step.after_s for step in steps)
    if pauses > most:
        fields.fault(
            "steps", f"pause for {pauses:g} s, and max_duration_seconds is {most:g}: it would never end"
        )
    return Sequence(
        steps=steps,
        id=fields.text("sequence_id", default=""),
        description=fields.text("description", default="", longest=500),
        max_duration_s=most,
    )


def _step(form: Form, said: object, path: str, abort: bool) -> Step:
    fields = form.object_at(said, path)
    if fields is None:
        return Step()
    name, inner = fields.find("action")
    pauses = fields.has("delay_seconds")
    action: Switch | Notify | None = None
    delay_s = 0.0
    if inner is not None:
        own = form.object_at(inner, fields.at(name))
        acted = NOTHING if own is None else _read(own, _IN_STEPS)
        # Of the types that a step may have, only these are not a pause.
        action = acted if isinstance(acted, Switch | Notify) else None
        delay_s = acted.seconds if isinstance(acted, Delay) else 0.0
        if pauses:
            fields.fault(
                "delay_seconds",
                "stands beside an action; delay_before_seconds or delay_after_seconds is meant",
            )
    elif pauses:
        delay_s = fields.seconds("delay_seconds", high=HOUR_S)
    else:
        fields.fault("", "has neither an action nor delay_seconds")
    step = Step(
        action=action,
        delay_s=delay_s,
        before_s=fields.seconds("delay_before_seconds", high=HOUR_S, default=0.0),
        after_s=fields.seconds("delay_after_seconds", high=HOUR_S, default=0.0),
        timeout_s=fields.seconds("timeout_seconds", low=1.0, high=HOUR_S, default=30.0),
        retries=fields.integer("retry_count", low=0, high=20, default=0),
        retry_delay_s=fields.seconds("retry_delay_seconds", high=HOUR_S, default=1.0),
        abort_on_failure=fields.choice("on_failure", table=_ON_FAILURE, default=abort) is not False,
        name=fields.text("name", default=""),
    )
    fields.mind_the_rest(*_ANYWHERE)
    return step


_ON_FAILURE = {"abort": True, "continue": False}


# --- loops and light ----------------------------------------------------------------------------------------------


def _pid(fields: Fields) -> Action:
    gains = [fields.number(name, default=0.0, low=0.0, high=MAX_GAIN) for name in ("kp", "ki", "kd")]
    if not fields.has("kp", "ki"):
        fields.fault("kp", "is missing; or ki")
    elif gains[0] == gains[1] == 0.0:
        fields.fault("kp", "is 0, and so is ki: the output would never change")
    low = fields.number("output_min", default=0.0, low=0.0, high=1.0)
    high = fields.number("output_max", default=1.0, low=0.0, high=1.0)
    if low >= high:
        fields.fault("output_min", f"is {low:g}, and must be less than output_max")
    window = fields.seconds("window_seconds", "window", high=MAX_PID_WINDOW_S, default=0.0)
    if 0.0 < window < 10.0:
        fields.fault("window_seconds", f"is {window:g}, and must be 0 (none) or 10 to {MAX_PID_WINDOW_S:g}")
    return Pid(
        actuator=actuator_of(fields),
        sensor=sensor_of(fields, flat=False),
        set_point=fields.number("set_point", "setpoint", "target"),
        kp=gains[0],
        ki=gains[1],
        kd=gains[2],
        reverse=fields.flag("reverse", "reverse_acting"),
        output_min=low,
        output_max=high,
        window_s=window,
        max_age_s=max_age_of(fields),
        critical=fields.flag("is_safety_critical", "critical"),
    )


def _photoperiod(fields: Fields) -> Action:
    on = time_of(fields, "on")
    light = _light_min(fields, on)
    ramp = fields.integer("ramp_minutes", low=0, high=DAY_MIN // 2, default=0)
    if 2 * ramp > light > 0:
        fields.fault("ramp_minutes", f"is {ramp}, and dawn and dusk must fit into {light} minutes of light")
    value = fields.number("value", default=1.0, low=0.0, high=1.0)
    if value == 0.0:
        fields.fault("value", "is 0: there would never be light")
    return Photoperiod(
        actuator=actuator_of(fields),
        on_min=on or 0,
        light_min=light,
        value=value,
        ramp_min=ramp,
        timezone=zone_name_of(fields),
        critical=fields.flag("is_safety_critical", "critical"),
    )


def _light_min(fields: Fields, on: int | None) -> int:
    """Minutes of light, by their number or by when it ends; 0 if they are at fault."""
    if fields.has("light_minutes"):
        return fields.integer("light_minutes", low=1, high=DAY_MIN)
    if fields.has("light_hours"):
        hours = fields.number("light_hours", low=1 / 60, high=24.0)
        return 0 if math.isnan(hours) else round(60 * hours)
    if not fields.has("off_time", "off_hour"):
        fields.fault("light_minutes", "is missing; or light_hours, or off_time")
        return 0
    off = time_of(fields, "off", end=True)
    if on is None or off is None:
        return 0
    if on == off % DAY_MIN:
        fields.fault("off_time", "is when the light goes on; all day is light_hours 24")
    return (off - on) % DAY_MIN


# --- the table ----------------------------------------------------------------------------------------------------


@attrs.frozen(slots=True)
class _Kind:
    names: tuple[str, ...]
    makes: type
    read: Callable[[Fields], Action]


_SIMPLE = (
    _Kind(("actuator", "actuator_command"), Switch, _switch),
    _Kind(("notification",), Notify, _notify),
    _Kind(("delay",), Delay, _delay),
)
_KINDS = (
    *_SIMPLE,
    _Kind(("sequence",), Sequence, _sequence),
    _Kind(("pid",), Pid, _pid),
    _Kind(("photoperiod",), Photoperiod, _photoperiod),
)
_BY_NAME = {name: kind for kind in _KINDS for name in kind.names}
_IN_STEPS = {name: kind for kind in _SIMPLE for name in kind.names}
"""No sequence within a sequence, and nothing that goes on while the rule holds."""

ACTION_TYPES: Mapping[str, type] = MappingProxyType({name: kind.makes for name, kind in _BY_NAME.items()})
"""Every `type` that an action may have -> what becomes of it."""

_NO_PLUGINS = "growyd has no plugins; a webhook can start a program elsewhere"
REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "plugin": _NO_PLUGINS,
        "autoops_trigger": _NO_PLUGINS,
        "run_diagnostic": "growyd's diagnostics are not run by rules; `growyd doctor` shows them",
    }
)
"""Types that clients know and growyd does not run -> why, and what to do instead."""
