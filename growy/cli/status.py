"""`growyd status`: is it well, and if not, why and what to do; then the figures of every part as they are."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from growy.cli.exits import ExitCode
from growy.cli.options import DURATION, daemon_options, find_daemon, json_option

if TYPE_CHECKING:
    from growy.cli.client import Daemon


HISTOGRAM = {"bounds_s", "counts", "sum_s"}
"""Fields of a histogram among the figures."""


@click.command()
@daemon_options
@json_option
@click.option("--watch", is_flag=True, help="One live screen, until Ctrl-C; needs a terminal.")
@click.option(
    "--every", type=DURATION, default="2s", show_default=True, help="With --watch: how often it looks."
)
@click.pass_context
def status(
    ctx: click.Context,
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    watch: bool,
    every: float,
) -> None:
    """How the daemon is: health, causes, figures of every part.

    Exit code 0 when it is healthy, 4 when it is degraded or unhealthy, 3 when none answers. With --watch 0 at Ctrl-C.
    """
    from growy.cli.output import age, print_json, print_table, shown

    if watch:
        if as_json or not sys.stdout.isatty():
            raise click.UsageError("--watch needs a terminal; for programs there is --json without it")
        with find_daemon(config_file, socket, url) as daemon:
            _watch(daemon, every)
        return
    with find_daemon(config_file, socket, url) as daemon:
        answer = daemon.get("/api/v1/statistics")
        accounts = answer["parts"].get("accounts") or {}
        first = daemon.get("/api/v1/auth/status") if accounts.get("setup_required") else {}
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
        if first.get("setup_required"):
            code = f"the setup code {first['setup_code']}" if "setup_code" in first else "the code in its log"
            click.echo(
                f"  no user yet: `growyd user add NAME` makes the first; so does a browser, with {code}"
            )
        click.echo()
        print_table(("part", "figure", "value"), figures(answer["parts"]))
    if health["status"] != "healthy":
        ctx.exit(ExitCode.UNWELL)


def _watch(daemon: Daemon, every_s: float) -> None:
    """Until Ctrl-C or SIGTERM; either leaves the terminal as it was."""
    from rich.console import Console
    from rich.live import Live

    from growy.cli import watch
    from growy.model.errors import GrowyError

    def end(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    # The first look is outside the screen: one who finds no daemon is told so as always.
    before, last = None, watch.look(daemon, time.monotonic())
    console = Console()
    signal.signal(signal.SIGTERM, end)
    now: watch.Look | watch.Silent = last
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while True:
            live.update(watch.screen(now, before, last, console.height), refresh=True)
            time.sleep(every_s)
            try:
                now = watch.look(daemon, time.monotonic())
            except GrowyError as error:
                now, before = watch.Silent(error.message), None
            else:
                before, last = last, now


def figures(parts: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
    """One row per figure; nested ones get a dotted name, empty ones are left out."""
    for part, content in parts.items():
        for name, value in _flat("", content):
            yield part, name, value


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value.keys() == HISTOGRAM:
        yield f"{prefix}.count", sum(value["counts"])  # its classes are for /metrics
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), inner)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            named = item.get("name", number) if isinstance(item, Mapping) else number
            yield from _flat(f"{prefix}.{named}" if prefix else str(named), item)
    else:
        yield prefix, value
