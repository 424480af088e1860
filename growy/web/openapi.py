"""The registry of endpoints as an OpenAPI 3.1 document. Pure; what it says of answers is what the tests hold the
endpoints to."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from http import HTTPStatus

from growy.model.errors import (
    AccessDenied,
    GrowyError,
    Invalid,
    StoreError,
    StoreUnavailable,
    TokenExpired,
    Unauthorized,
)
from growy.web.answers import JSON, BadRequest, Forbidden, TooBusy
from growy.web.models import model_schema, parameters
from growy.web.router import Auth, Endpoint
from growy.web.shape import FLAG, INTEGER, OBJECT, TEXT, Book, Schema, record

CBOR = "application/cbor"
FORM = "application/x-www-form-urlencoded"
TAGS = {
    "": "growyd",
    "docs": "growyd",
    "metrics": "Health",
    "health": "Health",
    "statistics": "Operation",
    "deadletters": "Operation",
    "audit": "Operation",
    "auth": "Accounts",
    "users": "Accounts",
    "keys": "Accounts",
    "doctor": "Operation",
    "esp": "Devices",
    "zones": "Zones",
    "zone": "Zones",
    "subzone": "Zones",
    "sensors": "Sensors",
    "actuators": "Actuators",
    "interlocks": "Actuators",
    "couplings": "Actuators",
    "logic": "Rules",
    "ws": "Live",
}
"""By the first word of the path behind `/api/v1`; of a word that is not here its own."""
_COMMON: dict[int, tuple[type[GrowyError], ...]] = {
    400: (BadRequest,),
    403: (Forbidden,),
    408: (BadRequest,),
    431: (BadRequest,),
    500: (GrowyError,),
    503: (TooBusy, StoreError, StoreUnavailable),
}
"""What every endpoint may answer."""
ERROR = record(
    "Error",
    success=FLAG,
    error=record(code=TEXT, numeric_code=INTEGER, message=TEXT, details=OBJECT, request_id=TEXT),
    detail=TEXT,
)
_ADMITTED: dict[int, tuple[type[GrowyError], ...]] = {401: (Unauthorized, TokenExpired), 403: (AccessDenied,)}
"""What those may answer that not everybody may call."""
_DESCRIPTION = """\
A daemon for the Raspberry Pi that runs grow rooms and greenhouses.

Answers are JSON, or CBOR where `Accept: application/cbor` asks for it; a body may be CBOR, too. Errors have one shape.
`GET` answers carry an `ETag`. Each endpoint says which role it needs: viewer, operator (also switches and changes) or
admin. On the unix socket the file's permissions are the login."""


