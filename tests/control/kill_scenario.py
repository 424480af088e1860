"""Some hours in a greenhouse for the proof that nothing is forgotten: rules of every kind, and what the sensors say.

Everything is made from a seed, so that every process of a run comes to the same.
"""

from __future__ import annotations

import json
import random

import attrs

from growy.model.control import ActuatorKey, DeviceView
from growy.model.messages import Generation
from growy.model.reading import Quality
from growy.model.setup import ActuatorKind, ActuatorSetup, SensorSetup
from growy.store.rules import RuleRow

START_MS = 1_780_000_000_000 // 86_400_000 * 86_400_000 + 6 * 3_600_000
"""06:00 UTC."""
EVERY_S = 20
HOUSE, TANK = "ESP_00AA01", "ESP_00AA02"
SENSORS = {
    "air": (HOUSE, 4, "ds18b20", 21.0),
    "root": (HOUSE, 5, "ds18b20", 19.0),
    "soil": (HOUSE, 34, "moisture", 40.0),
    "level": (TANK, 35, "level", 50.0),
}
NOISE = {"air": 0.05, "root": 0.4, "soil": 0.2, "level": 0.1}
RELAYS = {HOUSE: (12, 13, 14, 16, 17, 18, 19), TANK: (12, 13, 14, 16)}
PWMS = {TANK: (25, 26)}


def views() -> dict[str, DeviceView]:
    return {esp_id: _view(esp_id) for esp_id in (HOUSE, TANK)}


def _view(esp_id: str) -> DeviceView:
    kinds = dict.fromkeys(RELAYS[esp_id], ActuatorKind.RELAY)
    kinds |= dict.fromkeys(PWMS.get(esp_id, ()), ActuatorKind.PWM)
    return DeviceView(
        esp_id=esp_id,
        kaiser_id="god",
        approved=True,
        online=True,
        ready=True,
        boots=1,
        generation=Generation.APR_2026,
        sensors=tuple(
            SensorSetup(id=name, gpio=gpio, sensor_type=kind, name=name, interval_s=EVERY_S)
            for name, (owner, gpio, kind, _) in SENSORS.items()
            if owner == esp_id
        ),
        actuators=tuple(
            ActuatorSetup(
                id=f"{esp_id}-{gpio}", gpio=gpio, kind=kind, name=f"{kind} {gpio}", max_runtime_s=86_400
            )
            for gpio, kind in kinds.items()
        ),
        applied=frozenset(kinds),
    )


ACTUATORS = [ActuatorKey(view.esp_id, one.gpio) for view in views().values() for one in view.actuators]


# --- rules --------------------------------------------------------------------------------------------------------


def sensor(name: str) -> dict[str, object]:
    esp_id, gpio, kind, _ = SENSORS[name]
    return {"esp_id": esp_id, "gpio": gpio, "sensor_type": kind}


def over(name: str, value: float, operator: str = ">", **more: object) -> dict[str, object]:
    return {"type": "sensor", **sensor(name), "operator": operator, "value": value, **more}


def switch(esp_id: str, gpio: int, command: str = "ON", **more: object) -> dict[str, object]:
    return {"type": "actuator", "esp_id": esp_id, "gpio": gpio, "command": command, **more}


SAY = {"type": "notification", "channel": "websocket", "message_template": "{rule_name}: {sensor_value}"}


