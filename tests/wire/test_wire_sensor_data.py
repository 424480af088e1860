"""Readings: the signed raw value, addresses, units and words of every firmware generation, and what
identifies a series."""

from __future__ import annotations

import json
import math
import timeit

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_samples import DEC_2025_READING, DS18B20, SHT31

from growy.model.errors import WireError
from growy.model.messages import FIRMWARE_QUALITY, SensorData
from growy.model.reading import Bus, Quality, SeriesKey
from growy.wire.decode import decode_sensor_data, series_key


def reading(**fields: object) -> SensorData:
    return decode_sensor_data(json.dumps({"raw": 1, "sensor_type": "ph"} | fields).encode())


def refusal(**fields: object) -> WireError:
    with pytest.raises(WireError) as caught:
        reading(**fields)
    return caught.value


def test_the_least_a_reading_needs() -> None:
    assert reading() == SensorData(raw=1, sensor_type="ph")


@pytest.mark.parametrize(
    ("printed", "meant"),
    [
        (4294967272, -24),
        (2**31 + 1, -(2**31) + 1),
        (2**32 - 1, -1),
        (2**31, 2**31),
        (2**32, 2**32),
        (-24, -24),
        (3_000_000_000.5, 3_000_000_000.5),
        (2**53, 2**53),
    ],
)
def test_old_firmware_printed_negative_counts_unsigned(printed: float, meant: float) -> None:
    assert reading(raw=printed).raw == meant


@pytest.mark.parametrize("alias", ["raw_value", "raw_data"])
def test_raw_has_other_names(alias: str) -> None:
    payload = json.dumps({alias: 4294967272, "sensor_type": "ds18b20"}).encode()

    assert decode_sensor_data(payload).raw == -24


def test_a_device_that_converts_itself_sends_only_the_value() -> None:
    payload = b'{"value":21.5,"raw_mode":false,"sensor_type":"sht31_temp"}'

    message = decode_sensor_data(payload)

    assert (message.raw, message.value, message.raw_mode) == (21.5, 21.5, False)


def test_a_value_without_raw_is_not_taken_for_raw_in_raw_mode() -> None:
    with pytest.raises(WireError, match=r"\$\.raw: required"):
        decode_sensor_data(b'{"value":21.5,"sensor_type":"sht31_temp"}')


def test_nulls_are_absent_fields() -> None:
    assert reading(value=None, seq=None, ts=None, unit=None, quality=None, i2c_address=None) == reading()


@pytest.mark.parametrize(
    ("given_as", "address"),
    [(68, 68), ("68", 68), ("0x44", 68), ("0X44", 68), (" 0x44 ", 68), (0, None), ("0", None), ("", None)],
)
def test_an_i2c_address_in_any_spelling(given_as: object, address: int | None) -> None:
    assert reading(i2c_address=given_as).i2c_address == address


@pytest.mark.parametrize("given_as", [128, -1, "0x80", "x", "0x", "4_4", "٤", "+44", "0x00000000044"])
def test_an_impossible_i2c_address(given_as: object) -> None:
    assert refusal(i2c_address=given_as).reason == "out_of_range"


@pytest.mark.parametrize(
    "given_as", ["28FF641E8D3C0C79", "28ff641e8d3c0c79", "28-FF641E8D3C0C79", " 28ff641E8D3C0C79"]
)
def test_a_rom_code_has_one_spelling(given_as: str) -> None:
    assert reading(onewire_address=given_as).onewire_address == "28FF641E8D3C0C79"


def test_an_empty_rom_code_is_none() -> None:
    assert reading(onewire_address="").onewire_address is None


@pytest.mark.parametrize("given_as", ["28FF", "28FF641E8D3C0C7G", "28FF641E8D3C0C7900"])
def test_an_impossible_rom_code(given_as: str) -> None:
    assert refusal(onewire_address=given_as).reason == "out_of_range"


@pytest.mark.parametrize(
    ("given_as", "kind"), [("DS18B20", "ds18b20"), (" pH ", "ph"), ("co2.ndir-1_b", "co2.ndir-1_b")]
)
def test_a_sensor_type_is_lower_case(given_as: str, kind: str) -> None:
    assert reading(sensor_type=given_as).sensor_type == kind


