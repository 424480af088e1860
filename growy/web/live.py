"""The live hub: hands every new reading and event to the clients that watch. Never waits, never blocks the
intake.

A batch is written once into arrays indexed by series id (the newest reading of each series); per client only
"this series waits to be sent" is noted. Both are a handful of numpy calls however many rows the batch has,
and text is made only when a client's turn to be sent comes. The hub knows no sockets and no clock but the one
it is given, and is not thread-safe: intake and web server live on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import attrs
import msgspec
import numpy as np
import numpy.typing as npt

from growy.model.reading import Bus, ByteArray, Columns, FloatArray, IndexArray, IntArray, Quality, Series
from growy.web.feed import BoolArray, Feed
from growy.web.subscription import SENSOR_DATA, ClientMessage, Filter, apply

_T = TypeVar("_T", bound=np.generic)
_QUALITY_WORDS = tuple(quality.word for quality in Quality)
_json = msgspec.json.Encoder()


class SeriesLookup(Protocol):
    """The part of the store's catalogue that the hub needs."""

    def get(self, series_id: int, /) -> Series: ...


def unknown_zone(esp_id: str) -> str | None:
    """No zones known."""
    return None


@attrs.frozen(kw_only=True)
class LiveStatistics:
    """Counters since start; `clients` and `waiting` are of now."""

    clients: int
    clients_total: int
    refused: int
    """Clients turned away because there were too many."""
    readings: int
    """Readings that came while somebody watched."""
    sent: int
    """Readings handed to clients' connections."""
    coalesced: int
    """Readings whose place a newer one took before a client could be sent them."""
    events: int
    events_sent: int
    too_slow: int
    """Clients given up because they did not read."""
    waiting: int


