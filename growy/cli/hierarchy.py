"""`growyd hierarchy` and `growyd kaisers`: God, its Kaisers, and whose every device is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from growy.cli.kaiser_ask import ask
from growy.cli.options import DURATION, daemon_options, find_daemon, json_option

KAISERS = "/api/v1/kaiser"
COLUMNS = (
    *("kaiser", "name", "status", "heard", "devices", "most", "behind", "stand-in", "version"),
    "certificate",
)
WAIT_S = 30.0
"""The longest that the daemon waits within one request."""


@click.command()
@daemon_options
@json_option
def hierarchy(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool) -> None:
    """God, its Kaisers and their devices, as a tree: who owns what, and until when.

    A Kaiser shows what it knows itself.
    """
    from growy.cli.output import print_json

    with find_daemon(config_file, socket, url) as daemon:
        found = daemon.get("/api/god/hierarchy")
    if as_json:
        print_json(found)
        return
    for line in branches(found):
        click.echo(line)
    if not found["complete"]:
        click.echo("growyd: this is a Kaiser; its God knows the rest", err=True)


def branches(found: Mapping[str, Any]) -> Iterator[str]:
    """The tree, line by line."""
    from growy.cli.output import shown

    god = found["god"]
    text = f"god {shown(god['id'])}"
    if found["complete"]:
        text += f": {many(god['esp_count'], 'device')} of its own, {many(god['total_kaisers'], 'Kaiser')}"
    yield text
    for esp in god.get("esps") or ():
        yield f"  {device(esp)}"
    for kaiser in found["kaisers"]:
        yield f"  {node(kaiser)}"
        for esp in kaiser["esps"]:
            yield f"    {device(esp)}"


def node(kaiser: Mapping[str, Any]) -> str:
    """A Kaiser in a line."""
    from growy.cli.output import shown, since

    name = f" ({shown(kaiser['name'])})" if kaiser.get("name") else ""
    parts = [f"{shown(kaiser['kaiser_id'])}{name}: {shown(kaiser['status'])}"]
    if kaiser.get("last_heartbeat"):
        parts.append(f"heard {since(kaiser['last_heartbeat'])} ago")
    most = kaiser.get("max_esps")
    count = kaiser["esp_count"]
    parts.append(many(count, "device") if most is None else f"{count} of {many(most, 'device')}")
    if kaiser.get("backlog") is not None:
        behind = f"{kaiser['backlog']} commits of readings behind"
        parts.append(behind if kaiser["backlog"] else "all its readings here")
    if kaiser.get("certificate"):
        parts.append(f"certificate {until(kaiser['certificate']['expires'])}")
    if kaiser.get("refused"):
        parts.append(f"ANOTHER NODE CALLS ITSELF SO, and is refused: {shown(kaiser['refused']['reason'])}")
    god = kaiser.get("god")
    if god is not None:
        heard = "heard" if god["heard"] else "NOT HEARD"
        parts.append(f"its God {shown(god['id'])} is {heard}")
        if god["refusal"]:
            parts.append(f"and REFUSES it: {shown(god['refusal'])}")
    return ", ".join(parts)


def until(iso: str) -> str:
    """`until 2029-02-23`, or that it has expired."""
    from datetime import UTC, datetime

    from growy.cli.output import shown, when

    moment = when(iso)
    if moment is None:
        return shown(iso)
    return f"{'until' if moment > datetime.now(UTC) else 'EXPIRED'} {moment:%Y-%m-%d}"


def device(esp: Mapping[str, Any]) -> str:
    """A device in a line."""
    from growy.cli.output import shown

    name = f" ({shown(esp['name'])})" if esp.get("name") else ""
    parts = [f"{shown(esp['esp_id'])}{name}"]
    if esp.get("online") is not None:
        parts.append("online" if esp["online"] else "OFFLINE")
    if esp.get("epoch") is not None:
        parts.append(f"epoch {esp['epoch']}")
    if esp.get("lease_left_s") is not None:
        parts.append(f"lease {esp['lease_left_s']:.0f} s")
    elif esp["owner"] not in (None, "god"):
        parts.append("NO LEASE")
    if esp.get("tenure") not in (None, "ours"):
        parts.append(shown(esp["tenure"]))
    if esp["home"] != esp["owner"]:
        parts.append(f"on the broker of {shown(esp['home'])}")
    moving = esp.get("transfer")
    if moving is not None:
        parts.append(f"going to {shown(moving['kaiser_id'])} ({shown(moving['step'])})")
    return ", ".join(parts)


def many(count: object, what: str) -> str:
    """`1 device`, `2 devices`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


# --- kaisers ------------------------------------------------------------------------------------------------------


