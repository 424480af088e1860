"""Prometheus text from the statistics records of the parts. Pure. Every figure is one that a part has
counted; there are no others: what a part does not know is left out, not zero.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterator, Mapping

import attrs
import numpy as np

_NOT_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
MOST_ENTRIES = 1000
"""Labels per figure; a table that grows without end would end the one who scrapes it."""


def exposition(parts: Mapping[str, object], prefix: str = "growy") -> str:
    """`growy_<part>_<figure>`; of a table `growy_<part>_<figure>{key="..."}`; of a word
    `..._info{value="..."} 1`.

    Args:
        parts: statistics records (attrs) by part.
    """
    lines: list[str] = []
    for part, record in parts.items():
        for name, samples in _figures(f"{prefix}_{_NOT_A_NAME.sub('_', part)}", record):
            lines.append(f"# TYPE {name} untyped")
            lines.extend(samples)
    return "\n".join(lines) + "\n"


def _figures(name: str, value: object) -> Iterator[tuple[str, list[str]]]:
    kind: type = type(value)
    if attrs.has(kind):
        for field in attrs.fields(kind):
            yield from _figures(f"{name}_{field.name}", getattr(value, field.name))
    elif isinstance(value, Mapping):
        samples = [
            f"{name}{{key={_quoted(key)}}} {number}"
            for key, one in list(value.items())[:MOST_ENTRIES]
            if (number := _number(one)) is not None
        ]
        if samples:
            yield name, samples
    elif isinstance(value, str | enum.Enum):
        word = value.value if isinstance(value, enum.Enum) else value
        if word != "":
            yield f"{name}_info", [f"{name}_info{{value={_quoted(word)}}} 1"]
    elif (number := _number(value)) is not None:
        yield name, [f"{name} {number}"]


def _number(value: object) -> str | None:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and not math.isnan(value):
        return repr(value)
    return None


def _quoted(word: object) -> str:
    text = str(word.value if isinstance(word, enum.Enum) else word)[:200]
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'
