"""Query strings and bodies of JSON or CBOR -> attrs records, by cattrs. Every fault is reported at once, with the name
of the field.

Unknown fields are ignored: clients of several generations send more than one server needs. A field whose name Python
keeps for itself is declared with an underscore behind it: `from_` is `from`. A body may also be declared as
`dict[str, object]`: then it is read by whoever knows its form.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NewType, TypeVar, cast
from urllib.parse import parse_qsl

import attrs
import cattrs
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn

from growy.model.errors import Invalid, WireError
from growy.model.time import MS_ABOVE
from growy.wire.formats import parse

T = TypeVar("T")
A = TypeVar("A", bound=attrs.AttrsInstance)

Moment = NewType("Moment", int)
"""Unix ms, from ISO-8601 (without an offset: UTC), Unix seconds or Unix milliseconds."""
Secret = NewType("Secret", str)
"""Text that no error repeats, whatever is wrong with it."""
EARLIEST_MS = -2_208_988_800_000
"""1900. Far enough from the year 1, before which no calendar has a name, that a span may begin a day earlier."""
LATEST_MS = 253_402_300_800_000
"""The end of the year 9999: beyond, no calendar has a name either."""
MOST_PARAMETERS = 64
CBOR = b"application/cbor"
LONGEST_SHOWN = 64
"""Characters of what a client sent that an error repeats."""
_SHORT = 256
"""Characters of a query that is worth remembering."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def moment(said: object) -> Moment:
    """Raises ValueError when it is not a time."""
    text = str(said).strip()
    if isinstance(said, bool):
        raise TypeError(f"{said} is not a time")
    if _NUMBER.fullmatch(text):
        number = float(text)
        return _within(number if abs(number) > MS_ABOVE else number * 1000, text)
    try:
        # A "+" in a query string is a blank unless it was escaped; clients forget that in +01:00.
        parsed = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text))
    except ValueError:
        raise ValueError(f"{_shown(text)} is not ISO-8601, Unix seconds or Unix milliseconds") from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return _within(round(parsed.timestamp() * 1000), text)


def _within(ms: float, text: str) -> Moment:
    if not EARLIEST_MS <= ms < LATEST_MS:
        raise ValueError(f"{text[:LONGEST_SHOWN]} is not between the years 1900 and 9999")
    return Moment(int(ms))


def _shown(said: object) -> str:
    text = repr(said)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _integer(said: object, _: object) -> int:
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        raise TypeError(f"{_shown(said)} is not an integer")
    try:
        number = int(said)
    except (ValueError, OverflowError):
        raise ValueError(f"{_shown(said)} is not an integer") from None
    if isinstance(said, float) and number != said:
        raise ValueError(f"{said} is not an integer")
    return number


def _float(said: object, _: object) -> float:
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        raise TypeError(f"{_shown(said)} is not a number")
    try:
        number = float(said)
    except (ValueError, OverflowError):
        raise ValueError(f"{_shown(said)} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{_shown(said)} is not a finite number")
    return number


def _boolean(said: object, _: object) -> bool:
    if isinstance(said, bool):
        return said
    word = str(said).lower()
    if word in ("true", "1", "yes", "on"):
        return True
    if word in ("false", "0", "no", "off"):
        return False
    raise ValueError(f"{_shown(said)} is not true or false")


def _text(said: object, kind: object) -> str:
    if not isinstance(said, str):
        raise TypeError(f"{_shown(said)} is not a string")
    # A StrEnum is a str to cattrs, too: without this any word would pass for a member.
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        for member in kind:
            if member.value.lower() == said.lower():
                return member
        raise ValueError(f"{_shown(said)} is none of {', '.join(member.value for member in kind)}")
    return said


def _secret(said: object, _: object) -> Secret:
    if not isinstance(said, str):
        raise TypeError("it is not a string")
    return Secret(said)


def _moment(said: object, _: object) -> Moment:
    return moment(said)


_converter = cattrs.Converter()
_converter.register_structure_hook(int, _integer)
_converter.register_structure_hook(float, _float)
_converter.register_structure_hook(bool, _boolean)
_converter.register_structure_hook(str, _text)
_converter.register_structure_hook(Moment, _moment)
_converter.register_structure_hook(Secret, _secret)
# Of `float | None` and its like, cattrs finds the hooks above by itself; a free JSON object stays what it is.
_converter.register_structure_hook_func(lambda kind: kind == dict[str, object], lambda said, _: _object(said))


_converter.register_structure_hook_func(lambda kind: kind is object, lambda said, _: said)


def _object(said: object) -> dict[str, object]:
    if not isinstance(said, dict):
        raise TypeError("not a JSON object")
    return said


