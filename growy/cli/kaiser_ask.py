"""`growyd kaisers ask`: have a Kaiser do something, from another one or from God."""

from __future__ import annotations

from pathlib import Path

import click

from growy.cli.options import DURATION, daemon_options, find_daemon, json_option

LONGEST_S = 30.0
"""The longest that the daemon waits within one request."""


@click.command()
@click.argument("kaiser_id", metavar="ID")
@click.argument("command", metavar="COMMAND", type=click.Choice(["sync_data", "transfer_esp"]))
@click.argument("esp", metavar="[ESP]", required=False)
@click.option("--to", "to_owner", metavar="OWNER", help="Who shall have the device; else the node that asks.")
@click.option("--reason", help="Why; is kept and shown.")
@click.option(
    "--wait", type=DURATION, default="20s", show_default=True, help="How long for its answer, 30s at most."
)
@daemon_options
@json_option
def ask(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    kaiser_id: str,
    command: str,
    esp: str | None,
    to_owner: str | None,
    reason: str | None,
    wait: float,
) -> None:
    """Ask a Kaiser for something: at another Kaiser, which asks it, or at God, which orders it.

    sync_data: which devices it has, and whether God has all its readings. transfer_esp ESP: that it gives a device of
    its own away. Exit code 1 when it refuses or does not answer.
    """
    from growy.cli.output import print_json, shown

    moves = command == "transfer_esp"
    if moves and esp is None:
        raise click.UsageError(f"Say which device: growyd kaisers ask {kaiser_id} transfer_esp ESP")
    if not moves and (esp is not None or to_owner is not None or reason is not None):
        raise click.UsageError("ESP, --to and --reason are for transfer_esp")
    body = {"command": command, "esp_id": esp, "to_owner": to_owner, "reason": reason or ""}
    with find_daemon(config_file, socket, url) as daemon:
        said = daemon.post(f"/api/v1/kaiser/{kaiser_id}/command", body, {"wait": min(wait, LONGEST_S)})
    print_json(said) if as_json else click.echo(shown(said["message"]))
