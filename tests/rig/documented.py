"""Holds answers to what the registry declares: status, media type, error code, shape. No field may be there that is
not declared."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema_rs

from growy.web.answers import JSON, Response
from growy.web.api import ENDPOINTS
from growy.web.openapi import document, errors_of
from growy.web.router import Endpoint

_KNOWN = {(endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS}


@cache
def closed_document() -> dict[str, Any]:
    return document(ENDPOINTS, "test", closed=True)


@cache
def _validator(method: str, path: str, status: int) -> Any:
    whole = closed_document()
    said = whole["paths"][path][method.lower()]["responses"][str(status)]
    if "$ref" in said:
        said = whole["components"]["responses"][said["$ref"].rpartition("/")[2]]
    schema = said["content"]["application/json"]["schema"]
    return jsonschema_rs.validator_for({**schema, "components": whole["components"]})


def faults_of(endpoint: Endpoint, reply: Response) -> list[str]:
    """What an answer has that its endpoint does not declare; nothing for endpoints that a test made up."""
    if _KNOWN.get((endpoint.method, endpoint.path)) is not endpoint:
        return []
    if reply.status == 304 and endpoint.method == "GET":
        return []
    named = f"{endpoint.method} {endpoint.path} answers {reply.status}"
    declared = [answer for answer in endpoint.answers if answer.status == reply.status]
    if reply.status >= 400:
        codes = {kind.code for kind in errors_of(endpoint).get(reply.status, ())}
        if (said := _code_of(reply)) is not None and said not in codes:
            return [
                f"{named} with {said}, which it does not declare ({', '.join(sorted(codes)) or 'nothing'})"
            ]
        if said is None and not declared:
            return [f"{named}, which is no error and not declared"]
    elif not declared:
        return [f"{named}, which it does not declare"]
    if declared and reply.content_type not in declared[0].media and reply.body:
        return [f"{named} as {reply.content_type!r}, which it does not declare"]
    if reply.content_type != JSON or not reply.body:
        return []
    value = json.loads(reply.body)
    validator = _validator(endpoint.method, endpoint.path, reply.status)
    return [
        f"{named}: {'/'.join(map(str, error.instance_path))}: {error.message:.300}"
        for error in validator.iter_errors(value)
    ]


def _code_of(reply: Response) -> str | None:
    """The code of an answer in the error shape; None: it is an answer of another kind."""
    value = json.loads(reply.body)
    error = value.get("error") if isinstance(value, dict) else None
    return str(error["code"]) if isinstance(error, dict) else None
