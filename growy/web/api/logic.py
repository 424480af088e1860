"""The rules: written, changed, switched on and off, deleted. What a rule means is control's business; here it passes as
the JSON that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import validators as v

from growy.control.rules import templates
from growy.control.rules.templates import Parameter, Template
from growy.model.errors import NotFound
from growy.web.answers import Response, answer, iso, page_of
from growy.web.router import Answer, Auth, Call, Endpoint
from growy.web.shapes import faults
from growy.web.shapes import rules as shapes

if TYPE_CHECKING:
    from growy.control.rules.book import RuleRecord, Written
    from growy.control.rules.engine import ConditionResult, RuleSituation

RULE_FIELDS = (
    *("description", "conditions", "actions", "logic_operator", "priority", "cooldown_seconds"),
    *("max_executions_per_hour", "is_critical", "escalation_policy"),
)
"""What of a rule's document is shown as it was written."""


@attrs.frozen
class RulesQuery:
    enabled: bool | None = None
    page: int = attrs.field(default=1, validator=[v.ge(1), v.le(1_000_000)])
    page_size: int = attrs.field(default=20, validator=[v.ge(1), v.le(100)])


@attrs.frozen
class ToggleBody:
    enabled: bool
    reason: str | None = attrs.field(default=None, validator=v.optional(v.max_len(500)))


@attrs.frozen
class InstantiateBody:
    parameters: dict[str, object] = attrs.field(factory=dict)
    name: str | None = None
    enabled: bool = True
    preview: bool = False


def rule_record(record: RuleRecord) -> dict[str, object]:
    """A rule in the shape that clients know, and how it stands."""
    rule, tally = record.rule, record.tally
    return {
        "id": rule.id,
        "name": rule.name,
        **{name: rule.document.get(name) for name in RULE_FIELDS},
        "enabled": rule.enabled,
        "last_triggered": iso(tally.last_triggered_ms),
        "execution_count": tally.execution_count,
        "last_execution_success": tally.last_success,
        "degraded_since": iso(record.degraded_since_ms),
        "degraded_reason": record.degraded_reason or None,
        "runs_on_device": record.offline,
        "notes": list(record.notes),
        "fault": record.fault or None,
        "situation": situation_record(record.situation),
        "created_at": iso(rule.created_ms) if rule.created_ms else None,
        "updated_at": iso(rule.updated_ms) if rule.updated_ms else None,
    }


def situation_record(situation: RuleSituation) -> dict[str, object]:
    """Whether it holds and why; `holds` is null where nobody knows."""
    return {
        "running": situation.running,
        "holds": situation.holds,
        "unknown": situation.running and situation.holds is None,
        "active": situation.active,
        "why": situation.waiting or "; ".join(one.details for one in situation.conditions),
        "since": iso(situation.since_ms),
        "last_evaluated": iso(situation.evaluated_ms),
        "last_fired": iso(situation.executed_ms),
        "next_due": iso(situation.due_ms),
        "condition_results": [condition_record(one) for one in situation.conditions],
    }


def condition_record(result: ConditionResult) -> dict[str, object]:
    """One condition of a rule's list, judged; `result` is null for unknown."""
    return {
        "condition_index": result.condition_index,
        "condition_type": result.condition_type,
        "result": result.result,
        "details": result.details,
        "actual_value": result.actual_value,
    }


async def rules(call: Call, query: RulesQuery) -> Response:
    """All rules, by priority and name."""
    fitting = [one for one in call.app.control.book.records() if query.enabled in (None, one.rule.enabled)]
    return page_of(fitting, query.page, query.page_size, rule_record)


async def rule(call: Call) -> Response:
    return answer({"success": True, **rule_record(call.app.control.book.need(call.path["rule_id"]))})


async def add(call: Call, body: dict[str, object]) -> Response:
    """A new rule; it is in force when this answers."""
    return answer(_written(await call.app.control.book.add(body, by=call.by)), 201)


async def change(call: Call, body: dict[str, object]) -> Response:
    """Fields that are given are changed, the others stay."""
    return answer(_written(await call.app.control.book.change(call.path["rule_id"], body, by=call.by)))


def _written(written: Written) -> dict[str, object]:
    return {"success": True, **rule_record(written.record), "warnings": list(written.warnings)}


async def remove(call: Call) -> Response:
    """The rule lets go of everything and is gone; its history stays."""
    record = await call.app.control.book.remove(call.path["rule_id"], by=call.by)
    return answer({"success": True, "message": f"{record.rule.name} is deleted", **rule_record(record)})


async def toggle(call: Call, body: ToggleBody) -> Response:
    """Have a rule act, or not."""
    record, before = await call.app.control.book.enable(
        call.path["rule_id"], body.enabled, by=call.by, reason=body.reason or ""
    )
    state = "enabled" if body.enabled else "disabled"
    return answer(
        {
            "success": True,
            "message": f"{record.rule.name} {'was' if before is body.enabled else 'is now'} {state}"
            f"{' already' if before is body.enabled else ''}",
            "rule_id": record.rule.id,
            "rule_name": record.rule.name,
            "enabled": record.rule.enabled,
            "previous_state": before,
        }
    )


