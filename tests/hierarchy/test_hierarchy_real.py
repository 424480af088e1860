"""A God and Kaisers for real: daemons, a Mosquitto each, wires that are cut, ESP32s whose outputs are watched."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from rig.daemon import Publisher
from rig.grove import FENCE_S, LEASE_S, REPORT_S, Esp, Grove, Meter, Place, grow, until
from rig.wires import Cut

from growy.control.people import Wish
from growy.model.control import Tenure
from growy.model.hierarchy import GOD, ChainStatus, Node, NodeState
from growy.store.audit import AuditFilter

FAILOVER_S = LEASE_S + 5
pytestmark = pytest.mark.slow


@pytest.fixture
async def grove(tmp_path: Path) -> AsyncIterator[Grove]:
    async with grow(tmp_path) as made:
        yield made


async def heated(grove: Grove, esp: Esp, owner: Place) -> Meter:
    """Its heater is on by a rule that has latched, its lamp by a person's word."""
    await esp.set_up(owner)
    meter = await grove.meter(esp)
    await esp.rule(owner)
    meter.says(10)
    await until(lambda: esp.heats, 20, "the rule heats")
    meter.says(30)
    lit = await owner.up.control.command(esp.lamp, Wish.ON, duration_s=600, by="user:ann")
    assert lit.acknowledged
    return meter


async def said(place: Place, event_type: str) -> list[str]:
    """Messages of that kind in a node's audit trail."""
    await place.up.audit.flush()
    page = await place.up.store.audit(AuditFilter(event_types=(event_type,)))
    return [row.entry.message for row in page.rows]


async def test_a_kaiser_is_added_and_its_devices_are_found_leased_and_commanded(grove: Grove) -> None:
    k1 = await grove.add_kaiser("k1")
    (esp,) = await k1.devices(1)
    await grove.owned(esp.esp_id, "k1")
    assert grove.god.tenure(esp.esp_id) is Tenure.FOREIGN
    await esp.set_up(k1)
    result = await k1.up.control.command(esp.heater, Wish.ON, duration_s=60, by="user:ann")
    assert result.acknowledged
    assert esp.heats
    assert grove.owners(esp.esp_id) == ["k1"]


async def test_a_device_moves_between_god_and_kaisers_while_it_heats_and_nothing_is_switched(
    grove: Grove,
) -> None:
    k1, _ = await grove.add_kaiser("k1"), await grove.add_kaiser("k2")
    (esp,) = await grove.god.devices(1)
    meter = await heated(grove, esp, grove.god)
    publisher = Publisher(grove.god.broker.port, 100, esp.esp_id)
    publisher.start()
    began = trio.current_time()
    async with grove.watched(esp.esp_id) as doubles:
        for owner in ("k1", "k2", GOD, "k2", "k1"):
            chain, took_s = await grove.transfer(esp.esp_id, owner)
            assert chain.status is ChainStatus.DONE, chain
            assert took_s <= 5
            print(f"transfer to {owner}: {took_s:.2f} s")
            await grove.owned(esp.esp_id, owner)
            place = grove.place(owner)
            heater, lamp = place.up.control.state(esp.heater), place.up.control.state(esp.lamp)
            assert heater.claim is not None
            assert heater.claim.holder.startswith("rule:")
            assert lamp.claim is not None
            assert lamp.claim.issued_by == "user:ann"
    assert doubles == []
    assert esp.moved_since(began) == []

    off = await k1.up.control.command(esp.lamp, Wish.OFF, by="user:ann")
    assert off.acknowledged, off
    assert not esp.shines
    meter.says(50)
    await until(lambda: not esp.heats, 5, "the Kaiser's rule hears the device and switches it off")
    meter.says(10)
    await until(lambda: esp.heats, 5, "and on")
    await grove.exactly_once(esp.esp_id, await trio.to_thread.run_sync(publisher.finish))


