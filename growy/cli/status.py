"""`growyd status`: is it well, and if not, why and what to do; then the figures of every part as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from growy.cli.exits import ExitCode
from growy.cli.options import daemon_options, find_daemon, json_option


@click.command()
@daemon_options
@json_option
@click.pass_context
def status(
    ctx: click.Context, config_file: Path | None, socket: Path | None, url: str | None, as_json: bool
) -> None:
    """How the daemon is: health, causes, figures of every part.

    Exit code 0 when it is healthy, 4 when it is degraded or unhealthy, 3 when none answers.
    """
    from growy.cli.output import age, print_json, print_table, shown

    with find_daemon(config_file, socket, url) as daemon:
        answer = daemon.get("/api/v1/statistics")
    health: Mapping[str, Any] = answer["health"]
    if as_json:
        print_json(answer)
    else:
        click.echo(
            f"growyd {shown(answer['version'])} ({shown(answer['node'])}) is {shown(health['status'])}, "
            f"up {age(answer['uptime_seconds'])}, {health['devices_online']} of {health['devices']} devices online"
        )
        for cause in health["causes"]:
            click.echo(f"  ! {shown(cause['message'])}")
        click.echo()
        print_table(("part", "figure", "value"), figures(answer["parts"]))
    if health["status"] != "healthy":
        ctx.exit(ExitCode.UNWELL)


def figures(parts: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
    """One row per figure; nested ones get a dotted name, empty ones are left out."""
    for part, content in parts.items():
        for name, value in _flat("", content):
            yield part, name, value


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), inner)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            named = item.get("name", number) if isinstance(item, Mapping) else number
            yield from _flat(f"{prefix}.{named}" if prefix else str(named), item)
    else:
        yield prefix, value
