"""Readings by the handful, for the store's tests."""

from __future__ import annotations

import numpy as np

from growy.model.reading import NO_SEQ, Bus, Columns, SeriesKey

T0 = 1_767_225_600_000


def readings(
    series: int | list[int],
    ts: object,
    value: object,
    *,
    quality: object = 1,
    raw: object = 5.0,
    rx: object = None,
    conversion: object = 0,
) -> Columns:
    """Columns with scalars spread over all rows."""
    n = len(np.atleast_1d(np.asarray(ts)))

    def spread(what: object) -> np.ndarray:
        return np.broadcast_to(np.asarray(what), (n,))

    ts = spread(ts)
    return Columns.of(
        spread(series),
        ts,
        ts + 40 if rx is None else spread(rx),
        spread(raw),
        spread(value),
        spread(quality),
        spread(NO_SEQ),
        spread(0),
        spread(conversion),
    )


def key(number: int = 1, kind: str = "ds18b20") -> SeriesKey:
    return SeriesKey(f"ESP_{number:06X}", Bus.ONEWIRE, "28FF641E8216C3A1", kind)


def same(left: Columns, right: Columns) -> bool:
    """Equal to the last bit, NaN and -0.0 included."""
    return all(
        getattr(left, name).dtype == getattr(right, name).dtype
        and getattr(left, name).tobytes() == getattr(right, name).tobytes()
        for name in ("series", "ts_ms", "rx_ms", "raw", "value", "quality", "seq", "source", "conversion")
    )
