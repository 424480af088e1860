"""What is done around a library's `convert`, for every library alike: parameters, correction, rounding, range,
quality.

Runs in worker processes (and in the self-test there); must never import trio, attrs or another room, and never trusts
what a library returns. Sources: none; a value that is not physically possible for its output is no value (NaN) with
quality error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from growy.sensors.declarations import numbers, refuse_setting, settle
from sensor_libs import (
    ERROR,
    GOOD,
    STALE,
    UNKNOWN,
    Check,
    Converted,
    FloatArray,
    Library,
    Output,
    Params,
    QualityArray,
)

Inputs: TypeAlias = FloatArray | Mapping[str, FloatArray]
"""Raw values, or for a derived output one column per input."""
Convert: TypeAlias = Callable[[Any, Params], Converted]

_WORST: Final = ERROR
_VALUELESS: Final = (UNKNOWN, STALE)
"""A library may say these of a row without value; everything else without value is an error."""


class LibraryFault(Exception):
    """The library did what it must not: the message says what."""


class LoadedLibrary:
    """A library's code and declaration, ready to convert."""

    __slots__ = ("_index", "_outputs", "library")

    def __init__(self, library: Library, convert: Convert | None, derive: Convert | None) -> None:
        self.library = library
        self._index = {name: index for index, name in enumerate(numbers(library))}
        self._outputs: dict[str, tuple[Output, Convert]] = {}
        for output in library.outputs:
            function, name = (derive, "derive") if output.inputs else (convert, "convert")
            if not callable(function):
                raise LibraryFault(
                    f"{output.type} needs a function {name}({'inputs' if output.inputs else 'raw'}, params)"
                )
            self._outputs[output.type] = (output, function)

    def apply(
        self,
        type: str,
        raw: Inputs,
        words: Mapping[str, str],
        table: FloatArray,
        which: npt.NDArray[np.int32] | None = None,
        live: Mapping[str, FloatArray] | None = None,
    ) -> tuple[FloatArray, QualityArray, str]:
        """Convert one group.

        Args:
            type: canonical type of the output.
            raw: shape (n,), or a mapping of them for a derived output.
            words: the choices.
            table: shape (k, columns): one line per distinct set of numbers.
            which: shape (n,): the line of each row; None where k is 1.
            live: numbers known only now (a temperature beside a pressure), shape (n,); NaN: the table's.

        Returns:
            value float64 (NaN: none), quality uint8, why rows have no value where the library said so.

        Raises:
            LibraryFault: the library broke its promise. Whatever else it raises passes through.
        """
        output, function = self._outputs[type]
        first = next(iter(raw.values())) if isinstance(raw, Mapping) else raw
        n = len(first)
        params = Params(type, _Columns(self._index, table, which, live or {}, n), words)
        # Division by zero and overflow give inf and NaN, which become "no value" below; no library may change that
        # for the next.
        with np.errstate(all="ignore"):
            converted = function(raw, params)
            return self._frame(output, params, converted, n)

    def _frame(
        self, output: Output, params: Params, converted: Converted, n: int
    ) -> tuple[FloatArray, QualityArray, str]:
        if not isinstance(converted, Converted):
            raise LibraryFault(f"returned {type(converted).__name__}, not Converted")
        value = np.asarray(converted.value, np.float64)
        if value.shape != (n,):
            raise LibraryFault(f"returned values of shape {value.shape} for {n} raw values")
        gain, offset = params.number("calibration_gain"), params.number("calibration_offset")
        # One line for all: the common case needs no arithmetic at all.
        if gain.strides != (0,) or (n and (gain[0] != 1.0 or offset[0] != 0.0)):
            value = _corrected(output, value, gain, offset)
        scale = (
            10.0**output.decimals
        )  # as np.round does it, without its checks: half of the time of a small batch
        value = np.rint(value * scale) / scale + 0.0  # + 0.0: no negative zero reaches a grower
        usable = (value >= output.low) & (value <= output.high)  # NaN and inf compare false
        if converted.quality is None:
            quality = np.where(usable, np.uint8(GOOD), np.uint8(ERROR))
            np.copyto(value, math.nan, where=~usable)
            return value, quality, str(converted.reason)
        said = np.asarray(converted.quality)
        if said.shape != (n,) or said.dtype != np.uint8:
            raise LibraryFault(
                f"returned quality of shape {said.shape} and type {said.dtype}, not uint8 ({n},)"
            )
        if n and int(said.max()) > _WORST:
            raise LibraryFault(f"returned quality {int(said.max())}; the worst is {_WORST}")
        valueless = ~usable | (said == ERROR)
        np.copyto(value, math.nan, where=valueless)
        quality = np.where(valueless, np.uint8(ERROR), said)
        for word in _VALUELESS:
            # "Stale" of a row without value is the library's word; of a value out of range it would hide the fault.
            np.copyto(quality, np.uint8(word), where=(said == word) & np.isnan(converted.value))
        return value, quality, str(converted.reason)


