"""What a client says of itself: CBOR, ETags, gzip, pages from elsewhere, OPTIONS."""

from __future__ import annotations

import gzip
import json
import threading
import time
from typing import Any

import cbor2
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from growy.config import WebConfig
from growy.model.errors import Invalid
from growy.web.answers import JSON, Response, answer
from growy.web.inputs import body_of
from growy.web.negotiated import _finish, finished, takes_cbor, takes_gzip
from growy.web.router import Auth, Call, Endpoint

PROCESS = {"sensor_type": "none-such", "raw_value": 1.5}
PAGE = "https://grow.example"


# --- CBOR ---------------------------------------------------------------------------------------------------------


async def test_cbor_is_the_same_as_json(client: Any) -> None:
    plain = await client.ask("GET", "/api/v1/esp/devices")
    reply = await client.ask("GET", "/api/v1/esp/devices", Accept="application/cbor")
    assert reply.headers["content-type"] == "application/cbor"
    assert reply.headers["vary"] == "Accept, Accept-Encoding"
    assert cbor2.loads(reply.body) == plain.json()


async def test_errors_are_cbor_too(client: Any) -> None:
    reply = await client.ask("GET", "/api/v1/nothing", Accept="application/cbor")
    assert cbor2.loads(reply.body)["error"]["code"] == "NOT_FOUND"


async def test_what_is_no_json_stays_what_it_is(client: Any) -> None:
    reply = await client.ask("GET", "/metrics", Accept="application/cbor")
    assert reply.headers["content-type"].startswith("text/plain")


async def test_a_body_may_be_cbor(client: Any) -> None:
    data = cbor2.dumps(PROCESS)
    await client.send(
        b"POST /api/v1/sensors/process HTTP/1.1\r\nHost: x\r\nContent-Type: application/cbor\r\n"
        + client.key_line
        + b"Content-Length: %d\r\n\r\n" % len(data)
        + data
    )
    assert (await client.reply()).json()["error"]["code"] == "SENSOR_TYPE_UNKNOWN"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (b"application/cbor", True),
        (b"application/cbor, application/json", True),
        (b"application/json, application/cbor;q=0.5", False),
        (b"application/cbor;q=0", False),
        (b"application/cbor;q=nonsense", False),
        (b"APPLICATION/CBOR", False),
        (b"*/*", False),
        (b"", False),
    ],
)
def test_cbor_is_for_who_asks_by_name(accept: bytes, wanted: bool) -> None:
    assert takes_cbor(accept) is wanted


BODY = dict[str, object]


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"\x81",
        b"\x9f",
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\x01\x02",
        b"\x81\xf6",
        cbor2.dumps({"a": b"bytes"}),
        cbor2.dumps({"a": {1: 2}}),
        cbor2.dumps({"a": cbor2.CBORTag(999, "x")}),
        b"\xa1aa\xd8\x1c\x81\xd8\x1d\x00",  # a list that holds itself
        b"\xa1aa" + b"\x81" * 5000 + b"\x01",
        cbor2.dumps({"a": 1}) + b"\x00",  # and more behind it
        cbor2.dumps({"a": 2**64}),
        cbor2.dumps({"a": 10**5000}),
    ],
    ids=lambda body: body[:12].hex(),
)
def test_cbor_that_json_could_not_say_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        body_of(body, BODY, b"application/cbor")


def test_shared_references_are_not_followed() -> None:
    """Each of these lists is twice the one before it: decoded, 171 bytes would be 2 ** 30 items."""
    bomb = b"\xa1aa\xd8\x1c\x81\x01"
    for depth in range(30):
        bomb = b"\xa1aa\xd8\x1c\x82" + bomb[3:] + b"\xd8\x1d" + cbor2.dumps(depth)
    began = time.process_time()
    with pytest.raises(Invalid, match="not usable CBOR"):
        body_of(bomb, BODY, b"application/cbor")
    assert time.process_time() - began < 0.2


def test_what_has_no_value_in_json_has_none_in_cbor() -> None:
    body = cbor2.dumps({"a": float("nan"), "b": [float("inf"), cbor2.undefined]})
    assert body_of(body, BODY, b"application/cbor") == {"a": None, "b": [None, None]}


@pytest.mark.parametrize("said", ["9" * 30, "9" * 4000, "[" * 40 + "]" * 40])
def test_json_says_nothing_either_that_could_not_be_answered(said: str) -> None:
    with pytest.raises(Invalid):
        body_of(f'{{"a": {said}}}'.encode(), BODY)


