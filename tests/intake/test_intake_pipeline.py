"""The path of a reading: one outcome for each message, converted, on disk, then acknowledged, in order."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from rig.intake import START_MS, Bench, open_bench

from growy.broker.frames import Inbound
from growy.intake.gather import DONE
from growy.model.messages import Heartbeat
from growy.model.reading import Bus, Quality, TimeSource


async def test_a_reading_is_converted_stored_and_then_acknowledged(bench: Bench) -> None:
    statistics = await bench.deliver_all(
        bench.reading("ds18b20", 400, seq=1, onewire_address="28FF641E8D3C0C79")
    )

    (reading,) = await bench.stored("ds18b20")
    assert (reading.raw, reading.value, reading.quality) == (400.0, 25.0, Quality.GOOD)
    assert (reading.ts_ms, reading.rx_ms, reading.seq) == (START_MS, START_MS, 1)
    assert reading.source is TimeSource.DEVICE
    assert bench.acknowledged == [(1, 1)]
    assert statistics.outcomes["reading"] == 1
    assert statistics.readings_converted == {"ds18b20": 1}
    assert bench.seen == ["ESP_00AA01"]


async def test_the_store_knows_which_library_made_the_value(bench: Bench) -> None:
    await bench.deliver_all(bench.reading("ds18b20", 400))

    (reading,) = await bench.stored("ds18b20")
    made_by = bench.store.conversions.get(reading.conversion)
    assert made_by.library == "ds18b20"
    assert made_by.version.startswith("1.")


async def test_live_before_the_commit_and_acknowledged_only_after(tmp_path: Path) -> None:
    async with open_bench(tmp_path, interval_s=30.0) as bench:
        await bench.deliver(bench.reading("ds18b20", 400))
        with trio.fail_after(5):
            while not bench.live:
                await trio.sleep(0.01)

        assert bench.acknowledged == []
        assert bench.intake.statistics().readings_committed == 0
        await bench.intake.flush()
        assert bench.acknowledged == [(1, 1)]


async def test_a_full_window_is_committed_before_its_time(tmp_path: Path) -> None:
    async with open_bench(tmp_path, interval_s=30.0) as bench:
        bench.intake.set_window(20)
        await bench.deliver(*(bench.reading("ds18b20", 400 + n, seq=n) for n in range(10)))

        with trio.fail_after(5):
            while len(bench.acknowledged) < 10:
                await trio.sleep(0.01)


async def test_heartbeats_do_not_wait_for_the_disk(bench: Bench) -> None:
    bench.disk.free = 0
    await bench.deliver(
        bench.reading("ds18b20", 400),
        bench.message(
            "kaiser/god/esp/ESP_00AA01/system/heartbeat",
            {"ts": 0, "uptime": 5, "heap_free": 1, "wifi_rssi": -50},
            qos=0,
        ),
    )

    assert [type(message) for _, message in bench.events] == [Heartbeat]


async def test_a_heartbeat_that_cannot_be_read_is_a_dead_letter_and_still_told(bench: Bench) -> None:
    statistics = await bench.deliver_all(
        bench.message("kaiser/god/esp/ESP_00AA01/system/heartbeat", b"{broken", qos=0)
    )

    assert [message for _, message in bench.events] == [None]
    assert statistics.outcomes["dead_letter"] == 1


async def test_heartbeats_are_answered_however_long_the_disk_is_full(tmp_path: Path) -> None:
    async with open_bench(tmp_path, limit=50) as bench:
        bench.disk.free = 0
        heartbeat = {"ts": 0, "uptime": 5, "heap_free": 1, "wifi_rssi": -50}
        await bench.deliver(bench.reading("ds18b20", 400))
        with trio.fail_after(5):
            for _ in range(200):
                await bench.deliver(
                    bench.message("kaiser/god/esp/ESP_00AA01/system/heartbeat", heartbeat, qos=0)
                )

    assert len(bench.events) == 200


async def test_dead_letters_that_wait_for_the_disk_are_bounded(tmp_path: Path) -> None:
    async with open_bench(tmp_path, limit=5000) as bench:
        bench.disk.free = 0
        for _ in range(20):
            await bench.deliver(*(bench.message("nonsense", b"x" * 9000) for _ in range(100)))
            await trio.sleep(0.01)
        bench.disk.free = 1 << 40
        with trio.fail_after(20):
            await bench.intake.flush()
        letters = await bench.store.dead_letters(5000)

    assert len(letters) <= 1000
    assert {letter.size for letter in letters} == {9000}
    assert sum(bench.intake.statistics().dead_letters.values()) == 2000


async def test_a_series_too_many_costs_the_rest_of_its_batch_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("growy.intake.slots.MAX_SERIES", 2)
    readings = [
        {"gpio": gpio, "sensor_type": "moisture", "raw": 2000, "seq": n}
        for n, gpio in enumerate((32, 33, 34, 32))
    ]
    statistics = await bench.deliver_all(
        bench.message("kaiser/god/esp/ESP_00AA01/sensor/batch", {"readings": readings})
    )

    assert statistics.readings_committed == 3
    assert statistics.dead_letters == {"too_many_series": 1}


async def test_a_full_disk_stops_acknowledgements_and_nothing_is_lost(bench: Bench) -> None:
    bench.disk.free = 0
    await bench.deliver(bench.reading("ds18b20", 400, seq=1))
    with trio.fail_after(5):
        while not bench.intake.statistics().store_waiting:
            await trio.sleep(0.01)
    await bench.deliver(bench.reading("ds18b20", 401, seq=2))
    assert bench.acknowledged == []

    bench.disk.free = 1 << 40
    with trio.fail_after(10):
        await bench.intake.flush()

    assert bench.acknowledged == [(1, 1), (1, 2)]
    assert [reading.raw for reading in await bench.stored("ds18b20")] == [400.0, 401.0]
    assert not bench.intake.statistics().store_waiting


async def test_a_full_intake_makes_the_link_wait(tmp_path: Path) -> None:
    async with open_bench(tmp_path, limit=100) as bench:
        bench.disk.free = 0
        await bench.deliver(*(bench.reading("ds18b20", n, seq=n) for n in range(100)))
        with trio.move_on_after(0.3) as waiting:
            await bench.deliver(bench.reading("ds18b20", 100, seq=100))
        assert waiting.cancelled_caught

        bench.disk.free = 1 << 40
        with trio.fail_after(10):
            await bench.deliver(bench.reading("ds18b20", 100, seq=100))
            await bench.intake.flush()
        assert len(await bench.stored("ds18b20")) == 101


async def test_packets_are_acknowledged_in_the_order_of_receipt(bench: Bench) -> None:
    heartbeat = {"ts": 0, "uptime": 5, "heap_free": 1, "wifi_rssi": -50}
    await bench.deliver(
        bench.reading("ds18b20", 400, seq=1),
        bench.message(
            "kaiser/god/esp/ESP_00AA01/session/announce", {"esp_id": "ESP_00AA01", "handover_epoch": 1}
        ),
        bench.message("nonsense", b"x"),
        bench.reading("ds18b20", 401, seq=2),
        bench.message("kaiser/god/esp/ESP_00AA01/system/heartbeat", heartbeat, qos=0),
        epoch=3,
    )
    await bench.deliver_all(bench.reading("ds18b20", 402, seq=3), epoch=4)

    assert bench.acknowledged == [(3, 1), (3, 2), (3, 3), (3, 4), (4, 5)]


async def test_every_message_has_one_outcome_and_they_add_up(bench: Bench) -> None:
    good = bench.reading("ds18b20", 400, seq=1)
    statistics = await bench.deliver_all(
        good,
        good._replace(dup=True),
        bench.reading("ds18b20", 401, seq=2, retain=True),
        bench.message("kaiser/god/esp/ESP_00AA01/sensor/4/data", b"{broken"),
        bench.message("kaiser/god/esp/ESP_00AA01/sensor/999/data", b"{}"),
        bench.message("some/thing/else", b""),
        bench.message("kaiser/god/esp/ESP_00AA01/pi_enhanced/request", {"raw": 1, "sensor_type": "ds18b20"}),
        bench.message("kaiser/god/esp/ESP_00AA01/session/announce", {"esp_id": "x", "handover_epoch": 1}),
    )

    assert statistics.outcomes == {
        "reading": 1,
        "duplicate": 1,
        "event": 1,
        "request": 1,
        "retained": 1,
        "dead_letter": 3,
    }
    assert sum(statistics.outcomes.values()) == statistics.messages_received == 8
    assert sum(statistics.dead_letters.values()) == 3
    assert statistics.pending == 0


async def test_dead_letters_stand_in_the_store_with_their_reason(bench: Bench) -> None:
    await bench.deliver_all(bench.message("kaiser/god/esp/ESP_00AA01/sensor/4/data", b'{"raw":"wet"}'))

    (letter,) = await bench.store.dead_letters()
    assert letter.topic == "kaiser/god/esp/ESP_00AA01/sensor/4/data"
    assert letter.payload == b'{"raw":"wet"}'
    assert letter.reason in ("wrong_type", "missing_field")


async def test_a_request_that_nobody_can_take_is_kept_as_a_dead_letter(bench: Bench) -> None:
    bench.takes_requests = False
    statistics = await bench.deliver_all(
        bench.message("kaiser/god/esp/ESP_00AA01/pi_enhanced/request", {"raw": 1, "sensor_type": "ds18b20"})
    )

    assert statistics.dead_letters == {"busy": 1}


async def test_an_error_is_no_value_and_never_zero(bench: Bench) -> None:
    statistics = await bench.deliver_all(bench.reading("ds18b20", -2032))

    (reading,) = await bench.stored("ds18b20")
    assert (reading.raw, reading.value, reading.quality) == (-2032.0, None, Quality.ERROR)
    assert statistics.readings_failed == {"ds18b20": 1}
    assert statistics.readings_committed == 1


async def test_a_type_that_no_library_knows_is_kept_raw(bench: Bench) -> None:
    statistics = await bench.deliver_all(bench.reading("tricorder", 17, value=3.0))

    (reading,) = await bench.stored("tricorder")
    assert (reading.raw, reading.value, reading.quality) == (17.0, None, Quality.UNKNOWN)
    assert statistics.readings_unconverted == 1
    assert statistics.readings_failed == {}


async def test_a_device_that_converted_itself_is_believed(bench: Bench) -> None:
    await bench.deliver_all(
        bench.reading("tricorder", 17, value=3.5, raw_mode=False, quality="fair", unit="tri")
    )

    (reading,) = await bench.stored("tricorder")
    assert (reading.value, reading.quality, reading.conversion) == (3.5, Quality.FAIR, 0)
    assert bench.store.catalog.get(reading.series_id).unit == "tri"


@pytest.mark.parametrize(
    ("word", "kept"), [("suspect", Quality.SUSPECT), ("good", Quality.GOOD), ("", Quality.GOOD)]
)
async def test_the_worse_verdict_counts(bench: Bench, word: str, kept: Quality) -> None:
    await bench.deliver_all(bench.reading("ds18b20", 400, quality=word))

    assert (await bench.stored("ds18b20"))[0].quality is kept


async def test_a_clock_that_is_unknown_or_impossible_is_replaced_by_ours(bench: Bench) -> None:
    await bench.deliver_all(
        bench.reading("ds18b20", 1, seq=1, ts=0),
        bench.reading("ds18b20", 2, seq=2, time_valid=False),
        bench.reading("ds18b20", 3, seq=3, ts=START_MS // 1000 + 86_400),
        bench.reading("ds18b20", 4, seq=4, ts=START_MS - 5_000),
    )

    stored = {reading.raw: (reading.ts_ms, reading.source) for reading in await bench.stored("ds18b20")}
    assert stored[1.0] == stored[2.0] == stored[3.0] == (START_MS, TimeSource.SERVER)
    assert stored[4.0] == (START_MS - 5_000, TimeSource.DEVICE)


async def test_series_on_one_pin_do_not_mix(bench: Bench) -> None:
    await bench.deliver_all(
        bench.reading("ds18b20", 320, onewire_address="28FF641E8D3C0C79"),
        bench.reading("ds18b20", 480, onewire_address="28FF641E8D3C0C80"),
        bench.reading("sht31_temp", 26214, gpio=0, i2c_address=68),
        bench.reading("sht31_temp", 30000, gpio=0, i2c_address=69),
    )

    keys = {str(series.key) for series in bench.store.catalog.find()}
    assert keys == {
        "ESP_00AA01/onewire:28FF641E8D3C0C79/ds18b20",
        "ESP_00AA01/onewire:28FF641E8D3C0C80/ds18b20",
        "ESP_00AA01/i2c:68/sht31_temp",
        "ESP_00AA01/i2c:69/sht31_temp",
    }


async def test_a_batch_is_many_readings_and_one_message(bench: Bench) -> None:
    readings = [
        {"gpio": 32, "sensor_type": "moisture", "raw": 2000, "seq": 5},
        {"gpio": 33, "sensor_type": "moisture", "raw": 2100, "seq": 6},
        {"gpio": 34, "sensor_type": "moisture", "raw": "wet"},
    ]
    statistics = await bench.deliver_all(
        bench.message(
            "kaiser/god/esp/ESP_00AA01/sensor/batch", {"readings": readings, "ts": START_MS // 1000}
        )
    )

    assert statistics.messages_received == statistics.outcomes["reading"] == 1
    assert statistics.readings_received == statistics.readings_committed == 2
    assert sum(statistics.dead_letters.values()) == 1
    assert len(await bench.store.dead_letters()) == 1


async def test_temperature_and_humidity_of_one_place_make_a_vpd(bench: Bench) -> None:
    warm = round((25.0 + 45) / 175 * 65535)
    humid = round(0.60 * 65535)
    statistics = await bench.deliver_all(
        bench.reading("sht31_humidity", humid, gpio=68, i2c_address=68, seq=1),
        bench.reading("sht31_temp", warm, gpio=68, i2c_address=68, seq=2),
        bench.reading("sht31_temp", warm, gpio=69, i2c_address=69, seq=3),
    )

    (reading,) = await bench.stored("vpd")
    assert reading.value == pytest.approx(1.267, abs=0.002)
    series = bench.store.catalog.get(reading.series_id)
    assert (series.key.bus, series.key.address, series.unit) == (Bus.DERIVED, "i2c:68", "kPa")
    assert statistics.readings_derived == 1
    assert statistics.readings_committed == 4


async def test_a_saved_library_serves_the_next_readings_of_a_known_series(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    library = """
from sensor_libs import Converted, FloatArray, Library, Output, Params
OUTPUT = Output("tricorder", unit="tri", quantity="mood", low=-1e6, high=1e6)
LIBRARY = Library(name="tricorder", version="%s", outputs=(OUTPUT,))
def convert(raw: FloatArray, params: Params) -> Converted:
    return Converted(raw * %d)
