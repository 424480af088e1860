"""Messages of the tree: every one comes back from its topic and bytes as it was; what nobody may say is refused."""

from __future__ import annotations

import contextlib

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from growy.model.errors import WireError
from growy.model.handover import HandedOver, HeldOutput, RuleMemory
from growy.model.hierarchy import GOD, Stamp
from growy.model.tree_messages import (
    LAST_MS,
    ChainCommand,
    ChainResponse,
    CrossCommand,
    CrossResponse,
    Documents,
    FromGod,
    FromKaiser,
    Grant,
    Health,
    MessageId,
    Orders,
    Pass,
    PassRequest,
    Petition,
    RelayAnswer,
    RelayCommand,
    RelayUp,
    Report,
    Reroute,
    ShownCertificate,
    Sideways,
    TreeMessage,
    Withdraw,
    Withdrawn,
)
from growy.wire.hierarchy import (
    MAX_TREE_PAYLOAD,
    TreeTopic,
    TreeTopicKind,
    alternative_route,
    command_chain_timeout,
    decode_tree,
    encode_tree,
    esp_emergency,
    esp_of_emergency,
    god_subscriptions,
    kaiser_subscriptions,
    parse_tree_topic,
    tree_topic,
)

words = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
numbers = st.integers(0, 2**40)
seconds = st.floats(0, 1e6, allow_nan=False)
kaiser_ids = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789_-", min_size=1, max_size=63).filter(
    lambda text: text != GOD
)
data = st.dictionaries(words, st.none() | st.booleans() | st.integers(-(2**50), 2**50) | words, max_size=3)
stamps = st.builds(Stamp, numbers, numbers, numbers)
ids = st.builds(MessageId, numbers, numbers)
outputs = st.builds(
    HeldOutput, gpio=st.integers(0, 255), value=st.none() | st.floats(0, 1), person=st.binary(max_size=9)
)
memories = st.lists(st.builds(RuleMemory, rule_id=words, state=st.binary(max_size=9)), max_size=2).map(tuple)
states = st.none() | st.builds(
    HandedOver, taken_ms=numbers, outputs=st.lists(outputs, max_size=3).map(tuple), rules=memories
)

st.register_type_strategy(Stamp, stamps)
st.register_type_strategy(MessageId, ids)


