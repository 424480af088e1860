"""What the demo shows: a live table and a final count, made of one snapshot. Pure; runs nothing, measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from growy.cli.output import NOTHING, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_ROWS = 24
"""Devices in the live table; a fleet of hundreds does not fit on a screen."""


@attrs.frozen(kw_only=True)
class DemoActuator:
    """An actuator of a simulated ESP32."""

    name: str
    output: float
    """What it really does, 0 to 1: its pin in the simulation, not what anybody believes."""
    why: str = ""
    """Whose claim growyd follows, or what keeps it from that; "" while nobody wants anything."""

    def __str__(self) -> str:
        return f"{self.name} {_level(self.output)}" + (f": {self.why}" if self.why else "")


@attrs.frozen(kw_only=True)
class DemoDevice:
    """One simulated ESP32."""

    esp_id: str
    name: str
    status: str
    """As growyd sees it; "" while it has not heard of it."""
    published: int
    values: tuple[str, ...]
    """Newest converted values with their units, e.g. `24.1 °C`."""
    actuators: tuple[DemoActuator, ...] = ()
    rules: tuple[str, ...] = ()
    """Those that switch its actuators: + and its name if it holds, - if not, ? if that is unknown."""

    owner: str = ""
    """The node that may command it; "" in a demo of one Pi."""
    home: str = ""
    """The node on whose broker it hangs."""

    @property
    def whose(self) -> str:
        """Its owner, and its home where that is another."""
        return self.owner if self.owner == self.home else f"{self.owner} (at {self.home})"


@attrs.frozen(kw_only=True)
class DemoMove:
    """A device that was to get another owner while one of its actuators ran."""

    esp_id: str
    device: str
    """Its name."""
    actuator: str
    source: str
    """The owner before."""
    target: str
    """The owner that it was to get."""
    owner: str
    """The owner after."""
    home: str
    took_s: float
    before: float
    """What the actuator really did: its pin, 0 to 1."""
    after: float
    switched: int
    """How often the actuator went on or off from just before the transfer until some time after it."""
    fault: str = ""
    """How it ended instead; "" when it is done."""

    @property
    def quiet(self) -> bool:
        """It has the new owner, the actuator ran, and it was not switched."""
        moved = not self.fault and self.owner == self.target
        return moved and self.before > 0.0 and self.before == self.after and self.switched == 0

    def __str__(self) -> str:
        what = f"{self.device} ({self.esp_id}) from {self.source} to {self.target}"
        if self.fault or self.owner != self.target:
            return f"NOT MOVED: {what}: {self.fault or f'it is still of {self.owner}'}"
        times = f"{self.switched} {'time' if self.switched == 1 else 'times'}"
        verdict = "moved" if self.quiet else "SWITCHED BY THE MOVE"
        return (
            f"{verdict}: {what} in {self.took_s:.2f} s; it hangs on {self.home}; {self.actuator} {_level(self.before)} "
            f"before, {_level(self.after)} after, switched {times}"
        )


@attrs.frozen(kw_only=True)
class DemoSnapshot:
    """Where the demo stands. Readings are counted, not messages."""

    elapsed_s: float
    duration_s: float | None
    broker: str
    web: str
    devices: tuple[DemoDevice, ...]
    published: int
    """By the simulated devices."""
    received: int
    derived: int
    """Computed by growyd from received ones, e.g. vpd."""
    committed: int
    """Received and derived ones on disk."""
    converted: Mapping[str, int]
    """By sensor type."""
    failed: Mapping[str, int]
    """By sensor type: stored raw, without a value."""
    unconverted: int
    """Stored raw because no library knows their type."""
    missing: int | None = None
    """Published but not in the store; None: not counted yet, that is done at the end."""
    latency_from: str
    """What `p50_ms` and `p99_ms` are counted from: `receipt` while the demo runs, `publishing` in its final count."""
    p50_ms: float | None
    p99_ms: float | None
    """To the commit on disk; None before the first."""
    kaisers: int = 0
    """Nodes beside God."""
    moves: tuple[DemoMove, ...] = ()
    """Those that are over."""
    doubled: int = 0
    """Readings that are in God's store more than once."""


