"""Partitions, kills and transfers at random, for real: nobody ever has a device that another has, no reading is lost.

Kills here end a daemon's tasks without a word; `test_hierarchy_kill.py` kills processes.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
import trio
from rig.daemon import Publisher
from rig.grove import Esp, Grove, Place, grow, overlaps
from rig.wires import Cut

from growy.model.hierarchy import GOD
from growy.model.tree_errors import NodeNotFound, TransferRefused

pytestmark = pytest.mark.slow
LONG, SHORT = 50, 5
"""Partitions and kills."""


async def strike(grove: Grove, luck: random.Random, counted: Counter[str]) -> None:
    """Something happens to somebody, and is over after a while."""
    kind = luck.choice(["silent", "reset", "slow", "kill", "kill", "god"])
    victim = grove.god if kind == "god" else luck.choice(list(grove.kaisers.values()))
    counted[kind] += 1
    for_s = luck.uniform(0.2, 8.0)
    wire = victim.wire
    if kind in ("kill", "god"):
        await victim.kill()
        await trio.sleep(for_s / 4)
        await victim.start()
        return
    assert wire is not None
    if kind == "slow":
        wire.delay_s = luck.uniform(0.1, 1.5)
    else:
        wire.cut(Cut.SILENT if kind == "silent" else Cut.RESET)
    await trio.sleep(for_s)
    wire.delay_s = 0.0
    wire.mend()


async def move_about(grove: Grove, esps: list[Esp], luck: random.Random, counted: Counter[str]) -> None:
    """Somebody transfers devices all the time."""
    while True:
        await trio.sleep(luck.uniform(0.2, 2.0))
        if grove.god.daemon is None:
            continue
        node, esp_id = grove.god.god, luck.choice(esps).esp_id
        to_owner = luck.choice([GOD, *grove.kaisers])
        try:
            await node.transfer(esp_id, node.owner(esp_id), to_owner, reason="", by="tester")
            counted["transfer"] += 1
        except (TransferRefused, NodeNotFound):
            counted["refused"] += 1


async def test_no_device_ever_has_two_owners_and_no_reading_is_lost(tmp_path: Path, long_form: bool) -> None:
    luck, counted = random.Random(7), Counter[str]()
    async with grow(tmp_path) as grove:
        k1, k2 = await grove.add_kaiser("k1"), await grove.add_kaiser("k2")
        homes: list[Place] = [grove.god, k1, k1, k2]
        esps = [(await home.devices(number + 1))[0] for number, home in enumerate(homes)]
        for esp, home in zip(esps, homes, strict=True):
            await esp.set_up(home)
        publishers = [Publisher(esp.home.broker.port, 50, esp.esp_id) for esp in esps]
        for publisher in publishers:
            publisher.start()
        ids = [esp.esp_id for esp in esps]
        async with grove.recorded(*ids) as history:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(move_about, grove, esps, luck, counted)
                for _ in range(LONG if long_form else SHORT):
                    await strike(grove, luck, counted)
                    await trio.sleep(luck.uniform(0.0, 2.0))
                nursery.cancel_scope.cancel()
            owners = {esp_id: await grove.settled(esp_id, 90) for esp_id in ids}
            await trio.sleep(0.05)
        changes = Counter(one.node for one in history)
        print(f"{dict(counted)}; rights held: {dict(changes)}; in the end {owners}")
        assert overlaps(history) == []
        for esp_id in ids:
            epochs = [one.epoch for one in history if one.esp_id == esp_id]
            assert epochs == sorted(epochs)
        total = 0
        for publisher in publishers:
            promised = await trio.to_thread.run_sync(publisher.finish)
            await grove.exactly_once(publisher.esp_id, promised, 60)
            total += len(promised)
        print(f"{total} readings, each once at God")
