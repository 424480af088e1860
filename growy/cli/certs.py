"""`growyd certs`: a certificate authority of one's own, and a certificate for this machine. Needs no daemon."""

from __future__ import annotations

import socket
from pathlib import Path

import click

from growy.cli.options import config_option, read_settings

ELSEWHERE = "192.0.2.1"
"""An address of nobody (RFC 5737), to ask the kernel which of ours it would use. Nothing is sent."""


@click.command()
@config_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; default {data_dir}/tls."
)
@click.option("--name", "names", multiple=True, help="Further host name or address; may be repeated.")
def certs(config_file: Path | None, out: Path | None, names: tuple[str, ...]) -> None:
    """Make a local certificate authority and a certificate for HTTPS with this machine's names and addresses.

    Called again, it renews the certificate and keeps the authority.
    """
    folder = out or read_settings(config_file).config.data_dir / "tls"
    from growy.model.errors import ConfigError, GrowyError

    try:
        from growy.cli import authority
    except ModuleNotFoundError as error:
        raise ConfigError(
            "growyd certs needs the package cryptography", cure="pip install 'growyd[certs]'"
        ) from error
    hosts = [*dict.fromkeys([*own_names(), *names])]
    try:
        authority.make(folder, hosts)
    except OSError as error:
        raise GrowyError(f"The certificates cannot be written into {folder}: {error.strerror}") from error
    click.echo(f"For {', '.join(hosts)}\n")
    click.echo(f'[web]\ncert_file = "{folder}/server.pem"\nkey_file = "{folder}/server.key"\n')
    click.echo(f"Browsers and other machines trust it when they know {folder}/ca.pem")


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
