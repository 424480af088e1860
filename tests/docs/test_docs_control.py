"""docs/control.md tells the truth: every example can be read, every type, code, rank and setting is there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from growy.control.rules.forms import ACTION_TYPES, CONDITION_TYPES, read_rule
from growy.control.rules.forms_actions import REFUSED as REFUSED_ACTIONS
from growy.control.rules.forms_conditions import REFUSED as REFUSED_CONDITIONS
from growy.control.rules.templates import TEMPLATES
from growy.control.safety import _IN_ORDER
from growy.model.control import InterlockKind, Rank, RefusalCode
from growy.model.rules import Always, Rule, Switch

PAGE = (Path(__file__).parents[2] / "docs" / "control.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)]
HOOK = "http://192.168.1.5/hook"
SWITCH = {"type": "actuator", "esp_id": "ESP_12AB34CD", "gpio": 18}


def read(document: dict[str, Any]) -> Rule:
    return read_rule(document, id="r", now_ms=0, resolve=lambda _: None, webhooks=(HOOK,))


def as_rule(example: dict[str, Any]) -> dict[str, Any]:
    """An example is a whole rule, or a part of one."""
    if "actions" in example:
        return example
    if "notify" in example:
        hook = {"type": "notification", "channel": "webhook", "target": HOOK, "message_template": "!"}
        policy = {**as_rule({"type": "always"}), "is_critical": True, "escalation_policy": example}
        return {**policy, "actions": [SWITCH, hook]}
    if example.get("type") in ACTION_TYPES:
        return {"name": "Example", "conditions": [{"type": "always"}], "actions": [example, SWITCH]}
    return {"name": "Example", "conditions": [example], "actions": [SWITCH]}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: str(one.get("type", next(iter(one)))))
def test_every_example_is_a_rule_that_can_run(example: dict[str, Any]) -> None:
    rule = read(as_rule(example))

    assert rule.condition != Always() or len(rule.actions) == 2 or example["type"] == "always"
    assert (rule.escalation is None) is ("notify" not in example)


def test_every_condition_and_action_that_can_be_made_has_an_example() -> None:
    def kinds(part: Any) -> set[type]:
        here = {type(part)}
        inner = [
            getattr(part, name, None) for name in ("condition", "conditions", "steps", "action", "actions")
        ]
        for one in inner:
            here |= {
                kind
                for each in (one if isinstance(one, tuple) else [one])
                if each is not None
                for kind in kinds(each)
            }
        return here

    shown = set().union(*(kinds(read(as_rule(example))) for example in EXAMPLES))
    assert {*CONDITION_TYPES.values(), *ACTION_TYPES.values()} - shown == set()


@pytest.mark.parametrize(
    "word",
    [
        *(*CONDITION_TYPES, *ACTION_TYPES, *REFUSED_CONDITIONS, *REFUSED_ACTIONS),
        *(one.id for one in TEMPLATES),
        *(rank.name.lower() for rank in Rank),
        *InterlockKind,
    ],
)
def test_every_word_is_explained(word: str) -> None:
    assert re.search(rf'[`"]{word}[`"]', PAGE)


def test_the_gate_s_codes_stand_in_the_order_in_which_it_asks() -> None:
    section = PAGE.partition("## The safety gate")[2].partition("\n### ")[0]
    codes = re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE)

    assert codes == list(RefusalCode)
    assert len(_IN_ORDER) == len(codes)


def test_the_example_at_the_top_switches_while_it_holds() -> None:
    rule = read(EXAMPLES[0])

    assert (rule.name, rule.cooldown_s) == ("Heater", 60)
    assert isinstance(rule.actions[0], Switch)
    assert rule.actions[0].duration_s == 0
