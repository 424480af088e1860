"""A God and Kaisers for real: daemons, a Mosquitto each, wires that are cut, ESP32s whose outputs are watched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from rig.tree import Grove, grow, until

from growy.control.people import Wish
from growy.model.control import Tenure
from growy.model.hierarchy import GOD, ChainStatus


@pytest.fixture
async def grove(tmp_path: Path) -> AsyncIterator[Grove]:
    async with grow(tmp_path) as made:
        yield made


async def test_a_kaiser_is_added_and_its_devices_are_found_leased_and_commanded(grove: Grove) -> None:
    k1 = await grove.add_kaiser("k1")
    (esp,) = await k1.devices(1)
    await grove.owned(esp.esp_id, "k1")
    assert grove.owners(esp.esp_id) == ["k1"]
    assert grove.god.tenure(esp.esp_id) is Tenure.FOREIGN
    await esp.set_up(k1)
    result = await k1.up.control.command(esp.heater, Wish.ON, duration_s=60, by="user:ann")
    assert result.acknowledged
    assert esp.heats


async def test_a_device_on_god_moves_to_a_kaiser_and_back_and_nothing_is_switched(grove: Grove) -> None:
    k1 = await grove.add_kaiser("k1")
    (esp,) = await grove.god.devices(1)
    await esp.set_up(grove.god)
    result = await grove.god.up.control.command(esp.heater, Wish.ON, duration_s=300, by="user:ann")
    assert result.acknowledged
    began = trio.current_time()
    for owner in ("k1", GOD):
        chain, took_s = await grove.transfer(esp.esp_id, owner)
        assert chain.status is ChainStatus.DONE, chain
        print(f"to {owner}: {took_s:.2f} s")
        await grove.owned(esp.esp_id, owner)
        assert grove.owners(esp.esp_id) == [owner]
        place = grove.place(owner)
        state = place.up.control.state(esp.heater)
        assert state.claim is not None
        assert state.claim.issued_by == "user:ann"
    assert esp.moved_since(began) == []
    assert esp.heats
    _, took_s = await grove.transfer(esp.esp_id, "k1")
    off = await k1.up.control.command(esp.heater, Wish.OFF, by="user:ann")
    assert off.acknowledged
    await until(lambda: not esp.heats, 1, "the heater is off")
