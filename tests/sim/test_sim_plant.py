"""The loop is closed: what the pins of simulated devices really do moves their greenhouse, and a sensor can be pulled
off."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
from rig.machine import Machine

from growy.sim import drivers, plant
from growy.sim.board import ActuatorOutput, Board
from growy.sim.device import SimDevice
from growy.sim.events import PublishReading
from growy.sim.flash import ActuatorConfig
from growy.sim.fleet import SimFleet, SimOptions, run_fleet
from growy.sim.greenhouse import Inputs, Role
from growy.sim.house import House
from growy.sim.plant import PlugChange
from growy.sim.spec import EspSpec, default_fleet

ACK = b'{"status":"approved","handover_epoch":1,"server_time":1767225600}'
BENCH_B, CANOPY = (default_fleet(6)[number] for number in (2, 4))
SHT31, WIRE, MOISTURE = 68, 4, 34
HEATING = 18
QUICK = attrs.evolve(
    BENCH_B, approved=True, sensors=tuple(attrs.evolve(one, interval_s=0.2) for one in BENCH_B.sensors)
)
NIGHT = SimOptions(devices=(QUICK,), reconnect_s=0.1, time_scale=600.0, start_hour=0.0)


def output(kind: str, *, inverted: bool = False, default: bool = False) -> ActuatorOutput:
    config = ActuatorConfig(
        gpio=18, actuator_type=kind, actuator_name="it", inverted_logic=inverted, default_state=default
    )
    return drivers.begin(config, 0)


def house(**more: Any) -> House:
    return House(1, "greenhouse_1", now=0.0, start_hour=0.0, time_scale=60.0, **more)


def test_every_going_on_and_off_is_counted_by_device_and_role() -> None:
    there = house()
    heat = [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.5), (0.0, 1.0), (1.0, 0.0)]
    for now, (heater, pump) in enumerate(heat):
        there.drive("ESP_00A003", {Role.HEATER: heater, Role.PUMP: pump}, float(now))
    there.drive("ESP_00A003", {}, 9.0)

    assert there.switchings == {("ESP_00A003", Role.HEATER): 4, ("ESP_00A003", Role.PUMP): 2}


# --- from the pin to the greenhouse -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "inverted", "value", "flow"),
    [
        ("relay", False, 1.0, 1.0),
        ("relay", False, 0.0, 0.0),
        ("pump", False, 1.0, 1.0),
        ("relay", True, 1.0, 1.0),
        ("relay", True, 0.0, 0.0),
        ("pwm", False, 0.4, 0.4),
        ("pwm", False, 0.0, 0.0),
        ("pwm", True, 0.4, 0.6),
        ("valve", False, 0.5, 0.5),
        ("valve", False, 1.0, 1.0),
    ],
)
def test_what_is_commanded_gets_through(kind: str, inverted: bool, value: float, flow: float):
    # An inverted relay goes right only after its first ON and OFF.
    one, *_ = drivers.switch(output(kind, inverted=inverted), True, 0)
    one, *_ = drivers.set_value(drivers.passed(one, 10_000), value, 10_000)

    assert drivers.passed(one, 20_000).flow == pytest.approx(flow, abs=1 / 255)


def test_an_inverted_relay_draws_current_from_the_boot_on_whatever_the_firmware_believes():
    one = output("relay", inverted=True)

    assert not one.on
    assert one.flow == 1.0


def test_a_moving_valve_lets_through_what_it_did_before():
    one, *_ = drivers.switch(output("valve"), True, 0)

    assert one.flow == 0.0
    assert drivers.passed(one, 10_000).flow == 1.0


def test_only_pins_with_something_on_them_move_the_house_and_none_without_power():
    board = Board(esp_id="ESP_00A001", actuators=(attrs.evolve(output("pwm"), pwm=51),))
    assert plant.moved({18: Role.VENT, 19: Role.LAMP}, board, running=True) == {Role.VENT: 0.2}
    assert plant.moved({18: Role.VENT}, board, running=False) == {Role.VENT: 0.0}
    assert plant.moved({}, board, running=True) == {}


def test_a_house_does_itself_what_no_device_has_an_actuator_for():
    left_alone, with_lamps = house(), house()
    for one in (left_alone, with_lamps):
        one.at(1.0)
    with_lamps.drive("ESP_1", {Role.LAMP: 0.0}, 1.0)

    # At six the house's own lamps are on and its vents shut.
    assert left_alone.at(360.0).light_lux > 24_000
    assert with_lamps.at(360.0).light_lux < 1_000

    with_lamps.drive("ESP_1", {}, 360.0)
    assert with_lamps.at(365.0).light_lux > 24_000


def test_a_switch_acts_from_its_moment_on():
    always, late, never = house(), house(), house()
    always.drive("ESP_1", {Role.HEATER: 1.0}, 0.0)
    for one in (late, never):
        one.drive("ESP_1", {Role.HEATER: 0.0}, 0.0)
    late.drive("ESP_1", {Role.HEATER: 1.0}, 9.0)

    # Nobody has looked before: the first nine minutes were without heating all the same.
    unheated = never.at(10.0).air_c
    assert always.at(10.0).air_c - unheated > 5 * (late.at(10.0).air_c - unheated) > 0


def test_actuators_of_one_role_add_up_to_full_at_most():
    lux = []
    for outputs in ({"A": 0.25}, {"A": 0.25, "B": 0.5}, {"A": 0.75, "B": 0.75}):
        one = house()
        for esp_id, value in outputs.items():
            one.drive(esp_id, {Role.LAMP: value}, 0.0)
        lux.append(one.at(1.0).light_lux)

    assert lux == [pytest.approx(value) for value in (6_250.0, 18_750.0, 25_000.0)]


def test_a_house_that_is_given_inputs_obeys_these():
    one = house()
    one.drive("ESP_1", {Role.LAMP: 0.0}, 0.0)
    one.inputs = Inputs(lamp=1.0)

    assert one.at(1.0).light_lux == pytest.approx(25_000.0)


def test_a_greenhouse_that_nobody_tends_is_cold_by_night_hot_by_day_and_dries_out():
    one = house()
    one.drive("ESP_1", dict.fromkeys(Role, 0.0), 0.0)
    air, moisture = [], [one.state.moisture_pct]
    for minute in range(0, 2 * 24 * 60, 15):
        state = one.at(float(minute))
        air.append(state.air_c)
        moisture.append(state.moisture_pct)

    assert min(air) < 11.0
    assert max(air) > 32.0
    assert moisture == sorted(moisture, reverse=True)
    assert moisture[-1] < moisture[0] - 4.0


def test_each_greenhouse_of_the_default_fleet_has_all_four_on_devices_with_a_thermometer_or_probe():
    fleet = default_fleet(12)
    for zone_id in ("greenhouse_1", "greenhouse_2"):
        roles = {role for spec in fleet if spec.zone_id == zone_id for role in spec.plant.values()}
        assert roles == set(Role)
    for spec in fleet:
        assert spec.plant.keys() <= {actuator.gpio for actuator in spec.actuators}
        kinds = {sensor.kind for sensor in spec.sensors}
        if {Role.HEATER, Role.VENT} & set(spec.plant.values()):
            assert "sht31" in kinds
        if Role.PUMP in spec.plant.values():
            assert "moisture" in kinds
    assert BENCH_B.plant == {HEATING: Role.HEATER, 19: Role.PUMP}


# --- in a running fleet -------------------------------------------------------------------------------------------


async def until(what: Callable[[], bool], timeout_s: float = 120.0) -> None:
    with trio.fail_after(timeout_s):
        while not what():
            await trio.sleep(0.02)


def command(server: Any, spec: EspSpec, gpio: int, word: str, **more: Any) -> None:
    body = {
        "command": word,
        "value": 1.0,
        "duration": 0,
        "intent_id": f"i-{word}",
        "correlation_id": word,
        **more,
    }
    server.publish(f"kaiser/god/esp/{spec.esp_id}/actuator/{gpio}/command", json.dumps(body).encode())


def air_c(fleet: SimFleet) -> float:
    return fleet.houses["greenhouse_1"].at(trio.current_time()).air_c


async def test_a_heater_that_is_commanded_warms_the_house_until_its_device_loses_power(
    fast, sim_broker, listen
):
    server = listen(sim_broker, ack=ACK)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, attrs.evolve(NIGHT, broker=sim_broker.url))
        device = fleet.device(BENCH_B.esp_id)
        await until(lambda: device.state.registered)
        await until(
            lambda: air_c(fleet) < 13.0
        )  # the night comes in: the house's own thermostat has nothing to say
        command(server, BENCH_B, HEATING, "ON")
        await until(lambda: device.state.board.actuator(HEATING).on)
        cold = air_c(fleet)
        await until(lambda: air_c(fleet) > cold + 3.0)

        device.power_off()
        warm = air_c(fleet)
        await until(lambda: air_c(fleet) < warm - 2.0)

        device.power_on()  # the firmware starts at default_state
        await until(lambda: device.state.registered)
        assert air_c(fleet) < warm - 2.0
        fleet.stop()


async def test_a_fan_turns_as_fast_as_its_pwm_says(fast, sim_broker, listen):
    server = listen(sim_broker, ack=ACK)
    options = attrs.evolve(NIGHT, broker=sim_broker.url, devices=(CANOPY,), start_hour=11.0, time_scale=120.0)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, options)
        device = fleet.device(CANOPY.esp_id)
        await until(lambda: device.state.registered)
        await until(lambda: air_c(fleet) > 30.0)
        command(server, CANOPY, 19, "PWM", value=0.6)
        await until(lambda: device.state.board.actuator(19).on)

        await until(lambda: air_c(fleet) < 27.0)
        assert fleet.houses["greenhouse_1"].state.hour < 14.0, "it is not the evening that cools"
        fleet.stop()


async def test_a_device_without_actuators_leaves_the_house_to_itself(fast, sim_broker, listen):
    listen(sim_broker, ack=ACK)
    virgin = attrs.evolve(BENCH_B, virgin=True)
    options = attrs.evolve(NIGHT, broker=sim_broker.url, devices=(virgin,), time_scale=3_600.0)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, options)
        house = fleet.houses["greenhouse_1"]
        await until(lambda: house.at(trio.current_time()).hour > 4.0)
        assert air_c(fleet) > 14.0, "its own thermostat heats"
        fleet.stop()


# --- unplugged ----------------------------------------------------------------------------------------------------


def readings(machine: Machine) -> set[tuple[int, str]]:
    return {
        (effect.sensor.gpio, effect.sample.sensor_type)
        for _, effect in machine.done
        if isinstance(effect, PublishReading)
    }


def unplugged(spec: EspSpec, gpio: int, sensor_type: str | None = None) -> EspSpec:
    return plant.wired(spec, plant.on_gpio(spec, gpio, sensor_type))


def running(spec: EspSpec = BENCH_B) -> Machine:
    machine = Machine(spec)
    machine.register()
    machine.run(61.0)  # errors are told after the first minute
    machine.forget()
    return machine


@pytest.mark.parametrize(
    ("gpio", "gone", "code", "message"),
    [
        (SHT31, {(SHT31, "sht31_temp"), (SHT31, "sht31_humidity")}, 1011, "I2C device not found at 0x44"),
        (WIRE, {(WIRE, "ds18b20")}, 1060, "DS18B20 fault (-127°C) on GPIO 4 ROM 28"),
    ],
)
def test_a_sensor_on_a_bus_that_is_unplugged_does_not_answer_and_the_firmware_says_so(
    gpio: int, gone: set[tuple[int, str]], code: int, message: str
):
    machine = running()
    machine.run(60.0)
    before = readings(machine)
    assert before > gone
    machine.forget()
    machine.spec = unplugged(BENCH_B, gpio)
    machine.run(200.0)

    assert readings(machine) == before - gone
    errors = machine.said("system/error")
    assert 3 <= len(errors) <= 4, "one a minute"
    assert {error["error_code"] for error in errors} == {code}
    assert all(error["message"].startswith(message) and error["severity"] == 2 for error in errors)

    machine.forget()
    machine.spec = BENCH_B
    machine.run(90.0)
    assert readings(machine) == before
    assert machine.said("system/error") == []


def test_an_analog_input_without_its_sensor_floats():
    machine = running()
    machine.spec = unplugged(BENCH_B, MOISTURE)
    machine.run(600.0)

    raws = {
        effect.sample.raw
        for _, effect in machine.done
        if isinstance(effect, PublishReading) and effect.sensor.gpio == MOISTURE
    }
    assert raws
    assert max(raws) <= 400
    assert machine.said("system/error") == []


def test_a_light_sensor_that_is_unplugged_does_not_answer():
    machine = running(CANOPY)
    machine.spec = unplugged(CANOPY, 0x5C)
    machine.run(120.0)

    assert (0x5C, "bh1750") not in readings(machine)


def test_after_ten_failures_it_is_asked_once_in_five_minutes():
    machine = running()
    machine.spec = unplugged(BENCH_B, SHT31)
    machine.run(320.0)
    machine.spec = BENCH_B
    machine.forget()
    machine.run(200.0)
    assert (SHT31, "sht31_temp") not in readings(machine)

    machine.run(100.0)
    assert (SHT31, "sht31_temp") in readings(machine)


@pytest.mark.parametrize(
    ("gpio", "sensor_type", "count"),
    [(SHT31, None, 1), (SHT31, "sht31_temp", 1), (SHT31, "sht31", 1), (WIRE, None, 2), (WIRE, "ds18b20", 2)],
)
def test_sensors_are_named_by_gpio_and_if_need_be_type(gpio: int, sensor_type: str | None, count: int):
    assert len(unplugged(BENCH_B, gpio, sensor_type).sensors) == len(BENCH_B.sensors) - count


@pytest.mark.parametrize(("gpio", "sensor_type"), [(69, None), (SHT31, "ds18b20"), (SHT31, "bmp280")])
def test_a_sensor_that_is_not_there_is_refused_with_those_that_are(gpio: int, sensor_type: str | None):
    with pytest.raises(
        ValueError, match=r"ESP_00A003 has no .*: 4 \(ds18b20\), 34 \(moisture\), 68 \(sht31\)"
    ):
        plant.on_gpio(BENCH_B, gpio, sensor_type)


def of(fleet: SimFleet, gpio: int) -> int:
    return sum(entry.gpio == gpio for entry in fleet.ledger.entries())


async def test_a_sensor_of_a_running_device_is_unplugged_and_plugged_in_again(fast, sim_broker, listen):
    listen(sim_broker, ack=ACK)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, attrs.evolve(NIGHT, broker=sim_broker.url))
        device: SimDevice = fleet.device(BENCH_B.esp_id)
        await until(lambda: of(fleet, SHT31) > 2)

        device.unplug(SHT31)
        seen, others = of(fleet, SHT31), of(fleet, MOISTURE)
        await until(lambda: of(fleet, MOISTURE) > others + 2)
        assert of(fleet, SHT31) == seen
        assert SHT31 not in device.state.board.attached.i2c

        device.reboot()  # it is missing after a boot, too
        await until(lambda: device.state.registered and of(fleet, MOISTURE) > others + 5)
        assert of(fleet, SHT31) == seen

        device.plug(SHT31)
        assert SHT31 in device.state.board.attached.i2c
        device.reboot()
        await until(lambda: of(fleet, SHT31) > seen)
        fleet.stop()


async def test_plugs_are_changed_at_their_time(sim_broker, autojump_clock):
    changes = (
        PlugChange(at_s=20.0, esp_id=BENCH_B.esp_id, gpio=SHT31, plugged=True),
        PlugChange(at_s=10.0, esp_id=BENCH_B.esp_id, gpio=SHT31),
        PlugChange(at_s=1e6, esp_id=BENCH_B.esp_id, gpio=WIRE),
    )
    options = attrs.evolve(NIGHT, broker=sim_broker.url, duration_s=30.0, plug_changes=changes)
    async with trio.open_nursery() as nursery:
        fleet = await nursery.start(run_fleet, options)
        device = fleet.device(BENCH_B.esp_id)
        there = []
        for _ in range(3):
            await trio.sleep(8.0)
            there.append(SHT31 in device.state.board.attached.i2c)

    assert there == [True, False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"esp_id": "ESP_00A009", "gpio": SHT31}, "no device ESP_00A009"),
        ({"esp_id": BENCH_B.esp_id, "gpio": 12}, "has no sensor on gpio 12"),
    ],
)
def test_a_plug_change_names_a_sensor_of_the_fleet(change: dict[str, Any], message: str):
    options = attrs.evolve(NIGHT, plug_changes=(PlugChange(at_s=1.0, **change),))
    with pytest.raises(ValueError, match=message):
        options.specs()
