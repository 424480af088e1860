"""Control as the other rooms meet it: readings and devices in, commands out, and what people may ask and order.

The cores decide (`switchboard`, `rules.engine`, `emergency`), `performing` carries out; here is the order of things and
the only clock. Everything is handled at once, on the trio thread, in the order in which it comes; only people wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import attrs
import trio

from growy.control.commanding import Commanding
from growy.control.emergencies import Emergencies, EmergencyStatistics, Ended, Ordered
from growy.control.handing_over import HandingOver
from growy.control.interlocking import Interlocking
from growy.control.journal import ControlJournal, JournalStatistics
from growy.control.lookup import Lookup
from growy.control.notices import Notices, NoticeStatistics
from growy.control.performing import Ways
from growy.control.reporting import response_event, status_event
from growy.control.rules.book import RuleBook
from growy.control.rules.engine import RuleEngine, RuleStatistics
from growy.control.samples import trusted
from growy.control.stops.effects import StopReport
from growy.control.switchboard import Switchboard
from growy.control.tenancy import Tenancy
from growy.control.trying import Trying
from growy.model.control import ActuatorKey, ActuatorState
from growy.model.errors import ActuatorNotFound
from growy.model.events import (
    ActuatorResponse,
    ActuatorStatus,
    EmergencyResponse,
    IntentOutcome,
    RecoveryConfirm,
)
from growy.model.reading import Columns
from growy.model.setup import SensorSetup
from growy.model.time import Moment
from growy.ops.log import get_log
from growy.store.actuators import HistoryKind, HistoryRow
from growy.store.store import Store
from growy.store.usage import Usage
from growy.wire.table import Message
from growy.wire.topics import Topic

log = get_log(__name__)

TICK_S = 1.0
"""At least so often everything that time alone changes is looked at."""


@attrs.frozen(kw_only=True)
class ControlStatistics:
    actuators: int
    on: int
    """By what their devices say."""
    claims: int
    refused_now: int
    """Actuators whose highest claim the gate refuses."""
    commands: Mapping[str, int]
    """By how they ended; renewals too."""
    renewals: int
    unsent: int
    """Commands that found no room in the link, or no device."""
    refusals: Mapping[str, int]
    """By code of the gate."""
    contests: int
    oscillations: int
    faults: int
    rules: RuleStatistics
    emergency: EmergencyStatistics
    journal: JournalStatistics
    notices: NoticeStatistics


class Control(Commanding):
    """Made by `growy.control.opening.open_control`. Trio thread only."""

    def __init__(
        self,
        ways: Ways,
        store: Store,
        lookup: Lookup,
        engine: RuleEngine,
        switchboard: Switchboard,
        book: RuleBook,
        emergencies: Emergencies,
        interlocking: Interlocking,
        handing_over: HandingOver,
        trying: Trying,
        tenancy: Tenancy,
        journal: ControlJournal,
        notices: Notices,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(ways, engine, switchboard, journal, notices)
        self.book = book
        self.emergencies = emergencies
        self.interlocking = interlocking
        self.trying = trying
        self.tenancy = tenancy
        self._handing_over = handing_over
        self._store = store
        self._lookup = lookup
        self._beat = beat
        self._planned = -math.inf
        """When the loop looks again by itself."""
        self._places: dict[str, tuple[tuple[SensorSetup, ...], str]] = {}
        """By device: where its sensors stand, as rules were told last."""

    # --- what happens -------------------------------------------------------------------------------------------------

    def take(self, columns: Columns) -> None:
        """Readings as converted, before they are committed: control does not wait for the disk."""
        if not len(columns):
            return
        moment = self._ways.moment()
        series: list[int] = columns.series.tolist()
        changed = self._lookup.met(set(series))
        for esp_id in changed:
            self.perform(self._engine.met(esp_id, moment))
        good = trusted(columns.quality).tolist()
        values = [
            value if fine and value == value else None  # NaN is no value
            for value, fine in zip(columns.value.tolist(), good, strict=True)
        ]
        self._journal.heard(len(columns))
        # Of these and no later ones: others have been received and are still being converted.
        self.perform(self._engine.readings(series, values, moment, int(columns.rx_ms.max())))
        self._look_again()

    def committed(self, columns: Columns) -> None:
        """Readings that were taken are on disk: what rules remember of them may be, too."""
        self._journal.committed(len(columns))

    def handle(self, topic: Topic, message: Message | None, now_ms: int) -> None:
        """Any message of a device that is not a reading; after the fleet has taken it."""
        if message is None:
            return
        moment = self._ways.moment()
        self.emergencies.heard(topic.esp_id, message)
        match message:
            case ActuatorStatus(gpio=gpio):
                key = ActuatorKey(topic.esp_id, gpio)
                self._ways.tell("actuator_status", status_event(key, message, now_ms), None)
                self.perform(self._switchboard.status(key, message, moment))
            case ActuatorResponse(gpio=gpio):
                key = ActuatorKey(topic.esp_id, gpio)
                self._ways.tell(
                    "actuator_response", response_event(key, message, now_ms), message.correlation_id
                )
                self.perform(self._switchboard.response(key, message, moment))
            case IntentOutcome(flow="command"):
                self.perform(self._switchboard.outcome(topic.esp_id, message, moment))
            case EmergencyResponse() | RecoveryConfirm():
                self.perform(self._switchboard.unlatched(topic.esp_id, moment))
            case _:
                return
        self._look_again()

    def device_changed(self, esp_id: str) -> None:
        """The fleet has news of a device: it came, went, booted, was set up, or deleted."""
        moment = self._ways.moment()
        view = self._ways.view(esp_id)
        if view is None:
            self._places.pop(esp_id, None)
            self.emergencies.core.forget(esp_id)
            self.perform(self._switchboard.gone(esp_id, moment))
            return
        self._handing_over.device_changed(view)
        places = (view.sensors, view.zone_id)
        if self._places.get(esp_id) != places:
            # What rules name may mean another series now, or go stale sooner.
            self._places[esp_id] = places
            self._lookup.sensors_changed(esp_id)
            self.perform(self._engine.met(esp_id, moment))
        self.emergencies.device_seen(view)
        self.perform(self._switchboard.device(view, moment))
        self._wake.set()

    def link(self, connected: bool) -> None:
        """growyd's own connection to the broker."""
        self.emergencies.link(connected)

    def stops_changed(self) -> None:
        """Emergency stops came into force or ended."""
        self.perform(self._switchboard.stopped(self.emergencies.core.stops, self._ways.moment()))
        self._wake.set()

    def tick(self) -> None:
        """What time alone does."""
        moment = self._ways.moment()
        self.emergencies.tick()
        self.perform(self._engine.tick(moment))
        self.perform(self._switchboard.tick(moment))
        self.perform(self._escalation.tick(moment))
        self._forget_ended_claims()

    def _look_again(self) -> None:
        """Wakes the loop if something is due sooner than it knows. Called per batch of readings, so it is cheap."""
        if self._next_due() < self._planned:
            self._wake.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. A fault in here ends the daemon: systemd starts it again."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._journal.run)
            await nursery.start(self.emergencies.run)
            await nursery.start(self._notices.run)
            await nursery.start(self._handing_over.run)
            task_status.started()
            while True:
                self.tick()
                self._beat()
                self._wake = trio.Event()
                due = min(self._next_due(), self.emergencies.core.next_due(), trio.current_time() + TICK_S)
                self._planned = due
                with trio.move_on_at(due):
                    await self._wake.wait()

    async def flush(self) -> None:
        """For the stop: what control remembers is on disk. What runs goes on until its lease is over."""
        await self._journal.write()

    # --- emergency stop, interlocks -----------------------------------------------------------------------------------

    async def stop(
        self, *, esp_id: str | None = None, gpio: int | None = None, reason: str, by: str
    ) -> Ordered:
        """As `Emergencies.stop`."""
        return await self.emergencies.stop(esp_id=esp_id, gpio=gpio, reason=reason, by=by)

    async def clear(
        self,
        *,
        esp_id: str | None = None,
        gpio: int | None = None,
        reason: str,
        by: str,
        wait_s: float = 15.0,
    ) -> Ended:
        """As `Emergencies.clear`."""
        return await self.emergencies.clear(esp_id=esp_id, gpio=gpio, reason=reason, by=by, wait_s=wait_s)

    def stops(self) -> list[StopReport]:
        """Of every emergency stop in force, how far it has come."""
        return self.emergencies.core.report()

    def moment(self) -> Moment:
        """Now, as control judges it."""
        return self._ways.moment()

    # --- looking ------------------------------------------------------------------------------------------------------

    def states(self) -> list[ActuatorState]:
        """Every actuator that is set up, by device and pin."""
        moment = self._ways.moment()
        return [self._state(key, moment) for key in self._switchboard.actuators()]

    def state(self, actuator: ActuatorKey) -> ActuatorState:
        """Raises EspNotFound, ActuatorNotFound."""
        self._need(actuator)
        return self._state(actuator, self._ways.moment())

    def max_age_s(self, series_id: int) -> float:
        """How old the newest value of a series may be before its sensor counts as stale, seconds."""
        return self._lookup.max_age_s(series_id)

    def _state(self, key: ActuatorKey, moment: Moment) -> ActuatorState:
        board = self._switchboard
        output, setup = board.output(key), board.setup(key)
        if output is None or setup is None:
            raise ActuatorNotFound(f"{key.esp_id} has no actuator on gpio {key.gpio}")
        account = board.account(key, moment)
        lease = output.lease_to if output.known else math.inf
        claims = board.claims.live(key)
        return ActuatorState(
            actuator=key,
            kind=setup.kind,
            wanted=claims[0].value if claims else 0.0,
            output=output.want.value,
            reported=output.known,
            claim=claims[0] if claims else None,
            refusal=board.refusal(key),
            claims=claims,
            emergency=output.latched or any(stop.covers(key) for stop in self.emergencies.core.stops),
            command=output.last,
            lease_until_ms=None if math.isinf(lease) else moment.ms_of(lease),
            reported_ms=output.reported_ms,
            on_since_ms=account.ledger.on_since_ms,
            details=board.spent(key, moment),
        )

    async def history(
        self,
        actuator: ActuatorKey,
        from_ms: int | None,
        to_ms: int | None,
        limit: int,
        kind: HistoryKind | None = None,
    ) -> list[HistoryRow]:
        """What happened to an actuator, newest first. Raises StoreError."""
        await self._journal.write()
        return await self._store.actuator_history(*actuator, from_ms, to_ms, limit, kind=kind)

    async def usage(self, actuator: ActuatorKey, from_ms: int, to_ms: int) -> Usage:
        """How long and how often it ran. Raises StoreError, Invalid."""
        await self._journal.write()
        to_ms = min(to_ms, self._ways.moment().wall_ms)
        return await self._store.actuator_usage(*actuator, min(from_ms, to_ms), to_ms)

    def statistics(self) -> ControlStatistics:
        keys = self._switchboard.actuators()
        return ControlStatistics(
            actuators=len(keys),
            on=sum(bool((output := self._switchboard.output(key)) and output.known) for key in keys),
            claims=len(self._switchboard.claims),
            refused_now=sum(self._switchboard.refusal(key) is not None for key in keys),
            commands=dict(self._commands),
            renewals=self._renewals,
            unsent=self._unsent,
            refusals=dict(self._refusals),
            contests=self._contests,
            oscillations=self._oscillations,
            faults=self._faults,
            rules=self._engine.statistics(),
            emergency=self.emergencies.statistics(),
            journal=self._journal.statistics(),
            notices=self._notices.statistics(),
        )
