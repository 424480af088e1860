"""`growyd events`: what happened, from the audit trail. Newest first."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from growy.cli.options import DURATION, daemon_options, find_daemon, json_option

if TYPE_CHECKING:
    from growy.cli.client import Daemon

SEVERITIES = ("info", "warning", "error", "critical")
MOST = 10_000


@click.command()
@click.option("--device", metavar="ESP", help="Only what is about this ESP32.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="Only what is at least this bad.")
@click.option("--type", "event_type", help="Only this kind of event; several with commas.")
@click.option("--since", type=DURATION, help="How far back, e.g. 10m, 1h, 2d; else as far as there is.")
@click.option(
    "--limit", type=click.IntRange(1, MOST), default=100, show_default=True, help="The newest this many."
)
@daemon_options
@json_option
def events(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    device: str | None,
    severity: str | None,
    event_type: str | None,
    since: float | None,
    limit: int,
) -> None:
    """What happened: decisions, faults, devices that came and went."""
    from growy.cli.output import print_json, print_table, when

    query: dict[str, str | int | float | None] = {
        "esp_id": device,
        "severity": severity,
        "event_type": event_type,
        "start_time": None if since is None else datetime.fromtimestamp(time.time() - since, UTC).isoformat(),
    }
    with find_daemon(config_file, socket, url) as daemon:
        found = newest(daemon, query, limit)
    if as_json:
        print_json(found)
        return
    rows = []
    for one in found:
        moment = when(one["created_at"])
        rows.append(
            (
                None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}",
                one["severity"],
                one["event_type"],
                one["source_id"],
                one["error_code"],
                one["repeats"],
                one["message"],
            )
        )
    if rows:
        print_table(("time", "severity", "event", "of", "code", "times", "what happened"), rows)
    elif any(value is not None for value in query.values()):
        click.echo("No such event.")
    else:
        click.echo("No events yet.")


def newest(daemon: Daemon, query: dict[str, str | int | float | None], limit: int) -> list[Any]:
    """The newest events that fit. Asked from id to id: what happens meanwhile shifts nothing."""
    from growy.cli.client import PAGE_SIZE

    found: list[Any] = []
    while len(found) < limit:
        size = min(PAGE_SIZE, limit - len(found))
        before = found[-1]["id"] if found else None
        answer = daemon.get("/api/v1/audit", {**query, "page_size": size, "before_id": before})
        found += answer["data"]
        if not answer["pagination"]["has_next"]:
            break
    return found