@pytest.mark.parametrize(
    ("body", "content_type"), [(cbor2.dumps({"a": 1}), b""), (b'{"a": 1}', b"application/cbor")]
)
def test_the_content_type_says_what_a_body_is(body: bytes, content_type: bytes) -> None:
    with pytest.raises(Invalid, match="is not a"):
        body_of(body, BODY, content_type)


async def test_a_large_body_is_read_in_a_thread(
    house: Any, serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[threading.Thread] = []

    def watched(*args: Any) -> Any:
        where.append(threading.current_thread())
        return body_of(*args)

    monkeypatch.setattr("growy.web.dispatch.body_of", watched)

    async def count(call: Call, body: dict[str, object]) -> Response:
        return answer({"fields": len(body)})

    endpoint = Endpoint(
        method="POST", path="/", summary="", handler=count, body=dict[str, object], auth=Auth.PUBLIC
    )
    async with serve(house, endpoints=[endpoint]) as web, connect(web) as client:
        for fields in (1, 2000):
            reply = await client.ask("POST", "/", {str(field): 0 for field in range(fields)})
            assert reply.json() == {"fields": fields}
    small, large = where
    assert small is threading.main_thread()
    assert large is not small


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_invalid(body: bytes) -> None:
    try:
        said = body_of(body, BODY, b"application/cbor; charset=x")
    except Invalid:
        return
    json.dumps(said)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=5))
def test_what_json_says_cbor_says_too(value: dict[str, Any]) -> None:
    assert body_of(cbor2.dumps(value), BODY, b"application/cbor") == value


# --- ETag ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/api/v1/esp/devices", "/api/v1/sensors", "/api/v1/logic/rules", "/api/v1/sensors/data", "/docs"],
)
async def test_what_has_not_changed_is_304(client: Any, path: str) -> None:
    first = await client.ask("GET", path)
    # What a login shows stays in no browser's folder; what is public may.
    assert first.headers["cache-control"] == ("no-cache" if path == "/docs" else "no-store")
    tag = first.headers["etag"]
    for theirs in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = await client.ask("GET", path, If_None_Match=theirs)
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == tag
        assert "content-length" not in again.headers
        assert "content-type" not in again.headers
    assert (await client.ask("HEAD", path, If_None_Match=tag)).status == 304
    assert (await client.ask("GET", path, If_None_Match='"other"')).status == 200


async def test_what_has_changed_has_another_tag(house: Any, client: Any) -> None:
    before = await client.ask("GET", "/api/v1/zones")
    await client.ask("POST", "/api/v1/zones", {"zone_id": "tent"})
    after = await client.ask("GET", "/api/v1/zones", If_None_Match=before.headers["etag"])
    assert after.status == 200
    assert after.headers["etag"] != before.headers["etag"]


async def test_errors_and_changes_have_no_tag(client: Any) -> None:
    for reply in (
        await client.ask("GET", "/api/v1/zones/none"),
        await client.ask("POST", "/api/v1/zones", {"zone_id": "tent"}),
    ):
        assert "etag" not in reply.headers
        assert reply.headers["cache-control"] == "no-store"


# --- gzip ---------------------------------------------------------------------------------------------------------


async def test_a_large_answer_is_packed_for_who_can_unpack_it(client: Any) -> None:
    plain = await client.ask("GET", "/api/v1/openapi.json")
    packed = await client.ask("GET", "/api/v1/openapi.json", Accept_Encoding="br, gzip;q=0.5")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] == plain.headers["etag"]
    assert len(packed.body) < len(plain.body) / 5
    assert gzip.decompress(packed.body) == plain.body
    head = await client.ask("HEAD", "/api/v1/openapi.json", Accept_Encoding="gzip")
    assert head.headers["content-length"] == packed.headers["content-length"]


async def test_a_small_answer_is_not(client: Any) -> None:
    reply = await client.ask("GET", "/health", Accept_Encoding="gzip")
    assert "content-encoding" not in reply.headers


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (b"gzip", True),
        (b"deflate, GZIP ; q=0.1", True),
        (b"gzip;q=0", False),
        (b"gzip;q=0.000", False),
        (b"br", False),
        (b"", False),
    ],
)
def test_gzip_is_for_who_can(said: bytes, wanted: bool) -> None:
    assert takes_gzip(said) is wanted


@pytest.mark.parametrize("size", [100, 2_000, 3_000_000])
async def test_packing_and_cbor_together(size: int) -> None:
    headers = {b"accept": b"application/cbor", b"accept-encoding": b"gzip"}
    reply = await finished(answer({"text": "x" * size}), "GET", headers)
    body = gzip.decompress(reply.body) if size > 1000 else reply.body
    assert cbor2.loads(body) == {"text": "x" * size}


