"""A device changes hands between two nodes, each with its own fleet, control and disk: nothing is switched by it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from rig.desk import ESP, FAST, clock
from rig.esp import Air, Esp

from growy.config import ControlConfig, StoreConfig
from growy.control.control import Control
from growy.control.opening import open_control
from growy.control.people import Wish
from growy.control.performing import Ways
from growy.fleet.fleet import Fleet
from growy.fleet.journal import FleetJournal, from_row, to_row
from growy.model.control import (
    ActuatorKey,
    CommandState,
    DeviceView,
    Interlock,
    InterlockKind,
    RefusalCode,
    Tenure,
)
from growy.model.errors import SafetyRefused
from growy.model.handover import DeviceDocuments, HandedOver
from growy.model.reading import NO_SEQ, Bus, Columns, SeriesKey
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.model.time import Moment
from growy.store import Store, open_store

HEATER, FAN, LAMP = ActuatorKey(ESP, 18), ActuatorKey(ESP, 19), ActuatorKey(ESP, 25)
COLD = {"type": "hysteresis", "esp_id": ESP, "gpio": 4, "sensor_type": "ds18b20"}
CHILLY = {
    "name": "heat",
    "conditions": [{**COLD, "activate_below": 18, "deactivate_above": 22}],
    "actions": [{"type": "actuator", "esp_id": ESP, "gpio": 18, "command": "ON"}],
}


@attrs.define
class Node:
    """One Pi, without its broker."""

    name: str
    store: Store
    air: Air
    fleet: Fleet
    begin_ms: int
    control: Control = None  # type: ignore[assignment]
    tenures: dict[str, Tenure] = attrs.field(factory=dict)
    sent: list[tuple[str, dict[str, Any]]] = attrs.field(factory=list)

    def wall_ms(self) -> int:
        return self.begin_ms + round(1000 * clock())

    def view(self, esp_id: str) -> DeviceView | None:
        found = self.fleet.view(esp_id)
        return None if found is None else attrs.evolve(found, tenure=self.tenures.get(esp_id, Tenure.OURS))

    def becomes(self, tenure: Tenure) -> None:
        self.tenures[ESP] = tenure
        self.control.device_changed(ESP)

    def measured(self, celsius: float) -> None:
        key = SeriesKey(ESP, Bus.GPIO, "4", "ds18b20")
        number = self.store.catalog.intern(key, 4, "°C", self.wall_ms())
        now = self.wall_ms()
        self.control.take(Columns.of([number], [now], [now], [celsius], [celsius], [1], [NO_SEQ], [0], [0]))
        self.control.committed(
            Columns.of([number], [now], [now], [celsius], [celsius], [1], [NO_SEQ], [0], [0])
        )

    def commands(self) -> list[tuple[str, str]]:
        """What it has sent to actuators: (gpio, command)."""
        return [
            (topic.split("/")[5], said["command"])
            for topic, said in self.sent
            if "/actuator/" in topic and topic.endswith("/command")
        ]

    async def until(self, true: Callable[[], bool], seconds: float = 8) -> None:
        with trio.fail_after(seconds):
            while not true():
                await trio.sleep(0.01)


@asynccontextmanager
async def node(
    name: str, folder: Path, air: Air, known: tuple[Any, ...] = (), begin_ms: int = 0
) -> AsyncIterator[Node]:
    async with open_store(StoreConfig(min_free_mb=1), folder / name) as store, trio.open_nursery() as nursery:
        made: Node

        def send(topic: str, payload: bytes, **more: Any) -> bool:
            before = len(air.sent)
            done = air.send(topic, payload, **more)
            made.sent += air.sent[before:]
            return done

        fleet = Fleet(
            auto_approve=True,
            send=send,
            known=known,
            persist=lambda device: journal.persist(device),
            on_change=lambda esp_id: made.control.device_changed(esp_id),
            clock=clock,
            wall_ms=lambda: made.wall_ms(),
        )
        journal = FleetJournal(fleet, store)
        begin_ms = begin_ms or time.time_ns() // 1_000_000 - round(1000 * clock())
        made = Node(name, store, air, fleet, begin_ms)
        made.control = await open_control(
            ControlConfig(min_max_age=86_400),
            store,
            Ways(
                send=send,
                tell=lambda *_: None,
                note=lambda _: None,
                view=made.view,
                views=lambda: [one for each in fleet.views() if (one := made.view(each.esp_id))],
                moment=lambda: Moment(clock(), made.wall_ms()),
            ),
            broadcast_token="",
            push_offline=fleet.set_offline_rules,
        )
        await nursery.start(made.control.run)

        async def tick() -> None:
            while True:
                await trio.sleep(0.5 / FAST)
                fleet.tick()
                made.control.tick()

        nursery.start_soon(tick)
        yield made
        await made.control.flush()
        nursery.cancel_scope.cancel()


@attrs.define
class Pair:
    old: Node
    new: Node
    esp: Esp

    async def documents(self) -> DeviceDocuments:
        row = to_row(self.old.fleet.need(ESP))
        return DeviceDocuments(
            esp_id=ESP,
            record=row.record,
            setup=row.setup or "",
            rules=self.old.control.tenancy.rules_of(ESP),
            interlocks=self.old.control.tenancy.interlocks_of(ESP),
        )

    async def let_go(self) -> HandedOver:
        """Up to where the device is nobody's."""
        await self.new.control.tenancy.prepare(await self.documents())
        self.old.control.tenancy.freeze(ESP)
        self.old.becomes(Tenure.FROZEN)
        state = await self.old.control.tenancy.survey(ESP)
        assert state is not None
        self.old.becomes(Tenure.FOREIGN)
        self.old.control.tenancy.dropped(ESP)
        self.old.sent.clear()
        return state

    def take_up(self, state: HandedOver | None) -> None:
        self.new.tenures[ESP] = Tenure.OURS
        self.new.control.tenancy.take(ESP, state)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    air = Air()
    async with node("old", tmp_path, air) as old, trio.open_nursery() as nursery:
        esp = Esp(old.fleet, air, ESP, warm_up_s=6 / FAST, pace=FAST)
        air.listeners.append(lambda *said: old.control.handle(*said))
        await nursery.start(esp.run)
        for key, kind in ((HEATER, "relay"), (FAN, "relay"), (LAMP, "pwm")):
            setup = ActuatorSetup(
                id=f"a{key.gpio}", gpio=key.gpio, kind=ActuatorKind(kind), name=kind, cooldown_s=300
            )
            made, _ = await old.fleet.set_actuator(ESP, setup)
            assert await old.fleet.settled(ESP, [made.key], 10)
        await old.until(lambda: all(old.control.state(key).reported == 0 for key in (HEATER, FAN, LAMP)))
        known = from_row(to_row(old.fleet.need(ESP)))
        async with node("new", tmp_path, air, (known,), old.begin_ms) as new:
            new.becomes(Tenure.FOREIGN)
            air.listeners += [new.fleet.handle, lambda *said: new.control.handle(*said)]
            esp.heartbeat()
            await new.until(lambda: bool((view := new.view(ESP)) and view.online))
            new.sent.clear()
            yield Pair(old, new, esp)
        nursery.cancel_scope.cancel()


