"""A finding: one line of the doctor's answer. Values, and the words for sizes and times in them."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs


class Level(enum.StrEnum):
    """Rising."""

    GREEN = "green"
    AMBER = "amber"
    """Works; somebody should look at it."""
    RED = "red"
    """Does not work, or will soon cost plants, readings or the card."""


@attrs.frozen(kw_only=True)
class Finding:
    area: str
    """What was looked at: `disk`, `broker`..."""
    code: str
    """Short and stable, for programs. Of a green finding: what could have been wrong is not."""
    level: Level
    message: str
    cure: str = ""
    """What to do; "" when there is nothing to be done."""


def green(area: str, code: str, message: str) -> Finding:
    return Finding(area=area, code=code, level=Level.GREEN, message=message)


def amber(area: str, code: str, message: str, cure: str) -> Finding:
    return Finding(area=area, code=code, level=Level.AMBER, message=message, cure=cure)


def red(area: str, code: str, message: str, cure: str) -> Finding:
    return Finding(area=area, code=code, level=Level.RED, message=message, cure=cure)


def some(names: Sequence[str], most: int = 4) -> str:
    """`a, b, c and 5 more`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def size(count: float) -> str:
    """`800 MB`: decimal units, as cards are sold by."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def span(seconds: float) -> str:
    """`12 s`, `5 min`, `3 h`, `2 days`: roughly."""
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds / divisor)} {unit}"
    return f"{int(seconds / 86_400)} days"
