"""What Kaisers' stores send, taken into God's: each reading once, however often and in whatever pieces it comes.

The cursor moves in the transaction that takes the readings. A store whose ids begin anew (a new card, a backup that was
put back) says so by another instance; what it sends again is recognised by what is stored. Must never acknowledge what
is not on the disk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import msgspec
import numpy as np
import trio

from growy.model.audit import AuditEntry
from growy.model.errors import StoreError, WireError
from growy.model.reading import Bus, Columns, SeriesKey
from growy.ops.log import get_log
from growy.store.audit import AuditFilter
from growy.store.blob import decode as readings_of
from growy.store.shipping import Taken, check_of
from growy.store.store import Store
from growy.wire import shipments
from growy.wire.shipments import Commit, Event, Paper, Progress, Shipment

log = get_log(__name__)

EVENT_CURSORS = "taken_events"
"""Key in growy.db: JSON, "node/instance" -> the last entry that was taken."""
WAITING = 32
"""Shipments that wait for the disk. One that finds no room is sent again."""


@attrs.frozen(kw_only=True)
class ReceivingStatistics:
    """Counted since start."""

    shipments: int
    readings: int
    events: int
    repeats: int
    """Commits that were there already."""
    doubles: int
    """Readings that a restored store sent again."""
    damaged: int
    """Commits that cannot be read, and readings of series that cannot be named: they stay with their Kaiser."""
    missing: int
    """Commits that their Kaiser had let go before they were sent."""
    unreadable: int
    """Messages."""
    no_room: int


@attrs.define
class _Names:
    """What ids of one session mean here."""

    session: str
    series: dict[int, int] = attrs.field(factory=dict)
    conversions: dict[int, int] = attrs.field(factory=lambda: {0: 0})


class Receiver:
    """Trio thread only. Open it with `open_receiver`.

    Args:
        answer: sends a message to the node that is named.
        refusal: why nothing is taken from a node's installation; None: it is.
        on_readings: told of what has been taken, once it is on the disk.
        on_paper: takes the newest papers of a device, onto the disk.
    """

    def __init__(
        self,
        store: Store,
        taken: list[Taken],
        events: dict[str, int],
        *,
        answer: Callable[[str, bytes], object],
        refusal: Callable[[str, str], str | None],
        on_readings: Callable[[Columns], None],
        wall_ms: Callable[[], int],
        on_paper: Callable[[str, Paper], Awaitable[None]] | None = None,
    ) -> None:
        self._on_paper = on_paper
        self._store = store
        self._taken = {(one.node, one.instance): one for one in taken}
        self._event_cursors = events
        self._answer = answer
        self._refusal = refusal
        self._on_readings = on_readings
        self._wall_ms = wall_ms
        self._names: dict[str, _Names] = {}
        self._send, self._receive = trio.open_memory_channel[tuple[str, bytes]](WAITING)
        self._shipments = self._readings = self._events = self._repeats = self._doubles = 0
        self._damaged = self._missing = self._unreadable = self._no_room = 0

    def take(self, node: str, payload: bytes) -> None:
        """A message of that node's; does not wait."""
        try:
            self._send.send_nowait((node, payload))
        except trio.WouldBlock:
            self._no_room += 1

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        async for node, payload in self._receive:
            try:
                await self.process(node, payload)
            except WireError as error:
                self._unreadable += 1
                log.once_per("shipment").warning("a shipment cannot be read", node=node, error=str(error))
            except StoreError as error:  # no answer: it comes again
                log.once_per("taking").error("a shipment cannot be stored", node=node, error=str(error))

    async def process(self, node: str, payload: bytes) -> None:
        """Takes one shipment, then says how far we are.

        Raises:
            WireError: it cannot be read.
            StoreError: it could not be stored; nothing was said.
        """
        shipment = shipments.decode(payload, Shipment)
        refusal = self._refusal(node, shipment.installation)
        if refusal:
            self._say(node, shipment, refusal=refusal)
            return
        names = self._learn(node, shipment)
        known = await self._take_commits(node, shipment, names)
        if known:
            await self._take_events(node, shipment)
            if self._on_paper is not None:
                for paper in shipment.papers:
                    await self._on_paper(node, paper)
        self._shipments += 1
        self._say(node, shipment, names_wanted=not known)

    def _say(self, node: str, shipment: Shipment, *, refusal: str = "", names_wanted: bool = False) -> None:
        taken = self._taken_of(node, shipment)
        progress = Progress(
            instance=shipment.instance,
            session=shipment.session,
            cursor=taken.cursor,
            check=taken.check,
            events=self._event_cursors.get(f"{node}/{shipment.instance}", 0),
            names_wanted=names_wanted,
            refusal=refusal,
        )
        self._answer(node, shipments.encode(progress))

    def _taken_of(self, node: str, shipment: Shipment) -> Taken:
        found = self._taken.get((node, shipment.instance))
        return found or Taken(node=node, instance=shipment.instance, cursor=0)

    def _learn(self, node: str, shipment: Shipment) -> _Names:
        names = self._names.get(node)
        if names is None or names.session != shipment.session:
            names = self._names[node] = _Names(shipment.session)
        for one in shipment.series:
            try:
                key = SeriesKey(one.esp_id, Bus(one.bus), one.address, one.value_type)
            except ValueError:
                continue  # of a newer growyd: its readings stay there, counted
            names.series[one.id] = self._store.catalog.intern(key, one.gpio, one.unit, self._wall_ms())
        for what in shipment.conversions:
            names.conversions[what.id] = self._store.conversions.intern(
                what.library, what.version, what.parameters
            )
        return names

    # --- readings -----------------------------------------------------------------------------------------------------

    async def _take_commits(self, node: str, shipment: Shipment, names: _Names) -> bool:
        """Whether the names of all were known; if not, nothing was taken."""
        taken = self._taken_of(node, shipment)
        new = [one for one in shipment.commits if one.id > taken.cursor]
        self._repeats += len(shipment.commits) - len(new)
        if not new:
            return True
        columns, damaged = await trio.to_thread.run_sync(_read, new)
        unknown = set(np.unique(columns.series).tolist()) - names.series.keys()
        unknown_made = set(np.unique(columns.conversion).tolist()) - names.conversions.keys()
        if (unknown or unknown_made) and not shipment.all_names:
            return False
        if unknown:
            before = len(columns)
            columns = columns.take(~np.isin(columns.series, list(unknown)))
            damaged += before - len(columns)
        columns.series = _mapped(columns.series, names.series)
        columns.conversion = _mapped(columns.conversion, names.conversions)
        columns = await self._without_doubles(node, shipment.instance, columns)
        now = attrs.evolve(
            taken,
            cursor=new[-1].id,
            check=check_of(new[-1].blob),
            newest_rx_ms=max(taken.newest_rx_ms, int(columns.rx_ms.max(initial=0))),
        )
        await self._store.commit(columns, taken=now)
        self._missing += new[0].id - taken.cursor - 1 if taken.cursor else 0
        self._damaged += damaged
        self._taken[node, shipment.instance] = now
        self._readings += len(columns)
        self._on_readings(columns)
        return True

    async def _without_doubles(self, node: str, instance: str, columns: Columns) -> Columns:
        """Without what another store of this node has sent already: the same series, times and raw value."""
        old = columns.rx_ms <= self._newest_of_others(node, instance)
        if not old.any():
            return columns
        ts_ms = columns.ts_ms[old]
        series = np.unique(columns.series[old]).tolist()
        stored = await self._store.received(series, int(ts_ms.min()), int(ts_ms.max()) + 1)
        doubles = np.isin(_prints(columns), _prints(stored)) & old
        self._doubles += int(doubles.sum())
        return columns.take(~doubles)

    def _newest_of_others(self, node: str, instance: str) -> int:
        """The latest receipt that other stores of this node have sent, Unix ms; -1: there was none."""
        others = [one for (name, which), one in self._taken.items() if name == node and which != instance]
        return max((one.newest_rx_ms for one in others), default=-1)

    # --- events -------------------------------------------------------------------------------------------------------

    async def _take_events(self, node: str, shipment: Shipment) -> None:
        place = f"{node}/{shipment.instance}"
        cursor = self._event_cursors.get(place, 0)
        new = [one for one in shipment.events if one.id > cursor]
        if not new:
            return
        cursors = {**self._event_cursors, place: new[-1].id}
        entries = [_entry(node, one) for one in new]
        old_ms = self._newest_of_others(node, shipment.instance)
        fresh = [one for one in entries if one.ts_ms > old_ms or not await self._is_stored(one)]
        await self._store.write_registry(
            audit=fresh,
            keyed={EVENT_CURSORS: msgspec.json.encode(cursors).decode()},
        )
        self._event_cursors = cursors
        self._events += len(fresh)

    async def _is_stored(self, entry: AuditEntry) -> bool:
        wanted = AuditFilter(
            event_types=(entry.event_type,),
            since_ms=entry.ts_ms,
            until_ms=entry.ts_ms + 1,
            source_id=entry.source_id,
        )
        page = await self._store.audit(wanted)
        return any(
            (row.entry.message, row.entry.details) == (entry.message, entry.details) for row in page.rows
        )

    def statistics(self) -> ReceivingStatistics:
        return ReceivingStatistics(
            shipments=self._shipments,
            readings=self._readings,
            events=self._events,
            repeats=self._repeats,
            doubles=self._doubles,
            damaged=self._damaged,
            missing=self._missing,
            unreadable=self._unreadable,
            no_room=self._no_room,
        )


