"""Who may call what: nothing that is not in the table here, and nobody without the role that stands in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from rig.people import api_key
from trio_websocket import ConnectionClosed, open_websocket_url

from growy.model.errors import Unauthorized
from growy.model.people import ANYBODY, LOCAL, Peer, Role, Scope
from growy.web.answers import Response, answer
from growy.web.api import ENDPOINTS
from growy.web.gate import Gate
from growy.web.router import Auth, Call
from growy.web.server import address_of_peer

TABLE = """
PUBLIC GET /
PUBLIC GET /health
PUBLIC GET /metrics
PUBLIC GET /docs
PUBLIC GET /api/v1/openapi.json
PUBLIC GET /static/{build}/{file}
PUBLIC GET /api/v1/health
PUBLIC GET /api/v1/auth/status
PUBLIC POST /api/v1/auth/login
PUBLIC POST /api/v1/auth/login/form
PUBLIC POST /api/v1/auth/refresh
PUBLIC POST /api/v1/auth/setup
PUBLIC GET /api/v1/health/live
PUBLIC GET /api/v1/health/metrics
PUBLIC GET /api/v1/health/ready
VIEWER GET /api/v1/actuators
VIEWER GET /api/v1/actuators/emergency
VIEWER GET /api/v1/actuators/{esp_id}/{gpio}
VIEWER GET /api/v1/actuators/{esp_id}/{gpio}/history
VIEWER GET /api/v1/actuators/{esp_id}/{gpio}/status
VIEWER GET /api/v1/audit
VIEWER GET /api/v1/auth/me
PUBLIC POST /api/v1/auth/logout
VIEWER PATCH /api/v1/users/me/password
VIEWER GET /api/v1/audit/event-types
VIEWER GET /api/v1/auth/mqtt/status
VIEWER GET /api/v1/couplings
VIEWER GET /api/v1/deadletters
VIEWER GET /api/v1/doctor
VIEWER GET /api/v1/esp/devices
VIEWER GET /api/v1/esp/devices/{esp_id}
VIEWER GET /api/v1/esp/devices/{esp_id}/alert-config
VIEWER GET /api/v1/esp/devices/{esp_id}/gpio-status
VIEWER GET /api/v1/esp/devices/{esp_id}/health
VIEWER GET /api/v1/esp/devices/{esp_id}/health/score
VIEWER GET /api/v1/esp/discovery
VIEWER GET /api/v1/health/detailed
VIEWER GET /api/v1/health/esp
VIEWER GET /api/v1/interlocks
VIEWER GET /api/v1/logic/degraded
VIEWER GET /api/v1/logic/execution_history
VIEWER GET /api/v1/logic/rules
VIEWER GET /api/v1/logic/rules/{rule_id}
VIEWER GET /api/v1/logic/templates
VIEWER GET /api/v1/logic/templates/{template_id}
VIEWER GET /api/v1/sensors
VIEWER GET /api/v1/sensors/config/{id}
VIEWER GET /api/v1/sensors/data
VIEWER GET /api/v1/sensors/esp/{esp_id}/onewire
VIEWER GET /api/v1/sensors/libraries
VIEWER POST /api/v1/sensors/process
VIEWER GET /api/v1/sensors/{esp_id}/{gpio}
VIEWER GET /api/v1/sensors/{esp_id}/{gpio}/stats
VIEWER GET /api/v1/statistics
VIEWER GET /api/v1/subzone/devices/{esp_id}/subzones
VIEWER GET /api/v1/subzone/devices/{esp_id}/subzones/{subzone_id}
VIEWER GET /api/v1/ws
VIEWER GET /api/v1/ws/realtime/{client_id}
VIEWER GET /api/v1/zone/devices/{esp_id}
VIEWER GET /api/v1/zone/unassigned
VIEWER GET /api/v1/zone/zones
VIEWER GET /api/v1/zone/{zone_id}/devices
VIEWER GET /api/v1/zone/{zone_id}/monitor-data
VIEWER GET /api/v1/zones
VIEWER GET /api/v1/zones/{zone_id}
VIEWER GET /api/god/command-chain/{command_id}
VIEWER GET /api/god/command-chains
VIEWER GET /api/god/emergency_stop/{incident}
VIEWER GET /api/god/hierarchy
VIEWER GET /api/god/performance/stats
VIEWER GET /api/v1/kaiser
VIEWER GET /api/v1/kaiser/nodes
VIEWER GET /api/v1/kaiser/{kaiser_id}
VIEWER GET /api/v1/kaiser/{kaiser_id}/hierarchy
VIEWER GET /ws/realtime/{client_id}
OPERATOR POST /api/god/command-chain/{command_id}/approve
OPERATOR POST /api/god/command-chain/{command_id}/cancel
OPERATOR POST /api/god/emergency_stop
OPERATOR POST /api/god/esp/transfer
OPERATOR POST /api/god/kaiser/add
OPERATOR POST /api/v1/kaiser/{kaiser_id}/assign_esp
OPERATOR POST /api/v1/kaiser/{kaiser_id}/command
OPERATOR POST /api/v1/kaiser/{kaiser_id}/emergency_stop
OPERATOR POST /api/v1/kaiser/{kaiser_id}/sync_config
OPERATOR PUT /api/v1/kaiser/{kaiser_id}/zones
ADMIN POST /api/v1/kaiser
ADMIN POST /api/v1/kaiser/register
ADMIN DELETE /api/v1/kaiser/{kaiser_id}
OPERATOR POST /api/v1/actuators/clear-emergency
OPERATOR POST /api/v1/actuators/clear_emergency
OPERATOR POST /api/v1/actuators/emergency-stop
OPERATOR POST /api/v1/actuators/emergency_stop
OPERATOR DELETE /api/v1/actuators/{esp_id}/{gpio}
OPERATOR POST /api/v1/actuators/{esp_id}/{gpio}
OPERATOR POST /api/v1/actuators/{esp_id}/{gpio}/command
OPERATOR POST /api/v1/actuators/{esp_id}/{gpio}/set
OPERATOR POST /api/v1/couplings
OPERATOR DELETE /api/v1/couplings/{esp_id}/{gpio}
OPERATOR POST /api/v1/esp/devices
OPERATOR GET /api/v1/esp/devices/pending
OPERATOR DELETE /api/v1/esp/devices/{esp_id}
OPERATOR PATCH /api/v1/esp/devices/{esp_id}
OPERATOR PATCH /api/v1/esp/devices/{esp_id}/alert-config
OPERATOR POST /api/v1/esp/devices/{esp_id}/approve
OPERATOR POST /api/v1/esp/devices/{esp_id}/assign_kaiser
OPERATOR POST /api/v1/esp/devices/{esp_id}/command
OPERATOR POST /api/v1/esp/devices/{esp_id}/config
OPERATOR POST /api/v1/esp/devices/{esp_id}/reject
OPERATOR POST /api/v1/esp/devices/{esp_id}/reset
OPERATOR POST /api/v1/esp/devices/{esp_id}/restart
OPERATOR POST /api/v1/esp/devices/{esp_id}/set-pending
OPERATOR POST /api/v1/interlocks
OPERATOR DELETE /api/v1/interlocks/{interlock_id}
OPERATOR POST /api/v1/logic/replay
OPERATOR POST /api/v1/logic/rules
OPERATOR DELETE /api/v1/logic/rules/{rule_id}
OPERATOR PUT /api/v1/logic/rules/{rule_id}
OPERATOR POST /api/v1/logic/rules/{rule_id}/test
OPERATOR POST /api/v1/logic/rules/{rule_id}/toggle
OPERATOR POST /api/v1/logic/templates/{template_id}/instantiate
OPERATOR POST /api/v1/logic/test
OPERATOR POST /api/v1/sensors/calibrate
OPERATOR POST /api/v1/sensors/esp/{esp_id}/onewire/scan
OPERATOR POST /api/v1/sensors/libraries/reload
OPERATOR DELETE /api/v1/sensors/{esp_id}/{gpio}
OPERATOR POST /api/v1/sensors/{esp_id}/{gpio}
OPERATOR DELETE /api/v1/sensors/{esp_id}/{gpio}/calibrate
OPERATOR POST /api/v1/sensors/{esp_id}/{gpio}/calibrate
OPERATOR POST /api/v1/sensors/{esp_id}/{gpio}/measure
OPERATOR POST /api/v1/subzone/devices/{esp_id}/subzones/assign
OPERATOR DELETE /api/v1/subzone/devices/{esp_id}/subzones/{subzone_id}
OPERATOR PATCH /api/v1/subzone/devices/{esp_id}/subzones/{subzone_id}/metadata
OPERATOR DELETE /api/v1/subzone/devices/{esp_id}/subzones/{subzone_id}/safe-mode
OPERATOR POST /api/v1/subzone/devices/{esp_id}/subzones/{subzone_id}/safe-mode
OPERATOR POST /api/v1/zone/devices/{esp_id}/assign
OPERATOR DELETE /api/v1/zone/devices/{esp_id}/zone
OPERATOR POST /api/v1/zones
OPERATOR DELETE /api/v1/zones/{zone_id}
OPERATOR PATCH /api/v1/zones/{zone_id}
OPERATOR POST /api/v1/zones/{zone_id}/archive
OPERATOR POST /api/v1/zones/{zone_id}/reactivate
ADMIN POST /api/v1/auth/register
ADMIN GET /api/v1/keys
ADMIN POST /api/v1/keys
ADMIN DELETE /api/v1/keys/{name}
ADMIN GET /api/v1/users
ADMIN POST /api/v1/users
ADMIN GET /api/v1/users/{user_id}
ADMIN PATCH /api/v1/users/{user_id}
ADMIN DELETE /api/v1/users/{user_id}
ADMIN POST /api/v1/users/{user_id}/reset-password
ADMIN POST /api/v1/auth/mqtt/configure
ADMIN POST /api/v1/esp/devices/{esp_id}/emergency-token
"""
"""Method and path, and the least role that is let in. A new endpoint needs a line, and a thought: who may do harm
with it?"""

ALLOWED = {(method, path): Auth[word] for word, method, path in map(str.split, TABLE.strip().splitlines())}


def test_every_endpoint_has_its_line_and_asks_for_that_role() -> None:
    assert {(endpoint.method, endpoint.path): endpoint.auth for endpoint in ENDPOINTS} == ALLOWED


def test_what_changes_something_needs_an_operator() -> None:
    converts = ("POST", "/api/v1/sensors/process")  # computes, and changes nothing
    own = ("PATCH", "/api/v1/users/me/password")
    for (method, path), auth in ALLOWED.items():
        if method != "GET" and (method, path) not in (converts, own) and not path.startswith("/api/v1/auth/"):
            assert auth in (Auth.OPERATOR, Auth.ADMIN), (method, path)


async def reached(call: Call) -> Response:
    """In place of every handler: only the gate is asked, and nothing happens."""
    return answer({"by": call.by})


@pytest.mark.parametrize("role", [None, *Role])
async def test_every_endpoint_lets_in_who_has_its_role_and_nobody_else(
    house: Any, serve: Any, connect: Any, role: Role | None
) -> None:
    endpoints = [
        attrs.evolve(endpoint, handler=endpoint.handler and reached, query=None, body=None)
        for endpoint in ENDPOINTS
    ]
    async with serve(house, endpoints=endpoints) as web:
        key = "" if role is None else await api_key(web, role)
        for endpoint in endpoints:
            needed = ALLOWED[endpoint.method, endpoint.path].role
            expected = 200 if needed is None or (role and role >= needed) else 403 if role else 401
            if endpoint.handler is None:
                continue  # a WebSocket: see below
            async with connect(web, key) as client:
                reply = await client.ask(endpoint.method, re.sub(r"\{\w+\}", "0", endpoint.path))
            assert reply.status == expected, (endpoint.method, endpoint.path, reply.body)


@pytest.mark.parametrize("path", [endpoint.path for endpoint in ENDPOINTS if endpoint.handler is None])
async def test_a_websocket_watches_with_a_key_and_not_without(web: Any, connect: Any, path: str) -> None:
    url = f"ws://{web.host}:{web.port}{path.format(client_id='tab')}"
    key = (await api_key(web, Role.VIEWER)).encode()
    async with open_websocket_url(url, extra_headers=[(b"X-API-Key", key)]) as socket:
        assert "connection_established" in str(await socket.get_message())
    for strange in (url, f"{url}?token=a.b.c"):
        async with open_websocket_url(strange) as socket:
            with trio.fail_after(5), pytest.raises(ConnectionClosed) as closed:
                await socket.get_message()
            assert closed.value.reason.code == 4001
        # The client library leaves its stream open when the server closes first.
        await trio.aclose_forcefully(socket._stream)


async def test_a_stranger_is_told_what_to_show(web: Any, connect: Any) -> None:
    async with connect(web, "") as client:
        reply = await client.ask("GET", "/api/v1/sensors")
    assert reply.headers["www-authenticate"] == "Bearer"
    said = reply.json()
    assert (said["detail"], said["error"]["numeric_code"]) == ("Could not validate credentials", 5408)


@pytest.mark.parametrize(
    "headers",
    [
        {"X_API_Key": "esp_123456"},
        {"X_API_Key": "growy_" + "A" * 43},
        {"X_API_Key": "x" * 5000},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
    ],
)
async def test_credentials_that_nobody_gave_out_count_for_nothing(
    web: Any, connect: Any, headers: dict[str, str]
) -> None:
    async with connect(web) as client:
        reply = await client.ask("GET", "/api/v1/sensors", **headers)
    assert reply.status == 401


async def test_a_missing_role_is_named(web: Any, connect: Any) -> None:
    async with connect(web, await api_key(web, Role.VIEWER)) as client:
        reply = await client.ask("POST", "/api/v1/zones", {"zone_id": "tent"})
    said = reply.json()["error"]
    assert (reply.status, said["code"], said["numeric_code"]) == (403, "FORBIDDEN", 5409)
    assert said["details"]["role"] == "operator"
    assert "operator" in said["message"]


async def test_a_scoped_key_reaches_its_endpoints_only(web: Any, connect: Any) -> None:
    key = await api_key(web, Role.OPERATOR, frozenset({Scope.PROCESS}))
    async with connect(web, key) as client:
        reply = await client.ask("POST", "/api/v1/sensors/process", {"sensor_type": "no", "raw_data": 1})
        assert reply.status == 404
        reply = await client.ask("GET", "/api/v1/sensors")
        assert reply.status == 403
        assert "process" in reply.json()["detail"]
        assert (await client.ask("GET", "/health")).status == 200


async def test_a_key_that_was_removed_counts_no_more(web: Any, connect: Any) -> None:
    key, _ = await web.accounts.administration.add_key("gone", Role.VIEWER, caller=LOCAL)
    async with connect(web, key) as client:
        assert (await client.ask("GET", "/api/v1/sensors")).status == 200
        await web.accounts.administration.remove_key("gone", caller=LOCAL)
        assert (await client.ask("GET", "/api/v1/sensors")).status == 401


async def test_the_unix_socket_is_its_own_login(house: Any, serve: Any, tmp_path: Path) -> None:
    from web.conftest import Client

    path = tmp_path / "growyd.sock"
    async with serve(house, socket_path=path), await trio.open_unix_socket(path) as stream:
        client = Client(stream)
        assert (await client.ask("POST", "/api/v1/zones", {"zone_id": "tent"})).status == 201
        assert (await client.ask("GET", "/api/v1/sensors", X_API_Key="wrong")).status == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto"])
async def test_a_proxy_on_the_unix_socket_makes_nobody_an_administrator(
    house: Any, serve: Any, tmp_path: Path, header: str
) -> None:
    from web.conftest import Client

    path = tmp_path / "growyd.sock"
    async with serve(house, socket_path=path), await trio.open_unix_socket(path) as stream:
        client = Client(stream)
        proxied = {header.replace("-", "_"): "203.0.113.9"}
        assert (await client.ask("GET", "/api/v1/users", **proxied)).status == 401
        key, _ = await house.accounts.administration.add_key("web", Role.VIEWER, caller=LOCAL)
        assert (await client.ask("GET", "/api/v1/sensors", X_API_Key=key, **proxied)).status == 200
        assert (await client.ask("GET", "/api/v1/users")).status == 200  # the next request is its own


async def test_a_public_endpoint_knows_who_asks_only_where_it_wants_to(house: Any) -> None:
    gate, peer = Gate(house.accounts), Peer("10.0.0.2")
    key, _ = await house.accounts.administration.add_key("cam", Role.VIEWER, caller=LOCAL)
    public = {one.path: one for one in ENDPOINTS if one.auth is Auth.PUBLIC}
    logout, health = public["/api/v1/auth/logout"], public["/health"]
    assert gate.admit(logout, {b"x-api-key": key.encode()}, "", peer).caller.name == "cam"
    assert gate.admit(logout, {b"x-api-key": b"growy_wrong"}, "", peer).caller is ANYBODY
    assert gate.admit(health, {b"x-api-key": key.encode()}, "", peer).caller is ANYBODY
    proxied = Peer("", local=True, forwarded=True)
    assert gate.admit(health, {}, "", proxied).caller is ANYBODY
    with pytest.raises(Unauthorized):
        house.accounts.of_key("growy_wrong", proxied)


def test_a_client_that_is_gone_before_anybody_looked_is_no_fault() -> None:
    import socket as sockets

    with sockets.socket() as never_connected:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(never_connected))
        with pytest.raises(trio.BrokenResourceError):
            address_of_peer(stream)
