"""Mosquitto's password file: what is ours is written as Mosquitto writes it, what is not stays as it is."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from growy.broker import password_file
from growy.broker.password_file import hash_of, matches, users, with_user, without_user
from growy.model.errors import Invalid

names = st.from_regex(password_file.USERNAME, fullmatch=True)
passwords = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=8, max_size=128)
files = st.lists(
    st.one_of(
        st.binary(max_size=30),
        names.map(lambda name: name.encode() + b":$6$c2FsdA==$aGFzaA=="),
        names.map(lambda name: b" " + name.encode() + b" :$argon2id$v=19$m=47104,t=1,p=1$x$y\r"),
        st.just(b"# a comment: with a colon"),
        st.just(b""),
    ),
    max_size=8,
).flatmap(lambda lines: st.sampled_from([b"\n".join(lines), b"\n".join([*lines, b""])]))


def cheap_hash(password: str) -> bytes:
    return hash_of(password, iterations=1)


def others(content: bytes, name: str) -> list[bytes]:
    """The lines of all but this user."""
    return without_user(content, name).split(b"\n")


@given(files, names, passwords)
def test_whoever_is_set_up_has_that_password_and_all_other_lines_are_as_they_were(
    content: bytes, name: str, password: str
) -> None:
    changed = with_user(content, name, cheap_hash(password))

    assert matches(changed, name, password)
    assert not matches(changed, name, password + "x")
    assert users(changed).count(name) == 1
    before, after = without_user(content, name), without_user(changed, name)
    assert after in (before, before + b"\n")


@given(files, names, passwords, passwords)
def test_a_new_password_takes_the_place_of_the_old_one(content: bytes, name: str, old: str, new: str) -> None:
    assume(old != new)
    first = with_user(content, name, cheap_hash(old))
    second = with_user(first, name, cheap_hash(new))

    assert matches(second, name, new)
    assert not matches(second, name, old)
    assert users(second) == users(first)
    assert others(second, name) == others(first, name)


@given(files, names)
def test_whoever_is_taken_away_is_gone_and_nobody_else(content: bytes, name: str) -> None:
    rest = without_user(content, name)

    assert name not in users(rest)
    assert users(rest) == [user for user in users(content) if user != name]
    assert without_user(rest, name) == rest


@given(files)
def test_users_of_any_file_can_be_told(content: bytes) -> None:
    assert all(users(content))


@given(files, names, passwords)
def test_no_file_however_odd_lets_in_somebody_by_accident(content: bytes, name: str, password: str) -> None:
    assert not matches(content, name, password)


@pytest.mark.parametrize(
    "line",
    [
        b"$7$0$AAAA$" + base64.b64encode(bytes(64)),
        b"$7$99999999$AAAA$" + base64.b64encode(bytes(64)),
        b"$7$101$AAA$" + base64.b64encode(bytes(64)),
        b"$7$101$AAAA$AAAA",
        b"$7$101$AAAA",
    ],
)
def test_a_hash_that_is_none_matches_nothing_and_costs_nothing(line: bytes) -> None:
    assert not matches(b"grower:" + line, "grower", "a password")


def test_a_line_has_the_form_that_mosquitto_passwd_writes(tmp_path: Path) -> None:
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.fail("mosquitto_passwd is missing: apt-get install mosquitto")
    file = tmp_path / "passwords"
    subprocess.run([program, "-b", "-c", str(file), "grower", "under the lamp"], check=True)
    theirs = file.read_bytes()

    _, kind, _, salt, digest = theirs.strip().split(b"$")
    assert (kind, len(base64.b64decode(salt)), len(base64.b64decode(digest))) == (
        b"7", password_file.SALT_BYTES, password_file.HASH_BYTES,
    )  # fmt: skip
    assert matches(theirs, "grower", "under the lamp")
    assert not matches(theirs, "grower", "under the lamq")
    ours = hash_of("under the lamp", salt=base64.b64decode(salt), iterations=101)
    assert b"grower:" + ours + b"\n" == theirs


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_of("under the lamp") != hash_of("under the lamp")


@pytest.mark.parametrize(
    "name", ["ab", "a" * 51, "a:b", "a\nb", "#grower", " grower", "grower ", "grö", "-rf", ""]
)
def test_names_that_could_be_more_than_a_name_are_refused(name: str) -> None:
    with pytest.raises(Invalid, match="username"):
        password_file.check_username(name)
    with pytest.raises(Invalid):
        with_user(b"", name, b"$7$")


@pytest.mark.parametrize(
    "password", ["1234567", "x" * 129, "with\nlines", "with\x00nul", "half \ud800 a pair"]
)
def test_passwords_that_are_refused_are_not_repeated(password: str) -> None:
    with pytest.raises(Invalid, match="password") as refused:
        password_file.check_password(password)
    assert password not in str(refused.value)
