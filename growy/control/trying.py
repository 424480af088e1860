"""Tries rules and replays them, those of the book and those that are only written down. Nothing is switched, but by a
trial that somebody asked to be real.

`rules.trial` and `rules.replay` do it; here they are given the house as it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs
import trio

from growy.control.lookup import Lookup
from growy.control.rules.book import RuleBook
from growy.control.rules.engine import RuleEngine
from growy.control.rules.mocking import time_of
from growy.control.rules.replay import ReplayReport, replay
from growy.control.rules.simulation import Limits, Surroundings
from growy.control.rules.trial import Gate, Trial, carried_out, trial
from growy.control.switch_effects import SwitchEffect
from growy.control.switchboard import Switchboard
from growy.model.control import DeviceView
from growy.model.rules import Rule
from growy.model.time import Moment
from growy.store.store import Store


class Trying:
    """Trio thread only.

    Args:
        views: all devices, as control sees them.
        limits: what the gate is told beside the setups of actuators.
        perform: does what the switchboard wants.
    """

    def __init__(
        self,
        book: RuleBook,
        engine: RuleEngine,
        switchboard: Switchboard,
        lookup: Lookup,
        store: Store,
        *,
        views: Callable[[], Iterable[DeviceView]],
        moment: Callable[[], Moment],
        limits: Limits,
        perform: Callable[[Iterable[SwitchEffect]], None],
    ) -> None:
        self._book = book
        self._engine = engine
        self._switchboard = switchboard
        self._lookup = lookup
        self._store = store
        self._views = views
        self._moment = moment
        self._limits = limits
        self._perform = perform
        # Each takes its slices of the thread: many at once would hold up everything else.
        self._replaying = trio.Lock()

    def trial(
        self,
        rule_id: str,
        *,
        mocks: Mapping[str, float],
        at: str | None = None,
        dry_run: bool = True,
        by: str,
    ) -> Trial:
        """Whether a rule of the book would act, with what it remembers.

        Args:
            mocks: made-up values, by `ESP:GPIO` or `ESP:GPIO/type`; the other sensors have their newest ones.
            at: what time it shall be, `HH:MM` or ISO 8601; None: now.
            dry_run: False: what it would switch is switched, as far as the safety gate lets it.

        Raises:
            RuleNotFound.
            Invalid: a name is that of no sensor of the rule, or the time is none.
        """
        record = self._book.need(rule_id)
        tried = self._tried(record.rule, self._engine.memory_of(rule_id), mocks, at)
        if dry_run:
            return tried
        moment = self._moment()
        execution = f"t-{uuid.uuid4().hex[:16]}"
        for claim in carried_out(tried, record.rule, by=by, execution=execution, moment=moment):
            self._perform(self._switchboard.hold(claim, moment))
        return attrs.evolve(tried, dry_run=False)

    def trial_of(
        self, document: Mapping[str, object], *, mocks: Mapping[str, float], at: str | None = None
    ) -> Trial:
        """The same of a rule that is only written down: it remembers nothing, never acts. Raises RuleInvalid, too."""
        return self._tried(self._book.read(document), None, mocks, at)

    def _tried(self, rule: Rule, memory: bytes | None, mocks: Mapping[str, float], at: str | None) -> Trial:
        moment = self._moment()
        return trial(
            rule,
            memory,
            self._engine.surroundings,
            Gate(
                ask=lambda actuator, value: self._switchboard.ask(actuator, value, moment),
                winner=self._switchboard.claims.winner,
            ),
            mocks=mocks,
            moment=moment,
            at_ms=None if at is None else time_of(at, rule, moment.wall_ms),
        )

    async def replay(
        self,
        *,
        rule_ids: Sequence[str] | None = None,
        documents: Sequence[Mapping[str, object]] = (),
        from_ms: int,
        to_ms: int,
    ) -> ReplayReport:
        """What rules would have done with the readings of [from_ms, to_ms), Unix ms; up to now at most. One at a time.

        Args:
            rule_ids: rules of the book, enabled or not; None: all that are enabled, unless there are `documents`.
            documents: rules that are only written down.

        Raises:
            RuleNotFound, RuleInvalid.
            Invalid: the end is not after the beginning, or it is more than a year.
            StoreError: the disk cannot be read.
        """
        if rule_ids is None:
            kept = [] if documents else [rule for rule in self._book.rules() if rule.enabled]
        else:
            kept = [self._book.need(rule_id).rule for rule_id in dict.fromkeys(rule_ids)]
        written = [self._book.read(document) for document in documents]
        async with self._replaying:
            return await replay(
                [attrs.evolve(rule, enabled=True) for rule in (*kept, *written)],
                self._store,
                Surroundings(
                    series_of=self._lookup.series_of,
                    max_age_of=self._lookup.max_age_s,
                    place_of=self._lookup.place_of,
                    views=tuple(self._views()),
                    interlocks=self._switchboard.interlocks.all(),
                    limits=self._limits,
                ),
                from_ms=from_ms,
                to_ms=min(to_ms, self._moment().wall_ms),
                stored=frozenset(rule.id for rule in kept),
            )
