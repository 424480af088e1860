"""Answers about rules, their templates, trials and history."""

from __future__ import annotations

from growy.control.rules.templates import Kind
from growy.web.shape import (
    ANY,
    FLAG,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    TIME,
    counted,
    many,
    maybe,
    page,
    record,
    success,
    table,
    words,
)

CONDITION = record(
    "ConditionResult",
    condition_index=INTEGER,
    condition_type=TEXT,
    result=maybe(FLAG),
    details=TEXT,
    actual_value=ANY,
)
SITUATION = record(
    "RuleSituation",
    running=FLAG,
    holds=maybe(FLAG),
    unknown=FLAG,
    active=FLAG,
    why=TEXT,
    since=maybe(TIME),
    last_evaluated=maybe(TIME),
    last_fired=maybe(TIME),
    next_due=maybe(TIME),
    condition_results=many(CONDITION),
)
RULE = record(
    "Rule",
    id=TEXT,
    name=TEXT,
    description=ANY,
    conditions=ANY,
    actions=ANY,
    logic_operator=ANY,
    priority=ANY,
    cooldown_seconds=ANY,
    max_executions_per_hour=ANY,
    is_critical=ANY,
    escalation_policy=ANY,
    enabled=FLAG,
    last_triggered=maybe(TIME),
    execution_count=INTEGER,
    last_execution_success=maybe(FLAG),
    degraded_since=maybe(TIME),
    degraded_reason=maybe(TEXT),
    runs_on_device=FLAG,
    notes=many(TEXT),
    fault=maybe(TEXT),
    situation=SITUATION,
    created_at=maybe(TIME),
    updated_at=maybe(TIME),
)
"""What somebody wrote stands in it as it was written."""
RULES = page(RULE)
ONE_RULE = success(**RULE.fields)
RULE_WRITTEN = ONE_RULE.plus(warnings=many(TEXT))
RULE_GONE = ONE_RULE.plus(message=TEXT)
TOGGLED = success(message=TEXT, rule_id=TEXT, rule_name=TEXT, enabled=FLAG, previous_state=FLAG)
DEGRADED = counted(
    data=many(
        record(
            rule_id=TEXT,
            rule_name=TEXT,
            enabled=FLAG,
            is_critical=FLAG,
            degraded_since=maybe(TIME),
            degraded_reason=maybe(TEXT),
        )
    )
)
TEMPLATE = record(
    "RuleTemplate",
    id=TEXT,
    name=TEXT,
    description=TEXT,
    parameters=many(
        record(
            name=TEXT,
            kind=words(Kind),
            description=TEXT,
            unit=maybe(TEXT),
            required=FLAG,
            default=ANY,
            minimum=maybe(NUMBER),
            maximum=maybe(NUMBER),
        )
    ),
)
TEMPLATES = counted(data=many(TEMPLATE))
ONE_TEMPLATE = success(**TEMPLATE.fields)
PREVIEW = success(preview=FLAG, rule=OBJECT)
TRIAL = success(
    rule_id=maybe(TEXT),
    rule_name=TEXT,
    would_trigger=FLAG,
    condition_results=many(CONDITION),
    action_results=many(
        record(action_index=INTEGER, action_type=TEXT, would_execute=FLAG, details=TEXT, dry_run=FLAG)
    ),
    dry_run=FLAG,
)
REPLAYED = success(
    **{"from": TIME},
    to=TIME,
    readings=INTEGER,
    took_ms=NUMBER,
    rules=many(
        record(
            "ReplayedRule",
            rule_id=maybe(TEXT),
            rule_name=TEXT,
            executions=INTEGER,
            held_seconds=NUMBER,
            unknown_seconds=NUMBER,
            firings=many(record(**{"from": TIME}, to=maybe(TIME))),
            truncated=FLAG,
        )
    ),
    actuators=many(
        record(
            esp_id=TEXT,
            gpio=INTEGER,
            on_seconds=NUMBER,
            cycles=INTEGER,
            refusals=table(INTEGER),
        )
    ),
)
EXECUTIONS = success(
    entries=many(
        record(
            "RuleExecution",
            id=INTEGER,
            rule_id=TEXT,
            rule_name=TEXT,
            triggered_at=TIME,
            timestamp=TIME,
            trigger_data=OBJECT,
            actions_executed=many(OBJECT),
            success=maybe(FLAG),
            error_message=maybe(TEXT),
            execution_time_ms=maybe(INTEGER),
            correlation_id=maybe(TEXT),
        )
    ),
    total_count=INTEGER,
    success_rate=maybe(NUMBER),
)
