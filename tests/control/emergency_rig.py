"""Emergency stops on a bench: simulated boards behind lines that can be cut in either direction, in virtual time."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Any, TypeVar

import attrs
from rig.boards import actuator, configured, ctx

from growy.control.emergency import Emergency
from growy.control.stops.effects import ClearAnswer, Effect, OwedClear, Publish
from growy.model.control import DeviceView, Stop, StopScope
from growy.model.messages import Generation
from growy.model.setup import ActuatorKind, ActuatorSetup
from growy.model.time import Moment
from growy.sim import emergency as firmware
from growy.sim.actuators import execute
from growy.sim.board import Board, BoardReply, Intent, Outcome, Reply
from growy.sim.board import Generation as SimGeneration
from growy.sim.payload_intent import intent_outcome
from growy.wire.decode import decode
from growy.wire.topics import device_topic, parse_topic

T = TypeVar("T")
WALL_MS = 1_790_000_000_000
PINS = (18, 19)
ALWAYS = ("/response", "/error")
"""What a device says although nobody has answered its heartbeat."""


@attrs.define(kw_only=True)
class Chip:
    """One device: its board, its line to the broker, and how growyd sees it."""

    esp_id: str
    generation: Generation = Generation.APR_2026
    stored_token: str = ""
    known_token: str = ""
    production: bool = False
    boots: int = 1
    online: bool = True
    ready: bool = True
    deaf: bool = False
    """What is sent to it is lost."""
    mute: bool = False
    """What it says is lost."""
    booted_at: float = -1000.0
    told_at: dict[int | None, float] = attrs.field(factory=dict)
    """When a message was last sent to it: None for a stop of the whole device, else OFF for the pin."""
    kept: list[Outcome] = attrs.field(factory=list)
    """Outcomes in its flash, for when it is registered."""
    board: Board = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.board = self.fresh_board()

    def fresh_board(self) -> Board:
        made = configured(actuator(18), actuator(19, "pwm"), esp_id=self.esp_id, production=self.production)
        if self.generation is Generation.DEC_2025:
            made = attrs.evolve(made, generation=SimGeneration.DEC_2025)
        return attrs.evolve(made, nvs=attrs.evolve(made.nvs, emergency_token=self.stored_token))

    @property
    def view(self) -> DeviceView:
        return DeviceView(
            esp_id=self.esp_id,
            kaiser_id="god",
            approved=True,
            online=self.online,
            ready=self.online and self.ready,
            boots=self.boots,
            generation=self.generation,
            emergency_token=self.known_token,
            actuators=tuple(
                ActuatorSetup(id=str(gpio), gpio=gpio, kind=kind, name=f"gpio {gpio}")
                for gpio, kind in zip(PINS, (ActuatorKind.RELAY, ActuatorKind.PWM), strict=True)
            ),
            applied=frozenset(PINS),
        )

    @property
    def still(self) -> bool:
        return not any(output.on or output.pwm for output in self.board.actuators)

    def hears(self, now: float, topic: str, payload: bytes) -> list[tuple[str, bytes]]:
        """What it answers, as topics and payloads."""
        document = json.loads(payload)
        name = document.get("correlation_id", "")
        intent = Intent(intent_id=document.get("intent_id") or f"fw_{now}", correlation_id=name)
        context = ctx(now - self.booted_at)
        match topic.split("/")[-2:]:
            case ["broadcast", "emergency"]:
                self.board, replies = firmware.broadcast(self.board, payload, intent, context)
            case ["actuator", "emergency"]:
                self.board, replies = firmware.command(self.board, payload, intent, context)
            case [gpio, "command"] if self.ready:
                self.board, replies = execute(self.board, gpio, payload, intent, context)
            case _:
                return []
        return [said for reply in replies if (said := self.says(reply)) is not None]

    def says(self, reply: BoardReply) -> tuple[str, bytes] | None:
        if isinstance(reply, Outcome):
            if not self.ready:
                self.kept.append(reply)
                return None
            return "system/intent_outcome", intent_outcome(reply, self.board.nvs.outcome_counts, seq=7, ts=1)
        if isinstance(reply, Reply) and (self.ready or reply.topic_tail.endswith(ALWAYS)):
            return reply.topic_tail, reply.body(7)
        return None

    def statuses(self, now: float) -> list[tuple[str, bytes]]:
        from growy.sim.actuators import statuses

        return [
            said
            for reply in statuses(self.board, ctx(now - self.booted_at))
            if (said := self.says(reply)) is not None
        ]

    def replays(self) -> list[tuple[str, bytes]]:
        kept, self.kept = self.kept, []
        return [
            (
                "system/intent_outcome",
                intent_outcome(one, self.board.nvs.outcome_counts, seq=7, ts=1, recovered=True),
            )
            for one in kept
        ]

    def switch_on(self, now: float) -> list[tuple[str, bytes]]:
        """Somebody, not growyd, switches it on, where the board lets him."""
        name = Intent(intent_id=f"other_{now}", correlation_id="")
        context = ctx(now - self.booted_at)
        self.board, replies = execute(self.board, "18", b'{"command":"ON"}', name, context)
        return [said for reply in replies if (said := self.says(reply)) is not None]


class Bench:
    """growyd's emergency core and some chips."""

    def __init__(self, *chips: Chip) -> None:
        self.chips = {chip.esp_id: chip for chip in chips}
        self.now = 100.0
        self.stops: dict[str, Stop] = {}
        self.owed: dict[str, OwedClear] = {}
        self.linked = True
        self.starts = 0
        self.serial = 0
        self.sent: list[tuple[float, Publish]] = []
        self.out: list[Effect] = []
        """All effects but messages, since the bench was set up."""
        self.emergency = self.start()

    def start(self) -> Emergency:
        """A growyd that knows what stands in its database, and has heard of nobody yet."""
        self.starts += 1
        self.emergency = Emergency(
            self.stops.values(), self.owed.values(), prefix=f"e{self.starts}", broadcast_token="all"
        )
        for chip in self.chips.values():
            self.emergency.device_seen(attrs.evolve(chip.view, online=False, ready=False), self.moment)
        if not self.linked:
            self.emergency.link(False, self.moment)
        for chip in self.chips.values():
            self.seen(chip)
        return self.emergency

    @property
    def moment(self) -> Moment:
        return Moment(self.now, WALL_MS + round(self.now * 1000))

    def carry(self, effects: Iterable[Effect]) -> list[Effect]:
        """Sends what is to be sent, lets it be answered, and hears the answers, until all is quiet."""
        given = list(effects)
        waiting = deque(given)
        for _ in range(2000):
            if not waiting:
                break
            effect = waiting.popleft()
            if isinstance(effect, Publish):
                self.sent.append((self.now, effect))
                waiting.extend(self.deliver(effect))
            else:
                self.out.append(effect)
        assert not waiting, "growyd and a device keep each other busy for ever"
        for esp_id, owed in self.emergency.take_owed().items():
            if owed is None:
                self.owed.pop(esp_id, None)
            else:
                self.owed[esp_id] = owed
        assert self.owed == dict(self.emergency.owed_clears)
        return given

    def deliver(self, message: Publish) -> list[Effect]:
        assert self.linked or self.stopping, "sent into a connection that is not there"
        out: list[Effect] = []
        for chip in self.chips.values():
            if message.esp_id not in (None, chip.esp_id):
                continue
            document = json.loads(message.payload)
            if document["command"] == "clear_emergency":
                held = [stop for stop in self.stops.values() if stop.esp_id in (None, chip.esp_id)]
                assert all(stop.gpio is not None for stop in held), "let go although a stop covers it"
            else:
                levels = message.topic.split("/")
                chip.told_at[int(levels[-2]) if document["command"] == "OFF" else None] = self.now
            if not self.linked or chip.deaf or not chip.online:
                continue
            answers = chip.hears(self.now, message.topic, message.payload)
            out += self.hear(chip, answers)
        return out

    stopping = False

    def hear(self, chip: Chip, said: Iterable[tuple[str, bytes]]) -> list[Effect]:
        out: list[Effect] = []
        for tail, payload in said:
            if chip.mute or not chip.online or not self.linked:
                continue
            topic = parse_topic(f"kaiser/god/esp/{chip.esp_id}/{tail}")
            assert device_topic(topic)
            out += self.emergency.heard(chip.esp_id, decode(topic, payload), self.moment)
        return out

    def seen(self, chip: Chip) -> list[Effect]:
        return self.carry(self.emergency.device_seen(chip.view, self.moment))

    # --- what people do -------------------------------------------------------------------------------------------

    def stop(self, esp_id: str | None = None, gpio: int | None = None, reason: str = "") -> list[Effect]:
        self.serial += 1
        stop = Stop(
            id=f"stop-{self.serial}",
            esp_id=esp_id,
            gpio=gpio,
            reason=reason,
            by="anna",
            since_ms=self.moment.wall_ms,
        )
        self.stops[stop.id] = stop
        self.stopping = True
        out = self.carry(self.emergency.stop(stop, self.moment))
        self.stopping = False
        return out

    def clear(self, esp_id: str | None = None, gpio: int | None = None) -> ClearAnswer:
        answer = self.emergency.clear(esp_id, gpio, self.moment)
        for stop in answer.ended:
            del self.stops[stop.id]
        assert set(self.emergency.stops) == set(self.stops.values())
        self.carry(answer.effects)
        return answer

    # --- what happens ---------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> list[Effect]:
        """Time passes; growyd is woken whenever it wants to be."""
        end, out = self.now + seconds, []
        for _ in range(10_000):
            due = self.emergency.next_due()
            if due > end:
                break
            self.now = max(self.now, due)
            out += self.carry(self.emergency.tick(self.moment))
            assert self.emergency.next_due() > self.now, "growyd wants to be woken for nothing"
        self.now = end
        return out

    def report_statuses(self, chip: Chip) -> list[Effect]:
        return self.carry(self.hear(chip, chip.statuses(self.now)))

    def disconnect(self, chip: Chip) -> None:
        chip.online = False
        self.seen(chip)

    def connect(self, chip: Chip, *, ready: bool = True) -> list[Effect]:
        chip.online, chip.ready = True, ready
        return self.seen(chip)

    def register(self, chip: Chip) -> list[Effect]:
        chip.ready = True
        return self.seen(chip) + self.carry(self.hear(chip, chip.replays()))

    def reboot(self, chip: Chip) -> list[Effect]:
        """Off and on between two heartbeats."""
        chip.board = chip.fresh_board()
        chip.boots += 1
        chip.booted_at = self.now
        return self.seen(chip)

    def link(self, connected: bool) -> list[Effect]:
        self.linked = connected
        return self.carry(self.emergency.link(connected, self.moment))

    def of(self, kind: type[T]) -> list[T]:
        return [effect for effect in self.out if isinstance(effect, kind)]

    def messages(self, since: float = 0.0) -> list[tuple[float, str, dict[str, Any]]]:
        """(when, topic, document) of what was sent."""
        return [(at, one.topic, json.loads(one.payload)) for at, one in self.sent if at >= since]

    def told(self, chip: Chip, command: str = "emergency_stop") -> list[float]:
        """When the chip, by a message of its own, was told this."""
        return [
            at
            for at, topic, document in self.messages()
            if chip.esp_id in topic and document["command"] == command
        ]

    def report(self, chip: Chip, scope: StopScope = StopScope.ALL):
        """How far the newest stop of that scope has come on the chip."""
        reports = [one for one in self.emergency.report() if one.stop.scope is scope]
        return next(one for one in reports[-1].devices if one.esp_id == chip.esp_id)
