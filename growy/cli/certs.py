"""`growyd certs`: a certificate authority of one's own, and certificates for this machine and for Kaisers. Needs
no daemon."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from growy.cli.options import config_option, read_settings

if TYPE_CHECKING:
    from growy.cli.authority import Issued

ELSEWHERE = "192.0.2.1"
"""An address of nobody (RFC 5737), to ask the kernel which of ours it would use. Nothing is sent."""
KAISER_ID = r"[A-Za-z0-9_-]{1,63}"
"""As in [node] kaiser_id. It becomes part of file names, so nothing else may be in it."""


@click.command()
@config_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; default {data_dir}/tls."
)
@click.option("--name", "names", multiple=True, help="Further host name or address; may be repeated.")
@click.option(
    "--client",
    metavar="KAISER_ID",
    help="A certificate for a Kaiser, to show to this machine's broker; in place of the one for HTTPS.",
)
def certs(config_file: Path | None, out: Path | None, names: tuple[str, ...], client: str | None) -> None:
    """Make a local certificate authority and a certificate for HTTPS with this machine's names and addresses.

    Called again, it renews the certificate and keeps the authority.
    """
    if client is not None:
        check_client(client, names)
    folder = out or read_settings(config_file).config.data_dir / "tls"
    from growy.model.errors import ConfigError, GrowyError

    try:
        from growy.cli import authority
    except ModuleNotFoundError as error:
        raise ConfigError(
            "growyd certs needs the package cryptography", cure="pip install 'growyd[certs]'"
        ) from error
    try:
        if client is not None:
            show_client(client, authority.make_client(folder, client))
            return
        hosts = [*dict.fromkeys([*own_names(), *names])]
        authority.make(folder, hosts)
    except OSError as error:
        place = error.filename or folder
        raise GrowyError(
            f"The certificates cannot be made in {folder}: {place}: {error.strerror}",
            cure="sudo -u growy growyd certs ..., or a folder of your own with --out",
        ) from error
    click.echo(f"For {', '.join(hosts)}\n")
    click.echo(f'[web]\ncert_file = "{folder}/server.pem"\nkey_file = "{folder}/server.key"\n')
    click.echo(f"Browsers and other machines trust it when they know {folder}/ca.pem")


def check_client(kaiser_id: str, names: tuple[str, ...]) -> None:
    """Raises click.UsageError: no Kaiser can be called so, or the command makes no sense."""
    if names:
        raise click.UsageError("--name is of the certificate for HTTPS; a client's has its Kaiser's id alone")
    if kaiser_id == "god" or re.fullmatch(KAISER_ID, kaiser_id) is None:
        raise click.BadParameter(
            f"no Kaiser can be called {kaiser_id!r}: write its [node] kaiser_id, 1 to 63 letters, digits, - and _",
            param_hint="--client",
        )


def show_client(kaiser_id: str, made: Issued) -> None:
    """What has been made, and what to do with it."""
    if made.before is not None:
        click.echo(
            f"In place of one that lasts until {made.before:%Y-%m-%d}: where that is in use, it goes on being valid"
        )
    click.echo(f"For the Kaiser {kaiser_id}, until {made.expires:%Y-%m-%d}, SHA-256 {made.fingerprint}\n")
    ca = made.cert_file.with_name("ca.pem")
    click.echo(f"Copy {made.cert_file}, {made.key_file} and {ca} to /etc/growy on its Pi, and set there\n")
    click.echo(
        f'[uplink]\nca_file = "/etc/growy/{ca.name}"\ncert_file = "/etc/growy/{made.cert_file.name}"\n'
        f'key_file = "/etc/growy/{made.key_file.name}"\n'
    )
    click.echo("How the broker asks for it: docs/operations.md, Several Pis")


def own_names() -> list[str]:
    """Host names and addresses under which others reach this machine."""
    host = socket.gethostname().partition(".")[0]
    found = [host, f"{host}.local", "localhost", "127.0.0.1", "::1"]
    for family, address in ((socket.AF_INET, ELSEWHERE), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
                found.append(probe.getsockname()[0])
        except OSError:
            pass  # no network of that kind
    return found
