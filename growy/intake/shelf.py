"""Where the intake puts readings: the store; or nowhere, where another node keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from growy.model.reading import Columns
from growy.store.catalog import Catalog, Conversions
from growy.store.deadletters import DeadLetter
from growy.store.store import Store
from growy.store.tail import Tail


class Shelf(Protocol):
    """What the intake needs of a store."""

    catalog: Catalog
    conversions: Conversions
    tail: Tail

    async def commit(self, columns: Columns, dead_letters: Sequence[DeadLetter] = ()) -> None:
        """They are kept when this returns. Raises StoreUnavailable, StoreError."""


class Passing:
    """Readings that are used here and kept elsewhere: those of a device of ours on another node's broker, which stores
    them and sends them to God. Their series are this store's; they are written with the next readings of its own.
    """

    def __init__(self, store: Store) -> None:
        self.catalog = store.catalog
        self.conversions = store.conversions
        self.tail = store.tail

    async def commit(self, columns: Columns, dead_letters: Sequence[DeadLetter] = ()) -> None:
        """Nothing is written."""
