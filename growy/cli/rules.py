"""`growyd rules`: what runs the house by itself. See them, add, try, replay, switch them off and on."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from growy.cli.options import DURATION, daemon_options, find_daemon, json_option

if TYPE_CHECKING:
    from growy.cli.client import Daemon

LOGIC = "/api/v1/logic"
RULES = f"{LOGIC}/rules"
REPLAYED_S = 86_400.0
"""How far back a replay goes by default."""

file_option = click.option(
    "--file", "document", metavar="FILE", help="A rule that is not stored: its JSON; - reads stdin."
)


@click.group()
def rules() -> None:
    """Rules: list and show them, add, test and replay them, switch them off and on."""


@rules.command("list")
@daemon_options
@json_option
def list_(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool) -> None:
    """All rules, and whether they hold now."""
    from growy.cli.output import print_json
    from growy.cli.rules_view import print_list

    with find_daemon(config_file, socket, url) as daemon:
        found = daemon.get_list(RULES)
    print_json(found) if as_json else print_list(found)


@rules.command()
@click.argument("rule")
@daemon_options
@json_option
def show(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, rule: str) -> None:
    """A rule as JSON that `add` takes, and how it stands. RULE is its id or its name."""
    from growy.cli.output import print_json
    from growy.cli.rules_view import print_rule

    with find_daemon(config_file, socket, url) as daemon:
        found = need(daemon, rule)
    print_json(found) if as_json else print_rule(found)


@rules.command()
@click.argument("document", metavar="FILE")
@daemon_options
@json_option
def add(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, document: str) -> None:
    """Add a rule from a JSON file; - reads stdin. It is in force at once unless it says "enabled": false."""
    from growy.cli.output import print_json, shown

    with find_daemon(config_file, socket, url) as daemon:
        made = daemon.post(RULES, read(document))
    if as_json:
        print_json(made)
        return
    click.echo(f"{shown(made['name'])} is a rule now [{shown(made['id'])}]")
    for warning in made["warnings"]:
        click.echo(f"growyd: {shown(warning)}", err=True)


@rules.command()
@click.argument("rule", required=False)
@file_option
@click.option(
    "--mock",
    "mocks",
    multiple=True,
    metavar="ESP:GPIO[/TYPE]=VALUE",
    help="What a sensor shall have measured, as often as needed; the others have their newest reading.",
)
@click.option("--at", metavar="HH:MM", help="What time it shall be.")
@daemon_options
@json_option
def test(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    rule: str | None,
    document: str | None,
    mocks: tuple[str, ...],
    at: str | None,
) -> None:
    """Whether a rule would act now, and why (not). Nothing is switched. RULE is its id or its name."""
    from growy.cli.output import print_json
    from growy.cli.rules_view import print_trial

    body: dict[str, Any] = {"mock_sensor_values": dict(map(mock, mocks)), "dry_run": True}
    if at is not None:
        body["mock_time"] = at
    if (rule is None) == (document is None):
        raise click.UsageError("Name a rule, or give one with --file")
    with find_daemon(config_file, socket, url) as daemon:
        if document is not None:
            said = daemon.post(f"{LOGIC}/test", {**body, "rule": read(document)})
        else:
            assert rule is not None
            said = daemon.post(f"{RULES}/{need(daemon, rule)['id']}/test", body)
    print_json(said) if as_json else print_trial(said)


@rules.command()
@click.argument("names", metavar="[RULE]...", nargs=-1)
@file_option
@click.option("--from", "begin", metavar="TIME", help="From when, ISO 8601; without an offset: local time.")
@click.option("--to", "end", metavar="TIME", help="Until when; else now.")
@click.option("--last", type=DURATION, help="The last so much, e.g. 6h, 30d; a day by default.")
@daemon_options
@json_option
def replay(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    names: tuple[str, ...],
    document: str | None,
    begin: str | None,
    end: str | None,
    last: float | None,
) -> None:
    """What rules would have done with the stored readings. Nothing is switched.

    Without RULE and --file all enabled rules are replayed.
    """
    from growy.cli.output import print_json
    from growy.cli.rules_view import print_replay

    if last is not None and (begin or end):
        raise click.UsageError("--last ends now: give either it, or --from and --to")
    until = time.time() if end is None else moment(end)
    since = until - (last or REPLAYED_S) if begin is None else moment(begin)
    body: dict[str, Any] = {"from": iso(since), "to": iso(until)}
    with find_daemon(config_file, socket, url) as daemon:
        if document is not None:
            body["rules"] = [read(document)]
        if names:
            body["rule_ids"] = [need(daemon, name)["id"] for name in names]
        said = daemon.post(f"{LOGIC}/replay", body)
    print_json(said) if as_json else print_replay(said)


@rules.command()
@click.argument("rule")
@daemon_options
@json_option
def enable(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, rule: str) -> None:
    """Have a rule act again."""
    toggle(find_daemon(config_file, socket, url), rule, True, "", as_json=as_json)


@rules.command()
@click.argument("rule")
@click.option("--reason", default="", help="Why; is kept and shown.")
@daemon_options
@json_option
def disable(
    config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, rule: str, reason: str
) -> None:
    """Have a rule act no more; what it holds on goes off, unless somebody else wants it on."""
    toggle(find_daemon(config_file, socket, url), rule, False, reason, as_json=as_json)


def toggle(asked: Daemon, rule: str, enabled: bool, reason: str, *, as_json: bool) -> None:
    from growy.cli.output import print_json, shown

    with asked as daemon:
        found = need(daemon, rule)
        said = daemon.post(f"{RULES}/{found['id']}/toggle", {"enabled": enabled, "reason": reason})
    print_json(said) if as_json else click.echo(shown(said["message"]))


@rules.command()
@click.argument("rule")
@click.option("--yes", is_flag=True, help="Do not ask.")
@daemon_options
def rm(config_file: Path | None, socket: Path | None, url: str | None, rule: str, yes: bool) -> None:
    """Delete a rule; what it did stays in the history."""
    from growy.cli.output import shown

    with find_daemon(config_file, socket, url) as daemon:
        found = need(daemon, rule)
        if not yes:
            click.confirm(f"Delete {shown(found['name'])}?", abort=True)
        daemon.delete(f"{RULES}/{found['id']}")
    click.echo(f"{shown(found['name'])} is deleted")


# -- words


def need(daemon: Daemon, said: str) -> Any:
    """The rule with that id, or that name in any case of letters. Raises DaemonRefused."""
    from growy.cli.exits import DaemonRefused

    found = daemon.get_list(RULES)
    by_id = [one for one in found if one["id"] == said]
    named = by_id or [one for one in found if one["name"].casefold() == said.casefold()]
    if len(named) == 1:
        return named[0]
    if named:
        raise DaemonRefused(f"Several rules are called {said!r}: say the id", "AMBIGUOUS")
    names = ", ".join(repr(one["name"]) for one in found[:20])
    raise DaemonRefused(f"There is no rule {said!r}. There are: {names or 'none'}", "RULE_NOT_FOUND")


def read(document: str) -> Any:
    """A rule's JSON from a file, or from stdin. Raises click.BadParameter."""
    try:
        text = sys.stdin.read() if document == "-" else Path(document).read_text("utf-8")
    except OSError as error:
        raise click.BadParameter(f"{document}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{document} is not UTF-8") from error
    try:
        found = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"{document} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise click.BadParameter(f"{document} holds no JSON object")
    return found


def mock(said: str) -> tuple[str, float]:
    """`ESP:GPIO=VALUE` or `ESP:GPIO/TYPE=VALUE`. Raises click.BadParameter."""
    sensor, _, number = said.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if ":" not in sensor or value - value != 0:
        raise click.BadParameter(f"{said!r}: write ESP_12AB34CD:4=23.5 or ESP_12AB34CD:4/sht31_temp=23.5")
    return sensor, value


def moment(said: str) -> float:
    """Unix seconds. Raises click.BadParameter."""
    try:
        return datetime.fromisoformat(said).astimezone().timestamp()
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{said!r} is no time: write 2025-10-09 or 2025-10-09T18:30") from error


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
