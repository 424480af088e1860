"""Conditions in every spelling that clients use; and what could never hold is refused with its path."""

from __future__ import annotations

from typing import get_args

import pytest
from forms_rig import AIR_ID, ESP, HOT, OTHER, ROOT_ID, condition, faults, read, rule, without

from growy.control.rules.forms import CONDITION_TYPES
from growy.control.rules.forms_conditions import REFUSED
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
    SensorRef,
    Threshold,
    TimeWindow,
)

AIR = SensorRef(ESP, 68, "sht31_temp")
HOT_READ = Threshold(sensor=AIR, operator=Operator.GT, value=28.0)
NIGHT = {"type": "time", "start_hour": 22, "end_hour": 6}
NIGHT_READ = TimeWindow(start_min=22 * 60, end_min=6 * 60)
COOL = {
    "type": "hysteresis",
    "esp_id": ESP,
    "gpio": 68,
    "sensor_type": "sht31_temp",
    "activate_above": 28,
    "deactivate_below": 24,
}


def test_every_condition_of_the_model_can_be_written_and_nothing_else() -> None:
    assert set(CONDITION_TYPES.values()) == set(get_args(Condition))
    assert not set(CONDITION_TYPES) & set(REFUSED)


@pytest.mark.parametrize("name", sorted(CONDITION_TYPES))
def test_every_type_in_the_table_has_a_reader(name: str) -> None:
    known = faults(conditions=[{"type": name}])

    assert not any(fault.startswith("conditions[0].type") for fault in known)


# --- sensors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sensor", "sensor_threshold", "SENSOR"])
def test_a_threshold(name: str) -> None:
    assert condition([without(HOT, type=name)]) == HOT_READ


@pytest.mark.parametrize("operator", list(Operator))
def test_every_operator(operator: Operator) -> None:
    read_as = condition([without(HOT, operator=operator.value)])

    assert read_as == Threshold(sensor=AIR, operator=operator, value=28.0)


def test_a_sensor_type_in_any_case() -> None:
    assert condition([without(HOT, sensor_type="SHT31_Temp")]) == HOT_READ
    assert condition([without(HOT, "sensor_type")]) == Threshold(
        sensor=SensorRef(ESP, 68), operator=Operator.GT, value=28.0
    )


def test_all_that_a_threshold_may_say() -> None:
    said = without(
        HOT,
        value="28.5",
        zone_id="tent_1",
        subzone_id="bench_a",
        require_fresh_data=True,
        max_age_seconds="5m",
        i2c_address=68,
        sensor_name="Air",
    )

    assert condition([said]) == Threshold(
        sensor=SensorRef(ESP, 68, "sht31_temp", "68"),
        operator=Operator.GT,
        value=28.5,
        max_age_s=300.0,
        zone_id="tent_1",
        subzone_id="bench_a",
    )


@pytest.mark.parametrize(
    ("field", "said", "address"),
    [
        ("i2c_address", "0x44", "68"),
        ("address", 69, "69"),
        ("onewire_address", "28ff641e8d3c0cda", "28FF641E8D3C0CDA"),
        ("onewire_address", "", None),
    ],
)
def test_addresses(field: str, said: object, address: str | None) -> None:
    read_as = condition([{**HOT, field: said}])

    assert isinstance(read_as, Threshold)
    assert read_as.sensor.address == address


@pytest.mark.parametrize(
    "said",
    [
        {**HOT, "operator": "between", "min": 20, "max": 25, "value": None},
        {**HOT, "operator": "Between", "min": 25, "max": 20},
        {**without(HOT, "operator", "value"), "type": "between", "min": 20, "max": 25},
    ],
)
def test_between_in_either_order(said: object) -> None:
    assert condition([said]) == Between(sensor=AIR, low=20.0, high=25.0)


def test_a_sensor_by_its_id() -> None:
    said = {"type": "sensor", "sensor_id": AIR_ID, "sensor_type": "sht31_temp", "operator": "<", "value": 0}

    assert condition([said]) == Threshold(
        sensor=SensorRef(ESP, 68, "sht31_temp", "68"), operator=Operator.LT, value=0.0
    )


