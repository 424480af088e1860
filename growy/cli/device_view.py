"""How one device looks in a terminal: what is known of it, what is set up on it, what to do. Asks nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import click

from growy.cli.output import age, print_table, shown, since

Answer: TypeAlias = Mapping[str, Any]
"""JSON of the API."""


def print_device(device: Answer) -> None:
    """Everything that the API says of one device."""
    name = f" {shown(device['name'])!r}" if device["name"] else ""
    click.echo(f"{shown(device['device_id'])}{name} is {shown(device['status'])}")
    for label, fact in _facts(device):
        if fact not in (None, "", "-"):
            click.echo(f"  {label:<10} {shown(fact)}")
    series = device["series"]
    if series:
        click.echo("")
        print_table(
            ("reading", "gpio", "address", "value", "unit", "quality", "seen"),
            [
                (
                    one["sensor_type"],
                    one["gpio"],
                    one["address"],
                    one["latest_value"],
                    one["unit"],
                    one["latest_quality"],
                    since(one["latest_timestamp"]),
                )
                for one in series
            ],
        )
    click.echo("")
    print_items(device, items_of(device))
    if device["status"] == "pending_approval":
        click.echo(f"\nIt waits for approval: growyd devices approve {shown(device['device_id'])}")


def _facts(device: Answer) -> Sequence[tuple[str, object]]:
    return (
        ("seen", f"{since(device['last_seen'])} ago" if device["last_seen"] else None),
        ("zone", device["zone_id"]),
        ("address", device["ip_address"]),
        ("firmware", device["firmware_version"] or device.get("firmware_generation")),
        ("board", device["hardware_type"]),
        ("up", age(device["uptime"]) if device["online"] else None),
        ("boots", device.get("boots")),
        ("WiFi", f"{device['wifi_rssi']} dBm" if device["wifi_rssi"] is not None else None),
        ("heap", f"{device['heap_free']} B" if device["heap_free"] is not None else None),
        ("rejected", device.get("rejection_reason")),
    )


def items_of(device: Answer) -> list[dict[str, Any]]:
    """All that is set up on a device, each with how far it has come there."""
    items = [_item("sensor", one, _of_sensor(one)) for one in device["sensors"]]
    items += [_item("actuator", one, one["hardware_type"]) for one in device["actuators"]]
    items += [_item("subzone", one, one["subzone_id"], "subzone_name") for one in device["subzones"]]
    if device.get("zone"):
        items.insert(0, _item("zone", {**device["zone"], "name": device["zone_name"]}, device["zone_id"]))
    return items


def _item(kind: str, one: Answer, what: object, name: str = "name") -> dict[str, Any]:
    return {
        "item": kind,
        "gpio": one.get("gpio"),
        "what": what,
        "name": one.get(name),
        "enabled": one.get("enabled", True),
        "state": one["config_status"],
        "code": one.get("config_error_code"),
        "error": one.get("config_error"),
        "detail": one.get("config_error_detail"),
        "cure": one.get("config_cure"),
        "answered_at": one.get("config_answered_at"),
    }


def _of_sensor(sensor: Answer) -> str:
    address = sensor["onewire_address"] or sensor["i2c_address"]
    return f"{sensor['sensor_type']} {address}" if address is not None else str(sensor["sensor_type"])


def print_items(device: Answer, items: Sequence[Answer]) -> None:
    """A table of items, then what to do about each that failed."""
    if not items:
        click.echo("Nothing is set up on it.")
        return
    print_table(
        ("item", "gpio", "what", "name", "enabled", "state", "answered"),
        [
            (
                one["item"],
                one["gpio"],
                one["what"],
                one["name"],
                one["enabled"],
                one["state"],
                since(one["answered_at"]),
            )
            for one in items
        ],
    )
    for one in items:
        if one["state"] == "failed":
            place = "" if one["gpio"] is None else f" at {one['gpio']}"
            reasons = [one["code"], one["error"] if one["error"] != one["code"] else None, one["detail"]]
            said = ": ".join(shown(reason) for reason in reasons if reason) or "the device did not say why"
            click.echo(f"\n{one['item']} {shown(one['what'])}{place} failed: {said}")
            if one["cure"]:
                click.echo(f"  {shown(one['cure'])}")
    if any(one["state"] == "pending" for one in items) and not device["online"]:
        click.echo("\nThe device is not there; it is told what is pending when it comes back.")