@pytest.mark.parametrize("given_as", ["", " ", "a b", "ä", "x" * 65, "a/b", "a\x00"])
def test_an_impossible_sensor_type(given_as: str) -> None:
    error = refusal(sensor_type=given_as)

    assert (error.reason, error.message.split(":")[0]) == ("out_of_range", "$.sensor_type")


@pytest.mark.parametrize(
    ("given_as", "unit"),
    [
        ("°C", "°C"),
        ("Â°C", "°C"),
        ("Ã\x82Â°C", "°C"),
        ("µS/cm", "µS/cm"),
        ("Âµmol/mÂ²/s", "µmol/m²/s"),
        ("μS/cm", "μS/cm"),
        (" % ", "%"),
        ("\tml ", "ml"),
        ("", ""),
        ("raw", "raw"),
    ],
)
def test_a_unit_survives_double_encoding(given_as: str, unit: str) -> None:
    assert reading(unit=given_as).unit == unit


def test_a_unit_is_short() -> None:
    assert refusal(unit="x" * 33).reason == "out_of_range"


@pytest.mark.parametrize(
    ("word", "quality"),
    [
        ("good", Quality.GOOD),
        ("GOOD", Quality.GOOD),
        ("excellent", Quality.GOOD),
        ("fair", Quality.FAIR),
        ("poor", Quality.POOR),
        ("bad", Quality.POOR),
        ("suspect", Quality.SUSPECT),
        ("critical", Quality.SUSPECT),
        ("stale", Quality.STALE),
        ("error", Quality.ERROR),
        ("unknown", Quality.UNKNOWN),
        ("splendid", Quality.UNKNOWN),
        ("", Quality.UNKNOWN),
    ],
)
def test_quality_words(word: str, quality: Quality) -> None:
    assert reading(quality=word).quality is quality


def test_every_quality_has_its_own_word() -> None:
    assert {FIRMWARE_QUALITY[quality.word] for quality in Quality} == set(Quality)


@pytest.mark.parametrize("ts", [0, 1767225600, 1767225600123, 1767225600.5, 61])
def test_the_time_is_kept_as_given(ts: float) -> None:
    assert reading(ts=ts).ts == ts
    assert reading(timestamp=ts).ts == ts


def test_the_canonical_name_wins_over_an_alias() -> None:
    assert reading(ts=5, timestamp=6, raw_value=9) == SensorData(raw=1, sensor_type="ph", ts=5)


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        ({"raw": "12"}, "wrong_type", "$.raw: expected number, got str"),
        ({"raw": True}, "wrong_type", "$.raw: expected number, got bool"),
        ({"raw": [1]}, "wrong_type", "$.raw: expected number, got array"),
        ({"raw": 2**54}, "out_of_range", "$.raw: larger than 2**53"),
        ({"raw": 1e300}, "out_of_range", "$.raw: larger than 2**53"),
        ({"raw": None}, "missing_field", "$.raw: required"),
        ({"sensor_type": None}, "missing_field", "$.sensor_type: required"),
        ({"sensor_type": 5}, "wrong_type", "$.sensor_type: expected str, got int"),
        ({"gpio": 256}, "out_of_range", "$.gpio: expected int <= 255"),
        ({"gpio": "4"}, "wrong_type", "$.gpio: expected int, got str"),
        ({"seq": 1.5}, "wrong_type", "$.seq: expected int, got float"),
        ({"seq": -1}, "out_of_range", "$.seq: expected int >= 0"),
        ({"seq": 2**70}, "out_of_range", "$.seq: integer of more than 64 bits"),
        ({"time_valid": "yes"}, "wrong_type", "$.time_valid: expected bool, got str"),
        ({"value": "21"}, "wrong_type", "$.value: expected number, got str"),
    ],
)
def test_a_refusal_names_the_field(fields: dict[str, object], reason: str, message: str) -> None:
    error = refusal(**fields)

    assert (error.reason, error.message) == (reason, message)


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf])
def test_a_raw_value_is_finite(raw: float) -> None:
    for payload in (
        json.dumps({"raw": raw, "sensor_type": "ph"}).encode(),
        cbor2.dumps({"raw": raw, "sensor_type": "ph"}),
    ):
        with pytest.raises(WireError):
            decode_sensor_data(payload)


