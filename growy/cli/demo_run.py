"""Runs the demo: daemon and simulated fleet in one trio run, watched, and the final count against the database.

The lifetimes are nested so that ending loses nothing: the fleet stops and drains, then the daemon commits what it
has, then the store is counted, then the daemon stops.
"""

from __future__ import annotations

import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

from growy.broker.embedded import check_port_free
from growy.cli.demo_control import actuators_of, rules_of, set_up
from growy.cli.demo_view import DemoDevice, DemoSnapshot, live, progress
from growy.cli.output import output_failed
from growy.config import BrokerScheme, BrokerUrl, Config, load_config
from growy.daemon import run_daemon
from growy.model.people import Peer
from growy.model.reading import NO_SEQ, Bus, Columns
from growy.ops.latency import LatencyWindow
from growy.ops.log import configure_logging
from growy.parts import Daemon
from growy.sim.device import SimDevice
from growy.sim.fleet import SimFleet, SimOptions, run_fleet
from growy.sim.plant import PlugChange
from growy.sim.report import DeviceReport
from growy.store.query import RAW_LIMIT

HOST = "127.0.0.1"
TICK_S = 1.0
SETTLE_S = 10.0
"""How long the last readings may take from the broker into the store before they count as lost."""
LEDGER = 200_000
"""Readings that are accounted for one by one; those beyond are only counted."""
END_OF_TIME_MS = 1 << 53
GREENHOUSE_S = 60.0
"""Seconds of the greenhouse in one of the wall: so fast that its air can be seen to warm."""
DAWN_H = 5.0
"""When it begins there: cold outside, dark, and bright soon after."""
STALE_S = 5.0
"""So soon a sensor counts as dead. The greenhouse has five minutes meanwhile."""
ADOPT_S = 3.0
"""Nothing runs that rules could not know yet."""
SWITCHES = 600
"""In ten minutes, which are ten hours in the greenhouse."""

Show = Callable[[DemoSnapshot], None]
Reading = tuple[str, int]
"""A device and the sequence number of the reading."""


@attrs.frozen(kw_only=True)
class DemoOptions:
    """What `growyd demo` was told."""

    duration_s: float | None
    esps: int
    interval_s: float
    port: int
    broker_port: int
    data_dir: Path
    seed: int
    plug_changes: tuple[PlugChange, ...] = ()
    kaisers: int = 0

    def config(self, more: Mapping[str, object] | None = None) -> Config:
        """A daemon's settings: no file, no environment."""
        settings: dict[str, object] = {
            "node.data_dir": self.data_dir,
            "broker.url": "embedded",
            "broker.embedded_listen": f"{HOST}:{self.broker_port}",
            "web.port": self.port,
            "fleet.auto_approve": True,
            "control.min_max_age": STALE_S,
            "control.adopt": ADOPT_S,
            "control.max_switches": SWITCHES,
            **(more or {}),
        }
        return load_config(None, {}, settings)

    def simulation(self) -> SimOptions:
        return SimOptions(
            esps=self.esps,
            interval_s=self.interval_s,
            broker=BrokerUrl(BrokerScheme.MQTT, HOST, self.broker_port),
            duration_s=self.duration_s,
            ledger_limit=LEDGER,
            seed=self.seed,
            time_scale=GREENHOUSE_S,
            start_hour=DAWN_H,
            plug_changes=self.plug_changes,
        )


@attrs.frozen
class Proof:
    """The final count."""

    missing: int
    """Published readings that are not in the store."""
    latency: LatencyWindow
    """From publishing to the commit on disk."""


class Witness:
    """Remembers when each reading was committed, by device and sequence number."""

    def __init__(self) -> None:
        self.began_ms = time.time_ns() // 1_000_000
        self.committed_s: dict[Reading, float] = {}
        self._daemon: Daemon | None = None
        self._commit = trio.Event()

    def watch(self, daemon: Daemon) -> None:
        """Before the first reading can come."""
        self._daemon = daemon

    async def next_commit(self) -> None:
        await self._commit.wait()

    def committed(self, columns: Columns) -> None:
        """Told by the daemon of every batch that is on disk."""
        if self._daemon is None or len(self.committed_s) >= LEDGER:
            return
        now = trio.current_time()
        catalog = self._daemon.store.catalog
        for series_id, seq in zip(columns.series.tolist(), columns.seq.tolist(), strict=True):
            if seq != NO_SEQ:
                self.committed_s.setdefault((catalog.get(series_id).key.esp_id, seq), now)
        self._commit.set()
        self._commit = trio.Event()


