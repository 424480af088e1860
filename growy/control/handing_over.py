"""Hands rules over to the devices: what an ESP32 can run by itself while its Pi is away.

Derived anew when rules or the setup of a device have changed, and told to the fleet, which pushes it. A device that
cannot be given its rules is noted; nothing else waits for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio

from growy.control.rules.offline import offline_rules
from growy.control.rules.walk import actuators_of
from growy.model.audit import AuditEntry
from growy.model.control import ActuatorKey, DeviceView
from growy.model.errors import GrowyError
from growy.model.rules import Rule
from growy.model.setup import OfflineRule
from growy.ops.log import get_log

log = get_log(__name__)

SETTLE_S = 2.0
"""Several changes in a row are one push: each costs the device writes to its flash."""
Told = dict[str, tuple[bool, tuple[str, ...]]]


class HandingOver:
    """Trio thread only.

    Args:
        rules: all there are.
        view: a device as it is now.
        bound: whether an interlock names the actuator.
        push: sets a device's offline rules; may raise GrowyError.
        told: takes, of each rule, whether a device runs it too, and what is to be said about that.
    """

    def __init__(
        self,
        *,
        rules: Callable[[], Sequence[Rule]],
        view: Callable[[str], DeviceView | None],
        bound: Callable[[ActuatorKey], bool],
        push: Callable[[str, Sequence[OfflineRule]], Awaitable[object]],
        told: Callable[[Told], None],
        note: Callable[[AuditEntry], None],
        wall_ms: Callable[[], int],
    ) -> None:
        self._rules = rules
        self._view = view
        self._bound = bound
        self._push = push
        self._told = told
        self._note = note
        self._wall_ms = wall_ms
        self._waiting: set[str] = set()
        self._wake = trio.Event()
        self._seen: dict[str, tuple[object, object]] = {}
        self.pushed = self.failed = 0

    def rules_changed(self, esp_ids: Iterable[str]) -> None:
        """Rules that switch something on these devices were written, changed or deleted."""
        self._waiting.update(esp_ids)
        self._wake.set()

    def device_changed(self, view: DeviceView) -> None:
        """Sensors or actuators of a device may be set up otherwise."""
        setup = (view.sensors, view.actuators)
        before = self._seen.get(view.esp_id)
        if before is None or before[0] is not setup[0] or before[1] is not setup[1]:
            self._seen[view.esp_id] = setup
            self.rules_changed([view.esp_id])

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        while True:
            await self._wake.wait()
            await trio.sleep(SETTLE_S)
            self._wake = trio.Event()
            waiting, self._waiting = self._waiting, set()
            for esp_id in sorted(waiting):
                await self._hand_over(esp_id)

    async def _hand_over(self, esp_id: str) -> None:
        view = self._view(esp_id)
        if view is None or not view.approved:
            return
        own = [
            rule
            for rule in self._rules()
            if any(actuator.esp_id == esp_id for actuator in actuators_of(rule))
        ]
        # An interlock is growyd's: what it binds must not be switched while growyd is away.
        free = [one for one in view.actuators if not self._bound(ActuatorKey(esp_id, one.gpio))]
        derived = offline_rules(own, esp_id=esp_id, sensors=view.sensors, actuators=free)
        self._told({rule.id: (rule.id in derived.of, derived.notes.get(rule.id, ())) for rule in own})
        if derived.rules == (view.offline_rules or ()):
            return
        try:
            await self._push(esp_id, derived.rules)
        except GrowyError as error:
            self.failed += 1
            log.once_per(f"offline rules {esp_id}").warning(
                "offline rules not set", esp_id=esp_id, error=str(error)
            )
            self._note(
                AuditEntry(
                    ts_ms=self._wall_ms(),
                    event_type="config_failed",
                    severity="warning",
                    source_id=esp_id,
                    status="failed",
                    message=f"Its rules for times without its Pi could not be set: {error}",
                    error_code=error.code,
                )
            )
        else:
            self.pushed += 1
