"""`growyd stop` and `growyd clear-stop`: the emergency stop, and its deliberate end.

Stopping asks nothing and believes nobody: it ends well only if every device that is there has proven that it is off.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from growy.cli.options import daemon_options, find_daemon, json_option

if TYPE_CHECKING:
    from growy.cli.client import Daemon

PROVEN_WITHIN_S = 10.0
"""A device that is there needs two seconds; growyd goes on after that, without us."""
POLL_S = 0.25
STOPS = "/api/v1/actuators/emergency"
OVER = ("proven", "refused")
CONFIRMATION = "clear"

esp_option = click.option("--esp", metavar="ESP", help="Only this ESP32; else all of them.")
gpio_option = click.option("--gpio", type=int, help="Only the actuator on this pin of --esp.")


@click.command()
@esp_option
@gpio_option
@click.option("--kaiser", metavar="ID", help="Everything of this node, through its God; god for God's own.")
@click.option("--everywhere", is_flag=True, help="Every node, through its God.")
@click.option("--reason", default="growyd stop", help="Why; is kept and shown.")
@daemon_options
@json_option
@click.pass_context
def stop(
    context: click.Context,
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    esp: str | None,
    gpio: int | None,
    kaiser: str | None,
    everywhere: bool,
    reason: str,
) -> None:
    """Emergency stop: everything off, at once, until somebody clears it.

    Of this Pi, and of one device or actuator of it; with --kaiser or --everywhere of other nodes too. Prints what each
    device proves as it comes, for up to 10 s. Exit code 1 when nothing could be sent, or when a
    device that is there has not proven in time that it is off; growyd goes on telling it until it has.
    """
    from growy.cli.exits import DaemonUnreachable, ExitCode
    from growy.cli.output import print_json, shown
    from growy.cli.stop_tree import stop_tree

    if sum((esp is not None, kaiser is not None, everywhere)) > 1:
        raise click.UsageError("Say one of --esp, --kaiser and --everywhere")
    try:
        with find_daemon(config_file, socket, url) as daemon:
            if kaiser is not None or everywhere:
                tree = stop_tree(daemon, kaiser, reason, quiet=as_json)
                if as_json:
                    print_json(tree)
                if not tree["proven"]:
                    context.exit(ExitCode.FAILED)
                return
            said = daemon.post(f"{STOPS}_stop", {**place(esp, gpio), "reason": reason})
            if not as_json:
                click.echo(shown(said["message"]))
                for warning in said["warnings"]:
                    click.echo(f"growyd: {shown(warning)}", err=True)
            found = proofs(daemon, said["stop"]["id"], said["stop"], quiet=as_json)
    except DaemonUnreachable:
        click.echo("growyd: NOT KNOWN TO BE STOPPED. If it must stop now, cut the power.", err=True)
        raise
    if as_json:
        print_json({**said, "stop": found})
    left = [one for one in found["devices"] if one["state"] not in ("proven", "offline")]
    if left or not said["success"]:
        context.exit(ExitCode.FAILED)


def proofs(daemon: Daemon, stop_id: str, found: Any, *, quiet: bool) -> Any:
    """The stop when all devices that are there have proven it, or when the time is over. Each device is printed once it
    has said something, the rest at the end."""
    from growy.cli.client import rounds

    told: set[str] = set()
    for over in rounds(PROVEN_WITHIN_S, POLL_S):
        still = [one for one in daemon.get(STOPS)["stops"] if one["id"] == stop_id]
        if not still:
            click.echo("growyd: somebody has ended this stop before all had proven it", err=True)
            break
        found = still[0]
        waiting = [one for one in found["devices"] if one["state"] not in (*OVER, "offline")]
        last = not waiting or over
        for one in found["devices"]:
            if (one["state"] in OVER or last) and one["esp_id"] not in told and not quiet:
                told.add(one["esp_id"])
                click.echo(proof(one))
        if last:
            break
    return found


def proof(device: Mapping[str, Any]) -> str:
    """What one device has proven, in a line."""
    from growy.cli.output import shown

    off = sum(one["off"] is True for one in device["actuators"])
    words = {
        "proven": f"off, proven: {shown(device['proof'])} after {device['after_ms']} ms",
        "offline": "offline; it is told when it comes back",
        "refused": f"REFUSED: {shown(device['reason'])}",
        "waiting": f"NOT PROVEN yet; growyd goes on ({off} of {len(device['actuators'])} actuators are off)",
    }
    return f"{shown(device['esp_id'])}: {words.get(device['state'], shown(device['state']))}"


@click.command("clear-stop")
@esp_option
@gpio_option
@click.option("--reason", default="growyd clear-stop", help="Why; is kept and shown.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@daemon_options
@json_option
@click.pass_context
def clear_stop(
    context: click.Context,
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    esp: str | None,
    gpio: int | None,
    reason: str,
    yes: bool,
) -> None:
    """End an emergency stop: rules and people may switch on again.

    Asks for a typed confirmation on a terminal; anywhere else it needs --yes.
    """
    from growy.cli.exits import ExitCode
    from growy.cli.output import print_json, shown

    where = place(esp, gpio)
    if not yes:
        confirm(where)
    with find_daemon(config_file, socket, url) as daemon:
        said = daemon.post("/api/v1/actuators/clear_emergency", {**where, "reason": reason})
    if as_json:
        print_json(said)
    else:
        click.echo(shown(said["message"]))
        for one in said["details"]:
            why = f": {shown(one['reason'])}" if one["reason"] else ""
            click.echo(f"{shown(one['esp_id'])}: {shown(one['state'])}{why}")
        for one in said["remaining"]:
            click.echo(f"growyd: still in force: {shown(one['text'])}", err=True)
    if not said["success"]:
        context.exit(ExitCode.FAILED)


def place(esp: str | None, gpio: int | None) -> dict[str, Any]:
    """What is meant, as the API is told. Raises click.UsageError."""
    if gpio is not None and esp is None:
        raise click.UsageError("--gpio needs --esp: which ESP32's pin?")
    said = {"esp_id": esp, "gpio": gpio}
    return {name: value for name, value in said.items() if value is not None}


def confirm(where: Mapping[str, Any]) -> None:
    """Raises click.Abort or click.UsageError unless a person types the word."""
    if not sys.stdin.isatty():
        raise click.UsageError("Ending an emergency stop needs --yes, or a person at a terminal")
    what = ":".join(map(str, where.values())) or "everything"
    typed = click.prompt(
        f"Is it safe that {what} may run again? Type {CONFIRMATION}", default="", show_default=False
    )
    if typed.strip().lower() != CONFIRMATION:
        raise click.Abort
