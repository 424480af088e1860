"""What God has others do: told until it is answered, kept from the wish to the end, cancelled where it can be."""

from __future__ import annotations

import pytest
from tree_rig import (
    GOD_ID,
    ONLINE,
    at,
    god,
    of,
    said,
)

from growy.hierarchy.effects import (
    AlternativeRoute,
    ChainTimedOut,
    Persist,
    StopHere,
    Tell,
)
from growy.hierarchy.god import God
from growy.model.hierarchy import (
    ChainStatus,
    ChainType,
    CommandChain,
)
from growy.model.tree_errors import ChainEnded, ChainNotFound, NodeNotFound
from growy.model.tree_messages import (
    ChainCommand,
    ChainResponse,
    CrossFault,
    CrossResponse,
    Reroute,
)


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

    (answer,) = said(out, CrossResponse)
    assert (answer.success, answer.fault) == (False, CrossFault.NO_KAISER)


def test_an_end_that_is_not_the_other_kaisers_word_is_told_apart_from_a_refusal() -> None:
    def carried() -> God:
        one = god(nodes=ONLINE)
        one.heard("k1", Reroute(kaiser_id="k1", target="k2", command_id="x", command_type="t"), at(0.0))
        return one

    (late,) = said(carried().tick(at(61.0)), CrossResponse)
    assert (late.success, late.fault) == (False, CrossFault.NO_ANSWER)
    (cancelled,) = said(carried().cancel("k1/x", at(1.0)), CrossResponse)
    assert (cancelled.success, cancelled.fault) == (False, CrossFault.CANCELLED)
    no = ChainResponse(kaiser_id="k2", command_id="k1/x", success=False, message="no", data={"n": 1})
    (refused,) = said(carried().heard("k2", no, at(1.0)), CrossResponse)
    assert (refused.success, refused.fault) == (False, None)
    assert (refused.message, refused.data) == ("no", {"n": 1})
