"""The journal: one row per commit, a packed blob of the whole batch, until it is sealed into chunks.

A row is never deleted when its readings are sealed: its slot is free, and a later commit of the same size class
overwrites it in place. An insert would dirty the free list, the header page and a parent beside the data; the
overwrite dirties the data alone, which is what makes one commit a second cheap on an SD card. Must never
overwrite a commit that is not sealed.

    data = commit id (8 bytes, little endian) | length of the blob (4 bytes) | blob | zeros up to the size class
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

import apsw

from growy.store.schema import PAGE_SIZE

_HEADER = 12
_LOCAL_MIN = (PAGE_SIZE - 12) * 32 // 255 - 23
_OVERFLOW = PAGE_SIZE - 4
_RECORD = 5
"""Header of a SQLite record with one blob of up to 1 MB: its size, a NULL for the rowid, three bytes of
type."""
_SMALL = (128, 256, 512, 960)
"""Sizes that stay on the b-tree's own page; above, whole overflow pages
(https://sqlite.org/fileformat2.html#b_tree_pages)."""


def size_class(length: int) -> int:
    """Bytes of the slot for a blob of `length` bytes."""
    wanted = length + _HEADER
    for size in _SMALL:
        if wanted <= size:
            return size
    pages = -(-(wanted + _RECORD - _LOCAL_MIN) // _OVERFLOW)
    return _LOCAL_MIN + pages * _OVERFLOW - _RECORD


def unpack_row(data: bytes) -> tuple[int, bytes]:
    """(commit id, blob) of a journal row."""
    length = int.from_bytes(data[8:12], "little")
    return int.from_bytes(data[:8], "little"), data[_HEADER : _HEADER + length]


KEPT_COMMITS = 32
"""Newest commits whose rows stay readable when they are sealed. What a crash leaves committed and not acknowledged is
the last commit or two: the acknowledgement follows within milliseconds."""


def newest_blobs_of_journal(db: apsw.Connection) -> Iterator[bytes]:
    """Blobs of all commits whose rows are still there, sealed or not, newest first. In the caller's transaction."""
    heads = db.execute("SELECT substr(data, 1, 8), slot FROM journal")
    slots = sorted((int.from_bytes(head, "little"), slot) for head, slot in heads)
    for _, slot in reversed(slots):
        yield unpack_row(db.execute("SELECT data FROM journal WHERE slot = ?", (slot,)).get)[1]


class Journal:
    """Slots of the journal table; lives in the writer's thread. Ids of commits start at 1 and have no gaps."""

    def __init__(self, db: apsw.Connection, *, hold: bool = False) -> None:
        """`hold`: as `hold(0)`, from the first moment on."""
        self._db = db
        self.last_commit: int = db.execute("SELECT sealed FROM seal").get
        sealed = self.last_commit
        self._used: deque[tuple[int, int, int]] = deque()
        self._free: dict[int, list[int]] = {}
        self._slots = 0
        self._last = (0, 0, 0)
        self._shipped: float = 0 if hold else math.inf
        """Commits beyond it are held."""
        self._sealed = sealed
        rows = db.execute("SELECT slot, length(data), substr(data, 1, 8) FROM journal")
        for commit_id, slot, size in sorted(
            (int.from_bytes(head, "little"), slot, size) for slot, size, head in rows
        ):
            self._slots = max(self._slots, slot)
            self._used.append((commit_id, slot, size))
            self.last_commit = max(self.last_commit, commit_id)
        self.release(sealed)

    def __len__(self) -> int:
        """Commits whose rows must not be overwritten: not sealed, or among the newest."""
        return len(self._used)

    def append(self, blob: bytes) -> int:
        """Write one commit inside the caller's transaction; call `keep` after its COMMIT, nothing after a
        rollback."""
        size = size_class(len(blob))
        commit_id = self.last_commit + 1
        data = b"".join((commit_id.to_bytes(8, "little"), len(blob).to_bytes(4, "little"), blob))
        data = data.ljust(size, b"\0")
        free = self._free.get(size)
        if free:
            slot = free[-1]
            self._db.execute("UPDATE journal SET data = ? WHERE slot = ?", (data, slot))
        else:
            slot = self._slots + 1
            self._db.execute("INSERT INTO journal (slot, data) VALUES (?, ?)", (slot, data))
        self._last = (commit_id, slot, size)
        return commit_id

    def keep(self) -> None:
        """The transaction of the last `append` has committed."""
        commit_id, slot, size = self._last
        if slot > self._slots:
            self._slots = slot
        else:
            self._free[size].pop()
        self._used.append(self._last)
        self.last_commit = commit_id

    def release(self, sealed: int) -> None:
        """Commits up to `sealed` stand in chunks, durably decided by the caller's transaction: their slots are
        free, but for those that are held, and the newest, which are kept to recognise replays by."""
        self._sealed = sealed
        self._let_go()

    def hold(self, shipped: float) -> None:
        """Commits after `shipped` are held until it is raised; infinity: none is."""
        self._shipped = shipped
        self._let_go()

    @property
    def held_bytes(self) -> int:
        """Of commits that would be free if they were not held."""
        most = self._not_needed
        return sum(size for commit_id, _, size in self._used if commit_id <= most)

    def shorten(self, most_bytes: int) -> int:
        """Lets go of the oldest that are held until the others are no larger; of how many."""
        before, size = len(self._used), self.held_bytes
        while size > most_bytes and self._used[0][0] <= self._not_needed:
            size -= self._used[0][2]
            self.hold(self._used[0][0])
        return int(before - len(self._used))

    @property
    def _not_needed(self) -> int:
        return min(int(self._sealed), self.last_commit - KEPT_COMMITS)

    def _let_go(self) -> None:
        most = min(self._not_needed, self._shipped)
        while self._used and self._used[0][0] <= most:
            _, slot, size = self._used.popleft()
            self._free.setdefault(size, []).append(slot)

    def after(self, commit_id: int, most_bytes: int) -> list[tuple[int, int]]:
        """(id, slot) of the commits after that one, oldest first: at least one if there is any, no more than fit."""
        found: list[tuple[int, int]] = []
        size = 0
        for number, slot, length in self._used:
            if number <= commit_id:
                continue
            if found and size + length > most_bytes:
                break
            found.append((number, slot))
            size += length
        return found

    def surplus(self, keep: int) -> list[int]:
        """Free slots beyond `keep`: a burst of small commits must not hold its rows for ever."""
        free = [slot for slots in self._free.values() for slot in slots]
        return free[keep:]

    def dropped(self, slots: list[int]) -> None:
        """The caller's transaction has deleted these free slots."""
        gone = set(slots)
        self._free = {size: [slot for slot in free if slot not in gone] for size, free in self._free.items()}
