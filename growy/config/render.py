"""Show the settings: as TOML that growyd can load again, or as records for a program. Never shows a secret unasked."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path

import attrs

from growy.config.broker_url import MASK
from growy.config.names import SECTIONS, SETTINGS, Setting
from growy.config.tree import Config

WIDTH = 100


def render(config: Config, origin: Mapping[str, str] | None = None, *, secrets: bool = False) -> str:
    """The settings as TOML, each under its documentation.

    What is at its default is commented out: a saved file says what was decided here, and follows better defaults. A
    masked password makes the file unloadable on purpose: it would not connect, and the fault says why.

    Args:
        origin: where a setting came from, by dotted path; said beside its documentation.
        secrets: write passwords as they are.
    """
    origin = origin or {}
    blocks = []
    for section, kind in SECTIONS.items():
        blocks.append(f"# {(kind.__doc__ or '').strip()}\n[{section}]")
        for setting in SETTINGS.values():
            if setting.section == section:
                blocks.append(_setting(setting, config, origin.get(setting.path, ""), secrets))
    if not secrets and any(f":{MASK}@" in block for block in blocks):
        blocks.insert(0, f"# Passwords are shown as {MASK}; with --secrets they are written out.")
    return "\n\n".join(blocks) + "\n"


def describe(
    config: Config, origin: Mapping[str, str] | None = None, *, secrets: bool = False
) -> dict[str, dict[str, object]]:
    """The settings for a program: by dotted path `value`, `default`, `origin` ("default" when nobody set it),
    `expected`, `doc`.
    """
    origin = origin or {}
    return {
        setting.path: {
            "value": _json(_shown(setting, value_of(config, setting), secrets)),
            "default": _json(setting.default),
            "origin": origin.get(setting.path, "default"),
            "variable": setting.variable,
            "expected": setting.rule.expected(setting.kind),
            "doc": setting.rule.doc,
        }
        for setting in SETTINGS.values()
    }


def value_of(config: Config, setting: Setting) -> object:
    section = attrs.asdict(config, recurse=False)[setting.section]
    value: object = attrs.asdict(section, recurse=False)[setting.name]
    return value


def toml_value(value: object) -> str:
    """A bool, number, text or path in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    # JSON's escapes are TOML's, but for DEL, which JSON leaves as it is.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007F")


def _setting(setting: Setting, config: Config, origin: str, secrets: bool) -> str:
    value = value_of(config, setting)
    about = (
        f"{setting.rule.doc} ({setting.rule.expected(setting.kind)}; default {toml_value(setting.default)})"
    )
    if origin:
        about += f" From {origin}."
    comment = textwrap.fill(about, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
    line = f"{setting.name} = {toml_value(_shown(setting, value, secrets))}"
    return f"{comment}\n{line if value != setting.default else '#' + line}"


def _shown(setting: Setting, value: object, secrets: bool) -> object:
    mask = setting.rule.mask
    return mask(str(value)) if mask and not secrets else value


def _json(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
