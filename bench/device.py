"""The simulated device of `bench.control`, as a process: `python -m bench.device PORT`. Ends with its input."""

from __future__ import annotations

import sys

import trio

from growy.config import BrokerUrl
from growy.sim.flash import ActuatorConfig
from growy.sim.fleet import SimFleet, SimOptions, run_fleet
from growy.sim.spec import EspSpec, SensorKind, SensorSpec

ESP, FAN = "ESP_00BE01", 19


def device() -> EspSpec:
    """An ESP32 with a fan on PWM, which may be switched as often as one likes."""
    return EspSpec(
        esp_id=ESP,
        name="bench",
        zone_id="bench",
        approved=True,
        sensors=(SensorSpec(kind=SensorKind.MOISTURE, gpio=34, interval_s=60.0),),
        actuators=(ActuatorConfig(gpio=FAN, actuator_type="pwm", actuator_name="Fan"),),
    )


async def live(port: int) -> None:
    options = SimOptions(
        broker=BrokerUrl.parse(f"mqtt://127.0.0.1:{port}"), devices=(device(),), ledger_limit=0
    )
    async with trio.open_nursery() as nursery:
        sim: SimFleet = await nursery.start(run_fleet, options)
        await trio.to_thread.run_sync(sys.stdin.read)
        sim.stop()


if __name__ == "__main__":
    trio.run(live, int(sys.argv[1]))
