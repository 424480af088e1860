"""An intake over a real store and a real worker pool; only the broker is left out: deliveries are made by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from growy.broker.frames import Inbound
from growy.broker.link import Delivery
from growy.config import SensorsConfig, StoreConfig
from growy.fleet.conversion import ConversionSetups, SensorsOf
from growy.intake import Intake
from growy.intake.outcomes import IntakeStatistics
from growy.intake.replay import memory_for
from growy.model.reading import Columns, Reading
from growy.sensors.pool import Pool, open_pool
from growy.store.store import Store, open_store
from growy.wire.table import Message
from growy.wire.topics import Topic

START_MS = 1_767_225_600_000


class Disk:
    """How much room the store sees on its disk."""

    def __init__(self) -> None:
        self.free = 1 << 40

    def __call__(self, path: Path) -> int:
        return self.free


@attrs.define
class Bench:
    """The intake with everything that left it."""

    intake: Intake
    store: Store
    pool: Pool
    disk: Disk
    acknowledged: list[tuple[int, int]] = attrs.Factory(list)
    """(epoch, packet id) in the order of acknowledgement."""
    live: list[Columns] = attrs.Factory(list)
    events: list[tuple[Topic, Message | None]] = attrs.Factory(list)
    requests: list[Topic] = attrs.Factory(list)
    seen: list[str] = attrs.Factory(list)
    on_readings: list[Callable[[Columns], None]] = attrs.Factory(list)
    """Who else is told of what was converted."""
    on_committed: list[Callable[[Columns], None]] = attrs.Factory(list)
    """Who else is told of what is on disk."""
    takes_requests: bool = True
    clock_ms: int = START_MS
    mid: int = 0

    def message(
        self,
        topic: str,
        payload: bytes | dict[str, Any],
        *,
        dup: bool = False,
        retain: bool = False,
        qos: int = 1,
    ) -> Inbound:
        if qos:
            self.mid += 1
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return Inbound(topic.encode(), body, self.mid if qos else 0, dup, retain)

    def reading(
        self, sensor_type: str, raw: float, *, esp: str = "ESP_00AA01", gpio: int = 4, **more: Any
    ) -> Inbound:
        flags = {name: more.pop(name) for name in ("dup", "retain", "qos") if name in more}
        payload = {"raw": raw, "sensor_type": sensor_type, "ts": self.clock_ms // 1000, "gpio": gpio, **more}
        return self.message(f"kaiser/god/esp/{esp}/sensor/{gpio}/data", payload, **flags)

    async def deliver(self, *messages: Inbound, epoch: int = 1) -> None:
        await self.intake.deliver(Delivery(epoch, list(messages), self.clock_ms, trio.current_time()))

    async def deliver_all(self, *messages: Inbound, epoch: int = 1) -> IntakeStatistics:
        """Delivers and waits until all is committed."""
        await self.deliver(*messages, epoch=epoch)
        with trio.fail_after(10):
            await self.intake.flush()
        return self.intake.statistics()

    async def stored(self, value_type: str) -> list[Reading]:
        """All readings on disk of a type, by series and time."""
        rows: list[Reading] = []
        for series in self.store.catalog.find(value_type=value_type):
            rows += (await self.store.query(series.id, 0, 1 << 60)).readings.rows()
        return rows


@asynccontextmanager
async def open_bench(
    folder: Path,
    *,
    interval_s: float = 0.05,
    limit: int = 20_000,
    library_dir: Path | None = None,
    sensors_of: SensorsOf = lambda esp_id: (),
) -> AsyncIterator[Bench]:
    disk = Disk()
    config = SensorsConfig(reload_interval=0.1)
    async with (
        open_store(StoreConfig(), folder, free=disk) as store,
        open_pool(config, library_dir) as pool,
        trio.open_nursery() as nursery,
    ):
        bench: Bench

        def acknowledge(epoch: int, mids: Sequence[int]) -> bool:
            bench.acknowledged.extend((epoch, mid) for mid in mids)
            return True

        def hear(columns: Columns) -> None:
            bench.live.append(columns)
            for listener in bench.on_readings:
                listener(columns)

        def commit(columns: Columns) -> None:
            for listener in bench.on_committed:
                listener(columns)

        def take_request(topic: Topic, _request: object) -> bool:
            bench.requests.append(topic)
            return bench.takes_requests

        intake = Intake(
            store,
            pool,
            acknowledge=acknowledge,
            commit_interval_s=interval_s,
            limit=limit,
            on_event=lambda topic, message, _now: bench.events.append((topic, message)),
            on_request=take_request,
            on_seen=lambda topic, _now: bench.seen.append(topic.esp_id),
            on_readings=[lambda columns: hear(columns)],
            on_committed=lambda columns: commit(columns),
            setup_of=ConversionSetups(pool.registry, sensors_of).setup_of,
            committed=await store.newest_commits(memory_for(limit)),
        )
        bench = Bench(intake, store, pool, disk)
        await nursery.start(pool.run)
        await nursery.start(intake.run)
        yield bench
        nursery.cancel_scope.cancel()