async def started(pair: Pair) -> None:
    """The heater is on by a latch in its dead band, the lamp at half by a person for ten minutes."""
    old = pair.old
    await old.control.book.add(CHILLY, by="test")
    old.measured(17.0)
    await old.until(lambda: pair.esp.outputs.on(18))
    old.measured(20.0)
    result = await old.control.command(LAMP, Wish.PWM, value=0.5, duration_s=600, by="user:ada")
    assert result.state is CommandState.ACKNOWLEDGED


async def test_a_hand_over_switches_nothing_and_the_new_owner_goes_on_with_it(pair: Pair) -> None:
    await started(pair)
    state = await pair.let_go()
    pair.take_up(state)
    await pair.new.until(lambda: len(pair.new.commands()) >= 2)  # renewed by the new owner
    await trio.sleep(120 / FAST)  # longer than any lease of the old one's

    assert pair.esp.outputs.on(18)
    assert pair.esp.outputs.pwm(25) in (127, 128)
    assert pair.old.commands() == []
    assert {gpio for gpio, verb in pair.new.commands() if verb == "OFF"} <= {"19"}, "which is off"
    assert pair.new.control.state(HEATER).claim.issued_by == "rule:heat"
    assert pair.new.control.state(LAMP).claim.issued_by == "user:ada"

    pair.new.measured(22.5)
    await pair.new.until(lambda: not pair.esp.outputs.on(18))
    await pair.new.until(lambda: pair.esp.outputs.pwm(25) == 0, 600 / FAST)
    assert pair.old.commands() == []


async def test_its_account_goes_along(pair: Pair) -> None:
    await started(pair)
    before = pair.old.control.state(HEATER).on_since_ms
    pair.take_up(await pair.let_go())

    after = pair.new.control.state(HEATER)
    assert after.on_since_ms == pytest.approx(before, abs=2000)
    assert after.details["day_on_s"] > 0