"""
    async with open_bench(tmp_path / "data", library_dir=own) as bench:
        await bench.deliver_all(bench.reading("tricorder", 1, seq=1))
        for version, factor in (("1.0.0", 2), ("2.0.0", 3)):
            before = bench.intake.slots.generation_of_libraries
            (own / "tricorder.py").write_text(library % (version, factor))
            with trio.fail_after(5):
                while bench.intake.slots.generation_of_libraries == before:
                    await trio.sleep(0.05)
            await bench.deliver_all(bench.reading("tricorder", factor * 10, seq=factor))

        stored = [(reading.raw, reading.value) for reading in await bench.stored("tricorder")]
    assert stored == [(1.0, None), (20.0, 40.0), (30.0, 90.0)]


async def test_a_fault_in_a_handler_costs_one_message_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(item: object) -> None:
        raise RuntimeError("of the test's making")

    monkeypatch.setattr(bench, "events", type("Broken", (), {"append": staticmethod(broken)})())
    statistics = await bench.deliver_all(
        bench.message("kaiser/god/esp/ESP_00AA01/session/announce", {"esp_id": "x", "handover_epoch": 1}),
        bench.reading("ds18b20", 400),
    )

    assert statistics.dead_letters == {"handler_fault": 1}
    assert statistics.handler_faults == 1
    assert statistics.readings_committed == 1


async def test_what_others_have_dealt_with_is_acknowledged_in_its_place(bench: Bench) -> None:
    """Mail between nodes comes through the same connection, and MQTT wants acknowledgements in order."""
    first, last = bench.reading("ds18b20", 400), bench.reading("ds18b20", 401, seq=2)
    done = [Inbound(DONE, b"", 7, False, False), Inbound(DONE, b"", 8, False, False)]
    await bench.deliver(done[0], first._replace(mid=9), done[1], last._replace(mid=10))
    with trio.fail_after(10):
        await bench.intake.flush()
    assert bench.acknowledged == [(1, mid) for mid in (7, 9, 8, 10)]

    statistics = await bench.deliver_all(Inbound(DONE, b"", 11, False, False))
    assert bench.acknowledged[-1] == (1, 11)
    assert statistics.messages_received == 2
    assert not statistics.dead_letters
