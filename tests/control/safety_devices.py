"""The devices of the proof of control's safety: boards of the simulator behind a bad network, and the truth about them.

A connection keeps the order of what is said on it, in both directions; it may be slow, lose, and say twice. A device
that was cut off notices some time later, and what is on its way to it may still arrive until then. One that has booted
starts its outputs as its drivers do, and its gate is shut until growyd has answered its first heartbeat.
"""

from __future__ import annotations

import math
import random
from collections import deque

import attrs
import msgspec
from rig.boards import actuator, configured, ctx, intent

from growy.control.output_state import Timing
from growy.model.control import ActuatorKey, Command, Interlock, InterlockKind
from growy.model.events import ActuatorResponse, ActuatorStatus, IntentOutcome
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.sim import actuators, drivers, emergency
from growy.sim.board import Board, BoardReply, Outcome, Reply
from growy.wire.actuation import actuator_command

TIMING = Timing(lease_s=30.0, answer_timeout_s=4.0, adopt_s=10.0, way_s=12.0)
MAX_RUNTIME_S = 120.0
NOTICE_S = 20.0
"""By then a device has noticed that its connection is gone."""
STATUS_S = 30.0
NEVER = math.inf

A, B = "ESP_00000A", "ESP_00000B"
HEATER, FAN, DOSER = ActuatorKey(A, 16), ActuatorKey(A, 17), ActuatorKey(A, 18)
COOLER, MIST = ActuatorKey(B, 16), ActuatorKey(B, 17)
ACTUATORS = (HEATER, FAN, DOSER, COOLER, MIST)
SETUPS = {
    HEATER: ActuatorSetup(
        id="h",
        gpio=16,
        kind=ActuatorKind.RELAY,
        name="Heater",
        max_runtime_s=90,
        cooldown_s=20,
        max_runtime_day_s=220,
    ),
    FAN: ActuatorSetup(
        id="f",
        gpio=17,
        kind=ActuatorKind.PWM,
        name="Fan",
        max_runtime_s=100,
        min_value=0.2,
        max_value=0.9,
    ),
    DOSER: ActuatorSetup(
        id="p",
        gpio=18,
        kind=ActuatorKind.PUMP,
        name="Doser",
        inverted_logic=True,
        max_runtime_s=30,
        dose_ml_per_s=2.0,
        dose_budget_ml=110.0,
    ),
    COOLER: ActuatorSetup(id="c", gpio=16, kind=ActuatorKind.RELAY, name="Cooler", cooldown_s=10),
    MIST: ActuatorSetup(id="m", gpio=17, kind=ActuatorKind.RELAY, name="Mist", max_runtime_s=45),
}
INTERLOCKS = (
    Interlock(id="never both", kind=InterlockKind.EXCLUSIVE, a=HEATER, b=COOLER),
    Interlock(id="no mist without the fan", kind=InterlockKind.REQUIRES, a=FAN, b=MIST),
)

Said = ActuatorStatus | ActuatorResponse | IntentOutcome
_status = msgspec.json.Decoder(ActuatorStatus).decode
_response = msgspec.json.Decoder(ActuatorResponse).decode


def limit_s(key: ActuatorKey) -> float:
    return SETUPS[key].max_runtime_s or MAX_RUNTIME_S


@attrs.define
class Truth:
    """What an output really does, by the world's clock."""

    on: bool = False
    changed_at: float = -NEVER
    total_s: float = 0.0
    starts: int = 0
    by_boot: bool = False
    """Nobody switched it on: an inverted relay, energised by its device's boot."""
    excused_s: float = 0.0
    """Of this run: time in which it had no lease and nobody could reach it."""


