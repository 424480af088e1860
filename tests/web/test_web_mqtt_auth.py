"""POST /api/v1/auth/mqtt/configure and GET /api/v1/auth/mqtt/status, over a real Mosquitto."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from rig.brokers import Mosquitto as Broker
from rig.passwords import guarded
from rig.people import api_key

from growy.broker.engine import Endpoint
from growy.broker.knock import Login, lets_in
from growy.broker.logins import REMEMBERED, BrokerLogins
from growy.broker.mosquitto import Mosquitto
from growy.model.audit import AuditEntry
from growy.model.people import Role
from growy.web.server import Web

pytestmark = pytest.mark.mosquitto

CONFIGURE, STATUS = "/api/v1/auth/mqtt/configure", "/api/v1/auth/mqtt/status"
OLD, NEW = "the old secret", "the new secret"


@attrs.frozen
class Served:
    endpoint: Endpoint
    mosquitto: Mosquitto
    client: Any
    notes: list[AuditEntry]
    web: Web

    async def configure(self, body: object, status: int = 200) -> Any:
        reply = await self.client.ask("POST", CONFIGURE, body)
        assert reply.status == status, reply.body
        assert NEW.encode() not in reply.body
        return reply.json()

    async def lets_in(self, username: str, password: str) -> bool:
        return await lets_in(self.endpoint, Login(username, password))


@pytest.fixture
async def served(
    house: Any, serve: Any, connect: Any, mosquitto_with: Callable[[str], Broker], tmp_path: Path
) -> AsyncIterator[Served]:
    _, mosquitto, endpoint = guarded(mosquitto_with, tmp_path, {"esp": OLD, "growyd": "its own secret"})
    own = attrs.evolve(endpoint, username="growyd", password="its own secret")
    notes: list[AuditEntry] = []
    house.logins = BrokerLogins(
        own,
        mosquitto,
        remembered=None,
        remember=lambda facts: house.store.set_keyed(REMEMBERED, facts),
        note=notes.append,
        connected=lambda: True,
        wall_ms=lambda: 1_700_000_000_000,
        patience_s=2.0,
    )
    async with serve(house) as web, connect(web) as client:
        yield Served(endpoint, mosquitto, client, notes, web)


async def test_a_login_is_set_up_and_stands_in_the_status(served: Served, house: Any) -> None:
    before = (await served.client.ask("GET", STATUS)).json()
    said = await served.configure({"username": "esp", "password": NEW, "enabled": True})
    after = (await served.client.ask("GET", STATUS)).json()

    assert before == {
        "success": True,
        "enabled": False,
        "username": None,
        "password_file_exists": True,
        "broker_connected": True,
        "last_configured": None,
    }
    assert said == {
        "success": True,
        "message": "The broker lets esp in with the new password, and with no other",
        "username": "esp",
        "enabled": True,
        "broker_reloaded": True,
        "warnings": [],
    }
    assert (after["enabled"], after["username"], after["last_configured"]) == (
        True, "esp", "2023-11-14T22:13:20.000Z",
    )  # fmt: skip
    assert await served.lets_in("esp", NEW)
    assert not await served.lets_in("esp", OLD)
    assert NEW not in await house.store.keyed(REMEMBERED)
    assert [(note.source_id, note.details["by"]) for note in served.notes] == [("esp", "key:tests")]


async def test_the_status_of_logging_in_knows_of_logins_that_growyd_has_set_up(served: Served) -> None:
    async def in_use() -> bool:
        return bool((await served.client.ask("GET", "/api/v1/auth/status")).json()["mqtt_auth_enabled"])

    assert not await in_use()  # the house has no login of its own
    await served.configure({"username": "esp", "password": NEW})
    assert await in_use()
    await served.configure({"username": "esp", "enabled": False})
    assert not await in_use()


async def test_only_an_admin_may_set_up_logins(served: Served, connect: Any) -> None:
    before = served.mosquitto.read()
    async with connect(served.web, await api_key(served.web, Role.OPERATOR)) as operator:
        refused = await operator.ask("POST", CONFIGURE, {"username": "esp", "password": NEW})
        told = await operator.ask("GET", STATUS)

    assert (refused.status, told.status) == (403, 200)
    assert served.mosquitto.read() == before


@pytest.mark.parametrize("field", ["enabled", "enable"])
async def test_a_login_is_taken_away_by_either_name_of_the_field(served: Served, field: str) -> None:
    said = await served.configure({"username": "esp", field: False})

    assert (said["enabled"], said["broker_reloaded"]) == (False, True)
    assert not await served.lets_in("esp", OLD)
    assert not (await served.client.ask("GET", STATUS)).json()["enabled"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"username": "esp"}, 400, "VALIDATION_ERROR"),
        ({"username": "esp", "password": "short"}, 400, "VALIDATION_ERROR"),
        ({"username": "a:b", "password": NEW}, 400, "VALIDATION_ERROR"),
        ({"username": "esp", "password": NEW, "enable": True, "enabled": False}, 400, "VALIDATION_ERROR"),
        ({"username": "esp", "password": [NEW]}, 400, "VALIDATION_ERROR"),
        ({"username": "nobody", "enabled": False}, 404, "NOT_FOUND"),
        ({"username": "growyd", "password": NEW}, 409, "MQTT_OWN_LOGIN"),
    ],
)
async def test_what_is_refused_changes_nothing_and_repeats_no_password(
    served: Served, body: object, status: int, code: str
) -> None:
    before = served.mosquitto.read()

    said = await served.configure(body, status)

    assert said["error"]["code"] == code
    assert served.mosquitto.read() == before
    assert await served.lets_in("esp", OLD)


async def test_a_broker_that_cannot_be_told_answers_with_the_cure(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    assert served.mosquitto.pid_file is not None
    served.mosquitto.pid_file.write_text("none")
    before = served.mosquitto.read()

    with caplog.at_level(logging.DEBUG):
        said = await served.configure({"username": "esp", "password": NEW}, 503)

    assert said["error"]["code"] == "MQTT_LOGIN_NOT_CHANGED"
    assert "pid_file" in said["error"]["message"]
    assert served.mosquitto.read() == before
    assert [(note.status, note.error_code) for note in served.notes] == [("failed", "MQTT_LOGIN_NOT_CHANGED")]
    assert NEW not in caplog.text + repr(served.notes)
