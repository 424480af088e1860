"""Converted values go back to their topics: the newest, at most once a second and series."""

from __future__ import annotations

import json

import attrs

from growy.fleet.processed import PERIOD_S, ProcessedPublisher
from growy.model.reading import Bus, Columns, Quality, Reading, Series, SeriesKey

SERIES = {
    1: Series(1, SeriesKey("ESP_00AA01", Bus.I2C, "68", "sht31_temp"), 68, "°C"),
    2: Series(2, SeriesKey("ESP_00AA01", Bus.DERIVED, "i2c:68", "vpd"), 0, "kPa"),
}


@attrs.define
class Sent:
    messages: list[tuple[str, bytes]] = attrs.Factory(list)
    room: bool = True

    def __call__(self, topic: str, payload: bytes) -> bool:
        self.messages.append((topic, payload))
        return self.room


def batch(*values: float | None, series: int = 1, conversion: int = 1) -> Columns:
    return Columns.from_readings(
        [
            Reading(
                series,
                1_767_225_600_000,
                1_767_225_600_100,
                26214.0,
                value,
                Quality.GOOD,
                conversion=conversion,
            )
            for value in values
        ]
    )


def test_the_newest_value_goes_out_and_then_not_again_for_a_second() -> None:
    sent = Sent()
    publisher = ProcessedPublisher("god", SERIES.__getitem__, sent)
    publisher.take(batch(24.0, 25.0))
    publisher.publish_due(10.0, 99)
    publisher.take(batch(26.0))
    publisher.publish_due(10.0 + PERIOD_S / 2, 99)
    assert len(sent.messages) == 1
    publisher.publish_due(10.0 + PERIOD_S, 99)

    assert [topic for topic, _ in sent.messages] == ["kaiser/god/esp/ESP_00AA01/sensor/68/processed"] * 2
    assert [json.loads(payload)["processed_value"] for _, payload in sent.messages] == [25.0, 26.0]
    assert publisher.statistics().published == 2
    assert publisher.statistics().superseded == 1


def test_no_value_is_said_as_null() -> None:
    sent = Sent()
    publisher = ProcessedPublisher("god", SERIES.__getitem__, sent)
    publisher.take(batch(None))
    publisher.publish_due(0.0, 99)

    assert json.loads(sent.messages[0][1])["processed_value"] is None


def test_what_we_did_not_convert_or_no_device_sent_is_left_out() -> None:
    sent = Sent()
    publisher = ProcessedPublisher("god", SERIES.__getitem__, sent)
    publisher.take(batch(1.0, conversion=0))
    publisher.take(batch(1.0, series=2))
    publisher.publish_due(0.0, 99)

    assert sent.messages == []


def test_a_link_without_room_is_counted() -> None:
    publisher = ProcessedPublisher("god", SERIES.__getitem__, Sent(room=False))
    publisher.take(batch(1.0))
    publisher.publish_due(0.0, 99)

    assert publisher.statistics().refused == 1
