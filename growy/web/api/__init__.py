"""Endpoints by resource. Each module lists its own; here they are put together. Nothing is registered elsewhere."""

from growy.web.api import esp, health, live, operations, processing, readings, sensors

ENDPOINTS = (
    *health.ENDPOINTS,
    *esp.ENDPOINTS,
    *sensors.ENDPOINTS,
    *readings.ENDPOINTS,
    *processing.ENDPOINTS,
    *operations.ENDPOINTS,
    *live.ENDPOINTS,
)

__all__ = ["ENDPOINTS"]