async def degraded(call: Call) -> Response:
    """Rules that hold and cannot act, or cannot be run at all."""
    found = [one for one in call.app.control.book.records() if one.degraded_since_ms is not None or one.fault]
    return answer(
        {
            "success": True,
            "data": [
                {
                    "rule_id": one.rule.id,
                    "rule_name": one.rule.name,
                    "enabled": one.rule.enabled,
                    "is_critical": one.rule.is_critical,
                    "degraded_since": iso(one.degraded_since_ms),
                    "degraded_reason": one.degraded_reason or one.fault or None,
                }
                for one in found
            ],
            "count": len(found),
        }
    )


# --- templates ----------------------------------------------------------------------------------------------------


def template_record(template: Template) -> dict[str, object]:
    return {
        "id": template.id,
        "name": template.name,
        "description": template.description,
        "parameters": [parameter_record(one) for one in template.parameters],
    }


def parameter_record(parameter: Parameter) -> dict[str, object]:
    return {
        "name": parameter.name,
        "kind": parameter.kind.value,
        "description": parameter.description,
        "unit": parameter.unit or None,
        "required": parameter.required,
        "default": parameter.default,
        "minimum": parameter.at_least,
        "maximum": parameter.at_most,
    }


async def all_templates(call: Call) -> Response:
    """Rules that many growers need, to be filled in."""
    found = [template_record(one) for one in templates.TEMPLATES]
    return answer({"success": True, "data": found, "count": len(found)})


async def template(call: Call) -> Response:
    return answer({"success": True, **template_record(templates.need(call.path["template_id"]))})


async def instantiate(call: Call, body: InstantiateBody) -> Response:
    """A template, filled in, becomes a rule; with `preview` it is only shown."""
    document = templates.instantiate(call.path["template_id"], body.parameters)
    if body.name is not None:
        document["name"] = body.name
    document["enabled"] = body.enabled
    if body.preview:
        return answer({"success": True, "preview": True, "rule": document})
    return answer(_written(await call.app.control.book.add(document, by=call.by)), 201)


_LOGIC = "/api/v1/logic"
_RULE = f"{_LOGIC}/rules/{{rule_id}}"
_TEMPLATE = f"{_LOGIC}/templates/{{template_id}}"

ENDPOINTS = (
    Endpoint(
        method="GET",
        path=f"{_LOGIC}/rules",
        summary="All rules",
        handler=rules,
        query=RulesQuery,
        answers=shapes.RULES,
    ),
    Endpoint(
        method="POST",
        path=f"{_LOGIC}/rules",
        summary="Add a rule",
        handler=add,
        body=dict[str, object],
        auth=Auth.OPERATOR,
        answers=Answer(shapes.RULE_WRITTEN, 201),
        errors=faults.WRITTEN_RULE,
    ),
    Endpoint(
        method="GET",
        path=_RULE,
        summary="One rule",
        handler=rule,
        answers=shapes.ONE_RULE,
        errors=faults.RULE,
    ),
    Endpoint(
        method="PUT",
        path=_RULE,
        summary="Change a rule",
        handler=change,
        body=dict[str, object],
        auth=Auth.OPERATOR,
        answers=shapes.RULE_WRITTEN,
        errors=(*faults.RULE, *faults.WRITTEN_RULE),
    ),
    Endpoint(
        method="DELETE",
        path=_RULE,
        summary="Delete a rule",
        handler=remove,
        auth=Auth.OPERATOR,
        answers=shapes.RULE_GONE,
        errors=faults.RULE,
    ),
    Endpoint(
        method="POST",
        path=f"{_RULE}/toggle",
        summary="Switch a rule on or off",
        handler=toggle,
        body=ToggleBody,
        auth=Auth.OPERATOR,
        answers=shapes.TOGGLED,
        errors=(*faults.RULE, *faults.WRITTEN_RULE),
    ),
    Endpoint(
        method="GET",
        path=f"{_LOGIC}/degraded",
        summary="Rules that hold and cannot act",
        handler=degraded,
        answers=shapes.DEGRADED,
    ),
    Endpoint(
        method="GET",
        path=f"{_LOGIC}/templates",
        summary="Rule templates",
        handler=all_templates,
        answers=shapes.TEMPLATES,
    ),
    Endpoint(
        method="GET",
        path=_TEMPLATE,
        summary="One rule template",
        handler=template,
        answers=shapes.ONE_TEMPLATE,
        errors=(NotFound,),
    ),
    Endpoint(
        method="POST",
        path=f"{_TEMPLATE}/instantiate",
        summary="Make a rule of a template",
        handler=instantiate,
        body=InstantiateBody,
        auth=Auth.OPERATOR,
        answers=(Answer(shapes.PREVIEW), Answer(shapes.RULE_WRITTEN, 201)),
        errors=(NotFound, *faults.WRITTEN_RULE),
    ),
)
