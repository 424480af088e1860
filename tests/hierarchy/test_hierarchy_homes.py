"""Where a device hangs, and under which kaiser id it speaks: it may be carried about, name a Kaiser that is gone, be of
another fleet. Who owns it hears it all the same, and who does not takes nothing of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import trio
from rig.esp import Air
from rig.tree import (
    ESP,
    GOD_ID,
    TERMS,
    Pi,
    Tree,
    estate_of,
    moment,
    nobody_else,
    open_tree,
    until,
    wall_ms,
)

from growy.broker.frames import Inbound
from growy.broker.link import Delivery
from growy.broker.outbox import Lane
from growy.hierarchy.god_opening import open_god
from growy.hierarchy.sorting import Sorter
from growy.hierarchy.writing import RESTORED
from growy.model.control import Interlock, InterlockKind, Tenure
from growy.model.hierarchy import GOD, Node

STRANGER, OLD = "ESP_00000F", "ESP_00000E"


@pytest.fixture
async def tree(tmp_path: Path) -> AsyncIterator[Tree]:
    async with open_tree(tmp_path) as tree:
        yield tree


@attrs.define
class Broker:
    """A node's own, as far as devices say something on it."""

    pi: Pi
    prefixes: list[str] = attrs.field(factory=list)
    sorter: Sorter = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.sorter = Sorter(
            self.pi.node,
            GOD,
            lambda topic, payload: False,
            lambda esp_id, prefix: self.prefixes.append(prefix),
        )

    def says(self, tail: str, *, prefix: str = GOD, esp_id: str = ESP, retain: bool = False) -> bool:
        """Whether the node takes it as of a device of its own."""
        topic = f"kaiser/{prefix}/esp/{esp_id}/{tail}".encode()
        (kept,) = self.sorter.sort(
            Delivery(0, [Inbound(topic, b"{}", 1, False, retain)], wall_ms(), 0.0)
        ).messages
        return kept.topic == topic

    def beats(self, prefix: str = GOD, esp_id: str = ESP) -> bool:
        return self.says("system/heartbeat", prefix=prefix, esp_id=esp_id)


async def test_a_device_that_is_carried_to_another_broker_and_back_hangs_where_it_speaks(tree: Tree) -> None:
    kaiser = await tree.new_kaiser("kaiser_1")
    at_god, at_kaiser = Broker(tree.god), Broker(kaiser)
    for broker, home in ((at_god, GOD), (at_kaiser, "kaiser_1"), (at_god, GOD), (at_kaiser, "kaiser_1")):

        def there(broker: Broker = broker, home: str = home) -> bool:
            broker.beats()
            return tree.gods.home(ESP) == home

        await until(there)


async def test_god_hears_its_own_device_after_the_kaiser_that_it_names_is_unregistered(tree: Tree) -> None:
    kaiser = await tree.new_kaiser("kaiser_1")
    broker = Broker(tree.god)
    broker.beats("kaiser_1")
    await until(lambda: kaiser.node.tenure(ESP) is Tenure.OURS)

    await tree.gods.unregister("kaiser_1", by="ada")
    await tree.gods.gone("kaiser_1", 10)

    await until(lambda: tree.gods.tenure(ESP) is Tenure.OURS)
    assert broker.beats("kaiser_1")


async def test_an_owner_s_commands_pass_while_its_device_names_a_kaiser_that_is_unregistered(
    tree: Tree,
) -> None:
    one, two = await tree.new_kaiser("kaiser_1"), await tree.new_kaiser("kaiser_2")
    broker = Broker(tree.god)
    broker.beats("kaiser_1")
    await until(lambda: one.node.tenure(ESP) is Tenure.OURS)
    await tree.moved(ESP, "kaiser_2")
    await tree.gods.unregister("kaiser_1", by="ada")
    await tree.gods.gone("kaiser_1", 10)

    relayed = tree.gods.statistics().relayed
    assert not broker.beats("kaiser_1")
    assert tree.gods.statistics().relayed == relayed + 1

    def off() -> bool:
        broker.beats("kaiser_1")
        two.node.command(ESP, "actuator/18/command", b'{"command":"OFF"}', off=True)
        return tree.gods.statistics().carried > 0

    await until(off)


async def test_nothing_of_another_fleet_s_device_is_taken_whatever_it_says(tree: Tree) -> None:
    broker = Broker(tree.god)
    assert not broker.beats("k9", STRANGER)
    for tail in ("session/announce", "onewire/scan_result"):  # always under `god`
        assert not broker.says(tail, esp_id=STRANGER)
    await tree.gods.settled()
    assert tree.gods.core.record(STRANGER) is None
    assert broker.prefixes == []


async def test_a_retained_word_of_long_ago_does_not_say_how_a_device_speaks_now(tree: Tree) -> None:
    await tree.gods.add(Node(kaiser_id="kaiser_1"))
    broker = Broker(tree.god)
    broker.beats()
    broker.says("system/will", prefix="kaiser_1", retain=True)
    assert set(broker.prefixes) == {GOD}


