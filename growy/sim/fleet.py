"""A fleet of virtual ESP32s in one process, each with its own MQTT connection to a real broker.

`run_fleet` is the only way in: it starts the devices, hands out a `SimFleet` to look at and to stop, and
leaves no reading unaccounted: published, acknowledged, or dropped with the reason counted.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import attrs
import trio
from attrs import validators as v

from growy.config import BrokerScheme, BrokerUrl
from growy.sim.device import SimDevice
from growy.sim.faults import Faults
from growy.sim.flash import Generation
from growy.sim.house import House
from growy.sim.ledger import Ledger
from growy.sim.link import RECONNECT_S
from growy.sim.outbox import Budget
from growy.sim.plant import PlugChange, on_gpio
from growy.sim.report import FleetReport
from growy.sim.spec import EspSpec, default_fleet


def _plain_tcp(_: object, __: object, broker: BrokerUrl) -> None:
    if broker.scheme is not BrokerScheme.MQTT:
        raise ValueError(
            f"broker must be mqtt://host:port, is {broker}: the firmware speaks nothing but plain TCP"
        )


@attrs.frozen(kw_only=True)
class SimOptions:
    """What to simulate."""

    esps: int = attrs.field(default=6, validator=[v.ge(1), v.le(10_000)])
    interval_s: float | None = attrs.field(default=None, validator=v.optional(v.gt(0.0)))
    """One interval for every sensor; None: each kind its own, as a grower would configure it (10 to 60 s)."""
    broker: BrokerUrl = attrs.field(
        default=BrokerUrl(BrokerScheme.MQTT, "127.0.0.1", 1883), validator=_plain_tcp
    )
    """A running broker's plain listener."""
    kaiser_id: str = "god"
    seed: int = 0
    """Devices, weather and noise."""
    duration_s: float | None = attrs.field(default=None, validator=v.optional(v.gt(0.0)))
    """Stop after this many seconds; None: when stopped or cancelled."""
    readings_limit: int | None = attrs.field(default=None, validator=v.optional(v.ge(1)))
    """Publish no more readings than this, over the whole fleet, then only beat."""
    gate: bool = True
    """Hold readings back until a server has answered a heartbeat. Off: publish at once, growyd or not."""
    generation: Generation = Generation.APR_2026
    """Firmware of all devices."""
    virgin: bool = False
    """Devices fresh from provisioning: no sensors, actuators or zone in their flash."""
    approved: bool = False
    """A server has approved them before."""
    faults: Faults = attrs.field(factory=Faults)
    """Of all devices."""
    device_faults: Mapping[str, Faults] = attrs.field(factory=dict)
    """esp_id -> the faults of that device instead."""
    devices: tuple[EspSpec, ...] | None = None
    """These devices, as they are, instead of the default fleet; then `esps`, `interval_s`, `kaiser_id`, `generation`,
    `virgin`, `approved`, `faults`, `device_faults` and `gate` say nothing."""
    reconnect_s: float = attrs.field(default=RECONNECT_S, validator=v.ge(0.0))
    """How long a device waits after it has lost its connection."""
    start_spread_s: float = attrs.field(default=0.0, validator=v.ge(0.0))
    """Devices boot one after the other over this time instead of all at once."""
    time_scale: float = attrs.field(default=1.0, validator=[v.ge(0.0), v.le(3_600.0)])
    """Simulated greenhouse seconds per second. Intervals and time stamps stay real."""
    start_hour: float = attrs.field(default=10.0, validator=[v.ge(0.0), v.lt(24.0)])
    """Time of day in the greenhouse at the start."""
    plug_changes: tuple[PlugChange, ...] = ()
    """Sensors that are unplugged and plugged in while it runs."""
    ledger_limit: int = attrs.field(default=200_000, validator=v.ge(0))
    """Readings the ledger holds; 0 keeps none."""

    def specs(self) -> list[EspSpec]:
        """The devices these options describe.

        Raises:
            ValueError: a plug change names a sensor that none of them has.
        """
        found = list(self.devices) if self.devices is not None else self._default_specs()
        by_id = {spec.esp_id: spec for spec in found}
        for change in self.plug_changes:
            if change.esp_id not in by_id:
                raise ValueError(f"no device {change.esp_id}: {found[0].esp_id} to {found[-1].esp_id}")
            on_gpio(by_id[change.esp_id], change.gpio, change.sensor_type)
        return found

    def _default_specs(self) -> list[EspSpec]:
        return [
            attrs.evolve(
                spec,
                kaiser_id=self.kaiser_id,
                gate=self.gate,
                generation=self.generation,
                virgin=self.virgin,
                approved=self.approved,
                faults=self.device_faults.get(spec.esp_id, self.faults),
                sensors=spec.sensors
                if self.interval_s is None
                else tuple(attrs.evolve(sensor, interval_s=self.interval_s) for sensor in spec.sensors),
            )
            for spec in default_fleet(self.esps, self.seed)
        ]


