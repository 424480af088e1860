"""Trying rules: on values that somebody makes up, and on readings that were stored. Nothing is switched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import validators as v

from growy.model.errors import Invalid
from growy.web.answers import Response, answer, iso
from growy.web.api.logic import condition_record
from growy.web.inputs import Moment
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import faults
from growy.web.shapes import rules as shapes

if TYPE_CHECKING:
    from growy.control.rules.replay import ReplayedRule, ReplayReport
    from growy.control.rules.trial import Trial

MOST_DOCUMENTS = 20
LONGEST_REPLAY_MS = 366 * 86_400_000
DAY_MS = 86_400_000


@attrs.frozen
class TestBody:
    __test__ = False
    mock_sensor_values: dict[str, float] = attrs.field(factory=dict)
    mock_time: str | None = attrs.field(default=None, validator=v.optional(v.max_len(40)))
    dry_run: bool = True


@attrs.frozen
class DocumentTestBody:
    rule: dict[str, object]
    mock_sensor_values: dict[str, float] = attrs.field(factory=dict)
    mock_time: str | None = attrs.field(default=None, validator=v.optional(v.max_len(40)))


@attrs.frozen
class ReplayBody:
    from_: Moment | None = None
    to: Moment | None = None
    rules: list[dict[str, object]] = attrs.field(factory=list, validator=v.max_len(MOST_DOCUMENTS))
    rule_ids: list[str] | None = None


async def test(call: Call, body: TestBody) -> Response:
    """Whether a rule would act. With `dry_run` false it does act, through the safety gate, if it would."""
    rule_id = call.path["rule_id"]
    trial = call.app.control.trying.trial(
        rule_id, mocks=body.mock_sensor_values, at=body.mock_time, dry_run=body.dry_run, by=call.by
    )
    return answer(trial_record(trial, rule_id, call.app.control.book.need(rule_id).rule.name))


async def test_document(call: Call, body: DocumentTestBody) -> Response:
    """The same of a rule that is not stored; it never acts."""
    trial = call.app.control.trying.trial_of(body.rule, mocks=body.mock_sensor_values, at=body.mock_time)
    return answer(trial_record(trial, None, str(body.rule.get("name", ""))))


def trial_record(trial: Trial, rule_id: str | None, rule_name: str) -> dict[str, object]:
    return {
        "success": True,
        "rule_id": rule_id,
        "rule_name": rule_name,
        "would_trigger": trial.would_trigger,
        "condition_results": [condition_record(one) for one in trial.conditions],
        "action_results": [
            {
                "action_index": one.index,
                "action_type": one.type,
                "would_execute": one.would_execute,
                "details": one.details,
                "dry_run": trial.dry_run,
            }
            for one in trial.actions
        ],
        "dry_run": trial.dry_run,
    }


async def replay(call: Call, body: ReplayBody) -> Response:
    """What rules would have done with the stored readings."""
    to_ms = call.app.control.moment().wall_ms if body.to is None else body.to
    from_ms = to_ms - DAY_MS if body.from_ is None else body.from_
    if not 0 < to_ms - from_ms <= LONGEST_REPLAY_MS:
        raise Invalid(
            "from must lie before to, at most a year",
            details={"faults": [f"from: {iso(from_ms)} to {iso(to_ms)} is not between nothing and a year"]},
        )
    report = await call.app.control.trying.replay(
        rule_ids=body.rule_ids, documents=body.rules, from_ms=from_ms, to_ms=to_ms
    )
    return answer(report_record(report))


def report_record(report: ReplayReport) -> dict[str, object]:
    return {
        "success": True,
        "from": iso(report.from_ms),
        "to": iso(report.to_ms),
        "readings": report.readings,
        "took_ms": report.took_ms,
        "rules": [replayed_record(one) for one in report.rules],
        "actuators": [
            {
                "esp_id": one.esp_id,
                "gpio": one.gpio,
                "on_seconds": one.on_s,
                "cycles": one.cycles,
                "refusals": dict(one.refusals),
            }
            for one in report.actuators
        ],
    }


def replayed_record(rule: ReplayedRule) -> dict[str, object]:
    return {
        "rule_id": rule.rule_id or None,
        "rule_name": rule.name,
        "executions": rule.executions,
        "held_seconds": rule.held_s,
        "unknown_seconds": rule.unknown_s,
        "firings": [{"from": iso(begin), "to": iso(end)} for begin, end in rule.firings],
        "truncated": rule.truncated,
    }


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v1/logic/rules/{rule_id}/test",
        summary="Would this rule act?",
        handler=test,
        body=TestBody,
        auth=Auth.OPERATOR,
        answers=shapes.TRIAL,
        errors=(*faults.RULE, *faults.WRITTEN_RULE),
    ),
    Endpoint(
        method="POST",
        path="/api/v1/logic/test",
        summary="Would a rule act that is not stored?",
        handler=test_document,
        body=DocumentTestBody,
        auth=Auth.OPERATOR,
        answers=shapes.TRIAL,
        errors=faults.WRITTEN_RULE,
    ),
    Endpoint(
        method="POST",
        path="/api/v1/logic/replay",
        summary="What rules would have done",
        handler=replay,
        body=ReplayBody,
        auth=Auth.OPERATOR,
        answers=shapes.REPLAYED,
        errors=(*faults.RULE, *faults.WRITTEN_RULE),
    ),
)
