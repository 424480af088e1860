"""What only the daemon sees of itself: what health is judged by, and for the doctor machine, broker settings, port.

Never judges.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import trio

from growy.broker.client_certificate import client_certificates
from growy.broker.link_state import LinkState
from growy.config.broker_url import is_loopback
from growy.doctor import BrokerFacts, CertificateFacts, MachineFacts, WebFacts
from growy.store.premises import look
from growy.web.health import Vitals

if TYPE_CHECKING:
    from growy.broker.link import Link
    from growy.broker.survey import BrokerSurvey
    from growy.config import Config
    from growy.control.watchdog import Watchdog
    from growy.fleet.fleet import Fleet
    from growy.sensors.pool import Pool
    from growy.store import Store


@attrs.frozen(kw_only=True)
class Premises:
    """What only the daemon knows of itself and its machine; None: nobody has looked."""

    machine: MachineFacts | None = None
    broker: BrokerFacts | None = None
    certificates: tuple[CertificateFacts, ...] = ()
    web: WebFacts | None = None
    default_run_s: int = 0
    """Longest run of an actuator for which none is set up."""


async def nothing_known() -> Premises:
    """Nobody has looked."""
    return Premises()


async def premises_of(
    config: Config, settings_file: Path | None, link: Link, survey: BrokerSurvey, *, started_s: float
) -> Premises:
    """What the doctor sees only from here."""
    own_s = time.monotonic() - started_s
    said, found, url = link.statistics(), survey.findings, config.broker.address
    return Premises(
        machine=await trio.to_thread.run_sync(look, config, settings_file, own_s),
        broker=BrokerFacts(
            connected=link.connected,
            place=said.broker,
            said=said.last_error or "",
            embedded=url.embedded,
            local=url.embedded or is_loopback(said.host),
            tls=url.tls,
            measured=found is not None,
            advice=() if found is None else found.advice,
            sessions_lost=said.sessions_lost,
        ),
        certificates=await trio.to_thread.run_sync(
            partial(client_certificates, config, int(time.time() * 1000), own=True)
        ),
        web=WebFacts(
            host=config.web.host,
            port=config.web.port,
            loopback=is_loopback(config.web.host),
            tls=bool(config.web.cert_file),
        ),
        default_run_s=config.control.max_runtime,
    )


def vitals_of(
    config: Config, store: Store, pool: Pool, link: Link, fleet: Fleet, watchdog: Watchdog
) -> Vitals:
    """What health is judged by."""
    link_now, store_now, pool_now, fleet_now = (
        link.statistics(),
        store.statistics(),
        pool.statistics(),
        fleet.statistics(),
    )
    return Vitals(
        broker_connected=link.connected,
        broker=": ".join(filter(None, (link_now.broker, link_now.last_error))),
        store_state=store_now.state,
        store_error=store_now.last_error or "",
        workers=config.sensors.workers,
        workers_alive=pool_now.workers_alive,
        set_aside=tuple(pool_now.set_aside),
        standing_still=watchdog.statistics().late,
        was_connected=link_now.connects > 0,
        stopping=link_now.state == LinkState.DRAINING.value,
        devices=fleet_now.devices,
        devices_online=fleet_now.online,
    )
