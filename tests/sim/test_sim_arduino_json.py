"""How the firmware reads and writes JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.sim import arduino_json as aj
from growy.sim.arduino_json import COUNTER, Document, Owned, ParseFailed

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30
)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "EmptyInput"),
        ("  \n", "EmptyInput"),
        ('{"a":', "IncompleteInput"),
        ('{"a":"b', "IncompleteInput"),
        ("{a}", "InvalidInput"),
        ("NaN", "InvalidInput"),
        ("[" * 11 + "]" * 11, "TooDeep"),
        ("[" * 4000 + "]" * 4000, "TooDeep"),
        ('{"command":"emergency_stop","reason":"' + "x" * 256 + '"}', "NoMemory"),
    ],
)
def test_what_cannot_be_read_has_a_word(text: str, word: str):
    failed = aj.parse(text, 256)
    assert isinstance(failed, ParseFailed)
    assert failed.word == word


def test_the_pool_counts_slots_and_each_distinct_string_once():
    assert aj.cost({"command": "stop", "why": "stop"}) == 2 * 16 + 8 + 5 + 4
    assert aj.cost([1, [2, {"a": None}]]) == 5 * 16 + 2
    assert aj.cost({"a": "long text"}, zero_copy=True) == 16


def test_an_emergency_with_everything_in_it_needs_284_bytes():
    document = {
        "command": "emergency_stop",
        "auth_token": "t" * 32,
        "correlation_id": "u" * 36,
        "intent_id": "v" * 36,
        "reason": "operator",
        "issued_by": "user:1",
        "timestamp": 1767225600,
    }
    assert aj.cost(document) > 256


def test_the_text_behind_the_value_is_not_looked_at():
    assert aj.parse('{"a":1} and more', 256) == {"a": 1}


def test_strings_end_at_a_nul_and_broken_surrogates_become_question_marks():
    assert aj.parse('{"a":"b\\u0000c","d":"\\ud800"}', 256) == {"a": "b", "d": "?"}
    assert aj.c_text(b"ab\0cd") == "ab"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(7, 7), (7.0, 0), ("7", 0), (True, 0), (None, 0), (1_767_225_600_000, 0), (-3, -3)],
)
def test_an_integer_field_takes_only_integers_of_32_bits(value: object, expected: int):
    assert aj.int32(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "null"), ("x", "x"), (3, "3"), (True, "true"), (0.5, "0.5"), ({"a": [1, "b"]}, '{"a":[1,"b"]}')],
)
def test_anything_becomes_text_and_nothing_becomes_the_word_null(value: object, expected: str):
    assert aj.as_string(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(4, 4), (4.9, 4), (True, None), ("4", None), (None, None), (1e12, 0)]
)
def test_a_configured_number_may_have_decimals_but_not_be_text(value: object, expected: int | None):
    assert aj.extract_int({"gpio": value}, "gpio") == expected
    assert aj.extract_int({}, "gpio") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (0, False), (2, True), ("TRUE", True), ("0", False), ("yes", None), (1.0, None)],
)
def test_a_configured_flag_may_be_a_number_or_a_word(value: object, expected: bool | None):
    assert aj.extract_bool({"active": value}, "active") == expected


def test_a_full_document_leaves_members_out():
    full = Document(60).put(status="a literal costs nothing", message=Owned("x" * 20), a=1)
    assert json.loads(full.json()) == {"status": "a literal costs nothing", "message": "x" * 20}
    assert json.loads(Document(48).put(a=Owned("x" * 40), b=1, c=2, d=3).json()) == {
        "a": None,
        "b": 1,
        "c": 2,
    }


def test_equal_text_is_kept_once():
    document = Document(3 * 16 + 11).put(a=Owned("x" * 10), b=Owned("x" * 10), c=Owned("y"))
    assert json.loads(document.json()) == {"a": "x" * 10, "b": "x" * 10, "c": None}


def test_numbers_are_written_as_the_library_writes_them():
    assert aj.serialized([0.35, 1.0, 1e7, -2.5e-6, 0.0]) == "[0.35,1,1e7,-2.5e-6,0]"
    assert aj.serialized(aj.f32(0.35)) == "0.349999994"


def test_the_counter_stands_where_the_session_will_number():
    assert Document(64).put(seq=COUNTER).json() == '{"seq":\0}'


@given(DOCUMENTS)
def test_any_document_is_read_or_refused(document: object):
    read = aj.parse(json.dumps(document), 512)
    assert isinstance(read, ParseFailed) or aj.cost(read) <= 512


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes):
    aj.parse(aj.c_text(payload), 256)


@given(
    st.dictionaries(st.text(alphabet=st.characters(exclude_characters="\0")), SCALARS), st.integers(0, 400)
)
def test_what_a_document_writes_is_json(members: dict[str, object], capacity: int):
    owned = {k: Owned(v.split("\0")[0]) if isinstance(v, str) else v for k, v in members.items()}
    text = Document(capacity).put(**owned).json()
    assert set(json.loads(text, strict=False)) <= set(members)