class SimFleet:
    """A running fleet: look (`statistics`, `ledger`), or `stop`. Made by `run_fleet`, within trio."""

    def __init__(self, options: SimOptions) -> None:
        self.options = options
        self.ledger = Ledger(options.ledger_limit)
        """Readings handed to the broker, with their PUBACKs."""
        self.specs = tuple(options.specs())
        self._started_s = trio.current_time()
        self._ended_s: float | None = None
        self._stop = trio.Event()
        self.houses = {
            zone_id: House(
                options.seed,
                zone_id,
                now=self._started_s,
                start_hour=options.start_hour,
                time_scale=options.time_scale,
            )
            for zone_id in sorted({spec.zone_id for spec in self.specs})
        }
        """One greenhouse per zone."""
        budget = Budget() if options.readings_limit is None else Budget(options.readings_limit)
        self._devices = {
            spec.esp_id: SimDevice(
                spec,
                options.broker,
                self.houses[spec.zone_id],
                self.ledger,
                budget,
                options.seed,
                options.reconnect_s,
            )
            for spec in self.specs
        }

    @property
    def devices(self) -> tuple[SimDevice, ...]:
        return tuple(self._devices.values())

    def device(self, esp_id: str) -> SimDevice:
        """One device: to look into it, to reset it, to switch it off, to pull its cable.

        Raises:
            KeyError: the fleet has none of that name.
        """
        return self._devices[esp_id]

    @property
    def stopping(self) -> bool:
        """The end has begun: no more readings, and outputs fall off as the devices disconnect."""
        return self._stop.is_set()

    def stop(self) -> None:
        """End the run as its duration would: no more readings, PUBACKs, clean disconnects. Returns at once."""
        self._stop.set()
        for device in self.devices:
            device.stop()

    def statistics(self) -> FleetReport:
        ended_s = trio.current_time() if self._ended_s is None else self._ended_s
        return FleetReport(
            elapsed_s=ended_s - self._started_s,
            devices=tuple(device.statistics() for device in self.devices),
            ledger_entries=len(self.ledger),
            ledger_overflow=self.ledger.overflow,
        )

    async def run(self, task_status: trio.TaskStatus[SimFleet]) -> None:
        """The body of `run_fleet`. Once only."""
        boots = random.Random(f"{self.options.seed}:boot")
        spread_s = self.options.start_spread_s / len(self._devices)
        try:
            async with trio.open_nursery() as nursery:
                for number, device in enumerate(self.devices):
                    delay_s = (number + boots.random()) * spread_s
                    nursery.start_soon(device.run, delay_s)
                nursery.start_soon(self._change_plugs)
                task_status.started(self)
                with trio.move_on_after(
                    float("inf") if self.options.duration_s is None else self.options.duration_s
                ):
                    await self._stop.wait()
                self.stop()
        finally:
            self._ended_s = trio.current_time()

    async def _change_plugs(self) -> None:
        for change in sorted(self.options.plug_changes, key=lambda change: change.at_s):
            with trio.move_on_at(self._started_s + change.at_s):
                await self._stop.wait()
                return
            device = self.device(change.esp_id)
            (device.plug if change.plugged else device.unplug)(change.gpio, change.sensor_type)


async def run_fleet(
    options: SimOptions, *, task_status: trio.TaskStatus[SimFleet] = trio.TASK_STATUS_IGNORED
) -> FleetReport:
    """Run a fleet until its duration is over, it is stopped, or it is cancelled.

    In all three cases the devices first stop measuring, wait up to 5 s for the PUBACKs of what they have
    published, and disconnect cleanly (their last wills stay unpublished). A broker that is away is no
    error: devices try again with backoff.

    Args:
        task_status: started with the `SimFleet` once every device's task exists; connections come after it.

    Returns:
        The final count. After a cancellation ask the `SimFleet` instead.
    """
    fleet = SimFleet(options)
    await fleet.run(task_status)
    return fleet.statistics()
