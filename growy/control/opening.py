"""Opens control: what growy.db holds is put into the cores, rules catch up with the readings since, devices are met.

Nothing is published here. An emergency stop of before the restart is in force from the first moment.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import attrs
import msgspec
import numpy as np

from growy.broker.outbox import Lane
from growy.config import ControlConfig
from growy.config.webhooks import parse_webhooks
from growy.control.control import Control
from growy.control.days import LocalDays
from growy.control.emergencies import Emergencies
from growy.control.emergency import Emergency
from growy.control.handing_over import HandingOver
from growy.control.interlocking import Interlocking
from growy.control.journal import ControlJournal
from growy.control.lookup import Lookup
from growy.control.notices import Notices
from growy.control.output_state import Timing
from growy.control.past import needed, read_past
from growy.control.people import claim_of
from growy.control.performing import Ways
from growy.control.rules.book import RuleBook
from growy.control.rules.effects import Effect
from growy.control.rules.engine import RuleEngine
from growy.control.rules.simulation import Limits
from growy.control.rules.state import is_under_way
from growy.control.rules.walk import actuators_of, sensors_of
from growy.control.samples import Samples, trusted
from growy.control.stops.effects import OwedClear
from growy.control.switchboard import Switchboard
from growy.control.tenancy import Tenancy, in_force
from growy.control.trying import Trying
from growy.model.control import ActuatorKey
from growy.model.reading import Columns
from growy.model.setup import OfflineRule
from growy.model.time import Moment
from growy.ops.log import get_log
from growy.store.control import ControlBatch
from growy.store.rules import RuleState
from growy.store.store import Store

log = get_log(__name__)


async def open_control(
    config: ControlConfig,
    store: Store,
    ways: Ways,
    *,
    broadcast_token: str,
    push_offline: Callable[[str, Sequence[OfflineRule]], Awaitable[object]],
    beat: Callable[[], None] = lambda: None,
    quiet: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Control:
    """Control, ready to run.

    Args:
        broadcast_token: the emergency token that all devices share; "" for none.
        push_offline: sets what a device does by itself while its Pi is away.
        beat: called at every turn of its loop: it is alive.
        quiet: while it lasts no readings come (`Link.quiet`).

    Raises:
        StoreError: what safety is judged by cannot be read. growyd must not run without it.
    """
    started = ways.moment()
    # A Pi without a clock chip wakes up in the past: then nothing is known of the time since, and none is counted.
    states = await store.rule_states()
    newest = store.tail.recent(1)
    latest_ms = max([started.wall_ms, *newest.rx_ms.tolist(), *(one.as_of_ms for one in states)])
    began = Moment(started.clock, latest_ms)

    lookup = Lookup(store.catalog, ways.view, config.min_max_age)
    history: Callable[[int, int], Iterable[tuple[int, float]]] = partial(_history, store)
    samples = Samples()
    engine = RuleEngine(
        samples,
        series_of=lookup.series_of,
        max_age_of=lookup.max_age_s,
        place_of=lookup.place_of,
        output_of=lambda key: _output_of(switchboard, key),
        history=lambda series_id, since_ms: history(series_id, since_ms),
        last_execution=await store.last_execution_id(),
    )
    switchboard = Switchboard(
        Timing(lease_s=config.lease, answer_timeout_s=config.answer_timeout, adopt_s=config.adopt),
        max_runtime_s=config.max_runtime,
        max_switches=config.max_switches,
        basis_good=engine.basis_good,
        day_of=LocalDays(),
        prefix=f"c{secrets.token_hex(4)}",
    )
    owed = [msgspec.json.decode(text, type=OwedClear) for text in (await store.owed_clears()).values()]
    core = Emergency(
        [row.stop for row in await store.stops(open_only=True)],
        owed,
        prefix=f"e{secrets.token_hex(4)}",
        broadcast_token=broadcast_token,
    )
    switchboard.open(await store.ledgers(), core.stops)
    journal = ControlJournal(store, states=lambda: _states(engine))
    prefixes = parse_webhooks(config.webhooks)
    notices = Notices(
        tell=ways.tell, note=ways.note, prefixes=prefixes, wall_ms=lambda: ways.moment().wall_ms
    )
    emergencies = Emergencies(
        core,
        store,
        send=lambda topic, payload, timeout_s: ways.send(
            topic, payload, timeout_s=timeout_s, lane=Lane.EMERGENCY
        ),
        view=ways.view,
        moment=ways.moment,
        changed=lambda: control.stops_changed(),
        tell=ways.tell,
        note=ways.note,
        quiet=quiet,
    )
    interlocking = Interlocking(
        switchboard,
        store,
        moment=ways.moment,
        perform=lambda effects: control.perform(effects),
        changed=lambda esp_ids: handing_over.rules_changed(esp_ids),
    )
    interlocking.load(await store.interlocks(), await store.couplings())
    book = RuleBook(
        engine,
        lookup,
        store,
        views=ways.views,
        webhooks=prefixes,
        moment=ways.moment,
        carry_out=lambda effects: control.perform(effects),
        note=ways.note,
        couplings=interlocking.couplings,
        rules_changed=lambda esp_ids: handing_over.rules_changed(esp_ids),
        in_force=lambda rule: in_force(
            actuators_of(rule), (one.esp_id for one in sensors_of(rule)), ways.view
        ),
    )
    handing_over = HandingOver(
        rules=book.rules,
        view=ways.view,
        bound=lambda key: bool(switchboard.interlocks.of(key)),
        push=push_offline,
        told=book.offline.update,
        note=ways.note,
        wall_ms=lambda: ways.moment().wall_ms,
    )
    trying = Trying(
        book,
        engine,
        switchboard,
        lookup,
        store,
        views=ways.views,
        moment=ways.moment,
        limits=Limits(max_runtime_s=config.max_runtime, max_switches=config.max_switches, day_of=LocalDays()),
        perform=lambda effects: control.perform(effects),
    )
    tenancy = Tenancy(
        switchboard=switchboard,
        engine=engine,
        samples=samples,
        book=book,
        interlocking=interlocking,
        journal=journal,
        lookup=lookup,
        catalog=store.catalog,
        view=ways.view,
        moment=ways.moment,
        remember=lambda claims: control.remember_claims(claims),
        forget=lambda key: control.forget_claim(key),
        kept=lambda key: control.kept_claim(key),
        perform=lambda effects: control.perform(effects),
    )
    control = Control(
        ways,
        store,
        lookup,
        engine,
        switchboard,
        book,
        emergencies,
        interlocking,
        handing_over,
        trying,
        tenancy,
        journal,
        notices,
        beat,
    )
    await _end_what_was_cut_off(store, states)
    rows = await store.rules()
    saved_ms = max((one.as_of_ms for one in states), default=latest_ms)
    past = await read_past(store, needed(book.readable(rows), lookup.series_of), saved_ms)
    history = past.history
    engine.catching_up = True
    effects = book.load(rows, states, began)
    effects += _catch_up(engine, past.columns, began)
    engine.catching_up = False
    history = partial(_history, store)
    control.perform(effects)
    claims = [claim_of(row, began) for row in await store.claims()]
    control.remember_claims([claim for claim in claims if claim is not None])
    for view in ways.views():
        control.device_changed(view.esp_id)
    return control


def _catch_up(engine: RuleEngine, columns: Columns, began: Moment) -> list[Effect]:
    """Readings received since the rules were saved, in order; of what came before, the last of each series."""
    heard_ms = engine.heard_ms
    newest = np.zeros(len(columns), np.bool_)
    before = np.flatnonzero(columns.rx_ms <= heard_ms)
    _, last = np.unique(columns.series[before][::-1], return_index=True)
    newest[before[::-1][last]] = True
    columns = columns.take((columns.rx_ms > heard_ms) | newest)
    good = trusted(columns.quality) & ~np.isnan(columns.value)
    effects: list[Effect] = []
    for series_id, rx_ms, value, fine in zip(
        columns.series.tolist(),
        columns.rx_ms.tolist(),
        columns.value.tolist(),
        good.tolist(),
        strict=True,
    ):
        moment = Moment(began.clock_of(rx_ms), rx_ms)
        effects += engine.readings([series_id], [value if fine else None], moment)
    return effects


async def _end_what_was_cut_off(store: Store, states: Sequence[RuleState]) -> None:
    """Executions that were under way when growyd ended and that no rule goes on with: nobody hears how they went."""
    remembered = {one.rule_id: one.state for one in states}
    cut_off = [
        row
        for row in await store.unended_executions()
        if not is_under_way(remembered.get(row.rule_id, b""), row.id)
    ]
    if cut_off:
        ended = [
            attrs.evolve(row, success=False, error=row.error or "growyd ended before it was over")
            for row in cut_off
        ]
        await store.write_registry(control=ControlBatch(executions=ended))


def _states(engine: RuleEngine) -> list[RuleState]:
    taken = engine.take_changed()
    return [
        RuleState(rule_id=rule_id, state=state, as_of_ms=engine.heard_ms) for rule_id, state in taken.items()
    ]


def _history(store: Store, series_id: int, since_ms: int) -> Iterable[tuple[int, float]]:
    found = store.tail.window(series_id, since_ms)
    good = trusted(found.quality) & ~np.isnan(found.value)
    return zip(found.rx_ms[good].tolist(), found.value[good].tolist(), strict=True)


def _output_of(switchboard: Switchboard, key: ActuatorKey) -> float:
    output = switchboard.output(key)
    return math.nan if output is None or output.known is None else output.known
