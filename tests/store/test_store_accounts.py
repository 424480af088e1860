"""Accounts in growy.db: as they were written, from the version before, and all or nothing."""

from __future__ import annotations

from pathlib import Path

import apsw
import attrs
import pytest

from growy.config import StoreConfig
from growy.model.accounts import ApiKey, Session, Strikes, User
from growy.model.errors import StoreError
from growy.model.people import Role, Scope
from growy.store import AccountBatch, Store, open_store
from growy.store.schema import REGISTRY_FILE, REGISTRY_MIGRATIONS, migrate

ANN = User(
    id=3,
    username="ann",
    email=None,
    full_name="Ann",
    role=Role.ADMIN,
    password="$argon2id$x",
    created_ms=1,
    updated_ms=2,
)
SESSION = Session(id="s", user_id=3, refresh="r1", created_ms=1, expires_ms=9, keep_ms=8, peer="10.0.0.2")
KEY = ApiKey(name="pi", digest="d", role=Role.VIEWER, scopes=frozenset({Scope.PROCESS}), created_ms=5)
EVERYTHING = AccountBatch(users=[ANN], sessions=[SESSION], keys=[KEY], strikes={"ann": Strikes(7, 100)})


async def test_what_was_written_is_read(store: Store) -> None:
    await store.write_accounts(EVERYTHING)
    rows = await store.account_rows()
    assert (rows.users, rows.sessions, rows.keys) == ((ANN,), (SESSION,), (KEY,))
    assert (rows.last_user_id, rows.strikes) == (3, {"ann": Strikes(7, 100)})


async def test_a_deleted_user_takes_its_sessions_along_and_its_id_stays_taken(store: Store) -> None:
    await store.write_accounts(EVERYTHING)
    await store.write_accounts(AccountBatch(deleted_users=[3], deleted_keys=["pi"], strikes={"ann": None}))
    rows = await store.account_rows()
    assert (rows.users, rows.sessions, rows.keys, rows.strikes, rows.last_user_id) == ((), (), (), {}, 3)


async def test_a_change_replaces_and_an_ended_session_is_gone(store: Store) -> None:
    await store.write_accounts(EVERYTHING)
    changed = attrs.evolve(ANN, email="a@b.c", role=Role.VIEWER, active=False, token_version=4)
    refreshed = attrs.evolve(SESSION, refresh="r2", expires_ms=99)
    await store.write_accounts(AccountBatch(users=[changed], sessions=[refreshed]))
    rows = await store.account_rows()
    assert (rows.users, rows.sessions) == ((changed,), (refreshed,))
    await store.write_accounts(AccountBatch(ended_sessions=["s"]))
    assert (await store.account_rows()).sessions == ()


@pytest.mark.parametrize(
    "other",
    [
        attrs.evolve(ANN, id=4, username="ANN"),
        attrs.evolve(ANN, id=4, username="bob", email="ANN@growpi.lan"),
    ],
)
async def test_two_users_never_share_a_name_or_an_address(store: Store, other: User) -> None:
    await store.write_accounts(AccountBatch(users=[attrs.evolve(ANN, email="ann@growpi.lan")]))
    with pytest.raises(StoreError):
        await store.write_accounts(AccountBatch(users=[other], keys=[KEY]))
    assert (await store.account_rows()).keys == ()


async def test_the_version_before_keeps_what_it_had(tmp_path: Path) -> None:
    db = apsw.Connection(str(tmp_path / REGISTRY_FILE))
    before = next(i for i, step in enumerate(REGISTRY_MIGRATIONS) if step.__name__ == "_registry_accounts")
    migrate(db, REGISTRY_MIGRATIONS[:before])
    db.execute("INSERT INTO keyed VALUES ('k', 'v')")
    db.close()
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        assert await store.keyed("k") == "v"
        assert (await store.account_rows()).users == ()
        await store.write_accounts(EVERYTHING)
        assert (await store.account_rows()).users == (ANN,)


async def test_a_scope_of_a_newer_growyd_admits_to_nothing(store: Store) -> None:
    await store.write_accounts(AccountBatch(keys=[KEY]))
    db = apsw.Connection(str(store._directory / REGISTRY_FILE))
    db.execute("UPDATE api_keys SET scopes = '[\"teleport\"]'")
    db.close()
    (key,) = (await store.account_rows()).keys
    assert key.scopes == frozenset()


async def test_no_other_user_of_the_pi_reads_the_hashes(tmp_path: Path) -> None:
    (tmp_path / REGISTRY_FILE).touch(mode=0o644)
    async with open_store(StoreConfig(min_free_mb=0), tmp_path) as store:
        await store.write_accounts(EVERYTHING)
        await store.backup(tmp_path / "copy")
        files = [*tmp_path.glob(f"{REGISTRY_FILE}*"), tmp_path / "copy" / REGISTRY_FILE]
        assert len(files) >= 3
        assert [file.name for file in files if file.stat().st_mode & 0o007] == []