def made(kind: type, **given_: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Any value of a message, field by field."""
    fields = {}
    for field in msgspec.structs.fields(kind):
        fields[field.name] = given_.get(field.name, _of(field.type))
    return st.builds(kind, **fields)


def _of(kind: object) -> st.SearchStrategy[object]:
    simple = {str: words, int: numbers, float: seconds, bytes: st.binary(max_size=40), bool: st.booleans()}
    if kind in simple:
        return simple[kind]
    arguments = getattr(kind, "__args__", ())
    origin = getattr(kind, "__origin__", None)
    if origin is tuple:
        return st.lists(_of(arguments[0]), max_size=3).map(tuple)
    if origin is not None and issubclass(dict, origin):
        return data
    if arguments:  # a union
        return st.one_of([st.none() if one is type(None) else _of(one) for one in arguments])
    if kind is HandedOver:
        return st.builds(
            HandedOver, taken_ms=numbers, outputs=st.lists(outputs, max_size=3).map(tuple), rules=memories
        )
    if kind is ShownCertificate:
        digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
        return st.builds(ShownCertificate, fingerprint=digests, expires_ms=st.integers(0, LAST_MS))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return made(kind)
    return st.from_type(kind)


@st.composite
def said(draw: st.DrawFn) -> tuple[str, str, TreeMessage]:
    """(sender, target, message) as it may be."""
    one, other = draw(kaiser_ids), draw(kaiser_ids)
    kind = draw(st.sampled_from([*FromKaiser.__args__, *FromGod.__args__, *Sideways.__args__]))
    if kind in FromGod.__args__:
        sender, target = GOD, one
    elif kind in FromKaiser.__args__:
        sender, target = one, GOD
    else:
        sender, target = draw(
            st.sampled_from([(GOD, one), (one, GOD), (one, other + "x" if one == other else other)])
        )
    return sender, target, draw(made(kind, kaiser_id=st.just(one)))


@given(said())
def test_every_message_comes_back_from_its_topic_and_its_bytes(spoken: tuple[str, str, TreeMessage]) -> None:
    sender, target, message = spoken

    topic = parse_tree_topic(tree_topic(sender, target, message))

    assert (topic.sender, topic.target) == (sender, target)
    assert decode_tree(topic, encode_tree(message)) == message


@given(said())
def test_json_and_cbor_say_the_same(spoken: tuple[str, str, TreeMessage]) -> None:
    sender, target, message = spoken
    topic = parse_tree_topic(tree_topic(sender, target, message))

    assert decode_tree(topic, msgspec.json.encode(message)) == message


@given(st.sampled_from(TreeTopicKind), st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_reason(kind: TreeTopicKind, payload: bytes) -> None:
    with contextlib.suppress(WireError):
        assert isinstance(decode_tree(TreeTopic(kind, "k1", GOD), payload), msgspec.Struct)


TOPICS = [
    (
        "k1",
        GOD,
        Report(kaiser_id="k1", instance="i", god_id="g", id=MessageId(1, 1)),
        "kaiser/k1/kaiser/status",
    ),
    ("k1", GOD, Health(kaiser_id="k1", uptime_s=1.0), "kaiser/k1/kaiser/health"),
    (GOD, "k1", Orders(kaiser_id="k1", instance="i", god_id="g", god_instance="h"), "kaiser/k1/god/command"),
    (GOD, "k1", ChainCommand(god_instance="h", command_id="c", command_type="t"), "kaiser/k1/god/command"),
    ("k1", GOD, ChainResponse(kaiser_id="k1", command_id="c"), "kaiser/k1/god/response"),
    (
        "k1",
        GOD,
        Petition(kaiser_id="k1", petition_id="p", esp_id="e", to_owner="k2"),
        "kaiser/k1/god/response",
    ),
    (
        "k1",
        GOD,
        Reroute(kaiser_id="k1", target="k2", command_id="c", command_type="t"),
        "kaiser/k1/god/response",
    ),
    (GOD, "k1", Documents(god_instance="h", esp_id="e", version="v"), "kaiser/k1/esp_transfer"),
    ("k1", "k2", CrossCommand(command_id="c", command_type="t"), "kaiser/k1/cross_kaiser/k2/command"),
    ("k2", "k1", CrossResponse(command_id="c", success=True), "kaiser/k2/cross_kaiser/k1/response"),
    ("k1", GOD, PassRequest(id=MessageId(1, 1), esp_ids=()), "kaiser/k1/cross_kaiser/god/command"),
    (GOD, "k1", Pass(reply_to=MessageId(1, 1)), "kaiser/god/cross_kaiser/k1/response"),
    (GOD, "k1", Withdraw(esp_id="e", epoch=1), "kaiser/god/cross_kaiser/k1/command"),
    ("k1", GOD, Withdrawn(esp_id="e", epoch=1), "kaiser/k1/cross_kaiser/god/response"),
    (
        "k1",
        "k2",
        RelayCommand(command_id="c", esp_id="e", stamp=Stamp(1, 1, 1), tail="t"),
        "kaiser/k1/cross_kaiser/k2/command",
    ),
    ("k2", "k1", RelayAnswer(command_id="c"), "kaiser/k2/cross_kaiser/k1/response"),
    (
        "k2",
        "k1",
        RelayUp(esp_id="e", tail="t", payload=b"x", received_ms=1),
        "kaiser/k2/cross_kaiser/k1/command",
    ),
]


def test_a_certificate_may_be_missing_and_must_make_sense() -> None:
    topic = TreeTopic(TreeTopicKind.HEALTH, "k1", GOD)
    said = {"type": "health", "kaiser_id": "k1", "uptime_s": 1.0}
    older = decode_tree(topic, msgspec.json.encode(said))
    assert isinstance(older, Health)
    assert older.certificate is None
    for fingerprint, expires_ms, right in (
        ("0a" * 32, 1, True),
        ("0a" * 32, 253_402_300_799_999, True),
        ("0a" * 32, 253_402_300_800_000, False),  # no date can be written beyond the year 9999
        ("0a" * 32, -1, False),
        ("0a" * 31, 1, False),
        ("\x1b[2J", 1, False),
    ):
        certificate = {"fingerprint": fingerprint, "expires_ms": expires_ms}
        payload = msgspec.json.encode({**said, "certificate": certificate})
        if right:
            assert decode_tree(topic, payload) != older
        else:
            with pytest.raises(WireError, match="certificate"):
                decode_tree(topic, payload)


@pytest.mark.parametrize(("sender", "target", "message", "topic"), TOPICS)
def test_every_kind_has_its_topic_and_somebody_listens_to_it(
    sender: str, target: str, message: TreeMessage, topic: str
) -> None:
    assert tree_topic(sender, target, message) == topic
    filters = god_subscriptions() if target == GOD else kaiser_subscriptions(target)
    assert sum(matches(one, topic) for one, _ in filters) == 1


def test_every_kind_of_message_is_in_that_table() -> None:
    assert {type(message) for _, _, message, _ in TOPICS} == set(TreeMessage.__args__)


def matches(filter_: str, topic: str) -> bool:
    ours, theirs = filter_.split("/"), topic.split("/")
    return len(ours) == len(theirs) and all(
        one in ("+", other) for one, other in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize(
    "topic",
    [
        "kaiser/k1",
        "kaiser/god/kaiser/status",
        "kaiser/k1/kaiser/other",
        "kaiser/k1/cross_kaiser/k1/command",
        "kaiser/k1/cross_kaiser/+/command",
        "kaiser/k1/cross_kaiser/k2/other",
        "kaiser/k 1/god/command",
        "kaiser/god/esp/ESP_EA5484/system/heartbeat",
        "other/k1/god/command",
        b"kaiser/\xff/god/command",
    ],
)
def test_other_topics_are_refused(topic: str | bytes) -> None:
    with pytest.raises(WireError):
        parse_tree_topic(topic)


@pytest.mark.parametrize(
    ("sender", "target"), [("k1", "k2"), (GOD, GOD), ("k1", "k1"), ("k/1", GOD), ("+", GOD), ("", GOD)]
)
def test_a_report_goes_from_a_kaiser_to_god_and_nowhere_else(sender: str, target: str) -> None:
    message = Report(kaiser_id="k1", instance="i", god_id="g", id=MessageId(1, 1))

    with pytest.raises(WireError):
        tree_topic(sender, target, message)


def test_nobody_speaks_in_the_name_of_another() -> None:
    forged = Report(kaiser_id="k2", instance="i", god_id="g", id=MessageId(1, 1))

    with pytest.raises(WireError, match="k2"):
        decode_tree(parse_tree_topic("kaiser/k1/kaiser/status"), encode_tree(forged))


def test_a_message_on_the_wrong_topic_is_refused() -> None:
    orders = Orders(kaiser_id="k1", instance="i", god_id="g", god_instance="h")

    with pytest.raises(WireError, match="report"):
        decode_tree(parse_tree_topic("kaiser/k1/kaiser/status"), encode_tree(orders))


def test_a_message_that_is_too_large_is_refused_before_it_is_read() -> None:
    topic = parse_tree_topic("kaiser/k1/esp_transfer")

    with pytest.raises(WireError) as caught:
        decode_tree(topic, b"\xa1" + bytes(MAX_TREE_PAYLOAD))
    assert caught.value.reason == "too_large"


def test_what_is_missing_is_named() -> None:
    with pytest.raises(WireError, match=r"\$\.grants\[0\]\.lease_s"):
        decode_tree(
            parse_tree_topic("kaiser/k1/god/command"),
            b'{"type":"orders","kaiser_id":"k1","instance":"i","god_id":"g","god_instance":"h",'
            b'"grants":[{"esp_id":"e","epoch":1}]}',
        )


def test_orders_can_be_read_by_people() -> None:
    grant = Grant(
        esp_id="ESP_EA5484",
        epoch=7,
        lease_s=30.0,
        home="k1",
        state=HandedOver(taken_ms=1, outputs=(HeldOutput(gpio=26, value=1.0),)),
    )
    orders = Orders(kaiser_id="k1", instance="i", god_id="g", god_instance="h", grants=(grant,))

    assert encode_tree(orders) == (
        b'{"type":"orders","kaiser_id":"k1","instance":"i","god_id":"g","god_instance":"h","grants":[{"esp_id":'
        b'"ESP_EA5484","epoch":7,"lease_s":30.0,"home":"k1","state":{"taken_ms":1,"outputs":[{"gpio":26,"value":1.0}]}}]}'
    )


def test_the_words_of_god_and_of_emergencies() -> None:
    assert command_chain_timeout() == "god/command_chain/timeout"
    assert alternative_route() == "god/cross_kaiser/alternative_route"
    assert esp_emergency("ESP_EA5484") == "kaiser/god/esp/ESP_EA5484/emergency"
    assert esp_of_emergency("kaiser/god/esp/ESP_EA5484/emergency") == "ESP_EA5484"
    assert esp_of_emergency("kaiser/god/esp/ESP_EA5484/actuator/emergency") is None
    assert esp_of_emergency("kaiser/god/esp/nobody/emergency") is None
    with pytest.raises(WireError):
        esp_emergency("+")
