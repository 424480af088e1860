"""`growyd doctor`: everything that can be wrong, on one screen, with its cure. Also while no daemon runs."""

from __future__ import annotations

import os
import socket as sockets
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from growy.cli.options import daemon_options, find_daemon, json_option

if TYPE_CHECKING:
    from growy.config import Config
    from growy.doctor import BrokerFacts, Finding

KNOCK_S = 2.0
EXIT = {"green": 0, "amber": 1, "red": 2}
"""By the worst of the findings; part of the interface."""


@click.command()
@daemon_options
@json_option
@click.pass_context
def doctor(
    ctx: click.Context, config_file: Path | None, socket: Path | None, url: str | None, as_json: bool
) -> None:
    """Look at everything: what is wrong, and what to do about it.

    Exit code 0: all green, 1: amber, something to look at, 2: red. Without a daemon it looks at what can be seen from
    here: disk, card, databases, files, clock, power, broker.
    """
    from growy.cli.exits import DaemonRefused, DaemonUnreachable
    from growy.cli.output import print_json
    from growy.model.errors import ConfigError, Unauthorized

    elsewhere = url is not None or bool(os.environ.get("GROWY_URL"))
    try:
        with find_daemon(config_file, socket, url) as daemon:
            answer = daemon.get("/api/v1/doctor")
    except DaemonUnreachable as error:
        if elsewhere:
            raise
        answer = _alone(config_file, error.message, barred="permission denied" in error.message)
    except DaemonRefused as error:
        if elsewhere or error.said != Unauthorized.code:
            raise
        answer = _alone(config_file, error.message, barred=True)
    except ConfigError as error:
        answer = _record([_faulty(error)], running=False)
    if as_json:
        print_json(answer)
    else:
        _print(answer)
    ctx.exit(EXIT.get(answer["level"], EXIT["red"]))


def _alone(config_file: Path | None, why_not: str, *, barred: bool) -> dict[str, Any]:
    """What this process can see by itself."""
    from growy.broker.client_certificate import client_certificates
    from growy.cli.options import read_settings
    from growy.config.load import find_file
    from growy.doctor import Facts, examine
    from growy.model.errors import ConfigError
    from growy.store.premises import look

    why = why_not.replace("\n  ", " ")
    try:
        config = read_settings(config_file).config
    except ConfigError as error:  # one who may not read the settings has been told so, and can look at little
        return _record(
            [*examine(Facts(running=False, barred=barred, why_not=why)), _faulty(error)], running=False
        )
    facts = Facts(
        running=False,
        barred=barred,
        why_not=why,
        machine=look(config, find_file(config_file, os.environ)),
        broker=_knock(config),
        certificates=client_certificates(config, int(time.time() * 1000), own=False),
    )
    return _record(examine(facts), running=False)


def _faulty(error: Exception) -> Finding:
    from growy.doctor import Finding, Level

    return Finding(
        area="settings",
        code="settings_faulty",
        level=Level.RED,
        message=str(error),
        cure="growyd config check",
    )


def _knock(config: Config) -> BrokerFacts | None:
    """Whether anybody answers at the broker's port; None where growyd brings its own."""
    from growy.config.broker_url import is_loopback
    from growy.doctor import BrokerFacts

    url = config.broker.address
    if url.embedded:
        return None
    said = ""
    try:
        sockets.create_connection((url.host, url.port), KNOCK_S).close()
    except OSError as error:
        said = (error.strerror or str(error)).lower()
    return BrokerFacts(
        connected=not said,
        place=f"{url.host}:{url.port}",
        knocked=True,
        said=said,
        local=is_loopback(url.host),
    )


def _record(findings: Sequence[Finding], *, running: bool) -> dict[str, Any]:
    """As the daemon answers."""
    from datetime import UTC, datetime

    import attrs

    from growy.doctor import Level, worst

    counted = Counter(finding.level for finding in findings)
    return {
        "success": True,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "running": running,
        "level": worst(findings).value,
        "counts": {level.value: counted[level] for level in Level},
        "findings": [attrs.asdict(finding) for finding in findings],
    }


def _print(answer: Mapping[str, Any]) -> None:
    """The worst first. Into a pipe each finding is one line, and its cure another."""
    from growy.cli.output import shown

    counts = answer["counts"]
    findings = [
        (
            shown(one["level"]),
            shown(one["area"]),
            shown(one["message"]),
            shown(one["cure"]) if one["cure"] else "",
        )
        for one in sorted(answer["findings"], key=lambda one: -EXIT.get(one["level"], EXIT["red"]))
    ]
    if sys.stdout.isatty():
        _print_rich(findings)
    else:
        wide = max((len(area) for _, area, _, _ in findings), default=0)
        for level, area, message, cure in findings:
            click.echo(
                f"{level:<5}  {area:<{wide}}  {message}" + (f"\n{'':<{wide + 9}}> {cure}" if cure else "")
            )
    click.echo(f"{counts['red']} red, {counts['amber']} amber, {counts['green']} green")


def _print_rich(findings: Sequence[tuple[str, str, str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    colours = {"green": "green", "amber": "yellow", "red": "bold red"}
    for level, area, message, cure in findings:
        said = Text(message)
        if cure:
            said.append(f"\n> {cure}", style="dim")
        table.add_row(Text(level, style=colours.get(level, "")), Text(area), said)
    Console(highlight=False).print(table)
