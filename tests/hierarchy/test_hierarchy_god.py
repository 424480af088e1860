"""God keeps its registry and its word: what is told is on the disk, who is refused is told why, who has forgotten waits."""

from __future__ import annotations

import msgspec
import pytest
from tree_rig import ESP, GOD_ID, OTHER, TERMS, WALL_MS, at, god, of, orders, said

from growy.hierarchy.effects import (
    AlternativeRoute,
    ChainTimedOut,
    Drop,
    Effects,
    Freeze,
    Note,
    Persist,
    Ship,
    StopHere,
    Survey,
    Take,
    Tell,
)
from growy.hierarchy.god import God
from growy.model.errors import ChainEnded, ChainNotFound, Duplicate, Invalid, NodeNotFound, TransferRefused
from growy.model.hierarchy import (
    GOD,
    ChainStatus,
    ChainType,
    CommandChain,
    HandedOver,
    HeldOutput,
    Node,
    NodeState,
    Ownership,
    TransferStep,
)
from growy.model.tree_messages import (
    Ask,
    ChainCommand,
    ChainResponse,
    CrossResponse,
    MessageId,
    NodeRefusal,
    Orders,
    Petition,
    Prepared,
    Released,
    Report,
    Reroute,
)

ONLINE = (
    Node(kaiser_id="k1", instance="i-k1", state=NodeState.ONLINE),
    Node(kaiser_id="k2", instance="i-k2", state=NodeState.ONLINE),
)
LAST_WORDS = HandedOver(taken_ms=1, outputs=(HeldOutput(gpio=26, value=1.0),))


def owned(owner: str = "k1", epoch: int = 7, esp_id: str = ESP) -> Ownership:
    return Ownership(esp_id=esp_id, owner=owner, epoch=epoch, lease_s=30.0, home=GOD)


def written(effects: Effects) -> list[tuple[str, int]]:
    """Owner and epoch of the records that go to the disk."""
    return [(record.owner, record.epoch) for one in of(effects, Persist) for record in one.records]


def reports(one: God, kaiser_id: str, number: int, clock: float, **what: object) -> Effects:
    given = {
        "kaiser_id": kaiser_id,
        "instance": f"i-{kaiser_id}",
        "god_id": GOD_ID,
        "god_instance": "god-1",
        "id": MessageId(1, number),
    }
    return one.heard(kaiser_id, msgspec.convert({**given, **what}, Report, from_attributes=True), at(clock))


# --- registry -----------------------------------------------------------------------------------------------------


def test_the_first_installation_that_answers_to_an_id_is_bound_and_another_is_refused_on_both_sides() -> None:
    one = god()
    out = reports(one, "k1", 1, 1.0)
    assert of(out, Persist)[0].nodes[0].instance == "i-k1"
    assert orders(out).refusal is None

    out = reports(one, "k1", 1, 2.0, instance="i-other")

    assert orders(out).refusal is NodeRefusal.DUPLICATE_KAISER
    assert orders(out).instance == "i-other"  # so that the first one does not take it for its own
    assert [note.event_type for note in of(out, Note)] == ["kaiser_refused"]
    assert next(node for node in one.nodes if node.kaiser_id == "k1").instance == "i-k1"


def test_an_installation_is_replaced_only_by_a_person() -> None:
    one = god(nodes=ONLINE)
    with pytest.raises(Duplicate):
        one.register("k1", "i-other")

    one.register("k1", "i-other", replace=True)

    assert orders(reports(one, "k1", 1, 1.0, instance="i-other")).refusal is None
    assert orders(reports(one, "k1", 9, 2.0)).refusal is NodeRefusal.DUPLICATE_KAISER


@pytest.mark.parametrize(
    ("said_", "refusal"),
    [
        ({"kaiser_id": "k9"}, NodeRefusal.UNKNOWN_KAISER),
        ({"god_id": "another"}, NodeRefusal.FOREIGN_GOD),
        ({"god_instance": "god-2"}, NodeRefusal.FOREIGN_GOD),
    ],
)
def test_who_does_not_belong_here_is_told_so(said_: dict[str, str], refusal: NodeRefusal) -> None:
    one = god(nodes=ONLINE, records=[owned()])
    kaiser_id = said_.get("kaiser_id", "k1")

    rest = {name: value for name, value in said_.items() if name != "kaiser_id"}
    out = reports(one, kaiser_id, 1, 1.0, asks=(Ask(esp_id=ESP, epoch=7),), **rest)

    assert orders(out).refusal is refusal
    assert orders(out).grants == ()


