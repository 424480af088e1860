"""A small world for the proof of control's safety: growyd's switchboard, two devices, a bad network between them, a
disk that may lose the last write, a wall clock that jumps; and `safety_judge`, who looks at every command and moment.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence

import attrs
import msgspec
from safety_devices import (
    ACTUATORS,
    INTERLOCKS,
    MAX_RUNTIME_S,
    NEVER,
    SETUPS,
    TIMING,
    A,
    B,
    Device,
    Said,
    Truth,
    device_of,
)
from safety_judge import judge, look

from growy.control.ledger import Day
from growy.control.output_state import Transmit
from growy.control.switch_effects import Kept, Refused
from growy.control.switchboard import Switchboard
from growy.model.control import ActuatorKey, Claim, Command, DeviceView, Ledger, Stop
from growy.model.events import ActuatorResponse, ActuatorStatus, IntentOutcome
from growy.model.messages import Generation
from growy.model.time import Moment

READY_S = 3.0
FRESH_S = 60.0
TOGETHER_S = 0.02
CALM_S = 60.0
"""What was under way arrives, what runs out runs out, and an OFF is answered: within this everything is off."""
WRITE_S = 5.0
REDELIVERED_S = 1.0
START_MS = 1_780_000_000_000
DAY_MS = 86_400_000


def day_of(wall_ms: int) -> Day:
    number = wall_ms // DAY_MS
    return Day(f"{number:06d}", (number + 1) * DAY_MS)


@attrs.define
class Counts:
    """How much was really going on: a proof about a world that stands still is none."""

    steps: int = 0
    sent_on: int = 0
    sent_off: int = 0
    renewals: int = 0
    starts: int = 0
    restarts: int = 0
    lost_writes: int = 0
    boots: int = 0
    cuts: int = 0
    jumps: int = 0
    refusals: dict[str, int] = attrs.field(factory=dict)


class World:
    """growyd, its devices, and everything between them."""

    def __init__(self, seed: int, counts: Counts) -> None:
        self.dice = random.Random(seed)
        self.counts = counts
        self.now = 1000.0 * self.dice.random()
        self.wall_off_ms = START_MS + self.dice.randrange(DAY_MS)
        self.devices = {esp_id: device_of(esp_id, self.dice, self.now) for esp_id in (A, B)}
        self.views: dict[str, DeviceView] = {}
        self.views_due: list[tuple[float, str, bool]] = []
        """When the fleet tells growyd of a device, and whether it is there."""
        self.enabled = dict.fromkeys(ACTUATORS, True)
        self.approved = dict.fromkeys((A, B), True)
        self.disk: dict[ActuatorKey, Ledger] = {}
        self.last_write: dict[ActuatorKey, Ledger | None] = {}
        """What stood on the disk before it."""
        self.missing: set[ActuatorKey] = set()
        """Actuators whose last writing was lost with the process."""
        self.unwritten: dict[ActuatorKey, Ledger] = {}
        self.write_at = NEVER
        self.stops: dict[str, Stop] = {}
        self.claims: dict[tuple[str, ActuatorKey], Claim] = {}
        self.lapsed: set[tuple[str, ActuatorKey]] = set()
        """Claims whose sensor has been stale since they were made: control may have ended them."""
        self.stale: set[tuple[str, ActuatorKey]] = set()
        self.sampled_at = {1: self.now, 2: self.now}
        self.failed = {1: False, 2: False}
        self.heard: deque[tuple[float, str, Said, float]] = deque()
        self.held: list[tuple[str, Said, float]] = []
        """What the broker keeps for growyd."""
        self.link_back_at = NEVER
        self.unsent: list[tuple[float, Command]] = []
        self.told_off: dict[ActuatorKey, float] = {}
        """When the last was said, of what growyd has been told that they are off."""
        self.alone_since = NEVER
        self.days = 1
        self.top_day = day_of(self.wall_ms).name
        self.top_ends_ms = day_of(self.wall_ms).ends_ms
        self.rolled = False
        self.kills = 0
        self.processes = 0
        self.growyd: Switchboard | None = None
        self.start()

    @property
    def wall_ms(self) -> int:
        return self.wall_off_ms + int(self.now * 1000)

    @property
    def moment(self) -> Moment:
        return Moment(self.now, self.wall_ms)

    def truth(self, key: ActuatorKey) -> Truth:
        return self.devices[key.esp_id].truth[key.gpio]

    def fresh(self, series: int, now: float) -> bool:
        return not self.failed[series] and now - self.sampled_at[series] <= FRESH_S

    # --- growyd -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.processes += 1
        self._new_day(opening=True)
        self.rolled = False
        growyd = self.growyd = Switchboard(
            TIMING,
            max_runtime_s=MAX_RUNTIME_S,
            max_switches=1000,
            basis_good=lambda claim, now: all(self.fresh(series, now) for series in claim.basis),
            day_of=day_of,
            prefix=f"g{self.processes}",
        )
        growyd.open(self.disk, tuple(self.stops.values()))
        for one in INTERLOCKS:
            self.do(growyd.interlock(one, self.moment))
        for device in self.devices.values():
            self.show(device, ready=False, ready_at=self.now + READY_S)
        self._deliver_held()

    def kill(self, *, lost_write: bool) -> None:
        """-9. What is not on the disk is gone, and the broker keeps what was not acknowledged."""
        self.growyd = None
        self.kills += 1
        self.counts.restarts += 1
        self.unwritten.clear()
        self.write_at = self.link_back_at = NEVER
        if not lost_write:
            self.missing -= self.last_write.keys()
        else:
            self.counts.lost_writes += 1
            for key, ledger in self.last_write.items():
                if key in self.missing:
                    continue  # one writing may be missing, not two in a row
                self.missing.add(key)
                self.disk.pop(key, None)
                if ledger is not None:
                    self.disk[key] = ledger
        self.last_write = {}
        self.claims.clear()
        self.lapsed.clear()
        self.stale.clear()
        self.told_off.clear()
        self.unsent.clear()
        redelivered = [one[1:] for one in self.heard if one[0] > self.now - REDELIVERED_S]
        self.held = redelivered + self.held
        self.heard.clear()
        for device in self.devices.values():
            device.again.clear()

    def do(self, effects: Sequence[object]) -> None:
        """What growyd wants done; the judge looks at it first."""
        for effect in effects:
            match effect:
                case Kept(key, ledger, urgent) if ledger is not None:
                    self.unwritten[key] = ledger
                    self.write_at = min(self.write_at, self.now + WRITE_S)
                    if urgent:
                        self._write()
                case Transmit(command, expires_at):
                    judge(self, command)
                    self._publish(command, expires_at)
                case Refused(_, refusal):
                    count = self.counts.refusals.get(refusal.code, 0)
                    self.counts.refusals[refusal.code.value] = count + 1

    def _write(self) -> None:
        self.write_at = NEVER
        if self.unwritten:
            self.missing -= self.last_write.keys()  # these are safe now
            self.last_write = {key: self.disk.get(key) for key in self.unwritten}
            self.disk.update(self.unwritten)
            self.unwritten.clear()

    def _publish(self, command: Command, expires_at: float) -> None:
        key = command.actuator
        self.counts.renewals += command.renewal
        if command.value > 0:
            self.counts.sent_on += 1
        else:
            self.counts.sent_off += 1
        if self.dice.random() < 0.01:
            self.unsent.append((expires_at, command))
        else:
            self.devices[key.esp_id].takes(command, self.now)

    def show(
        self, device: Device, *, online: bool = True, ready: bool = True, ready_at: float = NEVER
    ) -> None:
        """The fleet shows growyd a device as it now believes it to be."""
        setups = tuple(
            msgspec.structs.replace(setup, enabled=self.enabled[key])
            for key, setup in SETUPS.items()
            if key.esp_id == device.esp_id
        )
        view = self.views[device.esp_id] = DeviceView(
            esp_id=device.esp_id,
            kaiser_id="god",
            approved=self.approved[device.esp_id],
            online=online,
            ready=ready,
            ready_at=ready_at if online else NEVER,
            boots=device.boots_told,
            generation=Generation.APR_2026,
            actuators=setups,
            applied=frozenset(setup.gpio for setup in setups if setup.enabled),
        )
        if self.growyd is not None:
            self.do(self.growyd.device(view, self.moment))

    def hear(self, esp_id: str, said: Said, said_at: float) -> None:
        growyd = self.growyd
        if growyd is None or self.link_back_at < NEVER:
            self.held.append((esp_id, said, said_at))
            return
        self.heard.append((self.now, esp_id, said, said_at))
        while self.heard[0][0] <= self.now - REDELIVERED_S:
            self.heard.popleft()
        match said:
            case ActuatorStatus():
                key = ActuatorKey(esp_id, said.gpio)
                if not (said.state or said.pwm):
                    self.told_off[key] = said_at
                self.do(growyd.status(key, said, self.moment))
            case ActuatorResponse():
                self.do(growyd.response(ActuatorKey(esp_id, said.gpio), said, self.moment))
            case IntentOutcome():
                self.do(growyd.outcome(esp_id, said, self.moment))

    def _deliver_held(self) -> None:
        held, self.held = self.held, []
        for one in held:
            self.hear(*one)

    # --- time ---------------------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        """Everything happens in the order of time."""
        until = self.now + seconds
        while (at := min(self._times())) <= until:
            # What is as good as at once happens at once.
            self._to(min(max(at, self.now) + TOGETHER_S, until))
            self._happen()
            look(self)
        self._to(until)
        look(self)

    def _to(self, at: float) -> None:
        passed_s = at - self.now
        linked = self.growyd is not None and self.link_back_at == NEVER
        for device in self.devices.values():
            view = self.views[device.esp_id]
            if linked and device.well and (view.ready or self.now >= view.ready_at):
                continue
            for gpio, truth in device.truth.items():
                if truth.on and not truth.by_boot and device.leaseless(gpio):
                    truth.excused_s += passed_s
        self.now = at
        if self.growyd is not None:
            self._new_day(opening=False)

    def _new_day(self, *, opening: bool) -> None:
        """A day that a process has not seen may begin as it starts, and once while it runs: that is all."""
        if self.wall_ms < self.top_ends_ms:
            return
        day, self.top_ends_ms = attrs.astuple(day_of(self.wall_ms))
        if day > self.top_day:
            self.top_day = day
            self.days += opening or not self.rolled
            self.rolled = self.rolled or not opening

    def _times(self) -> Iterator[float]:
        """When something happens next."""
        for device in self.devices.values():
            yield device.next_at()
            if device.outbox:
                yield device.outbox[0][0]
            for at, _, _ in device.again:
                yield at
        for at, _, _ in self.views_due:
            yield at
        for at, _ in self.unsent:
            yield at
        yield self.write_at
        yield self.link_back_at
        if self.growyd is not None:
            yield self.growyd.next_due()
            for claim in self.claims.values():
                for series in claim.basis:
                    stale_at = self.sampled_at[series] + FRESH_S + 0.001
                    if stale_at > self.now:
                        yield stale_at

    def _happen(self) -> None:
        now = self.now
        for device in self.devices.values():
            if device.next_at() <= now:
                device.happens(now)
            while device.outbox and device.outbox[0][0] <= now:
                self.hear(device.esp_id, *device.outbox.popleft()[1:])
            for one in [one for one in device.again if one[0] <= now]:
                device.again.remove(one)
                self.hear(device.esp_id, *one[1:])
        if self.write_at <= now:
            self._write()
        for due in [one for one in self.views_due if one[0] <= now]:
            self.views_due.remove(due)
            self._seen(due[1], online=due[2])
        for at, command in [one for one in self.unsent if one[0] <= now]:
            self.unsent.remove((at, command))
            if self.growyd is not None:
                self.do(self.growyd.expired(command.actuator, command.id, self.moment))
        if self.link_back_at <= now:
            self.link_back()
        self.tick()

    def tick(self) -> None:
        for name in [name for name, claim in self.claims.items() if claim.until <= self.now]:
            del self.claims[name]
        lapsed = self._note_lapses()
        if self.growyd is not None and (lapsed or self.growyd.next_due() <= self.now):
            self.do(self.growyd.tick(self.moment))

    def _note_lapses(self) -> bool:
        """Whether a sensor has gone stale on which a claim rests."""
        stale = {
            name
            for name, claim in self.claims.items()
            if claim.basis and not all(self.fresh(series, self.now) for series in claim.basis)
        }
        before, self.stale = self.stale, stale
        self.lapsed |= stale
        return not stale <= before

    def _seen(self, esp_id: str, *, online: bool) -> None:
        """growyd has noticed that a device is gone, or has answered its first heartbeat."""
        device = self.devices[esp_id]
        if not online:
            if not device.connected:
                self.show(device, online=False)
        elif self.growyd is None or self.link_back_at < NEVER:
            self.views_due.append((self.now + 5.0, esp_id, True))
        elif device.connected:
            device.acknowledged(self.now)
            device.boots_told = device.boots
            self.show(device, ready=False, ready_at=self.now + READY_S)

    # --- what can happen ----------------------------------------------------------------------------------------------

    def claim(self, claim: Claim) -> None:
        if self.growyd is not None:
            # What time does is done first, and still by the claim that this one replaces.
            self.tick()
            name = (claim.holder, claim.actuator)
            self.claims[name] = claim
            self.lapsed.discard(name)
            self._note_lapses()
            self.do(self.growyd.hold(claim, self.moment))

    def release(self, holder: str, key: ActuatorKey | None) -> None:
        if self.growyd is not None:
            for name in [name for name in self.claims if name[0] == holder and key in (None, name[1])]:
                del self.claims[name]
            self.do(self.growyd.release(holder, key, self.moment))

    def sample(self, series: int, good: bool) -> None:
        self.failed[series] = not good
        if good:
            self.sampled_at[series] = self.now
        self.tick()

    def set_stops(self, stops: dict[str, Stop]) -> None:
        self.stops = stops
        if self.growyd is not None:
            self.do(self.growyd.stopped(tuple(stops.values()), self.moment))

    def cut(self, esp_id: str, *, drops: bool) -> None:
        device = self.devices[esp_id]
        if device.connected:
            self.counts.cuts += 1
            device.cut(self.now, drops=drops)
            self.views_due.append((self.now + 30.0 * self.dice.random(), esp_id, False))

    def reconnect(self, esp_id: str) -> None:
        device = self.devices[esp_id]
        if not device.connected:
            device.reconnect(self.now)
            self.views_due.append((device.heartbeat_at(self.now, 2.0), esp_id, True))

    def reboot(self, esp_id: str) -> None:
        device = self.devices[esp_id]
        self.counts.boots += 1
        device.boot(self.now)
        self.views_due.append((device.heartbeat_at(self.now, 5.0), esp_id, True))

    def jump(self, hours: float) -> None:
        """Somebody sets the wall clock."""
        self.counts.jumps += 1
        self.wall_off_ms += int(hours * 3_600_000)
        self._new_day(opening=False)

    def link_lost(self, seconds: float) -> None:
        """growyd loses its broker."""
        if self.growyd is not None and self.link_back_at == NEVER:
            self.link_back_at = self.now + seconds
            for esp_id, device in self.devices.items():
                self.show(device, online=self.views[esp_id].online, ready=False)

    def link_back(self) -> None:
        self.link_back_at = NEVER
        for esp_id, device in self.devices.items():
            if self.views[esp_id].online:
                self.show(device, ready=False, ready_at=self.now + READY_S)
        self._deliver_held()

    def refresh(self) -> None:
        """Setups or approvals have changed."""
        for esp_id, device in self.devices.items():
            view = self.views[esp_id]
            self.show(device, online=view.online, ready=view.ready, ready_at=view.ready_at)

    def mend(self) -> None:
        """The network is well, everything is set up, approved and free, and sensors are read."""
        self._mend_network()
        for device in self.devices.values():
            if device.board.emergency:
                device.release(self.now)
        if not all((*self.enabled.values(), *self.approved.values())):
            self.enabled = dict.fromkeys(ACTUATORS, True)
            self.approved = dict.fromkeys((A, B), True)
            self.refresh()
        if self.stops:
            self.set_stops({})
        for series in (1, 2):
            self.sample(series, True)

    def calm(self) -> None:
        """Nobody wants anything, and the network is well: then nothing may be on."""
        self._mend_network()
        for holder in {name[0] for name in self.claims}:
            self.release(holder, None)
        self.pass_time(CALM_S)
        for key in ACTUATORS:
            assert not self.truth(key).on, f"{key} was left on"

    def _mend_network(self) -> None:
        for device in self.devices.values():
            device.loss, device.twice, device.delay_s = 0.0, 0.0, 0.05
            self.reconnect(device.esp_id)
        if self.link_back_at < NEVER:
            self.link_back()

    def end(self) -> None:
        for device in self.devices.values():
            self.counts.starts += sum(truth.starts for truth in device.truth.values())
