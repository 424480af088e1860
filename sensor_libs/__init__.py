"""What a sensor library declares itself with. Everything a library may import: this module and numpy; never growy.

A library is one Python file with a `LIBRARY` and a `convert` function (or `derive`, for values computed from other
series). `my_probe.py`::

    from sensor_libs import Check, Converted, FloatArray, Library, Number, Output, Params

    LIBRARY = Library(
        name="my_probe", version="1.0.0",
        outputs=(Output("my_probe", aliases=("myprobe",), unit="°C", quantity="temperature", low=-40, high=85),),
        parameters={"scale": Number(0.1, unit="°C")},
        checks=(Check(raw=215, value=21.5),),
    )

    def convert(raw: FloatArray, params: Params) -> Converted:
        return Converted(raw * params["scale"])

Put the file into the library folder of growyd and it is in use within two seconds; no restart.

What a library need not do, because it is done for all of them around `convert`: the correction by an offset or
two-point calibration, the range of the output (outside: no value, quality error), rounding to the output's decimals,
NaN and infinity (no value, quality error), null on the wire.

These are stdlib dataclasses and not attrs, because every worker process imports them and nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
QualityArray: TypeAlias = npt.NDArray[np.uint8]

UNKNOWN: Final = 0
GOOD: Final = 1
FAIR: Final = 2
POOR: Final = 3
SUSPECT: Final = 4
STALE: Final = 5
ERROR: Final = 6
"""How far a *measurement* can be trusted; the numbers of the store. Never an agronomic verdict: a dark night is good
light data, 98 %RH is good."""

MISSING: Final = math.nan
"""Default of a number that nobody can guess (a trim constant, a live temperature). The library sees NaN."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MAX_DECIMALS = 9


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric parameter. `convert` gets it as one value per row, because every sensor has its own.

    Args:
        default: used where nobody has said otherwise; `MISSING` where there is no honest default.
        unit: for people.
        low, high: what may be set, both included.
        doc: one line for people.
    """

    default: float = MISSING
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    doc: str = ""

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        if not math.isnan(self.default) and not self.low <= self.default <= self.high:
            raise ValueError(f"default {self.default} is outside {self.low}..{self.high}")


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter that is one of some words. `convert` gets one word for the whole batch: rows are grouped by it.

    Args:
        values: the words; or a mapping of each word to the numbers that it sets unless they are set on their own
            (a board profile is a name for its constants).
        default: one of the words.
        doc: one line for people.
    """

    values: Mapping[str, Mapping[str, float]] | Sequence[str]
    default: str
    doc: str = ""

    def __post_init__(self) -> None:
        if self.default not in self.values:
            raise ValueError(f"default {self.default!r} is none of {', '.join(self.values)}")

    def presets(self, word: str) -> Mapping[str, float]:
        """The numbers that this word sets."""
        return self.values[word] if isinstance(self.values, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Output:
    """One value type that a library makes.

    Args:
        type: canonical name, as in `sensor_type` on the wire.
        unit, quantity: of the value ("°C", "temperature").
        low, high: physically possible values, both included; anything else has no value and quality error.
        decimals: values are rounded to so many: more is noise, and decimal values take far less room on disk.
        aliases: other names; or a mapping of each to the settings that it stands for (`bh1750`: the BH1750's raw
            count).
        inputs: for a derived value: the quantities it is computed from.
        doc: one line for people: what `raw` is.
    """

    type: str
    unit: str
    quantity: str
    low: float
    high: float
    decimals: int = 2
    aliases: Mapping[str, Mapping[str, float | str]] | Sequence[str] = ()
    inputs: tuple[str, ...] = ()
    doc: str = ""

    def __post_init__(self) -> None:
        for name in (self.type, *self.aliases):
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"type {name!r} must be lower-case letters, digits and _, beginning with a letter"
                )
        if not self.low < self.high:
            raise ValueError(f"{self.type}: low {self.low} is not below high {self.high}")
        if not 0 <= self.decimals <= _MAX_DECIMALS:
            raise ValueError(f"{self.type}: decimals must be 0..{_MAX_DECIMALS}, is {self.decimals}")

    def implied(self, name: str) -> Mapping[str, float | str]:
        """The settings that an alias stands for."""
        return self.aliases.get(name, {}) if isinstance(self.aliases, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a library's self-test: what the datasheet says. A new version serves only when all its checks hold.

    Args:
        raw: the raw value; for a derived output a mapping of input name to value.
        value: what must come out, within `tolerance`; None: no value.
        quality: what must come out, or None for any.
        type: the output; default the library's first.
        params: settings as a grower would write them.
    """

    raw: float | Mapping[str, float]
    value: float | None
    tolerance: float = 1e-9
    quality: int | None = None
    type: str = ""
    params: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Library:
    """The declaration of a library: the module's `LIBRARY`.

    Args:
        name: of the file without `.py`.
        version: the author's; growyd adds a hash of the content, so that every change is told apart.
        outputs: the value types it makes.
        parameters: name -> Number or Choice.
        checks: the self-test.
        doc: one line for people.
    """

    name: str
    version: str
    outputs: tuple[Output, ...]
    parameters: Mapping[str, Number | Choice] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    doc: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name {self.name!r} must be lower-case letters, digits and _, beginning with a letter"
            )
        if not self.outputs:
            raise ValueError(f"{self.name} declares no outputs")
        names = [name for output in self.outputs for name in (output.type, *output.aliases)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{self.name} declares twice: {', '.join(twice)}")
        for name, parameter in self.parameters.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"parameter {name!r} must be lower-case letters, digits and _")
            if isinstance(parameter, Choice):
                self._check_presets(name, parameter)

    def _check_presets(self, name: str, choice: Choice) -> None:
        for word in choice.values:
            for target in choice.presets(word):
                target_is_number = isinstance(self.parameters.get(target), Number)
                if not target_is_number:
                    raise ValueError(f"{name}={word} sets {target}, which is no number of {self.name}")

    def output(self, type: str) -> Output:
        for output in self.outputs:
            if output.type == type:
                return output
        raise KeyError(type)


class Params(Mapping[str, Any]):
    """The parameters of one call. `params["slope"]` is a float64 array with one value per row (read-only),
    `params["input"]` of a `Choice` is a str; `number()` and `choice()` are the same with a type.

    Besides what the library declares: `params.type` is the canonical type of the output asked for.
    """

    __slots__ = ("_choices", "_numbers", "type")

    def __init__(self, type: str, numbers: Mapping[str, FloatArray], choices: Mapping[str, str]) -> None:
        self.type = type
        self._numbers = numbers
        self._choices = choices

    def number(self, name: str) -> FloatArray:
        return self._numbers[name]

    def choice(self, name: str) -> str:
        return self._choices[name]

    def __getitem__(
        self, name: str
    ) -> Any:  # an array or a str: what the library declared, which no type checker sees
        return self._numbers[name] if name in self._numbers else self._choices[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._numbers
        yield from self._choices

    def __len__(self) -> int:
        return len(self._numbers) + len(self._choices)


@dataclass(frozen=True, slots=True)
class Converted:
    """What `convert` returns: one row per raw value.

    Args:
        value: float64; NaN: no value.
        quality: uint8 of the constants above; None: good where there is a value, error where there is none.
        reason: why rows have no value, where it is the same for all of them ("needs trim constants").
    """

    value: FloatArray
    quality: QualityArray | None = None
    reason: str = ""


def signed32(raw: FloatArray) -> FloatArray:
    """Undo an unsigned print of a negative int32: firmware before March 2026 printed -2032 as 4294965264."""
    return np.where(raw >= 2.0**31, raw - 2.0**32, raw)


def grade(base: int, *worse: tuple[npt.NDArray[np.bool_], int]) -> QualityArray:
    """Quality per row: `base`, and wherever a mask holds the quality beside it; later ones win.

    >>> grade(GOOD, (raw == 1360, SUSPECT), (raw == -2032, ERROR))
    """
    quality = np.full(worse[0][0].shape, base, np.uint8)
    for mask, verdict in worse:
        np.copyto(quality, np.uint8(verdict), where=mask)  # twice as fast as quality[mask] = verdict
    return quality


ADC: Final[Mapping[str, Number | Choice]] = {
    "adc": Choice(
        {
            "esp32": {"adc_counts": 4095, "adc_fsr_mv": 3300, "adc_low": 50, "adc_high": 4045},
            "ads1115_6144": {"adc_counts": 32768, "adc_fsr_mv": 6144, "adc_low": 0, "adc_high": 32766},
            "ads1115_4096": {"adc_counts": 32768, "adc_fsr_mv": 4096, "adc_low": 0, "adc_high": 32766},
            "ads1115_2048": {"adc_counts": 32768, "adc_fsr_mv": 2048, "adc_low": 0, "adc_high": 32766},
            "ads1115_1024": {"adc_counts": 32768, "adc_fsr_mv": 1024, "adc_low": 0, "adc_high": 32766},
            "ads1115_512": {"adc_counts": 32768, "adc_fsr_mv": 512, "adc_low": 0, "adc_high": 32766},
            "ads1115_256": {"adc_counts": 32768, "adc_fsr_mv": 256, "adc_low": 0, "adc_high": 32766},
        },
        default="esp32",
        doc="the converter that counted; ADS1115 by full-scale range in mV",
    ),
    "adc_counts": Number(4095, low=1, high=2**24, doc="counts at full scale"),
    "adc_fsr_mv": Number(3300, unit="mV", low=1, high=50_000, doc="millivolts at full scale"),
    "adc_offset_mv": Number(0, unit="mV", low=-1000, high=1000, doc="added after scaling"),
    "adc_low": Number(
        50, low=-(2**24), high=2**24, doc="counts below this are suspect (ESP32: flat below 0.15 V)"
    ),
    "adc_high": Number(4045, low=0, high=2**24, doc="counts above this are suspect (clipped)"),
}
"""Parameters of every analog library.

ESP32: V = raw/4095*3.3 V at 11 dB is only nominal (Espressif ESP-IDF, ADC calibration: reference 1.0..1.2 V from part
to part), so scale and offset can be set per device. ADS1115 (TI SBAS444, table 7-3): two's complement, V =
raw*FSR/32768; there is no 5 V range.
"""


def millivolts(raw: FloatArray, params: Params) -> FloatArray:
    """ADC counts to millivolts by the `ADC` parameters; NaN where the converter cannot have counted that."""
    counts = params.number("adc_counts")
    raw = signed32(raw)
    mv = raw * (params.number("adc_fsr_mv") / counts) + params.number("adc_offset_mv")
    # A converter whose scale is good from above 0 on counts from 0: a negative count is an error code.
    least = np.where(params.number("adc_low") > 0, 0.0, -counts)
    return np.where((raw >= least) & (raw <= counts), mv, math.nan)


def clipped(raw: FloatArray, params: Params) -> npt.NDArray[np.bool_]:
    """Where the converter is at the end of its scale and the count says little about the voltage."""
    raw = signed32(raw)
    outside: npt.NDArray[np.bool_] = (raw < params.number("adc_low")) | (raw > params.number("adc_high"))
    return outside
