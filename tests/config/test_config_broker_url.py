"""The broker's URL: parsed strictly, and its password never shown."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from growy.config import BrokerConfig, BrokerScheme, BrokerUrl
from growy.config.broker_url import mask_url, parse_listen


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("embedded", BrokerUrl(BrokerScheme.EMBEDDED)),
        ("mqtt://pi", BrokerUrl(BrokerScheme.MQTT, "pi", 1883)),
        ("mqtts://pi.local/", BrokerUrl(BrokerScheme.MQTTS, "pi.local", 8883)),
        ("MQTT://pi:1", BrokerUrl(BrokerScheme.MQTT, "pi", 1)),
        ("mqtt://[::1]:1884", BrokerUrl(BrokerScheme.MQTT, "::1", 1884)),
        ("mqtt://me@10.0.0.2", BrokerUrl(BrokerScheme.MQTT, "10.0.0.2", 1883, "me")),
        ("mqtt://me:p%40s%2Fs%3A%23@pi:65535", BrokerUrl(BrokerScheme.MQTT, "pi", 65535, "me", "p@s/s:#")),
    ],
)
def test_a_url_becomes_its_parts(text, parsed):
    assert BrokerUrl.parse(text) == parsed
    assert BrokerConfig(url=text).address == parsed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must be mqtt://"),
        ("pi:1883", "write mqtt://pi:1883"),
        ("http://pi", "must be mqtt://"),
        ("ws://pi", "must be mqtt://"),
        ("mqtt://", "a host"),
        ("mqtt://:1883", "a host"),
        ("mqtt://pi:0", "from 1 to 65535"),
        ("mqtt://pi:65536", "port"),
        ("mqtt://pi:http", "port"),
        ("mqtt://[::1", "cannot be read"),
        ("mqtt://pi/topic", "a host and a port"),
        ("mqtt://pi?x=1", "a host and a port"),
        ("mqtt://:pw@pi", "a password but no user"),
        ("mqtt://me:***@pi", "password masked"),
    ],
)
def test_a_url_that_cannot_work_is_refused_with_the_reason(text, why):
    with pytest.raises(ValueError) as caught:
        BrokerUrl.parse(text)

    assert why in str(caught.value)


@given(
    st.lists(
        st.sampled_from(["a", "9", "#", "/", "?", ":", "@", " ", "[", "]", "://", "%40"]), max_size=6
    ).map("".join)
)
@example("a://")
@example("@a:")
def test_a_password_is_shown_neither_by_a_refusal_nor_by_a_record(password):
    text = f"mqtt://me:{password}xyzzy@pi"
    try:
        broker = BrokerConfig(url=text)
    except ValueError as error:
        shown = str(error)
    else:
        shown = f"{broker} {broker.address!r} {broker.address}"

    assert "xyzzy" not in shown
    assert "xyzzy" not in mask_url(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mqtt://pi:1883", "mqtt://pi:1883"),
        ("mqtt://[fe80::1]:1883", "mqtt://[fe80::1]:1883"),
        ("mqtt://me@pi", "mqtt://me@pi"),
        ("mqtt://me:hunter2", "mqtt://me:***"),
        ("mqtt//me:hunter2@pi", "mqtt//me:***@pi"),
        ("me:hunter2@pi:1883", "me:***@pi:1883"),
    ],
)
def test_masking_leaves_the_rest_of_a_url_readable_even_when_it_is_broken(text, shown):
    assert mask_url(text) == shown


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    try:
        url = BrokerUrl.parse(text)
    except ValueError:
        return
    assert url.embedded or (url.host and 1 <= url.port <= 65535)


def test_a_url_for_people_has_no_login():
    assert str(BrokerUrl.parse("mqtts://me:pw@[fe80::1]")) == "mqtts://[fe80::1]:8883"
    assert str(BrokerUrl.parse("embedded")) == "embedded"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:1883", ("::1", 1883)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_an_address_to_listen_on(text, address):
    assert parse_listen(text) == address
    assert BrokerConfig(embedded_listen=text).embedded_address == address


@pytest.mark.parametrize("text", ["", "1883", "pi", "pi:", ":1883", "pi:0", "pi:65536", "::1:1883", "a b:1"])
def test_what_is_no_address_to_listen_on(text):
    with pytest.raises(ValueError, match="must be host:port"):
        parse_listen(text)
