"""`growyd login`: with name and password at a growyd that is asked over the network; `growyd logout` forgets it."""

from __future__ import annotations

import click


@click.command()
@click.argument("url")
@click.option("--username", prompt="User", help="User name or e-mail; asked for when it is not given.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def login(url: str, username: str, password_stdin: bool) -> None:
    """Log in at the growyd at URL. Commands with --url URL use it from then on.

    A month without a command ends it. A script has an API key instead: `growyd key add`, and GROWYD_API_KEY.
    """
    from growy.cli import logins
    from growy.cli.client import Daemon, HttpPlace
    from growy.cli.users import read_password

    place = HttpPlace.parse(url)
    ask = {
        "username": username,
        "password": read_password(password_stdin, confirm=False),
        "remember_me": True,
    }
    with Daemon([place], chosen=True) as daemon:
        said = daemon.post("/api/v1/auth/login", ask)
    tokens, user = said["tokens"], said["user"]
    logins.keep(str(place), logins.Login(user["username"], tokens["access_token"], tokens["refresh_token"]))
    click.echo(f"{user['username']} ({user['role']}) is logged in at {place}")


@click.command()
@click.argument("url")
@click.option("--all", "everywhere", is_flag=True, help="On all devices, not only here.")
def logout(url: str, everywhere: bool) -> None:
    """Log out at the growyd at URL."""
    from growy.cli import logins
    from growy.cli.client import Daemon, HttpPlace

    place = HttpPlace.parse(url)
    if (kept := logins.of(str(place))) is None:
        click.echo(f"Nobody is logged in at {place}")
        return
    try:
        with Daemon([place], chosen=True) as daemon:
            daemon.post("/api/v1/auth/logout", {"all_devices": everywhere, "refresh_token": kept.refresh})
    finally:
        logins.keep(str(place), None)
    click.echo(f"Logged out at {place}")
