"""Setting up logins of a real Mosquitto: believed only when a login has proven it, taken back when none does."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import attrs
import paho.mqtt.client as paho
import pytest
import trio
from rig.brokers import Mosquitto as Broker

from growy.broker.engine import Endpoint
from growy.broker.knock import Login, lets_in
from growy.broker.logins import BrokerLogins, LoginStatus
from growy.broker.mosquitto import Mosquitto
from growy.broker.password_file import hash_of, with_user, without_user
from growy.model.audit import AuditEntry
from growy.model.errors import (
    GrowyError,
    Invalid,
    LoginNotChanged,
    LoginUncertain,
    NotFound,
    NotSupported,
    OwnLogin,
    StoreUnavailable,
)

pytestmark = pytest.mark.mosquitto

OLD, NEW = "the old secret", "the new s€cret: /@#"
HEAD = b"# Who may come in.\n\n"


@attrs.define
class House:
    """A Mosquitto with the users `esp` and `cam`, and the room's one who sets up its logins."""

    broker: Broker
    mosquitto: Mosquitto
    endpoint: Endpoint
    notes: list[AuditEntry] = attrs.field(factory=list)
    kept: list[str] = attrs.field(factory=list)
    disk_full: bool = False

    @property
    def file(self) -> Path:
        return self.mosquitto.password_file

    async def remember(self, facts: str) -> None:
        if self.disk_full:
            raise StoreUnavailable("The disk is full")
        self.kept.append(facts)

    def logins(self, mosquitto: Mosquitto | None = None, **more: object) -> BrokerLogins:
        settings = {
            "remembered": self.kept[-1] if self.kept else None,
            "remember": self.remember,
            "note": self.notes.append,
            "connected": lambda: True,
            "wall_ms": lambda: 1_700_000_000_000,
            "patience_s": 2.0,
            **more,
        }
        endpoint = settings.pop("endpoint", self.endpoint)
        return BrokerLogins(endpoint, mosquitto or self.mosquitto, **settings)  # type: ignore[arg-type]

    async def lets_in(self, username: str, password: str) -> bool:
        return await lets_in(self.endpoint, Login(username, password))

    async def refuses(self, change: Awaitable[object]) -> GrowyError:
        """The error of a change that leaves everything as it was, and no password in what is told of it."""
        before, inode = self.file.read_bytes(), self.file.stat()
        with pytest.raises(GrowyError) as refused:
            await change
        assert self.file.read_bytes() == before
        assert (self.file.stat().st_mode, self.file.stat().st_uid) == (inode.st_mode, inode.st_uid)
        assert not list(self.file.parent.glob(".*"))
        told = [str(refused.value), repr(refused.value.details), *map(repr, self.notes), *self.kept]
        assert not any(secret in text for secret in (OLD, NEW) for text in told)
        return refused.value


