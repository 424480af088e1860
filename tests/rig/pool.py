"""A pool that is open and has hired nobody, for houses that convert nothing."""

from __future__ import annotations

from growy.config import SensorsConfig
from growy.sensors.pool import SHIPPED_DIR, Pool
from growy.sensors.registry import Registry
from growy.sensors.reload import Reloader
from growy.sensors.staff import Staff


def pool_without_workers() -> Pool:
    config, registry = SensorsConfig(), Registry()
    staff = Staff(config, registry)
    return Pool(config, staff, registry, Reloader(config, registry, staff, SHIPPED_DIR, None))