async def run_demo(options: DemoOptions) -> DemoSnapshot:
    """Until the duration is over or Ctrl-C, which ends it in order; a second one ends it at once.

    Returns:
        The final count.

    Raises:
        GrowyError: a part cannot start, e.g. PortInUse.
    """
    check_port_free(HOST, options.broker_port, "--broker-port")
    witness = Witness()
    seen: list[DemoSnapshot] = []
    with screen() as show:
        async with trio.open_nursery() as daemons:
            daemon: Daemon = await daemons.start(
                partial(run_daemon, options.config(), on_committed=witness.committed)
            )
            witness.watch(daemon)
            await tell_login(daemon)
            async with trio.open_nursery() as beside:
                async with trio.open_nursery() as flight:
                    fleet: SimFleet = await flight.start(run_fleet, options.simulation())
                    beside.start_soon(obey_signals, fleet.stop)
                    beside.start_soon(stop_with_daemon, daemon, fleet.stop)
                    beside.start_soon(set_up, daemon, fleet, options.interval_s)
                    look = partial(snapshot, daemon, fleet, options)
                    beside.start_soon(watch, look, lambda: fleet.stopping, show, seen)
                proof = await settle(daemon, fleet, witness)
                final = with_actuators_of(seen, snapshot(daemon, fleet, options, proof))
                beside.cancel_scope.cancel()
            show(final)
            daemon.stop.set()
    return final


async def tell_login(daemon: Daemon) -> None:
    """Makes an administrator that lives as long as the databases do, and says how to be it. Where there are users
    already, they log in as ever."""
    logins = daemon.accounts.logins
    if not logins.setup_required:
        return
    password = secrets.token_urlsafe(9)
    tokens, user = await logins.setup("demo", None, "", password, code="", peer=Peer("", local=True))
    tell(f"Look at it: {daemon.web.url}/#token={tokens.access}")
    tell(f"Or log in as {user.username} with the password {password}")


async def obey_signals(stop: Callable[[], None]) -> None:
    # Opened after the daemon's own receiver and closed before it, so these signals come here: the fleet
    # goes first.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await anext(signals)
        stop()
        await anext(signals)
        raise KeyboardInterrupt


async def stop_with_daemon(daemon: Daemon, stop: Callable[[], None]) -> None:
    await daemon.stop.wait()
    stop()


async def watch(
    look: Callable[[], DemoSnapshot], stopping: Callable[[], bool], show: Show, seen: list[DemoSnapshot]
) -> None:
    """Args:
    seen: gets the last picture from before the end began.
    """
    while True:
        now = look()
        if not stopping():
            seen[:] = [now]
        show(with_actuators_of(seen, now))
        await trio.sleep(TICK_S)


async def settle(daemon: Daemon, fleet: SimFleet, witness: Witness) -> Proof:
    """Wait until the last readings are committed, then look each one up in the store."""
    published = published_by(fleet)
    await all_committed(published, witness)
    stored = await stored_since(daemon, witness.began_ms)
    by_name = len(published.keys() - stored.keys())
    by_count = fleet.statistics().published - stored.total()
    return Proof(missing=max(by_name, by_count), latency=latency_of(published, witness.committed_s))


def published_by(fleet: SimFleet) -> dict[Reading, float]:
    """When each reading was published, by trio's clock."""
    return {(one.esp_id, one.seq): one.published_s for one in fleet.ledger.entries()}


async def all_committed(published: Mapping[Reading, float], witness: Witness) -> None:
    """Returns when all are on the disk, or when they are late."""
    with trio.move_on_after(SETTLE_S):
        while not published.keys() <= witness.committed_s.keys():
            await witness.next_commit()


async def stored_since(daemon: Daemon, began_ms: int) -> Counter[Reading]:
    """How often each measured reading that was received since then is in the store."""
    stored: Counter[Reading] = Counter()
    for series in daemon.store.catalog.find():
        if series.key.bus is Bus.DERIVED:
            continue
        found = await daemon.store.query(series.id, 0, END_OF_TIME_MS, limit=RAW_LIMIT)
        assert found.readings is not None  # what a raw query returns
        ours = found.readings.take(found.readings.rx_ms >= began_ms)
        stored.update((series.key.esp_id, seq) for seq in ours.seq.tolist())
    return stored


