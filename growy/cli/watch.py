"""`growyd status --watch`: one live screen, made of answers of the daemon. Never asks it anything but by `look`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from growy.cli.output import NOTHING, age, shown, since

if TYPE_CHECKING:
    from rich.console import RenderableType

    from growy.cli.client import Daemon

FIGURE_LINES = 9
"""Of the table of figures, with its heading and the line below it."""
SHORTEST = 3
"""Devices that are shown however small the terminal is."""


@attrs.frozen(kw_only=True)
class Look:
    """What was asked at one moment."""

    at: float
    """Seconds that only go forward."""
    statistics: Mapping[str, Any]
    devices: Sequence[Mapping[str, Any]]
    in_all: int
    """Devices, also those beyond the first page."""


@attrs.frozen
class Silent:
    """The daemon did not answer."""

    why: str


def look(daemon: Daemon, now: float) -> Look:
    """Raises GrowyError."""
    page = daemon.get("/api/v1/esp/devices", {"page_size": 100})
    return Look(
        at=now,
        statistics=daemon.get("/api/v1/statistics"),
        devices=page["data"],
        in_all=page["pagination"]["total_items"],
    )


def screen(now: Look | Silent, before: Look | None, last: Look | None, height: int) -> RenderableType:
    """The whole screen, for 80 columns and more.

    Args:
        before: the look before this one, for what happens per second.
        last: what is shown below the message when the daemon is silent.
        height: lines there are; devices beyond are counted.
    """
    from rich.console import Group
    from rich.text import Text

    if isinstance(now, Silent):
        told = Text(f"No answer: {shown(now.why)}. Trying again...", style="bold red")
        return told if last is None else Group(told, screen(last, None, None, height - 2))
    top = _top(now.statistics)
    room = max(SHORTEST, height - len(top) - FIGURE_LINES - 4)
    return Group(*top, _figures(now, before), _devices(now, room), Text("Ctrl-C ends", style="dim"))


def _top(said: Mapping[str, Any]) -> list[RenderableType]:
    from rich.text import Text

    health = said["health"]
    colour = {"healthy": "green", "degraded": "yellow"}.get(health["status"], "red")
    head = Text(f"growyd {shown(said['version'])} ({shown(said['node'])}) is ")
    head.append(shown(health["status"]), style=f"bold {colour}")
    head.append(f", up {age(said['uptime_seconds'])}, {time.strftime('%H:%M:%S')}")
    lines: list[RenderableType] = [head]
    stops = _of(said, "control", "emergency", "in_force")
    if stops:
        lines.append(
            Text(f"EMERGENCY STOP: {stops} in force (growyd clear-stop ends it)", style="bold white on red")
        )
    for cause in health["causes"]:
        lines.append(Text(f"! {shown(cause['message'])}", style="yellow", no_wrap=True, overflow="ellipsis"))
    return lines


def _figures(now: Look, before: Look | None) -> RenderableType:
    """Two columns of three: what, how much now, how much in all."""
    from rich.table import Table
    from rich.text import Text

    said = now.statistics

    def rate(*path: str) -> str:
        return _rate(now, before, lambda one: _of(one, *path))

    def ms(*path: str) -> str:
        value = _of(said, *path)
        return NOTHING if value is None else f"{value:.1f} ms"

    left = [
        ("messages", rate("broker", "messages_received"), _count(_of(said, "broker", "messages_received"))),
        ("readings", rate("intake", "readings_received"), _count(_of(said, "intake", "readings_received"))),
        ("on disk", rate("intake", "readings_committed"), _count(_of(said, "intake", "readings_committed"))),
        ("not usable", rate("store", "dead_letters"), _count(_of(said, "store", "dead_letters"))),
        ("pending", "", _count(_of(said, "intake", "pending"))),
        ("commit p99", "", ms("store", "commit_p99_ms")),
    ]
    right = [
        ("broker", "", shown(_of(said, "broker", "state"))),
        (
            "actuators on",
            "",
            f"{_count(_of(said, 'control', 'on'))} of {_count(_of(said, 'control', 'actuators'))}",
        ),
        (
            "rules holding",
            "",
            f"{_count(_of(said, 'control', 'rules', 'holding'))} of {_count(_of(said, 'control', 'rules', 'enabled'))}",
        ),
        ("live clients", "", _count(_of(said, "live", "clients"))),
        ("databases", "", _size(_of(said, "store", "db_bytes"))),
        ("disk free", "", _size(_of(said, "store", "free_bytes"))),
    ]
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for justify in ("left", "right", "right", "left", "right"):
        table.add_column(justify=justify, no_wrap=True)
    for (name, per_s, in_all), (other, _, value) in zip(left, right, strict=True):
        table.add_row(*(Text(cell) for cell in (name, per_s, in_all, other, value)))
    return table


def _devices(now: Look, room: int) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("device", no_wrap=True, max_width=16)
    table.add_column("name", no_wrap=True, overflow="ellipsis", max_width=16)
    table.add_column("status", no_wrap=True, max_width=16)
    for name in ("seen", "WiFi", "heap"):
        table.add_column(name, justify="right", no_wrap=True)
    colours = {"online": "green", "pending_approval": "yellow", "offline": "red", "error": "bold red"}
    # Those that somebody should look at first.
    ordered = sorted(now.devices, key=lambda one: (one["status"] == "online", one["device_id"]))
    for one in ordered[:room]:
        status = shown(one["status"])
        table.add_row(
            Text(shown(one["device_id"])),
            Text(shown(one["name"])),
            Text(status, style=colours.get(status, "")),
            Text(since(one["last_seen"])),
            Text(NOTHING if one["wifi_rssi"] is None else f"{one['wifi_rssi']} dBm"),
            Text(NOTHING if one["heap_free"] is None else f"{one['heap_free'] // 1000} kB"),
        )
    more = now.in_all - min(room, len(ordered))
    if more > 0:
        table.add_row(Text(f"and {more} more"))
    return table


def _of(said: Mapping[str, Any], *path: str) -> Any:
    """A figure of the parts; None where this daemon has no such."""
    found: Any = said["parts"]
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _rate(now: Look, before: Look | None, figure: Callable[[Mapping[str, Any]], Any]) -> str:
    if before is None or now.at <= before.at:
        return ""
    new, old = figure(now.statistics), figure(before.statistics)
    if new is None or old is None or new < old:  # it was started anew in between
        return ""
    return f"{(new - old) / (now.at - before.at):.1f}/s"


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else shown(value)


def _size(count: float | None) -> str:
    from growy.doctor.verdict import size

    return NOTHING if count is None else size(count)