async def open_receiver(
    store: Store,
    *,
    answer: Callable[[str, bytes], object],
    refusal: Callable[[str, str], str | None],
    on_readings: Callable[[Columns], None],
    wall_ms: Callable[[], int],
    on_paper: Callable[[str, Paper], Awaitable[None]] | None = None,
) -> Receiver:
    """Reads how far this God is with each node. Raises StoreError."""
    make = partial(
        Receiver, answer=answer, refusal=refusal, on_readings=on_readings, wall_ms=wall_ms, on_paper=on_paper
    )
    events = await store.keyed(EVENT_CURSORS)
    cursors = msgspec.json.decode(events, type=dict[str, int]) if events else {}
    return make(store, await store.shipping.taken(), cursors)


def _read(commits: list[Commit]) -> tuple[Columns, int]:
    """In a worker thread: the readings of all commits in order, and how many commits are damaged."""
    parts, damaged = [], 0
    for one in commits:
        try:
            parts.append(readings_of(one.blob))
        except StoreError:
            damaged += 1
    return Columns.concat(parts), damaged


def _mapped(
    ids: np.ndarray[tuple[int], np.dtype[np.int32]], names: dict[int, int]
) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    different, inverse = np.unique(ids, return_inverse=True)
    return np.array([names.get(number, 0) for number in different.tolist()], np.int32)[inverse]


def _prints(columns: Columns) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """One comparable item for each reading."""
    rows = np.empty(len(columns), [("s", "<i8"), ("t", "<i8"), ("x", "<i8"), ("r", "<i8")])
    rows["s"], rows["t"], rows["x"] = columns.series, columns.ts_ms, columns.rx_ms
    rows["r"] = columns.raw.view(np.int64)
    return rows.view(np.dtype((np.void, rows.itemsize))).ravel()


def _entry(node: str, event: Event) -> AuditEntry:
    """A Kaiser's entry as God keeps it: with the Kaiser's name."""
    try:
        entry = msgspec.json.decode(event.entry, type=AuditEntry)
        return attrs.evolve(entry, details={**entry.details, "kaiser": node})
    except msgspec.DecodeError:
        # Of a newer growyd. That there was something is worth knowing.
        return AuditEntry(
            ts_ms=0, event_type="unreadable", message="An event of a newer growyd", details={"kaiser": node}
        )
