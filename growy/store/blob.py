"""Readings to one blob and back: the form of a journal row (many series) and of a chunk (one series).

    byte 0      format: 1 plain, 2 columnar; + 0x80 when the series is not stored (a chunk)
    bytes 1-4   CRC-32 of the rest, little endian
    varint      number of readings
    plain       deflated byte planes of all columns: quick, for small commits
    columnar    varint length + bytes of: series, ts, rx - ts, raw, conversion, value, quality, seq, source

Lossless, rows in the order given. A blob whose CRC does not fit raises `StoreError`: a reading is never made
up."""

from __future__ import annotations

import zlib

import numpy as np

from growy.model.errors import StoreError
from growy.model.reading import ByteArray, Columns, FloatArray, IntArray
from growy.store.floats import pack_floats, unpack_floats
from growy.store.integers import pack, read_varint, unpack, varint

_PLAIN, _COLUMNAR, _ONE_SERIES = 1, 2, 0x80
_PLAIN_BELOW = 64
"""Smaller commits are coded in one go: 60 microseconds instead of 400, and a page is written in any case."""

_ROW = np.dtype(
    [
        ("series", "<i4"),
        ("ts_ms", "<i8"),
        ("rx_ms", "<i8"),
        ("raw", "<f8"),
        ("value", "<f8"),
        ("quality", "u1"),
        ("seq", "<i8"),
        ("source", "u1"),
        ("conversion", "<i4"),
    ]
)
_FIELDS = ("series", "ts_ms", "rx_ms", "raw", "value", "quality", "seq", "source", "conversion")
_CURE = "Restore the folder from a backup, or let the daemon go on without these readings"


def encode(columns: Columns, *, one_series: bool = False) -> bytes:
    """The blob of `columns`. With `one_series` the series id is left out: the reader knows it."""
    plain = len(columns) < _PLAIN_BELOW and not one_series
    body = varint(len(columns)) + (_plain(columns) if plain else _columnar(columns, one_series))
    form = (_PLAIN if plain else _COLUMNAR) | (_ONE_SERIES if one_series else 0)
    return bytes((form,)) + zlib.crc32(body).to_bytes(4, "little") + body


def decode(blob: bytes, series_id: int | None = None, *, numbered: bool = True) -> Columns:
    """The readings of a blob; `series_id` for a chunk's.

    Args:
        numbered: False: `seq` and `source` are not wanted, and are 0 in the answer.

    Raises:
        StoreError: the blob is damaged.
    """
    form, body, at, n = _opened(blob)
    try:
        if form & ~_ONE_SERIES == _PLAIN:
            return _read_plain(body, at, n)
        parts = _parts(body, at)
        _check_format(form, parts, n)
        if form & _ONE_SERIES:
            series = np.full(n, -1 if series_id is None else series_id, np.int32)
        else:
            series = unpack(parts[0], n).astype(np.int32)
        ts_ms = unpack(parts[1], n)
        raw = unpack_floats(parts[3], n)
        conversion = unpack(parts[4], n)
        return Columns(
            series=series,
            ts_ms=ts_ms,
            rx_ms=ts_ms + unpack(parts[2], n),
            raw=raw,
            value=unpack_floats(parts[5], n, raw, _group(conversion)),
            quality=unpack(parts[6], n).astype(np.uint8),
            seq=unpack(parts[7], n) if numbered else np.zeros(n, np.int64),
            source=unpack(parts[8], n).astype(np.uint8) if numbered else np.zeros(n, np.uint8),
            conversion=conversion.astype(np.int32),
        )
    except (ValueError, IndexError) as error:
        raise StoreError(f"a block of readings is damaged: {error}", cure=_CURE) from error


def decode_values(blob: bytes) -> tuple[IntArray, FloatArray, ByteArray]:
    """Only ts_ms, value and quality of a chunk: what a chart needs, at half the work of `decode`."""
    _, body, at, n = _opened(blob)
    try:
        parts = _parts(body, at)
        value = unpack_floats(parts[5], n, unpack_floats(parts[3], n), _group(unpack(parts[4], n)))
        return unpack(parts[1], n), value, unpack(parts[6], n).astype(np.uint8)
    except (ValueError, IndexError) as error:
        raise StoreError(f"a block of readings is damaged: {error}", cure=_CURE) from error


def _opened(blob: bytes) -> tuple[int, bytes, int, int]:
    body = blob[5:]
    if len(blob) < 6 or zlib.crc32(body) != int.from_bytes(blob[1:5], "little"):
        raise StoreError("a block of readings is damaged: its checksum does not fit", cure=_CURE)
    if blob[0] & ~_ONE_SERIES not in (_PLAIN, _COLUMNAR):
        raise StoreError(f"a block of readings is damaged: unknown format {blob[0]}", cure=_CURE)
    n, at = read_varint(body, 0)
    return blob[0], body, at, n


def _columnar(columns: Columns, one_series: bool) -> bytes:
    ts_ms = columns.ts_ms
    conversion = columns.conversion.astype(np.int64)
    parts = (
        b"" if one_series else pack(columns.series.astype(np.int64)),
        pack(ts_ms),
        pack(columns.rx_ms - ts_ms),
        pack_floats(columns.raw),
        pack(conversion),
        pack_floats(columns.value, columns.raw, _group(conversion)),
        pack(columns.quality.astype(np.int64)),
        pack(columns.seq),
        pack(columns.source.astype(np.int64)),
    )
    return b"".join(varint(len(part)) + part for part in parts)


def _check_format(form: int, parts: list[bytes], n: int) -> None:
    """The checksum does not cover the format: one bit of it would give all readings to another series."""
    if n and bool(form & _ONE_SERIES) == bool(parts[0]):
        raise ValueError("its format does not fit its content")


def _parts(body: bytes, at: int) -> list[bytes]:
    parts = []
    while at < len(body):
        length, at = read_varint(body, at)
        parts.append(body[at : at + length])
        at += length
    return parts


def _group(conversion: IntArray) -> IntArray | None:
    """Rows converted alike lie on one line: an index per row, None when there is one group."""
    if len(conversion) == 0 or bool((conversion == conversion[0]).all()):
        return None
    return np.unique(conversion, return_inverse=True)[1].astype(np.int64)


def _plain(columns: Columns) -> bytes:
    rows = np.empty(len(columns), _ROW)
    for name in _FIELDS:
        rows[name] = getattr(columns, name)
    octets = rows.view(np.uint8).reshape(len(columns), _ROW.itemsize)
    press = zlib.compressobj(1, zlib.DEFLATED, -12, 5)
    return press.compress(octets.T.tobytes()) + press.flush()


def _read_plain(body: bytes, at: int, n: int) -> Columns:
    try:
        octets = zlib.decompress(body[at:], -12, n * _ROW.itemsize)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    lanes = np.frombuffer(octets, np.uint8).reshape(_ROW.itemsize, n)
    rows = np.ascontiguousarray(lanes.T).view(_ROW).reshape(n)
    return Columns(*(np.ascontiguousarray(rows[name]) for name in _FIELDS))
