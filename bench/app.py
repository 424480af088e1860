"""An App in this process, with readings in its store and nothing around it: for measuring the web room alone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

from growy.broker.engine import Endpoint
from growy.broker.link import Link
from growy.broker.logins import REMEMBERED, BrokerLogins
from growy.config import ControlConfig, SensorsConfig, StoreConfig
from growy.control.opening import open_control
from growy.control.performing import Ways
from growy.estate import HouseEstate
from growy.fleet.fleet import Fleet
from growy.fleet.zones import Zones
from growy.hierarchy.god_opening import open_god
from growy.hierarchy.leases import Terms
from growy.model.people import LOCAL, Role
from growy.model.reading import Bus, SeriesKey
from growy.model.time import Moment
from growy.sensors.pool import SHIPPED_DIR, Pool
from growy.sensors.registry import Registry
from growy.sensors.reload import Reloader
from growy.sensors.staff import Staff
from growy.store import open_store
from growy.web.accounts.accounts import open_accounts
from growy.web.app import App
from growy.web.gate import Gate
from growy.web.health import Vitals, assess
from growy.web.live import LiveHub

SERIES = 500
WELL = Vitals(broker_connected=True, store_state="ok", workers=1, workers_alive=1)


@attrs.frozen
class Opened:
    app: App
    ids: list[int]
    """Series that its catalogue knows."""
    key: str
    """An API key of an admin."""


def _moment() -> Moment:
    return Moment(trio.current_time(), int(time.time() * 1000))


def _no_link() -> Link:
    raise RuntimeError("nothing is sent here")


@asynccontextmanager
async def open_app(folder: Path) -> AsyncIterator[Opened]:
    async with open_store(StoreConfig(), folder) as store:
        ids = [
            store.catalog.intern(SeriesKey(f"ESP_{i // 2:06X}", Bus.I2C, "68", kind), 21, "°C", 0)
            for i in range(SERIES)
            for kind in (("sht31_temp", "sht31_humidity")[i % 2],)
        ]
        hub = LiveHub(store.catalog)
        config, registry = SensorsConfig(), Registry()
        staff = Staff(config, registry)
        fleet = Fleet(auto_approve=True, send=lambda topic, payload, *, retain=False: True)
        accounts = await open_accounts(
            store, folder, note=lambda entry: None, wall_ms=lambda: int(time.time() * 1000)
        )
        key, _ = await accounts.administration.add_key("bench", Role.ADMIN, caller=LOCAL)
        control = await open_control(
            ControlConfig(),
            store,
            Ways(
                send=lambda topic, payload, **options: True,
                tell=hub.publish_event,
                note=lambda entry: None,
                view=fleet.view,
                views=fleet.views,
                moment=_moment,
            ),
            broadcast_token="",
            push_offline=fleet.set_offline_rules,
        )
        estate = HouseEstate(
            control=lambda: control,
            fleet=lambda: fleet,
            link=_no_link,
            note=lambda entry: None,
            tell=hub.publish_event,
            changed=lambda: None,
            wall_ms=lambda: int(time.time() * 1000),
        )
        tree = await open_god(
            "bench", Terms(), store=store, estate=estate, mail=lambda *_, **__: False, moment=_moment
        )
        estate.node = tree
        app = App(
            node="god",
            version="bench",
            started_ms=int(time.time() * 1000),
            store=store,
            pool=Pool(config, staff, registry, Reloader(config, registry, staff, SHIPPED_DIR, None)),
            fleet=fleet,
            control=control,
            tree=tree,
            zones=Zones(store, (), lambda: int(time.time() * 1000)),
            hub=hub,
            broker_logins=BrokerLogins(
                Endpoint(host="127.0.0.1", port=1, client_id="bench"),
                None,
                remembered=None,
                remember=partial(store.set_keyed, REMEMBERED),
                note=lambda entry: None,
                connected=lambda: False,
                wall_ms=lambda: 0,
            ),
            accounts=accounts,
            gate=Gate(accounts),
            health=lambda: assess(WELL),
        )
        yield Opened(app, ids, key)
