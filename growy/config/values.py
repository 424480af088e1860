"""One value of a setting: what was written -> the declared type, by cattrs. Never guesses.

TOML has types, so a value of the wrong type is refused (`STRICT`); the environment has only text, which is read as
what the setting is (`TEXTUAL`). What cannot be taken raises ValueError.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cattrs

T = TypeVar("T", bool, int)

WORDS_FOR_BOOL = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def _same(kind: type[T]) -> Callable[[object, type], T]:
    """Only this very type: to Python a bool is an int, to a grower it is not."""

    def structure(value: object, _: type) -> T:
        if type(value) is not kind:
            raise ValueError(value)
        return value

    return structure


def _float(value: object, _: type) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise ValueError(value) from error
    raise ValueError(value)


def _text(value: object, _: type) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(value)
    value.encode()  # broken UTF-8 from the environment ends here: UnicodeEncodeError is a ValueError
    return value


def _path(value: object, kind: type) -> Path:
    text = str(value) if isinstance(value, Path) else _text(value, kind)
    if not text:
        raise ValueError(value)
    return Path(text)


def _bool_of_text(value: str, _: type) -> bool:
    word = value.strip().lower()
    if word not in WORDS_FOR_BOOL:
        raise ValueError(value)
    return WORDS_FOR_BOOL[word]


def _converter(hooks: dict[type, Callable[[Any, Any], object]]) -> cattrs.Converter:
    converter = cattrs.Converter()
    for kind, hook in hooks.items():
        converter.register_structure_hook(kind, hook)
    return converter


STRICT = _converter({bool: _same(bool), int: _same(int), float: _float, str: _text, Path: _path})
TEXTUAL = _converter(
    {
        bool: _bool_of_text,
        int: lambda value, _: int(value),
        float: lambda value, _: float(value),
        str: _text,
        Path: _path,
    }
)