@click.group(invoke_without_command=True)
@daemon_options
@json_option
@click.pass_context
def kaisers(
    context: click.Context,
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """The Kaisers of this God: list them, enter, register, ask and remove them.

    Without a subcommand all of them are listed.
    """
    if context.invoked_subcommand is None:
        show_list(config_file, socket, url, as_json=as_json)
    elif any((config_file, socket, url, as_json)):
        raise click.UsageError(
            f"Write options after the subcommand: growyd kaisers {context.invoked_subcommand} ..."
        )


kaisers.add_command(ask)


@kaisers.command("list")
@daemon_options
@json_option
def list_(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool) -> None:
    """All of them, those that were never heard too."""
    show_list(config_file, socket, url, as_json=as_json)


def show_list(config_file: Path | None, socket: Path | None, url: str | None, *, as_json: bool) -> None:
    from growy.cli.output import print_json, print_table, since

    with find_daemon(config_file, socket, url) as daemon:
        found = daemon.get(KAISERS)
    if as_json:
        print_json(found["data"])
        return
    rows = [
        (
            one["kaiser_id"],
            one.get("name"),
            one["status"],
            since(one["last_seen"]),
            one["esp_count"],
            one.get("max_esps"),
            one.get("backlog"),
            one.get("stand_in") if one.get("failover") else None,
            one.get("version"),
            until(one["certificate"]["expires"]) if one.get("certificate") else None,
        )
        for one in found["data"]
    ]
    if rows:
        print_table(COLUMNS, rows)
    else:
        click.echo("No Kaisers. `growyd kaisers add ID` enters one; it appears with its first report.")


@kaisers.command()
@click.argument("kaiser_id", metavar="ID")
@daemon_options
@json_option
def show(
    config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, kaiser_id: str
) -> None:
    """A Kaiser with its devices, its installation and its client certificate."""
    from growy.cli.output import print_json, shown

    with find_daemon(config_file, socket, url) as daemon:
        found = daemon.get(f"{KAISERS}/{kaiser_id}")
    if as_json:
        print_json(found)
        return
    click.echo(node(found))
    for esp in found["esps"]:
        click.echo(f"  {device(esp)}")
    click.echo(f"installation {shown(found['instance'])}")
    certificate = found.get("certificate")
    if certificate is None:
        click.echo("certificate -")
    else:
        click.echo(
            f"certificate SHA-256 {shown(certificate['fingerprint'])}, {until(certificate['expires'])}"
        )


@kaisers.command()
@click.argument("kaiser_id", metavar="ID")
@click.option("--name", help="What people call it.")
@click.option("--max-esps", type=click.IntRange(0, 1000), help="How many devices it may own; 10 by default.")
@click.option("--stand-in", metavar="ID", help="Who gets its devices when it falls silent; god by default.")
@click.option(
    "--failover/--no-failover", default=None, help="Whether that happens by itself; yes by default."
)
@click.option("--gives-to", metavar="ID", multiple=True, help="Kaisers that it may give devices to unasked.")
@click.option("--esp", metavar="ESP", multiple=True, help="A device to be moved to it at once.")
@daemon_options
@json_option
@click.pass_context
def add(
    context: click.Context,
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    kaiser_id: str,
    name: str | None,
    max_esps: int | None,
    stand_in: str | None,
    failover: bool | None,
    gives_to: tuple[str, ...],
    esp: tuple[str, ...],
) -> None:
    """Enter a Kaiser, or change what is known of one: what is not said stays."""
    from growy.cli.exits import ExitCode
    from growy.cli.output import print_json, shown

    config = {
        "name": name,
        "max_esps": max_esps,
        "stand_in": stand_in,
        "failover": failover,
        "gives_to": list(gives_to) or None,
    }
    said = {name: value for name, value in config.items() if value is not None}
    with find_daemon(config_file, socket, url) as daemon:
        made = daemon.post(
            "/api/god/kaiser/add", {"kaiser_id": kaiser_id, "esp_devices": list(esp), "kaiser_config": said}
        )
    if as_json:
        print_json(made)
    else:
        click.echo(shown(made["message"]))
        for one in made["refused"]:
            click.echo(f"growyd: {shown(one['esp_id'])}: {shown(one['message'])}", err=True)
        click.echo(node(made["kaiser"]))
    if not made["success"]:
        context.exit(ExitCode.FAILED)


@kaisers.command()
@click.argument("kaiser_id", metavar="ID")
@click.option("--instance", help="The installation that may use the name; else the first that reports.")
@click.option("--replace", is_flag=True, help="The one that had the name is gone for good.")
@daemon_options
@json_option
def register(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    kaiser_id: str,
    instance: str | None,
    replace: bool,
) -> None:
    """Bind a Kaiser's name to an installation, or with --replace free it for another one.

    A Kaiser that is only entered is bound by its first report: this is for one whose card was lost.
    """
    from growy.cli.output import print_json, shown

    with find_daemon(config_file, socket, url) as daemon:
        made = daemon.post(
            f"{KAISERS}/register", {"kaiser_id": kaiser_id, "instance": instance, "replace": replace}
        )
    print_json(made) if as_json else click.echo(shown(made["message"]))


@kaisers.command()
@click.argument("kaiser_id", metavar="ID")
@click.option("--wait", type=DURATION, help="How long to wait for its devices to be back, e.g. 30s.")
@daemon_options
@json_option
def rm(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    kaiser_id: str,
    wait: float | None,
) -> None:
    """Unregister a Kaiser: its devices go back to God one by one, then it is gone."""
    from growy.cli.output import print_json, shown

    with find_daemon(config_file, socket, url) as daemon:
        query = {"wait": None if wait is None else min(wait, WAIT_S)}
        gone = daemon.delete(f"{KAISERS}/{kaiser_id}", query)
    print_json(gone) if as_json else click.echo(shown(gone["message"]))