@attrs.define
class Device:
    """One board, its connection, and what is on its way to and from it."""

    esp_id: str
    dice: random.Random
    board: Board
    boot_at: float = 0.0
    boots: int = 1
    boots_told: int = 1
    """As growyd was told, with the first heartbeat: it comes after all that was said before."""
    connected: bool = True
    gate_open: bool = True
    notice_at: float = NEVER
    loss: float = 0.0
    delay_s: float = 0.05
    twice: float = 0.0
    seq: int = 0
    status_at: float = STATUS_S
    inbox: deque[tuple[float, Command | None, bytes]] = attrs.field(factory=deque)
    """When it arrives, and what it is; None: the answer to a heartbeat, which opens the gate."""
    outbox: deque[tuple[float, Said, float]] = attrs.field(factory=deque)
    """When it arrives, what it is, when it was said."""
    again: list[tuple[float, Said, float]] = attrs.field(factory=list)
    truth: dict[int, Truth] = attrs.field(factory=dict)
    _timed: Board | None = None
    """The board whose next due time is `_timer`."""
    _timer: float = NEVER

    @property
    def well(self) -> bool:
        return self.connected and self.gate_open and not self.loss

    # --- what happens at it -------------------------------------------------------------------------------------------

    def next_at(self) -> float:
        if self._timed is not self.board:
            due_ms = actuators.next_due_ms(self.board)
            self._timed, self._timer = self.board, NEVER if due_ms is None else self.boot_at + due_ms / 1000
        return min(self.inbox[0][0] if self.inbox else NEVER, self._timer, self.status_at, self.notice_at)

    def happens(self, now: float) -> None:
        """What is due now."""
        if self.notice_at <= now:
            self._notices(now)
        due_ms = actuators.next_due_ms(self.board)
        if due_ms is not None and self.boot_at + due_ms / 1000 <= now:
            self._becomes(*actuators.tick(self.board, ctx(uptime_ms=due_ms)), now)
        while self.inbox and self.inbox[0][0] <= now:
            _, command, payload = self.inbox.popleft()
            if command is not None:
                self._receives(command, payload, now)
            elif not self.gate_open:
                self.gate_open = True
                self.tell_all(now)
        if self.status_at <= now:
            self.status_at = now + STATUS_S
            self.tell_all(now)

    def _receives(self, command: Command, payload: bytes, now: float) -> None:
        gpio = command.actuator.gpio
        if self.gate_open:
            where = ctx(now - self.boot_at)
            self._becomes(*actuators.execute(self.board, str(gpio), payload, intent(command.id), where), now)
            return
        rejected = ActuatorResponse(
            gpio=gpio,
            command=command.verb.value,
            success=False,
            correlation_id=command.id,
            seq=self._number(),
            message="Rejected before execution (reason_code=REGISTRATION_PENDING)",
        )
        self._says(rejected, now)

    def _notices(self, now: float) -> None:
        self.notice_at = NEVER
        self.inbox.clear()
        self._becomes(*actuators.transport_lost(self.board, ctx(now - self.boot_at)), now)

    def tell_all(self, now: float) -> None:
        self._becomes(self.board, actuators.statuses(self.board, ctx(now - self.boot_at)), now)

    def press(self, now: float) -> None:
        """Its own emergency button."""
        self._becomes(*emergency.stop_all(self.board, ctx(now - self.boot_at)), now)

    def release(self, now: float) -> None:
        """The latch is opened; actuators stay off."""
        free = tuple(attrs.evolve(output, emergency=False) for output in self.board.actuators)
        self.board = attrs.evolve(self.board, emergency=False, actuators=free)
        self.tell_all(now)

    def cut(self, now: float, *, drops: bool) -> None:
        self.connected = False
        self.notice_at = now + NOTICE_S * self.dice.random()
        if drops:
            self.inbox.clear()

    def reconnect(self, now: float) -> None:
        if self.notice_at < NEVER:
            self._notices(now)
        self.inbox.clear()
        self.connected, self.gate_open = True, False

    def boot(self, now: float) -> None:
        """Power comes back: everything starts as its driver starts it, and the gate is shut."""
        self.boot_at, self.boots, self.seq = now, self.boots + 1, 0
        self.connected, self.gate_open = True, False
        self.inbox.clear()
        self.again.clear()
        self.notice_at = NEVER
        self.status_at = now + STATUS_S
        fresh = tuple(drivers.begin(output.config, 0) for output in self.board.actuators)
        dark = tuple(attrs.evolve(one, level=one.config.inverted_logic) for one in fresh)
        for outputs in (dark, fresh):  # without power nothing is on
            self.board = attrs.evolve(self.board, actuators=outputs, emergency=False)
            self.note(now)
        for output in fresh:
            self.truth[output.gpio].by_boot = output.energised and not output.on

    # --- the network --------------------------------------------------------------------------------------------------

    def takes(self, command: Command, now: float) -> None:
        """A command has been published."""
        if self.connected and self.dice.random() >= self.loss:
            self._arrives(command, actuator_command(command), now)

    def acknowledged(self, now: float) -> None:
        """Its heartbeat is answered. It would beat until one is."""
        self._arrives(None, b"", now)

    def _arrives(self, command: Command | None, payload: bytes, now: float) -> None:
        at = now + self.delay_s * self.dice.random()
        if self.inbox:
            at = max(at, self.inbox[-1][0])
        self.inbox.append((at, command, payload))

    def heartbeat_at(self, now: float, within_s: float) -> float:
        at = now + within_s * self.dice.random()
        return max(at, self.outbox[-1][0]) if self.outbox else at

    def _says(self, said: Said, now: float) -> None:
        if not self.connected or self.dice.random() < self.loss:
            return
        if isinstance(said, ActuatorStatus | IntentOutcome) and not self.gate_open:
            return
        at = now + self.delay_s * self.dice.random()
        if self.outbox:
            at = max(at, self.outbox[-1][0])
        self.outbox.append((at, said, now))
        if self.dice.random() < self.twice:
            self.again.append((at + 10 * self.dice.random(), said, now))

    def _number(self) -> int:
        self.seq += 1
        return self.seq

    def _becomes(self, board: Board, replies: tuple[BoardReply, ...], now: float) -> None:
        self.board = board
        self.note(now)
        for reply in replies:
            if isinstance(reply, Reply) and reply.topic_tail.endswith("/status"):
                self._says(_status(reply.body(self._number())), now)
            elif isinstance(reply, Reply) and reply.topic_tail.endswith("/response"):
                self._says(_response(reply.body(self._number())), now)
            elif isinstance(reply, Outcome) and (reply.outcome != "applied" or self.dice.random() < 0.2):
                # Of what was carried out, most outcomes say nothing new.
                said = IntentOutcome(
                    intent_id=reply.intent.intent_id,
                    outcome=reply.outcome,
                    code=reply.code,
                    reason=reply.reason,
                )
                self._says(said, now)

    # --- the truth ----------------------------------------------------------------------------------------------------

    def note(self, now: float) -> None:
        for output in self.board.actuators:
            truth = self.truth[output.gpio]
            on = output.energised
            if on and not truth.on:
                truth.on, truth.changed_at, truth.excused_s = True, now, 0.0
                truth.starts += 1
            elif truth.on and not on:
                truth.total_s += 0.0 if truth.by_boot else now - truth.changed_at
                truth.on, truth.changed_at = False, now
            if truth.by_boot and (not on or output.on):
                truth.by_boot, truth.changed_at = False, now  # from here on it is somebody's doing

    def leaseless(self, gpio: int) -> bool:
        output = self.board.actuator(gpio)
        return output is not None and output.on and output.auto_off_ms is None


def device_of(esp_id: str, dice: random.Random, now: float) -> Device:
    """A device that has been in service for a while: every pin has been written."""
    items = [
        actuator(key.gpio, setup.kind.value, inverted_logic=setup.inverted_logic)
        for key, setup in SETUPS.items()
        if key.esp_id == esp_id
    ]
    board = _BOARDS.get(esp_id)
    if board is None:
        board = attrs.evolve(configured(*items), esp_id=esp_id, sensors=())
        for output in board.actuators:
            board = board.with_actuator(attrs.evolve(output, level=output.config.inverted_logic))
        _BOARDS[esp_id] = board
    device = Device(esp_id, dice, board, boot_at=now, status_at=now + STATUS_S * dice.random())
    device.truth = {output.gpio: Truth() for output in board.actuators}
    return device


_BOARDS: dict[str, Board] = {}
"""Frozen values: made once."""
