"""Readings as live clients are sent them: WebSocket frames out of arrays. Knows no client; must never wait.

What two clients are sent alike is made once: a plain message per reading, a batch per set of series. A hundred clients
that watch the same cost little more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import msgspec
import numpy as np

from growy.model.reading import Bus, IndexArray, IntArray, Quality, Series
from growy.web.events import Dialect, LiveEvent, frame
from growy.web.newest import Newest, SeriesLookup, longer
from growy.web.subscription import SENSOR_DATA

BATCH = "batch"
_QUALITY_WORDS = tuple(quality.word for quality in Quality)
_json = msgspec.json.Encoder()


@attrs.frozen
class _Head:
    """Everything about a series that stays the same from reading to reading."""

    series: Series
    zone: str | None
    data: dict[str, object]
    text: str
    """The beginning of a plain message, up to the value."""


class Scribe:
    """Writes what is in `newest`, as it is at that moment.

    Args:
        zone_of: the zone a device is in now.
        now: Unix seconds, for the envelopes.
    """

    def __init__(
        self,
        newest: Newest,
        catalog: SeriesLookup,
        zone_of: Callable[[str], str | None],
        now: Callable[[], float],
    ) -> None:
        self._newest = newest
        self._catalog = catalog
        self._zone_of = zone_of
        self._now = now
        self._heads: dict[int, _Head] = {}
        self._versions: IntArray = np.zeros(0, np.int64)
        """By series: how often its head was made."""
        self._plain: dict[int, bytes] = {}
        self._made: dict[tuple[Dialect, bytes], bytes] = {}

    def forget(self, series: IndexArray) -> None:
        """There are newer readings of these series: what was made of older ones is of no use."""
        self._made.clear()
        if self._plain:
            for series_id in series.tolist():
                self._plain.pop(series_id, None)

    def plain(self, fresh: IndexArray, again: IndexArray) -> bytes:
        """A `sensor_data` frame for each series, those that are sent again first, all in one."""
        return self._replayed(again) + self._shared(Dialect.PLAIN, fresh, self._each)

    def batch(
        self,
        dialect: Dialect,
        fresh: IndexArray,
        again: IndexArray,
        introduced: IndexArray,
        events: Sequence[LiveEvent],
    ) -> bytes:
        """One frame with all of it.

        Args:
            again: series whose reading is sent again, because somebody has asked for it.
            introduced: series that the client has not been told of as they are now.
        """
        if len(again) or len(introduced) or events:
            data: dict[str, object] = {}
            if events:
                data["events"] = [event.message for event in events]
            if len(introduced):
                data["series"] = [self._head(series_id).data for series_id in introduced.tolist()]
            if len(again):
                data["replayed"] = self._columns(again)
            if len(fresh):
                data["readings"] = self._columns(fresh)
            return self._frame(dialect, data)
        return self._shared(
            dialect, fresh, lambda ids: self._frame(dialect, {"readings": self._columns(ids)})
        )

    def versions(self, ids: IndexArray) -> IntArray:
        """How often what is said about these series has changed, as of now."""
        for series_id in ids.tolist():
            self._head(series_id)
        return self._versions[ids]

    def _shared(self, dialect: Dialect, ids: IndexArray, make: Callable[[IndexArray], bytes]) -> bytes:
        key = (dialect, ids.tobytes())
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = make(ids)
        return made

    # Plain

    def _each(self, ids: IndexArray) -> bytes:
        known = self._plain
        missing = np.array([one for one in ids.tolist() if one not in known], np.int32)
        if len(missing):
            known.update(zip(missing.tolist(), self._messages(missing, ""), strict=True))
        return b"".join([known[series_id] for series_id in ids.tolist()])

    def _replayed(self, ids: IndexArray) -> bytes:
        return b"".join(self._messages(ids, ',"replayed":true')) if len(ids) else b""

    def _messages(self, ids: IndexArray, more: str) -> list[bytes]:
        newest, stamp = self._newest, int(self._now())
        return [
            frame(
                f'{self._head(series_id).text}"value":{_value(value)},"raw_value":{_raw(raw)},'
                f'"quality":"{_QUALITY_WORDS[quality]}","timestamp":{ts_ms // 1000},"timestamp_ms":{ts_ms}{more}}},'
                f'"timestamp":{stamp}}}'
            )
            for series_id, value, raw, quality, ts_ms in zip(
                ids.tolist(),
                newest.value[ids].tolist(),
                newest.raw[ids].tolist(),
                newest.quality[ids].tolist(),
                newest.ts_ms[ids].tolist(),
                strict=True,
            )
        ]

    # Batches

    def _columns(self, ids: IndexArray) -> dict[str, object]:
        newest = self._newest
        return {
            "series_id": ids.tolist(),
            "timestamp_ms": newest.ts_ms[ids].tolist(),
            "value": [value if value - value == 0 else None for value in newest.value[ids].tolist()],
            "raw_value": [_number(raw) for raw in newest.raw[ids].tolist()],
            "quality": [_QUALITY_WORDS[quality] for quality in newest.quality[ids].tolist()],
        }

    def _frame(self, dialect: Dialect, data: dict[str, object]) -> bytes:
        message = {"type": BATCH, "event_type": BATCH, "timestamp": int(self._now()), "data": data}
        return dialect.encode(message)

    # Heads

    def _head(self, series_id: int) -> _Head:
        """Cached until the series or its zone changes."""
        series = self._catalog.get(series_id)
        zone = self._zone_of(series.key.esp_id)
        cached = self._heads.get(series_id)
        if (
            cached is not None
            and cached.zone == zone
            and (cached.series is series or cached.series == series)
        ):
            return cached
        data: dict[str, object] = {
            "esp_id": series.key.esp_id,
            "gpio": series.gpio,
            "sensor_type": series.key.value_type,
            "unit": series.unit,
            "zone_id": zone,
            "series_id": series.id,
            "bus": series.key.bus.value,
            "address": series.key.address,
            **addresses(series),
        }
        fixed = _json.encode(data).decode()
        text = f'{{"type":"{SENSOR_DATA}","event_type":"{SENSOR_DATA}","data":{fixed[:-1]},'
        head = self._heads[series_id] = _Head(series, zone, data, text)
        if len(self._versions) <= series_id:
            self._versions = longer(self._versions, max(64, 2 * (series_id + 1)))
        self._versions[series_id] += 1
        return head


def addresses(series: Series) -> dict[str, object]:
    """`i2c_address` (number) or `onewire_address` (hex) of a series that has one."""
    key = series.key
    if key.bus is Bus.I2C:
        return {"i2c_address": int(key.address)}
    if key.bus is Bus.ONEWIRE:
        return {"onewire_address": key.address}
    return {}


def _value(value: float) -> str:
    """No value is null; NaN and infinity are no values."""
    return repr(value) if value - value == 0 else "null"


def _raw(raw: float) -> str:
    number = _number(raw)
    return "null" if number is None else repr(number)


def _number(raw: float) -> int | float | None:
    """Counts are integers on the wire of the devices: they stay integers here."""
    if raw - raw != 0:
        return None
    return int(raw) if raw == int(raw) and abs(raw) < 2**53 else raw
