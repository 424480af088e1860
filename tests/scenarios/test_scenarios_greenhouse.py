"""The loop is closed: growyd's rules, as the demo has them, keep a simulated greenhouse, and let go of it when they no
longer know how it is there."""

from __future__ import annotations

import trio
from conftest import Scene
from trio.testing import MockClock

from growy.cli.demo_control import actuators_of, rules_of, set_up
from growy.sim.fleet import SimFleet

BENCH_B = "ESP_00A003"
THERMOMETER = 68


def outputs(scene: Scene, sim: SimFleet) -> dict[str, float]:
    assert scene.daemon is not None
    return {one.name: one.output for device in sim.devices for one in actuators_of(scene.daemon, device)}


def air_c(sim: SimFleet) -> float:
    return sim.houses["greenhouse_1"].at(trio.current_time()).air_c


async def test_the_heater_keeps_the_greenhouse_warm_and_goes_off_when_its_thermometer_is_pulled_off(
    scene: Scene, clock: MockClock
) -> None:
    scene.broker.start()
    daemon = await scene.start_daemon()
    sim = await scene.simulate(esps=6, interval_s=1.0, time_scale=60.0, start_hour=0.0)
    clock.rate = 8
    await set_up(daemon, sim, 1.0)

    def heating() -> bool:
        return outputs(scene, sim)["Heating"] > 0

    await scene.until(heating, 60, "it is cold outside")
    await scene.until(lambda: outputs(scene, sim)["Lamps"] > 0, 60, "it is dark")
    await scene.until(lambda: not heating(), 120, "it is warm enough")
    assert air_c(sim) > 19.0
    await scene.until(heating, 120, "it cools down again")
    assert air_c(sim) > 16.0

    device = sim.device(BENCH_B)
    device.unplug(THERMOMETER)
    await scene.until(lambda: not heating(), 15, "nobody knows how warm it is")
    assert "? keep warm" in rules_of(daemon)[BENCH_B]
    await scene.until(lambda: air_c(sim) < 15.0, 120, "it is cold")
    assert not heating()

    device.plug(THERMOMETER)
    device.reboot()  # after ten failures the firmware would ask it once in five minutes
    await scene.until(heating, 60, "its thermometer is back")
    assert outputs(scene, sim)["Vent"] == 0.0
