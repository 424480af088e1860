"""What growyd must never do is leave a heater on: rules, people, dead sensors, dead Pis and emergency stops.

Through the running daemon, a real broker and simulated devices.
"""

from __future__ import annotations

import pytest
import trio
from conftest import Scene
from trio.testing import MockClock

from growy.control.people import Wish
from growy.model.control import ActuatorKey, CommandState, RefusalCode
from growy.model.errors import SafetyRefused
from growy.model.setup import ActuatorKind, ActuatorSetup, ItemState, SensorSetup
from growy.sim.fleet import SimFleet

HEATER = 18
LEASE_S = 10
STALE_S = 15.0
"""Three intervals of the thermometer."""
LATE_S = 2.0
"""A tick, and the way to the device and back on a busy machine."""


class Tent:
    """One device with an SHT31 and a heater on a relay, set up by growyd."""

    def __init__(self, scene: Scene, sim: SimFleet) -> None:
        self.scene = scene
        (self.device,) = sim.devices
        self.esp_id = self.device.spec.esp_id
        self.heater = ActuatorKey(self.esp_id, HEATER)

    @property
    def control(self):  # type: ignore[no-untyped-def]
        assert self.scene.daemon is not None
        return self.scene.daemon.control

    def heats(self) -> bool:
        """By the pin of the device, not by what anybody believes."""
        output = self.device.state.board.actuator(HEATER)
        return output is not None and bool(output.level)

    async def rule(self, **changes: object) -> str:
        """Heats below 60 °C: always, in any weather."""
        document = {
            "name": "Heating",
            "conditions": [
                {
                    "type": "hysteresis",
                    "esp_id": self.esp_id,
                    "gpio": 68,
                    "sensor_type": "sht31_temp",
                    "activate_below": 60,
                    "deactivate_above": 62,
                }
            ],
            "actions": [
                {"type": "actuator", "esp_id": self.esp_id, "gpio": HEATER, "command": "ON", "value": 1.0}
            ],
            "cooldown_seconds": 0,
            **changes,
        }
        written = await self.control.book.add(document, by="tester")
        return written.record.rule.id


async def tent(scene: Scene, **heater: object) -> Tent:
    """Set up and online."""
    scene.broker.start()
    scene.settings = {"control.lease": LEASE_S, "control.min_max_age": 5.0, "control.adopt": 3.0}
    await scene.start_daemon()
    sim = await scene.simulate(esps=1, virgin=True)
    made = Tent(scene, sim)
    await scene.until(lambda: scene.fleet.get(made.esp_id) is not None, 30, "met")
    sensor = SensorSetup(id="1", gpio=68, sensor_type="sht31", name="Air", i2c_address=68, interval_s=5)
    await scene.fleet.set_sensor(made.esp_id, sensor)
    actuator = ActuatorSetup(id="2", gpio=HEATER, kind=ActuatorKind.RELAY, name="Heater", **heater)
    await scene.fleet.set_actuator(made.esp_id, actuator)
    assert await scene.fleet.settled(made.esp_id, ["s:68:68", f"a:{HEATER}"], 60)
    assert scene.fleet.state_of(scene.fleet.need(made.esp_id), f"a:{HEATER}") is ItemState.APPLIED
    return made


async def test_a_rule_heats_and_a_sensor_that_is_unplugged_ends_it(scene: Scene, clock: MockClock) -> None:
    made = await tent(scene)
    rule_id = await made.rule()
    await scene.until(made.heats, 30, "the rule heats")
    situation = made.control.book.need(rule_id).situation
    assert situation.holds
    assert made.control.state(made.heater).claim.issued_by == "rule:Heating"

    made.device.unplug(68)
    took_s = await scene.until(lambda: not made.heats(), 40, "the heater goes off")
    assert took_s <= STALE_S + LATE_S
    assert made.control.book.need(rule_id).situation.holds is None

    made.device.plug(68)
    await scene.until(made.heats, 20, "it heats again when the sensor is back")


async def test_a_pi_that_dies_leaves_the_heater_on_for_no_longer_than_its_lease(
    scene: Scene, clock: MockClock
) -> None:
    made = await tent(scene)
    await made.rule()
    await scene.until(made.heats, 30, "the rule heats")
    await trio.sleep(1.5 * LEASE_S)
    assert made.heats(), "it is renewed while the rule holds"
    await scene.kill_daemon()
    took_s = await scene.until(lambda: not made.heats(), 2 * LEASE_S, "the heater goes off without its Pi")
    assert took_s <= LEASE_S + LATE_S
    await scene.start_daemon()
    await scene.until(made.heats, 90, "the rule goes on where it was")


