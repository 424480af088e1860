"""`growyd readings`: stored readings of one ESP32: the newest in a table, or all of a time as CSV, oldest first."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from growy.cli.options import DURATION, daemon_options, find_daemon, json_option

if TYPE_CHECKING:
    from growy.cli.client import Daemon

DATA = "/api/v1/sensors/data"
MOST = 20_000
"""Readings in one answer of the API."""
AHEAD_MS = 300_000
"""Clocks of devices may be this far ahead of ours."""


@click.command()
@click.argument("esp_id", metavar="ESP")
@click.option(
    "--since", type=DURATION, default="1h", show_default=True, help="How far back, e.g. 10m, 1h, 2d."
)
@click.option("--type", "sensor_type", help="Only this sensor type.")
@click.option("--gpio", type=int, help="Only this pin.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST),
    default=100,
    show_default=True,
    help="The newest this many, in a table or as JSON. CSV has all.",
)
@click.option("--csv", "as_csv", is_flag=True, help="All readings as CSV, oldest first, as they come.")
@daemon_options
@json_option
def readings(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    esp_id: str,
    since: float,
    sensor_type: str | None,
    gpio: int | None,
    limit: int,
    as_csv: bool,
) -> None:
    """Stored readings of one ESP32, as a table or as CSV."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    from growy.cli.output import print_json

    now_ms = int(time.time() * 1000)
    start_ms, end_ms = now_ms - int(since * 1000), now_ms + AHEAD_MS
    query = {"esp_id": esp_id, "sensor_type": sensor_type, "gpio": gpio}
    with find_daemon(config_file, socket, url) as daemon:
        if as_csv:
            write_csv(daemon, query, start_ms, end_ms)
            return
        answer = daemon.get(DATA, {**query, **_window(start_ms, end_ms), "limit": limit})
    if as_json:
        print_json(answer)
    else:
        _print(answer)


def write_csv(daemon: Daemon, query: Mapping[str, str | int | None], start_ms: int, end_ms: int) -> None:
    """To stdout as it comes: neither growyd nor this program holds more than a piece of it.

    Raises DaemonUnreachable when it breaks off: what was written until then is not all.
    """
    out = sys.stdout.buffer
    for piece in daemon.stream(DATA, {**query, **_window(start_ms, end_ms), "format": "csv"}):
        out.write(piece)
    out.flush()


def _print(answer: Mapping[str, Any]) -> None:
    from growy.cli.output import print_table, shown, when

    found = answer["readings"]
    if not answer["series"]:
        click.echo(f"{shown(answer['esp_id'])} has no such sensor.")
        return
    if not found:
        click.echo("No readings in this time. A longer one: --since 1d")
        return
    rows = []
    for one in found:
        moment = when(one["timestamp"])
        rows.append(
            (
                one["timestamp"] if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}",
                one["sensor_type"],
                one["gpio"],
                one["address"],
                one["raw_value"],
                one["processed_value"],
                one["unit"],
                one["quality"],
            )
        )
    print_table(("time", "sensor", "gpio", "address", "raw", "value", "unit", "quality"), rows)
    if answer["truncated"]:
        click.echo(f"The newest {len(found)}; more with --limit, all with --csv.", err=True)


def _window(start_ms: int, end_ms: int) -> dict[str, str]:
    return {"start_time": _iso(start_ms), "end_time": _iso(end_ms)}


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
