"""The running parts of a daemon, by name. Values only: `growy.daemon` opens, wires and runs them."""

from __future__ import annotations

import time

import attrs
import trio

from growy.broker.engine import Endpoint
from growy.broker.link import Link
from growy.broker.survey import BrokerSurvey
from growy.config import Config
from growy.control.control import Control
from growy.control.watchdog import Watchdog
from growy.fleet.audit_trail import AuditTrail
from growy.fleet.enhanced import EnhancedResponder
from growy.fleet.fleet import Fleet
from growy.fleet.journal import FleetJournal
from growy.fleet.processed import ProcessedPublisher
from growy.fleet.server_status import ServerStatus
from growy.intake import Intake
from growy.model.audit import AuditEntry
from growy.sensors.pool import Pool
from growy.store.store import Store
from growy.tree import Tree
from growy.web.accounts.accounts import Accounts
from growy.web.live import LiveHub
from growy.web.server import Web


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


@attrs.frozen(kw_only=True)
class Daemon:
    """The running parts."""

    config: Config
    endpoint: Endpoint
    store: Store
    pool: Pool
    link: Link
    intake: Intake
    fleet: Fleet
    control: Control
    hub: LiveHub
    web: Web
    accounts: Accounts
    processed: ProcessedPublisher
    enhanced: EnhancedResponder
    tree: Tree
    journal: FleetJournal
    audit: AuditTrail
    status: ServerStatus
    survey: BrokerSurvey
    watchdog: Watchdog
    stop: trio.Event
    """Set it to end the daemon in order."""

    def note(self, event_type: str, message: str) -> None:
        self.audit.note(AuditEntry(ts_ms=wall_ms(), event_type=event_type, message=message))


def one_line(daemon: Daemon) -> str:
    """For `systemctl status`."""
    fleet, control = daemon.fleet.statistics(), daemon.control.statistics()
    stopped = f"EMERGENCY STOP ({control.emergency.in_force}), " if control.emergency.in_force else ""
    broker = "connected" if daemon.link.connected else "no broker"
    return f"{stopped}{broker}, {fleet.online} of {fleet.devices} devices online, {control.on} actuators on"