@pytest.mark.parametrize("stand_in", [GOD, "k2"])
async def test_a_kaiser_that_is_cut_off_regulates_fences_loses_its_devices_and_returns_as_a_guest(
    grove: Grove, stand_in: str
) -> None:
    k1 = await grove.add_kaiser("k1")
    if stand_in != GOD:
        await grove.add_kaiser(stand_in)
    await grove.god.god.add(Node(kaiser_id="k1", stand_in=stand_in))
    (esp,) = await k1.devices(1)
    meter = await heated(grove, esp, k1)
    publisher = Publisher(k1.broker.port, 100, esp.esp_id)
    publisher.start()
    assert k1.up.tree.sender is not None
    await k1.up.tree.sender.papers_told()
    assert k1.wire is not None
    async with grove.watched(esp.esp_id) as doubles:
        k1.wire.cut(Cut.SILENT)
        cut_at = trio.current_time()
        meter.says(50)
        await until(lambda: not esp.heats, 2, "it regulates, cut off")
        meter.says(10)
        await until(lambda: esp.heats, 2, "it regulates, cut off")
        await until(
            lambda: not esp.heats and not esp.shines, LEASE_S, "all goes off before the lease is over"
        )
        alone_s = trio.current_time() - cut_at
        assert LEASE_S - FENCE_S - 2 * REPORT_S <= alone_s <= LEASE_S
        assert k1.tenure(esp.esp_id) is Tenure.FENCED
        await grove.owned(esp.esp_id, stand_in, FAILOVER_S)
        failover_s = trio.current_time() - cut_at
        print(f"regulated {alone_s:.2f} s alone; failover to {stand_in} after {failover_s:.2f} s")
        assert failover_s <= FAILOVER_S
        assert grove.state_of("k1") is NodeState.OFFLINE

        k1.wire.mend()
        await grove.online("k1")
        await until(lambda: k1.tenure(esp.esp_id) is Tenure.FOREIGN, 10, "it is a guest")
        assert await grove.settled(esp.esp_id) == stand_in
        await until(lambda: esp.heats, 10, "the new owner's rule reaches it through its home")
        chain, _ = await grove.transfer(esp.esp_id, "k1")
        assert chain.status is ChainStatus.DONE
        assert await grove.settled(esp.esp_id) == "k1"
    assert doubles == []
    await grove.exactly_once(esp.esp_id, await trio.to_thread.run_sync(publisher.finish))


async def test_any_node_may_die_at_any_moment_of_a_transfer_and_there_is_one_owner(
    grove: Grove, long_form: bool
) -> None:
    luck = random.Random(1)
    k1 = await grove.add_kaiser("k1")
    (esp,) = await grove.god.devices(1)
    await esp.set_up(grove.god)
    ends: dict[str, int] = {}
    async with grove.watched(esp.esp_id) as doubles:
        for victims in ([grove.god], [k1], [grove.god, k1]) * (6 if long_form else 1):
            node = grove.god.god
            to_owner = "k1" if node.owner(esp.esp_id) == GOD else GOD
            chain = await node.transfer(esp.esp_id, node.owner(esp.esp_id), to_owner, reason="", by="tester")
            await trio.sleep(luck.uniform(0, 1.5))
            for victim in victims:
                await victim.kill()
            for victim in luck.sample(victims, len(victims)):
                await victim.start()
            owner = await grove.settled(esp.esp_id, 60)
            ended = await grove.god.god.chain(chain.command_id)
            assert ended.status.ended
            key = f"{'+'.join(one.name for one in victims)}: {ended.status}, {owner} has it"
            ends[key] = ends.get(key, 0) + 1
    print(ends)
    assert doubles == []


async def test_a_second_node_with_the_same_id_is_refused_and_both_sides_say_so(grove: Grove) -> None:
    k1 = await grove.add_kaiser("k1")
    (esp,) = await k1.devices(1)
    await grove.owned(esp.esp_id, "k1")
    impostor = grove.plant("impostor", kaiser_id="k1")
    impostor.broker.start()
    await impostor.start()
    await until(lambda: impostor.kaiser.core.refused, 10, "it hears that it is refused")
    assert impostor.kaiser.core.refused == "duplicate_kaiser"
    assert any("refuses this node" in one for one in await said(impostor, "kaiser_refused"))
    assert any("was refused: duplicate_kaiser" in one for one in await said(grove.god, "kaiser_refused"))
    assert await grove.settled(esp.esp_id) == "k1"
    assert k1.kaiser.core.refused is None
    # Nor are its readings taken for those of the other.
    sender = impostor.up.tree.sender
    assert sender is not None
    await until(lambda: sender.statistics().refusal, 10, "its readings are refused")
    assert sender.statistics().refusal == "duplicate_kaiser"


