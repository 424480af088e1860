"""`growyd broker`: the logins of the Mosquitto beside the daemon. A password is never an argument: those stand in the
list of processes and in the shell's history.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from growy.cli.options import daemon_options, find_daemon, json_option

AUTH = "/api/v1/auth/mqtt"


@click.group()
def broker() -> None:
    """The broker's logins: set one up, take one away."""


@broker.command()
@click.argument("user")
@click.option(
    "--stdin", "from_stdin", is_flag=True, help="The password comes by standard input; else it is asked for."
)
@daemon_options
@json_option
def passwd(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    from_stdin: bool,
    user: str,
) -> None:
    """Let USER in at the broker with a password, and with no other.

    Done when a login has proven it; else everything is put back. Clients that are connected as USER with another
    password are thrown out.
    """
    from growy.cli.output import print_json, shown

    password = read_password(user, from_stdin=from_stdin)
    with find_daemon(config_file, socket, url) as daemon:
        said = daemon.post(f"{AUTH}/configure", {"username": user, "password": password, "enabled": True})
    if as_json:
        print_json(said)
        return
    click.echo(shown(said["message"]))
    for warning in said["warnings"]:
        click.echo(f"growyd: {shown(warning)}", err=True)


@broker.command()
@click.argument("user")
@daemon_options
@json_option
def rm(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, user: str) -> None:
    """Let USER in at the broker no more; clients that are connected as USER are thrown out."""
    from growy.cli.output import print_json, shown

    with find_daemon(config_file, socket, url) as daemon:
        said = daemon.post(f"{AUTH}/configure", {"username": user, "enabled": False})
    print_json(said) if as_json else click.echo(shown(said["message"]))


@broker.command()
@daemon_options
@json_option
def status(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool) -> None:
    """The login that was set up last, and whether it still stands."""
    from growy.cli.output import print_json, shown

    with find_daemon(config_file, socket, url) as daemon:
        said = daemon.get(f"{AUTH}/status")
    if as_json:
        print_json(said)
    elif said["username"] is None:
        click.echo("growyd has set up no login. `growyd broker passwd USER` does.")
    else:
        state = "can log in" if said["enabled"] else "cannot log in"
        click.echo(f"{shown(said['username'])} {state}; set up {shown(said['last_configured'])}")


def read_password(user: str, *, from_stdin: bool) -> str:
    """Asked for twice at a terminal, or the first line of standard input. Raises click.UsageError."""
    if from_stdin:
        line = sys.stdin.readline()
        if not line.rstrip("\r\n"):
            raise click.UsageError("Standard input has no password.")
        return line.rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("Without a terminal the password must come with --stdin.")
    password: str = click.prompt(
        f"Password of {user} at the broker", hide_input=True, confirmation_prompt=True
    )
    return password
