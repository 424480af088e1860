"""What a scrape of /metrics costs with a thousand sensors, and how long its longest turn keeps everything else waiting.

    python -m bench.metrics

The baseline is to ask the memory of the newest readings for one series after the other.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import trio

from growy.config import StoreConfig
from growy.model.reading import Bus, Columns, Quality, Reading, SeriesKey
from growy.store import Store, open_store
from growy.web import metrics_growing
from growy.web.exposition import Exposition

SERIES = 1000
PER_DEVICE = 10
ROUNDS = 20


@attrs.frozen
class Sensors:
    """Of the app only what the families of sensors need."""

    store: Store


def fastest_ms(work: Callable[[], object]) -> float:
    """Of ROUNDS: what else the machine does is not ours."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took) * 1000


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(StoreConfig(), Path(folder)) as store:
            now_ms = time.time_ns() // 1_000_000
            devices = [f"ESP_{number:06X}" for number in range(SERIES // PER_DEVICE)]
            ids = [
                store.catalog.intern(SeriesKey(esp_id, Bus.GPIO, str(gpio), "ds18b20"), gpio, "°C", 1)
                for esp_id in devices
                for gpio in range(PER_DEVICE)
            ]
            store.tail.append(
                Columns.from_readings([Reading(one, now_ms, now_ms, 1.0, 21.5, Quality.GOOD) for one in ids])
            )
            one_by_one = fastest_ms(lambda: [store.tail.latest(one) for one in ids])
            at_once = fastest_ms(store.tail.newest)
            print(f"newest of {SERIES} series: one_by_one={one_by_one:.2f}ms at_once={at_once:.2f}ms")
            print(f"ratio={one_by_one / at_once:.1f}")
            families = list(metrics_growing.sensor_families(Sensors(store), set(devices)))
            turns = [fastest_ms(lambda family=family: Exposition().add(family)) for family in families]
            collected = fastest_ms(
                lambda: list(metrics_growing.sensor_families(Sensors(store), set(devices)))
            )
            print(
                f"scrape_of_sensors={collected + sum(turns):.1f}ms longest_turn={max(collected, *turns):.1f}ms"
            )


if __name__ == "__main__":
    trio.run(main)