async def test_a_large_answer_is_packed_beside_the_loop() -> None:
    """3 MB of noise take gzip tens of milliseconds; meanwhile others are served."""
    reply = Response(200, json.dumps(list(range(600_000))).encode(), JSON)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await trio.sleep(0.001)
            ticks += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        await finished(reply, "GET", {b"accept-encoding": b"gzip"})
        nursery.cancel_scope.cancel()
    assert ticks > 3


# --- OPTIONS and pages from elsewhere -----------------------------------------------------------------------------


async def test_options_says_what_can_be_done(client: Any) -> None:
    reply = await client.ask("OPTIONS", "/api/v1/zones/tent")
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH"
    assert (await client.ask("OPTIONS", "/none")).status == 404
    assert (await client.ask("OPTIONS", "*")).headers["allow"] == "GET, HEAD, OPTIONS"


async def test_no_page_from_elsewhere_may_unless_it_is_named(client: Any) -> None:
    reply = await client.ask("GET", "/health", Origin=PAGE)
    assert reply.status == 200
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert (await client.ask("POST", "/api/v1/zones", {"zone_id": "x"}, Origin=PAGE)).status == 403


async def test_a_named_page_may(house: Any, serve: Any, connect: Any) -> None:
    config = WebConfig(port=0, cors_origins=f"{PAGE}, http://192.168.1.9:5173")
    async with serve(house, config) as web, connect(web) as client:
        asked = await client.ask(
            "OPTIONS",
            "/api/v1/zones",
            Origin=PAGE,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="authorization, content-type",
        )
        assert asked.status == 204
        assert asked.headers["access-control-allow-origin"] == PAGE
        assert "POST" in asked.headers["access-control-allow-methods"]
        assert "Authorization" in asked.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in asked.headers
        reply = await client.ask("POST", "/api/v1/zones", {"zone_id": "tent"}, Origin=PAGE)
        assert reply.status == 201
        assert reply.headers["access-control-allow-origin"] == PAGE
        assert "X-Request-ID" in reply.headers["access-control-expose-headers"]
        refused = await client.ask("GET", "/api/v1/nothing", Origin=PAGE)
        assert refused.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("page", ["https://evil.example", "https://grow.example.evil.example", "null"])
async def test_another_page_may_not(house: Any, serve: Any, connect: Any, page: str) -> None:
    async with serve(house, WebConfig(port=0, cors_origins=PAGE)) as web, connect(web) as client:
        asked = await client.ask(
            "OPTIONS", "/api/v1/zones", Origin=page, Access_Control_Request_Method="POST"
        )
        assert "access-control-allow-origin" not in asked.headers
        assert asked.headers["vary"] == "Origin"
        assert (await client.ask("POST", "/api/v1/zones", {"zone_id": "x"}, Origin=page)).status == 403


async def test_what_an_answer_says_of_itself_is_kept(house: Any, serve: Any, connect: Any) -> None:
    """A file of the page has a tag and a time of its own."""

    async def file(call: Call) -> Response:
        return Response(200, b"body", b"text/css", ((b"ETag", b'"v1"'),), cache=b"max-age=60")

    endpoints = [Endpoint(method="GET", path="/file", summary="", handler=file, auth=Auth.PUBLIC)]
    async with serve(house, endpoints=endpoints) as web, connect(web) as client:
        reply = await client.ask("GET", "/file")
        assert (reply.headers["etag"], reply.headers["cache-control"]) == ('"v1"', "max-age=60")


async def test_a_large_answer_is_hashed_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    where: list[threading.Thread] = []

    def watched(*args: Any) -> Any:
        where.append(threading.current_thread())
        return _finish(*args)

    monkeypatch.setattr("growy.web.negotiated._finish", watched)
    await finished(Response(200, b"1" * 1000), "GET", {})
    await finished(Response(200, b"1" * 1_000_000), "GET", {})
    small, large = where
    assert small is threading.main_thread()
    assert large is not small


async def test_an_answer_that_cannot_be_finished_is_an_error_answer(
    house: Any, serve: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(call: Call) -> Response:
        return Response(200, b"no JSON")

    endpoint = Endpoint(method="GET", path="/", summary="", handler=broken, auth=Auth.PUBLIC)
    async with serve(house, endpoints=[endpoint]) as web, connect(web) as client:
        reply = await client.ask("GET", "/", Accept="application/cbor")
        assert (reply.status, reply.json()["error"]["code"]) == (500, "INTERNAL_ERROR")
        assert (await client.ask("GET", "/")).status == 200  # the connection goes on
        assert web.statistics().faults == 1
    assert "request failed" in caplog.text
