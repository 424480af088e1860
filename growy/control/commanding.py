"""What people order of single actuators: checked by the gate, claimed, kept over a restart, and waited for."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence

import trio

from growy.control.journal import ControlJournal
from growy.control.notices import Notices
from growy.control.people import PERSON, CommandResult, Waiting, Wish, claim_row, refused, value_of
from growy.control.performing import Performing, Ways
from growy.control.rules.engine import RuleEngine
from growy.control.switchboard import Switchboard
from growy.model.control import OFF, ActuatorKey, Claim, CommandState, Rank
from growy.model.errors import ActuatorNotFound, EspNotFound, Invalid
from growy.model.setup import ActuatorSetup
from growy.model.time import Moment

LONGEST_DURATION_S = 86_400.0


class Commanding(Performing):
    """The half of control that people command. Trio thread only."""

    def __init__(
        self,
        ways: Ways,
        engine: RuleEngine,
        switchboard: Switchboard,
        journal: ControlJournal,
        notices: Notices,
    ) -> None:
        super().__init__(ways, engine, switchboard, journal, notices)
        self._wake = trio.Event()
        self._kept_claims: dict[ActuatorKey, Claim] = {}

    async def command(
        self,
        actuator: ActuatorKey,
        wish: Wish,
        *,
        value: float = 1.0,
        duration_s: float = 0.0,
        by: str,
        correlation_id: str | None = None,
        wait_s: float = 5.0,
    ) -> CommandResult:
        """What a person wants of an actuator. It goes before rules until its time is over or the person says AUTO.

        Args:
            value: of PWM, 0-1.
            by: who, as `Caller.by` names them.
            duration_s: 0: an ON ends with the longest run that its setup allows, an OFF holds until something else is
                said.
            wait_s: how long the device's answer is waited for.

        Raises:
            EspNotFound, ActuatorNotFound, Invalid.
            SafetyRefused, DeviceOffline, DeviceNotApproved, DeviceNotReady: the gate says no; nothing was done.
        """
        setup = self._need(actuator)
        moment = self._ways.moment()
        correlation_id = correlation_id or f"p-{uuid.uuid4().hex[:16]}"
        if wish is Wish.AUTO:
            return self._let_go(actuator, correlation_id, moment)
        output = self._switchboard.output(actuator)
        wanted = value_of(wish, value, setup, None if output is None else output.known)
        if not 0.0 <= wanted <= 1.0:
            raise Invalid(f"An output of {wanted:g} is not from 0 to 1")
        if not 0.0 <= duration_s <= LONGEST_DURATION_S:
            raise Invalid(f"A duration of {duration_s:g} s is not from 0 to {LONGEST_DURATION_S:g}")
        refusal = self._switchboard.ask(actuator, wanted, moment)
        if refusal is not None:
            self._refusals[refusal.code.value] += 1
            raise refused(actuator, refusal, moment)
        ends_s = duration_s or math.inf
        if wanted > OFF:
            ends_s = min(ends_s, self._switchboard.left(actuator, wanted, moment).seconds)
        claim = Claim(
            actuator=actuator,
            holder=PERSON,
            rank=Rank.PERSON,
            value=wanted,
            since=moment.clock,
            until=moment.clock + ends_s,
            issued_by=by,
            execution=correlation_id,
        )
        self._kept_claims[actuator] = claim
        self._journal.claim(claim_row(claim, moment))
        return await self._wait(claim, wait_s)

    async def _wait(self, claim: Claim, wait_s: float) -> CommandResult:
        waiting = self._waiting[claim.execution] = Waiting()
        try:
            self.perform(self._switchboard.hold(claim, self._ways.moment()))
            self._wake.set()
            if not self._reachable(claim.actuator):
                waiting.message = "The device is not there; it is told when it is back"
            else:
                with trio.move_on_after(wait_s):
                    await waiting.ended.wait()
        finally:
            del self._waiting[claim.execution]
        output = self._switchboard.output(claim.actuator)
        sent = output is not None and output.last is not None and output.last.execution == claim.execution
        state = waiting.state
        if state is CommandState.QUEUED and sent:
            state = CommandState.SENT
        return CommandResult(
            correlation_id=claim.execution,
            state=state,
            acknowledged=state is CommandState.ACKNOWLEDGED,
            output=0.0 if output is None else output.want.value,
            message=waiting.message or ("" if waiting.ended.is_set() else "The device has not answered yet"),
            claim=claim,
            command=waiting.command or (output.last if output is not None and sent else None),
        )

    def _let_go(self, actuator: ActuatorKey, correlation_id: str, moment: Moment) -> CommandResult:
        self.perform(self._switchboard.release(PERSON, actuator, moment))
        if self._kept_claims.pop(actuator, None) is not None:
            self._journal.forget_claim(actuator, PERSON)
        self._wake.set()
        output = self._switchboard.output(actuator)
        claim = self._switchboard.claims.winner(actuator)
        return CommandResult(
            correlation_id=correlation_id,
            state=CommandState.ACKNOWLEDGED,
            acknowledged=True,
            output=0.0 if output is None else output.want.value,
            message="Rules and schedules have it again",
            claim=claim,
        )

    def remember_claims(self, claims: Sequence[Claim]) -> None:
        """Claims of people from before the restart."""
        for claim in claims:
            self._kept_claims[claim.actuator] = claim
            self.perform(self._switchboard.hold(claim, self._ways.moment()))

    def kept_claim(self, actuator: ActuatorKey) -> Claim | None:
        """What a person wants of it, as it is on the disk or about to be."""
        return self._kept_claims.get(actuator)

    def forget_claim(self, actuator: ActuatorKey) -> None:
        """What a person wants of it is over: it is no longer ours."""
        if self._kept_claims.pop(actuator, None) is not None:
            self._journal.forget_claim(actuator, PERSON)
        self.perform(self._switchboard.release(PERSON, actuator, self._ways.moment()))

    def _forget_ended_claims(self) -> None:
        if not self._kept_claims:
            return
        now = self._ways.moment().clock
        for actuator in [key for key, claim in self._kept_claims.items() if claim.until <= now]:
            del self._kept_claims[actuator]
            self._journal.forget_claim(actuator, PERSON)

    def _reachable(self, actuator: ActuatorKey) -> bool:
        view = self._ways.view(actuator.esp_id)
        return view is not None and view.online

    def _need(self, actuator: ActuatorKey) -> ActuatorSetup:
        view = self._ways.view(actuator.esp_id)
        if view is None:
            raise EspNotFound(
                f"No device {actuator.esp_id[:64]!r} is known", cure="`growyd devices` lists those that are"
            )
        setup = view.actuator(actuator.gpio)
        if setup is None:
            raise ActuatorNotFound(
                f"{actuator.esp_id} has no actuator on gpio {actuator.gpio}",
                cure="`growyd actuators` lists them",
            )
        return setup
