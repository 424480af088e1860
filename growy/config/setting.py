"""One setting: its default, its bounds and its documentation in one declaration, from which everything else is made.

The validator, the text of a fault, the table in the documentation and `growyd config show` all come from the `Rule`
here, so that none of them can say something else than the other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

RULE = "growy_rule"
"""Key of the `Rule` in an attrs field's metadata."""

TYPE_WORDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
}


@attrs.frozen(kw_only=True)
class Rule:
    """What a value must be, and how to say so."""

    doc: str
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    one_of: tuple[str, ...] = ()
    matches: str = ""
    """Regular expression for the whole text."""
    check: Callable[[str], object] | None = None
    """Parses the text; raises ValueError with what is wrong with it ("must ..., is ...")."""
    mask: Callable[[str], str] | None = None
    """For a setting that may hold a secret: the text without it."""

    def expected(self, kind: type) -> str:
        """`a whole number from 5 to 3600`."""
        if self.one_of:
            return f"{', '.join(self.one_of[:-1])} or {self.one_of[-1]}"
        words = TYPE_WORDS[kind]
        if self.matches:
            words += f" like {self.matches}"
        if self.above is not None:
            words += f" greater than {_number(self.above)}"
        if self.at_least is not None and self.at_most is not None:
            return f"{words} from {_number(self.at_least)} to {_number(self.at_most)}"
        if self.at_least is not None:
            words += f", at least {_number(self.at_least)}"
        if self.at_most is not None:
            words += f", at most {_number(self.at_most)}"
        return words

    def shown(self, value: object) -> str:
        """The value as a fault or a listing may show it: without its secret."""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float):
            return str(value)
        text = str(value)
        return f'"{self.mask(text) if self.mask else text}"'

    def fault(self, value: Any, kind: type) -> str:
        """What is wrong with a value of the right type; "" when nothing is."""
        if isinstance(value, bool):
            return ""
        if isinstance(value, int | float):
            inside = (
                math.isfinite(value)
                and (self.at_least is None or value >= self.at_least)
                and (self.above is None or value > self.above)
                and (self.at_most is None or value <= self.at_most)
            )
        else:
            text = str(value)
            inside = (not self.one_of or text in self.one_of) and (
                not self.matches or re.fullmatch(self.matches, text) is not None
            )
            if inside and self.check is not None:
                try:
                    self.check(text)
                except ValueError as error:
                    return str(error)
        return "" if inside else f"must be {self.expected(kind)}, is {self.shown(value)}"


def setting(default: Any, doc: str, **bounds: Any) -> Any:
    """An attrs field with its `Rule` (the keywords are the rule's); a value that breaks it raises ValueError."""
    rule = Rule(doc=doc, **bounds)
    kind = Path if isinstance(default, Path) else type(default)

    def validate(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if fault := rule.fault(value, kind):
            raise ValueError(f"{attribute.name}: {fault}")

    return attrs.field(
        default=default,
        validator=validate,
        repr=rule.shown if rule.mask else True,
        metadata={RULE: rule},
    )


def rule_of(field: attrs.Attribute[Any]) -> Rule:
    """The rule that `setting` put beside the field."""
    rule: Rule = field.metadata[RULE]
    return rule


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)