def documents() -> list[dict[str, object]]:
    """Latches, timers, pulses, cool-downs, limits of the hour, counters, slopes, delays, sequences, loops, lights."""
    dry = {"logic": "NOT", "conditions": [over("soil", 40.5)]}
    band = {"type": "hysteresis", **sensor("air"), "activate_below": 20.0, "deactivate_above": 22.0}
    steps = [
        {"name": "valve", "action": switch(HOUSE, 16), "delay_after_seconds": 7},
        {"name": "pump", "action": switch(HOUSE, 17, duration_seconds=25), "retry_count": 1},
        {"delay_seconds": 31},
        {"action": switch(HOUSE, 16, "OFF"), "delay_before_seconds": 3},
    ]
    apart = {"type": "sensor_diff", "sensor_a": sensor("root"), "sensor_b": sensor("air"), "operator": ">"}
    return [
        {"name": "latch", "conditions": [band], "actions": [switch(HOUSE, 12), SAY], "cooldown_seconds": 60},
        {
            "name": "held for",
            "conditions": [over("air", 21.2, for_seconds=70)],
            "actions": [switch(HOUSE, 13)],
            "cooldown_seconds": 40,
        },
        {
            "name": "held for a moment",
            "conditions": [over("root", 19.0, for_seconds=25)],
            "actions": [switch(HOUSE, 19)],
            "cooldown_seconds": 33,
        },
        {
            "name": "pulses",
            "conditions": [over("soil", 40.0, "<", for_seconds=35)],
            "actions": [switch(HOUSE, 14, duration_seconds=33)],
            "cooldown_seconds": 95,
            "max_executions_per_hour": 9,
        },
        {
            "name": "consecutive",
            "conditions": [{**apart, "value": 1.7, "consecutive_count": 4}],
            "actions": [switch(TANK, 12)],
            "cooldown_seconds": 0,
        },
        {
            "name": "slope",
            "conditions": [
                {
                    "type": "rate_of_change",
                    **sensor("level"),
                    "operator": "<",
                    "value": -0.1,
                    "window_seconds": 400,
                }
            ],
            "actions": [switch(TANK, 13, duration_seconds=41)],
            "cooldown_seconds": 60,
        },
        {
            "name": "sequence",
            "conditions": [over("level", 50.0, for_seconds=50)],
            "actions": [{"type": "sequence", "steps": steps}],
            "cooldown_seconds": 240,
        },
        {
            "name": "delays",
            "conditions": [over("soil", 41.0)],
            "actions": [
                switch(HOUSE, 18, duration_seconds=11),
                {"type": "delay", "seconds": 27},
                switch(HOUSE, 18, duration_seconds=11),
                SAY,
            ],
            "cooldown_seconds": 70,
        },
        {
            "name": "loop of a relay",
            "conditions": [{"type": "time", "start_time": "06:10", "end_time": "12:00"}],
            "actions": [
                {
                    "type": "pid",
                    "esp_id": TANK,
                    "gpio": 14,
                    "sensor": sensor("root"),
                    "set_point": 19.5,
                    "kp": 0.2,
                    "ki": 0.001,
                    "window_seconds": 60,
                }
            ],
        },
        {
            "name": "loop of a pwm",
            "conditions": [over("level", 20.0)],
            "actions": [
                {
                    "type": "pid",
                    "esp_id": TANK,
                    "gpio": 25,
                    "sensor": sensor("air"),
                    "set_point": 21.0,
                    "kp": 0.2,
                    "ki": 0.0005,
                    "kd": 0.5,
                    "reverse": True,
                }
            ],
        },
        {
            "name": "light",
            "conditions": [{"type": "always"}],
            "actions": [
                {
                    "type": "photoperiod",
                    "esp_id": TANK,
                    "gpio": 26,
                    "on_time": "06:05",
                    "light_minutes": 75,
                    "ramp_minutes": 10,
                }
            ],
        },
        {
            "name": "alarm",
            "conditions": [{"type": "freshness", **sensor("soil"), "stale": True, "max_age_seconds": 90}],
            "actions": [switch(TANK, 16), SAY],
            "cooldown_seconds": 30,
        },
        {
            "name": "not too hot",
            "logic_operator": "OR",
            "is_critical": True,
            "priority": 10,
            "conditions": [
                over("air", 22.5),
                {"logic": "AND", "conditions": [over("root", 20.5), dry]},
            ],
            "actions": [switch(HOUSE, 12, "OFF"), SAY],
            "cooldown_seconds": 120,
        },
    ]


def rule_rows() -> list[RuleRow]:
    return [
        RuleRow(
            id=f"00000000-0000-4000-8000-{number:012d}",
            name=str(document["name"]),
            document=json.dumps(document),
            created_ms=START_MS,
            updated_ms=START_MS,
        )
        for number, document in enumerate(documents())
    ]


# --- readings -----------------------------------------------------------------------------------------------------


@attrs.frozen
class Delivery:
    """What arrives together."""

    number: int
    at_ms: int
    readings: tuple[tuple[str, float, Quality], ...]
    """(sensor, value, quality)."""


def deliveries(seed: int, hours: float) -> list[Delivery]:
    """A reading of every sensor each 20 s or so, with gaps, errors, and some that come together."""
    chance = random.Random(seed)
    found: dict[int, list[tuple[str, float, Quality]]] = {}
    for name, (_, _, _, middle) in SENSORS.items():
        second, value, drift = chance.randrange(EVERY_S), middle, 0.0
        while second < hours * 3600:
            drift = 0.9 * drift + chance.gauss(0, 0.12)
            value += drift + 0.02 * (middle - value)
            quality = chance.choices([Quality.GOOD, Quality.ERROR, Quality.SUSPECT], [60, 1, 1])[0]
            found.setdefault(second, []).append((name, round(chance.gauss(value, NOISE[name]), 2), quality))
            second += 200 if chance.random() < 0.01 else EVERY_S + chance.randrange(-3, 4)
    # In the ms in which something is due, a whole number of seconds after a reading, there is no other one: which of
    # the two comes first would be a matter of rounding.
    return [
        Delivery(number, START_MS + second * 1000 + number * 7 % 1000, tuple(readings))
        for number, (second, readings) in enumerate(sorted(found.items()))
    ]
