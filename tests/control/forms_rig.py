"""Rules in JSON for the tests of forms, conflicts and offline rules: a valid one, and how to spoil it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from growy.control.rules.forms import read_rule
from growy.model.errors import RuleInvalid
from growy.model.rules import Action, Condition, Rule, SensorRef

ESP = "ESP_0A1B2C"
OTHER = "ESP_0A1B2D"
AIR_ID = "11111111-1111-4111-8111-111111111111"
ROOT_ID = "22222222-2222-4222-8222-222222222222"
SENSORS = {AIR_ID: SensorRef(ESP, 68, None, "68"), ROOT_ID: SensorRef(ESP, 4, "ds18b20", "28FF641E8D3C0CDA")}
HOOKS = ("http://192.168.1.5:8123/api/webhook/",)
NOW_MS = 1_780_000_000_000

HOT = {"type": "sensor", "esp_id": ESP, "gpio": 68, "sensor_type": "sht31_temp", "operator": ">", "value": 28}
FAN = {"type": "actuator", "esp_id": ESP, "gpio": 18, "command": "ON", "value": 1.0}
RULE: Mapping[str, object] = {"name": "Cool the tent", "conditions": [HOT], "actions": [FAN]}


def read(
    document: Mapping[str, object],
    *,
    resolve: Callable[[str], SensorRef | None] = SENSORS.get,
    webhooks: tuple[str, ...] | None = HOOKS,
    id: str = "r1",
) -> Rule:
    return read_rule(document, id=id, now_ms=NOW_MS, resolve=resolve, webhooks=webhooks)


def rule(**fields: object) -> Rule:
    return read({**RULE, **fields})


def condition(said: object) -> Condition:
    return rule(conditions=said).condition


def action(said: object) -> Action:
    return rule(actions=[said]).actions[0]


def faults(**fields: object) -> list[str]:
    """Of the valid rule with other fields."""
    return faults_of({**RULE, **fields})


def faults_of(document: Mapping[str, object]) -> list[str]:
    try:
        read(document)
    except RuleInvalid as error:
        found = error.details["faults"]
        assert isinstance(found, list)
        assert found
        return found
    return []


def without(said: Mapping[str, object], *names: str, **changes: object) -> dict[str, object]:
    return {name: value for name, value in {**said, **changes}.items() if name not in names}
