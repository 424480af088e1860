"""All actuators together: claims, the gate and the machines of outputs, made one. Pure: no clock, no disk, no broker.

What an actuator does is decided anew whenever something that it depends on may have changed: a claim, a limit, a
partner, a stop, its device. Methods return what is to be done and told, in order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from growy.control.decisions import RULE_HOLDER, Decisions, Effects
from growy.control.ledger import Account, Left, day_on_s, dose_ml, on_for_s
from growy.control.output_state import (
    Held,
    Output,
    OutputEffect,
    Switched,
    Transmit,
)
from growy.control.switch_effects import Kept
from growy.model.control import (
    FULL,
    OFF,
    ActuatorKey,
    Claim,
    DeviceView,
    Interlock,
    Ledger,
    Refusal,
    Stop,
    Tenure,
)
from growy.model.events import ActuatorResponse, ActuatorStatus, IntentOutcome
from growy.model.setup import ActuatorSetup
from growy.model.time import Moment

LEAVING_S = 60.0
"""A removed actuator whose OFF is not answered is forgotten after that."""


class Switchboard(Decisions):
    """All actuators, as the shell meets them. Trio thread only."""

    def open(self, ledgers: Mapping[ActuatorKey, Ledger], stops: Sequence[Stop]) -> None:
        """What growy.db holds, before any device is met."""
        self._accounts.open(ledgers)
        self._stops = tuple(stops)

    # --- claims -------------------------------------------------------------------------------------------------------

    def hold(self, claim: Claim, moment: Moment) -> Effects:
        """Somebody wants something."""
        if self.claims.put(claim):
            self._dirty[claim.actuator] = None
        return self.settle(moment)

    def release(self, holder: str, actuator: ActuatorKey | None, moment: Moment) -> Effects:
        """A holder lets go of one actuator, or of all."""
        self._dirty |= dict.fromkeys(self.claims.drop(holder, actuator))
        return self.settle(moment)

    def release_all(self, prefix: str, moment: Moment) -> Effects:
        """All holders that begin so let go."""
        self._dirty |= dict.fromkeys(self.claims.drop_prefix(prefix))
        return self.settle(moment)

    # --- stops, interlocks --------------------------------------------------------------------------------------------

    def stopped(self, stops: Sequence[Stop], moment: Moment) -> Effects:
        """The emergency stops that are in force from now on."""
        before, self._stops = self._stops, tuple(stops)
        for key in self._accounts:
            if any(stop.covers(key) for stop in (*before, *self._stops)):
                self._dirty[key] = None
        return self.settle(moment)

    def interlock(self, interlock: Interlock, moment: Moment) -> Effects:
        self._dirty |= dict.fromkeys(self.interlocks.put(interlock))
        return self.settle(moment)

    def unlock(self, interlock_id: str, moment: Moment) -> Effects:
        self._dirty |= dict.fromkeys(self.interlocks.drop(interlock_id))
        return self.settle(moment)

    # --- devices ------------------------------------------------------------------------------------------------------

    def device(self, view: DeviceView, moment: Moment) -> Effects:
        """A device as it is now: of every known device at the start, and whenever one has changed."""
        out: Effects = []
        before = self._views.get(view.esp_id)
        self._views[view.esp_id] = view
        for setup in view.actuators:
            key = ActuatorKey(view.esp_id, setup.gpio)
            self._leaving.pop(key, None)
            if key not in self._accounts:
                self._outputs.add(
                    key, setup, *self._accounts.add(key, setup, view, moment, new=before is not None)
                )
            self._absorb(self._outputs.device(key, view, moment), moment, out)
            self._dirty[key] = None
        there = {setup.gpio for setup in view.actuators}
        for setup in () if before is None else before.actuators:
            if setup.gpio not in there:
                self._leave(ActuatorKey(view.esp_id, setup.gpio), view, moment, out)
        return out + self.settle(moment)

    def _leave(self, key: ActuatorKey, view: DeviceView, moment: Moment, out: Effects) -> None:
        """It is no longer set up: off, then forgotten."""
        for claim in self.claims.live(key):
            self.claims.drop(claim.holder, key)
        self._leaving[key] = moment.clock + LEAVING_S
        self._absorb(self._outputs.device(key, view, moment), moment, out)
        self._dirty[key] = None

    def prolong(self, esp_id: str, moment: Moment) -> Effects:
        """The device is about to change hands: whatever runs gets a fresh lease, so that it runs on meanwhile."""
        out = self.settle(moment)
        for key in self._of(esp_id):
            self._absorb(self._outputs.act(key, moment, renew=True), moment, out)
        return out + self.settle(moment)

    def quiet(self, esp_id: str) -> bool:
        """Whether no command to the device waits for its answer."""
        outputs = (self._outputs.get(key) for key in self._of(esp_id))
        return all(output is None or output.flight is None for output in outputs)

    def take_over(self, view: DeviceView, ledgers: Mapping[ActuatorKey, Ledger], moment: Moment) -> Effects:
        """The device is ours from now on. What another node knows of its accounts counts, and not what was seen here
        from afar.
        """
        out = self.gone(view.esp_id, moment)
        self._accounts.take_over(ledgers)
        out += self.device(view, moment)
        # On the disk before anything else: without an account the worst is assumed after a restart.
        return out + [Kept(key, account, urgent=True) for key, account in ledgers.items()]

    def foreign(self, esp_id: str) -> bool:
        """Whether the device was another node's when it was last looked at: what it did meanwhile is not known."""
        view = self._views.get(esp_id)
        return view is not None and view.tenure is Tenure.FOREIGN

    def ledger(self, key: ActuatorKey, moment: Moment) -> Ledger | None:
        """Its account, counted up to now; None: there is none."""
        return self._accounts.count(key, self._setup(key), moment) if key in self._accounts else None

    def _of(self, esp_id: str) -> list[ActuatorKey]:
        return [key for key in self._accounts if key.esp_id == esp_id]

    def gone(self, esp_id: str, moment: Moment) -> Effects:
        """The device was deleted."""
        out: Effects = []
        view = self._views.pop(esp_id, None)
        for setup in () if view is None else view.actuators:
            self._forget(ActuatorKey(esp_id, setup.gpio), out)
        return out

    def _forget(self, key: ActuatorKey, out: Effects) -> None:
        for claim in self.claims.live(key):
            self.claims.drop(claim.holder, key)
        self._outputs.forget(key)
        self._accounts.drop(key)
        self._told.forget(key)
        self._leaving.pop(key, None)
        self._due.pop(key, None)
        self._dirty.pop(key, None)
        self._dirty |= dict.fromkeys(one for one in self.interlocks.partners(key) if one in self._accounts)
        out.append(Kept(key, None, True))

    # --- what devices say ---------------------------------------------------------------------------------------------

    def response(self, key: ActuatorKey, answer: ActuatorResponse, moment: Moment) -> Effects:
        return self._heard(key, self._outputs.response(key, answer, moment), moment)

    def status(self, key: ActuatorKey, status: ActuatorStatus, moment: Moment) -> Effects:
        return self._heard(key, self._outputs.status(key, status, moment), moment)

    def outcome(self, esp_id: str, report: IntentOutcome, moment: Moment) -> Effects:
        """Of a command; which actuator it was for, its id says."""
        view = self._views.get(esp_id)
        out: Effects = []
        for setup in () if view is None else view.actuators:
            key = ActuatorKey(esp_id, setup.gpio)
            output = self._outputs.get(key)
            if output is not None and any(shot.command.id == report.intent_id for shot in output.shots):
                out += self._heard(key, self._outputs.outcome(key, report, moment), moment)
        return out

    def expired(self, key: ActuatorKey, command_id: str, moment: Moment) -> Effects:
        """The link gave a command up: it never left."""
        return self._heard(key, self._outputs.expired(key, command_id, moment), moment)

    def unlatched(self, esp_id: str, moment: Moment) -> Effects:
        """The device has confirmed that its emergency is over."""
        for key in self._accounts:
            if key.esp_id == esp_id:
                self._outputs.unlatched(key)
                self._dirty[key] = None
        return self.settle(moment)

    def _heard(self, key: ActuatorKey, effects: Iterable[OutputEffect], moment: Moment) -> Effects:
        out: Effects = []
        self._absorb(effects, moment, out)
        if key in self._accounts:
            self._dirty[key] = None
        return out + self.settle(moment)

    # --- time ---------------------------------------------------------------------------------------------------------

    def tick(self, moment: Moment) -> Effects:
        """What time alone does: claims and limits end, sensors go stale, answers are overdue."""
        out: Effects = []
        now = moment.clock
        self._dirty |= dict.fromkeys(self.claims.expire(now))
        for key in self.claims.claimed():
            if any(claim.basis and not self._basis_good(claim, now) for claim in self.claims.live(key)):
                self._dirty[key] = None
        for key in [one for one, due in self._due.items() if due <= now]:
            self._dirty[key] = None
        return out + self.settle(moment)

    def next_due(self) -> float:
        """The clock's time of the next `tick` that could do something."""
        return min(self.claims.next_end(), min(self._due.values(), default=math.inf))

    # --- deciding -----------------------------------------------------------------------------------------------------

    def settle(self, moment: Moment) -> Effects:
        """Decides anew about every actuator of which something may have changed."""
        out: Effects = []
        self._dirty |= dict.fromkeys(self.claims.expire(moment.clock))
        while self._dirty:
            key = next(iter(self._dirty))
            del self._dirty[key]
            output = self._outputs.get(key)
            if output is not None:
                self._turn(key, output, moment, out)
        return out

    def _turn(self, key: ActuatorKey, output: Output, moment: Moment, out: Effects) -> None:
        # What time has done comes first: a message may have come in the moment in which it was due.
        self._absorb(self._outputs.tick(key, moment), moment, out)
        want = self._decide(key, output, moment, out)
        self._outputs.want(output, want)
        if want.value == OFF and not want.keep:
            # What may not run without it goes off before it does.
            for other in self.interlocks.must_go_off_first(key):
                dependent = self._outputs.get(other)
                if dependent is not None and dependent.want.value > OFF:
                    self._turn(other, dependent, moment, out)
        self._absorb(self._outputs.act(key, moment), moment, out)
        self._told.satisfied(key, self.claims.winner(key), output, out)
        self._wake_partners(key, output, moment.clock)
        if key in self._leaving and self._may_go(output, key, moment):
            self._forget(key, out)
            return
        refusal = self._told.refusal(key)
        self._due[key] = min(
            self._outputs.due(key, moment.clock),
            output.want.runs_out,
            output.want.until,
            math.inf if refusal is None else refusal.again_at,
            self._leaving.get(key, math.inf),
        )

    def _wake_partners(self, key: ActuatorKey, output: Output, now: float) -> None:
        """If its interlocks may believe something else of it than before."""
        if not self.interlocks.of(key):
            return
        shown, output.shown = output.shown, output.seen(now)
        if (shown.may_be_on, shown.surely_on) != (output.shown.may_be_on, output.shown.surely_on):
            self._dirty |= dict.fromkeys(
                one for one in self.interlocks.partners(key) if one in self._accounts
            )

    def _may_go(self, output: Output, key: ActuatorKey, moment: Moment) -> bool:
        quiet = output.known == OFF and not output.uncertain(moment.clock)
        return quiet or not output.online or moment.clock >= self._leaving[key]

    # --- what follows -------------------------------------------------------------------------------------------------

    def _absorb(self, effects: Iterable[OutputEffect], moment: Moment, out: Effects) -> None:
        """Keeps the accounts, wakes the partners, hands on the rest."""
        for effect in effects:
            match effect:
                case Switched():
                    self._switched(effect, moment, out)
                case Transmit(command=command):
                    out.append(effect)
                    if command.value > OFF:
                        key = command.actuator
                        account = self._accounts.count(key, self._setup(key), moment)
                        out.append(Kept(key, account, urgent=False))
                case Held(actuator=key, refusal=refusal):
                    claim = self.claims.winner(key) or self._default(key)
                    if claim is not None:
                        self._told.refused(key, claim, refusal, out)
                case _:
                    out.append(effect)

    def _switched(self, effect: Switched, moment: Moment, out: Effects) -> None:
        key, output = effect.actuator, self._outputs.get(effect.actuator)
        account, turned = self._accounts.switched(effect, self._setup(key), moment)
        if turned and output is not None and output.want.holder.startswith(RULE_HOLDER):
            self._guard.switched(key, effect.on, moment.clock)
        out += [effect, Kept(key, account, urgent=True)]
        self._dirty |= dict.fromkeys(one for one in self.interlocks.partners(key) if one in self._accounts)

    # --- looking ------------------------------------------------------------------------------------------------------

    def actuators(self) -> list[ActuatorKey]:
        """All that are set up."""
        return sorted(key for key in self._accounts if key not in self._leaving)

    def output(self, key: ActuatorKey) -> Output | None:
        return self._outputs.get(key)

    def account(self, key: ActuatorKey, moment: Moment) -> Account:
        """Counted up to now."""
        return self._accounts.now(key, self._setup(key), moment)

    def left(self, key: ActuatorKey, value: float, moment: Moment) -> Left:
        """How long it may still run at that output."""
        return self._accounts.left(key, self._setup(key), value, moment)

    def spent(self, key: ActuatorKey, moment: Moment) -> dict[str, object]:
        """What of its limits is used up, for people: seconds and millilitres."""
        setup, day = self._setup(key), self._accounts.day_of(moment.wall_ms)
        account, output = self.account(key, moment), self._outputs.get(key)
        value = FULL if output is None or not output.want.value else output.want.value
        left = self._accounts.left(key, setup, value, moment)
        return {
            "run_s": round(on_for_s(account, moment), 1),
            "day_on_s": round(day_on_s(account, moment, day), 1),
            "day_dose_ml": round(dose_ml(account, setup, moment, day), 2),
            "may_run_s": round(left.seconds, 1),
            "limited_by": left.why,
        }

    def refusal(self, key: ActuatorKey) -> Refusal | None:
        """What the gate says to the highest claim."""
        return self._told.refusal(key)

    def setup(self, key: ActuatorKey) -> ActuatorSetup | None:
        return self._setup(key)
