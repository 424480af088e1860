"""A Kaiser's readings and events on their way to God: store and forward, in order, each once.

God's cursors are the truth, so that nothing is written here to know what was sent: after a restart God is asked. One
shipment is under way at a time; what is lost is said again. Must never hold up the store, nor fill the uplink that
commands and leases go over: hence the rate.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable

import attrs
import msgspec
import numpy as np
import trio

from growy.model.errors import StoreError, WireError
from growy.model.tree_messages import NodeRefusal
from growy.ops.log import get_log
from growy.store import shipping
from growy.store.blob import decode as readings_of
from growy.store.catalog import Conversion
from growy.store.store import Store
from growy.wire import shipments
from growy.wire.shipments import Commit, ConversionName, Event, Paper, Progress, SeriesName, Shipment

log = get_log(__name__)

INSTANCE = "store_instance"
"""Key in growy.db: which store this is, among all that were ever called by this Kaiser's id."""
SHIPMENT_BYTES = 128 * 1024
EVENTS = 100
"""In one shipment."""
NO_WAY_S = 0.5
"""Between two looks whether the uplink is there."""
ANSWER_S = 10.0
LONGEST_ANSWER_S = 120.0
PAUSE_S = 5.0
"""Between two looks for something new: the commits of that time travel together."""
REFUSED_S = 5.0


@attrs.frozen(kw_only=True)
class SendingStatistics:
    """Counted since start."""

    cursor: int
    """The last commit that God has; 0 while that is not known."""
    behind: int
    """Commits that God does not have."""
    readings: int
    events: int
    bytes: int
    repeats: int
    """Shipments that were not answered in time."""
    given_up: int
    """Commits that will not reach God: there were more than the backlog may hold. They are stored here."""
    refusal: str
    """Why God takes nothing; empty: it does."""


async def no_papers() -> list[Paper]:
    return []


async def no_wait() -> None:
    return


