"""The book of rules: what people wrote, checked before it is taken, durable before they are answered, then in force.

It never evaluates anything; the engine does. What the engine could not run is refused here, with every fault at once. A
rule of the store that cannot be read any more is kept as it is, shown with its fault, and not run.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs
import msgspec

from growy.control.lookup import Lookup, sensor_ref
from growy.control.rules import conflicts, forms
from growy.control.rules.conflicts import Coupling, Finding
from growy.control.rules.effects import Effect
from growy.control.rules.engine import RuleEngine, RuleSituation
from growy.control.rules.walk import actuators_of, sensors_of
from growy.model.audit import AuditEntry
from growy.model.control import DeviceView
from growy.model.errors import Invalid, RuleConflict, RuleInvalid, RuleNotFound
from growy.model.handover import MovedRule
from growy.model.rules import Rule, SensorRef
from growy.model.time import Moment
from growy.ops.log import get_log
from growy.store.control import ControlBatch
from growy.store.rules import RuleRow, RuleState, RuleTally
from growy.store.store import Store

log = get_log(__name__)

MAX_RULES = 10_000


@attrs.frozen(kw_only=True)
class RuleRecord:
    """A rule as people and programs are shown it."""

    rule: Rule
    situation: RuleSituation
    tally: RuleTally
    fault: str = ""
    """Why it cannot be run; "" for one that can."""
    degraded_since_ms: int | None = None
    """Since when it holds and cannot act."""
    degraded_reason: str = ""
    offline: bool = False
    """Its device runs it by itself while growyd is away."""
    notes: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Written:
    """A rule that was taken."""

    record: RuleRecord
    warnings: tuple[str, ...] = ()


@attrs.define(slots=True, eq=False)
class _Entry:
    rule: Rule
    tally: RuleTally = attrs.field(factory=RuleTally)
    fault: str = ""
    degraded_since_ms: int | None = None
    degraded_reason: str = ""


class RuleBook:
    """All rules. Trio thread only.

    Args:
        views: all devices, as control sees them.
        moment: now.
        carry_out: does what the engine wants.
        couplings: which sensors actuators move, as people declared.
        rules_changed: told of devices whose offline rules may have to change.
        in_force: whether a rule is this node's to run.
    """

    def __init__(
        self,
        engine: RuleEngine,
        lookup: Lookup,
        store: Store,
        *,
        views: Callable[[], Iterable[DeviceView]],
        webhooks: tuple[str, ...],
        moment: Callable[[], Moment],
        carry_out: Callable[[Sequence[Effect]], None],
        note: Callable[[AuditEntry], None],
        couplings: Callable[[], Sequence[Coupling]] = lambda: (),
        rules_changed: Callable[[set[str]], None] = lambda esp_ids: None,
        in_force: Callable[[Rule], bool] = lambda rule: True,
    ) -> None:
        self._in_force = in_force
        self._engine = engine
        self._lookup = lookup
        self._store = store
        self._views = views
        self._webhooks = webhooks
        self._moment = moment
        self._carry_out = carry_out
        self._note = note
        self._couplings = couplings
        self._rules_changed = rules_changed
        self._entries: dict[str, _Entry] = {}
        self.offline: dict[str, tuple[bool, tuple[str, ...]]] = {}
        """Rule -> whether its device runs it by itself, and what kept it from doing so."""

    # --- looking ------------------------------------------------------------------------------------------------------

    def rules(self) -> list[Rule]:
        """By priority, then name."""
        return sorted(
            (one.rule for one in self._entries.values()), key=lambda rule: (rule.priority, rule.name)
        )

    def records(self) -> list[RuleRecord]:
        """By priority, then name."""
        return [self.need(rule.id) for rule in self.rules()]

    def need(self, rule_id: str) -> RuleRecord:
        """Raises RuleNotFound."""
        entry = self._entry(rule_id)
        offline, notes = self.offline.get(rule_id, (False, ()))
        return RuleRecord(
            rule=entry.rule,
            situation=self._engine.why(rule_id, self._moment()),
            tally=entry.tally,
            fault=entry.fault,
            degraded_since_ms=entry.degraded_since_ms,
            degraded_reason=entry.degraded_reason,
            offline=offline,
            notes=notes,
        )

    def _entry(self, rule_id: str) -> _Entry:
        entry = self._entries.get(rule_id)
        if entry is None:
            raise RuleNotFound(
                f"There is no rule {rule_id[:64]!r}", cure="`growyd rules list` shows those there are"
            )
        return entry

    def get(self, rule_id: str) -> Rule | None:
        entry = self._entries.get(rule_id)
        return None if entry is None else entry.rule

    # --- at the start -------------------------------------------------------------------------------------------------

    def load(self, rows: Sequence[RuleRow], states: Sequence[RuleState], moment: Moment) -> list[Effect]:
        """Takes what the store holds and puts it into the engine, with what it remembered of each rule."""
        remembered = {one.rule_id: one.state for one in states}
        effects: list[Effect] = []
        for row in rows:
            document: Mapping[str, object] = json.loads(row.document)
            try:
                # A webhook that is not allowed any more is found when it is to be called; the rule heats all the same.
                rule = self._read(document, row.id, row.updated_ms, row.created_ms, webhooks=None)
            except RuleInvalid as fault:
                log.error("a rule cannot be run", rule=row.name, error=str(fault))
                rule = forms.unreadable(document, id=row.id, name=row.name, now_ms=row.updated_ms)
                self._entries[row.id] = _Entry(rule, row.tally, str(fault))
                continue
            self._entries[row.id] = _Entry(rule, row.tally)
            effects += self._engine.put(self._here(rule), moment, remembered.get(row.id))
        return effects

    def _here(self, rule: Rule) -> Rule:
        """As this node runs it: one that is another node's business rests."""
        if not rule.enabled or self._in_force(rule):
            return rule
        return attrs.evolve(rule, enabled=False)

    # --- rules of devices that change hands ---------------------------------------------------------------------------

    def tenure_changed(self, esp_id: str, states: Mapping[str, bytes] | None = None) -> None:
        """A device has become ours, or is no longer: its rules begin to run here, or rest.

        Args:
            states: by rule, what its former owner remembered of it.
        """
        moment = self._moment()
        for rule_id, entry in self._entries.items():
            named = {one.esp_id for one in actuators_of(entry.rule)} or {
                one.esp_id for one in sensors_of(entry.rule)
            }
            if esp_id in named and not entry.fault:
                saved = (states or {}).get(rule_id)
                self._carry_out(self._engine.put(self._here(entry.rule), moment, saved))

    def met(self, esp_id: str) -> None:
        """Series of a device are new here."""
        self._carry_out(self._engine.met(esp_id, self._moment()))

    async def adopt(self, moved: MovedRule, *, by: str) -> None:
        """A rule as it is written at another node. The later writing counts. Raises RuleInvalid, StoreError."""
        entry = self._entries.get(moved.id)
        if entry is not None and entry.rule.updated_ms >= moved.updated_ms:
            return
        document = json.loads(moved.document)
        rule = self._read(document, moved.id, moved.updated_ms, moved.created_ms, webhooks=None)
        namesake = next((one.rule for one in self._entries.values() if one.rule.name == rule.name), None)
        if namesake is not None and namesake.id != rule.id:
            name = f"{rule.name} ({moved.id[:8]})"
            rule = attrs.evolve(rule, name=name, document={**rule.document, "name": name})
        await self._take(rule, (), by, "came with its device")

    def readable(self, rows: Sequence[RuleRow]) -> list[Rule]:
        """Those of the store's rules that can be read; `load` takes them."""
        rules = []
        for row in rows:
            with contextlib.suppress(RuleInvalid):  # `load` says which
                document = json.loads(row.document)
                rules.append(self._read(document, row.id, row.updated_ms, row.created_ms, webhooks=None))
        return rules

    # --- writing ------------------------------------------------------------------------------------------------------

    async def add(self, document: Mapping[str, object], *, by: str) -> Written:
        """A new rule, in force when this returns.

        Raises:
            RuleInvalid: all faults are in its details. RuleConflict: it fights another for certain.
            Duplicate: the name is taken. StoreError: it is not on disk and not in force.
        """
        if len(self._entries) >= MAX_RULES:
            raise Invalid(f"There are {MAX_RULES} rules already", cure="Delete those that are not used")
        now_ms = self._moment().wall_ms
        rule, warnings = self._checked(document, str(uuid.uuid4()), now_ms, now_ms)
        return await self._take(rule, warnings, by, "was written")

    async def change(self, rule_id: str, patch: Mapping[str, object], *, by: str) -> Written:
        """Changes the fields that are given. What of it stays equal goes on undisturbed.

        Raises as `add`, and RuleNotFound.
        """
        entry = self._entry(rule_id)
        document = forms.changed(entry.rule, patch)
        rule, warnings = self._checked(document, rule_id, self._moment().wall_ms, entry.rule.created_ms)
        return await self._take(rule, warnings, by, "was changed")

    async def enable(
        self, rule_id: str, enabled: bool, *, by: str, reason: str = ""
    ) -> tuple[RuleRecord, bool]:
        """Switches a rule on or off; one that is off lets go of everything at once.

        Returns the rule, and whether it was enabled before. Raises as `change`.
        """
        before = self._entry(rule_id).rule.enabled
        if before is enabled:
            return self.need(rule_id), before
        written = await self.change(rule_id, {"enabled": enabled}, by=by if not reason else f"{by}: {reason}")
        return written.record, before

    async def remove(self, rule_id: str, *, by: str) -> RuleRecord:
        """Deletes a rule; it lets go of everything. Its history stays. Raises RuleNotFound, StoreError."""
        record = self.need(rule_id)
        await self._store.write_registry(
            control=ControlBatch(deleted_rules=[rule_id]), audit=[self._audit(record.rule, by, "was deleted")]
        )
        if self._entries.pop(rule_id, None) is not None:
            self._carry_out(self._engine.remove(rule_id, self._moment()))
            self._rules_changed({actuator.esp_id for actuator in actuators_of(record.rule)})
        return record

    async def _take(self, rule: Rule, warnings: tuple[str, ...], by: str, what: str) -> Written:
        row = RuleRow(
            id=rule.id,
            name=rule.name,
            document=msgspec.json.encode(rule.document).decode(),
            enabled=rule.enabled,
            priority=rule.priority,
            created_ms=rule.created_ms,
            updated_ms=rule.updated_ms,
        )
        await self._store.write_registry(
            control=ControlBatch(rules=[row]), audit=[self._audit(rule, by, what)]
        )
        before = self._entries.get(rule.id)
        touched = {actuator.esp_id for actuator in actuators_of(rule)}
        if before is not None:
            touched |= {actuator.esp_id for actuator in actuators_of(before.rule)}
        self._entries[rule.id] = _Entry(rule, RuleTally() if before is None else before.tally)
        self._carry_out(self._engine.put(self._here(rule), self._moment()))
        self._rules_changed(touched)
        return Written(record=self.need(rule.id), warnings=warnings)

    def _audit(self, rule: Rule, by: str, what: str) -> AuditEntry:
        return AuditEntry(
            ts_ms=self._moment().wall_ms,
            event_type="rule_changed",
            source_type="user",
            source_id=rule.id,
            status="success",
            message=f"Rule {rule.name!r} {what}",
            details={"by": by, "rule_name": rule.name, "enabled": rule.enabled},
        )

    # --- checking -----------------------------------------------------------------------------------------------------

    def read(self, document: Mapping[str, object]) -> Rule:
        """A rule that is not taken, only looked at. Raises RuleInvalid."""
        now_ms = self._moment().wall_ms
        return self._read(document, str(uuid.uuid4()), now_ms, now_ms, webhooks=self._webhooks)

    def _read(
        self,
        document: Mapping[str, object],
        id: str,
        now_ms: int,
        created_ms: int,
        *,
        webhooks: tuple[str, ...] | None,
    ) -> Rule:
        rule = forms.read_rule(document, id=id, now_ms=now_ms, resolve=self._sensor, webhooks=webhooks)
        return attrs.evolve(rule, created_ms=created_ms)

    def _sensor(self, sensor_id: str) -> SensorRef | None:
        return sensor_ref(self._views(), sensor_id)

    def _checked(
        self, document: Mapping[str, object], id: str, now_ms: int, created_ms: int
    ) -> tuple[Rule, tuple[str, ...]]:
        rule = self._read(document, id, now_ms, created_ms, webhooks=self._webhooks)
        warnings = [*self._sensor_warnings(rule), *self._actuator_warnings(rule)]
        if rule.enabled:
            others = [one.rule for one in self._entries.values() if one.rule.id != id and one.rule.enabled]
            findings = conflicts.find([*others, rule], self._couplings(), about=id)
            certain = next((one for one in findings if one.certain), None)
            if certain is not None:
                raise RuleConflict(certain.message, cure=certain.cure, details={"rules": list(certain.rules)})
            warnings += [_said(one) for one in findings]
        return rule, tuple(warnings)

    def _sensor_warnings(self, rule: Rule) -> list[str]:
        """Of sensors that are not there yet; raises RuleInvalid for one that could be several."""
        warnings, faults = [], []
        for ref in dict.fromkeys(sensors_of(rule)):
            found = self._lookup.series_of(ref)
            if found.ambiguous:
                faults.append(found.reason)
            elif found.series_id is None:
                warnings.append(found.reason)
        if faults:
            raise RuleInvalid("; ".join(faults), cure="Say which one is meant", details={"faults": faults})
        return warnings

    def _actuator_warnings(self, rule: Rule) -> list[str]:
        known = {(view.esp_id, setup.gpio) for view in self._views() for setup in view.actuators}
        return [
            f"No actuator is set up on gpio {actuator.gpio} of {actuator.esp_id} yet"
            for actuator in dict.fromkeys(actuators_of(rule))
            if actuator not in known
        ]

    # --- what became of them ------------------------------------------------------------------------------------------

    def executed(self, rule_id: str, at_ms: int) -> RuleTally | None:
        """A rule has begun an execution; its tally from now on."""
        entry = self._entries.get(rule_id)
        if entry is None:
            return None
        entry.tally = attrs.evolve(
            entry.tally, execution_count=entry.tally.execution_count + 1, last_triggered_ms=at_ms
        )
        return entry.tally

    def ended(self, rule_id: str, success: bool) -> RuleTally | None:
        """An execution has ended."""
        entry = self._entries.get(rule_id)
        if entry is None:
            return None
        entry.tally = attrs.evolve(entry.tally, last_success=success)
        return entry.tally

    def degrade(self, rule_id: str, reason: str, now_ms: int) -> bool:
        """It holds and cannot act; "" as reason: it can again. Returns whether that is news."""
        entry = self._entries.get(rule_id)
        if entry is None or entry.degraded_reason == reason:
            return False
        news = bool(entry.degraded_reason) is not bool(reason)
        entry.degraded_reason = reason
        if news:
            entry.degraded_since_ms = now_ms if reason else None
        return news


def _said(finding: Finding) -> str:
    return f"{finding.message}. {finding.cure}" if finding.cure else finding.message
