"""The OpenAPI document as one HTML page to read: no script, nothing from elsewhere. Pure. All text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete")
_DEPTH = 6
_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
nav a{margin-right:1rem}
details{border:1px solid color-mix(in srgb,currentColor 25%,transparent);border-radius:.4rem;margin:.4rem 0;
padding:.3rem .7rem}
summary{cursor:pointer}
code,pre{font:14px/1.45 ui-monospace,monospace}
pre{overflow-x:auto;padding:.6rem;background:color-mix(in srgb,currentColor 7%,transparent);border-radius:.3rem}
b.method{display:inline-block;min-width:4.2rem}
table{border-collapse:collapse}
td,th{text-align:left;vertical-align:top;padding:.15rem .8rem .15rem 0}
"""


def manual(document: Mapping[str, Any]) -> str:
    """The page. Its links are within itself."""
    info, components = document["info"], document["components"]["schemas"]
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        shared = item.get("parameters", [])
        for method in _METHODS:
            if method in item:
                operation = item[method]
                groups.setdefault(operation["tags"][0], []).append(
                    _operation(method, path, operation, shared, components)
                )
    links = "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in groups)
    common = "".join(
        _answer(status, said, components) for status, said in document["components"]["responses"].items()
    )
    sections = "".join(
        f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(parts)}' for tag, parts in groups.items()
    )
    about = "".join(f"<p>{escape(part)}</p>" for part in info["description"].split("\n\n"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>growyd API</title><style>{_STYLE}</style></head><body>"
        f"<h1>growyd {escape(info['version'])}</h1>{about}"
        '<p>For programs: <a href="/api/v1/openapi.json">openapi.json</a></p>'
        f"<nav>{links}</nav>{sections}<h2>What every endpoint may answer</h2>{common}</body></html>"
    )


def _operation(
    method: str,
    path: str,
    operation: Mapping[str, Any],
    shared: list[Mapping[str, Any]],
    components: Mapping[str, Any],
) -> str:
    parts = [f"<p>{escape(operation['description'])}</p>" if operation["description"] else ""]
    if rows := [*shared, *operation.get("parameters", [])]:
        parts.append(f"<h4>Parameters</h4><table>{''.join(map(_parameter, rows))}</table>")
    if "requestBody" in operation:
        schema = next(iter(operation["requestBody"]["content"].values()))["schema"]
        parts.append(f"<h4>Body</h4><pre>{escape(_shown(schema, components))}</pre>")
    parts.append("<h4>Answers</h4>")
    own = {status: said for status, said in operation["responses"].items() if "$ref" not in said}
    parts += [_answer(status, said, components) for status, said in own.items()]
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><b class="method">{method.upper()}</b>'
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>{''.join(parts)}</details>"
    )


def _parameter(said: Mapping[str, Any]) -> str:
    schema = said["schema"]
    facts = [_kind(schema), *_bounds(schema)]
    if said["required"]:
        facts.append("required")
    return f"<tr><td><code>{escape(said['name'])}</code></td><td>{escape(', '.join(facts))}</td></tr>"


def _answer(status: str, said: Mapping[str, Any], components: Mapping[str, Any]) -> str:
    line = f"<p><code>{escape(status)}</code> {escape(said['description'])}</p>"
    content = said.get("content", {})
    if not status.startswith("2") or not content:
        return line
    media, body = next(iter(content.items()))
    shown = _shown(body["schema"], components) if media == "application/json" else media
    return f"{line}<pre>{escape(shown)}</pre>"


def _shown(schema: Mapping[str, Any], components: Mapping[str, Any], depth: int = 0) -> str:
    """A schema as an example of its form: `name: kind`, one field a line."""
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema and "type" not in schema:
        return " or ".join(_shown(one, components, depth) for one in schema["anyOf"])
    if "items" in schema:
        return f"[{_shown(schema['items'], components, depth)}]"
    properties = schema.get("properties")
    if not properties or depth >= _DEPTH:
        return ", ".join([_kind(schema), *_bounds(schema)])
    indent, required = "  " * (depth + 1), set(schema.get("required", ()))
    lines = (
        f"{indent}{name}{'' if name in required else '?'}: {_shown(one, components, depth + 1)}"
        for name, one in properties.items()
    )
    return "{\n" + ",\n".join(lines) + "\n" + "  " * depth + "}"


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return _joined("null" if word is None else f'"{word}"' for word in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return _joined(_kind(one) for one in schema[several])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return _joined(kind)
    return "time" if schema.get("format") == "date-time" else str(kind)


def _joined(kinds: Iterable[str]) -> str:
    return " | ".join(kinds)


_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
    "minLength": "length at least",
    "maxLength": "length at most",
    "minItems": "at least this many:",
    "maxItems": "at most this many:",
    "default": "default",
}


def _bounds(schema: Mapping[str, Any]) -> list[str]:
    return [f"{word} {schema[name]}" for name, word in _BOUNDS.items() if schema.get(name) is not None]
