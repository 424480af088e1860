"""`growyd devices`: the ESP32s that the daemon knows, what is decided about them and set up on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from growy.cli.options import DURATION, daemon_options, find_daemon, json_option

if TYPE_CHECKING:
    from growy.cli.client import Daemon

SETTLE_S = 30.0
"""How long `--wait` waits for a device by default: ten sensors and six actuators take two or three of its turns."""
POLL_S = 0.5
ONEWIRE_PIN = 4


@click.group(invoke_without_command=True)
@click.option("--status", "wanted", help="Only these: online, offline, pending_approval, approved...")
@click.option("--zone", help="Only those of this zone_id.")
@daemon_options
@json_option
@click.pass_context
def devices(
    context: click.Context,
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    wanted: str | None,
    zone: str | None,
) -> None:
    """The ESP32s: list and show them, approve them, see how far their setup has come.

    Without a subcommand all of them are listed.
    """
    if context.invoked_subcommand is None:
        show_list(find_daemon(config_file, socket, url), wanted, zone, as_json=as_json)
    elif any((wanted, zone, config_file, socket, url, as_json)):
        raise click.UsageError(
            f"Write options after the subcommand: growyd devices {context.invoked_subcommand} ..."
        )


@devices.command("list")
@click.option("--status", "wanted", help="Only these: online, offline, pending_approval, approved...")
@click.option("--zone", help="Only those of this zone_id.")
@daemon_options
@json_option
def list_(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    wanted: str | None,
    zone: str | None,
) -> None:
    """All of them, those that wait for approval too."""
    show_list(find_daemon(config_file, socket, url), wanted, zone, as_json=as_json)


def show_list(asked: Daemon, wanted: str | None, zone: str | None, *, as_json: bool) -> None:
    from growy.cli.output import age, print_json, print_table, since

    with asked as daemon:
        found = daemon.get_list("/api/v1/esp/devices", {"status": wanted, "zone_id": zone})
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["device_id"],
            one["status"],
            one["online"],
            since(one["last_seen"]),
            one["name"],
            one["zone_id"],
            one["sensor_count"],
            one["actuator_count"],
            one["wifi_rssi"],
            one["heap_free"],
            age(one["uptime"]),
            one["ip_address"],
        )
        for one in found
    ]
    if rows:
        columns = "device status online seen name zone sensors actuators rssi/dBm heap/B up address"
        print_table(columns.split(), rows)
    elif wanted or zone:
        click.echo("No device fits; without --status and --zone all are shown.")
    else:
        click.echo("No devices yet. An ESP32 appears with its first heartbeat; `growyd simulate` makes some.")


@devices.command(short_help="Everything known of one device.")
@click.argument("esp")
@daemon_options
@json_option
def show(config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, esp: str) -> None:
    """Everything known of one device: what is set up on it, how far that has come, what to do about failures."""
    from growy.cli.device_view import print_device
    from growy.cli.output import print_json

    with find_daemon(config_file, socket, url) as daemon:
        found = daemon.get(path_of(esp))
    print_json(found) if as_json else print_device(found)


@devices.command()
@click.argument("esp")
@click.option("--name", help="What it shall be called.")
@click.option("--zone", help="zone_id that it is put into.")
@daemon_options
@json_option
def approve(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    esp: str,
    name: str | None,
    zone: str | None,
) -> None:
    """Let a device in: from then on it can be set up and commanded."""
    said = {"name": name, "zone_id": zone}
    body = {key: word for key, word in said.items() if word is not None}
    with find_daemon(config_file, socket, url) as daemon:
        tell(daemon.post(f"{path_of(esp)}/approve", body), as_json=as_json)


@devices.command()
@click.argument("esp")
@click.option("--reason", required=True, help="Why; is kept and shown.")
@daemon_options
@json_option
def reject(
    config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, esp: str, reason: str
) -> None:
    """Refuse a device. It may ask again five minutes later."""
    with find_daemon(config_file, socket, url) as daemon:
        tell(daemon.post(f"{path_of(esp)}/reject", {"reason": reason}), as_json=as_json)


@devices.command()
@click.argument("esp")
@click.option("--yes", is_flag=True, help="Do not ask.")
@daemon_options
def delete(config_file: Path | None, socket: Path | None, url: str | None, esp: str, yes: bool) -> None:
    """Give a device up, and all that is set up on it. Its readings stay."""
    if not yes:
        click.confirm(f"Forget {esp} and everything that is set up on it?", abort=True)
    with find_daemon(config_file, socket, url) as daemon:
        daemon.delete(path_of(esp))
    click.echo(f"{esp} is deleted")


@devices.command()
@click.argument("esp")
@click.argument("zone_id")
@click.option("--name", help="What the zone is called.")
@daemon_options
@json_option
def zone(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    esp: str,
    zone_id: str,
    name: str | None,
) -> None:
    """Put a device into a zone; "" takes it out of its zone."""
    place = f"/api/v1/zone/devices/{esp}"
    body = {"zone_id": zone_id, **({} if name is None else {"zone_name": name})}
    with find_daemon(config_file, socket, url) as daemon:
        done = daemon.post(f"{place}/assign", body) if zone_id else daemon.delete(f"{place}/zone")
    tell(done, as_json=as_json)


@devices.command(short_help="What is set up on a device, and how far it has come.")
@click.argument("esp")
@click.option("--push", is_flag=True, help="Send everything to the device once more.")
@click.option("--wait", is_flag=True, help="Wait until the device has answered for every item.")
@click.option(
    "--for",
    "wait_s",
    type=DURATION,
    default=SETTLE_S,
    help="How long --wait waits, 30 s by default.",
)
@daemon_options
@json_option
def config(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    esp: str,
    push: bool,
    wait: bool,
    wait_s: float,
) -> None:
    """What is set up on a device, item by item, and how far each has come."""
    from growy.cli.device_view import items_of, print_items
    from growy.cli.exits import ExitCode
    from growy.cli.output import print_json

    with find_daemon(config_file, socket, url) as daemon:
        if push:
            daemon.post(f"{path_of(esp)}/config", {"resend": True})
        found = settled(daemon, esp, wait_s) if wait else daemon.get(path_of(esp))
    items = items_of(found)
    print_json(items) if as_json else print_items(found, items)
    states = {item["state"] for item in items}
    if "failed" in states or (wait and "pending" in states):
        click.get_current_context().exit(ExitCode.FAILED)


def settled(daemon: Daemon, esp: str, wait_s: float) -> Any:
    """The device when none of its items is pending any more, or when there is no use, or no time, to wait on."""
    from growy.cli.client import rounds
    from growy.cli.device_view import items_of

    for _ in rounds(wait_s, POLL_S):
        found = daemon.get(path_of(esp))
        pending = any(item["state"] == "pending" for item in items_of(found))
        if not pending or not found["online"]:
            break
    return found


@devices.command()
@click.argument("esp")
@click.argument("gpio")
@click.option("--no-wait", is_flag=True, help="Do not wait for the device's answer.")
@daemon_options
@json_option
def measure(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    esp: str,
    gpio: str,
    no_wait: bool,
) -> None:
    """Have a sensor measured now. GPIO is its pin or label, or its id."""
    from growy.cli.output import print_json, shown

    sensor = f"/api/v1/sensors/{esp}/{gpio}"
    with find_daemon(config_file, socket, url) as daemon:
        said = daemon.post(f"{sensor}/measure", {}, {"wait": "false" if no_wait else "true"})
    if as_json:
        print_json(said)
        return
    for warning in said["warnings"]:
        click.echo(f"growyd: {warning}", err=True)
    click.echo(
        said["message"]
        if said["raw"] is None
        else f"{shown(said['sensor_type'])} at {said['gpio']}: raw {said['raw']:g}, {shown(said['quality'])}"
    )


@devices.command()
@click.argument("esp")
@click.option("--pin", type=click.IntRange(0, 39), default=ONEWIRE_PIN, show_default=True, help="Of the bus.")
@daemon_options
@json_option
def scan(
    config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, esp: str, pin: int
) -> None:
    """Find what is on a device's OneWire bus. Another pin than its own stops the sensors on that."""
    from growy.cli.output import print_json, print_table

    with find_daemon(config_file, socket, url) as daemon:
        said = daemon.post(f"/api/v1/sensors/esp/{esp}/onewire/scan", {}, {"pin": pin})
    if as_json:
        print_json(said)
    elif said["devices"]:
        columns = ("address", "kind", "pin", "set up", "name")
        keys = ("rom_code", "device_type", "pin", "already_configured", "sensor_name")
        print_table(columns, [[one[key] for key in keys] for one in said["devices"]])
    else:
        click.echo(f"Nothing answers on pin {pin}: check the wiring and the 4.7 kΩ resistor.")


def path_of(esp: str) -> str:
    return f"/api/v1/esp/devices/{esp}"


def tell(said: Any, *, as_json: bool) -> None:
    """What the daemon says of what was done."""
    from growy.cli.output import print_json, shown

    if as_json:
        print_json(said)
        return
    click.echo(shown(said["message"]))
    if said.get("warning"):
        click.echo(f"growyd: {shown(said['warning'])}", err=True)
