"""Which series a message belongs to and how its raw value is converted: looked up once, then a dict access each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs
import numpy as np

from growy.model.errors import CalibrationError, ConversionError, WireError
from growy.model.messages import SensorData
from growy.model.reading import Bus, IndexArray, IntArray, SeriesKey
from growy.ops.log import get_log
from growy.sensors.calibration import Calibration
from growy.sensors.plan import Plan
from growy.sensors.registry import Registry
from growy.store.catalog import Catalog, Conversions
from growy.wire.decode import series_key

log = get_log(__name__)

NO_PLAN = 0
"""Index of "no library": the value stays empty."""

MAX_SERIES = 10_000
"""Series taken in by one run. Whoever invents sensors must not fill memory and disk."""

Setup: TypeAlias = tuple[Mapping[str, object] | None, Calibration | None]
SetupOf: TypeAlias = Callable[[SeriesKey], Setup]
"""What a grower has set for a series: parameters and calibration. Raises CalibrationError where it cannot be used."""

DEAD_PLANS = 64
"""Plans of settings that have changed since may stand in the table beside one for each series; beyond, it is made
anew."""


@attrs.define(slots=True, eq=False)
class Slot:
    """A series as the intake knows it."""

    series: int
    key: SeriesKey
    gpio: int
    quantity: str = ""
    """`temperature`, `humidity`... as its library says; "" without one."""


def no_setup(key: SeriesKey) -> Setup:
    return None, None


class Slots:
    """All slots, and the table of conversion plans they point into.

    `plans[i]` belongs to `conversions[i]` (the id under which the store remembers library, version and parameters) and
    `types[i]` (for counting). Entry 0 is "no library".
    """

    def __init__(
        self, catalog: Catalog, conversions: Conversions, registry: Registry, setup_of: SetupOf = no_setup
    ) -> None:
        self._catalog = catalog
        self._store_conversions = conversions
        self._registry = registry
        self._setup_of = setup_of
        self._by_message: dict[tuple[object, ...], Slot] = {}
        self._by_series: dict[int, Slot] = {}
        self._index: dict[tuple[str, Plan], int] = {}
        self.plans: list[Plan | None] = [None]
        self.conversions: list[int] = [0]
        self.types: list[str] = [""]
        self._plan_of_series = np.zeros(256, np.int64)
        self._slots: list[Slot] = []
        self._changed: set[str] = set()
        self.generation = registry.generation
        """Of the libraries that the plans were made with."""

    @property
    def generation_of_libraries(self) -> int:
        """Of the libraries as they are now; `generation` follows with the next batch."""
        return self._registry.generation

    def __len__(self) -> int:
        return len(self._slots)

    def newest(self, count: int) -> list[Slot]:
        """The `count` slots that came last."""
        return self._slots[len(self._slots) - count :]

    def find(self, topic: bytes, esp_id: str, gpio: int, message: SensorData, now_ms: int) -> Slot:
        """The slot of a reading; makes series and plan when it is the first of its kind.

        Raises:
            WireError: there are too many series already.
        """
        key = (topic, message.sensor_type, message.i2c_address, message.onewire_address, message.gpio)
        slot = self._by_message.get(key)
        if slot is None:
            if len(self._by_message) >= MAX_SERIES:
                raise WireError("too_many_series", f"{MAX_SERIES} series are known; no further one is taken")
            slot = self.of_series(series_key(esp_id, gpio, message), gpio, message.unit, now_ms)
            self._by_message[key] = slot
        return slot

    def of_series(self, key: SeriesKey, gpio: int, unit: str, now_ms: int) -> Slot:
        """The slot of a series known by its key (received or derived)."""
        info = self._registry.resolve(key.value_type)
        series = self._catalog.intern(key, gpio, info.unit if info is not None else unit, now_ms)
        slot = self._by_series.get(series)
        if slot is None:
            slot = Slot(series, key, gpio, "" if info is None else info.quantity)
            self._by_series[series] = slot
            self._slots.append(slot)
            self._set_plan(slot)
        return slot

    def settings_changed(self, esp_id: str) -> None:
        """The setup of this device is another: its plans are looked up again with the next batch."""
        self._changed.add(esp_id)

    def refresh(self) -> None:
        """Looks plans up again: all of them if a library has changed since, those of a device if its setup has."""
        if self.generation == self._registry.generation and not self._changed:
            return
        crowded = len(self.plans) > len(self._slots) + DEAD_PLANS
        if crowded or self.generation != self._registry.generation:
            self._renew_all()
        else:
            for slot in self._slots:
                if slot.key.esp_id in self._changed:
                    self._set_plan(slot)
        self._changed.clear()

    def _renew_all(self) -> None:
        self.generation = self._registry.generation
        self._index.clear()
        self.plans[1:] = []
        self.conversions[1:] = []
        self.types[1:] = []
        for slot in self._slots:
            info = self._registry.resolve(slot.key.value_type)
            slot.quantity = "" if info is None else info.quantity
            if info is not None:
                self._catalog.set_unit(slot.series, info.unit)
            self._set_plan(slot)

    def plans_of(self, series: IndexArray) -> IntArray:
        """Index of the plan of each series, shape (n,)."""
        return self._plan_of_series[series]

    def _set_plan(self, slot: Slot) -> None:
        # Derived series are computed by the Deriver from their inputs, not from a raw value.
        plan = NO_PLAN if slot.key.bus is Bus.DERIVED else self._plan(slot)
        if slot.series >= len(self._plan_of_series):
            grown = np.zeros(max(slot.series + 1, 2 * len(self._plan_of_series)), np.int64)
            grown[: len(self._plan_of_series)] = self._plan_of_series
            self._plan_of_series = grown
        self._plan_of_series[slot.series] = plan

    def _plan(self, slot: Slot) -> int:
        value_type = slot.key.value_type
        if self._registry.resolve(value_type) is None:
            log.once_per(("no library", value_type)).warning(
                "no library converts this type; kept raw", sensor_type=value_type
            )
            return NO_PLAN
        try:
            settings, calibration = self._setup_of(slot.key)
            plan = self._registry.plan(value_type, settings, calibration)
        except (ConversionError, CalibrationError) as error:
            # Settings that were valid for the old version of a library need not be for the new one. Raw is kept.
            log.warning("series cannot be converted; kept raw", series=str(slot.key), error=str(error))
            return NO_PLAN
        return self.plan_index(plan, value_type)

    def conversion_of(self, plan: Plan) -> int:
        """The id under which the store remembers what made a value."""
        return self._store_conversions.intern(plan.library, plan.version, plan.parameters)

    def plan_index(self, plan: Plan, value_type: str) -> int:
        """Index of a plan in the table; puts it there."""
        index = self._index.get((value_type, plan))
        if index is None:
            index = len(self.plans)
            self._index[value_type, plan] = index
            self.plans.append(plan)
            self.conversions.append(self.conversion_of(plan))
            self.types.append(value_type)
        return index
