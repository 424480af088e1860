"""The whole API of a running growyd is asked what its OpenAPI document allows, and what it forbids. Every answer must
be declared: no status, no error code, no field that the document does not know, and no fault of growyd."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import quote, urlencode

import attrs
import cbor2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rig.documented import closed_document, faults_of
from rig.running import Reply, Running
from schemathesis import GenerationMode
from schemathesis.core import NotSet

from growy.web.answers import Response
from growy.web.api import ENDPOINTS
from growy.web.router import Endpoint

SHORTEST = {"wait": "0", "timeout": "1"}
"""A device may take its time; a thousand questions have none. What waits is tested elsewhere."""
ASKED = [endpoint for endpoint in ENDPOINTS if endpoint.handler is not None]


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(closed_document())


@pytest.mark.parametrize("endpoint", ASKED, ids=lambda one: f"{one.method} {one.path}")
def test_every_answer_is_declared(endpoint: Endpoint, schema: Any, running: Running, long_form: bool) -> None:
    operation = schema[endpoint.path][endpoint.method]
    modes = [operation.as_strategy(generation_mode=GenerationMode.POSITIVE)]
    if endpoint.query is not None or endpoint.body is not None:
        modes.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))

    known = () if endpoint.query is None else attrs.fields(endpoint.query)
    patience = {field.name: SHORTEST[field.name] for field in known if field.name in SHORTEST}

    @settings(
        max_examples=100 if long_form else 6,
        deadline=None,
        derandomize=not long_form,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(modes), choose=st.randoms(use_true_random=False), cbor=st.integers(0, 4))
    def ask(case: Any, choose: random.Random, cbor: int) -> None:
        target, headers, body = request_of(case, running, patience, choose, cbor == 0)
        reply = running.ask(endpoint.method, target, body, **headers)
        judge(endpoint, reply, f"{endpoint.method} {target} {body!r:.2000}")

    ask()


def request_of(
    case: Any, running: Running, patience: dict[str, str], choose: random.Random, cbor: bool
) -> tuple[str, dict[str, str], bytes | None]:
    """A case as a request; ids that exist stand in most paths, because nothing is behind an id that does not."""
    path = case.path
    for name, value in (case.path_parameters or {}).items():
        known = running.names.get(name)
        said = choose.choice(known) if known and choose.random() < 0.8 else str(value)
        path = path.replace(f"{{{name}}}", quote(said, safe="") or "0")
    query = {**(case.query or {}), **patience}
    if query:
        path += "?" + urlencode(query, doseq=True)
    headers = {"Accept": "application/cbor"} if cbor else {}
    if isinstance(case.body, NotSet):
        return path, headers, None
    try:
        if cbor:
            return path, {**headers, "Content-Type": "application/cbor"}, cbor2.dumps(case.body)
        return path, {**headers, "Content-Type": "application/json"}, json.dumps(case.body).encode()
    except (TypeError, ValueError, UnicodeEncodeError, cbor2.CBOREncodeError):
        return path, headers, str(case.body).encode(errors="surrogatepass")


def judge(endpoint: Endpoint, reply: Reply, asked: str) -> None:
    body, media = reply.body, reply.headers.get("content-type", "")
    if media == "application/cbor":
        body, media = json.dumps(cbor2.loads(body)).encode(), "application/json"
    assert reply.status != 500, f"{asked}: {body!r:.1000}"
    faults = faults_of(endpoint, Response(reply.status, body, media.encode()))
    assert not faults, f"{asked}: {faults}"
    assert reply.headers["x-request-id"]
