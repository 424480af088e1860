"""Several Pis: how long a device takes to change its owner, how long nobody has those of a dead Kaiser, and what it
costs to have the readings at God too.

`python -m bench.tree [DEVICES]`. God and one Kaiser in this process, a Mosquitto each, simulated ESP32s on God's, each
with a lamp that burns by a person's word. Beside each figure its baseline from the same run: a round trip from the
Kaiser to God, the lease, and the same load on the Kaiser with its uplink cut.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import trio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from rig.daemon import Publisher
from rig.grove import LEASE_S, Esp, Grove, Place, grow, until
from rig.wires import Cut

from growy.control.people import Wish
from growy.model.hierarchy import GOD, ChainStatus, Node

RATE = 1000.0
LOAD_S = 10.0


def say(what: str, figure: str) -> None:
    print(f"{what:<64} {figure}", flush=True)


async def round_trip(grove: Grove, k1: Place) -> float:
    """From a report to God's answer, ms: the least that a step of a transfer can take."""
    core, times = k1.kaiser.core, []
    for _ in range(20):
        told = k1.up.tree.node.statistics().told
        heard = k1.up.tree.node.statistics().heard
        await until(lambda told=told: k1.up.tree.node.statistics().told > told, 10, "a report")
        began = time.perf_counter()
        while k1.up.tree.node.statistics().heard == heard:
            await trio.lowlevel.checkpoint()
        times.append(1000 * (time.perf_counter() - began))
    assert core.god_instance
    return float(np.median(times))


async def light(esp: Esp, owner: Place) -> None:
    """Its lamp burns for an hour."""
    await esp.set_up(owner)
    lit = await owner.up.control.command(esp.lamp, Wish.ON, duration_s=3600, by="user:bench")
    assert lit.acknowledged, lit


async def move(grove: Grove, esps: list[Esp], to_owner: str) -> float:
    """All at once; until the last has gone, seconds."""
    node, began = grove.god.god, time.perf_counter()
    ids = []
    for esp in esps:
        chain = await node.transfer(esp.esp_id, node.owner(esp.esp_id), to_owner, reason="bench", by="bench")
        ids.append(chain.command_id)
    for command_id in ids:
        ended = await node.wait(command_id, 120)
        assert ended.status is ChainStatus.DONE, ended
    return time.perf_counter() - began


async def loaded(k1: Place, esp_id: str) -> tuple[int, list[float]]:
    """Readings at the Kaiser's broker for a while; how many, and its commits' latencies, ms."""
    publisher = Publisher(k1.broker.port, RATE, esp_id)
    latencies: list[float] = []
    commit = k1.up.store.commit

    async def timed(*args: object, **more: object) -> object:
        began = time.perf_counter()
        result = await commit(*args, **more)  # type: ignore[arg-type]
        latencies.append(1000 * (time.perf_counter() - began))
        return result

    k1.up.store.commit = timed  # type: ignore[method-assign, assignment]
    publisher.start()
    await trio.sleep(LOAD_S)
    promised = await trio.to_thread.run_sync(publisher.finish)
    k1.up.store.commit = commit  # type: ignore[method-assign]
    return len(promised), latencies


def of(latencies: list[float]) -> str:
    return f"p50 {np.percentile(latencies, 50):.1f} ms, p99 {np.percentile(latencies, 99):.1f} ms"


async def main(devices: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with grow(Path(folder)) as grove:
            k1 = await grove.add_kaiser("k1")
            await grove.god.god.add(Node(kaiser_id="k1", max_esps=devices + 10))
            esps = await grove.god.devices(*range(devices))
            known = grove.god.up.fleet
            await until(
                lambda: all(known.get(esp.esp_id) for esp in esps) and known.statistics().online >= devices,
                120,
                "all devices are known",
            )
            async with trio.open_nursery() as nursery:
                for esp in esps:
                    nursery.start_soon(light, esp, grove.god)
            ms, lit_at = await round_trip(grove, k1), trio.current_time()
            say("Report to orders, round trip over God's broker (baseline)", f"{ms:.1f} ms")
            alone = [await move(grove, esps[:1], owner) for owner in ("k1", GOD) * 3]
            median = float(np.median(alone))
            say(
                "Transfer of one device",
                f"median {median:.2f} s, worst {max(alone):.2f} s = {1000 * median / ms:.0f} round trips",
            )
            for owner in ("k1", GOD):
                all_s = await move(grove, esps, owner)
                say(
                    f"Transfer of {devices} devices to {owner}",
                    f"{all_s:.1f} s = {all_s / devices / median:.2f} of one after the other",
                )
            switched = sum(len(esp.moved_since(lit_at)) for esp in esps)
            burning = sum(esp.shines for esp in esps)
            say(
                f"Switched by these {len(alone) + 2 * devices} transfers", f"{switched}; {burning} lamps burn"
            )
            await move(grove, esps[:3], "k1")
            assert k1.wire is not None
            await failover(grove, k1, esps)
            await syncing(grove, k1)


async def failover(grove: Grove, k1: Place, esps: list[Esp]) -> None:
    assert k1.wire is not None
    k1.wire.cut(Cut.SILENT)
    began = trio.current_time()
    for esp in esps[:3]:
        await grove.owned(esp.esp_id, GOD, LEASE_S + 10)
    took_s = trio.current_time() - began
    say(
        "A Kaiser dies: God has its devices",
        f"{took_s:.2f} s after; the lease (baseline) is {LEASE_S:g} s: {took_s / LEASE_S:.2f}",
    )
    k1.wire.mend()
    await grove.online("k1")


async def syncing(grove: Grove, k1: Place) -> None:
    assert k1.wire is not None
    assert k1.up.tree.sender is not None
    sender = k1.up.tree.sender
    await until(lambda: sender.statistics().behind == 0, 60, "nothing is left to send")
    k1.wire.cut(Cut.SILENT)
    cut, without = await loaded(k1, "ESP_0000B1")
    say(f"Commit at the Kaiser, {cut / LOAD_S:.0f} readings/s, uplink cut (baseline)", of(without))
    k1.wire.mend()
    before, began = sender.statistics(), time.perf_counter()
    await until(lambda: sender.statistics().readings - before.readings >= cut, 120, "God has them")
    took_s = time.perf_counter() - began
    say(f"{cut} readings catch up, from mending the wire", f"{took_s:.1f} s, {cut / took_s:.0f} readings/s")
    upwards, told = k1.wire.upwards, sender.statistics()
    count, beside = await loaded(k1, "ESP_0000B2")
    await until(lambda: sender.statistics().readings - told.readings >= count, 60, "God has them")
    say(f"Commit at the Kaiser, {count / LOAD_S:.0f} readings/s, while it sends", of(beside))
    ratio = np.percentile(beside, 50) / np.percentile(without, 50)
    say("Commit while it sends / with the uplink cut, p50", f"{ratio:.2f}")
    raw = (k1.wire.upwards - upwards) / count
    shipped = (sender.statistics().bytes - told.bytes) / count
    say(
        "On the uplink per reading, reports and all",
        f"{raw:.1f} bytes, {shipped:.1f} of them readings; the device's own message has about 190",
    )


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 100)
