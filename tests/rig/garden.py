"""A running growyd with a greenhouse of simulated devices, for tests of what people look at: processes and sockets, a
day of history, and hands in the greenhouse to pull a sensor or a cable."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import trio

from growy.cli import demo_rules
from growy.config import BrokerScheme, BrokerUrl, StoreConfig
from growy.model.reading import NO_SEQ, Bus, Columns, Quality, SeriesKey, TimeSource
from growy.sim.fleet import SimFleet, SimOptions, run_fleet
from growy.sim.spec import EspSpec, SensorKind, default_fleet
from growy.store import open_store
from rig.brokers import Mosquitto, free_port
from rig.daemon import Growyd

T = TypeVar("T")
DAY_MS = 86_400_000
SETTINGS = "[control]\nmin_max_age = 5\nadopt = 3\nmax_switches = 600\n[fleet]\nauto_approve = false\n"
NAMED = ("ESP_00A001", "ESP_00A002", "ESP_00A003")
"""Approved, with names, sensors and actuators."""
NAMES = {SensorKind.SHT31: "Air", SensorKind.DS18B20: "Root zone", SensorKind.MOISTURE: "Bed"}
NEWCOMER = "ESP_00A004"
"""Waits for approval."""


class SimThread:
    """Simulated devices on a trio of their own."""

    def __init__(self, options: SimOptions) -> None:
        self._options = options
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: trio.run(self._run))
        self._fleet: SimFleet | None = None
        self._token: trio.lowlevel.TrioToken | None = None

    async def _run(self) -> None:
        async with trio.open_nursery() as nursery:
            self._fleet = await nursery.start(run_fleet, self._options)
            self._token = trio.lowlevel.current_trio_token()
            self._ready.set()

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def do(self, action: Callable[[SimFleet], T]) -> T:
        """Hands in the greenhouse."""
        assert self._fleet is not None
        fleet = self._fleet
        return trio.from_thread.run_sync(lambda: action(fleet), trio_token=self._token)

    def stop(self) -> None:
        self.do(lambda fleet: fleet.stop())
        self._thread.join(15)


class Garden:
    """Started by `start`, ended by `end`, which leaves nothing running."""

    def __init__(self, folder: Path) -> None:
        for name in ("broker", "data"):
            (folder / name).mkdir()
        self.broker = Mosquitto(folder / "broker")
        self.port = free_port()
        self.growyd = Growyd(folder / "data", self.broker.port, SETTINGS, web_port=self.port)
        options = SimOptions(
            esps=4,
            interval_s=1.0,
            reconnect_s=1.0,
            broker=BrokerUrl(BrokerScheme.MQTT, "127.0.0.1", self.broker.port),
            time_scale=60.0,
            start_hour=5.0,
        )
        self.sim = SimThread(options)
        self.specs = default_fleet(4)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        trio.run(self._remember_a_day)
        self.broker.start()
        self.growyd.start()
        self.sim.start()
        self._until(lambda: self._devices() >= {*NAMED, NEWCOMER}, "all devices are heard")
        for spec in self.specs:
            if spec.esp_id in NAMED:
                self._furnish(spec)
        for rule in demo_rules.rules(self.specs[: len(NAMED)], 1.0, datetime.now(UTC)):
            self.say("POST", "/api/v1/logic/rules", rule)

    def end(self) -> None:
        try:
            self.sim.stop()
        finally:
            self.growyd.end()
            self.broker.stop()

    def say(self, method: str, path: str, body: object = None) -> Any:
        """To growyd, as whoever sits at the Pi."""
        said = self.growyd.say(method, path, body, timeout_s=20.0)
        assert said.get("success", True), said
        return said

    def _devices(self) -> set[str]:
        return {one["esp_id"] for one in self.say("GET", "/api/v1/esp/devices?page_size=100")["data"]}

    def settled(self) -> None:
        """Until the devices have confirmed their actuators: before that nothing is switched."""
        self._until(self._applied, "all actuators are set up")

    def _applied(self) -> bool:
        found = self.say("GET", "/api/v1/actuators?page_size=100")["data"]
        return all(one["config_status"] == "applied" for one in found)

    def _until(self, condition: Callable[[], bool], what: str, seconds: float = 40.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
            time.sleep(0.05)

    def _furnish(self, spec: EspSpec) -> None:
        place = {"zone_id": spec.zone_id, "zone_name": "Greenhouse 1", "master_zone_id": spec.master_zone_id}
        self.say("POST", f"/api/v1/esp/devices/{spec.esp_id}/approve", {"name": spec.name, **place})
        for sensor in spec.sensors:
            body = {"sensor_type": sensor.kind.value, "interval_ms": 1000, "name": NAMES[sensor.kind]}
            if sensor.onewire_address:
                body["onewire_address"] = sensor.onewire_address
            self.say("POST", f"/api/v1/sensors/{spec.esp_id}/{sensor.gpio}", body)
        for esp_id, setup in demo_rules.setups([spec]):
            body = {"actuator_type": setup.kind.value, "name": setup.name}
            self.say("POST", f"/api/v1/actuators/{esp_id}/{setup.gpio}", body)

    async def _remember_a_day(self) -> None:
        """A day of the thermometer on bench B, a reading a minute, with two hours in which nothing was measured."""
        end_ms = int(time.time() * 1000) - 60_000
        ts = np.arange(end_ms - DAY_MS, end_ms, 60_000)
        ago_h = (end_ms - ts) / 3_600_000
        ts = ts[(ago_h < 9) | (ago_h > 11)]
        value = 21.5 + 4.0 * np.sin(2 * math.pi * ts / DAY_MS) + 0.4 * np.sin(ts / 900_000)
        raw = np.round((value + 45.0) / 175.0 * 65_535.0)
        many = np.ones(len(ts), np.int64)
        async with open_store(StoreConfig(min_free_mb=0), self.growyd.folder) as store:
            key = SeriesKey(NAMED[2], Bus.I2C, "68", "sht31_temp")
            series = store.catalog.intern(key, 68, "°C", int(ts[0]))
            await store.commit(
                Columns(
                    series=(many * series).astype(np.int32),
                    ts_ms=ts.astype(np.int64),
                    rx_ms=ts.astype(np.int64),
                    raw=raw,
                    value=np.round(value, 2),
                    quality=(many * Quality.GOOD).astype(np.uint8),
                    seq=many * NO_SEQ,
                    source=(many * TimeSource.DEVICE).astype(np.uint8),
                    conversion=(many * 0).astype(np.int32),
                )
            )
