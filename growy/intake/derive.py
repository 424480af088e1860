"""Derived readings (temporary)."""
from __future__ import annotations
from growy.intake.slots import Slots
from growy.model.reading import Columns
from growy.sensors.pool import Pool


class Deriver:
    def __init__(self, slots: Slots, pool: Pool) -> None:
        pass

    async def derive(self, columns: Columns) -> Columns | None:
        return None
