"""The text format of Prometheus (version 0.0.4). Pure. Knows no part of growyd; `metrics` says what there is.

A family without a sample is left out: what nobody knows is not 0.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Iterator, Mapping

import attrs
import numpy as np

from growy.ops.latency import Distribution

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
LONGEST_LABEL = 200
"""Characters; ids and codes are shorter, and a sentence is no label."""
MOST_SAMPLES = 5000
"""Per family: a table that grows without end would end the one who scrapes it."""

Labels = Mapping[str, object]


class Kind(enum.Enum):
    COUNTER = "counter"
    """Only rises while the process runs; its name ends in _total."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    UNTYPED = "untyped"
    """A figure of a part for which nobody has said what it is."""


@attrs.frozen
class Sample:
    value: float
    labels: Labels = attrs.field(factory=dict)


@attrs.frozen
class Family:
    """A figure with its samples. Raises ValueError for a name that Prometheus would not take."""

    name: str = attrs.field()
    kind: Kind
    doc: str
    samples: tuple[Sample, ...] = ()
    distributions: tuple[tuple[Labels, Distribution], ...] = ()
    """Of a histogram, instead of samples."""

    @name.validator
    def _named(self, attribute: object, name: str) -> None:
        if not NAME.match(name) or (self.kind is Kind.COUNTER) != name.endswith("_total"):
            raise ValueError(f"{name} is no name of a {self.kind.value}")


def gauge(name: str, doc: str, value: object, /, **labels: object) -> Family:
    """One number; none when it is not known. True and False are 1 and 0."""
    return Family(name, Kind.GAUGE, doc, tuple(_sample(value, labels)))


def counter(name: str, doc: str, value: object, /, **labels: object) -> Family:
    return Family(name, Kind.COUNTER, doc, tuple(_sample(value, labels)))


def gauges(name: str, doc: str, label: str, values: Mapping[str, object]) -> Family:
    """A number for each word of one label."""
    return Family(name, Kind.GAUGE, doc, _each(label, values))


def counters(name: str, doc: str, label: str, values: Mapping[str, object]) -> Family:
    return Family(name, Kind.COUNTER, doc, _each(label, values))


def histogram(name: str, doc: str, times: Distribution) -> Family:
    """Durations in seconds."""
    return Family(name, Kind.HISTOGRAM, doc, distributions=(({}, times),))


def _each(label: str, values: Mapping[str, object]) -> tuple[Sample, ...]:
    return tuple(sample for word, value in values.items() for sample in _sample(value, {label: word}))


def _sample(value: object, labels: Labels) -> Iterator[Sample]:
    number = number_of(value)
    if number is not None:
        yield Sample(number, labels)


def number_of(value: object) -> float | None:
    """None for what is no number, NaN too."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | int | float) and not math.isnan(value):
        return value
    return None


class Exposition:
    """The text as it grows, family by family: who makes it may let others have their turn in between."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._names: set[str] = set()

    def add(self, family: Family) -> None:
        """Raises ValueError: there is one of that name already."""
        if family.name in self._names:
            raise ValueError(f"{family.name} is there twice")
        self._names.add(family.name)
        samples = list(_lines(family))
        if samples:
            doc = family.doc.replace("\\", r"\\").replace("\n", " ")
            kind = family.kind.value
            self._lines += [f"# HELP {family.name} {doc}", f"# TYPE {family.name} {kind}", *samples]

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self._lines)


def render(families: Iterable[Family]) -> str:
    """All of them at once. Raises ValueError: two families have one name."""
    exposition = Exposition()
    for family in families:
        exposition.add(family)
    return exposition.text()


def _lines(family: Family) -> Iterator[str]:
    for sample in family.samples[:MOST_SAMPLES]:
        yield f"{family.name}{_labels(sample.labels)} {_number(sample.value)}"
    for labels, times in family.distributions:
        count = 0
        for bound, more in zip((*times.bounds_s, math.inf), times.counts, strict=True):
            count += more
            yield f"{family.name}_bucket{_labels({**labels, 'le': _number(bound)})} {count}"
        yield f"{family.name}_sum{_labels(labels)} {_number(times.sum_s)}"
        yield f"{family.name}_count{_labels(labels)} {count}"


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(int(value))  # True is 1
    return repr(value) if math.isfinite(value) else "+Inf" if value > 0 else "-Inf"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f"{name}={_quoted(word)}" for name, word in labels.items()) + "}"


def _quoted(word: object) -> str:
    text = str(word.value if isinstance(word, enum.Enum) else word)[:LONGEST_LABEL]
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def figures(prefix: str, value: object) -> Iterator[Family]:
    """Every number of a statistics record under its own name, untyped: for parts that `metrics` does not know.

    Args:
        value: an attrs record, a table of numbers, or a number.
    """
    kind: type = type(value)
    name = _NOT_IN_A_NAME.sub("_", prefix)
    if isinstance(value, Distribution):
        yield Family(f"{name}_seconds", Kind.HISTOGRAM, f"{prefix}, as counted", distributions=(({}, value),))
    elif attrs.has(kind):
        for field in attrs.fields(kind):
            yield from figures(f"{prefix}_{field.name}", getattr(value, field.name))
    elif isinstance(value, Mapping):
        yield Family(
            name, Kind.UNTYPED, f"{prefix}, by key", _each("key", {str(one): value[one] for one in value})
        )
    elif number_of(value) is not None:
        yield Family(
            f"{name}_" if name.endswith("_total") else name,
            Kind.UNTYPED,
            f"{prefix}, as the part says it",
            tuple(_sample(value, {})),
        )
