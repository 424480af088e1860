"""How rules, their trials and replays look in a terminal. Asks nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import click

from growy.cli.actuators import span
from growy.cli.output import print_json, print_table, shown, since, when

Answer: TypeAlias = Mapping[str, Any]
"""JSON of the API."""
WRITTEN = (
    *("name", "description", "enabled", "priority", "conditions", "logic_operator", "actions"),
    *("cooldown_seconds", "max_executions_per_hour", "is_critical", "escalation_policy"),
)
"""What of a rule a person writes."""
FIRINGS_SHOWN = 20


def print_list(rules: Sequence[Answer]) -> None:
    if not rules:
        click.echo("No rules. `growyd rules add FILE` adds one; docs/control.md has examples.")
        return
    print_table(
        ("rule", "enabled", "priority", "now", "acted", "times", "last", "id"),
        [
            (
                one["name"],
                one["enabled"],
                one["priority"],
                now(one),
                since(one["last_triggered"]),
                one["execution_count"],
                None
                if one["last_execution_success"] is None
                else ("ok" if one["last_execution_success"] else "failed"),
                one["id"],
            )
            for one in rules
        ],
    )
    for one in rules:
        if one["degraded_reason"]:
            click.echo(f"\n{shown(one['name'])} is degraded: {shown(one['degraded_reason'])}")


def now(rule: Answer) -> str | None:
    """Whether it holds and acts; None where nobody looks."""
    situation = rule["situation"]
    if not situation["running"]:
        return "FAULT" if rule["fault"] else None
    if situation["unknown"]:
        return "unknown"
    if not situation["holds"]:
        return "does not hold"
    return "holds" if situation["active"] else "holds, waits"


def print_rule(rule: Answer) -> None:
    """The document, then how it stands on stderr: stdout can be saved, changed and added again."""
    print_json({name: rule[name] for name in WRITTEN if rule.get(name) is not None})
    if rule["fault"]:
        click.echo(f"\nIt cannot be run: {shown(rule['fault'])}", err=True)
    elif not rule["enabled"]:
        click.echo("\nIt is disabled.", err=True)
    else:
        click.echo(f"\nNow: {now(rule)}. {shown(rule['situation']['why'])}", err=True)
    acted = when(rule["last_triggered"])
    last = f", the last time at {acted:%Y-%m-%d %H:%M:%S}" if acted is not None else ""
    click.echo(f"It acted {rule['execution_count']} times{last}.", err=True)
    if rule["degraded_reason"]:
        click.echo(f"It is degraded: {shown(rule['degraded_reason'])}", err=True)
    for note in rule["notes"]:
        click.echo(shown(note), err=True)


def print_trial(trial: Answer) -> None:
    """Verdict, then each condition and each action."""
    click.echo(f"{shown(trial['rule_name'])} would {'act' if trial['would_trigger'] else 'not act'}.\n")
    print_table(
        ("condition", "is", "value", "because"),
        [
            (one["condition_type"], _truth(one["result"]), one["actual_value"], one["details"])
            for one in trial["condition_results"]
        ],
    )
    click.echo("")
    print_table(
        ("action", "would be done", "what"),
        [(one["action_type"], one["would_execute"], one["details"]) for one in trial["action_results"]],
    )


def _truth(result: bool | None) -> str:
    return "unknown" if result is None else ("true" if result else "false")


def print_replay(said: Answer) -> None:
    begin, end = when(said["from"]), when(said["to"])
    if begin is not None and end is not None:
        click.echo(
            f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}: {said['readings']} readings in {said['took_ms']} ms\n"
        )
    print_table(
        ("rule", "acted", "held", "unknown"),
        [
            (one["rule_name"], one["executions"], span(one["held_seconds"]), span(one["unknown_seconds"]))
            for one in said["rules"]
        ],
    )
    if said["actuators"]:
        click.echo("")
        print_table(
            ("device", "gpio", "on", "switched on", "refused"),
            [
                (
                    one["esp_id"],
                    one["gpio"],
                    span(one["on_seconds"]),
                    one["cycles"],
                    [f"{code} {count}" for code, count in one["refusals"].items()],
                )
                for one in said["actuators"]
            ],
        )
    for one in said["rules"]:
        if one["firings"]:
            _print_firings(one)


def _print_firings(rule: Answer) -> None:
    click.echo("")
    rows = []
    for firing in rule["firings"][:FIRINGS_SHOWN]:
        begin, end = when(firing["from"]), when(firing["to"])
        rows.append(
            (
                None if begin is None else f"{begin:%Y-%m-%d %H:%M:%S}",
                None if begin is None or end is None else span((end - begin).total_seconds()),
            )
        )
    print_table((f"{shown(rule['rule_name'])} acted from", "for"), rows)
    if rule["truncated"] or len(rule["firings"]) > len(rows):
        click.echo(f"... and more; --json has up to {len(rule['firings'])} of them.", err=True)
