"""`growyd sensors`: the libraries that convert raw values: which there are, how they fare, load them anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from growy.cli.options import daemon_options, find_daemon, json_option


@click.group()
def sensors() -> None:
    """Sensor libraries: list them, load them anew."""


@sensors.command("list")
@daemon_options
@json_option
def list_libraries(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool) -> None:
    """Every sensor library with its state, and what is wrong with it."""
    from growy.cli.output import print_json

    with find_daemon(config_file, socket, url) as daemon:
        answer = daemon.get("/api/v1/sensors/libraries")
    if as_json:
        print_json(answer)
    else:
        _print(answer["libraries"])


@sensors.command("reload")
@daemon_options
@json_option
@click.pass_context
def reload_libraries(
    ctx: click.Context, config_file: Path | None, socket: Path | None, url: str | None, as_json: bool
) -> None:
    """Read the library files now, and give those that were set aside a new chance.

    Exit code 1 when a library cannot be used afterwards.
    """
    from growy.cli.exits import ExitCode
    from growy.cli.output import print_json

    with find_daemon(config_file, socket, url) as daemon:
        answer = daemon.post("/api/v1/sensors/libraries/reload", {})
    if as_json:
        print_json(answer)
    else:
        _print(answer["libraries"])
    if any(library["error"] for library in answer["libraries"]):
        ctx.exit(ExitCode.FAILED)


def _print(libraries: Sequence[dict[str, Any]]) -> None:
    from growy.cli.output import print_table, shown

    print_table(
        ("library", "version", "from", "state", "converted", "failures", "types"),
        [
            (
                one["name"],
                one["version"],
                "growyd" if one["shipped"] else one["path"],
                one["state"],
                one["conversions"],
                one["failures"],
                one["types"],
            )
            for one in libraries
        ],
    )
    for one in libraries:
        if one["error"]:
            click.echo(f"{shown(one['name'])} ({shown(one['path'])}): {shown(one['error'])}")
