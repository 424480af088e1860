"""`growyd user`: who may log in. Over the unix socket nobody needs a password for that: it is the way back in when one
is lost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from growy.cli.options import daemon_options, find_daemon, json_option

if TYPE_CHECKING:
    from growy.cli.client import Daemon

USERS = "/api/v1/users"
ROLES = click.Choice(("viewer", "operator", "admin"))
stdin_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@click.group()
def user() -> None:
    """Users: who may log in, and what they may do."""


def read_password(from_stdin: bool, *, confirm: bool) -> str:
    """From standard input up to its first line's end, or typed unseen."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True)
    return password


@user.command("list")
@daemon_options
@json_option
def list_(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool) -> None:
    """All users."""
    from growy.cli.output import print_json, print_table

    with find_daemon(config_file, socket, url) as daemon:
        found = daemon.get(USERS)
    if as_json:
        print_json(found)
    elif found["users"]:
        columns = ("user", "role", "may log in", "e-mail", "name")
        rows = [
            (one["username"], one["role"], one["is_active"], one["email"], one["full_name"])
            for one in found["users"]
        ]
        print_table(columns, rows)
    else:
        click.echo("No users. `growyd user add NAME` makes the first one, an administrator.")


@user.command()
@click.argument("name")
@click.option("--role", type=ROLES, help="Default viewer; of the first user admin.")
@click.option("--email", help="Can be used to log in, too.")
@click.option("--full-name", default="", help="For people.")
@stdin_option
@daemon_options
@json_option
def add(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    name: str,
    role: str | None,
    email: str | None,
    full_name: str,
    password_stdin: bool,
) -> None:
    """Make an account. The first one is an administrator.

    viewer: may look. operator: may switch, set up and change rules. admin: users and keys, too.
    """
    from growy.cli.output import print_json

    with find_daemon(config_file, socket, url) as daemon:
        if role is None:
            first = daemon.get("/api/v1/auth/status")["setup_required"]
            role = "admin" if first else "viewer"
        password = read_password(password_stdin, confirm=True)
        ask = {"username": name, "password": password, "email": email, "full_name": full_name, "role": role}
        made = daemon.post(USERS, ask)
    print_json(made) if as_json else click.echo(f"{made['username']} can log in as {made['role']}")


@user.command()
@click.argument("name")
@stdin_option
@daemon_options
def passwd(
    config_file: Path | None, socket: Path | None, url: str | None, name: str, password_stdin: bool
) -> None:
    """Give a user a new password. Everybody who is logged in as that user is logged out."""
    with find_daemon(config_file, socket, url) as daemon:
        found = _find(daemon, name)
        password = read_password(password_stdin, confirm=True)
        daemon.post(f"{USERS}/{found['id']}/reset-password", {"new_password": password})
    click.echo(f"{found['username']} has a new password")


@user.command()
@click.argument("name")
@click.argument("new_role", metavar="ROLE", type=ROLES)
@daemon_options
def role(config_file: Path | None, socket: Path | None, url: str | None, name: str, new_role: str) -> None:
    """Make a user viewer, operator or admin. It counts at once."""
    with find_daemon(config_file, socket, url) as daemon:
        changed = daemon.patch(f"{USERS}/{_find(daemon, name)['id']}", {"role": new_role})
    click.echo(f"{changed['username']} is {changed['role']}")
    _tell_keys("their keys that may do more (growyd key rm)", changed["keys_beyond"])


@user.command()
@click.argument("name")
@click.option("--with-keys", is_flag=True, help="And the API keys that the user made.")
@daemon_options
def rm(config_file: Path | None, socket: Path | None, url: str | None, name: str, with_keys: bool) -> None:
    """Delete an account. What the user did stays in the audit trail, and keys that the user made go on counting."""
    with find_daemon(config_file, socket, url) as daemon:
        gone = daemon.delete(f"{USERS}/{_find(daemon, name)['id']}", {"with_keys": str(with_keys)})
    click.echo(f"{gone['username']} is gone")
    _tell_keys("their keys that count no longer", gone["keys_removed"])
    _tell_keys("their keys that go on counting (growyd key rm)", gone["keys_left"])


def _tell_keys(which: str, names: list[str]) -> None:
    from growy.cli.output import shown

    if names:
        click.echo(f"{which}: {', '.join(shown(name) for name in names)}")


def _find(daemon: Daemon, name: str) -> Any:
    """Raises NotFound."""
    from growy.model.errors import NotFound

    for one in daemon.get(USERS)["users"]:
        if name.lower() in (one["username"].lower(), (one["email"] or "").lower()):
            return one
    raise NotFound(f"There is no user {name}", cure="`growyd user list` shows those that there are")
