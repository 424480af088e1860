"""CBOR frames between pool and worker: length-prefixed, number columns as RFC 8746 typed arrays.

Pure bytes in, values out. Imported by worker processes: must never import trio, attrs or another room.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

import cbor2
import numpy as np
import numpy.typing as npt

FLOAT64_LE: Final = 86
UINT8: Final = 64
INT32_LE: Final = 78
"""RFC 8746 section 2.1: the tag says element type and byte order; the content is the bytes of the array."""
_DTYPES: Final[Mapping[int, np.dtype[Any]]] = {
    FLOAT64_LE: np.dtype("<f8"),
    UINT8: np.dtype("u1"),
    INT32_LE: np.dtype("<i4"),
}

MAX_FRAME: Final = 64 * 1024 * 1024
"""A longer frame is a broken peer, not a batch: 65,536 rows of a library with twenty parameters are 12 MB."""
PREFIX: Final = struct.Struct("<I")


class FrameError(Exception):
    """The peer sent what is no frame."""


def encode(message: object) -> bytes:
    """A message (lists, str, numbers, `typed` columns) with its length in front."""
    body = cbor2.dumps(message)
    if len(body) > MAX_FRAME:
        raise FrameError(f"a frame of {len(body)} bytes exceeds {MAX_FRAME}")
    return PREFIX.pack(len(body)) + body


def decode(body: bytes | memoryview) -> Any:
    """The message of one frame without its prefix. Raises FrameError."""
    try:
        return cbor2.loads(body)
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError) as error:
        raise FrameError(f"not CBOR: {error}") from error


def body_length(prefix: bytes | bytearray | memoryview) -> int:
    """Bytes that follow the prefix. Raises FrameError."""
    (length,) = PREFIX.unpack_from(prefix)
    if length > MAX_FRAME:
        raise FrameError(f"a frame of {length} bytes exceeds {MAX_FRAME}")
    return int(length)


def floats(column: npt.NDArray[np.float64] | bytes) -> cbor2.CBORTag:
    return cbor2.CBORTag(
        FLOAT64_LE, column if isinstance(column, bytes) else column.astype("<f8", copy=False).tobytes()
    )


def bytes_column(column: npt.NDArray[np.uint8]) -> cbor2.CBORTag:
    return cbor2.CBORTag(UINT8, column.tobytes())


def ints(column: npt.NDArray[np.int32]) -> cbor2.CBORTag:
    return cbor2.CBORTag(INT32_LE, column.astype("<i4", copy=False).tobytes())


def array(tagged: Any, tag: int) -> npt.NDArray[Any]:
    """The read-only array of a typed-array item. Raises FrameError when it is something else."""
    if not isinstance(tagged, cbor2.CBORTag) or tagged.tag != tag or not isinstance(tagged.value, bytes):
        raise FrameError(f"expected typed array {tag}, got {type(tagged).__name__}")
    try:
        return np.frombuffer(tagged.value, _DTYPES[tag])
    except ValueError as error:
        raise FrameError(f"typed array {tag}: {error}") from error
