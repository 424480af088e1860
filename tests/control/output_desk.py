"""One output on the desk: told what is wanted, answered as a device would, and looked at."""

from __future__ import annotations

import math
from typing import TypeVar

import attrs
import msgspec

from growy.control.output_state import (
    Ended,
    Held,
    Output,
    OutputEffect,
    Reported,
    Switched,
    Timing,
    Transmit,
    Want,
)
from growy.control.outputs import Outputs
from growy.model.control import ActuatorKey, Command, DeviceView, Refusal, RefusalCode
from growy.model.events import ActuatorResponse, ActuatorStatus, IntentOutcome
from growy.model.messages import Generation
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.model.time import Moment

ESP = "ESP_00000A"
KEY = ActuatorKey(ESP, 16)
TIMING = Timing(lease_s=90.0, answer_timeout_s=8.0, adopt_s=30.0)
LATE_S = TIMING.late_s
T = TypeVar("T")


class Desk:
    """Everything happens at `now`; what was done stands in `done`, and is taken away by looking."""

    def __init__(
        self, kind: ActuatorKind = ActuatorKind.RELAY, *, quiet: bool = True, **setup: object
    ) -> None:
        self.now = 1000.0
        self.refusal: Refusal | None = None
        self.asked: list[float] = []
        self.outputs = Outputs(TIMING, self._permit, "t")
        made = ActuatorSetup(id="x", gpio=16, kind=kind, name="X")
        self.setup = msgspec.structs.replace(made, **setup)
        self.view = DeviceView(
            esp_id=ESP,
            kaiser_id="god",
            approved=True,
            online=True,
            ready=True,
            boots=1,
            generation=Generation.APR_2026,
            actuators=(self.setup,),
            applied=frozenset({16}),
        )
        self.done: list[OutputEffect] = []
        self.seq = 0
        self.met()
        if quiet:  # in service: off, its pin written, and the time of adoption over
            self.says(on=False)
            for command in self.all_sent():
                self.answers(command)
            self.after(TIMING.adopt_s)
            self.want(0.0)
            self.done.clear()

    def met(
        self, assumed: float = 0.0, assumed_until: float = -math.inf, before_until: float = -math.inf
    ) -> None:
        """A process meets the actuator."""
        self.outputs.add(KEY, self.setup, assumed, assumed_until, before_until)
        self.keep()
        self.show()

    def _permit(self, _key: ActuatorKey, value: float, _moment: Moment) -> Refusal | None:
        self.asked.append(value)
        return self.refusal

    @property
    def output(self) -> Output:
        found = self.outputs.get(KEY)
        assert found is not None
        return found

    @property
    def moment(self) -> Moment:
        return Moment(self.now, 1_780_000_000_000 + round(self.now * 1000))

    # --- what happens -------------------------------------------------------------------------------------------------

    def show(self, **changes: object) -> None:
        self.view = attrs.evolve(self.view, **changes)  # type: ignore[arg-type]
        self._take(self.outputs.device(KEY, self.view, self.moment))

    def want(
        self, value: float = 1.0, *, for_s: float | None = None, left_s: float | None = None, **more: object
    ) -> None:
        want = Want(
            value=value,
            until=float("inf") if for_s is None else self.now + for_s,
            runs_out=float("inf") if left_s is None else self.now + left_s,
            execution="e1",
            holder="rule:1/0",
            issued_by="rule:1",
        )
        self.outputs.want(self.output, attrs.evolve(want, **more))  # type: ignore[arg-type]
        self.act()

    def keep(self) -> None:
        self.outputs.want(self.output, Want(keep=True))
        self.act()

    def act(self) -> None:
        self.done += self.outputs.act(KEY, self.moment)

    def after(self, seconds: float) -> None:
        """Time passes as it does for the caller: from one due moment to the next."""
        until = self.now + seconds
        while (due := self.outputs.due(KEY, self.now)) <= until:
            self.now = due
            self._take(self.outputs.tick(KEY, self.moment))
        self.now = until
        self._take(self.outputs.tick(KEY, self.moment))

    def says(
        self, *, on: bool, pwm: int | None = None, seq: int | None = None, emergency: bool = False
    ) -> None:
        self.seq = self.seq + 1 if seq is None else self.seq
        status = ActuatorStatus(
            gpio=16,
            state=on,
            pwm=pwm,
            seq=self.seq if seq is None else seq,
            emergency="active" if emergency else "normal",
        )
        self._take(self.outputs.status(KEY, status, self.moment))

    def answers(
        self, command: Command, *, success: bool = True, message: str = "", named: bool = True
    ) -> None:
        self.seq += 1
        answer = ActuatorResponse(
            gpio=16,
            command=command.verb.value,
            success=success,
            message=message,
            seq=self.seq,
            correlation_id=command.id if named else None,
        )
        self._take(self.outputs.response(KEY, answer, self.moment))

    def outcome(self, command: Command, outcome: str, code: str = "", **changes: object) -> None:
        report = IntentOutcome(intent_id=command.id, outcome=outcome, code=code)
        report = msgspec.structs.replace(report, **changes)
        self._take(self.outputs.outcome(KEY, report, self.moment))

    def expires(self, command: Command) -> None:
        self._take(self.outputs.expired(KEY, command.id, self.moment))

    def refuse(self) -> None:
        self.refusal = Refusal(code=RefusalCode.INTERLOCK, message="no", cure="no")

    def _take(self, effects: list[OutputEffect]) -> None:
        self.done += effects
        self.act()

    # --- looking ------------------------------------------------------------------------------------------------------

    def _taken(self, kind: type[T]) -> list[T]:
        found = [one for one in self.done if isinstance(one, kind)]
        self.done = [one for one in self.done if not isinstance(one, kind)]
        return found

    def all_sent(self) -> list[Command]:
        return [one.command for one in self._taken(Transmit)]

    def sent(self) -> Command:
        """The one command that was sent since the last look."""
        (command,) = self.all_sent()
        return command

    def ended(self) -> Command:
        (one,) = self._taken(Ended)
        return one.command

    def ended_count(self) -> int:
        return len(self._taken(Ended))

    def switched(self) -> list[Switched]:
        return self._taken(Switched)

    def reported(self) -> list[Reported]:
        return self._taken(Reported)

    def held(self) -> list[Held]:
        return self._taken(Held)

    def on(self, value: float = 1.0, **more: object) -> Command:
        """Wanted on, sent and acknowledged."""
        self.want(value, **more)  # type: ignore[arg-type]
        command = self.sent()
        self.answers(command)
        return command

    def on_with_lease(self, value: float) -> Command:
        """A PWM: value, acknowledged, lease, acknowledged."""
        self.on(value)
        lease = self.sent()
        self.answers(lease)
        return lease