async def test_an_owner_that_is_fenced_loses_nothing_to_its_own_older_papers(tree: Tree) -> None:
    kaiser = await tree.new_kaiser("kaiser_1", failover=False)
    await kaiser.new_esp()
    a, b = await kaiser.actuator(18), await kaiser.actuator(19)
    await until(lambda: kaiser.node.tenure(ESP) is Tenure.OURS)
    papers = await kaiser.estate.papers(ESP)
    assert papers is not None
    await tree.gods.took_papers("kaiser_1", ESP, *papers)
    tree.post.away.add("kaiser_1")
    lock = Interlock(id="lock-1", kind=InterlockKind.EXCLUSIVE, a=a, b=b)
    await kaiser.control.interlocking.put_interlock(lock, by="user:ada")
    await until(lambda: kaiser.node.tenure(ESP) is Tenure.FENCED, 20)

    await trio.sleep(0.5)
    tree.post.away.clear()
    await until(lambda: kaiser.node.tenure(ESP) is Tenure.OURS, 20)
    await kaiser.node.settled()

    assert [one.id for one in kaiser.control.interlocking.interlocks()] == ["lock-1"]


async def test_one_name_on_two_brokers_is_told_to_a_person_once(tree: Tree) -> None:
    kaiser = await tree.new_kaiser("kaiser_1")
    brokers = [Broker(tree.god), Broker(kaiser)]

    async def conflicts() -> list[str]:
        return [entry.message for entry in await tree.god.audited("ownership_conflict")]

    with trio.fail_after(20):
        while not await conflicts():
            for broker in brokers:
                broker.beats()
                await trio.sleep(0.05)
    for broker in brokers * 5:
        broker.beats()
        await trio.sleep(0.05)
    (said,) = await conflicts()
    assert said.startswith(f"{ESP} is heard by turns on the brokers of ")


async def test_what_a_device_said_elsewhere_while_its_home_was_cut_off_is_soon_forgotten(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("growy.hierarchy.kaiser.FOUND_S", 0.5)
    kaiser = await tree.new_kaiser("kaiser_1")
    Broker(tree.god).beats()
    await tree.gods.settled()
    tree.post.away.add("kaiser_1")
    Broker(kaiser).beats()
    await trio.sleep(1)
    tree.post.away.clear()
    await trio.sleep(1.5)
    assert tree.gods.home(ESP) == GOD


async def test_an_emergency_goes_to_a_device_where_it_is_and_where_it_is_thought_to_be(tree: Tree) -> None:
    kaiser = await tree.new_kaiser("kaiser_1")
    Broker(kaiser).beats()
    await until(lambda: tree.gods.home(ESP) == "kaiser_1")
    await tree.moved(ESP, GOD)
    tree.god.air.sent.clear()
    topic, stop = f"kaiser/god/esp/{ESP}/actuator/emergency", b'{"command":"emergency_stop"}'

    assert tree.god.estate.send(topic, stop, lane=Lane.EMERGENCY)

    assert topic in [sent for sent, *_ in tree.god.air.sent]

    def there() -> bool:  # the first may find no pass; a stop is said again until it is proven
        tree.god.estate.send(topic, stop, lane=Lane.EMERGENCY)
        return topic in [sent for sent, *_ in kaiser.air.sent]

    await until(there)


async def test_a_heartbeat_is_told_once_and_not_when_it_is_old(tree: Tree) -> None:
    await tree.new_kaiser("kaiser_1")
    broker = Broker(tree.god)
    broker.beats()
    await tree.moved(ESP, "kaiser_1")
    await trio.sleep(1.5)
    relayed = tree.gods.statistics().relayed
    for _ in range(3):
        broker.beats()
        await trio.sleep(1.2)
    assert tree.gods.statistics().relayed == relayed + 3

    tree.gods.device_said(OLD, "system/heartbeat", b"{}", wall_ms() - 3 * 3600 * 1000)
    await tree.gods.settled()
    relayed = tree.gods.statistics().relayed
    await tree.moved(OLD, "kaiser_1")
    await trio.sleep(1.5)
    assert tree.gods.statistics().relayed == relayed


async def test_a_restored_god_sends_its_devices_nothing_while_they_may_be_another_s(tree: Tree) -> None:
    Broker(tree.god).beats()
    await tree.gods.settled()
    await tree.god.store.set_keyed(RESTORED, "1")
    air = Air()
    estate = estate_of(lambda: tree.god.fleet, lambda: tree.god.control, air, tree.god.hub)
    estate.node = await open_god(
        GOD_ID, TERMS, store=tree.god.store, estate=estate, mail=nobody_else, moment=moment
    )
    topic = f"kaiser/god/esp/{ESP}/actuator/18/command"

    for command in (b'{"command":"ON"}', b'{"command":"OFF"}'):
        assert not estate.send(topic, command)
    assert air.sent == []
    assert estate.node.tenure(ESP) is Tenure.FENCED
