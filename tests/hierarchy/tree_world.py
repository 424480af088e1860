"""A small world for the proof of the tree: God, three Kaisers, their disks and clocks, a bad network between them,
devices that do what they are told; and a judge who sees everything at once, in true time.
"""

from __future__ import annotations

import copy
import heapq
import math
import random
from collections.abc import Callable

from tree_judge import START_MS, Judge, Violated
from tree_things import (
    CHATTER_S,
    ESPS,
    GOD_ID,
    HEALED_S,
    KAISERS,
    NODES,
    RATES,
    TALK,
    TERMS,
    Counts,
    Disk,
    Process,
    Weather,
)

from growy.hierarchy.effects import (
    Carry,
    Effects,
    Fence,
    Obey,
    Persist,
    Prepare,
    Ship,
    StopHere,
    Survey,
    Take,
    Tell,
)
from growy.hierarchy.god import God
from growy.hierarchy.kaiser import Identity, Kaiser
from growy.hierarchy.starts import next_count
from growy.model.handover import HandedOver, HeldOutput
from growy.model.hierarchy import GOD, Node, Stamp
from growy.model.time import Moment
from growy.model.tree_messages import Documents, RelayCommand, TreeMessage


class World:
    def __init__(self, seed: int, counts: Counts) -> None:
        self.dice = random.Random(seed)
        self.counts = counts
        self.now = 0.0
        self.disks = {name: Disk() for name in NODES}
        self.alive: dict[str, Process] = {}
        self.weather = Weather()
        self.cut: set[frozenset[str]] = set()
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.number = 0
        self.levels = dict.fromkeys(ESPS, 0.0)
        self.homes = {esp_id: NODES[n % 4] for n, esp_id in enumerate(ESPS)}
        self.crash_in: dict[str, int] = {}
        self.chatters = True
        """Whether rules are at work."""
        self.forgetful = 0.05
        """How often a shell does not answer what it was asked."""
        self.restored_at = -math.inf
        self.versions: dict[str, int] = {}
        self.healed = False
        self.judge = Judge(self)
        disk = self.disks[GOD]
        for n, name in enumerate(KAISERS):
            stand_in = KAISERS[(n + 1) % 3] if self.dice.random() < 0.5 else GOD
            gives_to = KAISERS if self.dice.random() < 0.5 else ()
            disk.nodes[name] = Node(
                kaiser_id=name,
                max_esps=3,
                stand_in=stand_in,
                failover=self.dice.random() < 0.8,
                gives_to=gives_to,
            )
        for name in NODES:
            self.start(name)
        for esp_id in ESPS:
            self.heard_at(esp_id)
        self.backups = copy.deepcopy(self.disks)
        if self.dice.random() < 0.7:
            # Devices are carried about: none hangs on the broker of its owner.
            self.pass_time(2.0)
            for esp_id in ESPS:
                self.homes[esp_id] = self.dice.choice(NODES)
                self.heard_at(esp_id)

    def stormy(self) -> None:
        """As networks are whose faults nobody has found yet: most goes well, some comes seconds late."""
        if self.dice.random() < 0.7:
            self.weather = Weather(loss=0.05, twice=0.05, stray=0.3, stray_s=3.0)

    # --- time and messages --------------------------------------------------------------------------------------------

    def at(self, when: float, what: Callable[[], None]) -> None:
        self.number += 1
        heapq.heappush(self.queue, (max(when, self.now), self.number, what))

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while True:
            when, process = min(
                (
                    (max(one.true_of(one.core.next_due()), one.stalled_until), one)
                    for one in self.alive.values()
                ),
                key=lambda pair: pair[0],
                default=(math.inf, None),
            )
            queued = self.queue[0][0] if self.queue else math.inf
            if min(when, queued) > until:
                break
            if queued <= when:
                self.now = max(self.now, queued)
                heapq.heappop(self.queue)[2]()
            elif process is not None:
                # Just after: a clock that is due "now" by rounding would be asked for ever.
                self.now = max(self.now, when) + 1e-6
                self.step(process, process.core.tick)
        self.now = until

    def moment(self, process: Process) -> Moment:
        return Moment(process.clock(self.now), START_MS + int(self.now * 1000))

    def step(self, process: Process, what: Callable[..., Effects], *given: object) -> None:
        """One step of a core, its effects, and the judge's look."""
        if self.alive.get(process.name) is not process:
            return
        if self.healed:
            self.counts.quiet_steps += 1
        else:
            self.counts.steps += 1
        effects = what(*given, self.moment(process))
        self.do(process, effects)
        if process.name in self.alive:
            # What a core knew that died before it was written, nobody was ever told.
            self.judge.look(process)

    def do(self, process: Process, effects: Effects) -> None:
        for effect in effects:
            left = self.crash_in.get(process.name)
            if left is not None:
                self.crash_in[process.name] = left - 1
            if left == 0:
                self.counts.mid_crashes += 1
                self.crash(process.name)
                return
            self.carry_out(process, effect)

    def send(self, sender: str, to: str, message: TreeMessage) -> None:
        weather = self.weather
        copies = 1 + (self.dice.random() < weather.twice)
        self.counts.twice += copies - 1
        for _ in range(copies):
            if self.dice.random() < weather.loss or frozenset((sender, to)) in self.cut:
                self.counts.lost += 1
                continue
            delay = self.dice.random() * (
                weather.stray_s if self.dice.random() < weather.stray else weather.delay_s
            )
            self.counts.late += delay > TERMS.lease_s
            self.at(self.now + delay, lambda: self.deliver(sender, to, message))

    def deliver(self, sender: str, to: str, message: TreeMessage) -> None:
        process = self.alive.get(to)
        if process is None:
            return
        if self.now < process.stalled_until:
            self.at(process.stalled_until, lambda: self.deliver(sender, to, message))
            return
        self.judge.delivering(sender, to, message)
        self.step(process, process.core.heard, sender, message)

    # --- effects ------------------------------------------------------------------------------------------------------

    def carry_out(self, process: Process, effect: object) -> None:
        match effect:
            case Persist():
                self.write(process, effect)
            case Tell():
                self.judge.telling(process.name, effect.message)
                self.send(process.name, effect.to, effect.message)
            case Ship():
                core = process.core
                assert isinstance(core, God)
                documents = Documents(
                    god_instance="god-1", esp_id=effect.esp_id, version=self.version_of(effect.esp_id)
                )
                self.send(process.name, effect.to, documents)
            case Take():
                self.judge.taking(process, effect)
                if self.dice.random() >= self.forgetful:
                    self.answer(process, "adopted", effect.esp_id, effect.epoch)
            case Survey():
                if self.dice.random() >= self.forgetful:
                    self.at(
                        self.now + self.dice.random(),
                        lambda: self.survey(process, effect.esp_id, effect.epoch),
                    )
            case Fence():
                self.counts.fences += 1
                self.command(process.name, effect.esp_id, 0.0, off=True)
            case Prepare():
                core, documents = process.core, effect.documents
                assert isinstance(core, Kaiser)
                self.disks[process.name].prepared[documents.esp_id] = documents.version
                self.answer(process, "prepared", documents.esp_id, documents.version)
            case Carry():
                self.counts.carried += 1
                self.judge.carried(effect)
                if self.homes[effect.esp_id] != process.name:
                    return  # nobody hears it: the device hangs elsewhere now
                level, boot, number = effect.payload.split()
                self.judge.in_order(effect.esp_id, effect.owner, Stamp(effect.epoch, int(boot), int(number)))
                self.levels[effect.esp_id] = float(level)
            case Obey():
                core = process.core
                if isinstance(core, Kaiser):
                    if "/" in effect.command_id:
                        self.do(process, core.answer_cross(effect.command_id, True, "", {}))
                    elif self.dice.random() < 0.7:
                        self.do(process, core.answer(effect.command_id, True))
            case StopHere():
                core = process.core
                if isinstance(core, Kaiser):
                    self.do(process, core.answer(effect.command_id, self.dice.random() < 0.7))
            case _:
                pass

    def answer(self, process: Process, what: str, *given: object) -> None:
        self.at(
            self.now + self.dice.random(), lambda: self.step(process, getattr(process.core, what), *given)
        )

    def survey(self, process: Process, esp_id: str, epoch: int) -> None:
        state = HandedOver(
            taken_ms=int(self.now * 1000), outputs=(HeldOutput(gpio=1, value=self.levels[esp_id]),)
        )
        self.step(process, process.core.surveyed, esp_id, epoch, state)

    def write(self, process: Process, what: Persist) -> None:
        disk = self.disks[process.name]
        self.judge.writing(disk.records, what)
        if what.boot is not None:
            disk.boot = what.boot
        if what.settled:
            disk.restored = False
        if what.god_instance is not None:
            disk.god_instance = what.god_instance
        for esp_id in what.dropped:
            disk.prepared.pop(esp_id, None)
        for record in what.records:
            disk.records[record.esp_id] = record
        for node in what.nodes:
            disk.nodes[node.kaiser_id] = node
        for kaiser_id in what.removed_nodes:
            disk.nodes.pop(kaiser_id, None)
        for chain in what.chains:
            if chain.status.ended:
                disk.chains.pop(chain.command_id, None)
                key = f"{chain.command_type}:{chain.status}"
                self.counts.ended[key] = self.counts.ended.get(key, 0) + 1
            else:
                disk.chains[chain.command_id] = chain

    # --- lives --------------------------------------------------------------------------------------------------------

    def restore(self, name: str) -> None:
        """Its disk breaks, and a backup is put in its place."""
        self.crash(name)
        if name == GOD:
            self.restored_at = self.now
            self.judge.restoring()
        self.disks[name] = copy.deepcopy(self.backups[name])
        self.disks[name].restored = True
        self.pass_time(1.0)
        self.counts.restores += 1
        self.start(name)

    def start(self, name: str) -> None:
        if name in self.alive:
            return
        disk = self.disks[name]
        restored = disk.restored
        boot = next_count(disk.boot, START_MS + int(self.now * 1000), restored=restored)
        process = Process(
            name=name,
            core=None,  # type: ignore[arg-type]
            rate=self.dice.choice(RATES),
            born=self.now,
            offset=self.dice.random() * 1000.0,
            boot=boot,
        )
        moment = self.moment(process)
        if name == GOD:
            process.core = God(
                god_id=GOD_ID,
                instance="god-1",
                boot=boot,
                nodes=disk.nodes.values(),
                records=disk.records.values(),
                chains=list(disk.chains.values()),
                terms=TERMS,
                fresh_id=self.fresh_id,
                moment=moment,
                restored=restored,
            )
            for esp_id in ESPS:
                process.core.configured(esp_id, self.version_of(esp_id))
        else:
            process.core = Kaiser(
                Identity(kaiser_id=name, instance=f"i-{name}", god_id=GOD_ID),
                boot=boot,
                god_instance=disk.god_instance,
                prepared=disk.prepared,
                terms=TERMS,
                moment=moment,
            )
        self.alive[name] = process
        self.step(process, process.core.start)
        self.chatter(process)
        # A node hears its devices again.
        for esp_id, home in self.homes.items():
            if home == name:
                self.heard_at(esp_id)

    def crash(self, name: str) -> None:
        self.crash_in.pop(name, None)
        if self.alive.pop(name, None) is not None:
            self.counts.crashes += 1

    def chatter(self, process: Process) -> None:
        """Rules at work: whoever believes to own a device switches it now and then."""
        if self.alive.get(process.name) is process and not self.healed:
            if self.chatters and self.now >= process.stalled_until:
                for esp_id in ESPS:
                    if self.dice.random() < 0.5:
                        self.command(process.name, esp_id, self.dice.random())
            self.at(self.now + CHATTER_S * self.dice.random(), lambda: self.chatter(process))

    def fresh_id(self) -> str:
        self.number += 1
        return f"c{self.number}"

    def version_of(self, esp_id: str) -> str:
        return f"v{self.versions.get(esp_id, 0)}"

    # --- people and devices -------------------------------------------------------------------------------------------

    @property
    def god(self) -> Process | None:
        return self.alive.get(GOD)

    def heard_at(self, esp_id: str) -> None:
        process = self.alive.get(self.homes[esp_id])
        if process is not None:
            self.step(process, process.core.found, esp_id)

    def command(self, name: str, esp_id: str, level: float, *, off: bool = False) -> None:
        """Whoever believes to own the device switches it."""
        process = self.alive.get(name)
        if process is None:
            return
        core = process.core
        now = self.moment(process)
        stamp = core.stamp(esp_id) if isinstance(core, God) else core.stamp(esp_id, now, off=off)
        if stamp is None:
            return
        home = self.homes[esp_id]
        if home == name:
            self.judge.carried(
                Carry(esp_id=esp_id, tail="", payload=b"", epoch=stamp.epoch, owner=name), local=True
            )
            self.judge.in_order(esp_id, name, stamp)
            self.levels[esp_id] = level
            return
        command = RelayCommand(
            command_id=self.fresh_id(),
            esp_id=esp_id,
            stamp=stamp,
            tail="actuator/1/command",
            payload=f"{level} {stamp.boot} {stamp.number}".encode(),
        )
        self.send(name, home, command)

    def heal(self) -> None:
        self.cut.clear()
        self.weather = Weather()
        self.crash_in.clear()
        for process in self.alive.values():
            process.stalled_until = min(process.stalled_until, self.now)
        for name in NODES:
            self.start(name)

    def end(self) -> None:
        """All is mended; then every device soon has one owner, and knows it, and it stays so."""
        self.heal()
        self.healed = True
        self._settle()
        begun, steps = self.now, self.counts.quiet_steps
        self.pass_time(40.0 if self.dice.random() < 0.2 else 5.0)
        talk = (self.counts.quiet_steps - steps) / (self.now - begun)
        if talk > TALK:
            raise Violated(f"{self.now:.3f}: {talk:.0f} steps a second, and nothing happens")
        self._settle()

    def _settle(self) -> None:
        until = self.now + HEALED_S
        while (wrong := self.judge.unsettled()) is not None:
            if self.now >= until:
                raise Violated(f"{self.now:.3f}: healed, and {wrong}")
            self.pass_time(5.0)
