"""Rules of the book and rules that are only written down are tried and replayed in the house as it is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import attrs
import numpy as np
import pytest
import trio
from replay_rig import DAY_MS, FROM_MS

from growy.config import StoreConfig
from growy.control.ledger import Day
from growy.control.lookup import Lookup
from growy.control.output_state import Timing
from growy.control.rules.book import RuleBook
from growy.control.rules.effects import Effect
from growy.control.rules.engine import RuleEngine
from growy.control.rules.simulation import Limits
from growy.control.samples import Samples
from growy.control.switchboard import Switchboard
from growy.control.trying import Trying
from growy.model.control import ActuatorKey, DeviceView
from growy.model.errors import Invalid, RuleInvalid, RuleNotFound
from growy.model.reading import Bus, Columns, SeriesKey
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.model.time import Moment
from growy.store.rules import RuleRow
from growy.store.store import Store, open_store

ESP, HEATER = "ESP_00AA01", ActuatorKey("ESP_00AA01", 18)
COLD = {"type": "sensor", "esp_id": ESP, "gpio": 4, "operator": "<", "value": 18}
HEAT = {"name": "Heat", "conditions": [COLD], "actions": [{"type": "actuator", "esp_id": ESP, "gpio": 18}]}
VIEW = DeviceView(
    esp_id=ESP,
    kaiser_id="god",
    approved=True,
    online=True,
    ready=True,
    applied=frozenset({18}),
    actuators=(ActuatorSetup(id="h", gpio=18, kind=ActuatorKind.RELAY, name="Heater"),),
)
NOW_MS = FROM_MS + 3_600_000


def day_of(wall_ms: int) -> Day:
    return Day(f"{wall_ms // DAY_MS:06d}", (wall_ms // DAY_MS + 1) * DAY_MS)


@attrs.define
class House:
    """Everything that trials and replays look at, and what they carry out."""

    store: Store
    engine: RuleEngine
    board: Switchboard
    book: RuleBook
    trying: Trying
    done: list[object] = attrs.field(factory=list)


def moment() -> Moment:
    return Moment(1000.0, NOW_MS)


def house_over(store: Store, asked: object) -> House:
    lookup = Lookup(store.catalog, lambda esp_id: VIEW if esp_id == ESP else None, 60.0)
    engine = RuleEngine(Samples(), series_of=lookup.series_of, max_age_of=lookup.max_age_s)
    board = Switchboard(
        Timing(),
        max_runtime_s=3600.0,
        max_switches=20,
        basis_good=engine.basis_good,
        day_of=day_of,
        prefix="t",
    )
    # An actuator that a known device did not have before has never been on.
    for view in (attrs.evolve(VIEW, actuators=()), VIEW):
        board.device(view, moment())

    def carry_out(effects: Collection[Effect]) -> None:
        house.done.extend(effects)

    book = RuleBook(
        engine,
        lookup,
        store,
        views=lambda: [VIEW],
        webhooks=(),
        moment=moment,
        carry_out=carry_out,
        note=lambda entry: None,
    )
    trying = Trying(
        book,
        engine,
        board,
        lookup,
        asked,  # type: ignore[arg-type]
        views=lambda: [VIEW],
        moment=moment,
        limits=Limits(max_runtime_s=3600.0, max_switches=20, day_of=day_of),
        perform=carry_out,
    )
    house = House(store, engine, board, book, trying)
    row = RuleRow(id="r1", name="Heat", document=json.dumps(HEAT))
    book.load([row], [], moment())
    return house


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(StoreConfig(), tmp_path / "growy") as one:
        series_id = one.catalog.intern(SeriesKey(ESP, Bus.GPIO, "4", "ds18b20"), 4, "", 0)
        at = FROM_MS + np.arange(0, 3_600_000, 30_000)
        zeros = np.zeros(len(at), np.int64)
        await one.commit(
            Columns.of(zeros + series_id, at, at, zeros + 17.0, zeros + 17.0, zeros + 1, zeros, zeros, zeros)
        )
        yield one


class Watched:
    """The store, and whether two replays ask it at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.inside = self.most = 0

    async def received(self, series_ids: Collection[int], start_ms: int, end_ms: int) -> Columns:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await trio.sleep(0.001)
        try:
            return await self._store.received(series_ids, start_ms, end_ms)
        finally:
            self.inside -= 1


async def test_a_trial_that_is_not_dry_claims_through_the_gate_for_a_while(store: Store):
    house = house_over(store, store)
    mocks = {f"{ESP}:4": 15.0}
    assert house.trying.trial("r1", mocks=mocks, by="user:anna").would_trigger
    assert house.done == []
    assert house.board.claims.winner(HEATER) is None

    tried = house.trying.trial("r1", mocks=mocks, dry_run=False, by="user:anna")
    assert (tried.dry_run, tried.actions[0].details) == (False, "switch ESP_00AA01:18 ON: on, at 1")
    claim = house.board.claims.winner(HEATER)
    assert claim is not None
    assert (claim.holder, claim.issued_by, claim.until) == ("trial:r1/0", "user:anna", 1010.0)
    house.board.tick(Moment(1010.0, NOW_MS + 10_000))
    assert house.board.claims.winner(HEATER) is None


async def test_a_rule_that_is_only_written_down_can_be_tried(store: Store):
    trying = house_over(store, store).trying
    assert trying.trial_of(HEAT, mocks={f"{ESP}:4": 15.0}).would_trigger
    assert not trying.trial_of(HEAT, mocks={}).would_trigger
    with pytest.raises(RuleInvalid):
        trying.trial_of({**HEAT, "conditions": []}, mocks={})
    with pytest.raises(RuleNotFound):
        trying.trial("none", mocks={}, by="user:anna")


async def test_all_that_are_enabled_are_replayed_or_those_that_are_named_or_written_down(store: Store):
    trying = house_over(store, store).trying
    span = {"from_ms": FROM_MS, "to_ms": NOW_MS}
    every = await trying.replay(**span)
    named = await trying.replay(rule_ids=["r1", "r1"], **span)
    written = await trying.replay(documents=[HEAT], **span)
    both = await trying.replay(rule_ids=["r1"], documents=[{**HEAT, "name": "Other"}], **span)

    assert [[one.rule_id for one in report.rules] for report in (every, named, written, both)] == [
        ["r1"], ["r1"], [""], ["r1", ""],
    ]  # fmt: skip
    assert every.rules[0].held_s == pytest.approx(3600.0)


async def test_the_future_is_not_replayed(store: Store):
    trying = house_over(store, store).trying
    report = await trying.replay(from_ms=FROM_MS, to_ms=NOW_MS + DAY_MS)
    assert report.to_ms == NOW_MS
    with pytest.raises(Invalid):
        await trying.replay(from_ms=NOW_MS, to_ms=NOW_MS + DAY_MS)


async def test_replays_do_not_run_at_once(store: Store):
    watched = Watched(store)
    trying = house_over(store, watched).trying
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(lambda: trying.replay(from_ms=FROM_MS, to_ms=NOW_MS))
    assert watched.most == 1
