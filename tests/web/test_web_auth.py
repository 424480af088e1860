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
import trio.testing
from trio_websocket import ConnectionClosed, open_websocket_url

from growy.model.errors import GrowyError, StoreError
from growy.model.people import LOCAL, Peer, Role
from growy.web.accounts.accounts import Accounts, open_accounts
from growy.web.accounts.logins import ACCESS_S, REFRESH_S, REMEMBERED_S, SHARED_AT_ONCE
from growy.web.accounts.passwords import MOST_WAITING, Hasher
from growy.web.accounts.sessions import CACHED, GRACE_S, MOST_SESSIONS
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
        client.setup = {**ANN, "setup_code": house.accounts.logins.setup_code}
        yield client


def bearer(tokens: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def made(at: Any) -> Any:
    """The first administrator's tokens."""
    reply = await at.ask("POST", f"{AUTH}/setup", at.setup)
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
        True,
    )
    assert "setup_code" not in status
    reply = await at.ask("POST", f"{AUTH}/setup", at.setup)
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
    again = await at.ask("POST", f"{AUTH}/setup", {**at.setup, "username": "eve", "email": "eve@x.y"})
    assert again.status == 403
    me = (await at.ask("GET", f"{AUTH}/me", **bearer(said["tokens"]))).json()
    assert (me["username"], me["role"], me["is_active"]) == ("ann", "admin", True)


async def test_of_many_who_set_up_at_once_one_is_administrator(at: Any, house: Any) -> None:
    ended: list[str] = []

    async def one(number: int) -> None:
        try:
            await house.accounts.logins.setup(
                f"user{number}", None, "", "seven green peppers", code="", peer=Peer("", local=True)
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
    "peer",
    [
        Peer("192.168.1.7"),
        Peer("127.0.0.1"),  # a proxy on this machine that adds no header has that, too
        Peer("127.0.0.1", forwarded=True),
        Peer("", local=True, forwarded=True),
        Peer("2001:db8::1"),
    ],
)
async def test_but_for_the_unix_socket_the_first_administrator_needs_the_code(
    at: Any, house: Any, peer: Peer
) -> None:
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


@pytest.mark.parametrize("headers", [{}, {"X_Forwarded_For": "203.0.113.9"}])
async def test_a_proxy_on_this_machine_does_not_make_strangers_local(
    at: Any, headers: dict[str, str]
) -> None:
    reply = await at.ask("POST", f"{AUTH}/setup", ANN, **headers)
    assert (reply.status, "setup code" in reply.json()["detail"]) == (403, True)
    assert reply.json()["error"]["details"] == {"field": "setup_code"}
    assert (await at.ask("GET", f"{AUTH}/status", **headers)).json()["setup_code_required"]


async def test_the_unix_socket_needs_no_code_and_tells_it(
    house: Any, serve: Any, connect: Any, tmp_path: Path
) -> None:
    from web.conftest import Client

    path = tmp_path / "growyd.sock"
    async with serve(house, socket_path=path) as web, await trio.open_unix_socket(path) as stream:
        here = Client(stream)
        said = (await here.ask("GET", f"{AUTH}/status")).json()
        assert (said["setup_code_required"], len(said["setup_code"])) == (False, 16)
        proxied = (await here.ask("GET", f"{AUTH}/status", X_Real_IP="203.0.113.9")).json()
        assert (proxied["setup_code_required"], "setup_code" in proxied) == (True, False)
        async with connect(web, "") as browser:
            ask = {**ANN, "setup_code": said["setup_code"]}
            assert (await browser.ask("POST", f"{AUTH}/setup", ask)).status == 200
        said = (await here.ask("GET", f"{AUTH}/status")).json()
        assert (said["setup_code_required"], "setup_code" in said) == (False, False)


async def test_guessing_the_setup_code_is_slowed_down_wherever_it_comes_from(at: Any, house: Any) -> None:
    ended: list[int] = []
    for number in range(8):
        ask = {**ANN, "setup_code": f"{number:016x}"}
        ended.append((await at.ask("POST", f"{AUTH}/setup", ask)).status)
    assert ended == [403] * 5 + [429] * 3
    elsewhere = Peer("192.168.1.9")
    with pytest.raises(GrowyError, match="Too many attempts"):
        await house.accounts.logins.setup("eve", None, "", ANN["password"], code="", peer=elsewhere)
    local = Peer("", local=True)
    assert await house.accounts.logins.setup("ann", None, "", ANN["password"], code="", peer=local)


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
    house.accounts._core.sessions._live[claims_of(second)["sid"]].grace_until = trio.current_time()
    stolen = await at.ask("POST", f"{AUTH}/refresh", ask)
    assert (stolen.status, stolen.json()["detail"]) == (401, "Token has been revoked")
    # Whoever was honest is logged out too: nobody can tell who is. They log in again.
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(second))).json()["detail"] == "Token has been revoked"
    again = await at.ask("POST", f"{AUTH}/refresh", {"refresh_token": second["refresh_token"]})
    assert again.status == 401
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(other))).status == 200
    assert await logged_in(at)
    assert "token_revoked" in [note.event_type for note in house.notes]


