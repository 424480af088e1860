"""The OpenAPI document: valid, complete, and what the page at /docs is made of."""

from __future__ import annotations

import json
import time
from typing import Any

import attrs
import pytest
import trio
from attrs import validators as v
from jsonschema_rs import meta

from growy.web.answers import json_bytes
from growy.web.api import ENDPOINTS
from growy.web.api.docs import described
from growy.web.api.sensor_setup import SensorBody
from growy.web.inputs import Moment
from growy.web.models import model_schema, parameters
from growy.web.openapi import document
from growy.web.router import Auth, Endpoint

WHOLE: dict[str, Any] = document(ENDPOINTS, "1.2.3")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_every_endpoint_says_what_it_answers(endpoint: Endpoint) -> None:
    operation = WHOLE["paths"][endpoint.path][endpoint.method.lower()]
    assert operation["summary"]
    assert endpoint.answers or endpoint.errors or endpoint.handler is None
    assert ("security" in operation) is (endpoint.auth is not Auth.PUBLIC)
    if endpoint.auth is not Auth.PUBLIC:
        assert f"Role: {endpoint.auth.value}." in operation["description"]


def test_every_schema_is_json_schema() -> None:
    def walk(said: object) -> None:
        if isinstance(said, dict):
            if "schema" in said:
                meta.validate({**said["schema"], "$schema": "https://json-schema.org/draft/2020-12/schema"})
            for one in said.values():
                walk(one)
        elif isinstance(said, list):
            for one in said:
                walk(one)

    walk(WHOLE["paths"])
    for schema in WHOLE["components"]["schemas"].values():
        meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(WHOLE)
    for part in text.split('"$ref": "#/')[1:]:
        at: Any = WHOLE
        for step in part.partition('"')[0].split("/"):
            at = at[step]
        assert at


def test_operation_ids_are_unique() -> None:
    ids = [
        one["operationId"]
        for path in WHOLE["paths"].values()
        for name, one in path.items()
        if name != "parameters"
    ]
    assert len(ids) == len(set(ids)) == len(ENDPOINTS)


def test_path_parameters_are_declared() -> None:
    item = WHOLE["paths"]["/api/v1/actuators/{esp_id}/{gpio}"]
    assert [one["name"] for one in item["parameters"]] == ["esp_id", "gpio"]


@attrs.frozen
class Model:
    needed: str = attrs.field(validator=[v.min_len(1), v.max_len(9)])
    list_: list[int] = attrs.field(factory=list, validator=v.max_len(3))
    share: float = attrs.field(default=0.5, validator=[v.ge(0), v.lt(1)])
    word: str | None = attrs.field(default=None, validator=v.optional(v.in_(("a", "b"))))
    since: Moment | None = None


def test_bounds_defaults_and_choices_are_told() -> None:
    assert model_schema(Model) == {
        "type": "object",
        "properties": {
            "needed": {"type": "string", "minLength": 1, "maxLength": 9},
            "list": {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
            "share": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.5},
            "word": {"type": ["string", "null"], "enum": ["a", "b", None], "default": None},
            "since": {
                "anyOf": [
                    {
                        "oneOf": [{"type": "string", "format": "date-time"}, {"type": "number"}],
                        "description": "ISO 8601, Unix seconds or Unix milliseconds",
                    },
                    {"type": "null"},
                ],
                "default": None,
            },
        },
        "required": ["needed"],
    }


def test_a_query_knows_no_null() -> None:
    word = {one["name"]: one for one in parameters(Model)}["word"]
    assert word == {
        "name": "word",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "enum": ["a", "b"]},
    }
    text = json.dumps(parameters(Model))
    assert "null" not in text


def test_a_real_body_has_its_bounds() -> None:
    properties: Any = model_schema(SensorBody)["properties"]
    assert properties["interval_ms"] == {
        "type": ["integer", "null"], "minimum": 1000, "maximum": 300_000, "default": None,
    }  # fmt: skip


async def test_the_document_and_the_page_are_served(client: Any) -> None:
    reply = await client.ask("GET", "/api/v1/openapi.json")
    assert reply.status == 200
    served = reply.json()
    assert served["openapi"].startswith("3.1")
    assert set(served["paths"]) == set(WHOLE["paths"])
    page = await client.ask("GET", "/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    text = page.body.decode()
    for endpoint in ENDPOINTS:
        assert f"<code>{endpoint.path}</code>" in text
    assert "<script" not in text
    assert "src=" not in text
    assert "http://" not in text
    assert "https://" not in text


async def test_both_are_served_to_who_asks_while_they_are_made(
    house: Any, serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(value: object) -> bytes:
        time.sleep(0.3)
        return json_bytes(value)

    monkeypatch.setattr("growy.web.api.docs.json_bytes", slowly)
    found: list[int] = []
    async with serve(house, endpoints=described(())) as web, trio.open_nursery() as nursery:

        async def ask(path: str) -> None:
            async with connect(web, "") as client:
                found.append((await client.ask("GET", path)).status)

        for path in ("/docs", "/api/v1/openapi.json", "/docs"):
            nursery.start_soon(ask, path)
            await trio.sleep(0.1)
    assert found == [200, 200, 200]
