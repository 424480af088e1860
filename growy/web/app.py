"""What the handlers of the web room are given: the parts of the daemon, as they see them. No logic lives
here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import attrs

from growy.web.health import Health
from growy.web.live import LiveHub

if TYPE_CHECKING:
    from growy.broker.logins import BrokerLogins
    from growy.control.control import Control
    from growy.fleet.fleet import Fleet
    from growy.fleet.zones import Zones
    from growy.sensors.pool import Pool
    from growy.store import Store
    from growy.web.accounts.accounts import Accounts
    from growy.web.gate import Gate


@attrs.frozen(kw_only=True)
class App:
    """The daemon's parts, for handlers."""

    node: str
    """kaiser_id of this node."""
    version: str
    started_ms: int
    store: Store
    pool: Pool
    fleet: Fleet
    control: Control
    zones: Zones
    hub: LiveHub
    broker_logins: BrokerLogins
    gate: Gate
    accounts: Accounts
    health: Callable[[], Health]
    parts: Mapping[str, Callable[[], object]] = attrs.field(factory=dict)
    """`statistics` of parts that the web room does not know itself: intake, broker link, fleet..."""
