"""Fields of a rule's JSON, read one by one: every fault is kept with its path and reading goes on. Knows no rule.

What cannot be read is replaced by something harmless so that the rest can be looked at, too. Nobody ever runs that: a
document with a fault is refused as a whole.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from growy.model.errors import Invalid
from growy.model.rules import SensorRef

T = TypeVar("T")

ESP_ID = re.compile(r"ESP_[A-F0-9]{6,8}|MOCK_[A-Z0-9]+")
ALIKE = 0.88
"""How much an unknown field resembles a known one that was mistyped. What resembles none is some client's own."""
LONGEST_SHOWN = 60
DAY_S = 86_400.0
MAX_PIN = 255

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|m|sec|s|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": DAY_S}
_YES = ("true", "1", "yes", "on")
_NO = ("false", "0", "no", "off")


class Form:
    """One document being read.

    Args:
        resolve: the sensor with a UUID, None if there is none.
        webhooks: URL prefixes that rules may post to; None: not looked at.
    """

    def __init__(
        self, resolve: Callable[[str], SensorRef | None], webhooks: tuple[str, ...] | None = None
    ) -> None:
        self.resolve = resolve
        self.webhooks = webhooks
        self.faults: list[str] = []
        self.conditions = 0
        """So many have been read, nested ones included."""

    def fault(self, path: str, text: str) -> None:
        self.faults.append(f"{path}: {text}" if path else text)

    def object_at(self, said: object, path: str) -> Fields | None:
        if isinstance(said, dict):
            return Fields(self, said, path)
        self.fault(path, f"is {shown(said)}, and must be an object")
        return None

    def list_at(self, said: object, path: str, most: int) -> Sequence[object]:
        """At least one."""
        if not isinstance(said, list):
            self.fault(path, "is missing" if said is None else f"is {shown(said)}, and must be a list")
            return ()
        if not said:
            self.fault(path, "is empty")
        if len(said) > most:
            self.fault(path, f"has {len(said)} entries, and may have {most}")
        return said[:most]


