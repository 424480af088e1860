"""Fields of a message in canonical form: aliases, old spellings, units. Never drops a field that a message
type knows.

Works on the plain object of a payload, off the hot path: firmware of today takes the typed decoder in
`decode` and comes here only when that one refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

import attrs
import msgspec

from growy.model.errors import WireError
from growy.wire.reasons import Reason, refuse

Fields: TypeAlias = dict[str, object]
Fixer: TypeAlias = Callable[[Fields, str], None]
"""(fields, path of the object they are of); changes the fields in place or raises WireError."""
M = TypeVar("M", bound=msgspec.Struct)

MAX_SENSOR_TYPE = 64
MAX_UNIT = 32
MAX_RAW = 2.0**53
"""Beyond, a float64 no longer tells neighbouring counts apart."""
UNSIGNED_FROM = 2.0**31
"""Firmware before 2026-04 printed a negative int32 as unsigned: a whole raw above this and below 2**32 is
2**32 too large."""

HEX_DIGITS = "0123456789ABCDEF"
TYPE_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_.-"

_MSGSPEC = re.compile(r"(?P<text>.*?)(?: - at `(?P<path>\$.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>.*)`")
_WORDS = {"float": "number"}
_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]*)`(?:, got `(?P<got>[^`]*)`)?")


@attrs.frozen(slots=True)
class Shape(Generic[M]):
    """How the plain object of one message becomes its type."""

    type: type[M]
    aliases: Mapping[str, Sequence[str]] = attrs.field(factory=dict)
    """Canonical name -> other names that firmware or documents used, the most likely first."""
    fix: Fixer | None = None
    """Last changes that are more than another name."""


def build(shape: Shape[M], given: object, path: str = "$") -> M:
    """The message.

    Raises:
        WireError: not_an_object, missing_field, wrong_type, out_of_range; the message begins with the field's
            path.
    """
    if not isinstance(given, dict):
        raise refuse(Reason.NOT_AN_OBJECT, f"{path}: expected an object, got {type_word(given)}")
    return typed(canonical(shape, given, path), shape.type, path)


def canonical(shape: Shape[M], given: Fields, path: str = "$") -> Fields:
    """A copy under canonical names, without nulls, with the shape's fixes done."""
    fields = renamed(shape, given)
    if shape.fix is not None:
        shape.fix(fields, path)
    return fields


def renamed(shape: Shape[M], given: Fields) -> Fields:
    """A copy under canonical names, without nulls. A canonical name wins over its aliases."""
    fields = {name: value for name, value in given.items() if value is not None}
    for name, others in shape.aliases.items():
        if name not in fields:
            for other in others:
                if other in fields:
                    fields[name] = fields[other]
                    break
    return fields


def nested(fields: Fields, name: str, shape: Shape[M], path: str) -> None:
    """Bring the objects of a list field into canonical form."""
    value = fields.get(name)
    if isinstance(value, list):
        fields[name] = [
            canonical(shape, item, f"{path}.{name}[{index}]") if isinstance(item, dict) else item
            for index, item in enumerate(value)
        ]


def typed(fields: Fields, kind: type[M], path: str = "$") -> M:
    """Check every field against the message type."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise _told(str(error), path) from None


def _told(text: str, path: str) -> WireError:
    """msgspec's words in ours: `$.raw: expected int`, and the reason they stand for."""
    match = _MSGSPEC.fullmatch(text)
    said, inner = (match["text"], match["path"]) if match else (text, None)
    where = path + (inner[1:] if inner else "")
    if missing := _MISSING.fullmatch(said):
        return refuse(Reason.MISSING_FIELD, f"{where}.{missing['field']}: required")
    expected = _EXPECTED.fullmatch(said)
    if expected is None:
        # `Expected `int` <= 255`, `Number out of range`: the type is right, the value is not.
        words = said.replace("`", "")
        return refuse(Reason.OUT_OF_RANGE, f"{where}: {words[:1].lower()}{words[1:]}")
    # JSON has one kind of number: a field that takes 25.5 takes 25 too.
    wanted = " or ".join(_WORDS.get(word, word) for word in expected["wanted"].split(" | ") if word != "null")
    got = f", got {expected['got']}" if expected["got"] else ""
    return refuse(Reason.WRONG_TYPE, f"{where}: expected {wanted}{got}")


def type_word(value: object) -> str:
    """JSON's word for a value's type."""
    words: dict[type, str] = {
        dict: "object",
        list: "array",
        str: "str",
        bool: "bool",
        int: "int",
        float: "float",
    }
    return words.get(type(value), "null")


