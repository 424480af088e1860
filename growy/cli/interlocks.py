"""`growyd interlocks`: which actuators must never run together, and which only together."""

from __future__ import annotations

from pathlib import Path

import click

from growy.cli.options import daemon_options, find_daemon, json_option

INTERLOCKS = "/api/v1/interlocks"
KINDS = ("exclusive", "requires")


@click.group()
def interlocks() -> None:
    """Interlocks: what must never run together, or only together."""


@interlocks.command("list")
@daemon_options
@json_option
def list_(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool) -> None:
    """All interlocks."""
    from growy.cli.output import print_json, print_table

    with find_daemon(config_file, socket, url) as daemon:
        found = daemon.get(INTERLOCKS)["data"]
    if as_json:
        print_json(found)
    elif found:
        columns = ("kind", "what it says", "name", "id")
        print_table(columns, [(one["kind"], one["text"], one["name"], one["id"]) for one in found])
    else:
        click.echo("No interlocks. `growyd interlocks add exclusive ESP:GPIO ESP:GPIO` makes one.")


@interlocks.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("a", metavar="ESP:GPIO")
@click.argument("b", metavar="ESP:GPIO")
@click.option("--name", default="", help="What it is for.")
@daemon_options
@json_option
def add(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    kind: str,
    a: str,
    b: str,
    name: str,
) -> None:
    """Two actuators, which may be on different ESP32s.

    exclusive: they never run at the same time. requires: the second runs only while the first does.
    """
    from growy.cli.output import print_json, shown

    with find_daemon(config_file, socket, url) as daemon:
        made = daemon.post(INTERLOCKS, {"kind": kind, "a": a, "b": b, "name": name})
    if as_json:
        print_json(made)
    else:
        click.echo(f"{shown(made['text'])} [{shown(made['id'])}]")


@interlocks.command()
@click.argument("interlock_id", metavar="ID")
@daemon_options
@json_option
def rm(
    config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, interlock_id: str
) -> None:
    """Take an interlock away."""
    from growy.cli.output import print_json, shown

    with find_daemon(config_file, socket, url) as daemon:
        gone = daemon.delete(f"{INTERLOCKS}/{interlock_id}")
    print_json(gone) if as_json else click.echo(f"Gone: {shown(gone['text'])}")