class Fields:
    """An object of the document. Every reader takes the names that its field goes by; the first that is there counts,
    and null is not there. Faults are said under the first name, unless another one was used."""

    __slots__ = ("_asked", "form", "path", "said")

    def __init__(self, form: Form, said: dict[str, object], path: str) -> None:
        self.form = form
        self.said = said
        self.path = path
        self._asked: set[str] = set()

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def fault(self, name: str, text: str) -> None:
        """About one field; an empty name: about the object itself."""
        self.form.fault(self.at(name) if name else self.path, text)

    def find(self, *names: str) -> tuple[str, object]:
        """The name that was used, and what it says; the first name and None where there is nothing."""
        self._asked.update(names)
        for name in names:
            value = self.said.get(name)
            if value is not None:
                return name, value
        return names[0], None

    def has(self, *names: str) -> bool:
        """Whether one of them is there."""
        return self.find(*names)[1] is not None

    def mind_the_rest(self, *also: str) -> None:
        """Finds fault with fields that nobody asked for and that look like one that was, and with `enabled: false`,
        which only rules have. Called last.

        Args:
            also: fields that mean something elsewhere, or in another case.
        """
        if "enabled" not in self._asked and not self.flag("enabled", default=True):
            self.fault("enabled", "is false, and only a whole rule can be switched off; take it out")
        known = self._asked | set(also)
        for name in self.said:
            if name not in known:
                alike = difflib.get_close_matches(str(name), known, n=1, cutoff=ALIKE)
                if alike:
                    self.fault(str(name)[:LONGEST_SHOWN], f"is no field; is {alike[0]} meant?")

    # --- numbers ------------------------------------------------------------------------------------------------------

    def number(
        self, *names: str, default: float | None = None, low: float = -math.inf, high: float = math.inf
    ) -> float:
        """NaN if it is at fault; without a default it must be there."""
        name, said = self.find(*names)
        if said is None:
            if default is None:
                self.fault(name, "is missing")
                return math.nan
            return default
        number = number_of(said)
        if number is None:
            self.fault(name, f"is {shown(said)}, and must be a number")
            return math.nan
        return self._bounded(name, number, low, high)

    def optional(self, *names: str) -> float | None:
        """None where it is not there."""
        return self.number(*names) if self.has(*names) else None

    def integer(self, *names: str, low: int, high: int, default: int | None = None) -> int:
        """`low` if it is at fault."""
        name, _ = self.find(*names)
        number = self.number(*names, default=default, low=low, high=high)
        if math.isnan(number):
            return low
        if number != int(number):
            self.fault(name, f"is {number:g}, and must be a whole number")
            return low
        return int(number)

    def seconds(
        self, *names: str, low: float = 0.0, high: float = DAY_S, default: float | None = None
    ) -> float:
        """A number, or a text like `90s`, `5m`, `1h30m`; NaN if it is at fault."""
        name, said = self.find(*names)
        if said is None:
            return self.number(*names, default=default)
        seconds = number_of(said)
        if seconds is None and isinstance(said, str):
            seconds = duration_s(said)
        if seconds is None:
            self.fault(name, f"is {shown(said)}, and must be seconds or a text like 90s, 5m, 1h30m")
            return math.nan
        return self._bounded(name, seconds, low, high)

    def _bounded(self, name: str, number: float, low: float, high: float) -> float:
        if low <= number <= high:
            return number
        if math.isinf(high):
            self.fault(name, f"is {number:g}, and must be at least {low:g}")
        else:
            self.fault(name, f"is {number:g}, and must be {low:g} to {high:g}")
        return math.nan

    # --- words --------------------------------------------------------------------------------------------------------

    def flag(self, *names: str, default: bool = False) -> bool:
        name, said = self.find(*names)
        if said is None or isinstance(said, bool):
            return default if said is None else said
        word = str(said).lower()
        if word not in _YES + _NO:
            self.fault(name, f"is {shown(said)}, and must be true or false")
        return word in _YES

    def text(self, *names: str, default: str | None = None, shortest: int = 0, longest: int = 100) -> str:
        """Without blanks around it; "" if it is at fault. Without a default it must be there."""
        name, said = self.find(*names)
        if said is None:
            if default is None:
                self.fault(name, "is missing")
            return default or ""
        if not isinstance(said, str):
            self.fault(name, f"is {shown(said)}, and must be a text")
            return ""
        text = said.strip()
        if not shortest <= len(text) <= longest:
            limits = f"{shortest} to {longest}" if shortest else f"at most {longest}"
            self.fault(name, f"has {len(text)} characters, and must have {limits}")
            return ""
        return text

    def choice(self, *names: str, table: Mapping[str, T], default: T | None = None) -> T | None:
        """A word of the table, in any case; None if it is at fault. Without a default it must be there."""
        name, said = self.find(*names)
        if said is None:
            if default is None:
                self.fault(name, f"is missing; one of {', '.join(table)}")
            return default
        word = str(said).strip()
        for known, meant in table.items():
            if word.lower() == known.lower():
                return meant
        self.fault(name, f"is {shown(said)}, and must be one of {', '.join(table)}")
        return None

    # --- devices ------------------------------------------------------------------------------------------------------

    def esp_id(self, name: str = "esp_id") -> str:
        said = self.text(name)
        if said and not ESP_ID.fullmatch(said):
            self.fault(name, f"is {shown(said)}, and must be like ESP_0A1B2C")
        return said

    def checked(self, name: str, value: T, check: Callable[[T], object]) -> T:
        """The same, once `check` has found no fault with it by raising Invalid."""
        try:
            check(value)
        except Invalid as error:
            self.fault(name, str(error))
        return value


def number_of(said: object) -> float | None:
    """A finite number, also one in quotes; None for anything else."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    try:
        number = float(said)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def duration_s(text: str) -> float | None:
    """Seconds of `90s`, `5m`, `1h30m`, `1.5 h`; None for anything else."""
    parts = _PART.findall(text.lower())
    if not parts or _PART.sub("", text.lower()).strip():
        return None
    return sum(float(number) * _UNIT_S[unit] for number, unit in parts)


def shown(said: object) -> str:
    """What a client sent, as an error repeats it."""
    text = repr(said)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
