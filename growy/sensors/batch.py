"""A batch of rows -> groups that a worker converts in one call each, and back. Pure numpy; no object per row.

The cost is one pass over the distinct plans of the batch and a few array operations: parameter tables are joined from
the bytes that plans carry.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from growy.model.reading import ByteArray, FloatArray, IndexArray, IntArray, Quality
from growy.sensors import frames
from growy.sensors.plan import Plan


@attrs.define(slots=True, eq=False)
class ConvertedColumns:
    """Values of a batch, one row per raw value."""

    value: FloatArray
    """NaN: no value."""
    quality: ByteArray
    """Numbers of `Quality`; unknown where there was no plan."""
    failed: int = 0
    """Rows without value by a fault of their library, or because no worker could be had: not by what was measured."""
    reasons: tuple[str, ...] = ()
    """Why rows have no value, one sentence per library that said so."""

    @classmethod
    def empty(cls, rows: int) -> ConvertedColumns:
        return cls(np.full(rows, np.nan), np.full(rows, int(Quality.UNKNOWN), np.uint8))


@attrs.define(slots=True, eq=False)
class Group:
    """Rows of one library version, output and choice of words."""

    digest: str
    rows: npt.NDArray[np.intp] | slice
    """Where they stand in the batch."""
    size: int
    message: list[Any]
    """What the worker gets; see `growy.sensors.worker`."""

    def settle(self, columns: ConvertedColumns, answer: Any) -> str:
        """Write a worker's answer into the batch. Returns "" or the library's fault.

        Raises FrameError when the answer is not what was asked for.
        """
        value, quality, reason = answer
        if value is None:
            self.fail(columns, f"{self.message[1]}: {reason}")
            return str(reason) or "failed without a word"
        values = frames.array(value, frames.FLOAT64_LE)
        qualities = frames.array(quality, frames.UINT8)
        if len(values) != self.size or len(qualities) != self.size:
            raise frames.FrameError(f"{len(values)} values for {self.size} rows")
        columns.value[self.rows] = values
        columns.quality[self.rows] = qualities
        if reason:
            columns.reasons += (f"{self.message[1]}: {reason}",)
        return ""

    def fail(self, columns: ConvertedColumns, reason: str) -> None:
        """Rows that the library (or the lack of a worker) left without value."""
        columns.value[self.rows] = np.nan
        columns.quality[self.rows] = int(Quality.ERROR)
        columns.failed += self.size
        columns.reasons += (reason,)


def group_rows(
    plans: Sequence[Plan | None],
    which: IntArray,
    raw: FloatArray,
    live: Mapping[str, FloatArray] | None = None,
) -> list[Group]:
    """Groups of the rows that have a plan.

    Args:
        plans: `plans[which[i]]` converts row i; None: nobody does.
        which, raw: shape (n,).
        live: numbers known per row only now, shape (n,) each; NaN where not.

    Raises:
        ValueError: `which` points outside `plans`, or the columns differ in length.
    """
    n = len(raw)
    if len(which) != n:
        raise ValueError(f"{len(which)} plan numbers for {n} raw values")
    if n == 0:
        return []
    present = np.bincount(which, minlength=len(plans))  # refuses negative numbers
    if len(present) > len(plans):
        raise ValueError(f"plan number {len(present) - 1} of {len(plans)}")
    used = np.flatnonzero(present)
    members: list[list[Plan]] = []
    numbers: dict[str, int] = {}
    group_numbers: list[int] = []
    line_numbers: list[int] = []
    for index in used.tolist():
        plan = plans[index]
        if plan is None:
            group_numbers.append(-1)
            line_numbers.append(0)
            continue
        number = numbers.get(plan.group)
        if number is None:
            number = numbers[plan.group] = len(members)
            members.append([])
        group_numbers.append(number)
        line_numbers.append(len(members[number]))
        members[number].append(plan)
    if not members:
        return []
    line_of = np.zeros(len(plans), np.int32)
    line_of[used] = line_numbers
    lines = line_of[which]
    row_lists: list[npt.NDArray[np.intp] | slice] = [slice(None)]
    if len(members) > 1 or -1 in group_numbers:
        group_of = np.full(len(plans), -1, np.int16)
        group_of[used] = group_numbers
        row_group = group_of[which]
        order = np.argsort(row_group, kind="stable")  # int16: a radix sort
        bounds = np.searchsorted(row_group[order], np.arange(len(members) + 1)).tolist()
        row_lists = [order[start:end] for start, end in itertools.pairwise(bounds)]
    return [_group(mine, rows, lines, raw, live or {}) for mine, rows in zip(members, row_lists, strict=True)]


def _group(
    plans: Sequence[Plan],
    rows: npt.NDArray[np.intp] | slice,
    lines: IndexArray,
    raw: FloatArray,
    live: Mapping[str, FloatArray],
) -> Group:
    first = plans[0]
    mine = raw[rows]
    message = [
        first.digest,
        first.value_type,
        dict(first.choices),
        frames.floats(b"".join([plan.packed for plan in plans])),
        len(plans),
        None if len(plans) == 1 else frames.ints(lines[rows]),
        frames.floats(mine),
        {name: frames.floats(column[rows]) for name, column in live.items() if name in first.columns},
    ]
    return Group(first.digest, rows, len(mine), message)


def derived_group(plan: Plan, inputs: Mapping[str, FloatArray]) -> Group:
    """The group of a derived value: one column per input, all of one length. Raises ValueError."""
    lengths = {len(column) for column in inputs.values()}
    if len(lengths) != 1:
        raise ValueError(f"input columns of lengths {sorted(lengths)}")
    size = lengths.pop()
    message = [
        plan.digest,
        plan.value_type,
        dict(plan.choices),
        frames.floats(plan.packed),
        1,
        None,
        {name: frames.floats(column) for name, column in inputs.items()},
        {},
    ]
    return Group(plan.digest, slice(None), size, message)