async def test_a_kaiser_follows_no_other_god(grove: Grove, tmp_path: Path) -> None:
    k1 = await grove.add_kaiser("k1")
    (esp,) = await k1.devices(1)
    await grove.owned(esp.esp_id, "k1")
    assert k1.wire is not None
    async with grow(tmp_path / "elsewhere") as other:
        await other.god.god.add(Node(kaiser_id="k1"))
        k1.wire.target = other.god.broker.port
        k1.wire.cut(Cut.RESET)
        k1.wire.mend()
        await until(lambda: other.god.god.kaiser("k1").refusal, 20, "the other God refuses it")
        assert other.god.god.kaiser("k1").refusal.refusal == "foreign_god"
        assert other.god.god.kaiser("k1").esps == ()
        assert any("k1 was refused: foreign_god" in one for one in await said(other.god, "kaiser_refused"))
        assert any("does not follow" in one for one in await said(k1, "ownership_conflict"))
        await until(lambda: k1.tenure(esp.esp_id) is Tenure.FENCED, 10, "its lease is over")
        k1.wire.target = grove.god.broker.port
        k1.wire.cut(Cut.RESET)
        k1.wire.mend()
        await grove.online("k1")


async def proven(grove: Grove, node: str | None) -> dict[str, list[str]]:
    """God stops a node or all; by node, the devices that have proven it."""
    incident = await grove.god.god.stop(node, reason="smoke", by="user:ann")
    began = trio.current_time()
    while not all(one.proven for one in await grove.god.god.stopped(incident)):
        assert trio.current_time() < began + 10
        await trio.sleep(0.05)
    print(f"stop of {node or 'everything'} proven after {trio.current_time() - began:.2f} s")
    found: dict[str, list[str]] = {}
    for one in await grove.god.god.stopped(incident):
        devices = one.proof["devices"]
        assert isinstance(devices, dict)
        found[one.node] = [esp_id for esp_id, proof in devices.items() if proof["proven"]]
    return found


async def test_god_stops_one_kaiser_and_everything_and_the_proof_comes_up_the_tree(grove: Grove) -> None:
    k1 = await grove.add_kaiser("k1")
    (far,) = await k1.devices(1)
    (near,) = await grove.god.devices(2)
    await heated(grove, far, k1)
    await heated(grove, near, grove.god)
    assert await proven(grove, "k1") == {"k1": [far.esp_id]}
    assert not far.heats
    assert not far.shines
    assert near.heats
    await k1.up.control.clear(reason="aired", by="user:ann")
    await until(lambda: far.heats, 20, "its rule heats again")

    assert await proven(grove, None) == {GOD: [near.esp_id], "k1": [far.esp_id]}
    for esp in (near, far):
        assert not esp.heats
        assert not esp.shines


async def test_a_kaiser_asks_another_for_a_device_that_heats_on(grove: Grove) -> None:
    k1, k2 = await grove.add_kaiser("k1"), await grove.add_kaiser("k2")
    await grove.god.god.add(Node(kaiser_id="k2", gives_to=("k1",)))
    (esp,) = await k2.devices(1)
    await grove.owned(esp.esp_id, "k2")
    await heated(grove, esp, k2)
    far = await k1.kaiser.ask("k2", "sync_data", {}, 20, by="user:ann")
    assert far.data["esps"] == [esp.esp_id]
    began = trio.current_time()
    asked = await k1.kaiser.ask("k2", "transfer_esp", {"esp_id": esp.esp_id}, 20, by="user:ann")
    assert asked.success
    await grove.owned(esp.esp_id, "k1")
    assert esp.moved_since(began) == []
    (wanted, _) = await said(k2, "kaiser_asked")
    assert wanted == "k1 asked k2 for transfer_esp (by user:ann): God has been asked"


async def test_a_kaiser_that_is_unregistered_gives_its_devices_back(grove: Grove) -> None:
    k1 = await grove.add_kaiser("k1")
    esps = await k1.devices(1, 2)
    for esp in esps:
        await grove.owned(esp.esp_id, "k1")
    await heated(grove, esps[0], k1)
    began = trio.current_time()
    await grove.god.god.unregister("k1", by="user:ann")
    for esp in esps:
        await grove.owned(esp.esp_id, GOD)
        # Of one that was never set up God may know nothing before its next word.
        await until(lambda esp=esp: grove.owners(esp.esp_id) == [GOD], 5, "God alone commands it")
    await until(lambda: not grove.god.god.core.nodes, 10, "k1 is gone")
    assert esps[0].moved_since(began) == []
