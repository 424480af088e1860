"""Users and API keys as administrators handle them."""

from __future__ import annotations

from typing import Any

import pytest

from growy.model.people import LOCAL, Peer, Role

USERS, KEYS = "/api/v1/users", "/api/v1/keys"
BOB = {"username": "bob", "email": "bob@growpi.lan", "password": "seven green peppers"}


async def login(client: Any, name: str = "bob", password: str = BOB["password"]) -> Any:
    return await client.ask("POST", "/api/v1/auth/login", {"username": name, "password": password})


def bearer(reply: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {reply.json()['tokens']['access_token']}"}


async def test_a_user_is_made_listed_changed_and_deleted(client: Any) -> None:
    reply = await client.ask("POST", USERS, {**BOB, "full_name": "Bob"})
    bob = reply.json()
    assert (reply.status, bob["role"], bob["user"]["username"]) == (201, "viewer", "bob")
    assert "password" not in str(bob)
    listed = (await client.ask("GET", USERS)).json()
    assert (listed["total"], listed["users"][0]["username"]) == (1, "bob")
    path = f"{USERS}/{bob['id']}"
    changed = (await client.ask("PATCH", path, {"role": "operator", "full_name": "Bobby"})).json()
    assert (changed["role"], changed["full_name"], changed["email"]) == (
        "operator",
        "Bobby",
        "bob@growpi.lan",
    )
    assert (await client.ask("GET", path)).json()["role"] == "operator"
    assert (await client.ask("DELETE", path)).status in (200, 400)


async def test_register_answers_in_its_own_shape(client: Any) -> None:
    reply = await client.ask("POST", "/api/v1/auth/register", {**BOB, "role": "operator"})
    assert (reply.status, set(reply.json())) == (200, {"success", "message", "user"})
    again = await client.ask("POST", "/api/v1/auth/register", {**BOB, "username": "BOB", "email": "b@c.d"})
    assert (again.status, again.json()["error"]["numeric_code"]) == (409, 5208)


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "short"},
        {"password": "password"},
        {"password": "Password123!"},
        {"password": "12345678"},
        {"password": "aaaaaaaaaa"},
        {"password": "bobbob12", "username": "bobbob"},
        {"password": "x" * 129},
        {"username": "bo"},
        {"username": "1bob"},
        {"username": "bob<script>"},
        {"email": "nowhere"},
        {"role": "god"},
    ],
)
async def test_an_account_that_cannot_be_is_refused(client: Any, wrong: dict[str, str]) -> None:
    reply = await client.ask("POST", USERS, {**BOB, **wrong})
    assert (reply.status, reply.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert repr(wrong.get("password")) not in reply.json()["detail"]


@pytest.mark.parametrize("password", ["zwölf kräftige Pflanzen", "correcthorsebattery", "tomatoes in june"])
async def test_no_kinds_of_characters_are_asked_for(client: Any, password: str) -> None:
    assert (await client.ask("POST", USERS, {**BOB, "password": password})).status == 201
    assert (await login(client, password=password)).status == 200


async def test_the_last_administrator_stays(client: Any) -> None:
    path = f"{USERS}/{(await client.ask('POST', USERS, {**BOB, 'role': 'admin'})).json()['id']}"
    for method, body in (("DELETE", None), ("PATCH", {"role": "viewer"}), ("PATCH", {"is_active": False})):
        reply = await client.ask(method, path, body)
        assert (reply.status, "last administrator" in reply.json()["detail"]) == (400, True)
    await client.ask("POST", USERS, {**BOB, "username": "ann", "email": None, "role": "admin"})
    assert (await client.ask("PATCH", path, {"role": "viewer"})).status == 200
    assert (await client.ask("DELETE", path)).status == 200


async def test_an_id_is_never_given_twice(client: Any, house: Any, tmp_path: Any) -> None:
    first = (await client.ask("POST", USERS, BOB)).json()["id"]
    assert (await client.ask("DELETE", f"{USERS}/{first}")).status == 200
    assert (await house.store.account_rows()).last_user_id == first
    assert (await client.ask("POST", USERS, BOB)).json()["id"] == first + 1


async def test_a_role_counts_at_once_without_a_new_login(client: Any) -> None:
    bob = (await client.ask("POST", USERS, BOB)).json()
    token = bearer(await login(client))
    assert (await client.ask("POST", "/api/v1/zones", {"zone_id": "tent"}, **token)).status == 403
    await client.ask("PATCH", f"{USERS}/{bob['id']}", {"role": "operator"})
    assert (await client.ask("POST", "/api/v1/zones", {"zone_id": "tent"}, **token)).status == 201
    await client.ask("PATCH", f"{USERS}/{bob['id']}", {"role": "viewer"})
    assert (await client.ask("POST", "/api/v1/zones", {"zone_id": "shed"}, **token)).status == 403


@pytest.mark.parametrize("how", ["deactivated", "deleted", "given a new password"])
async def test_whoever_lost_the_account_is_out_at_once(client: Any, house: Any, how: str) -> None:
    path = f"{USERS}/{(await client.ask('POST', USERS, BOB)).json()['id']}"
    tokens = (await login(client)).json()["tokens"]
    admission = house.accounts.of_token(tokens["access_token"], Peer("127.0.0.1"))
    if how == "deactivated":
        await client.ask("PATCH", path, {"is_active": False})
    elif how == "deleted":
        await client.ask("DELETE", path)
    else:
        await client.ask("POST", f"{path}/reset-password", {"new_password": "eight green peppers"})
    assert admission.ended.is_set()
    token = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await client.ask("GET", "/api/v1/sensors", **token)).status == 401
    ask = {"refresh_token": tokens["refresh_token"]}
    assert (await client.ask("POST", "/api/v1/auth/refresh", ask)).status == 401
    assert (await login(client)).status == 401


