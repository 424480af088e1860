"""Control over a real store and a real fleet; what it sends goes into the tests' air."""

from __future__ import annotations

from collections.abc import Callable

from growy.config import ControlConfig
from growy.control.control import Control
from growy.control.opening import open_control
from growy.control.performing import Ways
from growy.estate import HouseEstate
from growy.fleet.fleet import Fleet
from growy.model.audit import AuditEntry
from growy.model.time import Moment
from growy.store import Store
from growy.web.live import LiveHub
from rig.esp import Air


async def control_over(
    store: Store,
    fleet: Fleet,
    air: Air,
    hub: LiveHub,
    *,
    clock: Callable[[], float],
    wall_ms: Callable[[], int],
    config: ControlConfig | None = None,
    note: Callable[[AuditEntry], None] = lambda entry: None,
    estate: HouseEstate | None = None,
) -> Control:
    """Hears the devices of the air beside the fleet; `Control.run` is the caller's to run.

    Args:
        estate: of a node that is not alone: whose each device is.
    """
    control = await open_control(
        config or ControlConfig(),
        store,
        Ways(
            send=air.send if estate is None else estate.send,
            tell=hub.publish_event,
            note=note,
            view=fleet.view if estate is None else estate.view,
            views=fleet.views if estate is None else estate.views,
            moment=lambda: Moment(clock(), wall_ms()),
        ),
        broadcast_token="",
        push_offline=fleet.set_offline_rules,
    )
    air.listeners.append(control.handle)
    return control