def live(snapshot: DemoSnapshot) -> RenderableType:
    """The table that is drawn again and again while the demo runs."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"growyd demo: {_clock(snapshot)}"), title_justify="left", expand=True)
    for name in ("device", "where", "status"):
        table.add_column(name, no_wrap=True)
    if snapshot.kaisers:
        table.add_column("owner", no_wrap=True)
    table.add_column("readings", justify="right")
    table.add_column("newest values", ratio=1)
    table.add_column("actuators, and why", no_wrap=True)
    table.add_column("rules (+ holds)", no_wrap=True)
    for device in snapshot.devices[:MAX_ROWS]:
        table.add_row(
            Text(device.esp_id),
            Text(shown(device.name)),
            Text(shown(device.status)),
            *([Text(device.whose)] if snapshot.kaisers else []),
            str(device.published),
            Text("  ".join(device.values) or NOTHING),
            Text("\n".join(shown(str(one)) for one in device.actuators)),
            Text("\n".join(map(shown, device.rules))),
        )
    below = [Text(line) for line in (*_counts(snapshot), *map(str, snapshot.moves))]
    if len(snapshot.devices) > MAX_ROWS:
        below.insert(0, Text(f"and {len(snapshot.devices) - MAX_ROWS} devices more"))
    return Group(table, *below, Text(f"Broker {snapshot.broker}   HTTP {snapshot.web}   Ctrl-C ends"))


def progress(snapshot: DemoSnapshot) -> str:
    """One line, for a pipe instead of a terminal."""
    line = (
        f"{_clock(snapshot)}: {len(snapshot.devices)} devices, {snapshot.published} readings published, "
        f"{snapshot.committed} committed"
    )
    acting = [
        f"{one.name} of {one.whose}: {actuator}" if snapshot.kaisers else f"{one.name} {actuator}"
        for one in snapshot.devices[:MAX_ROWS]
        for actuator in one.actuators
        if actuator.output
    ]
    return f"{line}; {', '.join(acting)}" if acting else line


def summary(snapshot: DemoSnapshot) -> str:
    """The final count."""
    store = "God's store" if snapshot.kaisers else "the store"
    lines = [f"growyd demo, {snapshot.elapsed_s:.0f} s, {len(snapshot.devices)} devices", *_counts(snapshot)]
    types = sorted(set(snapshot.converted) | set(snapshot.failed))
    lines += [
        f"  {kind:<16} {snapshot.converted.get(kind, 0):>8} converted {snapshot.failed.get(kind, 0):>6} failed"
        for kind in types
    ]
    if snapshot.unconverted:
        lines.append(f"  {'no library':<16} {snapshot.unconverted:>8} kept raw")
    lines += map(str, snapshot.moves)
    if snapshot.kaisers and not snapshot.moves:
        lines.append("NOT PROVEN: no device was moved.")
    if snapshot.doubled:
        lines.append(f"DOUBLED: {snapshot.doubled} readings are in God's store more than once.")
    if not snapshot.published:
        lines.append("NOT PROVEN: no reading was published.")
    elif snapshot.missing is None:
        lines.append("NOT PROVEN: the readings in the store were not counted.")
    elif snapshot.missing:
        lines.append(f"LOST: {snapshot.missing} published readings are not in {store}.")
    elif snapshot.kaisers and not snapshot.doubled:
        lines.append(f"Every one of the {snapshot.published} published readings is in {store}, each once.")
    else:
        lines.append(f"Every one of the {snapshot.published} published readings is in {store}.")
    return "\n".join(lines)


def proven(snapshot: DemoSnapshot) -> bool:
    """Readings were published, and each was found in the store; with Kaisers each once, and a device was moved and
    nothing switched by that."""
    moved = bool(snapshot.moves) and all(one.quiet for one in snapshot.moves)
    stored = snapshot.published > 0 and snapshot.missing == 0 and not snapshot.doubled
    return stored and (moved or not snapshot.kaisers)


def _level(output: float) -> str:
    return "off" if output == 0.0 else "on" if output == 1.0 else f"{output:.0%}"


def _counts(snapshot: DemoSnapshot) -> list[str]:
    converted, failed = sum(snapshot.converted.values()), sum(snapshot.failed.values())
    latency = (
        "nothing committed yet"
        if snapshot.p50_ms is None or snapshot.p99_ms is None
        else f"{snapshot.latency_from} to commit p50 {snapshot.p50_ms:.0f} ms, p99 {snapshot.p99_ms:.0f} ms"
    )
    counts = (
        f"published {snapshot.published}   received {snapshot.received}   derived {snapshot.derived}   "
        f"converted {converted}   failed {failed}   kept raw {snapshot.unconverted}   committed {snapshot.committed}"
    )
    return [counts, latency]


def _clock(snapshot: DemoSnapshot) -> str:
    if snapshot.duration_s is None:
        return f"{snapshot.elapsed_s:.0f} s"
    return f"{snapshot.elapsed_s:.0f} of {snapshot.duration_s:.0f} s"
