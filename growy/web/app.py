"""What the handlers of the web room are given: the parts of the daemon, as they see them. No logic lives
here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import attrs

from growy.web.health import Health
from growy.web.live import LiveHub

if TYPE_CHECKING:
    from growy.sensors.pool import Pool
    from growy.store import Store


class DeviceView(Protocol):
    """A device as the fleet knows it. None is "not known", never a guess; times are Unix ms."""

    @property
    def esp_id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def online(self) -> bool: ...
    @property
    def first_seen_ms(self) -> int | None: ...
    @property
    def last_seen_ms(self) -> int | None: ...
    @property
    def kaiser_id(self) -> str | None: ...
    @property
    def zone_id(self) -> str:
        """ "" for none."""
        ...

    @property
    def ip(self) -> str | None: ...
    @property
    def boot_id(self) -> str | None: ...
    @property
    def uptime(self) -> int | None: ...
    @property
    def heap_free(self) -> int | None: ...
    @property
    def wifi_rssi(self) -> int | None: ...
    @property
    def sensor_count(self) -> int | None: ...
    @property
    def actuator_count(self) -> int | None: ...


class FleetView(Protocol):
    """The devices, in memory."""

    def devices(self) -> Sequence[DeviceView]: ...
    def get(self, esp_id: str, /) -> DeviceView | None: ...


@attrs.frozen(kw_only=True)
class App:
    """The daemon's parts, for handlers."""

    node: str
    """kaiser_id of this node."""
    version: str
    started_ms: int
    store: Store
    pool: Pool
    fleet: FleetView
    hub: LiveHub
    health: Callable[[], Health]
    parts: Mapping[str, Callable[[], object]] = attrs.field(factory=dict)
    """`statistics` of parts that the web room does not know itself: intake, broker link, fleet..."""