def test_nobody_reports_for_another() -> None:
    one = god(nodes=ONLINE)
    forged = Report(kaiser_id="k1", instance="i-k1", god_id=GOD_ID, id=MessageId(1, 1))

    assert one.heard("k2", forged, at(1.0)) == []


def test_impossible_nodes_are_refused() -> None:
    one = god()
    with pytest.raises(Invalid):
        one.add(Node(kaiser_id=GOD), at(0.0))
    with pytest.raises(Invalid):
        one.add(Node(kaiser_id="k1", stand_in="k1"), at(0.0))
    with pytest.raises(NodeNotFound):
        one.unregister("k9", at(0.0))


def test_to_change_a_node_does_not_change_who_it_is() -> None:
    one = god(nodes=ONLINE)

    out = one.add(Node(kaiser_id="k1", max_esps=20), at(1.0))

    node = of(out, Persist)[0].nodes[0]
    assert (node.max_esps, node.instance, node.state) == (20, "i-k1", NodeState.ONLINE)


def test_who_is_unregistered_gives_its_devices_back_and_is_gone() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    one.start(at(0.0))

    out = one.unregister("k1", at(1.0))
    assert [revoke.epoch for revoke in orders(out).revokes] == [7]
    out = reports(one, "k1", 1, 2.0, released=(Released(esp_id=ESP, epoch=7, state=LAST_WORDS),))

    assert of(out, Take) == [Take(esp_id=ESP, epoch=8, state=LAST_WORDS)]
    assert any(one.removed_nodes == ("k1",) for one in of(one.tick(at(3.0)), Persist))
    assert [node.kaiser_id for node in one.nodes] == ["k2"]
    assert orders(reports(one, "k1", 2, 4.0)).refusal is NodeRefusal.UNKNOWN_KAISER


# --- leases -------------------------------------------------------------------------------------------------------


def test_a_lease_is_the_answer_to_a_question_and_what_is_owned_is_offered() -> None:
    one = god(nodes=ONLINE, records=[owned(), owned(esp_id=OTHER, epoch=3)])

    answer = orders(reports(one, "k1", 1, 1.0, asks=(Ask(esp_id=ESP, epoch=7),)))

    assert [(one.esp_id, one.epoch, one.lease_s) for one in answer.grants] == [(ESP, 7, 30.0)]
    assert [(one.esp_id, one.epoch) for one in answer.offers] == [(OTHER, 3)]
    assert answer.reply_to == MessageId(1, 1)


def test_a_report_that_comes_late_or_twice_is_not_answered() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    reports(one, "k1", 5, 1.0)

    assert reports(one, "k1", 5, 1.1) == []
    assert reports(one, "k1", 4, 1.2, asks=(Ask(esp_id=ESP, epoch=7),)) == []


def test_a_new_device_belongs_to_its_home_if_that_has_room() -> None:
    one = god(nodes=[msgspec.structs.replace(ONLINE[0], max_esps=1), ONLINE[1]])

    out = reports(one, "k1", 1, 1.0, found=(ESP, OTHER))

    written = [record for persist in of(out, Persist) for record in persist.records]
    assert [(record.esp_id, record.owner, record.home) for record in written] == [
        (ESP, "k1", "k1"),
        (OTHER, GOD, "k1"),
    ]
    assert [(away.esp_id, away.owner) for away in orders(out).away] == [(OTHER, GOD)]


def test_everything_that_is_told_stands_on_the_disk_before() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    one.start(at(0.0))
    one.transfer("t", ESP, "k1", GOD, at(1.0))

    out = reports(one, "k1", 1, 2.0, released=(Released(esp_id=ESP, epoch=7),))

    (persist,) = [one for one in of(out, Persist) if one.records]
    assert written(out) == [(GOD, 8)]
    assert persist.chains[0].step is TransferStep.ADOPT  # together with it
    assert out.index(persist) < out.index(of(out, Take)[0])


def test_a_god_that_has_lost_its_clock_waits_out_what_it_may_have_leased() -> None:
    one = god(nodes=ONLINE, records=[owned()], boot=2, clock=1000.0)
    one.start(at(1000.0))
    one.transfer("t", ESP, "k1", GOD, at(1001.0))

    for clock in (1002.0, 1015.0, 1000.0 + TERMS.wait_s(30.0) - 0.1):
        assert not of(one.tick(at(clock)), Take)
    assert of(one.tick(at(1001.5 + TERMS.wait_s(30.0))), Take)


