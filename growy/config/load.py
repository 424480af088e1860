"""Read the settings: TOML file, `GROWY_SECTION__KEY` environment over it, command line over both.

Never stops at the first fault: unknown names, wrong types and broken bounds of all layers stand in one `ConfigError`,
each with the path of the setting, the value, what was expected and where it came from.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from growy.config.names import (
    ENVIRONMENT_PREFIX,
    SECTIONS,
    SETTINGS,
    VARIABLES,
    Setting,
    unknown_path,
    unknown_variable,
)
from growy.config.tree import Config
from growy.config.values import STRICT, TEXTUAL
from growy.model.errors import ConfigError

NOT_SETTINGS = frozenset({"GROWY_CONFIG", "GROWY_URL"})
"""Variables that tell the command line where to look; they are no settings."""
BROKER_VARIABLE = "GROWY_BROKER"
"""Short for GROWY_BROKER__URL, as `broker = "..."` at the top of the file is for [broker] url."""
DEFAULT_FILE = Path("/etc/growy/growyd.toml")
CURE = "All settings and what they mean: growyd config show --defaults"


@attrs.frozen
class Loaded:
    """The settings, and where each that is not a default came from (by dotted path)."""

    config: Config
    origin: Mapping[str, str]


@attrs.frozen
class _Given:
    """One value that somebody wrote."""

    path: str
    value: object
    origin: str
    textual: bool = False


def find_file(explicit: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one named, else GROWY_CONFIG, else `DEFAULT_FILE` when it exists, else none.

    In a folder that one may not enter it is taken to exist: reading it says what is wrong.
    """
    if explicit is not None:
        return explicit
    if environ.get("GROWY_CONFIG"):
        return Path(environ["GROWY_CONFIG"])
    try:
        return DEFAULT_FILE if DEFAULT_FILE.exists() else None
    except PermissionError:
        return DEFAULT_FILE


def load(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Loaded:
    """As `load_config`, with the origin of each setting."""
    faults: list[str] = []
    faulty_sections: set[str] = set()
    values: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
    origin: dict[str, str] = {}
    for given in (*_file(path), *_environment(environ), *_overrides(overrides or {})):
        setting = SETTINGS.get(given.path)
        if setting is None:
            faults.append(f"{_misplaced(given)} ({given.origin})")
            continue
        value, fault = _taken(setting, given)
        if fault:
            faults.append(f"{given.path}: {fault} ({given.origin})")
            faulty_sections.add(setting.section)
        else:
            values[setting.section][setting.name] = value
            origin[given.path] = given.origin
    sections: dict[str, Any] = {}  # of the kinds in SECTIONS, which are those of Config's fields
    for section in SECTIONS:
        if section in faulty_sections:
            continue
        try:
            sections[section] = SECTIONS[section](**values[section])
        except ValueError as error:
            # Each value is right by itself; a rule between two of them is broken. It names the setting.
            faults.append(f"{section}.{error}")
    config: Config | None = None
    if not faults:
        try:
            config = Config(**sections)
        except ValueError as error:  # a rule between two sections
            faults.append(str(error))
    if config is None:
        number = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
        raise ConfigError(f"The settings have {number}", tuple(faults), cure=CURE)
    return Loaded(config, origin)


def _taken(setting: Setting, given: _Given) -> tuple[object, str]:
    """The value in its declared type, and what is wrong with it ("": nothing)."""
    try:
        value: object = (TEXTUAL if given.textual else STRICT).structure(given.value, setting.kind)
    except ValueError:
        return None, f"must be {setting.rule.expected(setting.kind)}, is {_shown(setting, given)}"
    return value, setting.rule.fault(value, setting.kind)


def _misplaced(given: _Given) -> str:
    if given.path.startswith(ENVIRONMENT_PREFIX):
        return unknown_variable(given.path)
    if given.path in SECTIONS:
        return f"{given.path}: must be a section [{given.path}], is {_describe(given.value)}"
    return unknown_path(given.path)


def _file(path: Path | None) -> Iterator[_Given]:
    if path is None:
        return
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"There is no settings file {path}", cure="Create it, or name another with --config"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start})", cure="Save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(
            f"The settings file {path} cannot be read: {error.strerror}",
            cure="It must be a file that growyd may read",
        ) from error
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path} is not TOML: {error}", cure="Text needs quotes, and every key stands once"
        ) from error
    lines = _lines(text)

    def given(place: str, value: object, setting: str = "") -> _Given:
        return _Given(setting or place, value, f"{path} line {lines[place]}" if place in lines else str(path))

    for section, content in tree.items():
        if section == "broker" and isinstance(content, str):
            yield given("broker", content, "broker.url")
        elif isinstance(content, dict) and (content or section in SECTIONS):
            for name, value in content.items():
                yield given(f"{section}.{name}", value)
        else:
            yield given(section, content)


def _environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    for variable in sorted(environ):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in NOT_SETTINGS:
            continue
        path = VARIABLES[variable].path if variable in VARIABLES else variable
        yield _Given(
            "broker.url" if variable == BROKER_VARIABLE else path,
            environ[variable],
            f"variable {variable}",
            textual=True,
        )


def _overrides(overrides: Mapping[str, object]) -> Iterator[_Given]:
    for path, value in overrides.items():
        yield _Given(path, value, "command line")


def _shown(setting: Setting, given: _Given) -> str:
    if isinstance(given.value, str):
        return (
            setting.rule.shown(given.value)
            if given.textual
            else f"the text {setting.rule.shown(given.value)}"
        )
    return _describe(given.value)


def _describe(value: object) -> str:
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return str(value).lower() if isinstance(value, bool) else str(value)


_HEADER = re.compile(r"\s*\[\s*([\w.\"'-]+)\s*\]")
_KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")


def _lines(text: str) -> dict[str, int]:
    """Line of each dotted path, as far as a look at line beginnings tells (a key in an inline table has none)."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = header[1].replace('"', "").replace("'", "")
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            name = key[1].replace('"', "").replace("'", "")
            lines.setdefault(f"{section}.{name}" if section else name, number)
    return lines
