"""What the handlers of the web room are given: the parts of the daemon, as they see them. No logic lives
here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import attrs
import trio

from growy.ops.machine import CpuMeter
from growy.web.health import Health
from growy.web.live import LiveHub
from growy.web.premises import Premises, nothing_known

if TYPE_CHECKING:
    from growy.broker.logins import BrokerLogins
    from growy.control.control import Control
    from growy.fleet.fleet import Fleet
    from growy.fleet.zones import Zones
    from growy.hierarchy.god_node import GodNode
    from growy.hierarchy.kaiser_node import KaiserNode
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
    tree: GodNode | KaiserNode
    """Whose every device is. A Pi that is alone is a God without Kaisers."""
    zones: Zones
    hub: LiveHub
    broker_logins: BrokerLogins
    gate: Gate
    accounts: Accounts
    health: Callable[[], Health]
    god_at: str = ""
    """Of a Kaiser: where its God's broker is, without any password."""
    premises: Callable[[], Awaitable[Premises]] = nothing_known
    """What the doctor cannot see from the web room."""
    cpu: CpuMeter = attrs.field(factory=CpuMeter)
    visits: trio.Lock = attrs.field(factory=trio.Lock)
    """Of the doctor: a visit reads databases for seconds, so that there is one at a time."""
    broker_login: bool = False
    """growyd has a user name at the broker."""
    broker_tls: bool = False
    parts: Mapping[str, Callable[[], object]] = attrs.field(factory=dict)
    """`statistics` of parts that the web room does not know itself: intake, broker link, fleet..."""
