"""Float columns to bytes and back, losslessly, as the integers they nearly always are.

Sensors count and people round: a raw value is an integer or a short decimal, and a converted value is a
straight line through the raw one, rounded. So a column is kept as scaled integers, or, when a partner column is
given, as what is left after the line. Anything else (NaN, infinities, -0.0, full-precision results) is kept by
its bits. Must never change a bit.

The line is evaluated by separate IEEE multiplications and additions, which give the same bits on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from growy.model.reading import ByteArray, FloatArray, IntArray
from growy.store.integers import pack, read_varint, unpack, varint

_NONE, _DECIMAL, _BITS = 0, 1, 2
_PLAIN, _LINE = 0, 1
_EXACT = float(1 << 52)
_LINE_FROM = 16
"""Fewer rows than this do not pay for the two coefficients of a line."""
_DIGITS = (0, 1, 2, 3, 4, 6, 8)
_TEN = np.array([1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8])
_NAN_BITS = int(np.array([np.nan]).view(np.int64)[0])


def pack_floats(
    column: FloatArray, partner: FloatArray | None = None, group: IntArray | None = None
) -> bytes:
    """Bytes of a float64 column.

    Args:
        column: the values; the usual NaN stands for "none" and costs a bit.
        partner: a column that may determine this one (the raw values), known again when unpacking.
        group: which rows are alike (converted by the same function): 0..g-1. Each group has its own number of
            decimals and its own line.
    """
    bits = column.view(np.int64)
    kind = np.full(len(column), _DECIMAL, np.int64)
    kind[bits == _NAN_BITS] = _NONE
    scaled, digits, decimal = _decimals(column, kind == _DECIMAL, group)
    kind[(kind == _DECIMAL) & ~decimal] = _BITS
    parts = [_framed(pack(kind)), _framed(bytes(digits))]
    for one, target in ((_DECIMAL, scaled), (_BITS, bits)):
        rows = kind == one
        parts.append(_framed(_with_line(target[rows], _of(partner, rows), _of(group, rows), one == _BITS)))
    return b"".join(parts)


def unpack_floats(
    buffer: bytes, n: int, partner: FloatArray | None = None, group: IntArray | None = None
) -> FloatArray:
    """The column of `n` floats that `pack_floats` made `buffer` of, given the same partner and group."""
    body, at = _unframed(buffer, 0)
    kind = unpack(body, n)
    body, at = _unframed(buffer, at)
    scales = _TEN[np.frombuffer(body, np.uint8)]
    column = np.full(n, np.nan)
    body, at = _unframed(buffer, at)
    rows = kind == _DECIMAL
    if rows.any():
        scaled = _without_line(body, int(rows.sum()), _of(partner, rows), _of(group, rows), False)
        column[rows] = scaled / (scales[0] if group is None else scales[group[rows]])
    body, at = _unframed(buffer, at)
    rows = kind == _BITS
    if rows.any():
        bits = _without_line(body, int(rows.sum()), _of(partner, rows), _of(group, rows), True)
        column[rows] = bits.view(np.float64)
    return column


def _of(column: npt.NDArray[Any] | None, rows: npt.NDArray[np.bool_]) -> npt.NDArray[Any] | None:
    return None if column is None else column[rows]


def _framed(body: bytes) -> bytes:
    return varint(len(body)) + body


def _unframed(buffer: bytes, at: int) -> tuple[bytes, int]:
    length, at = read_varint(buffer, at)
    return buffer[at : at + length], at + length


def _decimals(
    column: FloatArray, asked: npt.NDArray[np.bool_], group: IntArray | None
) -> tuple[IntArray, ByteArray, npt.NDArray[np.bool_]]:
    """Integers m and digits d (per group) with m / 10^d == value to the bit, and for which rows that holds."""
    usable = asked & (np.abs(column) < _EXACT)
    finite = np.where(usable, column, 0.0)
    index = np.zeros(len(column), np.int64) if group is None else group
    groups = int(index.max()) + 1 if len(index) else 1
    wanted = np.bincount(index[usable], minlength=groups)
    most = np.full(groups, -1, np.int64)
    digits = np.zeros(groups, np.uint8)
    scaled = np.zeros(len(column), np.int64)
    exact = np.zeros(len(column), np.bool_)
    for candidate in _DIGITS:
        scale = 10.0**candidate
        rounded = np.rint(finite * scale)
        fits = usable & (np.abs(rounded) < _EXACT)
        # -0.0 becomes 0 in the cast, and so fails the comparison of bits.
        whole = np.where(fits, rounded, 0.0).astype(np.int64)
        holds = fits & ((whole / scale).view(np.int64) == column.view(np.int64))
        count = np.bincount(index[holds], minlength=groups)
        better = count > most
        digits[better], most = candidate, np.maximum(most, count)
        rows = better[index]
        scaled[rows], exact[rows] = whole[rows], holds[rows]
        if bool((most == wanted).all()):
            break
    return scaled, digits, exact


def _predict(line: FloatArray, partner: FloatArray, group: IntArray | None, bitwise: bool) -> IntArray | None:
    """What the line says, as the integers it is compared with; None where it leaves their range."""
    slope, offset = (line[0], line[1]) if group is None else (line[0][group], line[1][group])
    with np.errstate(over="ignore", invalid="ignore"):
        says = slope * partner + offset
    if bitwise:
        bits: IntArray = says.view(np.int64)
        return bits
    rounded: FloatArray = np.rint(says)
    return rounded.astype(np.int64) if bool((np.abs(rounded) < _EXACT).all()) else None


def _fit(target: FloatArray, partner: FloatArray, group: IntArray | None) -> FloatArray | None:
    """Least squares, one line per group: shape (2, groups), slopes and offsets. None without numbers to fit."""
    index = np.zeros(len(target), np.int64) if group is None else group
    counts = np.maximum(np.bincount(index), 1)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        x0 = np.bincount(index, partner) / counts
        y0 = np.bincount(index, target) / counts
        dx = partner - x0[index]
        spread = np.bincount(index, dx * dx)
        slope = np.where(spread > 0, np.bincount(index, dx * (target - y0[index])) / spread, 0.0)
        line = np.array([slope, y0 - slope * x0])
    return line if bool(np.isfinite(line).all()) else None


def _with_line(target: IntArray, partner: FloatArray | None, group: IntArray | None, bitwise: bool) -> bytes:
    if len(target) == 0:
        return b""
    plain = bytes((_PLAIN,)) + pack(target)
    if partner is None or len(target) < _LINE_FROM:
        return plain
    line = _fit(target.view(np.float64) if bitwise else target.astype(np.float64), partner, group)
    says = None if line is None else _predict(line, partner, group, bitwise)
    if line is None or says is None:
        return plain
    lined = bytes((_LINE,)) + varint(line.shape[1]) + line.astype("<f8").tobytes() + pack(target - says)
    return lined if len(lined) < len(plain) else plain


def _without_line(
    body: bytes, n: int, partner: FloatArray | None, group: IntArray | None, bitwise: bool
) -> IntArray:
    if body[0] == _PLAIN:
        return unpack(body[1:], n)
    if partner is None:
        raise ValueError("float column needs its partner")
    lines, at = read_varint(body, 1)
    line = np.frombuffer(body, "<f8", 2 * lines, at).reshape(2, lines)
    says = _predict(line, partner, group, bitwise)
    if says is None:
        raise ValueError("float column is damaged: its line leaves the range")
    return unpack(body[at + 16 * lines :], n) + says
