"""`growyd transfer` and `growyd chains`: devices that change their owner, and whatever else God has under way."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from growy.cli.options import DURATION, daemon_options, find_daemon, json_option

if TYPE_CHECKING:
    from growy.cli.client import Daemon

CHAINS = "/api/god/command-chain"
STEPS = ("leave", "prepare", "revoke", "grant", "adopt", "done")
TELLS = {
    "leave": "waits for leave: `growyd chains approve {id}`",
    "prepare": "{to} gets its configuration, calibration and rules",
    "revoke": "{of} lets go of it",
    "grant": "it is {to}'s from now on; {to} has yet to hear it",
    "adopt": "{to} takes over what its outputs do",
    "roll_back": "{to} did not take it: it goes back",
    "done": "{to} has it",
}
WAIT_S = 120.0
POLL_S = 0.1


@click.command()
@click.argument("esp")
@click.option("--to", "to_owner", metavar="OWNER", required=True, help="god, or a Kaiser.")
@click.option("--from", "from_owner", metavar="OWNER", help="Whose it must be now; else whoever has it.")
@click.option("--reason", default="", help="Why; is kept and shown.")
@click.option("--wait", is_flag=True, help="Until it has ended, with a line for each step.")
@click.option(
    "--timeout", type=DURATION, default=f"{WAIT_S:.0f}s", show_default=True, help="How long --wait waits."
)
@daemon_options
@json_option
@click.pass_context
def transfer(
    context: click.Context,
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    esp: str,
    to_owner: str,
    from_owner: str | None,
    reason: str,
    wait: bool,
    timeout: float,
) -> None:
    """Have a device change its owner. Its outputs stay as they are.

    It goes on without us: --wait only looks on. Exit code 1 when it was refused, and with --wait also when it has not
    succeeded.
    """
    from growy.cli.exits import ExitCode
    from growy.cli.output import print_json, shown

    body = {"esp_id": esp, "from_owner": from_owner, "to_owner": to_owner, "reason": reason}
    with find_daemon(config_file, socket, url) as daemon:
        begun = daemon.post("/api/god/esp/transfer", body)
        if not wait:
            print_json(begun) if as_json else click.echo(
                f"{shown(begun['message'])} [{shown(begun['command_id'])}]"
            )
            return
        ended = followed(daemon, begun["command_id"], timeout, quiet=as_json)
    if as_json:
        print_json(ended)
    if ended["status"] != "done":
        context.exit(ExitCode.FAILED)


def followed(daemon: Daemon, command_id: str, timeout_s: float, *, quiet: bool) -> Any:
    """A transfer when it has ended, or after that time; a line for each step that it has come to."""
    from growy.cli.client import rounds
    from growy.cli.output import shown

    began = time.monotonic()
    at = ""
    told: list[str] = []
    for _ in rounds(timeout_s, POLL_S):
        chain = daemon.get(f"{CHAINS}/{command_id}")
        if chain["step"] != at and not quiet:
            at = chain["step"]
            for step in passed(told, at):
                told.append(step)
                click.echo(f"{time.monotonic() - began:6.1f} s  {step:<9}  {says(step, chain)}")
        ended = chain["status"] not in ("pending", "running")
        if ended:
            break
    if not ended:
        click.echo(f"growyd: {command_id} is still under way; `growyd chains` shows it", err=True)
    elif chain["status"] != "done":
        why = f": {shown(chain['message'])}" if chain["message"] else ""
        click.echo(f"growyd: {shown(chain['status'])}{why}", err=True)
    return chain


def passed(told: list[str], at: str) -> list[str]:
    """The steps to be told of when one has been reached: also those that went by too fast to be seen."""
    if at not in STEPS or at == STEPS[0]:
        return [at]
    last = next((step for step in reversed(told) if step in STEPS), STEPS[0])
    return [step for step in STEPS[STEPS.index(last) + 1 : STEPS.index(at) + 1] if step not in told]


def says(step: str, chain: Any) -> str:
    from growy.cli.output import shown

    of = shown(chain["command_data"].get("from_owner"))
    return TELLS.get(step, "").format(to=shown(chain["kaiser_id"]), of=of, id=shown(chain["command_id"]))


# --- chains -------------------------------------------------------------------------------------------------------


@click.group(invoke_without_command=True)
@click.option("--all", "everything", is_flag=True, help="Also those that have ended.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="With --all.")
@daemon_options
@json_option
@click.pass_context
def chains(
    context: click.Context,
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    everything: bool,
    limit: int,
) -> None:
    """Command chains: what God wants of others, and how far that is.

    Without a subcommand those under way are listed.
    """
    from growy.cli.output import print_json, print_table, since

    if context.invoked_subcommand is not None:
        if any((config_file, socket, url, as_json, everything)):
            raise click.UsageError(
                f"Write options after the subcommand: growyd chains {context.invoked_subcommand} ..."
            )
        return
    with find_daemon(config_file, socket, url) as daemon:
        query = {"all": "true" if everything else None, "limit": limit}
        found = daemon.get("/api/god/command-chains", query)["command_chains"]
    if as_json:
        print_json(found)
        return
    rows = [
        (
            since(one["created_at"]),
            one["command_type"],
            one["esp_id"],
            one["kaiser_id"],
            one["status"],
            one["step"],
            one["issued_by"],
            one["message"],
            one["command_id"],
        )
        for one in found
    ]
    if rows:
        print_table(["age", "what", "device", "to", "status", "step", "by", "message", "id"], rows)
    else:
        click.echo("No command chains yet." if everything else "Nothing is under way.")


@chains.command()
@click.argument("command_id", metavar="ID")
@daemon_options
@json_option
def cancel(
    config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, command_id: str
) -> None:
    """End one where that is still possible. A device whose old owner has let go already goes back to it."""
    decide(config_file, socket, url, command_id, "cancel", as_json=as_json)


@chains.command()
@click.argument("command_id", metavar="ID")
@daemon_options
@json_option
def approve(
    config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, command_id: str
) -> None:
    """Consent to a transfer that a Kaiser has asked for."""
    decide(config_file, socket, url, command_id, "approve", as_json=as_json)


def decide(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    command_id: str,
    what: str,
    *,
    as_json: bool,
) -> None:
    from growy.cli.output import print_json, shown

    with find_daemon(config_file, socket, url) as daemon:
        said = daemon.post(f"{CHAINS}/{command_id}/{what}", {})
    if as_json:
        print_json(said)
        return
    step = f" ({shown(said['step'])})" if said["step"] else ""
    click.echo(f"{shown(said['command_id'])}: {shown(said['status'])}{step}")