def _corrected(output: Output, value: FloatArray, gain: FloatArray, offset: FloatArray) -> FloatArray:
    """gain * value + offset. What was possible before does not pass a limit of nature by it: 99 %RH and an offset of
    2 are saturated air, a dark night and an offset of -5 lux are dark; neither is a fault of the sensor."""
    corrected = value * gain + offset
    if output.low == 0:
        np.copyto(corrected, 0.0, where=(corrected < 0) & (value >= 0))
    if output.high == 100 and output.unit.startswith("%"):
        np.copyto(corrected, 100.0, where=(corrected > 100) & (value <= 100))
    return corrected


class _Columns(Mapping[str, FloatArray]):
    """The numbers of one call by name, gathered when they are asked for: of twenty a call may need two."""

    __slots__ = ("_gathered", "_index", "_live", "_rows", "_table", "_which")

    def __init__(
        self,
        index: Mapping[str, int],
        table: FloatArray,
        which: npt.NDArray[np.int32] | None,
        live: Mapping[str, FloatArray],
        rows: int,
    ) -> None:
        self._index = index
        self._table = np.ascontiguousarray(table)
        self._which = which
        self._live = live
        self._rows = rows
        self._gathered: dict[str, FloatArray] = {}

    def __getitem__(self, name: str) -> FloatArray:
        column = self._gathered.get(name)
        if column is None:
            column = self._gathered[name] = self._gather(name)
        return column

    def _gather(self, name: str) -> FloatArray:
        index = self._index[name]
        column: FloatArray
        if self._which is None:
            # A stride of zero: one number for all rows costs neither memory nor a gather (broadcast_to takes 6 µs).
            column = np.ndarray((self._rows,), np.float64, self._table, 8 * index, (0,))
            column.flags.writeable = False
        else:
            column = self._table[:, index].take(self._which)
        live = self._live.get(name)
        return column if live is None else np.where(np.isnan(live), column, live)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)


def self_test(loaded: LoadedLibrary, checks: tuple[Check, ...]) -> None:
    """Run the declared checks, then odd raw values through every output. Raises LibraryFault naming the first that
    fails."""
    library = loaded.library
    for number, check in enumerate(checks, 1):
        type = check.type or library.outputs[0].type
        value, quality = _one(loaded, type, check)
        said = f"check {number} ({type}, raw {check.raw}): "
        if check.value is None:
            if not math.isnan(value):
                raise LibraryFault(f"{said}no value expected, got {value:g}")
        elif not abs(value - check.value) <= check.tolerance:
            raise LibraryFault(f"{said}{check.value:g} expected within {check.tolerance:g}, got {value:g}")
        if check.quality is not None and quality != check.quality:
            raise LibraryFault(f"{said}quality {check.quality} expected, got {quality}")
    odd = np.array([0.0, -1.0, 1.0, 1000.0, 65535.0, 2.0**32 - 1, -(2.0**31), math.nan])
    numbers_, words = settle(library, {}, {})
    table = np.array([list(numbers_.values())])
    for output in library.outputs:
        raw: Inputs = dict.fromkeys(output.inputs, odd) if output.inputs else odd
        loaded.apply(output.type, raw, words, table)


def _one(loaded: LoadedLibrary, type: str, check: Check) -> tuple[float, int]:
    library = loaded.library
    try:
        output = library.output(type)
    except KeyError:
        raise LibraryFault(f"a check is for {type!r}, which is no output of {library.name}") from None
    for name, setting in check.params.items():
        refused = refuse_setting(library, name, setting)
        if refused:
            raise LibraryFault(f"a check for {type}: {refused}")
    words = {name: setting for name, setting in check.params.items() if isinstance(setting, str)}
    given = {name: float(setting) for name, setting in check.params.items() if not isinstance(setting, str)}
    numbers_, words = settle(library, words, given)
    if isinstance(check.raw, Mapping) != bool(output.inputs):
        raise LibraryFault(
            f"a check for {type} needs " + ("a value for each input" if output.inputs else "one raw value")
        )
    raw: Inputs = (
        {name: np.array([float(one)]) for name, one in check.raw.items()}
        if isinstance(check.raw, Mapping)
        else np.array([float(check.raw)])
    )
    value, quality, _ = loaded.apply(type, raw, words, np.array([list(numbers_.values())]))
    return float(value[0]), int(quality[0])
