"""What a message costs before anything is done with it. `python -m bench.wire`.

The firmware's reading of 230 bytes: bytes to message, against `json.loads` alone; and the making of the message itself,
against an attrs record with the same fields.
"""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable

import attrs
import msgspec

from growy.model.messages import SensorData
from growy.wire.decode import decode_sensor_data
from growy.wire.topics import parse_topic

PAYLOAD = (
    b'{"esp_id":"ESP_EA5484","seq":412,"zone_id":"greenhouse_1","subzone_id":"bench_a","gpio":68,'
    b'"sensor_type":"sht31_temp","raw":26214,"value":25.00,"unit":"\xc2\xb0C","quality":"good","ts":1767225600,'
    b'"time_valid":true,"raw_mode":true,"i2c_address":68}'
)
TOPIC = b"kaiser/god/esp/ESP_EA5484/sensor/68/data"
ROUNDS = 100_000
REPEATS = 5


def microseconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=ROUNDS, repeat=REPEATS)) / ROUNDS * 1e6


def main() -> None:
    message = decode_sensor_data(PAYLOAD)
    fields = msgspec.structs.asdict(message)
    record = attrs.make_class("Record", list(fields), frozen=True, slots=True)
    decoded, loaded = (
        microseconds(lambda: decode_sensor_data(PAYLOAD)),
        microseconds(lambda: json.loads(PAYLOAD)),
    )
    made, attrs_made = microseconds(lambda: SensorData(**fields)), microseconds(lambda: record(**fields))
    print(
        f"decode_sensor_data={decoded:.2f}us json.loads={loaded:.2f}us ratio={decoded / loaded:.2f} (aim: 1.5 us)"
    )
    print(f"make_struct={made:.2f}us make_attrs_record={attrs_made:.2f}us ratio={made / attrs_made:.2f}")
    print(
        f"parse_topic={microseconds(lambda: parse_topic(TOPIC)):.2f}us (once per topic: then a dict access)"
    )


if __name__ == "__main__":
    main()