def claims_of(tokens: Any) -> Any:
    return jwt.decode(tokens["access_token"], options={"verify_signature": False})


async def test_two_pages_that_refresh_at_once_stay_logged_in_both(
    house: Any, tmp_path: Path, clock: trio.abc.Clock
) -> None:
    accounts = await reopened(house, tmp_path, Wall())
    local, logins = Peer("", local=True), accounts.logins
    first, _ = await logins.setup("ann", None, "", ANN["password"], code="", peer=local)
    got: list[str] = []

    async def page() -> None:
        got.append((await logins.refresh(first.refresh, local)).refresh)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(page)
        nursery.start_soon(page)
    assert len(set(got)) == 1  # of one number: whichever page comes next goes on
    await trio.sleep(GRACE_S - 1)
    assert (await logins.refresh(first.refresh, local)).refresh
    await trio.sleep(2)
    with pytest.raises(GrowyError, match="revoked"):
        await logins.refresh(first.refresh, local)
    with pytest.raises(GrowyError, match="revoked"):
        await logins.refresh(got[0], local)


async def test_a_token_older_than_the_last_has_no_grace(house: Any, tmp_path: Path) -> None:
    accounts = await reopened(house, tmp_path, Wall())
    local, logins = Peer("", local=True), accounts.logins
    first, _ = await logins.setup("ann", None, "", ANN["password"], code="", peer=local)
    second = await logins.refresh(first.refresh, local)
    await logins.refresh(second.refresh, local)
    with pytest.raises(GrowyError, match="revoked"):
        await logins.refresh(first.refresh, local)


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


async def test_a_refresh_token_is_enough_to_log_out(at: Any, wall: Wall) -> None:
    tokens, other = await made(at), await logged_in(at)
    wall.later(ACCESS_S + 1)
    ask = {"refresh_token": tokens["refresh_token"]}
    reply = await at.ask("POST", f"{AUTH}/logout", ask, **bearer(tokens))  # the access token is over
    assert (reply.status, reply.json()["tokens_invalidated"]) == (200, 1)
    assert (await at.ask("POST", f"{AUTH}/refresh", ask)).status == 401
    again = await at.ask("POST", f"{AUTH}/logout", ask)
    assert (again.status, again.json()["tokens_invalidated"]) == (200, 0)
    goes_on = await at.ask("POST", f"{AUTH}/refresh", {"refresh_token": other["refresh_token"]})
    assert goes_on.status == 200
    wall.later(REFRESH_S + 1)
    newest = {"refresh_token": goes_on.json()["tokens"]["refresh_token"]}
    assert (await at.ask("POST", f"{AUTH}/logout", newest)).status == 200  # over already: as good


async def test_logging_out_everywhere_takes_the_newest_refresh_token(at: Any) -> None:
    old, other = await made(at), await logged_in(at)
    new = (await at.ask("POST", f"{AUTH}/refresh", {"refresh_token": old["refresh_token"]})).json()["tokens"]
    third = await logged_in(at)
    ask = {"refresh_token": third["refresh_token"], "all_devices": True}
    replaced = {"refresh_token": old["refresh_token"], "all_devices": True}
    assert (await at.ask("POST", f"{AUTH}/logout", replaced)).json()["tokens_invalidated"] == 1
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(new))).status == 401
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(other))).status == 200
    assert (await at.ask("POST", f"{AUTH}/logout", ask)).json()["tokens_invalidated"] == 2
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(other))).status == 401


@pytest.mark.parametrize("ask", [{}, {"refresh_token": "a.b.c"}, {"refresh_token": ""}])
async def test_who_has_nothing_to_show_cannot_log_anybody_out(at: Any, ask: dict[str, str]) -> None:
    tokens = await made(at)
    assert (await at.ask("POST", f"{AUTH}/logout", ask)).status == 401
    access = {"refresh_token": tokens["access_token"]}
    assert (await at.ask("POST", f"{AUTH}/logout", access)).status == 401
    assert (await at.ask("GET", f"{AUTH}/me", **bearer(tokens))).status == 200


async def test_logging_out_closes_the_websockets_of_that_login(at: Any, house: Any, serve: Any) -> None:
    tokens = await made(at)
    async with serve(house) as web:
        url = f"ws://{web.host}:{web.port}/api/v1/ws/realtime/tab?token={tokens['access_token']}"
        async with open_websocket_url(url) as socket:
            await socket.get_message()
            assert (await at.ask("POST", f"{AUTH}/logout", {}, **bearer(tokens))).status == 200
            with trio.fail_after(5), pytest.raises(ConnectionClosed) as closed:
                await socket.get_message()
            assert closed.value.reason.code == 4001
        # The client library leaves its stream open when the server closes first.
        await trio.aclose_forcefully(socket._stream)


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
    await made(at)  # logged in from 127.0.0.1, where nobody is at home: proxies are there, too
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
    await made(at)
    house_of_ann, old_house = Peer("192.168.1.5"), Peer("192.168.1.4")
    await house.accounts.logins.login("ann", ANN["password"], remember=False, peer=old_house)
    wall.later(REFRESH_S + 1)  # that session is over, though nobody has tidied yet
    await house.accounts.logins.login("ann", ANN["password"], remember=False, peer=house_of_ann)
    stranger = Peer("192.168.1.66")
    for _ in range(5):
        with pytest.raises(Exception, match="wrong"):
            await house.accounts.logins.login("ann", "guess no. 1", remember=False, peer=stranger)
    await house.accounts.flush()
    after = await reopened(house, tmp_path, wall)
    for elsewhere in (stranger, Peer("192.168.1.67"), old_house):
        with pytest.raises(Exception, match="Too many attempts"):
            await after.logins.login("ann", ANN["password"], remember=False, peer=elsewhere)
    for proxied in (Peer("127.0.0.1"), Peer("192.168.1.5", forwarded=True)):
        with pytest.raises(GrowyError, match="Too many attempts"):
            await after.logins.login("ann", ANN["password"], remember=False, peer=proxied)
    for home in (house_of_ann, Peer("", local=True)):
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


