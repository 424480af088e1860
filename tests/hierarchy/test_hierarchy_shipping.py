"""A Kaiser's readings and events at God: all of them, each once, whatever gets lost, repeated, killed or put back."""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import apsw
import pytest
import trio
from trio.testing import MockClock

from growy.config import StoreConfig
from growy.hierarchy.receiving import Receiver, open_receiver
from growy.hierarchy.sending import Sender
from growy.model.audit import AuditEntry
from growy.model.reading import NO_SEQ, Bus, Columns, SeriesKey
from growy.store import Store, open_store
from growy.store.audit import AuditFilter
from growy.store.journal import KEPT_COMMITS

T0 = 1_790_000_000_000
Print = tuple[str, int, int, float, float, str]


class Tree:
    """A God and a Kaiser with real stores, and an uplink that may do anything but invent."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.lose = self.double = 0.0
        self.cut = False
        self.refusal = ""
        self.clock_ms = T0
        self.counter = 0
        self.published: list[Print] = []
        self.noted: list[str] = []
        self.kaiser: Store
        self.god: Store
        self.sender: Sender
        self.receiver: Receiver
        self.backlog = 1 << 30
        self.live: list[Columns] = []

    @asynccontextmanager
    async def up(self, *, god: bool = True) -> AsyncIterator[Tree]:
        """Both processes, until the block ends: what is not on a disk is gone then."""
        async with AsyncExitStack() as stack:
            self.kaiser = await stack.enter_async_context(
                open_store(StoreConfig(min_free_mb=1), self.folder / "kaiser", ship=True)
            )
            self.sender = Sender(self.kaiser, "pi-1", publish=self._to_god, rate=1e9, backlog=self.backlog)
            nursery = await stack.enter_async_context(trio.open_nursery())
            stack.callback(nursery.cancel_scope.cancel)
            self.nursery = nursery
            self.god_up = god
            if god:
                self.god = await stack.enter_async_context(
                    open_store(StoreConfig(min_free_mb=1), self.folder / "god")
                )
                self.receiver = await open_receiver(
                    self.god,
                    answer=self._to_kaiser,
                    refusal=lambda node, installation: self.refusal,
                    on_readings=self.live.append,
                    wall_ms=lambda: self.clock_ms,
                )
                await nursery.start(self.receiver.run)
            await nursery.start(self.sender.run)
            yield self

    def _to_god(self, payload: bytes) -> bool:
        if self.god_up:
            for _ in range(self._copies()):
                self.receiver.take("k1", payload)
        return True

    def _to_kaiser(self, node: str, payload: bytes) -> None:
        assert node == "k1"
        for _ in range(self._copies()):
            self.nursery.start_soon(self._later, payload)

    async def _later(self, payload: bytes) -> None:
        await trio.sleep(self.random.choice((0.0, 0.0, 0.1, 30.0)) if self.double else 0.0)
        self.sender.heard(payload)

    def _copies(self) -> int:
        if self.cut or self.random.random() < self.lose:
            return 0
        return 2 if self.random.random() < self.double else 1

    async def measure(self, count: int = 5, *, sensors: int = 3) -> None:
        """One commit at the Kaiser."""
        series, values = [], []
        for _ in range(count):
            number = self.random.randrange(sensors)
            key = SeriesKey(f"ESP_{number:06X}", Bus.GPIO, str(number), "moisture")
            series.append(self.kaiser.catalog.intern(key, number, "%", self.clock_ms))
            values.append(float(self.counter))
            self.counter += 1
        self.clock_ms += 1000
        ts = [self.clock_ms - 40] * count
        made = [
            self.kaiser.conversions.intern("moisture", "1.0.0", f'{{"at":{number % 2}}}') for number in series
        ]
        one, none, rx = [1] * count, [0] * count, [self.clock_ms] * count
        columns = Columns.of(series, ts, rx, values, values, one, [NO_SEQ] * count, none, made)
        self.published += prints(self.kaiser, columns)
        await self.kaiser.commit(columns)

    async def happen(self) -> None:
        text = f"event {len(self.noted)}"
        self.noted.append(text)
        self.clock_ms += 1
        await self.kaiser.write_audit(
            [AuditEntry(ts_ms=self.clock_ms, event_type="device_online", message=text)]
        )

    async def arrive(self, seconds: float = 36_000.0) -> None:
        """Until everything has arrived; the clock is a virtual one."""
        with trio.fail_after(seconds):
            while await self.kaiser.shipping.last() > self.sender.statistics().cursor or len(
                await self.events()
            ) < len(set(self.noted)):
                await trio.sleep(1.0)

    async def stored(self) -> list[Print]:
        ids = [one.id for one in self.god.catalog.series()]
        return prints(self.god, await self.god.received(ids, 0, 1 << 60))

    async def events(self) -> list[str]:
        page = await self.god.audit(AuditFilter(event_types=("device_online",)), limit=10_000)
        assert all(row.entry.details == {"kaiser": "k1"} for row in page.rows)
        return sorted(row.entry.message for row in page.rows)


def prints(store: Store, columns: Columns) -> list[Print]:
    return [
        (
            str(store.catalog.get(row.series_id).key),
            row.ts_ms,
            row.rx_ms,
            row.raw,
            row.value or 0.0,
            store.conversions.get(row.conversion).parameters,
        )
        for row in columns.rows()
    ]


@pytest.fixture
def clock() -> MockClock:
    """Virtual time, that waits for the threads of the stores."""
    return MockClock(autojump_threshold=0.01)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


async def test_readings_and_events_arrive_with_their_names(tree: Tree, clock: object) -> None:
    async with tree.up():
        for _ in range(20):
            await tree.measure()
            await tree.happen()
        await tree.arrive()

        assert sorted(await tree.stored()) == sorted(tree.published)
        assert await tree.events() == sorted(tree.noted)
        series = tree.god.catalog.series()[0]
        assert (series.gpio, series.unit) == (int(series.key.address), "%")
        assert sum(len(one) for one in tree.live) == len(tree.published)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_the_uplink_does_each_arrives_once(tree: Tree, seed: int, clock: object) -> None:
    tree.random.seed(seed)
    for _ in range(4):
        tree.lose, tree.double = tree.random.random() * 0.6, tree.random.random() * 0.5
        async with tree.up():
            for _ in range(12):
                tree.cut = tree.random.random() < 0.3
                for _ in range(tree.random.randrange(8)):
                    await tree.measure(tree.random.randrange(1, 100), sensors=1 + tree.counter // 40)
                if tree.random.random() < 0.3:
                    await tree.happen()
                if tree.random.random() < 0.3:
                    await tree.kaiser.seal()
                await trio.sleep(tree.random.choice((0.0, 1.0, 20.0)))
    tree.lose = tree.double = 0.0
    tree.cut = False
    async with tree.up():
        await tree.arrive()

        assert sorted(await tree.stored()) == sorted(tree.published)
        assert await tree.events() == sorted(tree.noted)


async def test_what_is_sealed_meanwhile_is_kept_for_a_god_that_is_away(tree: Tree, clock: object) -> None:
    async with tree.up(god=False):
        for _ in range(KEPT_COMMITS * 6):
            await tree.measure(2)
            if tree.counter % 7 == 0:
                await tree.kaiser.seal()
        await tree.kaiser.seal()
    async with tree.up(god=False):
        for _ in range(KEPT_COMMITS * 2):
            await tree.measure(2)
        await tree.kaiser.seal()
    async with tree.up():
        await tree.arrive()

        assert sorted(await tree.stored()) == sorted(tree.published)
        assert tree.receiver.statistics().missing == 0


async def test_a_backlog_has_a_bound_and_what_is_beyond_it_is_counted(tree: Tree, clock: object) -> None:
    tree.backlog = 10_000
    async with tree.up(god=False):
        for _ in range(KEPT_COMMITS * 5):
            await tree.measure(30)
        await tree.kaiser.seal()
    async with tree.up():
        with trio.fail_after(3600):
            while not tree.sender.statistics().given_up:
                await trio.sleep(1.0)
        await tree.arrive()
        stored, lost = await tree.stored(), tree.sender.statistics().given_up

        assert set(stored) <= set(tree.published)
        assert len(stored) == len(set(stored)) == len(tree.published) - 30 * lost
        here = await tree.kaiser.received([one.id for one in tree.kaiser.catalog.series()], 0, 1 << 60)
        assert len(here) == len(tree.published), "they are stored with the Kaiser all the same"


async def test_a_kaiser_that_was_put_back_from_a_backup_sends_nothing_twice(
    tree: Tree, clock: object
) -> None:
    async with tree.up():
        for _ in range(10):
            await tree.measure()
            await tree.happen()
        await tree.arrive()
    shutil.copytree(tree.folder / "kaiser", tree.folder / "backup")
    async with tree.up():
        for _ in range(8):
            await tree.measure()
            await tree.happen()
        await tree.arrive()
    shutil.rmtree(tree.folder / "kaiser")
    shutil.copytree(tree.folder / "backup", tree.folder / "kaiser")
    tree.clock_ms += 60_000
    async with tree.up():
        for _ in range(12):
            await tree.measure()
            await tree.happen()
        await tree.arrive()

        assert sorted(await tree.stored()) == sorted(tree.published)
        assert await tree.events() == sorted(tree.noted)
        assert tree.receiver.statistics().doubles > 0


async def test_one_whose_card_was_replaced_begins_anew_and_loses_nothing(tree: Tree, clock: object) -> None:
    async with tree.up():
        for _ in range(10):
            await tree.measure()
        await tree.arrive()
    shutil.rmtree(tree.folder / "kaiser")
    tree.clock_ms -= 3_600_000  # and its clock is not set yet
    async with tree.up():
        for _ in range(5):
            await tree.measure()
        await tree.arrive()

        assert sorted(await tree.stored()) == sorted(tree.published)


async def test_a_damaged_commit_does_not_stop_the_others(tree: Tree, clock: object) -> None:
    async with tree.up(god=False):
        for _ in range(5):
            await tree.measure(20)
    db = apsw.Connection(str(tree.folder / "kaiser" / "series.db"))
    slot, data = db.execute("SELECT slot, data FROM journal ORDER BY slot LIMIT 1 OFFSET 2").fetchall()[0]
    db.execute("UPDATE journal SET data = ? WHERE slot = ?", (data[:60] + bytes(20) + data[80:], slot))
    db.close()
    async with tree.up():
        await tree.arrive()

        assert len(await tree.stored()) == 80
        assert tree.receiver.statistics().damaged == 1


async def test_a_god_that_refuses_is_asked_again_and_nothing_is_let_go(tree: Tree, clock: object) -> None:
    tree.refusal = "unknown_kaiser"
    async with tree.up():
        await tree.measure()
        await trio.sleep(30)
        assert tree.sender.statistics().refusal == "unknown_kaiser"
        assert await tree.stored() == []
        tree.refusal = ""
        await tree.arrive()

        assert sorted(await tree.stored()) == sorted(tree.published)
        assert tree.sender.statistics().refusal == ""


async def test_before_its_first_report_is_read_a_kaiser_waits_without_a_word(
    tree: Tree, clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    tree.refusal = "not_met"
    async with tree.up():
        await tree.measure()
        await trio.sleep(2)
        assert await tree.stored() == []
        tree.refusal = ""
        await trio.sleep(1)

        assert sorted(await tree.stored()) == sorted(tree.published)
        assert caplog.records == []


async def test_garbage_is_counted(tree: Tree, clock: object) -> None:
    async with tree.up():
        tree.receiver.take("k1", b"\xa1")
        tree.sender.heard(b"\xa1nonsense")
        await tree.measure()
        await tree.arrive()

        assert tree.receiver.statistics().unreadable == 1
        assert tree.sender.statistics().readings == 5
