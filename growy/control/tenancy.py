"""Devices that change hands between nodes: what control takes along, what it leaves as it is, and what it takes up.

A hand-over that succeeds switches nothing: the old owner renews what runs and keeps its hands off, says what runs and
what its rules know, and forgets; the new one puts all of it in its place before its own rules have a word. Whose a
device is, is the hierarchy's business: it says so by the `tenure` of the device's view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec
import trio

from growy.control.interlocking import Interlocking
from growy.control.journal import ControlJournal
from growy.control.lookup import Lookup
from growy.control.people import PERSON, claim_of, claim_row
from growy.control.rules.book import RuleBook
from growy.control.rules.engine import RuleEngine
from growy.control.rules.walk import actuators_of, sensors_of
from growy.control.samples import Samples
from growy.control.switch_effects import SwitchEffect
from growy.control.switchboard import Switchboard
from growy.model.control import ActuatorKey, Claim, DeviceView, Interlock, Ledger, Tenure
from growy.model.errors import Duplicate, Invalid
from growy.model.handover import (
    DeviceDocuments,
    HandedOver,
    HeldOutput,
    LastValue,
    MovedRule,
    RuleMemory,
)
from growy.model.reading import Bus, SeriesKey
from growy.model.time import Moment
from growy.store.actuators import ClaimRow
from growy.store.catalog import Catalog

QUIET_S = 8.0
"""A command that is not answered by then is not waited for any longer: the device says itself what it does."""
BY = "hierarchy"


class Tenancy:
    """Trio thread only.

    Args:
        view: a device as control sees it, with its tenure.
        remember: takes claims of people as after a restart. forget: of one actuator. kept: that of one actuator.
        perform: does what the switchboard wants.
    """

    def __init__(
        self,
        *,
        switchboard: Switchboard,
        engine: RuleEngine,
        samples: Samples,
        book: RuleBook,
        interlocking: Interlocking,
        journal: ControlJournal,
        lookup: Lookup,
        catalog: Catalog,
        view: Callable[[str], DeviceView | None],
        moment: Callable[[], Moment],
        remember: Callable[[list[Claim]], None],
        forget: Callable[[ActuatorKey], None],
        kept: Callable[[ActuatorKey], Claim | None],
        perform: Callable[[Iterable[SwitchEffect]], None],
    ) -> None:
        self._switchboard = switchboard
        self._engine = engine
        self._samples = samples
        self._book = book
        self._interlocking = interlocking
        self._journal = journal
        self._lookup = lookup
        self._catalog = catalog
        self._view = view
        self._moment = moment
        self._remember = remember
        self._forget = forget
        self._kept = kept
        self._perform = perform

    # --- letting go ---------------------------------------------------------------------------------------------------

    def freeze(self, esp_id: str) -> None:
        """The device is about to be let go of. To be called before its view says so: what runs gets a fresh lease."""
        self._perform(self._switchboard.prolong(esp_id, self._moment()))

    async def survey(self, esp_id: str) -> HandedOver | None:
        """What it does, once nothing is under way to it any more. None: the device is not known."""
        with trio.move_on_after(QUIET_S):
            while not self._switchboard.quiet(esp_id):  # noqa: ASYNC110 - answers are many events, and this is rare
                await trio.sleep(0.02)
        view, moment = self._view(esp_id), self._moment()
        if view is None:
            return None
        rules = [rule.id for rule in self._book.rules() if _moves(actuators_of(rule), esp_id)]
        states = [(rule_id, self._engine.memory_of(rule_id)) for rule_id in rules]
        return HandedOver(
            taken_ms=moment.wall_ms,
            outputs=tuple(self._held(ActuatorKey(esp_id, one.gpio), moment) for one in view.actuators),
            rules=tuple(RuleMemory(rule_id=id, state=state) for id, state in states if state is not None),
            values=tuple(self._values(esp_id, rules, moment)),
        )

    def _held(self, key: ActuatorKey, moment: Moment) -> HeldOutput:
        output = self._switchboard.output(key)
        claim = next((one for one in self._switchboard.claims.live(key) if one.holder == PERSON), None)
        return HeldOutput(
            gpio=key.gpio,
            value=None if output is None else output.known,
            ledger=self._switchboard.account(key, moment).ledger,
            person=b"" if claim is None else claim_row(claim, moment).claim.encode(),
        )

    def _values(self, esp_id: str, rule_ids: list[str], moment: Moment) -> Iterable[LastValue]:
        """Of the device's own series, and of those that its rules look at."""
        wanted = {series.id for series in self._catalog.find(esp_id=esp_id)}
        for rule_id in rule_ids:
            rule = self._book.get(rule_id)
            for ref in () if rule is None else sensors_of(rule):
                found = self._lookup.series_of(ref).series_id
                if found is not None:
                    wanted.add(found)
        for number in sorted(wanted):
            sample, series = self._samples.of(number), self._catalog.get(number)
            if not sample.failed:
                yield LastValue(
                    esp_id=series.key.esp_id,
                    bus=str(series.key.bus),
                    address=series.key.address,
                    value_type=series.key.value_type,
                    gpio=series.gpio,
                    unit=series.unit,
                    value=sample.value,
                    age_s=moment.clock - sample.at,
                )

    def dropped(self, esp_id: str) -> None:
        """It is no longer ours, or only OFF may pass: rules and people hold nothing on it any more. To be called when
        its view says so.
        """
        self._book.tenure_changed(esp_id)
        view = self._view(esp_id)
        for setup in () if view is None else view.actuators:
            self._forget(ActuatorKey(esp_id, setup.gpio))

    # --- taking up ----------------------------------------------------------------------------------------------------

    def take(self, esp_id: str, state: HandedOver | None) -> None:
        """It is ours. To be called when its view says so.

        Args:
            state: what its former owner left; None: nobody knows, the device is asked and what runs goes on only if
                somebody here wants it.
        """
        moment, view = self._moment(), self._view(esp_id)
        if view is None:
            return
        keys = [ActuatorKey(esp_id, setup.gpio) for setup in view.actuators]
        if state is None:
            kept = [claim for key in keys if (claim := self._kept(key)) is not None]
            if self._switchboard.foreign(esp_id):
                # What was known of it is of the time before: it counts as after a restart.
                own = {key: account for key in keys if (account := self._switchboard.ledger(key, moment))}
                self._perform(self._switchboard.take_over(view, own, moment))
                self._remember(kept)
            # The rules' claims are there before it is decided what nobody wants.
            self._book.tenure_changed(esp_id)
            self._perform(self._switchboard.device(view, moment))
            return
        late_s = max(0.0, (moment.wall_ms - state.taken_ms) / 1000)
        self._learn(state, late_s, moment)
        for key in keys:
            self._forget(key)  # of a time when it was ours before
        ledgers: dict[ActuatorKey, Ledger] = {
            ActuatorKey(esp_id, one.gpio): one.ledger for one in state.outputs if one.ledger is not None
        }
        self._perform(self._switchboard.take_over(view, ledgers, moment))
        rows = [
            ClaimRow(actuator=ActuatorKey(esp_id, one.gpio), holder=PERSON, claim=one.person.decode())
            for one in state.outputs
            if one.person
        ]
        claims = [claim for row in rows if (claim := claim_of(row, moment)) is not None]
        for claim in claims:
            self._journal.claim(claim_row(claim, moment))
        self._remember(claims)
        self._book.tenure_changed(esp_id, {one.rule_id: one.state for one in state.rules})

    def _learn(self, state: HandedOver, late_s: float, moment: Moment) -> None:
        """Values that are newer than what was heard here."""
        for one in state.values:
            try:
                key = SeriesKey(one.esp_id, Bus(one.bus), one.address, one.value_type)
            except ValueError:
                continue
            number = self._catalog.intern(key, one.gpio, one.unit, moment.wall_ms)
            at = moment.clock - one.age_s - late_s
            if at > self._samples.of(number).at:
                self._samples.put(number, one.value, at)
            for esp_id in self._lookup.met({number}):
                self._book.met(esp_id)

    # --- papers -------------------------------------------------------------------------------------------------------

    def rules_of(self, esp_id: str) -> tuple[MovedRule, ...]:
        """The rules that switch something on the device, as people wrote them."""
        return tuple(
            MovedRule(
                id=rule.id,
                document=msgspec.json.encode(rule.document).decode(),
                created_ms=rule.created_ms,
                updated_ms=rule.updated_ms,
            )
            for rule in self._book.rules()
            if _moves(actuators_of(rule), esp_id)
        )

    def interlocks_of(self, esp_id: str) -> tuple[str, ...]:
        return tuple(
            msgspec.json.encode(one).decode()
            for one in self._interlocking.interlocks()
            if esp_id in (one.a.esp_id, one.b.esp_id)
        )

    async def prepare(self, documents: DeviceDocuments) -> None:
        """Rules and interlocks of a device that may become ours are on the disk when this returns.

        Raises:
            StoreError, RuleInvalid, Invalid: they are not.
        """
        try:
            locks = [msgspec.json.decode(text, type=Interlock) for text in documents.interlocks]
        except msgspec.MsgspecError as error:
            raise Invalid(f"An interlock of {documents.esp_id} cannot be read: {error}") from error
        named = {one.id for one in locks}
        for lock in self._interlocking.interlocks():
            if lock.id not in named and lock.a.esp_id == lock.b.esp_id == documents.esp_id:
                await self._interlocking.remove_interlock(lock.id, by=BY)
        known = {lock.id for lock in self._interlocking.interlocks()}
        for lock in locks:
            if lock.id not in known:
                with suppress(Duplicate):  # somebody has said the same here
                    await self._interlocking.put_interlock(lock, by=BY)
        for rule in documents.rules:
            await self._book.adopt(rule, by=BY)
        left = {one.id for one in documents.rules}
        for one in self._book.rules():
            moved = set(actuators_of(one))
            # Deleted by the owner. One that switches something elsewhere too is not this device's alone to delete.
            if one.id not in left and moved and all(key.esp_id == documents.esp_id for key in moved):
                await self._book.remove(one.id, by=BY)


def _moves(actuators: Iterable[ActuatorKey], esp_id: str) -> bool:
    return any(one.esp_id == esp_id for one in actuators)


def in_force(
    actuators: Iterable[ActuatorKey], devices: Iterable[str], view: Callable[[str], DeviceView | None]
) -> bool:
    """Whether a rule is this node's to run: where what it switches is, or else where what it looks at is, at least in
    part. What nobody knows is nobody else's.
    """
    places = list({one.esp_id for one in actuators}) or list(set(devices))
    tenures = [None if (found := view(esp_id)) is None else found.tenure for esp_id in places]
    return not tenures or any(one in (None, Tenure.OURS, Tenure.FROZEN) for one in tenures)
