"""What an answer looks like: a small notation for JSON Schema, in which the endpoints declare their answers. Pure.

A record with a name becomes a component of the OpenAPI document. The same declaration is checked against every
answer in the tests; there no record may have a field that is not declared (`closed`), while clients are told nothing
of the kind, so that a field may be added."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeAlias

import attrs

Schema: TypeAlias = dict[str, object]


@attrs.frozen(eq=False, kw_only=True)
class Shape:
    """One kind of JSON value."""

    facts: Schema = attrs.field(factory=dict)
    """Keywords of JSON Schema that hold no further shape."""
    items: Shape | None = None
    """Of a list."""
    values: Shape | None = None
    """Of a table with keys of any name."""
    any_of: tuple[Shape, ...] = ()

    def schema(self, book: Book) -> Schema:
        """JSON Schema, with named records put into `book`."""
        schema = dict(self.facts)
        if self.items is not None:
            schema |= {"type": "array", "items": self.items.schema(book)}
        if self.values is not None:
            schema |= {"type": "object", "additionalProperties": self.values.schema(book)}
        if self.any_of:
            schema["anyOf"] = [one.schema(book) for one in self.any_of]
        return schema


@attrs.frozen(eq=False, kw_only=True)
class Record(Shape):
    """An object with known fields."""

    name: str = ""
    """Of the component; "" stands where it is used."""
    fields: Mapping[str, Shape]
    optional: frozenset[str] = frozenset()
    free: bool = False
    """Clients keep fields of their own in it."""

    def schema(self, book: Book) -> Schema:
        if not self.name:
            return self._schema(book)
        if self.name not in book.components:
            book.components[self.name] = {}  # it stands from here on: a record may hold itself
            book.components[self.name] = self._schema(book)
            book.sources[self.name] = self
        elif book.sources.get(self.name, self) is not self:
            raise ValueError(f"two records are called {self.name}")
        return {"$ref": f"#/components/schemas/{self.name}"}

    def _schema(self, book: Book) -> Schema:
        schema: Schema = {
            "type": "object",
            "properties": {name: one.schema(book) for name, one in self.fields.items()},
        }
        required = [name for name in self.fields if name not in self.optional]
        if required:
            schema["required"] = required
        if book.closed and not self.free:
            schema["additionalProperties"] = False
        return schema

    def plus(self, name: str = "", /, **fields: Shape) -> Record:
        """This record with more fields, or others for some of its own."""
        return Record(
            name=name,
            fields={**self.fields, **fields},
            optional=self.optional - fields.keys(),
            free=self.free,
        )

    def maybe_with(self, /, **fields: Shape) -> Record:
        """This record with fields that are not always there."""
        return attrs.evolve(
            self, fields={**self.fields, **fields}, optional=self.optional | frozenset(fields)
        )

    def only(self, *names: str) -> Record:
        """Some of its fields, without a name."""
        return Record(
            fields={name: self.fields[name] for name in names}, optional=self.optional & frozenset(names)
        )


@attrs.define
class Book:
    """Collects the components of one document."""

    closed: bool = False
    """No record has other fields than those declared."""
    components: dict[str, Schema] = attrs.field(factory=dict)
    sources: dict[str, Record] = attrs.field(factory=dict)


TEXT = Shape(facts={"type": "string"})
INTEGER = Shape(facts={"type": "integer"})
NUMBER = Shape(facts={"type": "number"})
FLAG = Shape(facts={"type": "boolean"})
TIME = Shape(facts={"type": "string", "format": "date-time"})
ANY = Shape()
OBJECT = Shape(facts={"type": "object"})
"""With fields that are not ours to declare."""
NULL = Shape(facts={"type": "null"})


def maybe(shape: Shape) -> Shape:
    """It, or null: what nobody knows is null."""
    kind = shape.facts.get("type")
    if type(shape) is Shape and isinstance(kind, str) and "enum" not in shape.facts and not shape.any_of:
        return Shape(facts={**shape.facts, "type": [kind, "null"]})
    return Shape(any_of=(shape, NULL))


def many(shape: Shape) -> Shape:
    return Shape(items=shape)


def table(shape: Shape) -> Shape:
    """An object whose keys are names of the grower's or the device's."""
    return Shape(values=shape)


def either(*shapes: Shape) -> Shape:
    return Shape(any_of=shapes)


def words(*said: str | type[enum.Enum]) -> Shape:
    """One of these strings, or of the values of these enums."""
    values: list[object] = []
    for one in said:
        values += [one] if isinstance(one, str) else [member.value for member in one]
    return Shape(facts={"type": "string", "enum": values})


def record(name: str = "", /, **fields: Shape) -> Record:
    return Record(name=name, fields=fields)


def success(name: str = "", /, **fields: Shape) -> Record:
    """An answer that says whether it went well, first of all."""
    return Record(name=name, fields={"success": FLAG, **fields})


def said(shape: Record) -> Record:
    """The answer about one record: `success` and its fields."""
    return Record(fields={"success": FLAG, **shape.fields}, optional=shape.optional, free=shape.free)


PAGINATION = record(
    "Pagination",
    page=INTEGER,
    page_size=INTEGER,
    total_items=INTEGER,
    total_pages=INTEGER,
    has_next=FLAG,
    has_prev=FLAG,
)


def page(shape: Shape) -> Record:
    """A page of a list, as `page_answer` makes it."""
    return success(message=TEXT, data=many(shape), pagination=PAGINATION)


def counted(**fields: Shape) -> Record:
    """A whole list: `success`, the list, `count`."""
    return success(**fields, count=INTEGER)
