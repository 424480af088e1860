"""Carries out what the cores of control want: commands to the link, words to those who watch, rows to the disk.

What one core says may be news for the other: the end of a command for a sequence, a claim of a rule for the
switchboard. So everything goes through one queue, first in, first out, and is done before anything else happens.
Nothing here waits.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import attrs

from growy.broker.outbox import Lane
from growy.control import reporting
from growy.control.escalation import Escalation
from growy.control.journal import ControlJournal
from growy.control.notices import Notices
from growy.control.output_state import Ended, Reported, Switched, Transmit
from growy.control.people import PERSON, Waiting
from growy.control.rules.book import RuleBook
from growy.control.rules.effects import Effect as RuleEffect
from growy.control.rules.effects import Execution, Happened, Hold, Post, Release, ReleaseAll, Result
from growy.control.rules.engine import RuleEngine
from growy.control.switch_effects import Contested, Kept, Oscillates, Refused, Satisfied, SwitchEffect
from growy.control.switchboard import Switchboard
from growy.model.audit import AuditEntry
from growy.model.control import OFF, ActuatorKey, Command, CommandState, DeviceView, RefusalCode
from growy.model.errors import GrowyError
from growy.model.time import Moment
from growy.ops.log import get_log
from growy.store.actuators import HistoryKind, HistoryRow
from growy.wire import actuation, topics

log = get_log(__name__)

CANNOT_ACT = frozenset(
    {
        RefusalCode.DEVICE_OFFLINE,
        RefusalCode.DEVICE_NOT_APPROVED,
        RefusalCode.ACTUATOR_NOT_CONFIGURED,
        RefusalCode.ACTUATOR_DISABLED,
        RefusalCode.GPIO_CONFLICT,
    }
)
"""Refusals that mean that a rule has no hands: somebody has to know. The others are what the gate is for."""


class Outlet(Protocol):
    """`Link.send`."""

    def __call__(
        self, topic: str, payload: bytes, *, timeout_s: float = 10.0, lane: Lane = Lane.NORMAL
    ) -> bool: ...


class Tell(Protocol):
    """`LiveHub.publish_event`."""

    def __call__(
        self, type: str, data: Mapping[str, object], correlation_id: str | None = None, /
    ) -> None: ...


@attrs.frozen(kw_only=True)
class Ways:
    """The ways out of control."""

    send: Outlet
    tell: Tell
    note: Callable[[AuditEntry], None]
    view: Callable[[str], DeviceView | None]
    """A device as the fleet knows it now."""
    views: Callable[[], Iterable[DeviceView]]
    moment: Callable[[], Moment]


class Performing:
    """The half of control that does things. Trio thread only."""

    book: RuleBook

    def __init__(
        self,
        ways: Ways,
        engine: RuleEngine,
        switchboard: Switchboard,
        journal: ControlJournal,
        notices: Notices,
    ) -> None:
        self._ways = ways
        self._engine = engine
        self._switchboard = switchboard
        self._journal = journal
        self._notices = notices
        self._escalation = Escalation()
        self._queue: deque[SwitchEffect | RuleEffect] = deque()
        self._busy = False
        self._waiting: dict[str, Waiting] = {}
        """People who wait, by correlation id."""
        self._running_since: dict[ActuatorKey, float] = {}
        self._commands: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self._renewals = self._unsent = self._contests = self._oscillations = self._faults = 0

    def perform(self, effects: Iterable[SwitchEffect | RuleEffect]) -> None:
        """Does what is wanted, and what follows from it."""
        self._queue.extend(effects)
        if self._busy:
            return  # whoever is at it comes to it
        self._busy = True
        try:
            while self._queue:
                self._one(self._queue.popleft())
        finally:
            self._busy = False
        if self._engine.urgent:
            self._journal.states_changed()

    def _one(self, effect: SwitchEffect | RuleEffect) -> None:
        match effect:
            case Transmit():
                self._transmit(effect)
            case Hold(claim):
                self.perform(self._switchboard.hold(claim, self._ways.moment()))
            case Release(holder, actuator):
                self._rests(holder)
                self.perform(self._switchboard.release(holder, actuator, self._ways.moment()))
            case ReleaseAll(prefix):
                self._rests(prefix)
                self.perform(self._switchboard.release_all(prefix, self._ways.moment()))
            case Ended(command):
                self._ended(command)
            case Kept(actuator, ledger, urgent):
                self._journal.ledger(actuator, ledger, urgent=urgent)
            case Reported():
                self._reported(effect)
            case Satisfied() | Refused() | Contested() | Oscillates():
                self._judged(effect)
            case Execution():
                self._executed(effect)
            case Happened(event, data, correlation_id):
                self._ways.tell(event, data, correlation_id or None)
            case Post():
                self._notices.take(effect)
            case Switched():
                pass  # the account is kept already

    # --- commands -----------------------------------------------------------------------------------------------------

    def _transmit(self, effect: Transmit) -> None:
        command, moment = effect.command, self._ways.moment()
        view = self._ways.view(command.actuator.esp_id)
        if view is None or not self._sent(effect, view, moment):
            self._unsent += 1
            self.perform(self._switchboard.expired(command.actuator, command.id, moment))
            return
        if command.renewal:
            self._renewals += 1
            return
        self._ways.tell(
            "actuator_command", reporting.command_event(command, moment.wall_ms), command.execution or None
        )

    def _sent(self, effect: Transmit, view: DeviceView, moment: Moment) -> bool:
        command = effect.command
        try:
            topic = topics.actuator_command(view.kaiser_id, *command.actuator)
            payload = actuation.actuator_command(command)
        except GrowyError as error:
            # Nothing that was decided here can be wrong on the wire; if it is, it must stop nobody else.
            self._faults += 1
            log.error("a command cannot be put into a message", command=command.id, error=str(error))
            return False
        timeout_s = max(0.1, effect.expires_at - moment.clock)
        if self._ways.send(topic, payload, timeout_s=timeout_s):
            return True
        # So much waits that there is no room. An OFF does not need any.
        return effect.urgent and self._ways.send(topic, payload, timeout_s=timeout_s, lane=Lane.EMERGENCY)

    def _ended(self, command: Command) -> None:
        moment = self._ways.moment()
        self._commands[command.state.value] += 1
        done = command.state is CommandState.ACKNOWLEDGED
        if not command.renewal or not done:
            self._journal.history(reporting.command_row(command, moment.wall_ms))
            self._ways.note(reporting.command_entry(command, moment.wall_ms))
        if not done:
            event = reporting.command_event(command, moment.wall_ms)
            self._ways.tell("actuator_command_failed", event, command.execution or None)
        waiting = self._waiting.get(command.execution)
        # Of a PWM the value is not the end: its lease is yet to come. What satisfies is told by the switchboard.
        if waiting is not None and command.holder == PERSON:
            waiting.command = command
            if not done:
                waiting.end(command.state, command.message, command)
        self.perform(self._engine.command_ended(command, moment))

    def _reported(self, effect: Reported) -> None:
        moment = self._ways.moment()
        on, was_on = effect.value > OFF, (effect.before or OFF) > OFF
        duration_s: float | None = None
        if on and not was_on:
            self._running_since[effect.actuator] = moment.clock
        elif not on and was_on:
            since = self._running_since.pop(effect.actuator, None)
            duration_s = None if since is None else round(moment.clock - since, 3)
        elif effect.before is None and not on:
            return  # off, as everything is at the beginning
        self._journal.history(
            HistoryRow(
                ts_ms=moment.wall_ms,
                actuator=effect.actuator,
                kind=HistoryKind.SWITCH,
                command="ON" if on else "OFF",
                value=effect.value,
                duration_s=duration_s,
                state="reported",
                issued_by=effect.source,
            )
        )

    # --- what the gate and the claims say -----------------------------------------------------------------------------

    def _judged(self, effect: Satisfied | Refused | Contested | Oscillates) -> None:
        moment = self._ways.moment()
        match effect:
            case Satisfied(claim):
                waiting = self._waiting.get(claim.execution)
                if waiting is not None and claim.holder == PERSON:
                    waiting.end(CommandState.ACKNOWLEDGED)
                self._can_act(reporting.rule_of(claim), "", moment)
                self.perform(
                    self._engine.answered(claim.holder, claim.execution, Result.ACKNOWLEDGED.value, moment)
                )
            case Refused(claim, refusal):
                self._refusals[refusal.code.value] += 1
                self._journal.history(reporting.refusal_row(effect, moment.wall_ms))
                self._ways.note(reporting.refusal_entry(effect, moment.wall_ms))
                event = reporting.refusal_event(effect, moment.wall_ms)
                self._ways.tell("actuator_command_failed", event, claim.execution or None)
                waiting = self._waiting.get(claim.execution)
                if waiting is not None and claim.holder == PERSON:
                    waiting.end(CommandState.REJECTED, refusal.message)
                if refusal.code in CANNOT_ACT:
                    self._can_act(reporting.rule_of(claim), refusal.message, moment)
                result = f"{Result.REFUSED.value}:{refusal.code.value}"
                self.perform(self._engine.answered(claim.holder, claim.execution, result, moment))
            case Contested(winner, loser):
                self._contests += 1
                event = reporting.arbitration_event(effect, moment.wall_ms)
                self._ways.tell("conflict.arbitration", event, loser.execution or None)
                waiting = self._waiting.get(loser.execution)
                if waiting is not None and loser.holder == PERSON:
                    waiting.end(CommandState.REJECTED, f"{winner.issued_by} goes before it")
                self.perform(
                    self._engine.answered(loser.holder, loser.execution, Result.SUPERSEDED.value, moment)
                )
            case Oscillates(actuator):
                self._oscillations += effect.until is not None
                entry = reporting.oscillation_entry(effect, moment)
                self._ways.note(entry)
                data = {
                    "esp_id": actuator.esp_id,
                    "gpio": actuator.gpio,
                    "message": entry.message,
                    "severity": entry.severity.value,
                    "timestamp": moment.wall_ms // 1000,
                }
                self._ways.tell("system_event", data, None)

    def _rests(self, holder: str) -> None:
        """A rule lets go of something: if it could not act, that does not matter any more."""
        rule_id = reporting.rule_named(holder)
        if rule_id is not None:
            self._can_act(rule_id, "", self._ways.moment(), "has nothing to do any more")

    def _can_act(
        self, rule_id: str | None, why_not: str, moment: Moment, text: str = "can act again"
    ) -> None:
        """A rule that holds and has no hands is told of once, and once more when it has them again."""
        rule = None if rule_id is None else self.book.get(rule_id)
        if rule is None or not self.book.degrade(rule.id, why_not, moment.wall_ms):
            return
        event, data, entry = reporting.degraded(rule, why_not, text, moment.wall_ms)
        self._ways.tell(event, data, None)
        self._ways.note(entry)
        escalation = self._escalation
        self.perform(escalation.begin(rule, why_not, moment) if why_not else escalation.end(rule.id))

    def _executed(self, effect: Execution) -> None:
        self._journal.execution(reporting.execution_row(effect))
        if effect.ended_ms is None:
            tally = self.book.executed(effect.rule_id, effect.begun_ms)
        else:
            tally = self.book.ended(effect.rule_id, bool(effect.success))
        if tally is not None:
            self._journal.tally(effect.rule_id, tally)

    def _next_due(self) -> float:
        return min(self._engine.next_due(), self._switchboard.next_due(), self._escalation.next_due())