def add(file: Path, user: str, password: str) -> None:
    """By hand. Not with mosquitto_passwd, which takes no file with a comment."""
    file.write_bytes(with_user(file.read_bytes(), user, hash_of(password)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    return folder


@pytest.fixture
def house(mosquitto_with: Callable[[str], Broker], folder: Path) -> House:
    file, pid_file = folder / "passwd", folder.parent / "mosquitto.pid"
    for user in ("esp", "cam"):
        subprocess.run(
            ["mosquitto_passwd", *([] if file.exists() else ["-c"]), "-b", str(file), user, OLD], check=True
        )
    file.write_bytes(HEAD + file.read_bytes())
    file.chmod(0o640)
    broker = mosquitto_with(f"allow_anonymous false\npassword_file {file}\npid_file {pid_file}")
    endpoint = Endpoint(
        host="127.0.0.1", port=broker.port, client_id="growyd", username="growyd", password="its own secret"
    )
    return House(broker, Mosquitto(password_file=file, pid_file=pid_file), endpoint)


# -- what shall happen


async def test_a_user_gets_a_new_password_and_the_old_one_is_void(house: House) -> None:
    lines = house.file.read_bytes().splitlines(keepends=True)

    done = await house.logins().enable("esp", NEW, by="anna")

    assert (done.username, done.enabled, done.warnings) == ("esp", True, ())
    assert await house.lets_in("esp", NEW)
    assert not await house.lets_in("esp", OLD)
    assert await house.lets_in("cam", OLD)
    after = house.file.read_bytes().splitlines(keepends=True)
    assert [*after[:2], *after[3:]] == [*lines[:2], *lines[3:]]
    assert house.file.stat().st_mode & 0o777 == 0o640
    assert [(note.event_type, note.status, note.details["by"]) for note in house.notes] == [
        ("mqtt_login_changed", "success", "anna")
    ]
    assert NEW not in repr(house.notes) + repr(house.kept)


async def test_a_new_user_comes_in_and_all_others_stay(house: House) -> None:
    before = house.file.read_bytes()

    await house.logins().enable("tablet", NEW, by="anna")

    assert await house.lets_in("tablet", NEW)
    assert await house.lets_in("esp", OLD)
    assert house.file.read_bytes().startswith(before)


async def test_the_same_password_again_changes_nothing_not_even_the_file(house: House) -> None:
    await house.logins().enable("esp", NEW, by="anna")
    before = house.file.stat()

    await house.logins().enable("esp", NEW, by="anna")

    assert house.file.stat().st_ino == before.st_ino
    assert await house.lets_in("esp", NEW)


async def test_a_password_that_is_in_the_file_and_not_yet_in_the_broker_gets_there(house: House) -> None:
    add(house.file, "esp", NEW)  # by hand, and nobody told Mosquitto

    await house.logins().enable("esp", NEW, by="anna")

    assert await house.lets_in("esp", NEW)


async def test_a_user_is_taken_away_and_thrown_out(house: House) -> None:
    come, gone = threading.Event(), threading.Event()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="ESP_00A001", reconnect_on_failure=False)
    client.username_pw_set("esp", OLD)
    client.on_connect = lambda *_: come.set()
    client.on_disconnect = lambda *_: gone.set()
    client.connect("127.0.0.1", house.broker.port)
    client.loop_start()
    assert await trio.to_thread.run_sync(come.wait, 5)
    others = [line for line in house.file.read_bytes().splitlines() if not line.startswith(b"esp:")]

    done = await house.logins().disable("esp", by="anna")

    assert (done.username, done.enabled) == ("esp", False)
    assert await trio.to_thread.run_sync(gone.wait, 5)
    client.loop_stop()
    assert not await house.lets_in("esp", OLD)
    assert await house.lets_in("cam", OLD)
    assert house.file.read_bytes().splitlines() == others


async def test_what_was_set_up_last_outlives_a_restart(house: House) -> None:
    assert await house.logins().status() == LoginStatus(
        username=None,
        enabled=False,
        password_file_exists=True,
        broker_connected=True,
        last_configured_ms=None,
    )
    await house.logins().enable("esp", NEW, by="anna")

    again = await house.logins().status()

    assert (again.username, again.enabled, again.last_configured_ms) == ("esp", True, 1_700_000_000_000)
    house.file.write_bytes(without_user(house.file.read_bytes(), "esp"))
    assert not (await house.logins().status()).enabled
    house.file.unlink()
    gone = await house.logins().status()
    assert (gone.enabled, gone.password_file_exists) == (True, False)


async def test_a_disk_that_refuses_to_remember_does_not_undo_a_login(house: House) -> None:
    house.disk_full = True
    logins = house.logins()

    await logins.enable("esp", NEW, by="anna")

    assert await house.lets_in("esp", NEW)
    assert (await logins.status()).username == "esp"


async def test_two_at_once_come_one_after_the_other(house: House) -> None:
    logins = house.logins()
    async with trio.open_nursery() as nursery:
        for name in ("one", "two", "three"):
            nursery.start_soon(lambda name=name: logins.enable(name * 2, NEW, by="anna"))

    assert [await house.lets_in(name * 2, NEW) for name in ("one", "two", "three")] == [True] * 3


async def test_whoever_watches_the_file_may_tell_mosquitto_instead_of_us(house: House, folder: Path) -> None:
    pid_file = house.mosquitto.pid_file
    assert pid_file is not None
    ended = threading.Event()

    def watch() -> None:  # as systemd does
        last = house.file.stat()
        while not ended.wait(0.05):
            now = house.file.stat()
            if (now.st_ino, now.st_mtime_ns) != (last.st_ino, last.st_mtime_ns):
                last = now
                os.kill(int(pid_file.read_text()), signal.SIGHUP)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        logins = house.logins(Mosquitto(password_file=house.file, pid_file=None))
        await logins.enable("esp", NEW, by="anna")
        assert await house.lets_in("esp", NEW)
        await logins.disable("esp", by="anna")
        assert not await house.lets_in("esp", NEW)
    finally:
        ended.set()
        watcher.join()


async def test_a_symbolic_link_stays_one(house: House, folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(house.file)

    await house.logins(attrs.evolve(house.mosquitto, password_file=link)).enable("esp", NEW, by="anna")

    assert link.is_symlink()
    assert await house.lets_in("esp", NEW)


async def test_a_broker_that_is_open_to_all_is_said(
    mosquitto_with: Callable[[str], Broker], house: House
) -> None:
    pid_file = house.file.parent.parent / "open.pid"
    broker = mosquitto_with(f"password_file {house.file}\npid_file {pid_file}")
    logins = house.logins(
        attrs.evolve(house.mosquitto, pid_file=pid_file),
        endpoint=attrs.evolve(house.endpoint, port=broker.port),
    )

    done = await logins.enable("esp", NEW, by="anna")

    assert "allow_anonymous false" in done.warnings[0]


# -- growyd's own login


async def test_growyd_does_not_shut_itself_out(house: House) -> None:
    logins = house.logins()

    assert isinstance(await house.refuses(logins.enable("growyd", NEW, by="anna")), OwnLogin)
    assert isinstance(await house.refuses(logins.disable("growyd", by="anna")), OwnLogin)
    await logins.enable("growyd", "its own secret", by="anna")  # as its settings have it
    assert await house.lets_in("growyd", "its own secret")


# -- what can go wrong


async def test_what_no_broker_would_take_is_refused_before_anything(house: House) -> None:
    logins = house.logins()

    for name, password in (("a:b", NEW), ("esp", "short"), ("esp", "with\nlines")):
        assert isinstance(await house.refuses(logins.enable(name, password, by="anna")), Invalid)
    assert isinstance(await house.refuses(logins.disable("nobody", by="anna")), NotFound)


async def test_the_embedded_broker_has_no_logins(house: House) -> None:
    logins = BrokerLogins(
        house.endpoint, None, remembered="not ours", remember=house.remember, note=house.notes.append,
        connected=lambda: False, wall_ms=lambda: 0,
    )  # fmt: skip
    with pytest.raises(NotSupported):
        await logins.enable("esp", NEW, by="anna")
    assert not (await logins.status()).enabled


@pytest.mark.parametrize("content", ["", "nonsense", "-1", "0", "1", "99999999999999999999"])
async def test_a_pid_file_without_a_process_is_refused_before_anything(house: House, content: str) -> None:
    wrong = house.broker.directory / "wrong.pid"
    wrong.write_text(content)

    error = await house.refuses(
        house.logins(attrs.evolve(house.mosquitto, pid_file=wrong)).enable("esp", NEW, by="anna")
    )

    assert "pid_file" in str(error)
    assert house.notes[-1].status == "failed"
    assert await house.lets_in("esp", OLD)


async def test_another_program_is_never_signalled(house: House) -> None:
    wrong = house.broker.directory / "wrong.pid"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        wrong.write_text(f"{other.pid}\n")
        error = await house.refuses(
            house.logins(attrs.evolve(house.mosquitto, pid_file=wrong)).enable("esp", NEW, by="anna")
        )
        other.communicate(b"\n")
    assert other.returncode == 0  # a SIGHUP would have ended it
    assert "no Mosquitto" in str(error)


async def test_a_mosquitto_that_is_gone_is_no_reason_to_change_the_file(house: House) -> None:
    pid = house.mosquitto.pid_file
    assert pid is not None
    text = pid.read_text()
    house.broker.kill()
    pid.write_text(text)

    error = await house.refuses(house.logins().enable("esp", NEW, by="anna"))

    assert "does not run" in str(error)


@pytest.mark.parametrize("what", ["enable", "disable"])
async def test_the_pid_of_another_mosquitto_is_taken_back(
    mosquitto_with: Callable[[str], Broker], house: House, what: str
) -> None:
    """It can be told, and it is not the one that growyd talks to."""
    pid_file = house.broker.directory / "other.pid"
    mosquitto_with(f"pid_file {pid_file}")
    logins = house.logins(attrs.evolve(house.mosquitto, pid_file=pid_file))

    change = logins.enable("esp", NEW, by="anna") if what == "enable" else logins.disable("esp", by="anna")
    error = await house.refuses(change)

    assert isinstance(error, LoginNotChanged)
    assert "as it was before" in str(error)
    assert await house.lets_in("esp", OLD)
    assert await house.lets_in("cam", OLD)


async def test_nobody_who_watches_the_file_is_noticed(house: House) -> None:
    logins = house.logins(Mosquitto(password_file=house.file, pid_file=None))

    error = await house.refuses(logins.enable("esp", NEW, by="anna"))

    assert "growyd-mosquitto.path" in str(error)
    assert await house.lets_in("esp", OLD)


async def test_a_broker_that_reads_another_file_is_noticed(house: House) -> None:
    other = house.file.with_name("other")
    other.write_bytes(house.file.read_bytes())

    with pytest.raises(LoginNotChanged, match="as it was before"):
        await house.logins(attrs.evolve(house.mosquitto, password_file=other)).enable("esp", NEW, by="anna")

    assert other.read_bytes() == house.file.read_bytes()
    assert await house.lets_in("esp", OLD)


async def test_a_broker_that_looks_at_no_password_is_noticed_before_anything(
    mosquitto_with: Callable[[str], Broker], house: House
) -> None:
    pid_file = house.broker.directory / "free.pid"
    broker = mosquitto_with(f"pid_file {pid_file}")
    logins = house.logins(
        attrs.evolve(house.mosquitto, pid_file=pid_file),
        endpoint=attrs.evolve(house.endpoint, port=broker.port),
    )

    assert "looks at no password file" in str(await house.refuses(logins.enable("esp", NEW, by="anna")))


async def test_a_broker_that_cannot_be_reached_is_no_reason_to_change_the_file(house: House) -> None:
    logins = house.logins(endpoint=attrs.evolve(house.endpoint, port=1))

    assert isinstance(await house.refuses(logins.enable("esp", NEW, by="anna")), LoginNotChanged)


async def test_a_file_that_is_not_there_is_not_made(house: House) -> None:
    logins = house.logins(attrs.evolve(house.mosquitto, password_file=house.file.with_name("nowhere")))

    assert "There is no password file" in str(await house.refuses(logins.enable("esp", NEW, by="anna")))
    assert not house.file.with_name("nowhere").exists()


@attrs.frozen(kw_only=True)
class Deaf(Mosquitto):
    """Mosquitto cannot be told any more as soon as the file was changed."""

    first: bytes
    heard: list[int] = attrs.field(factory=list)
    hears: int = 0
    """So many times all the same."""

    def nudge(self) -> None:
        self.heard.append(1)
        if len(self.heard) > self.hears:
            raise LoginNotChanged("Mosquitto cannot be told: it has gone")
        super().nudge()


def deaf(house: House, hears: int) -> Deaf:
    return Deaf(
        password_file=house.file,
        pid_file=house.mosquitto.pid_file,
        first=house.file.read_bytes(),
        hears=hears,
    )


async def test_a_broker_that_never_read_the_change_need_not_be_told_that_it_is_gone(house: House) -> None:
    error = await house.refuses(house.logins(deaf(house, 0)).enable("esp", NEW, by="anna"))

    assert isinstance(error, LoginNotChanged)
    assert await house.lets_in("esp", OLD)


async def test_a_broker_that_has_read_it_and_cannot_be_told_is_not_called_as_before(house: House) -> None:
    error = await house.refuses(house.logins(deaf(house, 1)).disable("esp", by="anna"))

    assert isinstance(error, LoginUncertain)
    assert "reload mosquitto" in str(error)


async def test_a_file_that_somebody_else_changes_meanwhile_is_theirs(house: House) -> None:
    @attrs.frozen(kw_only=True)
    class Busy(Mosquitto):
        def nudge(self) -> None:
            add(self.password_file, "tablet", "the third hand")
            raise LoginNotChanged("Mosquitto cannot be told")

    logins = house.logins(Busy(password_file=house.file, pid_file=house.mosquitto.pid_file))
    with pytest.raises(LoginUncertain, match="Somebody else"):
        await logins.enable("esp", NEW, by="anna")

    assert b"tablet:" in house.file.read_bytes()


async def test_being_stopped_halfway_takes_the_change_back(house: House) -> None:
    before = house.file.read_bytes()
    logins = house.logins(Mosquitto(password_file=house.file, pid_file=None), patience_s=60.0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: logins.enable("esp", NEW, by="anna"))
        with trio.fail_after(10):
            while house.file.read_bytes() == before:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()

    assert house.file.read_bytes() == before


# -- killed at any moment

FOR_EVER = """
import itertools, sys
from pathlib import Path
from growy.broker.mosquitto import Mosquitto
mosquitto = Mosquitto(password_file=Path(sys.argv[1]), pid_file=None)
for letter in itertools.cycle(b"ab"):
    mosquitto.replace(bytes([letter]) * 100_000)
    print("replaced", flush=True)
"""


def test_a_crash_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "passwd"
    file.write_bytes(b"a" * 100_000)
    file.chmod(0o640)
    moments = random.Random(7)
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", FOR_EVER, str(file)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            threading.Event().wait(moments.uniform(0, 0.02))
            process.kill()
        assert file.read_bytes() in (b"a" * 100_000, b"b" * 100_000)
        assert file.stat().st_mode & 0o777 == 0o640


# -- as a user who may write into one folder, and signal nobody

NOBODY, BROKERS = 65534, 1883
AS_NOBODY = """
import os, sys
from pathlib import Path
from growy.broker.mosquitto import Mosquitto
from growy.model.errors import GrowyError
file, pid_file = map(Path, sys.argv[1:])
mosquitto = Mosquitto(password_file=file, pid_file=pid_file)
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
for act in (mosquitto.check, lambda: mosquitto.replace(mosquitto.read() + b"# more")):
    try:
        act()
        print("done")
    except GrowyError as error:
        print(error)
"""


@pytest.fixture
def handed_over(house: House) -> Iterator[Path]:
    """The password file in a folder of its own, which an ordinary user may write, and Mosquitto's group may read."""
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else")
    with tempfile.TemporaryDirectory() as name:
        folder, file = Path(name), Path(name) / "passwd"
        os.chown(folder, NOBODY, BROKERS)
        folder.chmod(0o2755)
        file.write_bytes(house.file.read_bytes())
        os.chown(file, NOBODY, BROKERS)
        file.chmod(0o640)
        yield file


def as_nobody(file: Path, pid_file: Path) -> list[str]:
    """What comes of asking whether Mosquitto can be told, and of changing the file."""
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(file), str(pid_file)],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


def test_the_new_file_is_whose_the_old_one_was(house: House, handed_over: Path, tmp_path: Path) -> None:
    before = handed_over.read_bytes()
    handed_over.parent.joinpath(".passwd.growyd").write_bytes(b"left by one who was killed")

    said = as_nobody(handed_over, tmp_path / "nowhere.pid")

    assert said[1] == "done"
    assert handed_over.read_bytes() == before + b"# more"
    there = handed_over.stat()
    assert (there.st_uid, there.st_gid, there.st_mode & 0o7777) == (NOBODY, BROKERS, 0o640)
    assert list(handed_over.parent.iterdir()) == [handed_over]


def test_a_file_that_would_get_another_owner_is_left_alone(
    house: House, handed_over: Path, tmp_path: Path
) -> None:
    os.chown(handed_over, 0, NOBODY)
    before = handed_over.read_bytes()

    said = as_nobody(handed_over, tmp_path / "nowhere.pid")

    assert "cannot be written" in said[1]
    assert "docs/operations.md" in said[1]
    assert handed_over.read_bytes() == before
    assert list(handed_over.parent.iterdir()) == [handed_over]


def test_a_file_that_cannot_be_read_is_said(house: House, handed_over: Path, tmp_path: Path) -> None:
    handed_over.chmod(0)

    assert "cannot be read: Permission denied" in as_nobody(handed_over, tmp_path / "nowhere.pid")[1]


def test_a_mosquitto_that_may_not_be_signalled_is_said(house: House, handed_over: Path) -> None:
    pid_file = handed_over.with_name("pid")
    assert house.mosquitto.pid_file is not None
    pid_file.write_text(house.mosquitto.pid_file.read_text())

    assert "Mosquitto cannot be told: Operation not permitted" in as_nobody(handed_over, pid_file)[0]


# -- a broker that cannot read what it is given refuses everybody, and that is noticed


async def test_a_file_that_somebody_else_empties_meanwhile_is_not_called_as_before(house: House) -> None:
    @attrs.frozen(kw_only=True)
    class Emptied(Mosquitto):
        def nudge(self) -> None:
            self.password_file.write_bytes(b"# nobody\n")
            super().nudge()

    logins = house.logins(Emptied(password_file=house.file, pid_file=house.mosquitto.pid_file))
    with pytest.raises(LoginUncertain, match="Somebody else"):
        await logins.enable("esp", NEW, by="anna")


async def test_a_broker_that_lost_everybody_is_not_called_as_before(house: House) -> None:
    """As when the new file, and the old one that was put back, can both not be read by Mosquitto."""
    house.file.write_bytes(with_user(house.file.read_bytes(), "growyd", hash_of("its own secret")))
    logins = house.logins()
    await logins.enable("growyd", "its own secret", by="anna")

    @attrs.frozen(kw_only=True)
    class Unreadable(Mosquitto):
        def nudge(self) -> None:
            there, away = self.password_file, self.password_file.with_name("away")
            there.rename(away)
            super().nudge()
            threading.Event().wait(0.3)  # it reads its file at the next turn of its loop
            away.rename(there)

    logins = house.logins(Unreadable(password_file=house.file, pid_file=house.mosquitto.pid_file))
    with pytest.raises(LoginUncertain, match="growyd's own login"):
        await logins.enable("esp", NEW, by="anna")