def test_a_sensor_in_an_object_of_its_own() -> None:
    said = {"type": "freshness", "sensor": {"esp_id": "MOCK_A1", "gpio": 4}, "stale": True}

    assert condition([said]) == Freshness(sensor=SensorRef("MOCK_A1", 4), stale=True)


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        ({"value": None}, "value", "is missing"),
        ({"value": "warm"}, "value", "must be a number"),
        ({"value": True}, "value", "must be a number"),
        ({"value": "nan"}, "value", "must be a number"),
        ({"operator": None}, "operator", "is missing; one of >, >=, <, <=, ==, !=, between"),
        ({"operator": "gt"}, "operator", "must be one of >"),
        ({"operator": "between"}, "min", "is missing"),
        ({"operator": "between", "min": 3}, "max", "is missing"),
        ({"esp_id": None}, "esp_id", "is missing"),
        ({"esp_id": "esp_0a1b2c"}, "esp_id", "must be like ESP_0A1B2C"),
        ({"esp_id": "ESP_0A1B2C/#"}, "esp_id", "must be like"),
        ({"esp_id": "ESP_0A1B2C9FF"}, "esp_id", "must be like"),
        ({"esp_id": 7}, "esp_id", "must be a text"),
        ({"gpio": None}, "gpio", "is missing"),
        ({"gpio": 256}, "gpio", "must be 0 to 255"),
        ({"gpio": -1}, "gpio", "must be 0 to 255"),
        ({"gpio": 4.5}, "gpio", "must be a whole number"),
        ({"sensor_type": "sht31 temp"}, "sensor_type", "no sensor type"),
        ({"max_age_seconds": 0}, "max_age_seconds", "must be 1 to"),
        ({"max_age_seconds": "soon"}, "max_age_seconds", "90s, 5m"),
        ({"address": "0xZZ"}, "address", "no address"),
    ],
)
def test_a_threshold_that_could_never_be_judged(change: dict[str, object], path: str, reason: str) -> None:
    (fault,) = [each for each in faults(conditions=[{**HOT, **change}]) if f".{path}:" in each]

    assert fault.startswith(f"conditions[0].{path}: ")
    assert reason in fault


def test_a_field_that_is_mistyped_is_not_passed_over() -> None:
    assert faults(conditions=[{**HOT, "max_age_second": 60}]) == [
        "conditions[0].max_age_second: is no field; is max_age_seconds meant?"
    ]


def test_a_field_that_some_client_keeps_for_itself_is_passed_over() -> None:
    assert condition([{**HOT, "x": 120, "y": 60, "color": "red", "sensor_name": "Air"}]) == HOT_READ


# --- hysteresis ---------------------------------------------------------------------------------------------------


def test_hysteresis_for_cooling_and_for_heating() -> None:
    assert condition([COOL]) == Hysteresis(sensor=AIR, on_above=28.0, off_below=24.0)
    heat = without(COOL, "activate_above", "deactivate_below", activate_below=18, deactivate_above=22)
    assert condition([heat]) == Hysteresis(sensor=AIR, on_below=18.0, off_above=22.0)
    nulls = {**COOL, "activate_below": None, "deactivate_above": None}
    assert condition([nulls]) == Hysteresis(sensor=AIR, on_above=28.0, off_below=24.0)


@pytest.mark.parametrize(
    ("thresholds", "fault"),
    [
        ({}, "conditions[0]: has no thresholds"),
        ({"activate_above": 28}, "conditions[0].deactivate_below: is missing"),
        ({"deactivate_below": 24}, "conditions[0].activate_above: is missing"),
        ({"activate_below": 18}, "conditions[0].deactivate_above: is missing"),
        ({"deactivate_above": 22}, "conditions[0].activate_below: is missing"),
        (
            {"activate_above": 24, "deactivate_below": 24},
            "conditions[0].activate_above: is 24, and must be more",
        ),
        (
            {"activate_above": 20, "deactivate_below": 24},
            "conditions[0].activate_above: is 20, and must be more",
        ),
        (
            {"activate_below": 22, "deactivate_above": 18},
            "conditions[0].activate_below: is 22, and must be less",
        ),
        (
            {"activate_above": 28, "deactivate_below": 24, "activate_below": 18, "deactivate_above": 22},
            "conditions[0]: has both pairs",
        ),
        ({"activate_above": 28, "deactivate_below": "low"}, "conditions[0].deactivate_below: is 'low'"),
    ],
)
def test_hysteresis_that_could_not_work(thresholds: dict[str, object], fault: str) -> None:
    said = {**without(COOL, "activate_above", "deactivate_below"), **thresholds}
    (found,) = faults(conditions=[said])

    assert found.startswith(fault)


