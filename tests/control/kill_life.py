"""One life of control between two kills, on the real store: `growy.control.opening`, readings live first, commits
afterwards, memories by the journal. Devices obey and answer at once; time is virtual; death is real.

Run as a program it is the zygote: it has imported everything, has no threads, and forks one life per line of its input.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections import Counter, deque
from pathlib import Path
from typing import Any

import attrs
import trio
from kill_scenario import ACTUATORS, SENSORS, Delivery, deliveries, rule_rows, views
from trio.testing import MockClock

from growy.broker.outbox import Lane
from growy.config import ControlConfig, StoreConfig
from growy.control.control import Control
from growy.control.opening import open_control
from growy.control.performing import Ways
from growy.intake.replay import UNKNOWN_BOOT, ReplayFilter
from growy.model.control import ActuatorKey
from growy.model.events import ActuatorResponse, ActuatorStatus
from growy.model.reading import Bus, Columns, Quality, SeriesKey
from growy.model.time import Moment
from growy.store.control import ControlBatch
from growy.store.store import Store, open_store
from growy.wire.topics import Topic, TopicKind

ADOPT_S = 3
KINDS = (
    *("born", "delivered", "live", "answered", "ahead", "committing", "committed", "kept"),
    *("due", "ticked", "writing", "written"),
)
"""Steps, in the order in which they come with a reading; the last four come with time, too."""
JOURNAL_S = 5.0


@attrs.frozen
class Life:
    """What a life is told at its birth."""

    folder: str
    seed: int
    hours: float
    now_ms: int
    """By the wall."""
    acked: int
    """Deliveries that the broker need not bring again."""
    devices: dict[str, tuple[float, float]]
    """`esp:gpio` -> output, and when it goes off by itself (Unix ms)."""
    kill_at: int | None
    """It dies at that step of that kind; None: it lives to the end."""
    kill_kind: str
    """"" for any."""
    tail_readings: int
    log: str


@attrs.define
class World:
    """What is outside of the process: devices, the broker, the log of what happened."""

    life: Life
    log: int
    steps: Counter[str] = attrs.field(factory=Counter)
    lease_s: dict[ActuatorKey, tuple[float, float]] = attrs.field(factory=dict)
    commands: deque[tuple[ActuatorKey, dict[str, Any]]] = attrs.field(factory=deque)
    seq: int = 0

    def say(self, **what: object) -> None:
        """Survives a kill."""
        os.write(self.log, (json.dumps(what) + "\n").encode())

    def point(self, kind: str) -> None:
        """A step. Death comes here or nowhere."""
        if self.dies_at(kind):
            os.kill(os.getpid(), signal.SIGKILL)
        self.steps[kind] += 1

    def dies_at(self, kind: str) -> bool:
        if self.life.kill_kind not in ("", kind):
            return False
        return self.life.kill_at == (self.steps[kind] if self.life.kill_kind else self.steps.total())

    def send(self, topic: str, payload: bytes, *, timeout_s: float = 10.0, lane: Lane = Lane.NORMAL) -> bool:
        parts = topic.split("/")
        self.commands.append((ActuatorKey(parts[3], int(parts[5])), json.loads(payload)))
        return True

    def output(self, key: ActuatorKey) -> tuple[float, float]:
        return self.life.devices.get(str(key), (0.0, math.inf))

    def set(self, key: ActuatorKey, value: float, off_ms: float) -> None:
        if self.output(key) != (value, off_ms):
            self.life.devices[str(key)] = (value, off_ms)
            self.say(device=str(key), value=value, off_ms=off_ms)


async def live(life: Life, log: int) -> None:
    world = World(life, log)
    async with open_store(StoreConfig(tail_readings=life.tail_readings), Path(life.folder)) as store:
        if not await store.rules():
            await store.write_registry(control=ControlBatch(rules=rule_rows()))
        process = await Process.born(world, store)
        await process.run()


class Process:
    """growyd, as far as it is about control."""

    def __init__(self, world: World, store: Store) -> None:
        self.world = world
        self.store = store
        self.views = views()
        self.control: Control
        self.ids = {
            name: store.catalog.intern(SeriesKey(esp_id, Bus.GPIO, str(gpio), kind), gpio, "", 0)
            for name, (esp_id, gpio, kind, _) in SENSORS.items()
        }
        self.replays = ReplayFilter(1000)
        self.written_at = 0.0
        self.began_ms = world.life.now_ms
        self.last = dict.fromkeys(SENSORS, 0)

    @property
    def moment(self) -> Moment:
        clock = trio.current_time()
        return Moment(clock, self.began_ms + round(clock * 1000))

    @classmethod
    async def born(cls, world: World, store: Store) -> Process:
        process = cls(world, store)
        process.replays.remember(await store.newest_commits(1000))

        async def push(esp_id: str, rules: object) -> None:
            raise AssertionError("nobody runs what hands rules over")

        process.control = await open_control(
            ControlConfig(adopt=ADOPT_S, max_runtime=86_400, max_switches=600),
            store,
            Ways(
                send=world.send,
                tell=lambda *event: None,
                note=lambda entry: None,
                view=process.views.get,
                views=lambda: list(process.views.values()),
                moment=lambda: process.moment,
            ),
            broadcast_token="",
            push_offline=push,
        )
        return process

    async def run(self) -> None:
        """Time goes on, from now to the end."""
        world, control = self.world, self.control
        world.point("born")
        self.answers()
        control.tick()
        self.answers()
        await self.journal(force=False)
        self.complete()
        for delivery in deliveries(world.life.seed, world.life.hours)[world.life.acked :]:
            await self.until(delivery.at_ms)
            await self.deliver(delivery)
            self.complete()
        await self.journal(force=True)
        world.say(steps=dict(world.steps))

    async def until(self, at_ms: int) -> None:
        """Wakes control whenever it wants to be, up to then."""
        while True:
            due = min(self.control._next_due(), self.leases_end(), self.written_at + JOURNAL_S)
            clock = (at_ms - self.began_ms) / 1000
            if due >= clock:
                self.jump(max(clock, trio.current_time()))
                return
            self.jump(max(due, trio.current_time() + 0.001))
            self.world.point("due")
            self.let_leases_end()
            self.control.tick()
            self.world.point("ticked")
            self.answers()
            await self.journal(force=False)
            self.complete()

    def jump(self, clock: float) -> None:
        mock = trio.lowlevel.current_clock()
        assert isinstance(mock, MockClock)
        mock.jump(max(0.0, clock - trio.current_time()))
        self.world.say(now=self.moment.wall_ms)

    async def deliver(self, delivery: Delivery) -> None:
        """A message: live first, then committed and acknowledged; the journal may be quicker or slower."""
        world = self.world
        world.point("delivered")
        columns = self.columns(delivery)
        if len(columns):
            self.store.tail.append(columns)
            self.control.take(columns)
            world.point("live")
            self.answers()
            world.point("answered")
            if delivery.number % 3 and await self.journal(force=False):
                world.point("ahead")
            await self.commit(columns)
            world.point("committed")
        await self.journal(force=False)
        world.point("kept")
        world.say(acked=delivery.number + 1)

    async def commit(self, columns: Columns) -> None:
        if not self.world.dies_at("committing"):
            self.world.point("committing")
            await self.store.commit(columns)
            self.control.committed(columns)
            return
        # In the middle of it: nobody knows whether it is on the disk.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.store.commit, columns)
            await trio.lowlevel.checkpoint()
            self.world.point("committing")

    def columns(self, delivery: Delivery) -> Columns:
        rows = []
        for name, value, quality in delivery.readings:
            seq = delivery.number + 1
            if not self.replays.seen(self.ids[name], seq, delivery.at_ms, value, dup=True, boot=UNKNOWN_BOOT):
                rows.append((self.ids[name], value, quality, seq))
        count, rx_ms = len(rows), self.moment.wall_ms
        return Columns.of(
            [one for one, _, _, _ in rows], [delivery.at_ms] * count, [rx_ms] * count,
            [value for _, value, _, _ in rows],
            [math.nan if quality is Quality.ERROR else value for _, value, quality, _ in rows],
            [int(quality) for _, _, quality, _ in rows], [seq for _, _, _, seq in rows],
            [0] * count, [0] * count,
        )  # fmt: skip

    async def journal(self, *, force: bool) -> bool:
        """As `ControlJournal.run` does it. Whether it has written."""
        journal = self.control._journal
        due = trio.current_time() >= self.written_at + JOURNAL_S
        if not (force or due or journal._urgent.is_set()):
            return False
        self.written_at = trio.current_time()
        self.world.point("writing")
        await journal.write()
        self.world.point("written")
        return True

    # --- devices ------------------------------------------------------------------------------------------------------

    def answers(self) -> None:
        """Devices do what they are told, and say so."""
        commands = self.world.commands
        while commands:
            key, said = commands.popleft()
            output, off_ms = self.world.output(key)
            match said["command"]:
                case "OFF":
                    output, off_ms = 0.0, math.inf
                case "PWM":
                    output, off_ms = said["value"], math.inf
                case "ON":
                    output = output or 1.0
                    off_ms = self.moment.wall_ms + 1000.0 * said["duration"]
            self.world.set(key, output, off_ms)
            self.tell(key, output, said)

    def tell(self, key: ActuatorKey, output: float, said: dict[str, Any] | None) -> None:
        now_ms = self.moment.wall_ms
        if said is not None:
            answer = ActuatorResponse(
                gpio=key.gpio, command=said["command"], success=True, correlation_id=said["correlation_id"]
            )
            topic = Topic("god", key.esp_id, TopicKind.ACTUATOR_RESPONSE, key.gpio)
            self.control.handle(topic, answer, now_ms)
        pwm = round(output * 255) if key.gpio >= 25 else None
        status = ActuatorStatus(gpio=key.gpio, state=output > 0, pwm=pwm)
        self.control.handle(Topic("god", key.esp_id, TopicKind.ACTUATOR_STATUS, key.gpio), status, now_ms)

    def leases_end(self) -> float:
        ends = [off_ms for value, off_ms in self.world.life.devices.values() if value]
        return (min(ends, default=math.inf) - self.began_ms) / 1000

    def let_leases_end(self) -> None:
        for key in ACTUATORS:
            value, off_ms = self.world.output(key)
            if value and off_ms <= self.moment.wall_ms:
                self.world.set(key, 0.0, math.inf)
                self.tell(key, 0.0, None)

    # --- what is seen -------------------------------------------------------------------------------------------------

    def complete(self) -> None:
        """A moment is over: who has which claims, and what flows."""
        wanted = {str(key): self.control._switchboard.claims.winner(key) for key in ACTUATORS}
        self.world.say(
            t=self.moment.wall_ms,
            wanted={key: round(claim.value, 9) for key, claim in wanted.items() if claim is not None},
            flows={key: value for key, (value, _) in self.world.life.devices.items() if value},
        )


def be_born(life: Life) -> None:
    """The forked child; never returns."""
    log = os.open(life.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        trio.run(live, life, log, clock=MockClock())
    except BaseException:  # noqa: BLE001
        import traceback

        os.write(log, (json.dumps({"fault": traceback.format_exc()}) + "\n").encode())
        os._exit(1)
    os._exit(0)


def zygote() -> None:
    for line in sys.stdin:
        life = Life(**json.loads(line))
        child = os.fork()
        if child == 0:
            be_born(life)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    zygote()