def document(endpoints: Iterable[Endpoint], version: str, *, closed: bool = False) -> Schema:
    """The whole document.

    Args:
        closed: schemas of answers allow no field that is not declared: for tests. Clients must expect new ones.
    """
    book = Book(closed=closed)
    paths: dict[str, Schema] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, book)
    for path, item in paths.items():
        if names := re.findall(r"\{(\w+)\}", path):
            item["parameters"] = [_path_parameter(name) for name in names]
    return {
        "openapi": "3.1.0",
        "info": {"title": "growyd", "version": version, "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(book.components.items())),
            "responses": _common_responses(book),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def tag_of(path: str) -> str:
    word = path.removeprefix("/api/v1").strip("/").partition("/")[0]
    return TAGS.get(word, word.capitalize())


def errors_of(endpoint: Endpoint) -> dict[int, list[type[GrowyError]]]:
    """Every error that an endpoint may answer with, by status."""
    found: dict[int, list[type[GrowyError]]] = {status: list(kinds) for status, kinds in _COMMON.items()}
    if endpoint.auth is not Auth.PUBLIC:
        for status, kinds in _ADMITTED.items():
            found.setdefault(status, []).extend(kinds)
    if endpoint.query is not None or endpoint.body is not None or "{" in endpoint.path:
        found[400].append(Invalid)
    if endpoint.body is not None:
        found[413] = [BadRequest]
    if endpoint.handler is None:
        found[426] = [BadRequest]
    for kind in endpoint.errors:
        at = found.setdefault(kind.http_status, [])
        if kind not in at:
            at.append(kind)
    return dict(sorted(found.items()))


def _operation(endpoint: Endpoint, book: Book) -> Schema:
    said = inspect.getdoc(endpoint.handler) or ""
    operation: Schema = {
        "operationId": _name(endpoint),
        "tags": [tag_of(endpoint.path)],
        "summary": endpoint.summary,
        "description": "\n\n".join(filter(None, (said, _needs(endpoint)))),
        "responses": _responses(endpoint, book),
    }
    if endpoint.query is not None:
        operation["parameters"] = parameters(endpoint.query)
    if endpoint.body is not None:
        schema = model_schema(endpoint.body)
        operation["requestBody"] = {
            "required": "required" in schema,
            "content": {
                media: {"schema": schema} for media in ((FORM,) if endpoint.form else (JSON.decode(), CBOR))
            },
        }
    if endpoint.auth is not Auth.PUBLIC:
        operation["security"] = [{"bearer": []}, {"apiKey": []}]
    return operation


def _needs(endpoint: Endpoint) -> str:
    if endpoint.auth is Auth.PUBLIC:
        return ""
    scope = "" if endpoint.scope is None else f" Scope of API keys: {endpoint.scope.value}."
    return f"Role: {endpoint.auth.value}.{scope}"


def _name(endpoint: Endpoint) -> str:
    api = endpoint.path.startswith("/api/v1")
    parts = re.findall(r"[\w-]+", endpoint.path.removeprefix("/api/v1"))
    return "_".join([endpoint.method.lower(), *(() if api else ("root",)), *parts])


def _responses(endpoint: Endpoint, book: Book) -> Schema:
    responses: Schema = {}
    if endpoint.handler is None:
        responses["101"] = {"description": "The connection goes on as a WebSocket"}
    errors = errors_of(endpoint)
    for answer in endpoint.answers:
        content: Schema = {}
        for at, media in enumerate(answer.media):
            name = media.decode().partition(";")[0]
            json = at == 0 and answer.shape is not None
            content[name] = {
                "schema": answer.shape.schema(book) if answer.shape and json else {"type": "string"}
            }
            if json:
                content[CBOR] = {}  # the same once more; written out it would double the document
        described: Schema = {"description": HTTPStatus(answer.status).phrase}
        if content:
            described["content"] = content
        responses[str(answer.status)] = described
    if endpoint.method == "GET" and endpoint.handler is not None:
        responses["304"] = {"description": "Unchanged since the ETag of If-None-Match"}
    for status, kinds in errors.items():
        responses[str(status)] = _with_error(responses.get(str(status)), status, kinds, book)
    return responses


def _with_error(before: object, status: int, kinds: list[type[GrowyError]], book: Book) -> Schema:
    """An error, or, where the endpoint has an answer of its own with that status (health), either of them."""
    codes = sorted({kind.code for kind in kinds})
    schema: Schema = {
        "allOf": [
            ERROR.schema(book),
            {"properties": {"error": {"properties": {"code": {"enum": list[object](codes)}}}}},
        ]
    }
    if isinstance(before, dict):
        schema = {"anyOf": [before["content"][JSON.decode()]["schema"], schema]}
    elif (name := next((name for name, one in _NAMED.items() if one == (status, codes)), None)) is not None:
        return {"$ref": f"#/components/responses/{name}"}
    return _error_response(status, codes, schema)


def _error_response(status: int, codes: list[str], schema: Schema) -> Schema:
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}",
        "content": {JSON.decode(): {"schema": schema}, CBOR: {}},
    }


def _common_responses(book: Book) -> Schema:
    error = ERROR.schema(book)
    return {name: _error_response(status, codes, error) for name, (status, codes) in _NAMED.items()}


def _named_errors() -> dict[str, tuple[int, list[str]]]:
    """Errors that many endpoints have: they stand in the document once."""
    named: dict[str, tuple[int, list[str]]] = {}
    for status, kinds in _COMMON.items():
        named[HTTPStatus(status).name.title().replace("_", "")] = (
            status,
            sorted({kind.code for kind in kinds}),
        )
    named["Unauthorized"] = (401, sorted({Unauthorized.code, TokenExpired.code}))
    named["AccessDenied"] = (403, sorted({AccessDenied.code, Forbidden.code}))
    named["Invalid"] = (400, sorted({BadRequest.code, Invalid.code}))
    return named


_NAMED = _named_errors()


def _path_parameter(name: str) -> Schema:
    schema: Schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}