# --- time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        NIGHT,
        {**NIGHT, "type": "time_window", "start_minute": 0, "end_minute": None},
        {"type": "time_window", "start_time": "22:00", "end_time": "6:00"},
        {"type": "time_window", "start_time": "22:00:00", "end_hour": 6, "timezone": "UTC"},
        {**NIGHT, "start_time": "22:00", "end_time": "06:00"},
        {**NIGHT, "days_of_week": [0, 1, 2, 3, 4, 5, 6], "timezone": ""},
    ],
)
def test_a_time_window(said: object) -> None:
    assert condition([said]) == NIGHT_READ


def test_a_time_window_on_some_days_in_a_zone() -> None:
    said = {**NIGHT, "end_minute": 30, "days_of_week": ["Mon", "sunday", 2, "3"], "timezone": "Europe/Berlin"}

    assert condition([said]) == TimeWindow(
        start_min=22 * 60, end_min=6 * 60 + 30, days=frozenset({0, 2, 3, 6}), timezone="Europe/Berlin"
    )


def test_a_whole_day_ends_at_24() -> None:
    assert condition([{"type": "time", "start_hour": 0, "end_hour": 24}]) == TimeWindow(
        start_min=0, end_min=1440
    )
    assert condition([{"type": "time", "start_time": "00:00", "end_time": "24:00"}]) == TimeWindow(
        start_min=0, end_min=1440
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"days_of_week": []}, "conditions[0].days_of_week: is empty"),
        ({"days_of_week": [7]}, "conditions[0].days_of_week[0]: is 7"),
        ({"days_of_week": [0, "Someday"]}, "conditions[0].days_of_week[1]: is 'Someday'"),
        ({"days_of_week": 3}, "conditions[0].days_of_week: is 3, and must be a list"),
        ({"end_hour": 22}, "conditions[0]: begins when it ends"),
        ({"start_hour": 24}, "conditions[0].start_hour: is 24"),
        ({"end_hour": 24, "end_minute": 1}, "conditions[0].end_minute: must be 0"),
        ({"start_hour": None}, "conditions[0].start_hour: is missing; or start_time"),
        ({"start_time": "22:30"}, "conditions[0].start_time: says something else"),
        ({"start_time": "22:60", "start_hour": None}, "conditions[0].start_time: is '22:60'"),
        ({"start_time": "24:00", "start_hour": None}, "conditions[0].start_time: is '24:00'"),
        ({"start_time": "22:00:30", "start_hour": None}, "conditions[0].start_time: is '22:00:30'"),
        ({"timezone": "Mars/Olympus"}, "conditions[0].timezone: 'Mars/Olympus' is no time zone"),
        ({"timezone": 1}, "conditions[0].timezone: is 1, and must be a text"),
    ],
)
def test_a_time_window_that_could_never_open(change: dict[str, object], fault: str) -> None:
    (found,) = faults(conditions=[{**NIGHT, **change}])

    assert found.startswith(fault)


# --- differences, slopes, freshness -------------------------------------------------------------------------------

DIFF = {"type": "sensor_diff", "sensor_a_id": ROOT_ID, "sensor_b_id": AIR_ID, "operator": ">", "value": 3}
DIFF_READ = Difference(
    a=SensorRef(ESP, 4, "ds18b20", "28FF641E8D3C0CDA"),
    b=SensorRef(ESP, 68, "sht31_temp", "68"),
    operator=Operator.GT,
    value=3.0,
)


@pytest.mark.parametrize(
    "said",
    [
        {**DIFF, "sensor_b_type": "sht31_temp"},
        {
            "type": "sensor_diff",
            "sensor_a_uuid": ROOT_ID,
            "sensor_b_uuid": AIR_ID,
            "sensor_type": "sht31_temp",
            "operator": ">",
            "threshold": 3,
        },
        {
            **without(DIFF, "sensor_a_id", "sensor_b_id"),
            "sensor_a": {"esp_id": ESP, "gpio": 4, "sensor_type": "DS18B20", "address": "28FF641E8D3C0CDA"},
            "sensor_b": {"esp_id": ESP, "gpio": 68, "sensor_type": "sht31_temp", "i2c_address": 68},
        },
    ],
)
def test_a_difference(said: object) -> None:
    assert condition([said]) == DIFF_READ


