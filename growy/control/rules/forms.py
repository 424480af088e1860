"""Rules out of JSON, in every spelling that clients use, and back into the JSON that clients are shown.

A rule that growyd could not run exactly as it reads is refused here, with all faults at once, each with its path; so
nobody waits for a rule that is silently false for ever. Reads nothing but what it is given, runs no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from growy.control.rules.forms_actions import ACTION_TYPES, NO_EMAIL, read_action
from growy.control.rules.forms_conditions import CONDITION_TYPES, NOTHING, joined, read_condition
from growy.control.rules.forms_fields import Fields, Form
from growy.control.rules.texts import render
from growy.model.errors import RuleInvalid
from growy.model.rules import Condition, Delay, Rule, SensorRef

__all__ = ["ACTION_TYPES", "CONDITION_TYPES", "changed", "read_rule", "render", "unreadable"]

MOST = 10
"""Conditions, and actions, at the top."""
LONGEST_DOCUMENT = 65_536
"""Bytes of JSON."""
SHOWN_FAULTS = 3

_FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "name": ("name", "rule_name"),
        "description": ("description",),
        "conditions": ("conditions", "trigger_conditions"),
        "logic_operator": ("logic_operator",),
        "actions": ("actions",),
        "enabled": ("enabled",),
        "priority": ("priority",),
        "cooldown_seconds": ("cooldown_seconds",),
        "max_executions_per_hour": ("max_executions_per_hour",),
        "is_critical": ("is_critical",),
        "escalation_policy": ("escalation_policy",),
    }
)
"""Fields of a rule -> what they may be called."""
_NULLABLE = frozenset({"description", "max_executions_per_hour", "escalation_policy"})
"""What a change can take away by null; of the others null says nothing."""
_SHOWN = (
    *("id", "success", "last_triggered", "execution_count", "last_execution_success", "degraded_since"),
    *("degraded_reason", "created_at", "updated_at"),
)
"""What answers have beside that, and clients send back."""
_OPERATORS = {"AND": "AND", "OR": "OR"}
_NOTIFY = ("websocket", "webhook")
_ESCALATION = ("notify", "retry_interval_s", "max_retries", "failover_actions")


def read_rule(
    document: Mapping[str, object],
    *,
    id: str,
    now_ms: int,
    resolve: Callable[[str], SensorRef | None],
    webhooks: tuple[str, ...] | None,
) -> Rule:
    """A rule as it will run. Its `document` has every field, defaults included, and what sensor ids meant today.

    Args:
        document: as a client sent it, or as `changed` made it, or as it was kept.
        id: UUID.
        now_ms: Unix ms, for `created_ms` and `updated_ms`.
        resolve: the sensor with a UUID; None if there is none.
        webhooks: URL prefixes that rules may post to. None: any, for a rule that was accepted before.

    Raises:
        RuleInvalid: `details["faults"]` has all faults, like `conditions[1].value: is missing`.
    """
    form = Form(resolve, webhooks)
    fields = Fields(form, _copied(document), "")
    name = fields.text(*_FIELDS["name"], shortest=3)
    description = fields.text("description", default="", longest=500)
    condition, listed, operator = _conditions(fields)
    actions = tuple(
        read_action(form, said, f"actions[{index}]")
        for index, said in enumerate(form.list_at(fields.find("actions")[1], "actions", MOST))
    )
    if actions and all(isinstance(action, Delay) for action in actions) and not form.faults:
        form.fault("actions", "do nothing but wait")
    enabled = fields.flag("enabled", default=True)
    priority = fields.integer("priority", low=1, high=100, default=50)
    cooldown = fields.seconds("cooldown_seconds", default=60.0)
    limited = fields.has("max_executions_per_hour")
    per_hour = fields.integer("max_executions_per_hour", low=1, high=60) if limited else None
    critical = fields.flag("is_critical")
    escalation = _escalation(fields)
    fields.mind_the_rest(*_SHOWN)
    if form.faults:
        raise _invalid(form.faults)
    return Rule(
        id=id,
        name=name,
        condition=condition,
        actions=actions,
        description=description,
        enabled=enabled,
        priority=priority,
        cooldown_s=cooldown,
        max_per_hour=per_hour,
        is_critical=critical,
        escalation=escalation,
        document={
            "name": name,
            "description": description or None,
            "conditions": listed,
            "logic_operator": operator,
            "actions": fields.find("actions")[1],
            "enabled": enabled,
            "priority": priority,
            "cooldown_seconds": int(cooldown) if cooldown == int(cooldown) else cooldown,
            "max_executions_per_hour": per_hour,
            "is_critical": critical,
            "escalation_policy": fields.find("escalation_policy")[1],
        },
        created_ms=now_ms,
        updated_ms=now_ms,
    )


def changed(rule: Rule, patch: Mapping[str, object]) -> dict[str, object]:
    """The document of a rule with the fields that a patch gives; `read_rule` judges it.

    Null takes away what can be absent, and leaves the rest as it is.
    """
    document = {name: _under(rule.document, names) for name, names in _FIELDS.items()}
    for name, names in _FIELDS.items():
        given = [each for each in names if each in patch]
        if given and (patch[given[0]] is not None or name in _NULLABLE):
            document[name] = patch[given[0]]
    known = {each for names in _FIELDS.values() for each in names}
    return document | {name: value for name, value in patch.items() if name not in known}


def unreadable(document: Mapping[str, object], *, id: str, name: str, now_ms: int) -> Rule:
    """What stands in for a rule of the store that cannot be read any more: it keeps its document, holds never and does
    nothing."""
    return Rule(
        id=id,
        name=name,
        condition=NOTHING,
        actions=(),
        enabled=document.get("enabled") is not False,
        document=document,
        created_ms=now_ms,
        updated_ms=now_ms,
    )


def _under(document: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((document[name] for name in names if document.get(name) is not None), None)


def _copied(document: Mapping[str, object]) -> dict[str, object]:
    """The document as JSON would bring it, ours to keep."""
    try:
        text = msgspec.json.encode(document)
        copy = msgspec.json.decode(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise _invalid([f"is not JSON: {str(error)[:200]}"]) from error
    if len(text) > LONGEST_DOCUMENT:
        raise _invalid([f"has {len(text)} bytes of JSON, and may have {LONGEST_DOCUMENT}"])
    if not isinstance(copy, dict):
        raise _invalid(["is no JSON object"])
    return copy


def _invalid(faults: list[str]) -> RuleInvalid:
    more = len(faults) - SHOWN_FAULTS
    text = "; ".join(faults[:SHOWN_FAULTS]) + (f"; and {more} more" if more > 0 else "")
    return RuleInvalid(f"Rule validation failed: {text}", details={"faults": faults})


def _conditions(fields: Fields) -> tuple[Condition, list[object], str]:
    """The condition, and the list and operator that clients are shown: a single condition is a list of one."""
    form = fields.form
    operator = fields.choice("logic_operator", table=_OPERATORS, default="AND") or "AND"
    name, said = fields.find(*_FIELDS["conditions"])
    if isinstance(said, dict):
        logic = str(said.get("logic")).upper()
        plain = logic in _OPERATORS and said.keys() <= {"logic", "conditions", "type"}
        operator, said = (logic, said.get("conditions")) if plain else (operator, [said])
    listed = list(form.list_at(said, name, MOST))
    conditions = tuple(
        read_condition(form, each, f"conditions[{index}]") for index, each in enumerate(listed)
    )
    return joined(operator, conditions), listed, operator


def _escalation(fields: Fields) -> Mapping[str, object] | None:
    """What is to happen when a critical rule cannot act. Its failover actions are in it as actions, not as JSON."""
    _, said = fields.find("escalation_policy")
    own = None if said is None else fields.form.object_at(said, "escalation_policy")
    if own is None:
        return None
    for key in own.said:
        if key not in _ESCALATION:
            own.fault(str(key)[:60], f"is no field of it; there are {', '.join(_ESCALATION)}")
    policy: dict[str, object] = {}
    if own.has("notify"):
        policy["notify"] = tuple(_notified(own))
    if own.has("retry_interval_s"):
        policy["retry_interval_s"] = own.seconds("retry_interval_s", low=1.0, high=3600.0)
    if own.has("max_retries"):
        policy["max_retries"] = own.integer("max_retries", low=0, high=100)
    failover = own.find("failover_actions")[1]
    if failover not in (None, []):
        path = own.at("failover_actions")
        policy["failover_actions"] = tuple(
            read_action(own.form, each, f"{path}[{index}]")
            for index, each in enumerate(own.form.list_at(failover, path, MOST))
        )
    return MappingProxyType(policy)


def _notified(own: Fields) -> list[str]:
    said = own.find("notify")[1]
    for index, channel in enumerate(said if isinstance(said, list) else [said]):
        if channel == "email":
            own.fault(f"notify[{index}]", f"is email: {NO_EMAIL}")
        elif channel not in _NOTIFY:
            own.fault(f"notify[{index}]", f"must be one of {', '.join(_NOTIFY)}")
    return [str(channel) for channel in said] if isinstance(said, list) else [str(said)]
