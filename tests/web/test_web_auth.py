"""Logging in and out as clients do: the first administrator, tokens, what ends them, and what a stranger may try."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import jwt
import pytest
import trio
from trio_websocket import open_websocket_url

from growy.model.errors import GrowyError
from growy.model.people import LOCAL, Peer, Role
from growy.web.accounts.accounts import Accounts, open_accounts
from growy.web.accounts.logins import ACCESS_S, REFRESH_S, REMEMBERED_S
from growy.web.accounts.passwords import MOST_WAITING, Hasher
from growy.web.accounts.sessions import CACHED, MOST_SESSIONS
from growy.web.accounts.tokens import Claims, TokenKind

AUTH = "/api/v1/auth"
ANN = {
    "username": "ann",
    "email": "ann@growpi.lan",
    "password": "seven green peppers",
    "full_name": "Ann Grow",
}
LOGIN = {"username": "ann", "password": ANN["password"]}


@attrs.define
class Wall:
    """The clock on the wall, which a test can move."""

    offset_ms: int = 1_800_000_000_000

    def __call__(self) -> int:
        return self.offset_ms + round(trio.current_time() * 1000)

    def later(self, seconds: float) -> None:
        self.offset_ms += round(seconds * 1000)


@pytest.fixture
def wall() -> Wall:
    return Wall()


async def reopened(house: Any, folder: Path, wall: Wall) -> Accounts:
    """The accounts as the next process finds them."""
    return await open_accounts(house.store, folder, note=house.notes.append, wall_ms=wall)


@pytest.fixture
async def at(house: Any, serve: Any, connect: Any, tmp_path: Path, wall: Wall) -> AsyncIterator[Any]:
    """A stranger's connection to a server without users."""
    house.accounts = await reopened(house, tmp_path, wall)
    async with serve(house) as web, connect(web, "") as client:
        yield client


def bearer(tokens: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def made(at: Any) -> Any:
    """The first administrator's tokens."""
    reply = await at.ask("POST", f"{AUTH}/setup", ANN)
    assert reply.status == 200, reply.body
    return reply.json()["tokens"]


async def logged_in(at: Any, **more: Any) -> Any:
    reply = await at.ask("POST", f"{AUTH}/login", {**LOGIN, **more})
    assert reply.status == 200, reply.body
    return reply.json()["tokens"]


async def test_the_first_administrator_is_made_once(at: Any) -> None:
    status = (await at.ask("GET", f"{AUTH}/status")).json()
    assert (status["setup_required"], status["users_exist"], status["setup_code_required"]) == (
        *(True, False),
        False,
    )
    reply = await at.ask("POST", f"{AUTH}/setup", ANN)
    said = reply.json()
    assert said["user"] | {"created_at": "", "updated_at": ""} == {
        "id": 1,
        "username": "ann",
        "email": "ann@growpi.lan",
        "full_name": "Ann Grow",
        "role": "admin",
        "is_active": True,
        "created_at": "",
        "updated_at": "",
    }
    assert set(said["tokens"]) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (said["tokens"]["token_type"], said["tokens"]["expires_in"]) == ("bearer", ACCESS_S)
    assert not (await at.ask("GET", f"{AUTH}/status")).json()["setup_required"]
    again = await at.ask("POST", f"{AUTH}/setup", {**ANN, "username": "eve", "email": "eve@x.y"})
    assert again.status == 403
    me = (await at.ask("GET", f"{AUTH}/me", **bearer(said["tokens"]))).json()
    assert (me["username"], me["role"], me["is_active"]) == ("ann", "admin", True)


async def test_of_many_who_set_up_at_once_one_is_administrator(at: Any, house: Any) -> None:
    ended: list[str] = []

    async def one(number: int) -> None:
        try:
            await house.accounts.logins.setup(
                f"user{number}", None, "", "seven green peppers", code="", peer=Peer("127.0.0.1")
            )
        except GrowyError as error:
            ended.append(type(error).__name__)
        else:
            ended.append("made")

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(one, number)
    assert sorted(ended) == ["AccessDenied"] * 4 + ["made"]
    assert len((await house.store.account_rows()).users) == 1


@pytest.mark.parametrize(
    "peer", [Peer("192.168.1.7"), Peer("127.0.0.1", forwarded=True), Peer("2001:db8::1")]
)
async def test_from_elsewhere_the_first_administrator_needs_the_code(at: Any, house: Any, peer: Peer) -> None:
    logins = house.accounts.logins
    assert logins.needs_code(peer)
    for code in ("", "00000000"):
        with pytest.raises(Exception, match="needs the setup code"):
            await logins.setup("eve", None, "", "seven green peppers", code=code, peer=peer)
    assert logins.setup_required
    _, user = await logins.setup(
        "ann", None, "", "seven green peppers", code=logins.setup_code.upper(), peer=peer
    )
    assert (user.role, logins.setup_required) == (Role.ADMIN, False)


async def test_a_proxy_on_this_machine_does_not_make_strangers_local(at: Any) -> None:
    reply = await at.ask("POST", f"{AUTH}/setup", ANN, X_Forwarded_For="203.0.113.9")
    assert (reply.status, "setup code" in reply.json()["detail"]) == (403, True)
    assert (await at.ask("GET", f"{AUTH}/status", Forwarded="for=x")).json()["setup_code_required"]


async def test_a_user_logs_in_by_name_or_mail_in_any_case(at: Any) -> None:
    await made(at)
    for name in ("ann", "ANN", "Ann@GrowPi.lan"):
        assert await logged_in(at, username=name)


async def test_a_wrong_password_and_an_unknown_name_sound_alike(at: Any) -> None:
    await made(at)
    wrong = await at.ask("POST", f"{AUTH}/login", {**LOGIN, "password": "seven red peppers"})
    unknown = await at.ask("POST", f"{AUTH}/login", {**LOGIN, "username": "bob"})
    assert (wrong.status, unknown.status) == (401, 401)
    for reply in (wrong, unknown):
        said = reply.json()["error"]
        assert (said["code"], said["numeric_code"]) == ("INVALID_CREDENTIALS", 5406)
    assert wrong.json()["detail"] == unknown.json()["detail"]


async def test_the_form_of_oauth2_answers_flat(at: Any) -> None:
    await made(at)
    body = b"grant_type=password&username=ann&password=seven+green%20peppers"
    await at.send(
        f"POST {AUTH}/login/form HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    said = (await at.reply()).json()
    assert {"access_token", "refresh_token", "token_type", "expires_in"} <= said.keys()
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(said))).status == 200


