"""`growyd key`: API keys of devices and scripts."""

from __future__ import annotations

from pathlib import Path

import click

from growy.cli.options import daemon_options, find_daemon, json_option
from growy.cli.users import ROLES

KEYS = "/api/v1/keys"
SCOPES = click.Choice(("readings", "process", "metrics", "live"))


@click.group()
def key() -> None:
    """API keys: how devices and scripts show who they are."""


@key.command("list")
@daemon_options
@json_option
def list_(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool) -> None:
    """All keys, and when each was used last."""
    from growy.cli.output import print_json, print_table, since

    with find_daemon(config_file, socket, url) as daemon:
        found = daemon.get(KEYS)
    if as_json:
        print_json(found)
    elif found["data"]:
        columns = ("key", "role", "only for", "made by", "last used")
        rows = [
            (one["name"], one["role"], one["scopes"], one["created_by"], since(one["last_used_at"]))
            for one in found["data"]
        ]
        print_table(columns, rows)
    else:
        click.echo("No keys. `growyd key add NAME` makes one.")


@key.command()
@click.argument("name")
@click.option("--role", type=ROLES, default="viewer", show_default=True, help="What it may do.")
@click.option("--scope", "scopes", type=SCOPES, multiple=True, help="Only for this; may be repeated.")
@daemon_options
@json_option
def add(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    name: str,
    role: str,
    scopes: tuple[str, ...],
) -> None:
    """Make a key and print it. It is shown this once: growyd keeps only its hash."""
    from growy.cli.output import print_json

    with find_daemon(config_file, socket, url) as daemon:
        made = daemon.post(KEYS, {"name": name, "role": role, "scopes": list(scopes) or None})
    print_json(made) if as_json else click.echo(made["key"])


@key.command()
@click.argument("name")
@daemon_options
def rm(config_file: Path | None, socket: Path | None, url: str | None, name: str) -> None:
    """Remove a key. It counts no longer, at once."""
    with find_daemon(config_file, socket, url) as daemon:
        gone = daemon.delete(f"{KEYS}/{name}")
    click.echo(f"{gone['name']} counts no longer")
