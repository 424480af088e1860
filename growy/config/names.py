"""Names of settings: all that are declared, and what somebody may have meant who wrote another."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, get_type_hints

import attrs

from growy.config.setting import Rule, rule_of
from growy.config.tree import Config

ENVIRONMENT_PREFIX = "GROWY_"
SECTIONS: dict[str, type] = get_type_hints(Config)


@attrs.frozen
class Setting:
    """A declared setting."""

    section: str
    name: str
    kind: type
    rule: Rule
    default: Any

    @property
    def path(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        return f"{ENVIRONMENT_PREFIX}{self.section.upper()}__{self.name.upper()}"


def declared_settings() -> list[Setting]:
    """All settings, in the order of their declaration."""
    return [
        Setting(section, field.name, get_type_hints(kind)[field.name], rule_of(field), field.default)
        for section, kind in SECTIONS.items()
        for field in attrs.fields(kind)
    ]


SETTINGS: dict[str, Setting] = {one.path: one for one in declared_settings()}
VARIABLES: dict[str, Setting] = {one.variable: one for one in SETTINGS.values()}


def unknown_variable(variable: str) -> str:
    """The fault of a GROWY_ variable that is no setting."""
    return f"{variable}: unknown setting{_did_you_mean(variable, VARIABLES)}"


def unknown_path(path: str) -> str:
    """The fault of a path that is no setting, with the nearest: in its section, else wherever that name exists."""
    section, _, name = path.partition(".")
    elsewhere = [f"[{one.section}] {one.name}" for one in SETTINGS.values() if one.name == (name or section)]
    if section in SECTIONS:
        siblings = [one.name for one in SETTINGS.values() if one.section == section]
        hint = _did_you_mean(name, siblings) or _did_you_mean_one_of(elsewhere)
        return f"{path}: unknown setting{hint}"
    hint = _did_you_mean(section, SECTIONS) or _did_you_mean_one_of(elsewhere)
    return f"{path}: unknown section [{section}]{hint}" if name else f"{path}: unknown setting{hint}"


def _did_you_mean(word: str, names: Iterable[str]) -> str:
    return _did_you_mean_one_of(
        difflib.get_close_matches(word.lower(), list(names), 1)
    ) or _did_you_mean_one_of(difflib.get_close_matches(word.upper(), list(names), 1))


def _did_you_mean_one_of(names: list[str]) -> str:
    return f"; did you mean {' or '.join(names)}?" if names else ""