async def test_an_access_token_lasts_half_an_hour(at: Any, wall: Wall) -> None:
    tokens = await made(at)
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["type"], claims["role"]) == ("1", "access", "admin")
    assert claims["exp"] - claims["iat"] == ACCESS_S == 1800
    wall.later(ACCESS_S - 5)
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(await logged_in(at)))).status == 200
    wall.later(10)
    at_once = await at.ask("GET", "/api/v1/sensors", **bearer(tokens))
    assert (at_once.status, at_once.json()["error"]["code"]) == (401, "TOKEN_EXPIRED")


async def test_a_refreshed_token_goes_on_and_the_old_one_does_not(at: Any, wall: Wall) -> None:
    first = await made(at)
    wall.later(3 * 86_400)
    reply = await at.ask("POST", f"{AUTH}/refresh", {"refresh_token": first["refresh_token"]})
    second = reply.json()["tokens"]
    assert (reply.status, "user" in reply.json()) == (200, False)
    wall.later(6 * 86_400)  # nine days after the login, six after the refresh
    third = await at.ask("POST", f"{AUTH}/refresh", {"refresh_token": second["refresh_token"]})
    assert third.status == 200
    wall.later(REFRESH_S + 1)
    late = await at.ask("POST", f"{AUTH}/refresh", {"refresh_token": third.json()["tokens"]["refresh_token"]})
    assert (late.status, late.json()["error"]["code"]) == (401, "TOKEN_EXPIRED")


async def test_a_refresh_token_used_twice_ends_its_session_and_no_other(at: Any, house: Any) -> None:
    first, other = await made(at), await logged_in(at)
    ask = {"refresh_token": first["refresh_token"]}
    second = (await at.ask("POST", f"{AUTH}/refresh", ask)).json()["tokens"]
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(second))).status == 200
    stolen = await at.ask("POST", f"{AUTH}/refresh", ask)
    assert (stolen.status, stolen.json()["detail"]) == (401, "Token has been revoked")
    # Whoever was honest is logged out too: nobody can tell who is. They log in again.
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(second))).json()["detail"] == "Token has been revoked"
    again = await at.ask("POST", f"{AUTH}/refresh", {"refresh_token": second["refresh_token"]})
    assert again.status == 401
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(other))).status == 200
    assert await logged_in(at)
    assert "token_revoked" in [note.event_type for note in house.notes]


