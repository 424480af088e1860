"""What an actuator is to do: the highest claim that has a basis, past the gate. Pure.

There is one way to an output and one gate on it; nothing is ever switched past them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import attrs

from growy.control import safety
from growy.control.accounts import Accounts
from growy.control.claims import Claims
from growy.control.interlocks import CERTAINLY_OFF, Interlocks, Known
from growy.control.ledger import Day
from growy.control.output_state import (
    NOT_WANTED,
    Output,
    Timing,
    Want,
    normal,
)
from growy.control.outputs import Outputs
from growy.control.rules.guard import Guard
from growy.control.safety import Facts, Request
from growy.control.switch_effects import SwitchEffect
from growy.control.told import Told
from growy.model.control import (
    FULL,
    OFF,
    ActuatorKey,
    Claim,
    DeviceView,
    Rank,
    Refusal,
    RefusalCode,
    Stop,
    Tenure,
)
from growy.model.setup import ActuatorSetup
from growy.model.time import Moment

DEFAULT_HOLDER = "default"
RULE_HOLDER = "rule:"
_HANDS_OFF = (Tenure.FROZEN, Tenure.FOREIGN)

Effects: TypeAlias = list[SwitchEffect]


class Decisions:
    """Of all actuators. Trio thread only.

    Args:
        max_runtime_s: limit of a run where an actuator's setup has none.
        basis_good: whether what a claim rests on has fresh, good values.
        day_of: the Pi's local day at a Unix ms.
        prefix: of command ids, another in each process.
    """

    def __init__(
        self,
        timing: Timing,
        *,
        max_runtime_s: float,
        max_switches: int,
        basis_good: Callable[[Claim, float], bool],
        day_of: Callable[[int], Day],
        prefix: str,
    ) -> None:
        self._basis_good = basis_good
        self.claims = Claims()
        self.interlocks = Interlocks()
        self._outputs = Outputs(timing, self._permit, prefix)
        self._guard = Guard(max_switches)
        self._stops: tuple[Stop, ...] = ()
        self._views: dict[str, DeviceView] = {}
        self._accounts = Accounts(timing, max_runtime_s, day_of)
        self._told = Told()
        self._leaving: dict[ActuatorKey, float] = {}
        self._due: dict[ActuatorKey, float] = {}
        self._dirty: dict[ActuatorKey, None] = {}

    def ask(self, actuator: ActuatorKey, value: float, moment: Moment) -> Refusal | None:
        """What the gate would say to a person who wants that now."""
        return safety.check(Request(actuator, value), self._facts(actuator, moment))

    def _decide(self, key: ActuatorKey, output: Output, moment: Moment, out: Effects) -> Want:
        now = moment.clock
        if self._hands_off(key):
            self._told.allowed(key)
            return Want(keep=True)
        claim = self._highest(key, now)
        self._told.contested(key, claim, self.claims.live(key), out)
        if claim is None:
            claim = self._default(key)
        if claim is None:
            self._told.allowed(key)
            return Want(keep=True) if self._may_be_kept(key, output, moment) else NOT_WANTED
        if claim.rank is not Rank.DEFAULT:
            # Somebody has spoken: when that is over, it goes off and does not wait for anybody else to speak.
            output.grace_until = -math.inf
        value = normal(output.kind, claim.value)
        want = Want(
            value=value,
            until=claim.until,
            holder=claim.holder,
            issued_by=claim.issued_by,
            execution=claim.execution,
            at_once=claim.rank is Rank.PERSON,
        )
        if value == OFF:
            self._told.allowed(key)
            return want
        request = Request(key, value, not claim.basis or self._basis_good(claim, now))
        refusal = safety.check(request, self._facts(key, moment)) or self._oscillating(
            key, claim, output, moment, out
        )
        if refusal is not None:
            self._told.refused(key, claim, refusal, out)
            return attrs.evolve(want, value=OFF)
        self._told.allowed(key)
        left = self._accounts.left(key, self._setup(key), value, moment)
        return Want(
            value=value,
            until=want.until,
            runs_out=now + left.seconds,
            holder=want.holder,
            issued_by=want.issued_by,
            execution=want.execution,
            at_once=want.at_once,
        )

    def _hands_off(self, key: ActuatorKey) -> bool:
        """Whether it is not ours to switch. An emergency stop is everybody's."""
        view = self._views.get(key.esp_id)
        return view is not None and view.tenure in _HANDS_OFF and not self._is_stopped(key)

    def _may_be_kept(self, key: ActuatorKey, output: Output, moment: Moment) -> bool:
        """Whether what nobody claims yet is left as it is for now. One that runs must also be allowed to."""
        if key in self._leaving or not output.in_grace(moment.clock) or self._is_stopped(key):
            return False
        running = output.running()
        return running == OFF or self._permit(key, running, moment) is None

    def _highest(self, key: ActuatorKey, now: float) -> Claim | None:
        """The highest claim whose basis is good. One whose sensor is gone has ended."""
        while (claim := self.claims.winner(key)) is not None:
            if not claim.basis or self._basis_good(claim, now):
                return claim
            self.claims.drop(claim.holder, key)
        return None

    def _default(self, key: ActuatorKey) -> Claim | None:
        setup = self._setup(key)
        if setup is None or not (setup.default_state and setup.enabled) or key in self._leaving:
            return None
        return Claim(
            actuator=key, holder=DEFAULT_HOLDER, rank=Rank.DEFAULT, value=FULL, issued_by=DEFAULT_HOLDER
        )

    def _is_stopped(self, key: ActuatorKey) -> bool:
        return any(stop.covers(key) for stop in self._stops)

    def _oscillating(
        self, key: ActuatorKey, claim: Claim, output: Output, moment: Moment, out: Effects
    ) -> Refusal | None:
        """Whether rules have switched it to and fro too often. What runs is not stopped by that, only another start."""
        if not claim.holder.startswith(RULE_HOLDER) or output.highest(moment.clock) > OFF:
            return None
        until = self._guard.held(key, moment.clock)
        self._told.oscillates(key, until, out)
        if until is None:
            return None
        return Refusal(
            code=RefusalCode.COOLDOWN,
            message=f"Rules have switched {key} on and off too often; it is held off until it calms down",
            cure="Widen the rule's band, or lengthen its cool-down",
            again_at=until,
        )

    def _facts(self, key: ActuatorKey, moment: Moment) -> Facts:
        output = self._outputs.get(key)
        return Facts(
            moment=moment,
            day=self._accounts.day_of(moment.wall_ms),
            account=self._accounts.now(key, self._setup(key), moment),
            max_runtime_s=self._accounts.max_runtime_s,
            device=self._views.get(key.esp_id),
            stops=self._stops,
            latched=output is not None and output.latched,
            off_since=None if output is None else output.resting_since(moment.clock),
            bonds=self.interlocks.bonds(key, lambda partner: self._known(partner, moment.clock)),
        )

    def _permit(self, key: ActuatorKey, value: float, moment: Moment) -> Refusal | None:
        """The gate, asked once more for each command at the moment at which it goes out."""
        claim = self.claims.winner(key)
        basis_good = claim is None or not claim.basis or self._basis_good(claim, moment.clock)
        return safety.check(Request(key, value, basis_good), self._facts(key, moment))

    def _known(self, key: ActuatorKey, now: float) -> Known:
        output = self._outputs.get(key)
        return CERTAINLY_OFF if output is None else output.seen(now)

    def _setup(self, key: ActuatorKey) -> ActuatorSetup | None:
        view = self._views.get(key.esp_id)
        return None if view is None else view.actuator(key.gpio)
