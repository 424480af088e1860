"""An emergency stop from the request to the wire, with a real store: what is on the disk when, and what is not lost."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from growy.config import StoreConfig
from growy.control.emergencies import PATIENCE_S, Emergencies
from growy.control.emergency import Emergency
from growy.model.control import DeviceView
from growy.model.errors import ActuatorNotFound, EspNotFound
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.model.time import Moment
from growy.store.schema import REGISTRY_FILE, open_reading
from growy.store.store import Store, open_store

ESP = "ESP_00AA01"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(StoreConfig(), tmp_path / "growy") as one:
        yield one


class Scene:
    """One device, and what is published, told and noted."""

    def __init__(self, store: Store) -> None:
        heater = ActuatorSetup(id="1", gpio=18, kind=ActuatorKind.RELAY, name="Heater")
        self.view = DeviceView(
            esp_id=ESP,
            kaiser_id="god",
            approved=True,
            online=True,
            ready=True,
            boots=1,
            actuators=(heater,),
            applied=frozenset({18}),
        )
        self.published: list[str] = []
        self.rows_when_published: list[int] = []
        self.file = store._directory / REGISTRY_FILE
        self.changes = 0
        self.events: list[str] = []
        self.store = store
        self.emergencies = Emergencies(
            Emergency([], [], prefix="e", broadcast_token=""),
            store,
            send=self._send,
            view=lambda esp_id: self.view if esp_id == ESP else None,
            moment=lambda: Moment(trio.current_time(), 1_767_225_600_000),
            changed=self._changed,
            tell=lambda event, data, correlation_id: self.events.append(event),
            note=lambda entry: None,
        )
        self.emergencies.device_seen(self.view)

    def _send(self, topic: str, payload: bytes, timeout_s: float) -> bool:
        self.published.append(topic)
        # Another connection sees what has been committed, and nothing else.
        with contextlib.closing(open_reading(self.file)) as db:
            self.rows_when_published.append(db.execute("SELECT count(*) FROM stops").get)
        return True

    def _changed(self) -> None:
        self.changes += 1


async def test_a_stop_is_on_the_disk_before_it_is_published(store: Store) -> None:
    scene = Scene(store)
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.emergencies.run)
        ordered = await scene.emergencies.stop(esp_id=None, gpio=None, reason="fire", by="ann")
        assert ordered.durable
        assert scene.rows_when_published == [1, 1, 1]
        assert scene.published[0] == "kaiser/broadcast/emergency"
        assert scene.published[1] == f"kaiser/god/esp/{ESP}/actuator/emergency"
        assert scene.published[2] == f"kaiser/god/esp/{ESP}/actuator/18/command"
        assert scene.changes == 1
        nursery.cancel_scope.cancel()


async def test_a_disk_that_hangs_does_not_hold_up_a_stop(store: Store) -> None:
    scene = Scene(store)
    hang = threading.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.emergencies.run)
        nursery.start_soon(store._registry_writer.run, hang.wait, store._opened.registry)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        ordered = await scene.emergencies.stop(esp_id=ESP, gpio=None, reason="", by="ann")
        assert trio.current_time() - began < PATIENCE_S + 1.0
        assert not ordered.durable
        assert scene.published, "it is out all the same"
        assert scene.emergencies.statistics().not_durable == 1
        hang.set()
        with trio.fail_after(10):
            while scene.emergencies.statistics().not_durable:
                await trio.sleep(0.01)
        assert [row.stop.esp_id for row in await store.stops(open_only=True)] == [ESP]
        nursery.cancel_scope.cancel()


async def test_a_client_that_hangs_up_does_not_take_its_stop_along(store: Store) -> None:
    scene = Scene(store)
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.emergencies.run)
        with trio.CancelScope() as client:
            client.cancel()
            await scene.emergencies.stop(esp_id=None, gpio=None, reason="", by="ann")
        assert scene.published
        assert scene.emergencies.core.stops
        nursery.cancel_scope.cancel()


async def test_an_end_does_not_end_what_was_ordered_while_the_disk_was_busy(store: Store) -> None:
    scene = Scene(store)
    hang = threading.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.emergencies.run)
        first = await scene.emergencies.stop(esp_id=None, gpio=None, reason="first", by="ann")
        nursery.start_soon(store._registry_writer.run, hang.wait, store._opened.registry)
        await trio.testing.wait_all_tasks_blocked()
        ended: list[object] = []

        async def clear() -> None:
            ended.append(
                await scene.emergencies.clear(esp_id=None, gpio=None, reason="", by="ann", wait_s=0.0)
            )

        nursery.start_soon(clear)
        await trio.testing.wait_all_tasks_blocked()
        second = await scene.emergencies.stop(esp_id=None, gpio=None, reason="second", by="bob")
        hang.set()
        with trio.fail_after(10):
            while not ended:
                await trio.sleep(0.01)
        in_force = [stop.id for stop in scene.emergencies.core.stops]
        assert in_force == [second.report.stop.id]
        assert first.report.stop.id not in in_force
        nursery.cancel_scope.cancel()


async def test_what_does_not_exist_is_not_stopped(store: Store) -> None:
    scene = Scene(store)
    with pytest.raises(EspNotFound):
        await scene.emergencies.stop(esp_id="ESP_FFFFFF", gpio=None, reason="", by="ann")
    with pytest.raises(ActuatorNotFound):
        await scene.emergencies.stop(esp_id=ESP, gpio=4, reason="", by="ann")
    assert scene.published == []