async def test_of_two_who_refresh_at_once_one_gets_tokens(at: Any, house: Any) -> None:
    token = (await made(at))["refresh_token"]
    ended: list[str] = []

    async def one() -> None:
        try:
            await house.accounts.logins.refresh(token, Peer("127.0.0.1"))
            ended.append("refreshed")
        except GrowyError as error:
            ended.append(str(error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one)
        nursery.start_soon(one)
    assert sorted(ended) == ["Token has been revoked", "refreshed"]


async def test_remembered_sessions_last_longer(at: Any, wall: Wall) -> None:
    await made(at)
    tokens = await logged_in(at, remember_me=True)
    wall.later(REMEMBERED_S - 10)
    assert (await at.ask("POST", f"{AUTH}/refresh", {"refresh_token": tokens["refresh_token"]})).status == 200


async def test_logging_out_ends_this_session_at_once(at: Any) -> None:
    tokens, other = await made(at), await logged_in(at)
    reply = await at.ask("POST", f"{AUTH}/logout", {"all_devices": False}, **bearer(tokens))
    assert (reply.status, reply.json()["tokens_invalidated"]) == (200, 1)
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(tokens))).json()["detail"] == "Token has been revoked"
    late = await at.ask("POST", f"{AUTH}/refresh", {"refresh_token": tokens["refresh_token"]})
    assert late.status == 401
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(other))).status == 200


async def test_logging_out_everywhere_ends_all_also_after_a_restart(
    at: Any, house: Any, tmp_path: Path, wall: Wall
) -> None:
    tokens, other = await made(at), await logged_in(at)
    reply = await at.ask("POST", f"{AUTH}/logout", {"all_devices": True}, **bearer(tokens))
    assert reply.json()["tokens_invalidated"] == 2
    text = "Token has been invalidated (logout all devices)"
    for one in (tokens, other):
        assert (await at.ask("GET", f"{AUTH}/me", **bearer(one))).json()["detail"] == text
        late = await at.ask("POST", f"{AUTH}/refresh", {"refresh_token": one["refresh_token"]})
        assert (late.status, late.json()["detail"]) == (401, text)
    after = await reopened(house, tmp_path, wall)
    with pytest.raises(Exception, match="logout all devices"):
        after.of_token(other["access_token"], Peer("127.0.0.1"))
    fresh = await logged_in(at)
    assert (await reopened(house, tmp_path, wall)).of_token(
        fresh["access_token"], Peer("127.0.0.1")
    ).caller.name == "ann"


async def test_tokens_and_keys_outlive_a_restart(at: Any, house: Any, tmp_path: Path, wall: Wall) -> None:
    tokens = await made(at)
    secret, _ = await house.accounts.administration.add_key("pi", Role.VIEWER, caller=LOCAL)
    after = await reopened(house, tmp_path, wall)
    assert after.of_token(tokens["access_token"], Peer("127.0.0.1")).caller.by == "user:ann"
    assert after.of_key(secret, Peer("127.0.0.1")).caller.by == "key:pi"
    assert await after.logins.refresh(tokens["refresh_token"], Peer("127.0.0.1"))
    assert not after.logins.setup_required


@pytest.mark.parametrize(
    "forged",
    [
        lambda claims: jwt.encode(claims, "another key of at least thirty-two bytes", "HS256"),
        lambda claims: jwt.encode(claims, None, "none"),
        lambda claims: "Bearer",
    ],
)
async def test_a_token_that_we_did_not_sign_counts_for_nothing(at: Any, forged: Any) -> None:
    claims = jwt.decode((await made(at))["access_token"], options={"verify_signature": False})
    reply = await at.ask("GET", f"{AUTH}/me", Authorization=f"Bearer {forged(claims)}")
    assert (reply.status, reply.json()["detail"]) == (401, "Could not validate credentials")


async def test_one_kind_of_token_is_not_taken_for_the_other(at: Any) -> None:
    tokens = await made(at)
    reply = await at.ask("GET", f"{AUTH}/me", Authorization=f"Bearer {tokens['refresh_token']}")
    assert reply.status == 401
    assert (await at.ask("POST", f"{AUTH}/refresh", {"refresh_token": tokens["access_token"]})).status == 401


