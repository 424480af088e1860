"""From a device fresh out of its box to a greenhouse that is set up, through the running daemon."""

from __future__ import annotations

import msgspec
import trio
from conftest import Scene
from trio.testing import MockClock

from growy.fleet.device import ZONE_KEY, DeviceStatus
from growy.model.setup import (
    ActuatorKind,
    ActuatorSetup,
    ItemState,
    SensorSetup,
    SubzoneSetup,
    ZoneSetup,
)
from growy.sim.flash import Generation
from growy.sim.fleet import SimFleet

ADC = (32, 33, 34, 35, 36, 39)
PINS = (16, 17, 18, 19, 23, 25)


def ten_sensors() -> list[SensorSetup]:
    """Four I²C labels of one chip type cannot be: two SHT31 addresses, six ADC pins, two BME280 addresses."""
    found = [
        SensorSetup(id=f"a{pin}", gpio=pin, sensor_type="moisture", name=f"Pot {pin}", interval_s=30 + number)
        for number, pin in enumerate(ADC)
    ]
    found += [
        SensorSetup(
            id=f"i{address}", gpio=address, sensor_type=kind, name=f"Air {address}", i2c_address=address
        )
        for kind, address in (("sht31", 68), ("sht31", 69), ("bme280", 118), ("bme280", 119))
    ]
    return found


async def one(scene: Scene, **options: object) -> tuple[SimFleet, str]:
    """A single device that growyd has met."""
    sim = await scene.simulate(esps=1, **options)
    (device,) = sim.devices
    await scene.until(lambda: scene.fleet.get(device.spec.esp_id) is not None, 90, "met")
    return sim, device.spec.esp_id


async def test_a_device_out_of_its_box_is_approved_placed_and_set_up(scene: Scene, clock: MockClock) -> None:
    scene.broker.start()
    scene.auto_approve = False
    await scene.start_daemon()
    sim, esp_id = await one(scene, virgin=True)
    (device,) = sim.devices
    await scene.until(lambda: device.state.registered, 10, "its gate is open although it waits for approval")
    assert scene.fleet.need(esp_id).status is DeviceStatus.PENDING_APPROVAL
    await scene.fleet.approve(esp_id, by="tester", zone=ZoneSetup(zone_id="green", zone_name="Green"))
    for sensor in ten_sensors():
        await scene.fleet.set_sensor(esp_id, sensor)
    keys = [sensor.key for sensor in scene.fleet.need(esp_id).record.sensors]
    for pin in PINS:
        actuator = ActuatorSetup(id=f"r{pin}", gpio=pin, kind=ActuatorKind.RELAY, name=f"Relay {pin}")
        await scene.fleet.set_actuator(esp_id, actuator)
        keys.append(actuator.key)
    await scene.fleet.set_subzone(esp_id, SubzoneSetup(subzone_id="bench_a", name="A", gpios=(32, 33)))
    assert await scene.fleet.settled(esp_id, [ZONE_KEY, "z:bench_a", *keys], 60)
    known = scene.fleet.need(esp_id)
    there = {one.i2c_address for one in device.nvs.sensors if one.i2c_address}
    attached = {key: scene.fleet.state_of(known, key) for key in keys}
    assert all(state is not ItemState.PENDING for state in attached.values())
    assert [attached[f"a:{pin}"] for pin in PINS] == [ItemState.APPLIED] * 6
    assert len(device.nvs.actuators) == 6
    assert device.nvs.zone_id == "green"
    assert {sensor.gpio for sensor in device.nvs.sensors} >= set(ADC)
    assert there