def test_no_value_in_cbor_is_nan_and_becomes_none() -> None:
    message = decode_sensor_data(cbor2.dumps({"raw": 7, "value": math.nan, "sensor_type": "ph"}))

    assert message == SensorData(raw=7, value=None, sensor_type="ph")


def test_a_payload_has_a_limit() -> None:
    padded = b'{"raw":1,"sensor_type":"ph"}'.ljust(65_536)

    assert decode_sensor_data(padded).raw == 1
    with pytest.raises(WireError) as caught:
        decode_sensor_data(padded + b" ")
    assert caught.value.reason == "too_large"


finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-(2.0**53), max_value=2.0**53)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)


@given(
    st.fixed_dictionaries(
        {
            "raw": finite | st.integers(-(2**53), 2**53),
            "sensor_type": st.from_regex(r" ?[A-Za-z0-9_.-]{1,64} ?", fullmatch=True),
        },
        optional={
            "ts": finite,
            "gpio": st.integers(0, 255),
            "value": finite | st.none(),
            "unit": words,
            "quality": words,
            "seq": st.integers(0, 2**53),
            "time_valid": st.booleans(),
            "raw_mode": st.booleans(),
            "i2c_address": st.integers(0, 127),
            "onewire_address": st.from_regex(r"[0-9A-Fa-f]{16}|", fullmatch=True),
            "zone_id": words,
        },
    )
)
def test_json_and_cbor_are_one_language(said: dict[str, object]) -> None:
    """Given any reading; when it comes as JSON, as CBOR, and as JSON once more of what was understood; then
    all are equal."""
    message = decode_sensor_data(json.dumps(said).encode())

    assert decode_sensor_data(cbor2.dumps(said)) == message
    assert decode_sensor_data(msgspec.json.encode(message)) == message


def test_the_bus_address_identifies_a_series() -> None:
    """Two values of one SHT31, two DS18B20 on one wire and a plain pin are five series whatever their gpio says."""
    rom_1, rom_2 = "28FF641E8D3C0C79", "28FF641E8D3C0C7A"
    messages = [
        reading(sensor_type="sht31_temp", i2c_address=68),
        reading(sensor_type="sht31_humidity", i2c_address="0x44"),
        reading(sensor_type="ds18b20", onewire_address=rom_1.lower()),
        reading(sensor_type="ds18b20", onewire_address=rom_2),
        reading(sensor_type="ph"),
    ]

    assert [series_key("ESP_EA5484", 4, message) for message in messages] == [
        SeriesKey("ESP_EA5484", Bus.I2C, "68", "sht31_temp"),
        SeriesKey("ESP_EA5484", Bus.I2C, "68", "sht31_humidity"),
        SeriesKey("ESP_EA5484", Bus.ONEWIRE, rom_1, "ds18b20"),
        SeriesKey("ESP_EA5484", Bus.ONEWIRE, rom_2, "ds18b20"),
        SeriesKey("ESP_EA5484", Bus.GPIO, "4", "ph"),
    ]


def test_a_reading_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        reading().raw = 2


@pytest.mark.parametrize("payload", [SHT31, DS18B20, DEC_2025_READING])
def test_firmware_as_it_is_takes_the_short_way(payload: str) -> None:
    """The long way, forced by a null, costs about ten times as much: half is far outside the noise."""
    short = payload.encode()
    long = payload.replace('"raw":', '"raw_value":').encode()
    assert decode_sensor_data(short) == decode_sensor_data(long)

    def seconds(message: bytes) -> float:
        return min(timeit.repeat(lambda: decode_sensor_data(message), number=200, repeat=10))

    assert seconds(short) < seconds(long) / 2