async def test_what_was_typed_for_a_name_that_nobody_has_is_not_written_down(at: Any, house: Any) -> None:
    await made(at)
    for _ in range(7):
        await at.ask("POST", f"{AUTH}/login", {"username": "Seven Green Peppers", "password": "x"})
    kinds = {note.event_type: note for note in house.notes if note.status == "failed"}
    assert set(kinds) == {"login_failed", "rate_limit_exceeded"}
    assert {note.source_id for note in kinds.values()} == {"an unknown name"}
    assert "peppers" not in str(house.notes).lower()


async def test_a_login_that_succeeds_is_one_write(at: Any, house: Any, monkeypatch: Any) -> None:
    await made(at)
    written: list[Any] = []
    write = house.store.write_accounts

    async def counted(batch: Any) -> None:
        written.append(batch)
        await write(batch)

    monkeypatch.setattr(type(house.store), "write_accounts", lambda store, batch: counted(batch))
    await logged_in(at)
    await house.accounts.logins.write_strikes()
    assert [len(batch.sessions) for batch in written] == [1]


async def test_strikes_that_were_written_in_the_middle_of_a_login_are_taken_back(
    at: Any, house: Any, wall: Wall
) -> None:
    await made(at)
    logins, peer = house.accounts.logins, Peer("192.168.1.66")
    for _ in range(4):
        with pytest.raises(GrowyError):
            await logins.login("ann", "a wrong guess", remember=False, peer=peer)
    async with trio.open_nursery() as nursery:

        async def log_in() -> None:
            await logins.login("ann", ANN["password"], remember=False, peer=peer)

        nursery.start_soon(log_in)
        await trio.testing.wait_all_tasks_blocked()
        await logins.write_strikes()  # the fifth attempt counts until it has succeeded
        assert "ann" in (await house.store.account_rows()).strikes
    await logins.write_strikes()
    assert (await house.store.account_rows()).strikes == {}


async def test_strikes_that_could_not_be_written_are_written_later(
    at: Any, house: Any, monkeypatch: Any
) -> None:
    await made(at)
    for _ in range(5):
        await at.ask("POST", f"{AUTH}/login", {**LOGIN, "password": "a wrong guess"})

    async def full(store: Any, batch: Any) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(type(house.store), "write_accounts", full)
        with pytest.raises(StoreError):
            await house.accounts.logins.write_strikes()
    await house.accounts.logins.write_strikes()
    assert (await house.store.account_rows()).strikes["ann"].failures == 5
    await house.accounts.administration.set_password(
        1, "eight green peppers", caller=LOCAL, peer=Peer("", local=True)
    )
    await house.accounts.logins.write_strikes()
    assert (await house.store.account_rows()).strikes == {}


async def test_a_crowd_behind_a_proxy_leaves_room_for_the_others(at: Any, house: Any) -> None:
    await made(at)
    logins, ended = house.accounts.logins, []

    async def one(peer: Peer) -> None:
        try:
            await logins.login("ann", ANN["password"], remember=False, peer=peer)
            ended.append((peer.address, "in"))
        except GrowyError as error:
            ended.append((peer.address, error.code))

    async with trio.open_nursery() as nursery:
        for _ in range(MOST_WAITING + 2):
            nursery.start_soon(one, Peer("127.0.0.1"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(one, Peer("192.168.1.5"))
    assert ended.count(("127.0.0.1", "in")) == SHARED_AT_ONCE
    assert ("192.168.1.5", "in") in ended


@pytest.mark.parametrize("field", ["password", "setup_code"])
@pytest.mark.parametrize("secret", [12345678987, ["seven green peppers"], {"a": "seven green peppers"}])
async def test_no_answer_repeats_a_secret_that_is_no_text(at: Any, field: str, secret: object) -> None:
    for path in ("setup", "login", "register", "refresh", "logout"):
        body = {**at.setup, field: secret, "refresh_token": secret, "current_password": secret}
        reply = await at.ask("POST", f"{AUTH}/{path}", body)
        assert reply.status in (400, 401), reply.body
        assert b"peppers" not in reply.body
        assert b"12345678987" not in reply.body
