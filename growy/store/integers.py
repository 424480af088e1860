"""Integer columns to bytes and back: delta, frame of reference, common divisor, then packed bits or deflate.

Lossless for every int64 array (differences wrap modulo 2^64 and wrap back). Knows nothing of readings; must
never
guess: a buffer that is not what `pack` wrote raises `ValueError`.

A sensor's column is one of three things: constant (a quality), regular (a clock, a counter) or a walk with
noise. The first two cost a few bytes whatever their length. For the noise, packed bits win when it is even and
deflate's Huffman code when it has tails, so the smaller of the two is kept."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from growy.model.reading import IntArray

UnsignedArray = npt.NDArray[np.uint64]

_CONSTANT, _BITS, _DEFLATE = 0, 1, 2
_DEFLATE_FROM = 32
"""Shorter columns are not worth deflate's code table."""


def varint(value: int) -> bytes:
    """LEB128 of a non-negative integer."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(buffer: bytes, at: int) -> tuple[int, int]:
    """The integer at `at`, and where it ends."""
    value = shift = 0
    while True:
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("varint longer than 64 bits")


def zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def unzigzag(value: int) -> int:
    return value >> 1 if not value & 1 else -((value + 1) >> 1)


def _tie(column: IntArray) -> float:
    """About how many bits the column costs: robust against the few large jumps that gaps make."""
    off = column - column[len(column) >> 1]
    return float(np.log2(np.abs(off.astype(np.float64)) + 1.0).sum())


def pack(column: IntArray) -> bytes:
    """Bytes of an int64 column. Needs its length to be known when unpacked."""
    n = len(column)
    if n == 0:
        return b""
    order, rest = 0, column
    heads: tuple[int, ...] = ()
    if n > 1:
        low, high = int(column.min()), int(column.max())
        if low == high:
            return bytes((_CONSTANT,)) + varint(zigzag(low))
        once = column[1:] - column[:-1]
        costs = [_tie(column), _tie(once) + 16.0]
        twice = once[1:] - once[:-1] if n > 2 else once
        if n > 2:
            costs.append(_tie(twice) + 32.0)
        order = min(range(len(costs)), key=costs.__getitem__)
        if order == 1:
            heads, rest = (int(column[0]),), once
        elif order == 2:
            heads, rest = (int(column[0]), int(once[0])), twice
    base = int(rest.min())
    above = (rest - np.int64(base)).view(np.uint64)
    peak = int(above.max())
    divisor = 1
    if peak > 1:
        divisor = int(np.gcd.reduce(above))
        if divisor > 1:
            above = above // np.uint64(divisor)
            peak //= divisor
    width = peak.bit_length()
    mode, body = _BITS, b"" if width == 0 else _pack_bits(above, width)
    if width > 2 and n >= _DEFLATE_FROM:
        smaller = _deflate(above, width)
        if len(smaller) < len(body):
            mode, body = _DEFLATE, smaller
    parts = [bytes((mode | order << 2,)), *(varint(zigzag(head)) for head in heads), varint(zigzag(base))]
    parts += [varint(divisor), bytes((width,)), body]
    return b"".join(parts)


def unpack(buffer: bytes, n: int) -> IntArray:
    """The column of `n` integers that `pack` made `buffer` of.

    Raises:
        ValueError: the buffer is damaged.
    """
    if n == 0:
        return np.empty(0, np.int64)
    try:
        mode, order, at = buffer[0] & 3, buffer[0] >> 2, 1
        if mode == _CONSTANT:
            return np.full(n, unzigzag(read_varint(buffer, at)[0]), np.int64)
        heads: list[int] = []
        for _ in range(order):
            head, at = read_varint(buffer, at)
            heads.append(unzigzag(head))
        base, at = read_varint(buffer, at)
        divisor, at = read_varint(buffer, at)
        width = buffer[at]
        above = (
            _inflate(buffer[at + 1 :], n - order, width)
            if mode == _DEFLATE
            else _unpack_bits(buffer, at + 1, n - order, width)
        )
    except (IndexError, OverflowError, zlib.error) as error:
        raise ValueError(f"integer column is damaged: {error}") from error
    if divisor > 1:
        above = above * np.uint64(divisor)
    column = above.view(np.int64) + np.int64(unzigzag(base))
    for start in reversed(heads):
        whole = np.empty(len(column) + 1, np.int64)
        whole[0] = start
        whole[1:] = column
        column = np.cumsum(whole)
    return column


def _lanes(width: int) -> int:
    return 1 if width <= 8 else 2 if width <= 16 else 4 if width <= 32 else 8


def _pack_bits(above: UnsignedArray, width: int) -> bytes:
    lanes = _lanes(width)
    octets = above.astype(f">u{lanes}").view(np.uint8).reshape(-1, lanes)
    return np.packbits(np.unpackbits(octets, axis=1)[:, 8 * lanes - width :]).tobytes()


def _unpack_bits(buffer: bytes, at: int, n: int, width: int) -> UnsignedArray:
    if width == 0:
        return np.zeros(n, np.uint64)
    lanes = _lanes(width)
    octets = np.frombuffer(buffer, np.uint8, (n * width + 7) // 8, at)
    bits = np.zeros((n, 8 * lanes), np.uint8)
    bits[:, 8 * lanes - width :] = np.unpackbits(octets, count=n * width).reshape(n, width)
    return np.packbits(bits, axis=1).view(f">u{lanes}").reshape(n).astype(np.uint64)


def _deflate(above: UnsignedArray, width: int) -> bytes:
    """Byte planes (all low bytes first), so that the quiet high bytes cost next to nothing."""
    lanes = (width + 7) // 8
    planes = above.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :lanes].T.tobytes()
    press = zlib.compressobj(6, zlib.DEFLATED, -13, 8, zlib.Z_FILTERED)
    return press.compress(planes) + press.flush()


def _inflate(body: bytes, n: int, width: int) -> UnsignedArray:
    lanes = (width + 7) // 8
    planes = zlib.decompress(body, -13, n * lanes)
    if len(planes) != n * lanes:
        raise ValueError("integer column is damaged: wrong length")
    octets = np.zeros((n, 8), np.uint8)
    octets[:, :lanes] = np.frombuffer(planes, np.uint8).reshape(lanes, n).T
    return octets.view("<u8").reshape(n)