async def test_what_must_rest_still_rests_with_the_new_owner(pair: Pair) -> None:
    await started(pair)
    pair.old.measured(23.0)
    await pair.old.until(lambda: pair.old.control.state(HEATER).reported == 0)
    pair.take_up(await pair.let_go())

    with pytest.raises(SafetyRefused, match=r"must stay off"):
        await pair.new.control.command(HEATER, Wish.ON, by="user:ada", wait_s=0)


async def test_a_frozen_device_is_commanded_by_nobody_and_an_emergency_stop_is_everybodys(pair: Pair) -> None:
    await started(pair)
    pair.old.control.tenancy.freeze(ESP)
    pair.old.becomes(Tenure.FROZEN)
    with pytest.raises(SafetyRefused, match="handed over"):
        await pair.old.control.command(FAN, Wish.ON, by="user:ada")
    await pair.old.control.command(HEATER, Wish.OFF, by="user:ada", wait_s=0)
    assert pair.esp.outputs.on(18), "not even OFF: it stays as it is"

    await pair.old.control.stop(reason="fire", by="user:ada")
    await pair.old.until(lambda: not pair.esp.outputs.on(18))


async def test_one_that_is_another_nodes_is_refused_and_left_alone(pair: Pair) -> None:
    await started(pair)
    await pair.let_go()
    with pytest.raises(SafetyRefused) as caught:
        await pair.old.control.command(HEATER, Wish.ON, by="user:ada")
    pair.old.measured(10.0)
    await trio.sleep(10 / FAST)

    assert caught.value.details["refusal"] == RefusalCode.DEVICE_NOT_OWNED
    assert pair.old.commands() == []
    assert not pair.old.control.book.need(pair.old.control.book.rules()[0].id).situation.running


async def test_a_fenced_device_goes_off_and_gets_nothing_but_off(pair: Pair) -> None:
    await started(pair)
    pair.old.becomes(Tenure.FENCED)
    pair.old.control.tenancy.dropped(ESP)
    await pair.old.until(lambda: not pair.esp.outputs.on(18) and not pair.esp.outputs.pwm(25))
    with pytest.raises(SafetyRefused, match="lost touch"):
        await pair.old.control.command(HEATER, Wish.ON, by="user:ada")

    pair.old.tenures[ESP] = Tenure.OURS
    pair.old.control.tenancy.take(ESP, None)
    pair.old.measured(17.0)
    assert pair.old.control.book.need(pair.old.control.book.rules()[0].id).situation.holds


async def test_a_new_owner_that_is_told_nothing_asks_the_device_and_goes_by_its_own_rules(pair: Pair) -> None:
    await started(pair)
    await pair.let_go()
    pair.new.measured(17.0)
    pair.take_up(None)
    await pair.new.until(lambda: ("18", "ON") in pair.new.commands())
    await trio.sleep(60 / FAST)

    assert pair.esp.outputs.on(18)


async def test_papers_that_come_twice_or_are_older_change_nothing(pair: Pair) -> None:
    await started(pair)
    documents = await pair.documents()
    await pair.new.control.tenancy.prepare(documents)
    rule_id = documents.rules[0].id
    await pair.new.control.book.change(rule_id, {"name": "heat more"}, by="test")
    await pair.new.control.tenancy.prepare(documents)

    assert [rule.name for rule in pair.new.control.book.rules()] == ["heat more"]


async def test_interlocks_go_along_and_what_the_owner_deletes_of_one_device_is_deleted(pair: Pair) -> None:
    old, new = pair.old.control.interlocking, pair.new.control.interlocking
    elsewhere = ActuatorKey("ESP_00000F", 5)
    within = Interlock(id="within", kind=InterlockKind.EXCLUSIVE, a=HEATER, b=FAN)
    across = Interlock(id="across", kind=InterlockKind.EXCLUSIVE, a=HEATER, b=elsewhere)
    for lock in (within, across):
        await old.put_interlock(lock, by="ada")
    await new.put_interlock(Interlock(id="same", kind=InterlockKind.EXCLUSIVE, a=FAN, b=LAMP), by="bo")
    await new.put_interlock(
        Interlock(id="bo's", kind=InterlockKind.EXCLUSIVE, a=elsewhere, b=HEATER), by="bo"
    )
    await old.put_interlock(Interlock(id="as bo", kind=InterlockKind.EXCLUSIVE, a=LAMP, b=FAN), by="ada")
    await pair.new.control.tenancy.prepare(await pair.documents())
    assert {one.id for one in new.interlocks()} == {"within", "bo's", "as bo"}

    await old.remove_interlock("within", by="ada")
    await old.remove_interlock("across", by="ada")
    await pair.new.control.tenancy.prepare(await pair.documents())

    assert {one.id for one in new.interlocks()} == {"bo's", "as bo"}
