"""Emergency stops, interlocks and couplings in growy.db: a stop is there after a restart, and no stop that is in force
is ever dropped."""

from __future__ import annotations

from pathlib import Path

import apsw
import attrs
import pytest

from growy.model.control import Stop
from growy.model.errors import StoreError
from growy.store import ControlBatch, StopRow, Store
from growy.store.stops import ENDED_KEPT

T0 = 1_767_225_600_000
EVERYTHING = StopRow(stop=Stop(id="all", reason="smoke", by="anna", since_ms=T0))
ONE_PIN = StopRow(stop=Stop(id="pin", esp_id="ESP_1", gpio=26, since_ms=T0 + 1), report='{"ESP_1":"proven"}')


async def write(store: Store, **what: object) -> None:
    await store.write_registry(control=ControlBatch(**what))


async def test_a_stop_is_in_force_after_a_restart_until_it_is_cleared(opener) -> None:
    async with opener() as store:
        await write(store, stops=[EVERYTHING])
        await write(store, stops=[ONE_PIN])
    cleared = attrs.evolve(EVERYTHING, cleared_ms=T0 + 9, cleared_by="ben", report='{"ESP_1":"off"}')
    async with opener() as store:
        assert await store.stops(open_only=True) == [ONE_PIN, EVERYTHING]
        await write(store, stops=[cleared])
    async with opener() as store:
        assert await store.stops(open_only=True) == [ONE_PIN]
        assert await store.stops() == [ONE_PIN, cleared]


async def test_the_newest_ended_stops_are_kept_and_all_that_are_in_force(store: Store) -> None:
    old = [StopRow(stop=Stop(id=f"old{n}", since_ms=n)) for n in range(5)]
    ended = [
        StopRow(stop=Stop(id=f"ended{n}", since_ms=T0 + n), cleared_ms=T0 + n) for n in range(ENDED_KEPT + 10)
    ]
    await write(store, stops=old)
    for row in ended:
        await write(store, stops=[row])

    assert await store.stops() == [*reversed(ended[10:]), *reversed(old)]
    assert await store.stops(open_only=True) == [*reversed(old)]


async def test_a_stop_that_cannot_be_read_is_an_error_and_never_no_stop(opener, folder: Path) -> None:
    async with opener() as store:
        await write(store, stops=[EVERYTHING])
    db = apsw.Connection(str(folder / "growy.db"))
    db.execute("UPDATE stops SET stop = '{}'")
    db.close()
    async with opener() as store:
        with pytest.raises(StoreError, match="Emergency stop all"):
            await store.stops(open_only=True)


async def test_a_device_that_has_yet_to_hear_of_an_end_is_remembered_until_it_has(opener) -> None:
    async with opener() as store:
        await write(store, owed_clears={"ESP_2": "{}", "ESP_1": '{"token":"t"}'})
        await write(store, owed_clears={"ESP_2": None, "ESP_3": "{}", "ESP_9": None})
    async with opener() as store:
        assert await store.owed_clears() == {"ESP_1": '{"token":"t"}', "ESP_3": "{}"}


@pytest.mark.parametrize("table", ["interlocks", "couplings"])
async def test_interlocks_and_couplings_are_written_replaced_and_deleted(opener, table: str) -> None:
    async with opener() as store:
        await write(store, **{table: {"b": '{"old":1}', "a": "{}", "c": "{}"}})
        await write(store, **{table: {"b": '{"new":1}', "c": None, "never was": None}})
    async with opener() as store:
        assert await getattr(store, table)() == {"a": "{}", "b": '{"new":1}'}
        others = {"interlocks", "couplings"} - {table}
        assert [await getattr(store, other)() for other in others] == [{}]