async def test_a_set_up_device_that_reboots_is_told_once_more_and_growyd_that_restarts_tells_nobody(
    scene: Scene, clock: MockClock
) -> None:
    scene.broker.start()
    await scene.start_daemon()
    sim, esp_id = await one(scene, virgin=True)
    (device,) = sim.devices
    await scene.fleet.set_sensor(esp_id, SensorSetup(id="1", gpio=34, sensor_type="ph", name="pH"))
    await scene.fleet.set_actuator(
        esp_id, ActuatorSetup(id="2", gpio=18, kind=ActuatorKind.PUMP, name="Pump", max_runtime_s=600)
    )
    keys = ["s:34:", "a:18"]
    assert await scene.fleet.settled(esp_id, keys, 30)
    sent = scene.fleet.statistics().transmissions
    device.reboot("SW")
    await scene.until(lambda: scene.fleet.need(esp_id).record.boots == 2, 30, "the reboot is seen")
    assert await scene.fleet.settled(esp_id, keys, 30)
    assert scene.fleet.statistics().transmissions == sent + 1
    await scene.stop_daemon()
    await scene.start_daemon()
    clock.rate = 10
    await scene.until(lambda: scene.fleet.need(esp_id).online, 90, "growyd hears it")
    await trio.sleep(10)
    assert scene.fleet.statistics().transmissions == 0
    assert scene.fleet.state_of(scene.fleet.need(esp_id), "s:34:") is ItemState.APPLIED


async def test_firmware_of_december_2025(scene: Scene, clock: MockClock) -> None:
    scene.broker.start()
    await scene.start_daemon()
    clock.rate = 10
    sim, esp_id = await one(scene, generation=Generation.DEC_2025, virgin=True)
    (device,) = sim.devices
    await scene.until(
        lambda: scene.fleet.need(esp_id).record.generation is not None, 120, "its first heartbeat"
    )
    clock.rate = 2
    await scene.fleet.set_sensor(esp_id, SensorSetup(id="1", gpio=34, sensor_type="ph", name="pH"))
    await scene.fleet.set_actuator(
        esp_id, ActuatorSetup(id="2", gpio=18, kind=ActuatorKind.PUMP, name="Pump")
    )
    assert await scene.fleet.settled(esp_id, ["s:34:", "a:18"], 60)
    assert [one.gpio for one in device.nvs.sensors] == [34]
    assert [one.gpio for one in device.nvs.actuators] == [18]


async def test_a_rejected_device_comes_back_after_its_cool_down(scene: Scene, clock: MockClock) -> None:
    scene.broker.start()
    scene.auto_approve = False
    daemon = await scene.start_daemon()
    sim, esp_id = await one(scene, virgin=True)
    (device,) = sim.devices
    await scene.until(lambda: device.state.registered, 10, "answered")
    await scene.fleet.reject(esp_id, by="tester", reason="not ours")
    await trio.sleep(1)
    assert scene.fleet.need(esp_id).status is DeviceStatus.REJECTED
    held = scene.fleet.need(esp_id)
    # Its cool-down is of the wall's clock: five minutes of it have passed.
    past = msgspec.structs.replace(held.record, decided_ms=held.record.decided_ms - 301_000)
    held.state = held.state.recording(past)
    clock.rate = 20
    await scene.until(
        lambda: scene.fleet.need(esp_id).status is DeviceStatus.PENDING_APPROVAL, 120, "rediscovered"
    )
    await scene.fleet.approve(esp_id, by="tester")
    clock.rate = 20
    await scene.until(lambda: scene.fleet.need(esp_id).status is DeviceStatus.ONLINE, 90, "online")
    assert daemon.fleet.statistics().events["device_rediscovered"] == 1


async def test_a_fleet_that_another_server_had_approved_is_not_demoted_by_an_empty_database(
    scene: Scene, clock: MockClock
) -> None:
    scene.broker.start()
    scene.auto_approve = False
    await scene.start_daemon()
    sim = await scene.simulate(esps=3, approved=True)
    await scene.until(lambda: all(device.state.registered for device in sim.devices), 20, "answered")
    await trio.sleep(6)
    assert all(device.nvs.approved for device in sim.devices)
    for device in scene.fleet.devices():
        assert device.status is DeviceStatus.PENDING_APPROVAL
        assert device.record.configured_before