async def test_one_changes_ones_own_password_and_stays(client: Any) -> None:
    await client.ask("POST", USERS, BOB)
    here, elsewhere = bearer(await login(client)), bearer(await login(client))
    path = f"{USERS}/me/password"
    wrong = {"current_password": "seven red peppers", "new_password": "eight green peppers"}
    assert (await client.ask("PATCH", path, wrong, **here)).status == 401
    right = {**wrong, "current_password": BOB["password"]}
    assert (await client.ask("PATCH", path, right, **here)).status == 200
    assert (await client.ask("GET", "/api/v1/auth/me", **here)).status == 200
    assert (await client.ask("GET", "/api/v1/auth/me", **elsewhere)).status == 401
    assert (await login(client, password="eight green peppers")).status == 200
    assert (await client.ask("PATCH", path, right)).status == 400  # a key has no password


async def test_a_key_is_made_shown_once_used_and_removed(client: Any, house: Any) -> None:
    reply = await client.ask(
        "POST", KEYS, {"name": "cam-1", "role": "operator", "scopes": ["process", "readings"]}
    )
    made = reply.json()
    assert (reply.status, made["scopes"], made["last_used_at"]) == (201, ["process", "readings"], None)
    assert made["created_by"] == "key:tests"
    key = {"X_API_Key": made["key"]}
    assert (await client.ask("GET", "/api/v1/sensors/data", **key)).status == 200
    assert (await client.ask("GET", "/api/v1/sensors", **key)).status == 403
    listed = (await client.ask("GET", KEYS)).json()
    assert made["key"] not in str(listed)
    assert next(one for one in listed["data"] if one["name"] == "cam-1")["last_used_at"] is not None
    assert (await client.ask("POST", KEYS, {"name": "cam-1"})).status == 409
    assert (await client.ask("DELETE", f"{KEYS}/cam-1")).status == 200
    assert (await client.ask("GET", "/api/v1/sensors/data", **key)).status == 401
    assert (await client.ask("DELETE", f"{KEYS}/cam-1")).status == 404
    assert made["key"].encode() not in b"".join(
        path.read_bytes() for path in house.store._directory.glob("growy.db*")
    )


async def test_the_last_use_of_a_key_is_written_now_and_then(client: Any, house: Any) -> None:
    secret, _ = await house.accounts.administration.add_key("pi", Role.VIEWER, caller=LOCAL)
    house.accounts.of_key(secret, Peer("127.0.0.1"))
    await house.accounts.tidy()
    stored = {key.name: key for key in (await house.store.account_rows()).keys}
    assert stored["pi"].last_used_ms is not None