async def test_guessing_is_slowed_down_and_says_for_how_long(at: Any, house: Any, wall: Wall) -> None:
    await made(at)
    house.accounts._core.sessions.end([one.id for one in house.accounts._core.sessions.of_user(1)])
    wrong = {**LOGIN, "password": "wrong one"}
    statuses = [(await at.ask("POST", f"{AUTH}/login", wrong)).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    reply = await at.ask("POST", f"{AUTH}/login", LOGIN)
    assert (reply.status, reply.headers["retry-after"]) == (429, "1")
    assert reply.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    wall.later(1.1)
    assert await logged_in(at)
    assert (await at.ask("POST", f"{AUTH}/login", wrong)).status == 401  # counted anew
    kinds = [note.event_type for note in house.notes]
    assert {"login_failed", "rate_limit_exceeded", "login_success"} <= set(kinds)


async def test_a_strangers_guesses_outlast_a_restart_and_do_not_lock_the_owner_out(
    at: Any, house: Any, tmp_path: Path, wall: Wall
) -> None:
    await made(at)  # Ann is logged in from 127.0.0.1
    stranger = Peer("192.168.1.66")
    for _ in range(5):
        with pytest.raises(Exception, match="wrong"):
            await house.accounts.logins.login("ann", "guess no. 1", remember=False, peer=stranger)
    await house.accounts.flush()
    after = await reopened(house, tmp_path, wall)
    for elsewhere in (stranger, Peer("192.168.1.67")):
        with pytest.raises(Exception, match="Too many attempts"):
            await after.logins.login("ann", ANN["password"], remember=False, peer=elsewhere)
    proxied = Peer("127.0.0.1", forwarded=True)
    with pytest.raises(GrowyError, match="Too many attempts"):
        await after.logins.login("ann", ANN["password"], remember=False, peer=proxied)
    for home in (Peer("127.0.0.1"), Peer("", local=True)):
        assert await after.logins.login("ann", ANN["password"], remember=False, peer=home)


async def test_a_crowd_of_logins_is_turned_away(at: Any, house: Any) -> None:
    hasher, ended = Hasher(), []

    async def one() -> None:
        try:
            ended.append(await hasher.verify(None, "x"))
        except GrowyError as error:
            ended.append(str(error))

    async with trio.open_nursery() as nursery:
        for _ in range(MOST_WAITING + 3):
            nursery.start_soon(one)
    assert ended.count(False) == MOST_WAITING
    assert sum("at once" in str(said) for said in ended) == 3


async def test_a_websocket_takes_a_token_in_its_address(at: Any, house: Any, serve: Any) -> None:
    tokens = await made(at)
    async with serve(house) as web:
        url = f"ws://{web.host}:{web.port}/api/v1/ws/realtime/tab?token={tokens['access_token']}"
        async with open_websocket_url(url) as socket:
            assert json.loads(await socket.get_message())["client_id"] == "tab"


async def test_a_token_in_the_address_of_a_plain_request_counts_for_nothing(at: Any) -> None:
    tokens = await made(at)  # addresses end up in logs and histories
    assert (await at.ask("GET", f"/api/v1/sensors?token={tokens['access_token']}")).status == 401


async def test_the_key_of_the_tokens_is_its_owners_alone(at: Any, tmp_path: Path) -> None:
    assert (tmp_path / "tokens.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob(".tokens*")] == []


async def test_what_was_done_says_by_whom(at: Any, house: Any) -> None:
    tokens = await made(at)
    reply = await at.ask("POST", "/api/v1/esp/devices", {"device_id": "ESP_00AA01"}, **bearer(tokens))
    assert reply.status in (200, 201), reply.body
    assert house.fleet.need("ESP_00AA01").record.decided_by == "user:ann"


async def test_what_is_remembered_of_tokens_and_sessions_is_bounded(at: Any, house: Any) -> None:
    await made(at)
    logins, sessions = house.accounts.logins, house.accounts._core.sessions
    first = await logins.login("ann", ANN["password"], remember=False, peer=Peer("", local=True))
    (user,) = house.accounts.administration.users()
    for _ in range(MOST_SESSIONS + 5):
        async with house.accounts._core.turn:
            await logins._begin(user, False, Peer("", local=True))
    assert len(sessions) == MOST_SESSIONS
    with pytest.raises(GrowyError, match="revoked"):
        house.accounts.of_token(first[0].access, Peer("127.0.0.1"))
    signer, session = house.accounts._core.signer, sessions.of_user(user.id)[-1]
    now_s = house.accounts._core.wall_ms() // 1000
    for number in range(CACHED + 50):
        claims = Claims(
            kind=TokenKind.ACCESS,
            user_id=user.id,
            session=session.id,
            version=user.token_version,
            issued_s=now_s - number,
            expires_s=now_s + 60,
        )
        assert house.accounts.of_token(signer.sign(claims), Peer("127.0.0.1")).caller.name == "ann"
    assert len(sessions._checked) == CACHED


async def test_a_key_may_come_where_a_token_is_expected(at: Any, house: Any) -> None:
    secret, _ = await house.accounts.administration.add_key("prometheus", Role.VIEWER, caller=LOCAL)
    assert (await at.ask("GET", "/api/v1/sensors", Authorization=f"Bearer {secret}")).status == 200