def test_a_difference_that_must_last_for_some_samples() -> None:
    read_as = condition([{**DIFF, "consecutive_count": 5}])

    assert isinstance(read_as, Difference)
    assert read_as.consecutive == 5


def test_what_an_id_meant_is_kept_for_when_the_sensor_is_gone() -> None:
    written = rule(conditions=[{**DIFF, "sensor_b_type": "sht31_temp"}])

    again = read(written.document, resolve=lambda sensor_id: None)

    assert again.condition == written.condition == DIFF_READ


def test_what_an_id_meant_does_not_outlive_the_id() -> None:
    kept = rule(conditions=[DIFF]).document["conditions"]
    assert isinstance(kept, list)
    changed = {**kept[0], "sensor_a_id": "33333333-3333-4333-8333-333333333333"}

    assert faults(conditions=[changed]) == [
        "conditions[0].sensor_a_id: is '33333333-3333-4333-8333-333333333333', and no sensor has this id"
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"sensor_b_id": ROOT_ID}, "conditions[0].sensor_b_id: is the same sensor"),
        ({"sensor_b_id": None}, "conditions[0].sensor_b_id: is missing"),
        ({"sensor_a_id": "nobody"}, "conditions[0].sensor_a_id: is 'nobody', and no sensor has this id"),
        ({"value": None}, "conditions[0].value: is missing"),
        ({"operator": "between"}, "conditions[0].operator: is 'between'"),
        ({"consecutive_count": 0}, "conditions[0].consecutive_count: is 0"),
        ({"consecutive_count": 101}, "conditions[0].consecutive_count: is 101"),
    ],
)
def test_a_difference_that_could_never_be_judged(change: dict[str, object], fault: str) -> None:
    (found,) = faults(conditions=[{**DIFF, **change}])

    assert found.startswith(fault)


def test_a_slope() -> None:
    said = {
        **without(HOT, "value"),
        "type": "rate_of_change",
        "per_minute": -0.5,
        "operator": "<",
        "window": "10m",
    }

    assert condition([said]) == RateOfChange(sensor=AIR, operator=Operator.LT, per_min=-0.5, window_s=600.0)
    assert faults(conditions=[{**said, "window": 5}]) == [
        "conditions[0].window: is 5, and must be 10 to 86400"
    ]


def test_freshness() -> None:
    said = {"type": "freshness", "esp_id": ESP, "gpio": 68, "sensor_type": "sht31_temp", "max_age": "10min"}

    assert condition([said]) == Freshness(sensor=AIR, max_age_s=600.0)


# --- of other conditions ------------------------------------------------------------------------------------------


def test_a_list_is_joined_by_the_rules_operator() -> None:
    assert rule(conditions=[HOT, NIGHT]).condition == All(conditions=(HOT_READ, NIGHT_READ))
    assert rule(conditions=[HOT, NIGHT], logic_operator="or").condition == AnyOf(
        conditions=(HOT_READ, NIGHT_READ)
    )
    assert rule(conditions=[HOT], logic_operator="OR").condition == HOT_READ


def test_a_single_condition_and_a_compound_stand_for_a_list() -> None:
    assert condition(HOT) == HOT_READ
    either = rule(conditions={"logic": "OR", "conditions": [HOT, NIGHT]})

    assert either.condition == AnyOf(conditions=(HOT_READ, NIGHT_READ))
    assert either.document["conditions"] == [HOT, NIGHT]
    assert either.document["logic_operator"] == "OR"


def test_what_holds_for_a_time_is_no_list() -> None:
    held = rule(conditions={"logic": "OR", "conditions": [HOT, NIGHT], "for": 60})

    assert held.condition == HeldFor(condition=AnyOf(conditions=(HOT_READ, NIGHT_READ)), seconds=60.0)


@pytest.mark.parametrize("kind", [{}, {"type": "compound"}, {"type": "composite"}, {"type": "group"}])
def test_compounds_in_compounds(kind: dict[str, object]) -> None:
    inner = {**kind, "logic": "or", "conditions": [HOT, NIGHT]}

    assert condition([COOL, inner]) == All(
        conditions=(
            Hysteresis(sensor=AIR, on_above=28.0, off_below=24.0),
            AnyOf(conditions=(HOT_READ, NIGHT_READ)),
        )
    )


