"""Commits on their way from a Kaiser to its God, and how far God has come with whom.

A Kaiser's journal is its own send queue: while commits are held, sealing them frees no slot until God has them on disk
(`Store.shipped`). Nothing is written for it: the cursor is God's, in the transaction that takes the readings, so that
each is there once whatever breaks off. Must never let a commit that was not taken be overwritten while there is room.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import attrs

from growy.model.errors import StoreError
from growy.store.journal import unpack_row
from growy.store.opening import Opened
from growy.store.readers import Readers
from growy.store.writer import Writer


@attrs.frozen(slots=True)
class Shipment:
    """Commits in order, each whole: the blobs of `growy.store.blob`, with the series ids of the node they are of."""

    commits: tuple[tuple[int, bytes], ...]
    """(commit id, blob). Ids rise by one, unless commits in between are lost."""

    @property
    def last(self) -> int:
        return self.commits[-1][0]


@attrs.frozen(slots=True, kw_only=True)
class Taken:
    """How far the commits of one store have come into this one."""

    node: str
    instance: str
    """Which store of that node: a new card, or one that was restored from a backup, begins anew."""
    cursor: int
    """The last commit that was taken; 0: none."""
    check: int = 0
    """CRC-32 of that commit: a store that knows another one under the same id was restored."""
    newest_rx_ms: int = 0
    """The latest receipt of anything taken from the node: what a restored store sends again is not later."""


class Shipping:
    """The commits of an open store as a queue. Trio thread only; nothing is held unless the store was opened so."""

    def __init__(self, opened: Opened, writer: Writer, readers: Readers) -> None:
        self._opened = opened
        self._writer = writer
        self._readers = readers

    async def last(self) -> int:
        """Id of the last commit; 0: there was none."""
        return await self._writer.run(lambda: self._opened.journal.last_commit, self._opened.series)

    async def after(self, commit_id: int, most_bytes: int) -> Shipment | None:
        """The next commits, at least one if there is one, and no more than fit.

        Raises:
            StoreError: they cannot be read.
        """
        journal = self._opened.journal
        slots = await self._writer.run(lambda: journal.after(commit_id, most_bytes), self._opened.series)
        if not slots:
            return None
        return await self._readers.series(lambda db: read_commits(db, slots))

    async def shipped(self, commit_id: int) -> None:
        """Commits up to that one are safe elsewhere."""
        journal = self._opened.journal
        await self._writer.run(lambda: journal.hold(commit_id), self._opened.series)

    async def shorten(self, most_bytes: int) -> int:
        """Gives up sending the oldest commits that are held, until the others are no larger; of how many. They stay
        stored here.
        """
        journal = self._opened.journal
        return await self._writer.run(lambda: journal.shorten(most_bytes), self._opened.series)

    async def taken(self) -> list[Taken]:
        """How far this store has come with all others. Raises StoreError."""
        return await self._readers.series(read_taken)


def check_of(blob: bytes) -> int:
    """What `Taken.check` compares: the CRC that the blob begins with."""
    return int.from_bytes(blob[1:5], "little")


def read_commits(db: apsw.Connection, slots: Sequence[tuple[int, int]]) -> Shipment:
    """The commits in these (id, slot)s of the journal, which are held.

    Raises:
        StoreError: a slot holds another commit. It was let go meanwhile.
    """
    commits = []
    for commit_id, slot in slots:
        found, blob = unpack_row(db.execute("SELECT data FROM journal WHERE slot = ?", (slot,)).get)
        if found != commit_id:
            raise StoreError(f"commit {commit_id} is no longer in the journal")
        commits.append((commit_id, blob))
    return Shipment(tuple(commits))


def write_taken(db: apsw.Connection, taken: Taken) -> None:
    """Inside the transaction that takes the readings."""
    db.execute(
        "INSERT INTO taken (node, instance, cursor, check_, newest_rx_ms) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (node, instance) DO UPDATE SET"
        " cursor = excluded.cursor, check_ = excluded.check_, newest_rx_ms = excluded.newest_rx_ms",
        (taken.node, taken.instance, taken.cursor, taken.check, taken.newest_rx_ms),
    )


def read_taken(db: apsw.Connection) -> list[Taken]:
    rows = db.execute(
        "SELECT node, instance, cursor, check_, newest_rx_ms FROM taken ORDER BY node, instance"
    )
    return [
        Taken(node=node, instance=instance, cursor=cursor, check=check, newest_rx_ms=newest)
        for node, instance, cursor, check, newest in rows
    ]
