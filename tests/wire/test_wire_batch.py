"""Batches: three shapes, fields inherited from the message, and one bad reading that costs no other."""

from __future__ import annotations

import json

import cbor2
import pytest

from growy.model.errors import WireError
from growy.model.messages import SensorBatch, SensorData
from growy.wire.decode import decode
from growy.wire.topics import Topic, TopicKind

TOPIC = Topic("god", "ESP_EA5484", TopicKind.SENSOR_BATCH, None)
PH = {"gpio": 34, "sensor_type": "ph", "raw": 2048}
EC = {"gpio": 35, "sensor_type": "EC", "raw_value": 4294967295}


def batch(payload: object) -> SensorBatch:
    message = decode(TOPIC, json.dumps(payload).encode())
    assert isinstance(message, SensorBatch)
    return message


def refusal(payload: object) -> tuple[str, str]:
    with pytest.raises(WireError) as caught:
        batch(payload)
    return caught.value.reason, caught.value.message


@pytest.mark.parametrize(
    "shape", [[PH, EC], {"readings": [PH, EC]}, {"sensors": [PH, EC], "esp_id": "ESP_FFFFFF"}]
)
def test_the_three_shapes_say_the_same(shape: object) -> None:
    assert batch(shape).readings == (
        SensorData(raw=2048, sensor_type="ph", gpio=34),
        SensorData(raw=-1, sensor_type="ec", gpio=35),
    )
    assert decode(TOPIC, cbor2.dumps(shape)) == batch(shape)


def test_a_reading_takes_what_it_does_not_say_from_the_message() -> None:
    readings = batch(
        {
            "timestamp": 1767225600,
            "time_valid": False,
            "zone_id": "z",
            "seq": 9,
            "type": "batch",
            "readings": [PH, EC | {"ts": 5, "zone_id": None}],
        }
    ).readings

    assert [(r.ts, r.time_valid, r.zone_id, r.seq) for r in readings] == [
        (1767225600, False, "z", None),
        (5, False, "z", None),
    ]


def test_an_alias_in_a_reading_wins_over_the_message() -> None:
    assert batch({"ts": 1, "readings": [PH | {"timestamp": 2}]}).readings[0].ts == 2


def test_one_bad_reading_costs_no_other() -> None:
    message = batch([PH, {"gpio": 34, "raw": 1}, 7, EC, {"sensor_type": "ph", "raw": 1}])

    assert [reading.sensor_type for reading in message.readings] == ["ph", "ec"]
    assert [(bad.index, bad.reason, bad.message) for bad in message.refused] == [
        (1, "missing_field", "$[1].sensor_type: required"),
        (2, "not_an_object", "$[2]: expected an object, got int"),
        (4, "missing_field", "$[4].gpio: required"),
    ]


@pytest.mark.parametrize(
    ("payload", "refused"),
    [
        ([], ("no_readings", "$: no reading in the batch")),
        ({"readings": []}, ("no_readings", "$.readings: no reading in the batch")),
        ({"ts": 1}, ("missing_field", "$.readings: required")),
        ({"readings": {}}, ("wrong_type", "$.readings: expected array, got object")),
        ("x", ("not_an_object", "$: expected an object or an array, got str")),
        ([{"gpio": 1}], ("missing_field", "$[0].raw: required")),
        ({"sensors": [PH] * 1001}, ("too_large", "$.sensors: 1001 readings; at most 1000 are taken")),
    ],
)
def test_a_batch_without_a_usable_reading_is_refused(payload: object, refused: tuple[str, str]) -> None:
    assert refusal(payload) == refused


def test_a_thousand_readings_are_taken() -> None:
    assert len(batch([PH] * 1000).readings) == 1000