@pytest.mark.parametrize(
    "said",
    [
        {"logic": "NOT", "conditions": [HOT]},
        {"type": "not", "condition": HOT},
        {"type": "not", "conditions": [HOT]},
    ],
)
def test_not(said: object) -> None:
    assert condition([said]) == Not(condition=HOT_READ)
    assert condition(said) == Not(condition=HOT_READ)


@pytest.mark.parametrize("said", [{"for": "5m"}, {"for_seconds": 300}, {"held_seconds": "300"}])
def test_a_condition_that_must_hold_for_a_time(said: dict[str, object]) -> None:
    assert condition([{**HOT, **said}]) == HeldFor(condition=HOT_READ, seconds=300.0)
    assert condition([{"type": "held_for", "condition": HOT, **said}]) == HeldFor(
        condition=HOT_READ, seconds=300.0
    )


def test_a_condition_that_must_hold_for_no_time_holds_at_once() -> None:
    assert condition([{**HOT, "for": 0}]) == HOT_READ


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("1.5 h", 5400), ("2d", 172_800), ("500ms", 0.5)]
)
def test_durations_as_text(text: str, seconds: float) -> None:
    assert condition([{**HOT, "for": text}]) == HeldFor(condition=HOT_READ, seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "5 fortnights", "5m!", "-5m", [5], True, 700_000, "8d"])
def test_what_is_no_duration(text: object) -> None:
    found = faults(conditions=[{**HOT, "for": text}])

    assert (found == []) is (text == "5")


def test_always() -> None:
    assert condition([{"type": "always"}]) == Always()


def nested(depth: int) -> dict[str, object]:
    said: dict[str, object] = HOT
    for _ in range(depth - 1):
        said = {"logic": "AND", "conditions": [said, NIGHT]}
    return said


def test_nesting_has_an_end() -> None:
    assert faults(conditions=[nested(8)]) == []
    assert any("nested more than 8 deep" in fault for fault in faults(conditions=[nested(9)]))
    (fault,) = faults(conditions=[nested(5000)])
    assert "is not JSON" in fault or "nested" in fault


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ([], "conditions: is empty"),
        (None, "conditions: is missing"),
        ("always", "conditions: is 'always', and must be a list"),
        ([7], "conditions[0]: is 7, and must be an object"),
        ([HOT] * 11, "conditions: has 11 entries, and may have 10"),
        ([{}], "conditions[0].type: is missing; one of sensor,"),
        ([{"type": "moon_phase"}], "conditions[0].type: is moon_phase, which is no condition"),
        ([{"type": "cooldown"}], "conditions[0].type: is cooldown: a pause between two executions"),
        (
            [{"type": "diagnostics_status"}],
            "conditions[0].type: is diagnostics_status: growyd makes no diagnostic",
        ),
        ([{"logic": "XOR", "conditions": [HOT]}], "conditions[0].logic: is 'XOR'"),
        ([{"type": "compound", "conditions": [HOT]}], "conditions[0].logic: is missing"),
        ([{"logic": "AND", "conditions": []}], "conditions[0].conditions: is empty"),
        (
            [{"logic": "NOT", "conditions": [HOT, HOT]}],
            "conditions[0].conditions: has several, and NOT takes one",
        ),
        ([{"type": "not"}], "conditions[0].condition: is missing"),
        ([{"type": "held_for", "condition": HOT}], "conditions[0].seconds: is missing"),
        ([{"logic": "AND", "conditions": [HOT] * 21}], "conditions[0].conditions: has 21 entries"),
    ],
)
def test_conditions_that_are_none(said: object, fault: str) -> None:
    assert faults(conditions=said)[0].startswith(fault)


def test_a_rule_has_a_hundred_conditions_at_most() -> None:
    full = {"logic": "OR", "conditions": [HOT] * 20}

    assert faults(conditions=[full] * 4) == []
    assert len([fault for fault in faults(conditions=[full] * 9) if "100" in fault]) == 1


def test_all_faults_are_said_at_once_each_with_its_path() -> None:
    spoilt = [
        without(HOT, "value"),
        {
            "logic": "AND",
            "conditions": [NIGHT, without(COOL, "activate_above"), {**HOT, "esp_id": OTHER[:-3]}],
        },
    ]

    assert [fault.partition(":")[0] for fault in faults(conditions=spoilt)] == [
        "conditions[0].value",
        "conditions[1].conditions[1].activate_above",
        "conditions[1].conditions[2].esp_id",
    ]
