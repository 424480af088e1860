"""Query strings, bodies, paths: what is understood, and how a fault is named."""

from __future__ import annotations

import enum
import json
from contextlib import suppress
from typing import Any

import attrs
import pytest
from attrs import validators as v
from hypothesis import given
from hypothesis import strategies as st

from growy.model.errors import Invalid, NotFound
from growy.web.answers import MethodNotAllowed, Response, iso
from growy.web.inputs import MOST_PARAMETERS, Moment, body_of, moment, query_of
from growy.web.router import Call, Endpoint, Router


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "Blue"


@attrs.frozen
class Painted:
    colour: Colour | None = None


@attrs.frozen
class Wish:
    name: str
    count: int = attrs.field(default=1, validator=v.ge(1))
    share: float | None = None
    wanted: bool = True
    since: Moment | None = None
    free: dict[str, object] | None = None


def faults(text: str) -> list[str]:
    with pytest.raises(Invalid) as wrong:
        query_of(text, Wish)
    return list(wrong.value.details["faults"])  # type: ignore[call-overload]


def test_a_query_becomes_typed() -> None:
    wish = query_of("name=a%20b&count=3&share=.5&wanted=no&since=1760000000&other=x", Wish)
    assert wish == Wish("a b", 3, 0.5, False, Moment(1_760_000_000_000))


def test_an_empty_value_counts_as_absent_and_the_last_of_several_counts() -> None:
    assert query_of("name=a&name=b&count=", Wish) == Wish("b")


def test_all_faults_are_named_at_once() -> None:
    said = faults("count=many&share=nan&wanted=perhaps&since=soon")
    assert [fault.split(":")[0] for fault in said] == ["name", "count", "share", "wanted", "since"]


@pytest.mark.parametrize(("said", "colour"), [("red", Colour.RED), ("BLUE", Colour.BLUE), ("", None)])
def test_one_of_some_words_is_known_in_any_case(said: str, colour: Colour | None) -> None:
    assert query_of(f"colour={said}", Painted).colour is colour


def test_a_word_that_is_none_of_them_is_refused_with_those_that_are() -> None:
    with pytest.raises(Invalid, match=r"colour: 'green' is none of red, Blue"):
        body_of(b'{"colour": "green"}', Painted)


def test_a_value_out_of_bounds_is_named() -> None:
    assert faults("name=a&count=0") == ["count: must be >= 1: 0"]


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(Invalid, match=str(MOST_PARAMETERS)):
        query_of("&".join(f"a{i}=1" for i in range(MOST_PARAMETERS + 1)), Wish)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'"text"',
        b"[]",
        b"null",
        b'{"name":1}',
        b'{"name":null}',
    ],
)
def test_a_body_that_cannot_be_used_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        body_of(body, Wish)


@pytest.mark.parametrize(
    ("field", "value"), [("count", True), ("share", False), ("count", 1.5), ("free", [1])]
)
def test_json_types_are_not_mixed_up(field: str, value: object) -> None:
    with pytest.raises(Invalid, match=field):
        body_of(json.dumps({"name": "a", field: value}).encode(), Wish)


def test_a_free_object_stays_as_it_is() -> None:
    assert body_of(b'{"name":"a","free":{"x":[1,null]}}', Wish).free == {"x": [1, None]}


@given(st.integers(0, 253_402_300_799_999))
def test_what_we_write_as_time_we_read_as_the_same_time(ms: int) -> None:
    assert moment(iso(ms)) == ms


@pytest.mark.parametrize(
    "text",
    [
        "1e99",
        "253402300800000",
        "-99999999999999",
        "-9e10",
        "0001-01-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_a_time_that_no_answer_could_repeat_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="between the years 1900 and 9999"):
        moment(text)


def test_an_error_does_not_repeat_a_flood() -> None:
    with pytest.raises(Invalid) as caught:
        body_of(json.dumps({"name": "a", "count": "9" * 100_000 + "x"}).encode(), Wish)
    assert len(str(caught.value)) < 300


@given(st.text())
def test_any_text_is_a_time_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(moment(text), int)


async def nothing(call: Call) -> Response:
    return Response(204)


def router(*paths: str) -> Router:
    return Router([Endpoint(method="GET", path=path, summary="", handler=nothing) for path in paths])


@pytest.mark.parametrize("order", [1, -1])
def test_a_word_beats_a_parameter_whatever_the_order(order: int) -> None:
    paths = ["/s/{esp}/{gpio}", "/s/libraries/reload", "/s/{esp}/{gpio}/stats"]
    match = router(*paths[::order]).find("GET", "/s/libraries/reload")
    assert match.endpoint.path == "/s/libraries/reload"


def test_a_word_that_leads_nowhere_does_not_hide_a_parameter() -> None:
    match = router("/s/libraries/reload", "/s/{esp}/{gpio}").find("GET", "/s/libraries/4")
    assert (match.endpoint.path, match.parameters) == ("/s/{esp}/{gpio}", {"esp": "libraries", "gpio": "4"})


def test_parameters_are_decoded_after_the_path_is_split() -> None:
    assert router("/s/{esp}").find("GET", "/s/a%2Fb%20c/").parameters == {"esp": "a/b c"}


def test_what_is_not_there_and_what_is_not_possible_are_told_apart() -> None:
    with pytest.raises(NotFound):
        router("/s/{esp}").find("GET", "/s//")
    with pytest.raises(MethodNotAllowed, match="GET, HEAD"):
        router("/s/{esp}").find("PUT", "/s/x")


def test_two_endpoints_with_one_address_are_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="twice"):
        router("/s/{a}", "/s/{a}")
    with pytest.raises(ValueError, match="elsewhere"):
        router("/s/{a}", "/s/{b}/x")


def test_a_model_that_cannot_be_read_is_found_at_the_start() -> None:
    @attrs.frozen
    class Odd:
        thing: Any = None
        other: "NoSuchType" = None  # type: ignore[name-defined] # noqa: F821, UP037

    with pytest.raises(NameError):
        Router([Endpoint(method="GET", path="/", summary="", handler=nothing, query=Odd)])


@given(st.text(alphabet="/%abcdef0123456789{}.\x00é"))
def test_any_path_is_found_or_refused(path: str) -> None:
    with suppress(NotFound, Invalid):
        router("/a/{b}", "/").find("GET", path)


@attrs.frozen
class Span:
    from_: Moment
    to: Moment
    most_: int = attrs.field(default=1, validator=v.ge(0))


def test_a_field_may_be_called_what_python_keeps_for_itself() -> None:
    span = body_of(b'{"from": 1760000000, "to": 1760000060, "most": 3}', Span)
    assert span == Span(Moment(1_760_000_000_000), Moment(1_760_000_060_000), 3)

    for body, said in (
        (b'{"to": 1}', "from: is missing"),
        (b'{"from": "x", "to": 1}', "from: 'x'"),
        (b'{"from": 1, "to": 1, "most": -1}', "most: must be >= 0"),
    ):
        with pytest.raises(Invalid, match=said):
            body_of(body, Span)


def test_a_body_that_somebody_else_reads_passes_as_it_is() -> None:
    assert body_of(b'{"name": "x", "conditions": [{"type": "always"}]}', dict[str, object]) == {
        "name": "x",
        "conditions": [{"type": "always"}],
    }