def lower_word(fields: Fields, name: str) -> None:
    """Words that the firmware compares in lower case, however another sender spells them."""
    value = fields.get(name)
    if isinstance(value, str):
        fields[name] = value.strip().lower()


def on_off(fields: Fields, path: str, name: str) -> None:
    """A switch as bool, `on`/`off` or 1/0."""
    value = fields.get(name)
    if isinstance(value, str):
        word = value.strip().lower()
        if word not in ("on", "off", "true", "false"):
            raise refuse(Reason.OUT_OF_RANGE, f"{path}.{name}: expected on or off")
        fields[name] = word in ("on", "true")
    elif type(value) is int and value in (0, 1):
        fields[name] = bool(value)


def integral(fields: Fields, name: str) -> None:
    """A whole number that a sender wrote with a point (`255.0`) or in quotes (`"1767225542"`)."""
    value = fields.get(name)
    pointed = isinstance(value, float) and value.is_integer() and abs(value) < MAX_RAW
    quoted = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19
    if isinstance(value, (float, str)) and (pointed or quoted):
        fields[name] = int(value)


def sensor_type(fields: Fields, path: str) -> None:
    lower_word(fields, "sensor_type")
    value = fields.get("sensor_type")
    if isinstance(value, str) and not is_sensor_type(value):
        raise refuse(
            Reason.OUT_OF_RANGE,
            f"{path}.sensor_type: expected 1 to {MAX_SENSOR_TYPE} of a-z 0-9 _ . -, got {value!r:.40}",
        )


def is_sensor_type(text: str) -> bool:
    return 0 < len(text) <= MAX_SENSOR_TYPE and not text.strip(TYPE_CHARACTERS)


def raw(fields: Fields, path: str) -> None:
    """Signed again where old firmware printed it unsigned; refused where float64 cannot hold it."""
    value = fields.get("raw")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    if UNSIGNED_FROM < value < 2 * UNSIGNED_FROM and value == int(value):
        fields["raw"] = value - 2 * UNSIGNED_FROM
    elif abs(value) > MAX_RAW:
        raise refuse(Reason.OUT_OF_RANGE, f"{path}.raw: larger than 2**53")


def unit(fields: Fields, path: str) -> None:
    value = fields.get("unit")
    if not isinstance(value, str):
        return
    value = repaired(value.strip())
    if len(value) > MAX_UNIT:
        raise refuse(Reason.OUT_OF_RANGE, f"{path}.unit: longer than {MAX_UNIT} characters")
    fields["unit"] = value


def repaired(text: str) -> str:
    """UTF-8 that somebody read as Latin-1 and wrote as UTF-8 again (`Â°C`), once or more, undone."""
    while not text.isascii():
        try:
            once = text.encode("latin-1").decode()
        except UnicodeError:
            break
        text = once
    return text


def i2c_address(fields: Fields, path: str) -> None:
    """`68`, `"68"` or `"0x44"`; 0 means that the device has none."""
    value = fields.get("i2c_address")
    if isinstance(value, str):
        text = value.strip().lower()
        if not text:
            del fields["i2c_address"]
            return
        try:
            # int() alone takes underscores, signs and non-ASCII digits, none of which is an address.
            value = (
                int(text, 16 if text.startswith("0x") else 10) if text.isascii() and text.isalnum() else None
            )
        except ValueError:
            value = None
        if value is None or len(text) > 6:
            raise refuse(Reason.OUT_OF_RANGE, f"{path}.i2c_address: expected 1 to 127, got {text!r:.20}")
        fields["i2c_address"] = value
    if value == 0 and not isinstance(value, bool):
        del fields["i2c_address"]


def onewire_address(fields: Fields, path: str, name: str = "onewire_address") -> None:
    """A ROM code in one spelling: 16 upper-case hex digits. Empty means none."""
    value = fields.get(name)
    if not isinstance(value, str):
        return
    text = value.strip().upper().replace("-", "").replace(":", "").removeprefix("0X")
    if not text:
        del fields[name]
    elif is_rom_code(text):
        fields[name] = text
    else:
        raise refuse(Reason.OUT_OF_RANGE, f"{path}.{name}: expected 16 hex digits, got {value!r:.40}")


def is_rom_code(text: str) -> bool:
    return len(text) == 16 and not text.strip(HEX_DIGITS)


def reading(fields: Fields, path: str) -> None:
    """All of `sensor/{gpio}/data`."""
    if "raw" not in fields and fields.get("raw_mode") is False and "value" in fields:
        fields["raw"] = fields["value"]
    raw(fields, path)
    sensor_type(fields, path)
    lower_word(fields, "quality")
    unit(fields, path)
    i2c_address(fields, path)
    onewire_address(fields, path)