class LiveHub:
    """Fan-out of readings and events to live clients."""

    def __init__(
        self,
        catalog: SeriesLookup,
        zone_of: Callable[[str], str | None] = unknown_zone,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Args:
        catalog: names series.
        zone_of: the zone a device is in now, for the messages.
        now: Unix seconds, for the envelopes.
        """
        self._catalog = catalog
        self._zone_of = zone_of
        self._now = now
        self._feeds: list[Feed] = []
        self._tick = 0
        self._known: BoolArray = np.zeros(0, np.bool_)
        self._esp_code: IndexArray = np.zeros(0, np.int32)
        self._type_code: IndexArray = np.zeros(0, np.int32)
        self._codes: dict[str, int] = {}
        self._ts_ms: IntArray = np.zeros(0, np.int64)
        self._raw: FloatArray = np.zeros(0, np.float64)
        self._value: FloatArray = np.zeros(0, np.float64)
        self._quality: ByteArray = np.zeros(0, np.uint8)
        self._heads: dict[int, tuple[Series, str | None, str]] = {}
        self._clients_total = 0
        self._readings = 0
        self._events = 0
        self._gone = _Gone()
        self.refused = 0
        self.too_slow = 0
        self.events_sent = 0

    # The intake's side

    def publish_readings(self, columns: Columns) -> None:
        """Readings as converted. Free when nobody watches; the arrays are copied, never kept."""
        if not self._feeds or not len(columns):
            return
        series = columns.series
        self._meet(series)
        self._ts_ms[series] = columns.ts_ms
        self._raw[series] = columns.raw
        self._value[series] = columns.value
        self._quality[series] = columns.quality
        self._tick += 1
        self._readings += len(series)
        for feed in self._feeds:
            feed.mark(series, self._tick)

    def publish_event(self, type: str, data: Mapping[str, object], correlation_id: str | None = None) -> None:
        """Anything but a reading: never coalesced, never dropped. `data` names its device as `esp_id` where
        it has one.

        Raises TypeError when `data` holds something that JSON does not know.
        """
        self._events += 1
        if not self._feeds:
            return
        esp_id = data.get("esp_id", data.get("device_id"))
        kind = data.get("sensor_type")
        device = esp_id if isinstance(esp_id, str) else None
        sensor_type = kind.lower() if isinstance(kind, str) else None
        text: str | None = None
        for feed in self._feeds:
            if any(wanted.admits(type, device, sensor_type) for wanted in feed.filters):
                text = text or self.envelope(type, data, correlation_id)
                feed.post(text)

    def envelope(self, type: str, data: Mapping[str, object], correlation_id: str | None = None) -> str:
        """One message to a client, as JSON text."""
        message: dict[str, object] = {
            "type": type,
            "event_type": type,
            "timestamp": int(self._now()),
            "data": data,
        }
        if correlation_id is not None:
            message["correlation_id"] = correlation_id
        return _json.encode(message).decode()

    # The connections' side

    def join(self, client_id: str, wake: Callable[[], None]) -> Feed:
        """A new client; it sees everything until it subscribes. Pair with `leave`."""
        feed = Feed(client_id, wake)
        feed.resize(self._wanted_by(feed.filters))
        self._feeds.append(feed)
        self._clients_total += 1
        return feed

    def leave(self, feed: Feed) -> None:
        self._feeds.remove(feed)
        self._gone.taken += feed.taken
        self._gone.coalesced += feed.coalesced

    def obey(self, feed: Feed, message: ClientMessage) -> None:
        """Change what a client sees. Raises Invalid when the change is refused (nothing changes then)."""
        feed.subscription = apply(feed.subscription, message)
        feed.filters = feed.subscription.filters()
        feed.resize(self._wanted_by(feed.filters))

    def take(self, feed: Feed, limit: int) -> list[str]:
        """At most `limit` sensor_data messages for a client, the longest-waiting series first."""
        ids = feed.take(limit)
        stamp = int(self._now())
        return [
            f'{self._head(series_id)}"value":{_value(value)},"raw_value":{_raw(raw)},'
            f'"quality":"{_QUALITY_WORDS[quality]}","timestamp":{ts_ms // 1000},"timestamp_ms":{ts_ms}}},'
            f'"timestamp":{stamp}}}'
            for series_id, value, raw, quality, ts_ms in zip(
                ids.tolist(),
                self._value[ids].tolist(),
                self._raw[ids].tolist(),
                self._quality[ids].tolist(),
                self._ts_ms[ids].tolist(),
                strict=True,
            )
        ]

    @property
    def clients(self) -> int:
        return len(self._feeds)

    def statistics(self) -> LiveStatistics:
        return LiveStatistics(
            clients=len(self._feeds),
            clients_total=self._clients_total,
            refused=self.refused,
            readings=self._readings,
            sent=self._gone.taken + sum(feed.taken for feed in self._feeds),
            coalesced=self._gone.coalesced + sum(feed.coalesced for feed in self._feeds),
            events=self._events,
            events_sent=self.events_sent,
            too_slow=self.too_slow,
            waiting=sum(feed.readings_waiting + feed.events_waiting for feed in self._feeds),
        )

    # Series

    def _meet(self, series: IndexArray) -> None:
        """Make room for series ids never seen, and learn what they are."""
        if int(series.max()) >= len(self._known):
            self._grow(max(64, 2 * (int(series.max()) + 1)))
        if self._known[series].all():
            return
        for series_id in np.unique(series[~self._known[series]]).tolist():
            key = self._catalog.get(series_id).key
            self._esp_code[series_id] = self._codes.setdefault(f"esp {key.esp_id}", len(self._codes))
            self._type_code[series_id] = self._codes.setdefault(f"type {key.value_type}", len(self._codes))
            self._known[series_id] = True
        for feed in self._feeds:
            feed.resize(self._wanted_by(feed.filters))

    def _grow(self, size: int) -> None:
        def longer(array: npt.NDArray[_T]) -> npt.NDArray[_T]:
            return np.concatenate([array, np.zeros(size - len(array), array.dtype)])

        self._known = longer(self._known)
        self._esp_code = longer(self._esp_code)
        self._type_code = longer(self._type_code)
        self._ts_ms = longer(self._ts_ms)
        self._raw = longer(self._raw)
        self._value = longer(self._value)
        self._quality = longer(self._quality)
        for feed in self._feeds:
            feed.resize(self._wanted_by(feed.filters))

    def _wanted_by(self, filters: tuple[Filter, ...]) -> BoolArray:
        wanted = np.zeros(len(self._known), np.bool_)
        for one in filters:
            if one.types is not None and SENSOR_DATA not in one.types:
                continue
            admitted = self._known.copy()
            if one.esp_ids is not None:
                admitted &= np.isin(self._esp_code, self._codes_of("esp", one.esp_ids))
            if one.sensor_types is not None:
                admitted &= np.isin(self._type_code, self._codes_of("type", one.sensor_types))
            wanted |= admitted
        return wanted

    def _codes_of(self, kind: str, words: frozenset[str]) -> list[int]:
        return [code for word in words if (code := self._codes.get(f"{kind} {word}")) is not None]

    def _head(self, series_id: int) -> str:
        """Everything of a message that stays the same, cached until the series or its zone changes."""
        series = self._catalog.get(series_id)
        zone = self._zone_of(series.key.esp_id)
        cached = self._heads.get(series_id)
        if cached is not None and cached[1] == zone and (cached[0] is series or cached[0] == series):
            return cached[2]
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
        head = f'{{"type":"{SENSOR_DATA}","event_type":"{SENSOR_DATA}","data":{fixed[:-1]},'
        self._heads[series_id] = (series, zone, head)
        return head


@attrs.define
class _Gone:
    """Counters of clients that have left."""

    taken: int = 0
    coalesced: int = 0


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
    """Counts are integers on the wire of the devices: they stay integers here."""
    if raw - raw != 0:
        return "null"
    return str(int(raw)) if raw == int(raw) and abs(raw) < 2**53 else repr(raw)