async def test_strangers_cannot_fill_the_audit_trail(client: Any, house: Any) -> None:
    before = len(house.notes)
    for _ in range(60):
        assert (await client.ask("GET", "/api/v1/sensors", X_API_Key="growy_wrong")).status == 401
    noted = [note.event_type for note in house.notes[before:]]
    assert set(noted) == {"api_key_invalid"}
    assert len(noted) <= 25


async def test_what_was_left_out_of_the_trail_is_counted_there_and_hides_nothing_else(
    client: Any, house: Any
) -> None:
    for _ in range(60):
        await client.ask("GET", "/api/v1/sensors", X_API_Key="growy_wrong")
    assert (await login(client, "nobody")).status == 401
    assert house.notes[-1].event_type == "login_failed"
    left_out = 60 - sum(note.event_type == "api_key_invalid" for note in house.notes)
    assert house.accounts.statistics().refusals_left_out == left_out > 30
    house.accounts._core.trail._refusals.clear()  # minutes later
    await client.ask("GET", "/api/v1/sensors", X_API_Key="growy_wrong")
    assert house.notes[-1].details["left_out"] == left_out
    await client.ask("GET", "/api/v1/sensors", X_API_Key="growy_wrong")
    assert "left_out" not in house.notes[-1].details


async def test_a_wrong_current_password_is_noted(client: Any, house: Any) -> None:
    await client.ask("POST", USERS, BOB)
    here = bearer(await login(client))
    wrong = {"current_password": "seven red peppers", "new_password": "eight green peppers"}
    assert (await client.ask("PATCH", f"{USERS}/me/password", wrong, **here)).status == 401
    note = house.notes[-1]
    assert (note.event_type, note.source_id, note.details["by"]) == ("login_failed", "bob", "user:bob")
    assert "red peppers" not in str(house.notes)


async def with_keys(client: Any) -> str:
    """Bob, an administrator who has made two keys; his path."""
    await client.ask("POST", USERS, {**BOB, "username": "ann", "email": None, "role": "admin"})
    bob = (await client.ask("POST", USERS, {**BOB, "role": "admin"})).json()
    token = bearer(await login(client))
    for name, role in (("panel", "admin"), ("cam", "viewer")):
        assert (await client.ask("POST", KEYS, {"name": name, "role": role}, **token)).status == 201
    return f"{USERS}/{bob['id']}"


async def test_keys_that_may_do_more_than_who_made_them_are_named(client: Any) -> None:
    path = await with_keys(client)
    said = (await client.ask("PATCH", path, {"full_name": "Bob"})).json()
    assert (said["keys_beyond"], said["message"]) == ([], "bob was changed")
    said = (await client.ask("PATCH", path, {"role": "operator"})).json()
    assert (said["keys_beyond"], "panel" in said["message"]) == (["panel"], True)
    said = (await client.ask("PATCH", path, {"is_active": False})).json()
    assert said["keys_beyond"] == ["cam", "panel"]


async def test_keys_of_a_deleted_user_are_named_or_go_too(client: Any, house: Any) -> None:
    path = await with_keys(client)
    said = (await client.ask("DELETE", path)).json()
    assert (said["keys_left"], said["keys_removed"]) == (["cam", "panel"], [])
    assert "go on counting: cam, panel" in said["message"]
    assert {key.name for key in house.accounts.administration.api_keys()} == {"tests", "cam", "panel"}
    bob = (await client.ask("POST", USERS, BOB)).json()
    secret = (await client.ask("POST", KEYS, {"name": "own"}, X_API_Key=client.key)).json()["key"]
    said = (await client.ask("DELETE", f"{USERS}/{bob['id']}?with_keys=true")).json()
    assert (said["keys_left"], said["keys_removed"]) == ([], ["cam", "panel"])
    assert {key.name for key in (await house.store.account_rows()).keys} == {"tests", "own"}
    assert (await client.ask("GET", "/api/v1/sensors", X_API_Key=secret)).status == 200
    removed = [note.source_id for note in house.notes if note.event_type == "token_revoked"]
    assert removed == ["cam", "panel"]
