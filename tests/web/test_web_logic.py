"""Rules over HTTP: written, tried, replayed, switched off and on; what they did, and why they do not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rig.desk import ESP, Desk, open_desk

LOGIC = "/api/v1/logic"
RULES = f"{LOGIC}/rules"
DRY = {"type": "sensor", "esp_id": ESP, "gpio": 34, "sensor_type": "ds18b20", "operator": ">", "value": 25}
FAN = {"type": "actuator", "esp_id": ESP, "gpio": 18, "command": "ON"}
VENT: dict[str, Any] = {"name": "Vent", "conditions": [DRY], "actions": [FAN], "cooldown_seconds": 0}
SENSOR = f"{ESP}:34/ds18b20"


@pytest.fixture
async def desk(tmp_path: Path, connect: Any) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, connect) as desk:
        yield desk


async def measured(desk: Desk, celsius: float) -> None:
    await desk.heard("ds18b20", round(celsius * 16), gpio=34, onewire_address="28FF641E8D3C0CDA")


async def test_a_rule_is_in_force_when_it_is_answered_and_acts(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    await measured(desk, 30)
    made = await desk.post(RULES, VENT, status=201)

    assert (made["name"], made["enabled"], made["priority"], made["cooldown_seconds"]) == (
        "Vent",
        True,
        50,
        0,
    )
    assert (made["conditions"], made["actions"], made["logic_operator"]) == ([DRY], [FAN], "AND")
    await desk.until(lambda: esp.outputs.on(18))
    shown = await desk.get(f"{RULES}/{made['id']}")
    assert (shown["situation"]["holds"], shown["situation"]["unknown"], shown["situation"]["active"]) == (
        True,
        False,
        True,
    )
    (result,) = shown["situation"]["condition_results"]
    assert (result["condition_type"], result["result"], result["actual_value"]) == ("sensor", True, 30.0)
    assert (shown["execution_count"], shown["fault"]) == (1, None)
    assert shown["last_triggered"] is not None
    why = (await desk.get(f"/api/v1/actuators/{ESP}/18"))["why"]
    assert (why["rank"], why["holder"]) == ("rule", f"rule:{made['id']}/0")

    await measured(desk, 20)
    await desk.until(lambda: not esp.outputs.on(18))
    assert (await desk.get(f"{RULES}/{made['id']}"))["situation"]["holds"] is False


async def test_a_person_goes_before_a_rule_until_auto(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    await measured(desk, 30)
    await desk.post(RULES, VENT, status=201)
    await desk.until(lambda: esp.outputs.on(18))
    said = await desk.post(f"/api/v1/actuators/{ESP}/18/command", {"command": "OFF"})
    assert (said["acknowledged"], esp.outputs.on(18)) == (True, False)
    assert [one["rank"] for one in said["state"]["claims"]] == ["person", "rule"]

    await desk.post(f"/api/v1/actuators/{ESP}/18/command", {"command": "AUTO"})
    await desk.until(lambda: esp.outputs.on(18))


async def test_rules_are_listed_changed_and_deleted(desk: Desk) -> None:
    first = await desk.post(RULES, {**VENT, "priority": 60}, status=201)
    note = {"type": "notification", "channel": "websocket", "message_template": "{sensor_value}"}
    second = await desk.post(RULES, {**VENT, "name": "Alarm", "actions": [note]}, status=201)
    assert any("No actuator" in warning for warning in first["warnings"])
    listed = await desk.get(RULES)
    assert [one["name"] for one in listed["data"]] == ["Alarm", "Vent"]
    assert listed["pagination"]["total_items"] == 2

    changed = await desk.call("PUT", f"{RULES}/{first['id']}", {"name": "Fan", "priority": 10})
    assert (changed["name"], changed["priority"], changed["conditions"]) == ("Fan", 10, [DRY])
    assert [one["name"] for one in (await desk.get(f"{RULES}?enabled=true&page_size=1"))["data"]] == ["Fan"]

    gone = await desk.delete(f"{RULES}/{second['id']}")
    assert gone["message"] == "Alarm is deleted"
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        said = await desk.call(method, f"{RULES}/{second['id']}", body, 404)
        assert said["error"]["code"] == "RULE_NOT_FOUND"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": "ab"}, "name: "),
        ({"conditions": []}, "conditions: is empty"),
        ({"actions": [{"type": "plugin"}]}, "actions[0].type: is plugin"),
        ({"conditions": [{**DRY, "value": None}]}, "conditions[0].value: is missing"),
        ({"priority": 101}, "priority: is 101"),
    ],
)
async def test_a_rule_that_could_not_run_is_refused_with_every_fault(
    desk: Desk, change: dict[str, Any], fault: str
) -> None:
    said = await desk.post(RULES, {**VENT, **change}, status=400)

    assert said["error"]["code"] == "RULE_VALIDATION_FAILED"
    assert any(one.startswith(fault) for one in said["error"]["details"]["faults"]), said
    assert (await desk.get(RULES))["data"] == []


async def test_a_name_is_taken_and_a_fight_refused(desk: Desk) -> None:
    await desk.post(RULES, VENT, status=201)
    said = await desk.post(RULES, {**VENT, "conditions": [{**DRY, "value": 40}]}, status=409)
    assert said["error"]["code"] == "DUPLICATE"
    never = [{**DRY, "operator": "<", "value": 5}, DRY]
    said = await desk.post(RULES, {**VENT, "name": "Never", "conditions": never}, status=409)
    assert said["error"]["code"] == "RULE_CONFLICT"
    assert "OR" in said["detail"]


async def test_a_rule_that_is_switched_off_lets_go_and_its_state_is_said(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    await measured(desk, 30)
    made = await desk.post(RULES, VENT, status=201)
    await desk.until(lambda: esp.outputs.on(18))
    toggle = f"{RULES}/{made['id']}/toggle"

    said = await desk.post(toggle, {"enabled": False, "reason": "repair"})
    assert (said["enabled"], said["previous_state"], said["rule_name"]) == (False, True, "Vent")
    assert said["message"] == "Vent is now disabled"
    await desk.until(lambda: not esp.outputs.on(18))
    assert (await desk.post(toggle, {"enabled": False}))["message"] == "Vent was disabled already"
    assert (await desk.get(f"{RULES}/{made['id']}"))["situation"]["running"] is False
    await desk.post(toggle, {"enabled": True})
    await desk.until(lambda: esp.outputs.on(18))


async def test_a_rule_without_hands_is_degraded_until_it_has_them(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    esp.vanish()
    await measured(desk, 30)
    made = await desk.post(RULES, {**VENT, "is_critical": True}, status=201)
    (found,) = (await desk.get(f"{LOGIC}/degraded"))["data"]

    assert (found["rule_id"], found["is_critical"], found["rule_name"]) == (made["id"], True, "Vent")
    assert "offline" in found["degraded_reason"]
    assert found["degraded_since"] is not None
    esp.reappear()
    await desk.until(lambda: esp.outputs.on(18))
    assert (await desk.get(f"{LOGIC}/degraded"))["count"] == 0


async def test_what_rules_did_stands_in_their_history(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    made = await desk.post(RULES, VENT, status=201)
    await measured(desk, 30)
    await desk.until(lambda: esp.outputs.on(18))
    await desk.until(lambda: desk.control.book.need(made["id"]).tally.last_success is not None)
    said = await desk.get(f"{LOGIC}/execution_history?rule_id={made['id']}")

    (entry,) = said["entries"]
    assert (entry["rule_name"], entry["success"], said["success_rate"], said["total_count"]) == (
        "Vent",
        True,
        1.0,
        1,
    )
    assert entry["trigger_data"]["sensor_value"] == 30.0
    (action,) = entry["actions_executed"]
    assert action["result"] == "acknowledged"
    assert (await desk.get(f"{LOGIC}/execution_history?success=false"))["entries"] == []
    nothing = await desk.get(f"{LOGIC}/execution_history?end_time=1760000000")
    assert (nothing["total_count"], nothing["success_rate"]) == (0, None)


async def test_a_rule_is_tried_on_made_up_values(desk: Desk) -> None:
    await desk.new_esp()
    await desk.actuator()
    await measured(desk, 20)
    made = await desk.post(RULES, VENT, status=201)
    test = f"{RULES}/{made['id']}/test"

    warm = await desk.post(test, {"mock_sensor_values": {SENSOR: 30}})
    assert (warm["would_trigger"], warm["rule_name"], warm["dry_run"]) == (True, "Vent", True)
    (condition,) = warm["condition_results"]
    assert (condition["condition_type"], condition["result"], condition["actual_value"]) == (
        "sensor",
        True,
        30.0,
    )
    (action,) = warm["action_results"]
    assert (action["action_type"], action["would_execute"], action["dry_run"]) == ("actuator", True, True)
    as_it_is = await desk.post(test, {})
    assert (as_it_is["would_trigger"], as_it_is["condition_results"][0]["actual_value"]) == (False, 20.0)
    # A try leaves nothing behind.
    assert (await desk.get(f"{RULES}/{made['id']}"))["situation"]["holds"] is False
    assert desk.air.to(ESP, "actuator/18/command") == []


async def test_a_trial_that_is_not_dry_switches_for_a_while_and_asks_the_gate(desk: Desk) -> None:
    esp = await desk.new_esp()
    await desk.actuator()
    made = await desk.post(RULES, {**VENT, "enabled": False}, status=201)
    test = f"{RULES}/{made['id']}/test"
    wet = {"mock_sensor_values": {SENSOR: 30}, "dry_run": False}
    said = await desk.post(test, wet)
    assert (said["would_trigger"], said["dry_run"], said["action_results"][0]["dry_run"]) == (
        True,
        False,
        False,
    )
    await desk.until(lambda: esp.outputs.on(18))
    await desk.until(lambda: not esp.outputs.on(18))  # ten seconds later

    await desk.control.stop(reason="test", by="test")
    said = await desk.post(test, wet)
    assert said["action_results"][0]["would_execute"] is False
    assert "EMERGENCY_STOP_ACTIVE" in said["action_results"][0]["details"]
    assert not esp.outputs.on(18)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"mock_sensor_values": {f"{ESP}:99": 1}}, "no sensor of the rule"),
        ({"mock_sensor_values": {SENSOR: "warm"}}, "mock_sensor_values"),
        ({"mock_time": "noon"}, "no time"),
    ],
)
async def test_what_cannot_be_made_up(desk: Desk, body: dict[str, Any], why: str) -> None:
    made = await desk.post(RULES, VENT, status=201)
    said = await desk.post(f"{RULES}/{made['id']}/test", body, status=400)
    assert why in said["detail"]


async def test_a_rule_that_is_not_stored_is_tried_at_another_time(desk: Desk) -> None:
    window = {"type": "time", "start_time": "22:00", "end_time": "06:00"}
    rule = {**VENT, "conditions": [DRY, window]}
    body = {"rule": rule, "mock_sensor_values": {f"{ESP}:34": 30}}
    night = await desk.post(f"{LOGIC}/test", {**body, "mock_time": "23:30"})
    noon = await desk.post(f"{LOGIC}/test", {**body, "mock_time": "12:00"})
    blind = await desk.post(f"{LOGIC}/test", {"rule": rule, "mock_time": "23:30"})

    assert (night["would_trigger"], noon["would_trigger"], blind["would_trigger"]) == (True, False, False)
    assert [one["result"] for one in noon["condition_results"]] == [True, False]
    assert blind["condition_results"][0]["result"] is None
    assert (await desk.get(RULES))["data"] == []
    wrong = await desk.post(f"{LOGIC}/test", {"rule": {**rule, "conditions": []}}, status=400)
    assert wrong["error"]["code"] == "RULE_VALIDATION_FAILED"
    missing = await desk.post(f"{LOGIC}/test", {}, status=400)
    assert "rule: is missing" in missing["detail"]


async def test_rules_are_replayed_on_what_was_stored(desk: Desk) -> None:
    await desk.new_esp()
    await desk.actuator()
    begin = desk.bench.clock_ms
    for minute in range(60):
        desk.bench.clock_ms = begin + minute * 60_000
        await measured(desk, 30 if 10 <= minute < 40 else 20)
    made = await desk.post(RULES, {**VENT, "enabled": False}, status=201)
    span = {"from": begin, "to": begin + 3_600_000}
    said = await desk.post(
        f"{LOGIC}/replay", {**span, "rule_ids": [made["id"]], "rules": [{**VENT, "name": "Other"}]}
    )

    assert said["readings"] == 60
    assert [one["rule_name"] for one in said["rules"]] == ["Vent", "Other"]
    vent = said["rules"][0]
    assert (vent["executions"], vent["truncated"]) == (1, False)
    assert vent["held_seconds"] == pytest.approx(1800, abs=120)
    (fired,) = vent["firings"]
    assert fired["from"] < fired["to"]
    (actuator,) = said["actuators"]
    assert (actuator["esp_id"], actuator["gpio"], actuator["cycles"]) == (ESP, 18, 1)
    assert actuator["on_seconds"] == pytest.approx(1800, abs=120)
    wrong = await desk.post(f"{LOGIC}/replay", {"from": span["to"], "to": span["from"]}, status=400)
    assert "from" in wrong["detail"]


async def test_a_template_becomes_a_rule(desk: Desk) -> None:
    listed = await desk.get(f"{LOGIC}/templates")
    assert listed["count"] == 6
    shown = await desk.get(f"{LOGIC}/templates/heater")
    assert [one["name"] for one in shown["parameters"]] == ["sensor", "actuator", "on_below", "off_above"]
    assert shown["parameters"][0]["required"]

    instantiate = f"{LOGIC}/templates/heater/instantiate"
    parameters = {"sensor": f"{ESP}:68", "actuator": f"{ESP}:18", "on_below": 15}
    seen = await desk.post(instantiate, {"parameters": parameters, "preview": True})
    assert seen["rule"]["conditions"][0]["activate_below"] == 15
    assert (await desk.get(RULES))["data"] == []
    made = await desk.post(
        instantiate, {"parameters": parameters, "name": "Frost", "enabled": False}, status=201
    )
    assert (made["name"], made["enabled"], made["conditions"]) == ("Frost", False, seen["rule"]["conditions"])

    wrong = await desk.post(instantiate, {"parameters": {"sensor": "x"}}, status=400)
    assert [one.split(":")[0] for one in wrong["error"]["details"]["faults"]] == [
        "parameters.sensor",
        "parameters.actuator",
    ]
    await desk.get(f"{LOGIC}/templates/sauna", status=404)