class Sender:
    """Trio thread only.

    Args:
        installation: this node's, as it stands in its reports.
        publish: hands a message to the uplink; False when it cannot take it now.
        papers: of all devices that are ours.
        rate: bytes a second at most, on average.
        backlog: bytes of commits that are kept for God though they are sealed.
    """

    def __init__(
        self,
        store: Store,
        installation: str,
        *,
        publish: Callable[[bytes], bool],
        rate: float,
        backlog: int,
        papers: Callable[[], Awaitable[list[Paper]]] = no_papers,
    ) -> None:
        self._store = store
        self._installation = installation
        self._publish = publish
        self._rate = rate
        self._backlog = backlog
        self._papers = papers
        self._told_papers: dict[str, str] = {}
        """By device, the version that God has, or is being told."""
        self._known_papers: dict[str, str] = {}
        self._hurry = trio.Event()
        self._progressed = trio.Event()
        self._instance = ""
        self._session = secrets.token_hex(8)
        self._told: dict[int, object] = {}
        """By series id, what God was told of it in this session."""
        self._told_conversions: set[int] = set()
        self._heard = trio.Event()
        self._progress: Progress | None = None
        self._cursor = self._events = self._last = 0
        self._readings = self._events_sent = self._bytes = self._repeats = self._given_up = 0
        self._refusal = ""

    def heard(self, payload: bytes) -> None:
        """God's answer. One that cannot be read, or that is meant for another store, is as good as none."""
        try:
            progress = shipments.decode(payload, Progress)
        except WireError as error:
            log.once_per("progress").warning("God's answer cannot be read", error=str(error))
            return
        if progress.instance == self._instance and progress.session == self._session:
            self._progress = progress
            self._heard.set()

    async def papers_told(self) -> None:
        """Returns when God has all papers as they are now."""
        wanted = {one.esp_id: one.version for one in await self._papers()}
        while any(self._known_papers.get(esp_id) != version for esp_id, version in wanted.items()):
            progressed = self._progressed
            self._hurry.set()
            await progressed.wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sends for ever."""
        task_status.started()
        while True:
            try:
                self._instance = await self._store.keyed(INSTANCE) or await self._new_instance()
                await self._agree()
                await self._go_on()
            except StoreError as error:
                log.once_per("sending").error("readings are not sent to God", error=str(error))
                await trio.sleep(REFUSED_S)

    async def _new_instance(self) -> str:
        self._instance = secrets.token_hex(8)
        await self._store.set_keyed(INSTANCE, self._instance)
        return self._instance

    # --- agreeing -----------------------------------------------------------------------------------------------------

    async def _agree(self) -> None:
        """Until it is known how far God is with this very store."""
        while True:
            question = Shipment(
                instance=self._instance, session=self._session, installation=self._installation
            )
            progress = await self._ask(question)
            self._refusal = progress.refusal
            if progress.refusal == NodeRefusal.NOT_MET:
                await trio.sleep(NO_WAY_S)  # our report is on its way
            elif progress.refusal:
                log.once_per("refused").warning("God takes nothing from this Kaiser", reason=progress.refusal)
                await trio.sleep(REFUSED_S)
            elif await self._is_ours(progress):
                self._cursor, self._events = progress.cursor, progress.events
                return
            else:
                log.warning("this store was restored: God knows a later one", cursor=progress.cursor)
                await self._new_instance()

    async def _is_ours(self, progress: Progress) -> bool:
        """Whether God's cursor is in the life of this store. One that was restored from a backup gives ids again."""
        if progress.cursor > await self._store.shipping.last():
            return False
        at = await self._store.shipping.after(progress.cursor - 1, 1) if progress.cursor else None
        if at is None or at.commits[0][0] != progress.cursor:
            return True  # long sealed
        return shipping.check_of(at.commits[0][1]) == progress.check

    async def _ask(self, shipment: Shipment) -> Progress:
        """Says it until the answer to it comes."""
        last = shipment.commits[-1].id if shipment.commits else 0
        events = shipment.events[-1].id if shipment.events else 0
        patience = ANSWER_S
        payload = shipments.encode(shipment)
        while True:
            if not self._publish(payload):
                await trio.sleep(NO_WAY_S)
                continue
            self._bytes += len(payload)
            with trio.move_on_after(patience):
                while True:
                    await self._heard.wait()
                    self._heard, progress = trio.Event(), self._progress
                    assert progress is not None
                    done = progress.cursor >= last and progress.events >= events
                    if done or progress.names_wanted or progress.refusal:
                        return progress
            self._repeats += 1
            patience = min(2 * patience, LONGEST_ANSWER_S)

    # --- sending ------------------------------------------------------------------------------------------------------

    async def _go_on(self) -> None:
        """Sends until God says something unexpected."""
        queue = self._store.shipping
        while True:
            await queue.shipped(self._cursor)
            self._given_up += await queue.shorten(self._backlog)
            self._last = await queue.last()
            shipment, readings = await self._next()
            if shipment is None:
                with trio.move_on_after(PAUSE_S):
                    await self._hurry.wait()
                self._hurry = trio.Event()
                continue
            before = self._bytes
            progress = await self._ask(shipment)
            if progress.names_wanted:  # God has restarted
                self._told.clear()
                self._told_conversions.clear()
                self._told_papers.clear()
                self._known_papers.clear()
                continue
            if progress.refusal:
                return
            self._readings += readings
            self._events_sent += len(shipment.events)
            self._cursor, self._events = progress.cursor, progress.events
            self._known_papers |= {one.esp_id: one.version for one in shipment.papers}
            self._progressed.set()
            self._progressed = trio.Event()
            await trio.sleep(max((self._bytes - before) / self._rate, 0.0))

    async def _next(self) -> tuple[Shipment | None, int]:
        """What is next, and how many readings are in it."""
        found = await self._store.shipping.after(self._cursor, SHIPMENT_BYTES)
        events = await self._store.audit_after(self._events, EVENTS)
        papers = _some(
            one for one in await self._papers() if self._told_papers.get(one.esp_id) != one.version
        )
        if found is None and not events and not papers:
            return None, 0
        self._told_papers |= {one.esp_id: one.version for one in papers}
        commits = () if found is None else found.commits
        all_names = not self._told
        series, conversions, readings = await trio.to_thread.run_sync(_named, [blob for _, blob in commits])
        return Shipment(
            instance=self._instance,
            session=self._session,
            installation=self._installation,
            commits=tuple(Commit(id, blob) for id, blob in commits),
            events=tuple(Event(row.id, msgspec.json.encode(attrs.asdict(row.entry))) for row in events),
            series=tuple(self._untold_series(series)),
            conversions=tuple(self._untold_conversions(conversions)),
            papers=tuple(papers),
            all_names=all_names,
        ), readings

    def _untold_series(self, ids: Iterable[int]) -> Iterable[SeriesName]:
        """Names that God was not told, or that say something else by now. Told with the answer; until then, again."""
        for number in ids:
            one = self._store.catalog.get(number)
            if self._told.get(number) is not one:
                self._told[number] = one
                key = one.key
                yield SeriesName(
                    number, key.esp_id, str(key.bus), key.address, key.value_type, one.gpio, one.unit
                )

    def _untold_conversions(self, ids: Iterable[int]) -> Iterable[ConversionName]:
        for number in ids:
            if number and number not in self._told_conversions:
                self._told_conversions.add(number)
                one: Conversion = self._store.conversions.get(number)
                yield ConversionName(number, one.library, one.version, one.parameters)

    def statistics(self) -> SendingStatistics:
        return SendingStatistics(
            cursor=self._cursor,
            behind=max(0, self._last - self._cursor),
            readings=self._readings,
            events=self._events_sent,
            bytes=self._bytes,
            repeats=self._repeats,
            given_up=self._given_up,
            refusal=self._refusal,
        )


def _some(papers: Iterable[Paper]) -> list[Paper]:
    """So many that a shipment does not become too large; the others come next."""
    found: list[Paper] = []
    size = 0
    for one in papers:
        size += len(one.content)
        if found and size > SHIPMENT_BYTES:
            break
        found.append(one)
    return found


def _named(blobs: list[bytes]) -> tuple[list[int], list[int], int]:
    """Series and conversions that occur in commits, and how many readings there are. A damaged one names nothing: God
    finds out, too.
    """
    series: set[int] = set()
    conversions: set[int] = set()
    readings = 0
    for blob in blobs:
        try:
            columns = readings_of(blob)
        except StoreError:
            continue
        series.update(np.unique(columns.series).tolist())
        conversions.update(np.unique(columns.conversion).tolist())
        readings += len(columns)
    return sorted(series), sorted(conversions), readings
