"""Rule templates: every one becomes a rule that growyd can run, and wrong parameters are all named."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from growy.control.rules.forms import read_rule
from growy.control.rules.templates import TEMPLATES, Kind, Parameter, Template, instantiate, need
from growy.model.control import ActuatorKey
from growy.model.errors import Invalid, NotFound, RuleInvalid
from growy.model.rules import Freshness, Hysteresis, Photoperiod, Rule, SensorRef, Switch, Threshold

ESP = "ESP_12AB34CD"


def read(document: Mapping[str, object]) -> Rule:
    return read_rule(document, id="r", now_ms=0, resolve=lambda _: None, webhooks=())


def least(template: Template) -> dict[str, object]:
    """What a template cannot do without."""
    example = {Kind.SENSOR: f"{ESP}:68", Kind.ACTUATOR: f"{ESP}:18"}
    return {one.name: example[one.kind] for one in template.parameters if one.required}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda one: one.id)
def test_every_template_becomes_a_rule_that_can_run(template: Template) -> None:
    document = instantiate(template.id, least(template))
    rule = read(document)

    assert rule.name.startswith(template.name.split()[0])
    assert "{" not in rule.name + rule.description


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda one: one.id)
def test_every_parameter_is_described_and_used(template: Template) -> None:
    for parameter in template.parameters:
        assert parameter.description
        assert f"{{{parameter.name}}}" in str(template.document)
    assert len({one.name for one in template.parameters}) == len(template.parameters)


BOUNDS = [
    (template, parameter.name, bound, beyond)
    for template in TEMPLATES
    for parameter in template.parameters
    for bound, beyond in ((parameter.at_least, -1.0), (parameter.at_most, 1.0))
    if bound is not None
]
PAIRS = ("heater", "vent", "humidifier")
"""Templates whose numbers must also fit each other: the reader of rules judges that."""


@pytest.mark.parametrize(
    ("template", "name", "bound"),
    [(template, name, bound) for template, name, bound, _ in BOUNDS if template.id not in PAIRS],
)
def test_what_its_bounds_allow_can_run(template: Template, name: str, bound: float) -> None:
    assert read(instantiate(template.id, {**least(template), name: bound}))


@pytest.mark.parametrize(("template", "name", "bound", "beyond"), BOUNDS)
def test_what_is_beyond_its_bounds_is_refused(
    template: Template, name: str, bound: float, beyond: float
) -> None:
    with pytest.raises(Invalid, match=name):
        instantiate(template.id, {**least(template), name: bound + beyond})


@pytest.mark.parametrize("template", PAIRS)
def test_thresholds_that_cross_are_refused_by_whoever_reads_the_rule(template: str) -> None:
    names = [one.name for one in need(template).parameters if one.kind is Kind.NUMBER]
    document = instantiate(template, {**least(need(template)), **dict.fromkeys(names, 3.0)})
    with pytest.raises(RuleInvalid, match=r"must be (less|more) than"):
        read(document)


def test_a_heater_is_a_hysteresis_with_what_was_said() -> None:
    rule = read(
        instantiate(
            "heater", {"sensor": f"{ESP}:68", "actuator": f"{ESP}:18", "on_below": 16, "off_above": "17.5"}
        )
    )

    assert rule.condition == Hysteresis(
        sensor=SensorRef(ESP, 68, "sht31_temp"), on_below=16.0, off_above=17.5
    )
    assert rule.actions == (Switch(actuator=ActuatorKey(ESP, 18)),)
    assert (rule.name, rule.description) == (
        f"Heater {ESP}:18",
        "Heats below 16 °C, until it is warmer than 17.5 °C",
    )


def test_irrigation_is_a_pulse_that_is_limited() -> None:
    rule = read(
        instantiate(
            "irrigation",
            {
                "sensor": {"esp_id": ESP, "gpio": 34, "sensor_type": "soil_moisture"},
                "actuator": {"esp_id": "ESP_77EE66FF", "gpio": 25},
                "pulse_s": 12,
            },
        )
    )

    assert isinstance(rule.condition, Threshold)
    assert rule.condition.sensor == SensorRef(ESP, 34, "soil_moisture")
    assert rule.actions == (Switch(actuator=ActuatorKey("ESP_77EE66FF", 25), duration_s=12.0),)
    assert (rule.cooldown_s, rule.max_per_hour) == (900.0, 3)


def test_light_and_alarm_mean_what_they_say() -> None:
    light = read(instantiate("light", {"actuator": f"{ESP}:25", "on_time": "5:30", "ramp_minutes": 30}))
    alarm = read(instantiate("sensor-alarm", {"sensor": f"{ESP}:4/ds18b20@28FF641E8D3C0CDA", "silent_s": 90}))

    assert light.actions == (
        Photoperiod(
            actuator=ActuatorKey(ESP, 25), on_min=330, light_min=1080, ramp_min=30, timezone="Europe/Berlin"
        ),
    )
    assert alarm.condition == Freshness(
        sensor=SensorRef(ESP, 4, "ds18b20", "28FF641E8D3C0CDA"), max_age_s=90.0, stale=True
    )


def test_all_wrong_parameters_are_named_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        instantiate("light", {"on_time": "25:00", "light_hours": True, "timezone": "", "lamp": f"{ESP}:18"})

    assert [fault.split(":")[0] for fault in caught.value.details["faults"]] == [
        *("parameters.actuator", "parameters.on_time", "parameters.light_hours", "parameters.timezone"),
        "parameters.lamp",
    ]


@pytest.mark.parametrize(
    "said", ["", "ESP_12AB34CD", 18, {"esp_id": ESP}, {"esp_id": ESP, "gpio": True}, [ESP, 18]]
)
def test_what_is_no_actuator(said: object) -> None:
    with pytest.raises(Invalid, match=r"parameters\.actuator.*ESP_12AB34CD:18"):
        instantiate("light", {"actuator": said})


def test_an_unknown_template_names_those_there_are() -> None:
    with pytest.raises(NotFound, match="irrigation"):
        instantiate("sauna", {})


def test_a_default_of_a_parameter_is_itself_within_its_bounds() -> None:
    def fits(one: Parameter) -> bool:
        if not isinstance(one.default, float) or one.at_least is None or one.at_most is None:
            return True
        return one.at_least <= one.default <= one.at_most

    assert all(fits(one) for template in TEMPLATES for one in template.parameters)