def called(field: str) -> str:
    """What a client calls a declared field."""
    return field.removesuffix("_")


def _renamed(model: type[A]) -> Callable[[Mapping[str, object], type[A]], A]:
    """How a model is read that has fields with an underscore behind their names."""
    plain = make_dict_structure_fn(model, _converter)
    fields = {called(field.name): field.name for field in attrs.fields(model)}
    return lambda said, kind: plain({fields.get(name, name): value for name, value in said.items()}, kind)


_converter.register_structure_hook_factory(
    lambda kind: attrs.has(kind) and any(called(field.name) != field.name for field in attrs.fields(kind)),
    _renamed,
)


def prepare(model: type) -> None:
    """Make ready to read this model. Raises TypeError or NameError for a model that could never be read."""
    _converter.get_structure_hook(model)


def query_of(text: str, model: type[T]) -> T:
    """A query string as `model`. An empty value counts as absent; of a repeated name the last counts.

    Raises Invalid.
    """
    if len(text) > _SHORT:
        return _query_of(text, model)
    return cast("T", _remembered_query(text, cast("Hashable", model)))


@lru_cache(
    maxsize=256
)  # who polls asks the same over and over; models of queries are frozen, and know no "now"
def _remembered_query(text: str, model: Hashable) -> object:
    return _query_of(text, cast("type[object]", model))


def _query_of(text: str, model: type[T]) -> T:
    try:
        pairs = parse_qsl(text, keep_blank_values=False, max_num_fields=MOST_PARAMETERS)
    except ValueError as error:
        raise Invalid(f"More than {MOST_PARAMETERS} query parameters") from error
    return _structure(dict(pairs), model, "query parameter")


def body_of(body: bytes, model: type[T], content_type: bytes = b"") -> T:
    """A body as `model`: CBOR where it says so, else JSON; no body at all is an empty object. Blocks: a large body
    belongs into a thread.

    What is let in can be stored and answered as JSON later: no tags, no integers of more than 64 bits, at most as deep
    as `wire.formats` takes; NaN is null.

    Raises Invalid.
    """
    cbor = content_type.partition(b";")[0].strip().lower() == CBOR
    name = "CBOR" if cbor else "JSON"
    said: object = {}
    if body:
        # The parser goes by the first byte; here the client's word counts.
        if cbor is not (0x80 <= body[0] <= 0xBF):
            raise Invalid(f"The body is not a {name} object")
        try:
            said = parse(body, len(body))
        except WireError as error:
            raise Invalid(
                f"The body is not usable {name}: {error}", details={"reason": str(error)}
            ) from error
    if not isinstance(said, dict):
        raise Invalid(f"The body is not a {name} object")
    return _structure(said, model, "field")


def form_of(body: bytes, model: type[T]) -> T:
    """The fields of an HTML form as `model`. Raises Invalid."""
    try:
        text = body.decode("ascii")  # whatever is beyond is escaped in a form
    except UnicodeDecodeError as error:
        raise Invalid("The body is no form") from error
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError as error:
        raise Invalid(f"More than {MOST_PARAMETERS} fields") from error
    return _structure(dict(pairs), model, "field")


def _structure(said: Mapping[str, object], model: type[T], what: str) -> T:
    try:
        return _converter.structure(said, model)
    except BaseValidationError as error:
        faults = cattrs.transform_error(error, path="", format_exception=_say)
        lines = [_name(fault) for fault in faults]
        raise Invalid(
            f"Wrong {what}{'s' if len(lines) > 1 else ''}: {'; '.join(lines)}", details={"faults": lines}
        ) from error
    except (ValueError, TypeError) as error:
        raise Invalid(f"Wrong {what}s: {error}", details={"faults": [str(error)]}) from error


def _say(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyError):
        return f"is missing: {error.args[0]}"
    # attrs' own validators say the rest of what they know behind their message.
    return error.args[0] if error.args and isinstance(error.args[0], str) else str(error)


def _name(fault: str) -> str:
    """People read `path: message`. cattrs says `message @ .path`; attrs says `'path' must be...` or
    `Length of 'path' must be...`."""
    message, _, path = fault.rpartition(" @ ")
    if bounds := re.match(r"(Length of )?'(\w+)' (must .*)", message):
        demand = bounds[3]
        if choice := re.match(r"must be in \((.*?),?\) \(got ", demand):
            demand = f"must be one of {choice[1].replace(chr(39), '')}"
        return f"{called(bounds[2])}: {'its length ' if bounds[1] else ''}{demand}"
    path = called(path.lstrip(".$"))
    if message.startswith("is missing: "):
        return f"{called(message.removeprefix('is missing: '))}: is missing"
    return f"{path}: {message}" if path else message
