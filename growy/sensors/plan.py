"""What is decided once per sensor and used for every reading: which library version, which numbers. Pure; no library
code.

A `Plan` carries its numbers as bytes in column order, so that a batch with hundreds of calibrations is put together
by joining bytes.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping

import attrs
import numpy as np

from growy.model.errors import CalibrationError, ConversionError
from growy.sensors.calibration import Calibration
from growy.sensors.declarations import CALIBRATED, numbers, refuse_setting, settle
from sensor_libs import Library, Number, Output


@attrs.frozen(slots=True)
class OutputInfo:
    """A value type as it is converted now."""

    library: str
    version: str
    """The author's version and the hash of the file's content: `1.0.0+3f9a0c12b4d1`."""
    value_type: str
    """Canonical, also where an alias was asked for."""
    unit: str
    quantity: str
    low: float
    high: float
    decimals: int
    inputs: tuple[str, ...] = ()
    """Quantities it is derived from; empty for what is measured."""


@attrs.frozen(slots=True)
class Plan:
    """How the rows of one sensor are converted. Made by `Registry.plan`; equal plans give equal values."""

    library: str
    version: str
    digest: str
    """Of the library file that will make the values, also after a newer one has been saved."""
    value_type: str
    unit: str
    quantity: str
    choices: tuple[tuple[str, str], ...]
    packed: bytes = attrs.field(repr=False)
    """The numbers in column order, little-endian float64."""
    parameters: str
    """Everything that makes the value besides library and raw, as canonical JSON: stored with the reading's
    conversion."""
    group: str = attrs.field(eq=False, repr=False)
    """Rows with equal groups are converted in one call. Interned: looked up once per plan and batch."""
    columns: tuple[str, ...] = attrs.field(eq=False, repr=False)

    def numbers(self) -> dict[str, float]:
        """The numbers by name; NaN where there is none."""
        return dict(zip(self.columns, np.frombuffer(self.packed, "<f8").tolist(), strict=True))


def make_plan(
    library: Library,
    output: Output,
    digest: str,
    implied: Mapping[str, float | str],
    settings: Mapping[str, object],
    calibration: Calibration | None,
) -> Plan:
    """Raises ConversionError naming the setting, CalibrationError where the calibration does not fit the library."""
    for name, setting in settings.items():
        refused = refuse_setting(library, name, setting)
        if refused:
            raise ConversionError(
                f"{output.type}: {refused}", cure="See the library's parameters", details={"parameter": name}
            )
    given = {**implied, **settings}
    if calibration is not None:
        given.update(_calibrated(library, output, calibration))
    words = {name: word for name, word in given.items() if isinstance(word, str)}
    table, chosen = settle(
        library, words, {name: float(n) for name, n in given.items() if isinstance(n, int | float)}
    )
    version = f"{library.version}+{digest}"
    words_sorted = tuple(sorted(chosen.items()))
    return Plan(
        library=library.name,
        version=version,
        digest=digest,
        value_type=output.type,
        unit=output.unit,
        quantity=output.quantity,
        choices=words_sorted,
        packed=np.array(list(table.values()), "<f8").tobytes(),
        parameters=_canonical(table, chosen, calibration),
        group=sys.intern(f"{digest} {output.type} {words_sorted}"),
        columns=tuple(numbers(library)),
    )


def _calibrated(library: Library, output: Output, calibration: Calibration) -> dict[str, float]:
    known = numbers(library)
    strange = sorted(set(calibration.parameters) - set(known))
    if strange:
        raise CalibrationError(
            f"a {calibration.method} calibration sets {', '.join(strange)}, which {library.name} does not have",
            cure=f"Calibrate {output.type} by another method",
        )
    if calibration.value_unit != output.unit:
        raise CalibrationError(
            f"the calibration is in {calibration.value_unit}, but {output.type} is in {output.unit}",
            cure="Calibrate this sensor again",
        )
    for name, number in calibration.parameters.items():
        refused = refuse_setting(library, name, number)
        if refused:
            raise CalibrationError(
                f"{output.type}: the calibration's {refused}", cure="Calibrate this sensor again"
            )
    fitted = dict(calibration.parameters)
    if isinstance(library.parameters.get(CALIBRATED), Number):
        fitted[CALIBRATED] = 1.0
    return fitted


def _canonical(table: Mapping[str, float], chosen: Mapping[str, str], calibration: Calibration | None) -> str:
    facts: dict[str, object] = {
        name: None if math.isnan(number) else number for name, number in table.items()
    }
    facts.update(chosen)
    if calibration is not None:
        facts["calibration_method"] = calibration.method
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
