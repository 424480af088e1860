"""`sensor_data` shows every committed reading once, finds rows by name and time, and lets nobody write."""

from __future__ import annotations

import numpy as np
import pytest
from store_readings import T0, key, readings

from growy.model.errors import Invalid
from growy.store import Store
from growy.store.schema import SERIES_FILE
from growy.store.sql import run_sql


async def filled(store: Store) -> None:
    for number, kind in ((1, "ds18b20"), (2, "sht31_temp"), (2, "sht31_humidity")):
        one = store.catalog.intern(key(number, kind), 4 * number, "°C", T0)
        value = np.arange(50) + number * 100.0
        value[7] = np.nan
        await store.commit(readings(one, T0 + 1000 * np.arange(50), value, raw=np.arange(50)))
        if kind != "sht31_humidity":
            await store.seal()


async def test_the_columns_that_the_existing_system_has(store: Store) -> None:
    await filled(store)
    names, rows = await store.sql(
        "SELECT esp_id, gpio, sensor_type, raw_data, processed_value, timestamp, quality, address, bus, rx"
        f" FROM sensor_data WHERE sensor_type = 'ds18b20' AND timestamp BETWEEN {T0 + 6000} AND {T0 + 7000}"
        " ORDER BY timestamp",
        10,
    )
    assert names == (
        "esp_id", "gpio", "sensor_type", "raw_data", "processed_value", "timestamp", "quality", "address", "bus", "rx"
    )  # fmt: skip
    address = "28FF641E8216C3A1"
    assert rows == [
        ("ESP_000001", 4, "ds18b20", 6.0, 106.0, T0 + 6000, "good", address, "onewire", T0 + 6040),
        ("ESP_000001", 4, "ds18b20", 7.0, None, T0 + 7000, "good", address, "onewire", T0 + 7040),
    ]


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("1", 150),
        ("esp_id = 'ESP_000002'", 100),
        ("esp_id = 'ESP_000002' AND sensor_type = 'sht31_temp'", 50),
        ("gpio = 4", 50),
        ("gpio = 5", 0),
        ("esp_id = 'ESP_000001' AND esp_id = 'ESP_000002'", 0),
        (f"timestamp = {T0 + 3000}", 3),
        (f"timestamp > {T0 + 3000}", 138),
        (f"timestamp >= {T0 + 3000}", 141),
        (f"timestamp < {T0 + 3000}", 9),
        (f"timestamp <= {T0 + 3000}", 12),
        (f"timestamp <= {T0 + 2999}.5", 9),
        (f"timestamp > {T0 + 2999}.5 AND timestamp < {T0 + 4000}.5", 6),
        ("timestamp > 9e99", 0),
        ("timestamp < 9e999", 150),
        ("timestamp > -9e999 AND timestamp < 9e99", 150),
        ("timestamp < '1'", 0),
        ("sensor_type IN ('ds18b20', 'sht31_temp')", 100),
        ("processed_value IS NULL", 3),
        ("quality = 'good'", 150),
    ],
)
async def test_conditions_find_the_same_rows_as_a_plain_scan(store: Store, where: str, count: int) -> None:
    await filled(store)
    _, rows = await store.sql(f"SELECT count(*) FROM sensor_data WHERE {where}", 1)
    assert rows == [(count,)]


async def test_joins_and_groups_work(store: Store) -> None:
    await filled(store)
    _, rows = await store.sql(
        "SELECT s.value_type, max(d.processed_value) FROM series s JOIN sensor_data d"
        " ON d.esp_id = s.esp_id AND d.sensor_type = s.value_type GROUP BY 1 ORDER BY 1",
        10,
    )
    assert rows == [("ds18b20", 149.0), ("sht31_humidity", 249.0), ("sht31_temp", 249.0)]


async def test_rows_are_limited(store: Store) -> None:
    await filled(store)
    names, rows = await store.sql("SELECT raw_data FROM sensor_data", 10)
    assert (names, len(rows)) == (("raw_data",), 10)
    names, rows = await store.sql("SELECT raw_data FROM sensor_data WHERE gpio = 77", 10)
    assert (names, rows) == (("raw_data",), [])


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM series",
        "UPDATE seal SET sealed = 9",
        "CREATE TABLE x (y)",
        "INSERT INTO sensor_data DEFAULT VALUES",
        "ATTACH '/etc/passwd' AS x",
        "PRAGMA journal_mode = delete",
        "PRAGMA query_only = 0",
        "VACUUM INTO '/tmp/stolen.db'",
        "COMMIT",
        "SELEKT 1",
        "SELECT nothing FROM sensor_data",
        "SELECT zeroblob(100000000)",
    ],
)
async def test_everything_but_reading_is_refused(store: Store, statement: str) -> None:
    await filled(store)
    with pytest.raises(Invalid, match="refused"):
        await store.sql(statement, 10)
    _, rows = await store.sql("SELECT count(*) FROM sensor_data", 1)
    assert rows == [(150,)]


async def test_a_query_that_takes_too_long_is_broken_off(opener, folder) -> None:
    async with opener() as store:
        await filled(store)
    from growy.store.schema import open_reading
    from growy.store.unsealed import SealMark, UnsealedCommits

    db = open_reading(folder / SERIES_FILE)
    mark = SealMark(*db.execute("SELECT sealed, sealing, sealing_series FROM seal").get)
    db.close()
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(Invalid, match=r"longer than 0\.1 s"):
        run_sql(folder / SERIES_FILE, None, UnsealedCommits(mark), [], endless, 1, time_limit_s=0.1)
