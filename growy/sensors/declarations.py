"""Declarations between worker and daemon: plain data <-> `sensor_libs.Library`, and the order of a library's numbers.

The daemon never runs library code: what a library declares reaches it as data and is validated again when it is
built. Imported by
worker processes: must never import trio, attrs or another room.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from sensor_libs import Check, Choice, Library, Number, Output

CORRECTION: Final[Mapping[str, Number]] = {
    "calibration_gain": Number(1.0, low=0.1, high=10.0, doc="the value is multiplied by this first"),
    "calibration_offset": Number(0.0, low=-1e6, high=1e6, doc="then this is added, in the unit of the value"),
}
"""Every library has these two without declaring them: what offset and two-point calibrations set."""
CALIBRATED: Final = "calibrated"
"""A library that declares a number of this name gets 1 where the sensor has a calibration, else its default."""

PlainLibrary = dict[str, Any]  # decoded CBOR: the shape is checked by building a Library of it


def numbers(library: Library) -> dict[str, Number]:
    """All numeric parameters, in the order of the columns of a parameter table: correction first."""
    declared = {name: p for name, p in library.parameters.items() if isinstance(p, Number)}
    return {**CORRECTION, **declared}


def choices(library: Library) -> dict[str, Choice]:
    return {name: p for name, p in library.parameters.items() if isinstance(p, Choice)}


def settle(
    library: Library, words: Mapping[str, str], given: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, str]]:
    """All parameters of a library: default < what a choice presets < what is given.

    Returns:
        numbers in column order, choices. Names and bounds of what is given are the caller's to check.
    """
    chosen = {name: words.get(name, choice.default) for name, choice in choices(library).items()}
    table = {name: number.default for name, number in numbers(library).items()}
    for name, word in chosen.items():
        parameter = library.parameters[name]
        if isinstance(parameter, Choice):
            table.update(parameter.presets(word))
    table.update(given)
    return {name: float(number) for name, number in table.items()}, chosen


def to_plain(library: Library) -> PlainLibrary:
    """The declaration without its checks (only the self-test needs them, and it runs where the file is)."""
    return {
        "name": library.name,
        "version": library.version,
        "doc": library.doc,
        "outputs": [
            {
                "type": output.type,
                "unit": output.unit,
                "quantity": output.quantity,
                "low": float(output.low),
                "high": float(output.high),
                "decimals": int(output.decimals),
                "aliases": {alias: dict(output.implied(alias)) for alias in output.aliases},
                "inputs": list(output.inputs),
                "doc": output.doc,
            }
            for output in library.outputs
        ],
        "parameters": {
            name: _parameter_to_plain(parameter) for name, parameter in library.parameters.items()
        },
    }


def from_plain(plain: PlainLibrary) -> Library:
    """Raises ValueError, TypeError or KeyError when it is not a declaration."""
    return Library(
        name=str(plain["name"]),
        version=str(plain["version"]),
        doc=str(plain["doc"]),
        outputs=tuple(Output(**{**output, "inputs": tuple(output["inputs"])}) for output in plain["outputs"]),
        parameters={
            str(name): _parameter_from_plain(parameter) for name, parameter in plain["parameters"].items()
        },
    )


def _parameter_to_plain(parameter: Number | Choice) -> dict[str, Any]:
    if isinstance(parameter, Number):
        return {
            "default": float(parameter.default),
            "unit": parameter.unit,
            "low": float(parameter.low),
            "high": float(parameter.high),
            "doc": parameter.doc,
        }
    return {
        "values": {word: dict(parameter.presets(word)) for word in parameter.values},
        "default": parameter.default,
        "doc": parameter.doc,
    }


def _parameter_from_plain(plain: dict[str, Any]) -> Number | Choice:
    return Choice(**plain) if "values" in plain else Number(**plain)


def refuse_setting(library: Library, name: str, setting: object) -> str:
    """Why a setting cannot be: "" when it can. One place for what the daemon and the self-test accept."""
    parameter = {**CORRECTION, **library.parameters}.get(name)
    if parameter is None:
        known = ", ".join(sorted({**CORRECTION, **library.parameters}))
        return f"{library.name} has no parameter {name!r}; it has {known}"
    if isinstance(parameter, Choice):
        if isinstance(setting, str) and setting in parameter.values:
            return ""
        return f"{name} must be one of {', '.join(parameter.values)}, is {setting!r}"
    if isinstance(setting, bool) or not isinstance(setting, int | float) or not math.isfinite(setting):
        return f"{name} must be a number, is {setting!r}"
    if not parameter.low <= setting <= parameter.high:
        return (
            f"{name} must be {parameter.low:g}..{parameter.high:g} {parameter.unit}".rstrip()
            + f", is {setting:g}"
        )
    return ""


__all__ = [
    "CALIBRATED",
    "CORRECTION",
    "Check",
    "Library",
    "PlainLibrary",
    "choices",
    "from_plain",
    "numbers",
    "refuse_setting",
    "settle",
    "to_plain",
]
