"""Query and body models as JSON Schema: what `growy.web.inputs` reads, with defaults and the validators' bounds. Pure.

The schema says how a client should write a value; growyd takes more than that (a number in quotes, a word in other
letters' case)."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Mapping
from typing import Any, Union

import attrs

from growy.web.inputs import Moment, Secret, called
from growy.web.shape import Schema

_PLAIN: dict[object, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    dict[str, object]: {"type": "object"},
    object: {},
    Secret: {"type": "string", "format": "password"},
    Moment: {
        "oneOf": [{"type": "string", "format": "date-time"}, {"type": "number"}],
        "description": "ISO 8601, Unix seconds or Unix milliseconds",
    },
}


def model_schema(model: type) -> Schema:
    """The schema of an attrs model, or of `dict[str, object]`."""
    if not attrs.has(model):
        return dict(_PLAIN[model])
    kinds = typing.get_type_hints(model)
    fields = attrs.fields(model)
    schema: Schema = {
        "type": "object",
        "properties": {called(field.name): _field(field, kinds[field.name]) for field in fields},
    }
    required = [called(field.name) for field in fields if field.default is attrs.NOTHING]
    return schema | ({"required": required} if required else {})


def parameters(model: type) -> list[Schema]:
    """A query model as OpenAPI parameters. None of them can be null in a query: absent is what that means there."""
    schema = model_schema(model)
    required = schema.get("required", [])
    assert isinstance(required, list)
    properties = schema["properties"]
    assert isinstance(properties, Mapping)
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(kind)}
        for name, kind in properties.items()
    ]


def _without_null(schema: Mapping[str, object]) -> Schema:
    kind = schema.get("type")
    if isinstance(kind, list):
        left = [one for one in kind if one != "null"]
        schema = {**schema, "type": left[0] if len(left) == 1 else left}
    if "anyOf" in schema:
        (only,) = [one for one in _list(schema["anyOf"]) if one != {"type": "null"}]
        schema = {**{name: said for name, said in schema.items() if name != "anyOf"}, **only}
    if isinstance(schema.get("enum"), list):
        schema = {**schema, "enum": [one for one in _list(schema["enum"]) if one is not None]}
    return {name: said for name, said in schema.items() if name != "default" or said is not None}


def _list(said: object) -> list[Any]:
    assert isinstance(said, list)
    return said


def _field(field: attrs.Attribute[Any], kind: object) -> Schema:
    schema = _kind(kind)
    optional = isinstance(schema.get("type"), list) or "anyOf" in schema
    listed = schema.get("type") == "array"
    for name, bound in _bounds(field.validator):
        if name == "enum" and optional:  # a bound on an optional value is one on the value
            schema[name] = [*_list(bound), None]
        else:
            schema[_OF_LISTS.get(name, name) if listed else name] = bound
    if field.default is not attrs.NOTHING and not hasattr(field.default, "factory"):
        schema["default"] = field.default.value if isinstance(field.default, enum.Enum) else field.default
    return schema


def _kind(kind: object) -> Schema:
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        (one,) = [part for part in inner if part is not type(None)]
        schema = _kind(one)
        if isinstance(schema.get("type"), str) and "enum" not in schema:
            return {**schema, "type": [schema["type"], "null"]}
        return {"anyOf": [schema, {"type": "null"}]} if schema else schema
    if origin in (list, tuple):
        return {"type": "array", "items": _kind(inner[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _kind(inner[1])}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"type": "string", "enum": [member.value for member in kind]}
    if isinstance(kind, type) and attrs.has(kind):
        return model_schema(kind)
    raise TypeError(f"{kind} has no JSON Schema")


def _bounds(validator: Any) -> list[tuple[str, object]]:
    """What attrs' own validators demand, as keywords of JSON Schema. They are told by their fields: attrs keeps their
    classes to itself."""
    if validator is None:
        return []
    if hasattr(validator, "_validators"):  # and_, also written as a list
        return [bound for one in getattr(validator, "_validators") for bound in _bounds(one)]  # noqa: B009
    if hasattr(validator, "validator"):  # optional
        return _bounds(validator.validator)
    if hasattr(validator, "compare_op"):
        return [(_SIGNS[validator.compare_op], validator.bound)]
    known = {"options": "enum", "min_length": "minLength", "max_length": "maxLength"}
    return [
        (word, list(said) if name == "options" else said)
        for name, word in known.items()
        if (said := getattr(validator, name, None)) is not None
    ]


_SIGNS = {">=": "minimum", "<=": "maximum", ">": "exclusiveMinimum", "<": "exclusiveMaximum"}
_OF_LISTS = {"minLength": "minItems", "maxLength": "maxItems"}