def latency_of(published: Mapping[Reading, float], committed_s: Mapping[Reading, float]) -> LatencyWindow:
    """From publishing to the commit on disk, of those that are there."""
    latency = LatencyWindow(max(1, len(published)))
    latency.extend(
        [1000 * (committed_s[reading] - at) for reading, at in published.items() if reading in committed_s]
    )
    return latency


def snapshot(
    daemon: Daemon, fleet: SimFleet, options: DemoOptions, proof: Proof | None = None
) -> DemoSnapshot:
    """Where the demo stands."""
    simulated, intake = fleet.statistics(), daemon.intake.statistics()
    rules = rules_of(daemon)
    latency = intake.commit_latency if proof is None else proof.latency.statistics()
    return DemoSnapshot(
        elapsed_s=simulated.elapsed_s,
        duration_s=options.duration_s,
        broker=f"mqtt://{HOST}:{options.broker_port}",
        web=daemon.web.url,
        devices=tuple(
            seen_device(one, fleet.device(one.esp_id), daemon, daemon, rules) for one in simulated.devices
        ),
        published=simulated.published,
        received=intake.readings_received,
        derived=intake.readings_derived,
        committed=intake.readings_committed,
        converted=dict(intake.readings_converted),
        unconverted=intake.readings_unconverted,
        failed=intake.readings_failed,
        missing=None if proof is None else proof.missing,
        latency_from="receipt" if proof is None else "publishing",
        p50_ms=latency.p50_ms,
        p99_ms=latency.p99_ms,
    )


def seen_device(
    one: DeviceReport, device: SimDevice, home: Daemon, owner: Daemon, rules: Mapping[str, tuple[str, ...]]
) -> DemoDevice:
    """A device as the growyd that stores its readings and the one that commands it see it.

    Args:
        rules: the owner's, by device.
    """
    return DemoDevice(
        esp_id=one.esp_id,
        name=one.name,
        status=status_of(owner, one.esp_id),
        published=one.published,
        values=values_of(home, one.esp_id),
        actuators=actuators_of(owner, device),
        rules=rules.get(one.esp_id, ()),
    )


def with_actuators_of(seen: Sequence[DemoSnapshot], now: DemoSnapshot) -> DemoSnapshot:
    """The picture with what the devices did in the one that was seen last, if one was: at the end outputs fall off."""
    devices = now.devices
    for before in seen:
        pairs = zip(devices, before.devices, strict=True)
        devices = tuple(attrs.evolve(one, actuators=was.actuators, rules=was.rules) for one, was in pairs)
    return attrs.evolve(now, devices=devices)


def status_of(daemon: Daemon, esp_id: str) -> str:
    device = daemon.fleet.get(esp_id)
    return "" if device is None else "online" if device.online else "offline"


def values_of(daemon: Daemon, esp_id: str) -> tuple[str, ...]:
    """The newest values of a device, in the order in which its sensors were first heard."""
    found = (
        (series, daemon.store.tail.latest(series.id)) for series in daemon.store.catalog.find(esp_id=esp_id)
    )
    return tuple(
        f"{_digits(reading.value)} {series.unit}".strip()
        for series, reading in found
        if reading is not None and reading.value is not None
    )


def _digits(value: float) -> str:
    """Four digits, as many as a glance takes in; never with an exponent."""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def say(now: DemoSnapshot) -> None:
    tell(progress(now))


def tell(line: str) -> None:
    """One line. Raises OutputFailed: whoever read it has gone (`growyd demo | head`)."""
    try:
        print(line, flush=True)
    except OSError as error:
        raise output_failed(error) from error


@contextmanager
def screen() -> Iterator[Show]:
    """Draws on a terminal, writes lines into a pipe. Warnings of the daemon stand above the table."""
    if not sys.stdout.isatty():
        configure_logging("warning", "auto")
        yield say
        return
    from rich.live import Live

    # No refresh thread: the picture changes only when there is a new one.
    with Live(auto_refresh=False) as picture:
        configure_logging("warning", "human", sys.stderr)
        yield lambda now: picture.update(live(now), refresh=True)