async def test_growyd_restarts_and_the_heater_does_not_notice(scene: Scene, clock: MockClock) -> None:
    made = await tent(scene)
    await made.rule()
    await scene.until(made.heats, 30, "the rule heats")
    # Without a rule of its own a device goes to its default state when its Pi is gone.
    await scene.until(lambda: bool(made.device.state.board.rules), 30, "its offline rules are on the device")
    starts = len(made.device.state.board.actuator(HEATER).activations_ms)
    # As a crash: an orderly goodbye says offline, and a device without rules of its own goes to its default state.
    await scene.kill_daemon()
    await scene.start_daemon()
    await trio.sleep(1.5 * LEASE_S)
    assert made.heats()
    assert len(made.device.state.board.actuator(HEATER).activations_ms) <= starts + 1


async def test_a_person_goes_before_a_rule_until_the_time_is_over(scene: Scene, clock: MockClock) -> None:
    made = await tent(scene)
    await made.rule()
    await scene.until(made.heats, 30, "the rule heats")
    result = await made.control.command(made.heater, Wish.OFF, duration_s=6, by="user:ann")
    assert result.acknowledged
    assert result.state is CommandState.ACKNOWLEDGED
    assert not made.heats()
    await trio.sleep(4)
    assert not made.heats()
    await scene.until(made.heats, 10, "then the rule has it again")
    history = await made.control.history(made.heater, None, None, 20)
    assert {row.issued_by for row in history if row.kind == "command"} >= {"user:ann", "rule:Heating"}


async def test_a_person_switches_on_for_ten_seconds_and_growyd_dies(scene: Scene, clock: MockClock) -> None:
    made = await tent(scene)
    result = await made.control.command(made.heater, Wish.ON, duration_s=4, by="user:ann")
    assert result.acknowledged
    assert made.heats()
    await scene.kill_daemon()
    await scene.until(lambda: not made.heats(), 4 + LATE_S, "the device ends it by itself")


async def test_the_longest_run_is_not_exceeded(scene: Scene, clock: MockClock) -> None:
    made = await tent(scene, max_runtime_s=12)
    await made.rule()
    await scene.until(made.heats, 30, "the rule heats")
    took_s = await scene.until(lambda: not made.heats(), 30, "it goes off")
    assert took_s <= 12 + LATE_S
    assert made.control.state(made.heater).refusal.code is RefusalCode.MAX_RUNTIME
    with pytest.raises(SafetyRefused) as refused:
        await made.control.command(made.heater, Wish.ON, by="user:ann")
    assert refused.value.details["refusal"] == "MAX_RUNTIME"


async def test_an_emergency_stop_is_proven_survives_a_restart_and_is_cleared(
    scene: Scene, clock: MockClock
) -> None:
    made = await tent(scene)
    await made.rule()
    await scene.until(made.heats, 30, "the rule heats")
    ordered = await made.control.stop(reason="fire", by="user:ann")
    assert ordered.durable
    report = await made.control.emergencies.wait_proven(ordered.report.stop.id, 10)
    assert report is not None
    assert report.proven
    assert not made.heats()
    assert made.control.state(made.heater).refusal.code is RefusalCode.EMERGENCY_STOP_ACTIVE

    await scene.kill_daemon()
    made.device.reboot("POWERON")
    await scene.start_daemon()
    assert [one.stop.reason for one in made.control.stops()] == ["fire"]
    clock.rate = 2
    await scene.until(lambda: made.device.state.board.emergency, 60, "a device that rebooted is stopped anew")
    clock.rate = 1
    ended = await made.control.clear(reason="out", by="user:ann")
    assert [one.state.value for one in ended.devices] == ["cleared"]
    await scene.until(made.heats, 30, "the rule heats again")


async def test_a_deleted_rule_lets_go_at_once(scene: Scene, clock: MockClock) -> None:
    made = await tent(scene)
    rule_id = await made.rule()
    await scene.until(made.heats, 30, "the rule heats")
    record, before = await made.control.book.enable(rule_id, False, by="user:ann")
    assert before
    assert not record.rule.enabled
    await scene.until(lambda: not made.heats(), 5, "off when it is disabled")
    await made.control.book.enable(rule_id, True, by="user:ann")
    await scene.until(made.heats, 30, "on again")
    await made.control.book.remove(rule_id, by="user:ann")
    await scene.until(lambda: not made.heats(), 5, "off when it is deleted")


async def test_what_a_device_can_run_itself_is_handed_over(scene: Scene, clock: MockClock) -> None:
    made = await tent(scene)
    rule_id = await made.rule()
    clock.rate = 2
    await scene.until(lambda: bool(made.device.state.board.rules), 60, "its offline rules are on the device")
    assert made.control.book.need(rule_id).offline