def test_a_god_from_an_old_copy_acts_on_nothing_until_every_forgotten_lease_is_over() -> None:
    one = god(nodes=ONLINE, records=[owned(GOD)], boot=WALL_MS, restored=True)
    out = one.start(at(0.0))
    assert not of(out, Take)
    assert of(out, Persist)[0].records[0].epoch >= WALL_MS
    assert one.stamp(ESP) is None

    answer = orders(reports(one, "k1", 1, 1.0, asks=(Ask(esp_id=ESP, epoch=9, held=True),)))
    assert [ended.epoch for ended in answer.ended] == [9]

    out = one.tick(at(TERMS.wait_s(30.0) + 0.1))
    assert of(out, Take)
    assert of(out, Persist)[-1].settled
    assert one.stamp(ESP) is not None


def test_a_kaiser_that_knows_a_newer_epoch_is_right_and_gets_its_lease_when_all_others_are_over() -> None:
    one = god(nodes=ONLINE, records=[owned(GOD, epoch=3)])
    one.start(at(0.0))

    out = reports(one, "k1", 1, 1.0, asks=(Ask(esp_id=ESP, epoch=9, held=True),))
    assert of(out, Drop) == [Drop(esp_id=ESP)]
    assert written(out) == [("k1", 9)]
    assert orders(out).grants == ()
    assert "ownership_conflict" in [note.event_type for note in of(out, Note)]
    assert one.stamp(ESP) is None

    late = TERMS.wait_s(30.0) + 7.0
    assert orders(reports(one, "k1", 2, late, asks=(Ask(esp_id=ESP, epoch=9),))).grants


