"""Interlocks and couplings as people declare them: checked, durable, then in force.

An interlock forbids; a coupling only tells which sensors an actuator moves, so that rules which chase each other can be
found. One of the store that cannot be read any more is an error at the start, not silently none: it was there for a
reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from growy.control.rules.loops import Coupling
from growy.control.switch_effects import SwitchEffect
from growy.control.switchboard import Switchboard
from growy.model.audit import AuditEntry
from growy.model.control import ActuatorKey, Interlock
from growy.model.errors import Duplicate, Invalid, NotFound, StoreError
from growy.model.rules import SensorRef
from growy.model.time import Moment
from growy.store.control import ControlBatch
from growy.store.store import Store


class _KeptCoupling(msgspec.Struct):
    actuator: tuple[str, int]
    sensors: list[tuple[str, int, str | None, str | None]]


class Interlocking:
    """Trio thread only.

    Args:
        perform: does what the switchboard wants.
        changed: told of devices whose actuators are bound otherwise from now on.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        store: Store,
        *,
        moment: Callable[[], Moment],
        perform: Callable[[Iterable[SwitchEffect]], None],
        changed: Callable[[set[str]], None] = lambda esp_ids: None,
    ) -> None:
        self._switchboard = switchboard
        self._store = store
        self._moment = moment
        self._perform = perform
        self._changed = changed
        self._couplings: dict[ActuatorKey, Coupling] = {}

    def load(self, interlocks: Mapping[str, str], couplings: Mapping[str, str]) -> None:
        """What the store holds, before any device is met. Raises StoreError: one cannot be read."""
        try:
            for text in interlocks.values():
                self._switchboard.interlocks.put(msgspec.json.decode(text, type=Interlock))
            for text in couplings.values():
                kept = msgspec.json.decode(text, type=_KeptCoupling)
                key = ActuatorKey(*kept.actuator)
                self._couplings[key] = Coupling(key, tuple(SensorRef(*one) for one in kept.sensors))
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"An interlock or coupling in growy.db cannot be read: {error}",
                cure="Restore growy.db from a backup, or start the newer growyd that wrote it",
            ) from error

    # --- interlocks ---------------------------------------------------------------------------------------------------

    def interlocks(self) -> list[Interlock]:
        """By the time at which they were made."""
        return sorted(self._switchboard.interlocks.all(), key=lambda one: (one.created_ms, one.id))

    async def put_interlock(self, interlock: Interlock, *, by: str) -> Interlock:
        """In force when this returns: of two that run and must not, one goes off.

        Raises:
            Invalid: it makes no sense beside the others. Duplicate: it says the same as one of them.
            StoreError: it is not on disk and not in force.
        """
        why_not = self._switchboard.interlocks.why_not(interlock)
        if why_not is not None:
            kind = Duplicate if why_not.startswith("says the same") else Invalid
            raise kind(f"The interlock {why_not}")
        now_ms = self._moment().wall_ms
        interlock = msgspec.structs.replace(interlock, created_ms=interlock.created_ms or now_ms)
        document = msgspec.json.encode(interlock).decode()
        text = f"Interlock {interlock.kind.value} of {interlock.a} and {interlock.b}"
        await self._store.write_registry(
            control=ControlBatch(interlocks={interlock.id: document}),
            audit=[self._entry(text + " was set", by)],
        )
        self._perform(self._switchboard.interlock(interlock, self._moment()))
        self._changed({interlock.a.esp_id, interlock.b.esp_id})
        return interlock

    async def remove_interlock(self, interlock_id: str, *, by: str) -> Interlock:
        """Raises NotFound, StoreError."""
        found = next((one for one in self._switchboard.interlocks.all() if one.id == interlock_id), None)
        if found is None:
            raise NotFound(
                f"There is no interlock {interlock_id[:64]!r}", cure="`growyd interlocks list` shows them"
            )
        text = f"Interlock {found.kind.value} of {found.a} and {found.b} was taken away"
        await self._store.write_registry(
            control=ControlBatch(interlocks={interlock_id: None}), audit=[self._entry(text, by)]
        )
        self._perform(self._switchboard.unlock(interlock_id, self._moment()))
        self._changed({found.a.esp_id, found.b.esp_id})
        return found

    # --- couplings ----------------------------------------------------------------------------------------------------

    def couplings(self) -> list[Coupling]:
        """By actuator."""
        return [self._couplings[key] for key in sorted(self._couplings)]

    async def put_coupling(self, coupling: Coupling, *, by: str) -> Coupling:
        """Which sensors an actuator moves; in place of what was said of it before. Raises Invalid, StoreError."""
        if not coupling.sensors:
            raise Invalid(
                f"{coupling.actuator} is said to move no sensor", cure="Name at least one, or delete it"
            )
        kept = _KeptCoupling(
            (coupling.actuator.esp_id, coupling.actuator.gpio),
            [(one.esp_id, one.gpio, one.sensor_type, one.address) for one in coupling.sensors],
        )
        document = msgspec.json.encode(kept).decode()
        await self._store.write_registry(
            control=ControlBatch(couplings={str(coupling.actuator): document}),
            audit=[
                self._entry(
                    f"{coupling.actuator} is said to move {', '.join(map(str, coupling.sensors))}", by
                )
            ],
        )
        self._couplings[coupling.actuator] = coupling
        return coupling

    async def remove_coupling(self, actuator: ActuatorKey, *, by: str) -> Coupling:
        """Raises NotFound, StoreError."""
        found = self._couplings.get(actuator)
        if found is None:
            raise NotFound(f"Nothing is said of what {actuator} moves")
        await self._store.write_registry(
            control=ControlBatch(couplings={str(actuator): None}),
            audit=[self._entry(f"{actuator} is no longer said to move a sensor", by)],
        )
        del self._couplings[actuator]
        return found

    def _entry(self, text: str, by: str) -> AuditEntry:
        return AuditEntry(
            ts_ms=self._moment().wall_ms,
            event_type="interlock_changed",
            source_type="user",
            status="success",
            message=text,
            details={"by": by},
        )
