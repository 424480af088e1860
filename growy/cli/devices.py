"""`growyd devices`: every ESP32 that the daemon knows, those that wait for approval too."""

from __future__ import annotations

from pathlib import Path

import click

from growy.cli.options import daemon_options, find_daemon, json_option


@click.command()
@click.option("--status", "wanted", help="Only these: online, offline, pending_approval, approved...")
@click.option("--zone", help="Only those of this zone_id.")
@daemon_options
@json_option
def devices(
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    wanted: str | None,
    zone: str | None,
) -> None:
    """The ESP32s that the daemon knows."""
    from growy.cli.output import age, print_json, print_table, since

    with find_daemon(config_file, socket, url) as daemon:
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
        columns = "device status online seen zone sensors actuators rssi/dBm heap/B up address"
        print_table(columns.split(), rows)
    elif wanted or zone:
        click.echo("No device fits; without --status and --zone all are shown.")
    else:
        click.echo("No devices yet. An ESP32 appears with its first heartbeat; `growyd simulate` makes some.")