# --- transfers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("esp_id", "from_owner", "to_owner", "reason"),
    [
        (ESP, GOD, "k2", "not_owner"),
        (ESP, "k1", "k1", "same_owner"),
        (ESP, "k1", "k3", "offline"),
        (ESP, "k1", "k4", "full"),
        (ESP, "k1", "k5", "leaving"),
        (OTHER, GOD, "k2", "under_way"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    esp_id: str, from_owner: str, to_owner: str, reason: str
) -> None:
    nodes = (
        *ONLINE,
        Node(kaiser_id="k3", state=NodeState.OFFLINE),
        Node(kaiser_id="k4", state=NodeState.ONLINE, max_esps=0),
        Node(kaiser_id="k5", state=NodeState.LEAVING),
    )
    one = god(nodes=nodes, records=[owned(), owned(GOD, esp_id=OTHER)])
    one.configured(OTHER, "v1")
    one.transfer("t-1", OTHER, GOD, "k1", at(0.0))
    before = one.records, one.chains

    with pytest.raises(TransferRefused) as caught:
        one.transfer("t-2", esp_id, from_owner, to_owner, at(1.0))

    assert caught.value.details["reason"] == reason
    assert (one.records, one.chains) == before


def test_the_new_owner_is_prepared_before_the_old_one_is_asked() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    one.start(at(0.0))
    one.configured(ESP, "v2")

    out = one.transfer("t", ESP, "k1", "k2", at(1.0))
    assert of(out, Ship) == [Ship(to="k2", esp_id=ESP)]
    assert not said(out, Orders)

    out = reports(one, "k2", 1, 2.0, prepared=(Prepared(esp_id=ESP, version="v1"),))
    assert one.chains[0].step is TransferStep.PREPARE
    out = reports(one, "k2", 2, 3.0, prepared=(Prepared(esp_id=ESP, version="v2"),))
    assert one.chains[0].step is TransferStep.REVOKE
    assert [(told.kaiser_id, told.revokes[0].epoch) for told in said(out, Orders) if told.revokes] == [
        ("k1", 7)
    ]


def test_who_does_not_get_ready_does_not_get_the_device() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    one.configured(ESP, "v2")
    one.transfer("t", ESP, "k1", "k2", at(1.0))

    out = one.tick(at(1.5 + TERMS.prepare_s))

    assert of(out, Persist)[-1].chains[0].status is ChainStatus.TIMEOUT
    assert one.record(ESP) == owned()


def test_god_lets_go_as_a_kaiser_does() -> None:
    one = god(nodes=ONLINE, records=[owned(GOD)])
    one.start(at(0.0))
    assert one.stamp(ESP) is not None

    out = one.transfer("t", ESP, GOD, "k2", at(1.0))
    assert of(out, Freeze)
    assert one.stamp(ESP) is None
    assert not of(out, Survey)  # passes of an earlier start may be about
    assert of(one.tick(at(5.1)), Survey) == [Survey(esp_id=ESP, epoch=7)]

    out = one.surveyed(ESP, 7, LAST_WORDS, at(5.2))
    assert written(out) == [("k2", 8)]
    grant = orders(reports(one, "k2", 1, 5.3, asks=(Ask(esp_id=ESP, epoch=8),))).grants[0]
    assert grant.state == LAST_WORDS


def test_last_words_are_not_told_to_a_later_start_of_the_new_owner() -> None:
    one = god(nodes=ONLINE, records=[owned(GOD)])
    one.start(at(0.0))
    one.transfer("t", ESP, GOD, "k2", at(6.0))
    one.surveyed(ESP, 7, LAST_WORDS, at(6.1))
    ask = (Ask(esp_id=ESP, epoch=8),)
    assert orders(reports(one, "k2", 1, 7.0, asks=ask)).grants[0].state == LAST_WORDS
    assert orders(reports(one, "k2", 2, 7.5, asks=ask)).grants[0].state == LAST_WORDS

    later = reports(one, "k2", 1, 8.0, id=MessageId(2, 1), asks=ask)

    assert orders(later).grants[0].state is None


def test_a_kaiser_gives_its_device_to_another_only_with_leave() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    one.start(at(0.0))
    wish = Petition(kaiser_id="k1", petition_id="p", esp_id=ESP, to_owner="k2")

    out = one.heard("k1", wish, at(1.0))
    (chain,) = one.chains
    assert (chain.status, chain.step) == (ChainStatus.PENDING, TransferStep.LEAVE)
    assert not said(out, Orders)
    assert one.heard("k1", wish, at(1.1)) == []  # heard twice

    one.approve(chain.command_id, at(2.0))
    assert one.chains[0].status is ChainStatus.RUNNING
    with pytest.raises(TransferRefused):
        one.approve(chain.command_id, at(3.0))


def test_leave_that_nobody_gives_runs_out() -> None:
    one = god(nodes=ONLINE, records=[owned()])
    one.heard("k1", Petition(kaiser_id="k1", petition_id="p", esp_id=ESP, to_owner="k2"), at(1.0))

    out = one.tick(at(2.0 + TERMS.leave_s))

    assert of(out, Persist)[-1].chains[0].status is ChainStatus.TIMEOUT


def test_standing_leave_needs_no_person_and_a_stranger_has_no_say() -> None:
    nodes = (msgspec.structs.replace(ONLINE[0], gives_to=("k2",)), ONLINE[1], Node(kaiser_id="k3"))
    one = god(nodes=nodes, records=[owned()])
    out = one.heard("k3", Petition(kaiser_id="k3", petition_id="p", esp_id=ESP, to_owner="k2"), at(1.0))
    assert one.chains == ()
    assert [note.event_type for note in of(out, Note)] == ["ownership_conflict"]

    one.heard("k2", Petition(kaiser_id="k2", petition_id="p", esp_id=ESP, to_owner="k2"), at(2.0))
    assert one.chains[0].status is ChainStatus.RUNNING


# --- chains -------------------------------------------------------------------------------------------------------


def test_a_command_is_told_until_it_is_answered_and_its_end_is_kept() -> None:
    one = god(nodes=ONLINE)
    out = one.command("c", "k1", ChainType.SYNC_CONFIG, {"version": 3}, at(0.0))
    assert [type(effect) for effect in out] == [Persist, Tell]
    assert said(one.tick(at(6.0)), ChainCommand)[0].command_id == "c"
    assert one.heard("k2", ChainResponse(kaiser_id="k2", command_id="c", success=True), at(6.5)) == []

    out = one.heard("k1", ChainResponse(kaiser_id="k1", command_id="c", success=True, data={"n": 1}), at(7.0))

    (chain,) = of(out, Persist)[0].chains
    assert (chain.status, chain.response_data, chain.completed_ms) == (
        ChainStatus.DONE,
        {"n": 1},
        at(7.0).wall_ms,
    )
    assert one.chains == ()


def test_what_is_not_answered_runs_out_and_is_announced() -> None:
    one = god(nodes=ONLINE)
    one.command("c", "k1", ChainType.SYNC_CONFIG, {}, at(0.0))

    out = one.tick(at(61.0))

    assert of(out, Persist)[-1].chains[0].status is ChainStatus.TIMEOUT
    assert of(out, ChainTimedOut) == [ChainTimedOut(command_id="c", command_type=ChainType.SYNC_CONFIG)]


def test_a_command_can_be_cancelled_once_and_the_kaiser_hears_of_it() -> None:
    one = god(nodes=ONLINE)
    one.command("c", "k1", ChainType.SYNC_CONFIG, {}, at(0.0))

    assert said(one.cancel("c", at(1.0)), ChainCommand)[0].cancelled
    with pytest.raises(ChainNotFound):
        one.cancel("c", at(2.0))


def test_chains_that_were_under_way_go_on_after_a_restart() -> None:
    live = CommandChain(
        command_id="c",
        god_id=GOD_ID,
        kaiser_id="k1",
        command_type=ChainType.SYNC_CONFIG,
        status=ChainStatus.RUNNING,
        timeout_s=60.0,
    )
    one = god(nodes=ONLINE, chains=[live], clock=500.0)
    one.start(at(500.0))

    assert said(one.tick(at(500.0)), ChainCommand)[0].command_id == "c"
    assert of(one.tick(at(561.0)), ChainTimedOut)


def test_a_stop_of_everything_is_kept_first_told_at_once_and_repeated_until_it_is_proven() -> None:
    one = god(nodes=ONLINE)

    out = one.emergency_stop("inc", None, at(0.0), reason="smoke", issued_by="ada")
    assert [type(effect) for effect in out] == [Persist, Tell, Tell, StopHere]
    assert all(effect.urgent for effect in of(out, Tell))
    assert len(of(out, Persist)[0].chains) == 2

    half = ChainResponse(kaiser_id="k1", command_id="inc:k1", data={"ESP_EA5484": "acknowledged"})
    one.heard("k1", half, at(1.0))
    one.heard("k2", ChainResponse(kaiser_id="k2", command_id="inc:k2", success=False), at(1.0))
    again = said(one.tick(at(1000.0)), ChainCommand)
    assert {command.command_id for command in again} == {"inc:k1", "inc:k2"}
    with pytest.raises(ChainEnded):
        one.cancel("inc:k1", at(1001.0))

    rest = ChainResponse(kaiser_id="k1", command_id="inc:k1", success=True, data={"ESP_EA5485": "off"})
    (chain,) = of(one.heard("k1", rest, at(1002.0)), Persist)[0].chains
    assert chain.response_data == {"ESP_EA5484": "acknowledged", "ESP_EA5485": "off"}


def test_one_nodes_stop_is_told_to_that_node_only() -> None:
    one = god(nodes=ONLINE)

    out = one.emergency_stop("inc", "k2", at(0.0), reason="", issued_by="ada")

    assert [effect.to for effect in of(out, Tell)] == ["k2"]
    assert not of(out, StopHere)
    with pytest.raises(NodeNotFound):
        one.emergency_stop("inc", "k9", at(0.0), reason="", issued_by="ada")


def test_what_did_not_get_through_directly_is_carried_by_god_and_answered_to_its_sender() -> None:
    one = god(nodes=ONLINE)
    wish = Reroute(kaiser_id="k1", target="k2", command_id="x", command_type="sync_data", data={"a": 1})

    out = one.heard("k1", wish, at(0.0))
    assert of(out, AlternativeRoute) == [AlternativeRoute(source="k1", target="k2", command_type="sync_data")]
    (told,) = said(out, ChainCommand)
    assert told.data == {"source_kaiser": "k1", "command_type": "sync_data", "data": {"a": 1}}
    assert one.heard("k1", wish, at(0.5)) == []

    out = one.heard("k2", ChainResponse(kaiser_id="k2", command_id=told.command_id, success=True), at(1.0))
    (answer,) = said(out, CrossResponse)
    assert (answer.command_id, answer.success) == ("x", True)


def test_a_kaiser_that_does_not_exist_is_not_sought() -> None:
    one = god(nodes=ONLINE)

    out = one.heard("k1", Reroute(kaiser_id="k1", target="k9", command_id="x", command_type="t"), at(0.0))

    assert not said(out, CrossResponse)[0].success
