"""`growyd user`, `key`, `login` against a real server: over its port with what they have made themselves."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result
from rig.desk import Desk, open_desk

from growy.cli import logins, main
from growy.cli.exits import ExitCode

PASSWORD = "seven green peppers"
Run = Callable[..., Awaitable[Result]]


@pytest.fixture
async def desk(tmp_path: Path):
    async with open_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def run(desk: Desk, tmp_path: Path) -> Run:
    """A command at the desk's port; with an administrator's key unless `env` says otherwise."""

    async def invoke(
        *arguments: object, input: str | None = None, env: dict[str, str] | None = None, at: bool = True
    ) -> Result:
        words = [*map(str, arguments), *(("--url", desk.url) if at else ())]
        given = {"XDG_CONFIG_HOME": str(tmp_path / "config"), **(desk.env if env is None else env)}
        runner = CliRunner(env=given)
        return await trio.to_thread.run_sync(partial(runner.invoke, main, words, input=input))

    return invoke


async def add(run: Run, name: str, *more: str) -> None:
    done = await run("user", "add", name, "--password-stdin", *more, input=f"{PASSWORD}\n")
    assert done.exit_code == ExitCode.OK, done.output


async def test_users_are_made_listed_changed_and_deleted(run: Run) -> None:
    assert "makes the first one" in (await run("user", "list")).output
    done = await run("user", "add", "ann", "--password-stdin", input=f"{PASSWORD}\n")
    assert done.output == "ann can log in as admin\n"
    done = await run("user", "add", "bob", input=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.output.endswith("bob can log in as viewer\n")
    assert PASSWORD not in done.output
    assert (await run("user", "role", "BOB", "operator")).output == "bob is operator\n"
    done = await run("user", "passwd", "bob", "--password-stdin", input="eight green peppers\n")
    assert done.output == "bob has a new password\n"
    lines = (await run("user", "list")).output.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["ann", "admin", "yes"], ["bob", "operator", "yes"]]
    assert (await run("user", "rm", "bob")).output == "bob is gone\n"
    done = await run("user", "rm", "bob")
    assert (done.exit_code, "There is no user bob" in done.stderr) == (ExitCode.FAILED, True)
    done = await run("user", "rm", "ann")
    assert (done.exit_code, "last administrator" in done.stderr) == (ExitCode.FAILED, True)


async def test_keys_of_who_is_demoted_or_deleted_are_named(run: Run, desk: Desk) -> None:
    await add(run, "ann")
    await add(run, "bob", "--role", "admin")
    login = ("login", desk.url, "--username", "bob", "--password-stdin")
    await run(*login, input=f"{PASSWORD}\n", env={}, at=False)
    done = await run("key", "add", "panel", "--role", "admin", env={})
    assert done.exit_code == ExitCode.OK, done.output
    told = (await run("user", "role", "bob", "operator")).output.splitlines()
    assert told == ["bob is operator", "their keys that may do more (growyd key rm): panel"]
    told = (await run("user", "rm", "bob", "--with-keys")).output.splitlines()
    assert told == ["bob is gone", "their keys that count no longer: panel"]
    assert "panel" not in (await run("key", "list")).output


async def test_a_key_is_printed_once_and_opens_what_it_is_for(run: Run) -> None:
    made = await run("key", "add", "pi", "--scope", "metrics")
    key = {"GROWYD_API_KEY": made.output.strip()}
    assert key["GROWYD_API_KEY"].startswith("growy_")
    assert (await run("status", env=key)).exit_code in (ExitCode.OK, ExitCode.UNWELL)
    done = await run("devices", env=key)
    assert (done.exit_code, "is not for GET /api/v1/esp/devices" in done.stderr) == (ExitCode.FAILED, True)
    listed = await run("key", "list")
    assert "metrics" in listed.output
    assert key["GROWYD_API_KEY"] not in listed.output
    assert (await run("key", "rm", "pi")).output == "pi counts no longer\n"
    done = await run("status", env=key)
    assert (done.exit_code, "Could not validate credentials" in done.stderr) == (ExitCode.FAILED, True)


async def test_who_logs_in_is_known_from_then_on_and_tokens_are_renewed(
    run: Run, desk: Desk, tmp_path: Path
) -> None:
    await add(run, "ann")
    done = await run("devices", env={})
    assert (done.exit_code, f"growyd login {desk.url}" in done.stderr) == (ExitCode.FAILED, True)
    login = partial(run, "login", desk.url, "--username", "ann", "--password-stdin", env={}, at=False)
    assert (await login(input="seven red peppers\n")).exit_code == ExitCode.FAILED
    done = await login(input=f"{PASSWORD}\n")
    assert done.output == f"ann (admin) is logged in at {desk.url}\n"
    file = tmp_path / "config" / "growyd" / "logins.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert (await run("devices", env={})).exit_code == ExitCode.OK

    kept = json.loads(file.read_text())
    kept[desk.url]["access"] = "expired"
    file.write_text(json.dumps(kept))
    assert (await run("devices", env={})).exit_code == ExitCode.OK
    renewed = json.loads(file.read_text())[desk.url]
    assert renewed["access"] != "expired"
    assert renewed["refresh"] != kept[desk.url]["refresh"]

    assert (await run("logout", desk.url, env={}, at=False)).output == f"Logged out at {desk.url}\n"
    assert json.loads(file.read_text()) == {}
    assert (await run("devices", env={})).exit_code == ExitCode.FAILED


async def test_logging_out_ends_the_session_also_where_a_key_is_shown(run: Run, desk: Desk) -> None:
    await add(run, "ann")
    login = ("login", desk.url, "--username", "ann", "--password-stdin")
    await run(*login, input=f"{PASSWORD}\n", env={}, at=False)
    assert desk.accounts.statistics().sessions == 1
    assert (await run("logout", desk.url, at=False)).exit_code == ExitCode.OK
    assert desk.accounts.statistics().sessions == 0


async def test_a_session_that_was_ended_elsewhere_is_forgotten(run: Run, desk: Desk, tmp_path: Path) -> None:
    await add(run, "ann")
    await run(
        *("login", desk.url, "--username", "ann", "--password-stdin"), input=f"{PASSWORD}\n", env={}, at=False
    )
    await run("user", "passwd", "ann", "--password-stdin", input="eight green peppers\n")
    done = await run("devices", env={})
    assert (done.exit_code, "growyd login" in done.stderr) == (ExitCode.FAILED, True)
    assert json.loads((tmp_path / "config" / "growyd" / "logins.json").read_text()) == {}


def test_a_file_of_logins_that_is_damaged_counts_as_none(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    logins.keep("http://x:1", logins.Login("ann", "a", "r"))
    logins.file().write_text("{nonsense")
    assert logins.of("http://x:1") is None
    logins.keep("http://x:1", logins.Login("ann", "a", "r"))
    assert logins.of("http://x:1") == logins.Login("ann", "a", "r")
