"""Emergency stops: latched, told to every device that they cover, repeated until each has proven it. Pure.

A stop is in force from the moment it is ordered until a person ends it, whatever devices say, lose or forget: one that
comes back, reboots or is new is told at once. Nothing here waits for one device before it tells the next, and nothing
but `clear` lets one go. The caller has written a stop into growy.db before it calls `stop`, and writes what `clear` has
ended, and what `take_owed` returns, before it publishes the effects.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from growy.control.stops.device import Device
from growy.control.stops.effects import (
    ClearAnswer,
    ClearFailed,
    ClearReport,
    Effect,
    OwedClear,
    Proof,
    Publish,
    StopReport,
)
from growy.control.stops.hearing import hear
from growy.control.stops.messages import Messages
from growy.control.stops.pursuit import EVERY_S
from growy.model.control import ActuatorKey, DeviceView, Stop, StopScope
from growy.model.time import Moment
from growy.wire.table import Message


class Emergency:
    """All stops and all devices. Trio thread only.

    Args:
        stops: those in force, as they stand in growy.db.
        owed: devices that have yet to be let go, from growy.db.
        prefix: of the ids of its messages, another at each start of growyd; 1 to 24 of the wire's alphabet.
        broadcast_token: the token that all devices share; "" for none.

    Raises:
        Invalid, ValueError: the prefix cannot be used.
    """

    def __init__(
        self, stops: Iterable[Stop], owed: Iterable[OwedClear], *, prefix: str, broadcast_token: str
    ) -> None:
        self._stops = {stop.id: stop for stop in sorted(stops, key=lambda stop: stop.since_ms)}
        self._devices: dict[str, Device] = {}
        self._owed_unseen = {one.esp_id: one for one in owed}
        self._owed_taken: dict[str, OwedClear] = dict(self._owed_unseen)
        self._messages = Messages(prefix, broadcast_token)
        self._linked = True
        self._due: float | None = None
        """`next_due`, until something happens: it is asked for at every turn of control."""

    # --- asked ----------------------------------------------------------------------------------------------------

    @property
    def stops(self) -> tuple[Stop, ...]:
        """In force, oldest first."""
        return tuple(self._stops.values())

    def covering(self, actuator: ActuatorKey) -> Stop | None:
        """The oldest stop that forbids the actuator anything but OFF."""
        return next((stop for stop in self._stops.values() if stop.covers(actuator)), None)

    def held(self, esp_id: str) -> bool:
        """Whether the device may still be latched although no stop covers it: it would refuse every command."""
        device = self._devices.get(esp_id)
        return esp_id in self._owed_unseen if device is None else device.clearing is not None

    def report(self) -> list[StopReport]:
        """Of every stop in force, how far it has come."""
        return [self._report(stop) for stop in self._stops.values()]

    def report_of(self, stop_id: str) -> StopReport | None:
        """Of one stop; None when it is not in force."""
        stop = self._stops.get(stop_id)
        return None if stop is None else self._report(stop)

    def _report(self, stop: Stop) -> StopReport:
        proofs = (device.proof_of(stop) for device in self._devices.values())
        return StopReport(stop=stop, devices=tuple(one for one in proofs if one is not None))

    def clears(self) -> list[ClearReport]:
        """Of every device that is to be let go, or was since it was last stopped."""
        found = []
        for device in self._devices.values():
            if device.clearing is not None:
                found.append(device.clearing.report(device.view.online))
            elif device.cleared is not None:
                found.append(device.cleared)
        return found

    @property
    def owed_clears(self) -> Mapping[str, OwedClear]:
        """By device: what must be written down, for the next start."""
        pending = {id_: one.clearing.owed for id_, one in self._devices.items() if one.clearing is not None}
        return self._owed_unseen | pending

    def take_owed(self) -> dict[str, OwedClear | None]:
        """What has changed of `owed_clears` since the last call; None: not owed any more."""
        before, now = self._owed_taken, dict(self.owed_clears)
        self._owed_taken = now
        changed: dict[str, OwedClear | None] = {
            id_: one for id_, one in now.items() if before.get(id_) != one
        }
        return changed | {id_: None for id_ in before if id_ not in now}

    def next_due(self) -> float:
        """The clock at which `tick` has something to do; infinity while there is nothing."""
        if not self._linked:
            return math.inf
        if self._due is None:
            present = (one.next_at() for one in self._devices.values() if one.view.online)
            self._due = min(present, default=math.inf)
        return self._due

    # --- ordered by people ----------------------------------------------------------------------------------------

    def stop(self, stop: Stop, moment: Moment) -> list[Effect]:
        """In force from now on. All are told, also devices that seem to be away: the broadcast first, then each device
        with its own token, then OFF for each actuator. One that is in force already is told once more.
        """
        self._stops[stop.id] = stop
        self._due = None
        covered = [one for one in self._devices.values() if stop.esp_id in (None, one.view.esp_id)]
        for device in covered:
            device.covered(stop, moment)
        out: list[Effect] = []
        if stop.scope is StopScope.ALL:
            self._broadcast(stop, moment, out)
        self._tell(sorted(covered, key=lambda one: not one.view.online), moment, out)
        return out

    def clear(
        self, esp_id: str | None, gpio: int | None, moment: Moment, *, only: Collection[str] | None = None
    ) -> ClearAnswer:
        """A person ends the stop of everything (and with it all others), of a device, or of one actuator.

        A device that no stop holds any more is let go, also one that something else has stopped. What another stop
        still covers stays stopped; the answer says by which.

        Args:
            only: ids of the stops that were in force when the person asked. One that was ordered since, while the end
                was written down, must not end with them. None: whatever is in force.
        """
        everything = esp_id is None
        ended = [
            one
            for one in self._stops.values()
            if (everything or (one.esp_id, one.gpio) == (esp_id, gpio)) and (only is None or one.id in only)
        ]
        for stop in ended:
            del self._stops[stop.id]
        remaining = [
            one
            for one in self._stops.values()
            if everything or (one.esp_id in (None, esp_id) and (gpio is None or one.gpio in (None, gpio)))
        ]
        told: list[Device] = []
        for device in self._devices.values():
            if not everything and esp_id != device.view.esp_id:
                continue
            # Of everything: those that a stop held, and those that are latched by whatever it was.
            wanted = device.latch is not None or device.clearing is not None or device.says_latched
            device.uncover(self._stops.values())
            if gpio is None and device.latch is None and (wanted or not everything):
                device.let_go(moment)
                told.append(device)
        out: list[Effect] = []
        self._turn(told, moment, out)
        return ClearAnswer(
            ended=tuple(ended),
            remaining=tuple(remaining),
            clearing=tuple(one.view.esp_id for one in told if one.view.online),
            offline=tuple(one.view.esp_id for one in told if not one.view.online),
            effects=tuple(out),
        )

    # --- told by fleet and link -----------------------------------------------------------------------------------

    def device_seen(self, view: DeviceView, moment: Moment) -> list[Effect]:
        """A device as it is now: of every known device at the start, and whenever its view has changed."""
        out: list[Effect] = []
        device = self._devices.get(view.esp_id)
        if device is None:
            device = self._devices[view.esp_id] = Device(view)
            device.cover(self._stops.values(), moment)
            owed = self._owed_unseen.pop(view.esp_id, None)
            if owed is not None:
                device.owes(owed, moment, out)
        else:
            device.changed(view, moment, out)
        self._turn([device], moment, out)
        return out

    def forget(self, esp_id: str) -> None:
        """The device was deleted. A stop that covers it stays in force, and catches it if it comes back."""
        self._due = None
        self._devices.pop(esp_id, None)
        self._owed_unseen.pop(esp_id, None)

    def heard(self, esp_id: str, message: Message, moment: Moment) -> list[Effect]:
        """A message of a device, of any kind. Never a copy that the broker had retained: it is of another time."""
        out: list[Effect] = []
        device = self._devices.get(esp_id)
        if device is not None:
            hear(device, message, moment, out)
            if not device.idle:
                self._turn([device], moment, out)
        return out

    def link(self, connected: bool, moment: Moment) -> list[Effect]:
        """growyd's own connection to the broker. While it is away nothing is repeated: it would only pile up. When it
        is back, what is not proven is told anew, and all are told if everything is stopped: there may be devices that
        growyd has never met.
        """
        back, self._linked = connected and not self._linked, connected
        out: list[Effect] = []
        if not back:
            return out
        for device in self._devices.values():
            device.begin_again(moment)
        for stop in self._stops.values():
            if stop.scope is StopScope.ALL:
                self._broadcast(stop, moment, out)
                break
        self._turn(self._devices.values(), moment, out)
        return out

    def tick(self, moment: Moment) -> list[Effect]:
        """Repeats what is not proven and what is not answered. Due at `next_due`."""
        out: list[Effect] = []
        self._turn(self._devices.values(), moment, out)
        return out

    # --- telling --------------------------------------------------------------------------------------------------

    @property
    def broadcast_token(self) -> str:
        """The token that all devices share. May be set anew at any time."""
        return self._messages.broadcast_token

    @broadcast_token.setter
    def broadcast_token(self, token: str) -> None:
        self._messages.broadcast_token = token

    def _turn(self, devices: Iterable[Device], moment: Moment, out: list[Effect]) -> None:
        self._due = None
        if not self._linked:
            return
        present = [one for one in devices if one.view.online]
        self._tell(present, moment, out)
        self._tick_clears(present, moment, out)

    def _broadcast(self, stop: Stop, moment: Moment, out: list[Effect]) -> None:
        said: list[Publish] = []
        message_id = self._messages.broadcast(stop, moment.wall_ms, said)
        out += said
        for device in self._devices.values():
            device.stopped_at = moment.clock
            if device.latch is not None:
                device.latch.broadcast_id = message_id

    def _tell(self, devices: Iterable[Device], moment: Moment, out: list[Effect]) -> None:
        """Sends what is due: first what stops whole devices, one message each, then every OFF."""
        stopped: list[Publish] = []
        switched: list[Publish] = []
        for device in devices:
            view, latch = device.view, device.latch
            if latch is not None and latch.due(moment.clock):
                if device.answers_nothing:
                    device.prove(latch, Proof.NOTHING, moment, out)
                    continue
                latch.sent(self._messages.stop(view, stopped), moment)
                device.stopped_at = moment.clock
                # A device that does not take commands yet would only be kept from getting there.
                for gpio in latch.unsettled(device.pins_known) if view.ready else ():
                    self._messages.switch_off(view, gpio, switched)
            for gpio, pursuit in device.pins.items():
                if not (view.online and pursuit.due(moment.clock)):
                    continue
                if view.ready or moment.clock >= max(pursuit.began, pursuit.told_at) + EVERY_S:
                    pursuit.sent(self._messages.switch_off(view, gpio, switched), moment)
                else:
                    pursuit.hold_back()
        out += stopped
        out += switched

    def _tick_clears(self, devices: Iterable[Device], moment: Moment, out: list[Effect]) -> None:
        said: list[Publish] = []
        for device in devices:
            clearing = device.clearing
            if clearing is None or not device.view.online or moment.clock < clearing.next_at:
                continue
            if clearing.in_the_air and clearing.unanswered(moment):
                out.append(ClearFailed(esp_id=device.view.esp_id, reason=clearing.failed))
            else:
                clearing.sent(self._messages.clear(device.view, said), moment)
        out += said
