"""Whatever is to be told to a device reaches it in documents that the firmware can take, and every item once."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.model.errors import ConfigTooLarge, Invalid
from growy.wire.config_document import (
    MAX_CHARACTERS,
    MAX_NODES,
    Document,
    Scope,
    budget_of,
    first_document,
    refuse_too_large,
)
from growy.wire.limits import nodes

Keyed = tuple[str, dict[str, object]]

FULL_RULE: dict[str, object] = {
    "actuator_gpio": 18,
    "sensor_gpio": 118,
    "sensor_value_type": "bme280_pressure_and_more",
    "activate_below": -12345.678901234567,
    "deactivate_above": -12345.678901234567,
    "current_state_active": False,
    "time_filter": {
        "enabled": True,
        "start_hour": 22,
        "start_minute": 30,
        "end_hour": 24,
        "end_minute": 59,
        "days_of_week_mask": 126,
        "timezone": "Europe/Berlin",
    },
}


def sensor(number: int, name: str = "Air") -> Keyed:
    item: dict[str, object] = {
        "gpio": number,
        "sensor_type": "sht31",
        "sensor_name": name,
        "i2c_address": number,
    }
    return f"s:{number}:{number}", item


def actuator(number: int, name: str = "Vent") -> Keyed:
    return f"a:{number}", {"gpio": number, "actuator_type": "relay", "actuator_name": name}


def document(
    sensors: Sequence[Keyed] = (),
    actuators: Sequence[Keyed] = (),
    rules: tuple[str, list[dict[str, object]]] | None = None,
    correlation_id: str = "cfg-77",
) -> Document:
    return first_document(correlation_id, sensors=sensors, actuators=actuators, rules=rules)


def body(sent: Document) -> dict[str, list[dict[str, object]]]:
    parsed: dict[str, list[dict[str, object]]] = json.loads(sent.payload)
    return parsed


def test_everything_that_fits_travels_together() -> None:
    sent = document([sensor(68)], [actuator(18)], ("r", [{"actuator_gpio": 18}]))

    assert sent.payload == (
        b'{"correlation_id":"cfg-77","intent_id":"cfg-77",'
        b'"sensors":[{"gpio":68,"sensor_type":"sht31","sensor_name":"Air","i2c_address":68}],'
        b'"actuators":[{"gpio":18,"actuator_type":"relay","actuator_name":"Vent"}],'
        b'"offline_rules":[{"actuator_gpio":18}]}'
    )
    assert sent.keys == ("s:68:68", "a:18", "r")
    assert sent.scopes == {Scope.SENSOR, Scope.ACTUATOR, Scope.OFFLINE_RULES}


def test_a_scope_without_news_is_left_out() -> None:
    sent = document(actuators=[actuator(18)])

    assert set(body(sent)) == {"correlation_id", "intent_id", "actuators"}
    assert sent.scopes == {Scope.ACTUATOR}


def test_an_empty_list_of_rules_clears_those_of_the_device() -> None:
    sent = document(rules=("r", []))

    assert body(sent)["offline_rules"] == []
    assert (sent.keys, sent.scopes) == (("r",), {Scope.OFFLINE_RULES})


def test_what_is_too_much_together_is_split_by_scope() -> None:
    sensors = [sensor(number, "n" * 60) for number in range(40, 58)]
    actuators = [actuator(number, "n" * 60) for number in range(10)]
    rules = ("r", [FULL_RULE] * 6)

    first = document(sensors, actuators, rules)
    second = document((), actuators, rules)
    third = document((), (), rules)

    assert (first.scopes, first.keys) == ({Scope.SENSOR}, tuple(key for key, _ in sensors))
    assert second.scopes in ({Scope.ACTUATOR}, {Scope.ACTUATOR, Scope.OFFLINE_RULES})
    assert third.keys == ("r",)


def test_a_scope_larger_than_a_document_is_filled_up_in_its_order() -> None:
    sensors = [sensor(number, "n" * 64) for number in range(40, 80)]

    sent = document(sensors, [actuator(18)])
    one_more = {"correlation_id": "cfg-77", "intent_id": "cfg-77", "sensors": [item for _, item in sensors]}
    one_more["sensors"] = one_more["sensors"][: len(sent.keys) + 1]  # type: ignore[index]

    assert sent.keys == tuple(key for key, _ in sensors)[: len(sent.keys)]
    assert len(json.dumps(one_more, separators=(",", ":"))) > MAX_CHARACTERS


def test_letters_beyond_ascii_count_with_all_their_bytes() -> None:
    assert len(document([sensor(number, "ü" * 32) for number in range(40, 80)]).keys) == len(
        document([sensor(number, "n" * 64) for number in range(40, 80)]).keys
    )


def test_many_small_values_are_bounded_by_their_number() -> None:
    crowded = [(f"s:{number}", {f"k{key}": 0 for key in range(60)}) for number in range(9)]

    sent = document(crowded)

    assert len(sent.keys) == 7
    assert nodes(json.loads(sent.payload)) <= MAX_NODES < nodes(json.loads(sent.payload)) + 61


def test_the_largest_setup_of_a_board_goes_in_few_documents() -> None:
    """10 sensors and 6 actuators with long names: one scope each."""
    sensors = [sensor(number, "n" * 64) for number in range(60, 70)]
    actuators = [actuator(number, "n" * 64) for number in range(6)]

    assert len(document(sensors, actuators).keys) == 16


# --- firmware of 2025-12 ------------------------------------------------------------------------------------------


def old(
    sensors: Sequence[Keyed] = (), actuators: Sequence[Keyed] = (), **fillers: dict[str, object]
) -> Document:
    return first_document(
        "cfg-1", sensors=sensors, actuators=actuators, rules=None, both_scopes=True, **fillers
    )


def test_old_firmware_is_told_something_of_both_scopes() -> None:
    sent = old([sensor(68)], fill_actuator=actuator(18)[1])

    assert body(sent)["actuators"] == [actuator(18)[1]]
    assert sent.keys == ("s:68:68",)
    assert sent.scopes == {Scope.SENSOR, Scope.ACTUATOR}


def test_old_firmware_without_anything_to_fill_in_is_told_what_there_is() -> None:
    assert old(actuators=[actuator(18)]).scopes == {Scope.ACTUATOR}


def test_a_filler_stays_out_where_there_is_news() -> None:
    sent = old([sensor(68)], [actuator(18)], fill_sensor=sensor(69)[1], fill_actuator=actuator(19)[1])

    assert body(sent)["sensors"] == [sensor(68)[1]]
    assert body(sent)["actuators"] == [actuator(18)[1]]


def test_a_full_document_for_old_firmware_takes_its_company_from_what_is_due() -> None:
    sent = old(
        [sensor(number, "n" * 64) for number in range(40, 80)],
        [actuator(number) for number in (18, 19)],
        fill_actuator=actuator(25)[1],
    )

    assert body(sent)["actuators"] == [actuator(18)[1]]
    assert sent.keys[-1] == "a:18"


def test_newer_firmware_gets_no_filler() -> None:
    sent = first_document(
        "cfg-1", sensors=[sensor(68)], actuators=(), rules=None, fill_actuator=actuator(18)[1]
    )

    assert "actuators" not in body(sent)


# --- the budget ---------------------------------------------------------------------------------------------------


def test_the_budget_of_an_item_is_that_of_a_document_with_the_longest_id() -> None:
    _, item = actuator(18)

    budget = budget_of(item)
    sent = document(actuators=[("a:18", item)], correlation_id="c" * 63)

    assert (budget.characters, budget.nodes, budget.fits) == (
        len(sent.payload),
        nodes(json.loads(sent.payload)),
        True,
    )


@pytest.mark.parametrize("fits", [True, False])
def test_an_item_is_refused_at_the_first_byte_too_many(fits: bool) -> None:
    _, item = actuator(18, "")
    name = "n" * (MAX_CHARACTERS - budget_of(item).characters + (not fits))
    item["actuator_name"] = name

    assert budget_of(item).fits is fits
    if fits:
        refuse_too_large("actuator", item)
        assert len(document(actuators=[("a:18", item)], correlation_id="c" * 63).payload) == MAX_CHARACTERS
    else:
        with pytest.raises(ConfigTooLarge) as caught:
            refuse_too_large("actuator 'Vent'", item)
        assert (caught.value.code, caught.value.numeric_code, caught.value.http_status) == (
            "CONFIG_TOO_LARGE",
            4031,
            400,
        )
        assert "actuator 'Vent'" in caught.value.message
        assert caught.value.details == {
            "characters": 4352,
            "nodes": budget_of(item).nodes,
            "of_characters": 4351,
            "of_nodes": 480,
            "fits": False,
        }


def test_eight_rules_with_everything_fit() -> None:
    refuse_too_large("offline rules", [FULL_RULE] * 8)


def test_a_ninth_rule_is_refused() -> None:
    with pytest.raises(ConfigTooLarge) as caught:
        refuse_too_large("offline rules", [{"actuator_gpio": 18}] * 9)

    assert caught.value.details["rules"] == 9
    with pytest.raises(ConfigTooLarge):
        document(rules=("r", [{"actuator_gpio": 18}] * 9))


def test_an_item_that_fits_no_document_is_named_by_its_key() -> None:
    fine, large = sensor(68), sensor(69, "n" * 5000)

    assert document([fine, large]).keys == ("s:68:68",)
    with pytest.raises(ConfigTooLarge) as caught:
        document([large, fine])
    assert caught.value.details["key"] == "s:69:69"


def test_an_id_that_the_device_would_cut_is_refused() -> None:
    with pytest.raises(Invalid):
        document([sensor(68)], correlation_id="x" * 64)


def test_nothing_makes_no_document() -> None:
    with pytest.raises(ValueError, match="anything"):
        document()


# --- every item arrives, once, in documents that the firmware can take ------------------------------------------------

NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters='"\\'), max_size=64
)
TEXTS = st.one_of(NAMES, st.integers(0, 5000).map(lambda size: "x" * size))


def keyed(prefix: str) -> st.SearchStrategy[list[Keyed]]:
    names = st.lists(TEXTS, max_size=20)
    return names.map(
        lambda found: [
            (f"{prefix}:{n}", {"gpio": n, "type": "t", "name": name}) for n, name in enumerate(found)
        ]
    )


@given(
    keyed("s"),
    keyed("a"),
    st.none() | st.lists(st.just(FULL_RULE), max_size=8).map(lambda rules: ("r", rules)),
    st.booleans(),
)
def test_every_item_reaches_the_device_in_exactly_one_document(
    sensors: list[Keyed],
    actuators: list[Keyed],
    rules: tuple[str, list[dict[str, object]]] | None,
    both: bool,
) -> None:
    keys = {key for key, _ in (*sensors, *actuators)} | ({rules[0]} if rules else set())
    fillers = {"gpio": 1, "type": "t", "name": "filler"}
    arrived: list[str] = []
    refused: set[str] = set()
    turns = 0
    while sensors or actuators or rules is not None:
        turns += 1
        assert turns <= len(keys), "a turn without progress"
        try:
            sent = first_document(
                f"cfg-{turns}",
                sensors=sensors,
                actuators=actuators,
                rules=rules,
                both_scopes=both,
                fill_sensor=fillers,
                fill_actuator=fillers,
            )
        except ConfigTooLarge as error:
            gone = {str(error.details["key"])}
            refused |= gone
            if not both:
                culprit = next(item for key, item in (*sensors, *actuators) if key in gone)
                assert not budget_of(culprit).fits
        else:
            parsed = json.loads(sent.payload)
            assert len(sent.payload) <= MAX_CHARACTERS
            assert nodes(parsed) <= MAX_NODES
            assert not both or (parsed["sensors"] and parsed["actuators"])
            assert not {"generation", "created_at_ms", "ttl_ms"} & set(parsed)
            arrived += sent.keys
            gone = set(sent.keys)
        assert gone
        sensors = [pair for pair in sensors if pair[0] not in gone]
        actuators = [pair for pair in actuators if pair[0] not in gone]
        rules = None if rules and rules[0] in gone else rules
    assert sorted(arrived) == sorted(keys - refused)
