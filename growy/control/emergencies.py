"""The emergency stop's way from a request to the devices: onto the disk, out, proven, and back. Runs the pure core.

A stop is written into growy.db before it is published. A disk that refuses, or takes too long, does not hold it up: it
is published all the same, said not to be durable, and written as soon as the disk can. An end is the other way round:
while it cannot be written nothing is let go, because a restart would bring the stop back without anybody knowing why.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import attrs
import msgspec
import trio

from growy.control.emergency import Emergency
from growy.control.stops.effects import (
    ClearAnswer,
    Cleared,
    ClearFailed,
    ClearReport,
    ClearState,
    Effect,
    Proven,
    Publish,
    Refused,
    StopReport,
)
from growy.control.stops.telling import announcement, told_of
from growy.model.audit import AuditEntry
from growy.model.control import DeviceView, Stop
from growy.model.errors import ActuatorNotFound, EspNotFound, StoreError
from growy.model.time import Moment
from growy.ops.log import get_log
from growy.store.control import ControlBatch
from growy.store.stops import StopRow
from growy.store.store import Store
from growy.wire.table import Message

log = get_log(__name__)

PATIENCE_S = 0.5
"""How long a stop waits for the disk before it goes out without it."""
RETRY_S = 5.0


@attrs.frozen(kw_only=True)
class Ordered:
    """What a person gets who orders a stop: the order has left. Proof comes later."""

    report: StopReport
    durable: bool
    """It stands in growy.db. If not it is in force all the same, and written as soon as the disk can."""
    sent: int
    """Messages that were handed to the link."""


@attrs.frozen(kw_only=True)
class Ended:
    """What a person gets who ends a stop."""

    answer: ClearAnswer
    devices: tuple[ClearReport, ...]


@attrs.frozen(kw_only=True)
class EmergencyStatistics:
    in_force: int
    ordered: int
    proven: int
    """Proofs of devices and actuators."""
    messages: int
    unsent: int
    """For which the link had no room, or no connection. They are repeated."""
    refused: int
    cleared: int
    clear_failures: int
    not_durable: int
    """Stops that the disk has not taken yet."""


class Emergencies:
    """Trio thread only.

    Args:
        send: publishes in the emergency lane, within seconds or never; False when it cannot.
        view: a device as it is now.
        changed: told when stops came into force or ended: the gate looks at them. Nothing else runs between an order
            and this.
        tell: a WebSocket event. note: an entry of the audit trail.
        quiet: while it lasts no readings come: an order needs the processor, and the disk's thread too.
    """

    def __init__(
        self,
        core: Emergency,
        store: Store,
        *,
        send: Callable[[str, bytes, float], bool],
        view: Callable[[str], DeviceView | None],
        moment: Callable[[], Moment],
        changed: Callable[[], None],
        tell: Callable[[str, Mapping[str, object], str | None], None],
        note: Callable[[AuditEntry], None],
        quiet: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._quiet = quiet
        self.core = core
        self._store = store
        self._send = send
        self._view = view
        self._moment = moment
        self._changed = changed
        self._tell = tell
        self._note = note
        self._unwritten: dict[str, StopRow] = {}
        self._owed: dict[str, str | None] = {}
        """Of devices that have yet to be let go, what the disk has yet to take."""
        self._write_now = trio.Event()
        self._progress = trio.Event()
        self._ordered = self._proven = self._messages = self._unsent = 0
        self._refused = self._cleared = self._clear_failures = 0

    # --- ordered by people --------------------------------------------------------------------------------------------

    async def stop(self, *, esp_id: str | None, gpio: int | None, reason: str, by: str) -> Ordered:
        """Everything, a device, or one actuator: off, and off it stays until a person clears it.

        Raises:
            EspNotFound, ActuatorNotFound: there is nothing of that name; nothing was stopped.
        """
        self._need(esp_id, gpio)
        moment = self._moment()
        stop = Stop(
            id=f"em-{secrets.token_hex(6)}",
            esp_id=esp_id,
            gpio=gpio,
            reason=reason,
            by=by,
            since_ms=moment.wall_ms,
        )
        row = self._unwritten[stop.id] = StopRow(stop=stop)
        # A client that hangs up must not take its stop along.
        with self._quiet(), trio.CancelScope(shield=True), trio.move_on_after(PATIENCE_S):
            await self._latch(row)
        durable = stop.id not in self._unwritten
        before = self._messages
        self.carry_out(self.core.stop(stop, self._moment()))
        self._ordered += 1
        self._changed()
        if not durable:
            self._write_now.set()
            log.error("an emergency stop is in force that the disk has not taken yet", stop=stop.id)
        self._announce(stop, by, begins=True, reason=reason)
        return Ordered(report=self.report(stop.id), durable=durable, sent=self._messages - before)

    async def _latch(self, row: StopRow) -> None:
        """Nothing stands between the request and the disk: not the queue of the store, and no other task."""
        try:
            await self._store.submit_control(ControlBatch(stops=[row])).wait()
        except StoreError as error:
            log.error("an emergency stop could not be written", stop=row.stop.id, error=str(error))
            self._write_now.set()
        else:
            self._unwritten.pop(row.stop.id, None)

    async def clear(
        self, *, esp_id: str | None, gpio: int | None, reason: str, by: str, wait_s: float
    ) -> Ended:
        """Ends stops, and lets devices go; waits up to `wait_s` until each has said so.

        Raises:
            EspNotFound, ActuatorNotFound.
            StoreError: the end could not be written; everything stays stopped.
        """
        self._need(esp_id, gpio)
        now_ms = self._moment().wall_ms
        ending = [
            one for one in self.core.stops if esp_id is None or (one.esp_id, one.gpio) == (esp_id, gpio)
        ]
        rows = [
            StopRow(stop=one, cleared_ms=now_ms, cleared_by=by, report=self._document(one)) for one in ending
        ]
        if rows:
            await self._store.write_registry(control=ControlBatch(stops=rows))
            for one in ending:
                self._unwritten.pop(one.id, None)
        # Not what was ordered while the disk was waited for.
        answer = self.core.clear(esp_id, gpio, self._moment(), only={one.id for one in ending})
        self._changed()
        self.carry_out(answer.effects)
        for one in answer.ended:
            self._announce(one, by, begins=False, reason=reason)
        named = {*answer.clearing, *answer.offline}
        with trio.move_on_after(wait_s):
            while any(one.state in (ClearState.WAITING, ClearState.SENT) for one in self._clears(named)):
                await self._progress.wait()
        return Ended(answer=answer, devices=tuple(self._clears(named)))

    def _clears(self, named: set[str]) -> list[ClearReport]:
        return [one for one in self.core.clears() if one.esp_id in named]

    def durable(self, stop_id: str) -> bool:
        """Whether the stop stands in growy.db."""
        return stop_id not in self._unwritten

    def report(self, stop_id: str) -> StopReport:
        """Raises KeyError: it is not in force."""
        found = self.core.report_of(stop_id)
        if found is None:
            raise KeyError(stop_id)
        return found

    async def wait_proven(self, stop_id: str, timeout_s: float) -> StopReport | None:
        """How far the stop is when every device that is there has proven it, or after `timeout_s`; None: it is over."""
        deadline = trio.current_time() + timeout_s
        while True:
            found = self.core.report_of(stop_id)
            if found is None or all(one.proof is not None for one in found.devices if one.online):
                return found
            with trio.move_on_at(deadline) as patience:
                await self._progress.wait()
            if patience.cancelled_caught:
                return found

    def _need(self, esp_id: str | None, gpio: int | None) -> None:
        if esp_id is None:
            if gpio is not None:
                raise ActuatorNotFound(f"gpio {gpio} of which device?", cure="Name the device, too")
            return
        view = self._view(esp_id)
        if view is None:
            raise EspNotFound(
                f"No device {esp_id[:64]!r} is known", cure="`growyd devices` lists those that are"
            )
        if gpio is not None and view.actuator(gpio) is None:
            raise ActuatorNotFound(
                f"{esp_id} has no actuator on gpio {gpio}", cure="`growyd actuators` lists them"
            )

    # --- told ---------------------------------------------------------------------------------------------------------

    def device_seen(self, view: DeviceView) -> None:
        self.carry_out(self.core.device_seen(view, self._moment()))

    def heard(self, esp_id: str, message: Message) -> None:
        self.carry_out(self.core.heard(esp_id, message, self._moment()))

    def link(self, connected: bool) -> None:
        self.carry_out(self.core.link(connected, self._moment()))

    def tick(self) -> None:
        self.carry_out(self.core.tick(self._moment()))

    # --- done ---------------------------------------------------------------------------------------------------------

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """What the core wants. The orders first, whatever else there is to tell."""
        for effect in effects:
            if isinstance(effect, Publish):
                if self._send(effect.topic, effect.payload, effect.timeout_s):
                    self._messages += 1
                else:
                    self._unsent += 1
        now_ms = self._moment().wall_ms
        for effect in effects:
            self._count(effect)
            told = told_of(effect, now_ms)
            if told is not None:
                data, entry = told
                self._tell("emergency_progress", data, None)
                self._note(entry)
        if effects:
            self._progress.set()
            self._progress = trio.Event()
            self._write_now.set()  # what is owed may have changed

    def _count(self, effect: Effect) -> None:
        self._proven += isinstance(effect, Proven)
        self._refused += isinstance(effect, Refused)
        self._cleared += isinstance(effect, Cleared)
        self._clear_failures += isinstance(effect, ClearFailed)

    def _announce(self, stop: Stop, by: str, *, begins: bool, reason: str) -> None:
        data, entry = announcement(stop, by, self._moment().wall_ms, begins=begins, reason=reason)
        self._tell("actuator_alert", data, stop.id)
        self._note(entry)

    # --- kept ---------------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Writes what a slow or full disk has not taken yet, and which devices have yet to be let go."""
        task_status.started()
        while True:
            with trio.move_on_after(RETRY_S):
                await self._write_now.wait()
            self._write_now = trio.Event()
            try:
                await self.write()
            except StoreError as error:
                log.once_per("emergency stops").error("emergency stops are not written", error=str(error))
                await trio.sleep(RETRY_S)

    async def write(self) -> None:
        """Writes what waits, now. Raises StoreError."""
        while self._unwritten:
            stop_id, row = next(iter(self._unwritten.items()))
            await self._store.write_registry(control=ControlBatch(stops=[row]))
            self._unwritten.pop(stop_id, None)
        for esp_id, one in self.core.take_owed().items():
            self._owed[esp_id] = None if one is None else msgspec.json.encode(one).decode()
        if self._owed:
            written, self._owed = self._owed, {}
            try:
                await self._store.write_registry(control=ControlBatch(owed_clears=written))
            except StoreError:
                self._owed = {**written, **self._owed}
                raise

    def _document(self, stop: Stop) -> str:
        """What the devices had proven when the stop ended."""
        report = self.report(stop.id)
        return msgspec.json.encode([attrs.asdict(one) for one in report.devices]).decode()

    def statistics(self) -> EmergencyStatistics:
        return EmergencyStatistics(
            in_force=len(self.core.stops),
            ordered=self._ordered,
            proven=self._proven,
            messages=self._messages,
            unsent=self._unsent,
            refused=self._refused,
            cleared=self._cleared,
            clear_failures=self._clear_failures,
            not_durable=len(self._unwritten),
        )
