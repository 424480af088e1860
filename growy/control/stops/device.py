"""One device under emergency stops: which of them want what of it, and what follows when it comes, goes or reboots.
Pure.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

import attrs
import msgspec

from growy.control.stops.clearing import AFTER_STOP_S, SETTLE_S, Clearing
from growy.control.stops.effects import (
    Cleared,
    ClearReport,
    ClearState,
    DeviceProof,
    Effect,
    OwedClear,
    Proof,
    Proven,
    Unproven,
)
from growy.control.stops.pursuit import GAPS_S, NO_ACK, Pursuit, Reported
from growy.model.control import DeviceView, Stop
from growy.model.time import Moment

BOOT_S = 120.0
"""From a reboot until growyd has certainly heard of it: two heartbeats."""


@attrs.define(slots=True)
class Device:
    """A device as stops see it."""

    view: DeviceView
    reported: dict[int, Reported] = attrs.field(factory=dict)
    """What its actuators said last, in this boot; also those that growyd has not set up."""
    latch: Pursuit | None = None
    """While a stop of everything, or of this device, is in force."""
    pins: dict[int, Pursuit] = attrs.field(factory=dict)
    """By pin, while a stop of that actuator alone is in force."""
    stopped_at: float = -math.inf
    """The clock, when it was last sent what shuts its latch."""
    clearing: Clearing | None = None
    """While it is to be let go. Never beside `latch`."""
    cleared: ClearReport | None = None

    @property
    def fitted(self) -> set[int]:
        """Pins of actuators that the device is known to have."""
        return {*self.view.applied, *self.reported}

    @property
    def pins_known(self) -> set[int]:
        """Those, and the ones that it is meant to have."""
        return {*self.fitted, *(setup.gpio for setup in self.view.actuators)}

    @property
    def says_latched(self) -> bool:
        return any(said.latched for said in self.reported.values())

    @property
    def answers_nothing(self) -> bool:
        """Whether it has been told often enough for firmware that cannot acknowledge and has nothing to stop."""
        latch = self.latch
        if latch is None or latch.refused or self.view.generation not in NO_ACK:
            return False
        return latch.told > len(GAPS_S) and not self.pins_known

    @property
    def idle(self) -> bool:
        """No stop concerns it, and none that has ended."""
        return self.latch is None and self.clearing is None and not self.pins

    def pursuits(self) -> list[Pursuit]:
        return ([] if self.latch is None else [self.latch]) + list(self.pins.values())

    def next_at(self) -> float:
        """The clock at which it is to be told something, if it is there."""
        due = math.inf if self.clearing is None else self.clearing.next_at
        return min([due, *(pursuit.next_at for pursuit in self.pursuits() if pursuit.proof is None)])

    # --- coverage -------------------------------------------------------------------------------------------------

    def covered(self, stop: Stop, moment: Moment) -> None:
        """A stop that covers it, or one of its actuators, was ordered now, perhaps once more."""
        if stop.gpio is not None:
            self.pins[stop.gpio] = Pursuit.begun(stop.gpio, moment)
            return
        self.latch = Pursuit.begun(None, moment)
        self.clearing = self.cleared = None

    def cover(self, stops: Iterable[Stop], moment: Moment) -> None:
        """A device that has just become known, and what is in force over it."""
        for stop in stops:
            if stop.esp_id in (None, self.view.esp_id):
                self.covered(stop, moment)

    def uncover(self, stops: Iterable[Stop]) -> None:
        """Gives up what none of the stops that are left wants."""
        mine = [stop for stop in stops if stop.esp_id in (None, self.view.esp_id)]
        if all(stop.gpio is not None for stop in mine):
            self.latch = None
        wanted = {stop.gpio for stop in mine}
        self.pins = {gpio: pursuit for gpio, pursuit in self.pins.items() if gpio in wanted}

    def let_go(self, moment: Moment) -> None:
        """A person wants it free, and no stop holds it any more."""
        owed = OwedClear(esp_id=self.view.esp_id, boots=self.view.boots, since_ms=moment.wall_ms)
        self.clearing, self.cleared = Clearing(owed=owed), None
        if self.view.online:
            self.clearing.begin(moment, self._free_at(moment.clock))

    def owes(self, owed: OwedClear, moment: Moment, out: list[Effect]) -> None:
        """It was to be let go before growyd's last restart."""
        if self.latch is not None:
            return
        self.clearing = Clearing(owed=owed)
        if owed.boots != self.view.boots:
            self.opened("reboot", moment, out)
        elif self.view.online:
            self.clearing.begin(moment, self._free_at(moment.clock))

    def opened(self, how: str, moment: Moment, out: list[Effect]) -> None:
        """Its latch is open, and was meant to be."""
        if self.clearing is None:
            return
        self.cleared = attrs.evolve(
            self.clearing.report(online=True),
            state=ClearState.CLEARED,
            reason=how,
            ended_ms=moment.wall_ms,
        )
        self.clearing = None
        out.append(Cleared(esp_id=self.view.esp_id, how=how))

    def _free_at(self, now: float) -> float:
        settled = now if self.view.ready else now + SETTLE_S
        return max(settled, self.stopped_at + AFTER_STOP_S)

    # --- coming and going -----------------------------------------------------------------------------------------

    def changed(self, view: DeviceView, moment: Moment, out: list[Effect]) -> None:
        """Its view is another. What it has proven counts only for the boot and the session in which it did."""
        before, known = self.view, self.pins_known
        self.view = view
        rebooted = view.boots != before.boots
        returned = view.online and not before.online
        hears = view.ready and not before.ready
        new_token = view.emergency_token != before.emergency_token
        if rebooted:
            self.reported.clear()
            self._rebooted(moment, out)
        self._forget(known - view.applied - {setup.gpio for setup in view.actuators}, before)
        for pursuit in self.pursuits():
            if rebooted or returned:
                pursuit.again(moment)
            elif (pursuit.refused and new_token) or (pursuit.proof is None and hears):
                pursuit.refused = ""
                pursuit.within(0.0, moment.clock)
        added = view.applied - before.applied
        if added and self.latch is not None and self.latch.proof is not None:
            # Each actuator has a latch of its own: one that was configured just now is free.
            self.doubt(self.latch, f"gpio {min(added)} was configured just now", moment, out, urgent=True)
        if self.clearing is None:
            return
        if not view.online:
            self.clearing.pause()
        elif returned or hears or new_token:
            self.clearing.begin(moment, self._free_at(moment.clock))

    def _rebooted(self, moment: Moment, out: list[Effect]) -> None:
        """The latch was in RAM, so there is nothing to clear - unless a stop has reached the new boot already, before
        anybody knew that it is one.
        """
        if self.clearing is None:
            return
        if moment.clock - self.stopped_at > BOOT_S:
            self.opened("reboot", moment, out)
            return
        self.clearing.owed = msgspec.structs.replace(self.clearing.owed, boots=self.view.boots)
        if self.view.online:
            self.clearing.begin(moment, self._free_at(moment.clock))

    def begin_again(self, moment: Moment) -> None:
        """growyd was cut off from the broker: nobody knows what of it arrived."""
        for pursuit in self.pursuits():
            if pursuit.proof is None:
                pursuit.again(moment)
        if self.clearing is not None and self.view.online:
            self.clearing.begin(moment, self._free_at(moment.clock))

    def _forget(self, gone: Collection[int], before: DeviceView) -> None:
        """Actuators that were removed will never say anything again. One that growyd never set up is not removed."""
        for gpio in gone:
            if gpio in before.applied or before.actuator(gpio) is not None:
                self.reported.pop(gpio, None)
                for pursuit in self.pursuits():
                    pursuit.heard.pop(gpio, None)

    # --- proof ----------------------------------------------------------------------------------------------------

    def prove(self, pursuit: Pursuit, proof: Proof, moment: Moment, out: list[Effect]) -> None:
        if pursuit.proof is not None:
            return
        pursuit.prove(proof, moment)
        out.append(
            Proven(
                esp_id=self.view.esp_id,
                gpio=pursuit.gpio,
                proof=proof,
                at_ms=moment.wall_ms,
                after_ms=pursuit.after_ms or 0,
            )
        )

    def doubt(
        self, pursuit: Pursuit, reason: str, moment: Moment, out: list[Effect], *, urgent: bool
    ) -> None:
        """What it had proven is not so, or not any more."""
        pursuit.doubt(moment, urgent=urgent)
        out.append(Unproven(esp_id=self.view.esp_id, gpio=pursuit.gpio, reason=reason))

    def proof_of(self, stop: Stop) -> DeviceProof | None:
        """How far the stop has come here; None: it does not concern this device."""
        if stop.esp_id not in (None, self.view.esp_id):
            return None
        pursuit = self.latch if stop.gpio is None else self.pins.get(stop.gpio)
        if pursuit is None:
            return None
        pins = self.fitted if stop.gpio is None else {stop.gpio}
        said = {gpio: pursuit.heard.get(gpio) for gpio in sorted(pins)}
        return DeviceProof(
            esp_id=self.view.esp_id,
            gpio=stop.gpio,
            online=self.view.online,
            told=pursuit.told,
            told_ms=pursuit.told_ms,
            proof=pursuit.proof,
            proven_ms=pursuit.proven_ms,
            after_ms=pursuit.after_ms,
            reason=pursuit.reason,
            running=tuple(gpio for gpio, one in said.items() if one is not None and one.on),
            silent=tuple(gpio for gpio, one in said.items() if one is None),
        )
