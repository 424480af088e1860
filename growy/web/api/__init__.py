"""Endpoints by resource. Each module lists its own; here they are put together. Nothing is registered elsewhere."""

from growy.web.api import (
    actuators,
    audit,
    calibration,
    esp,
    esp_commands,
    esp_decisions,
    esp_health,
    gpio,
    health,
    live,
    operations,
    processing,
    readings,
    sensor_requests,
    sensor_setup,
    sensors,
    subzones,
    zone_devices,
    zones,
)

ENDPOINTS = (
    *health.ENDPOINTS,
    *esp.ENDPOINTS,
    *esp_decisions.ENDPOINTS,
    *esp_commands.ENDPOINTS,
    *esp_health.ENDPOINTS,
    *gpio.ENDPOINTS,
    *zones.ENDPOINTS,
    *zone_devices.ENDPOINTS,
    *subzones.ENDPOINTS,
    *sensors.ENDPOINTS,
    *sensor_setup.ENDPOINTS,
    *sensor_requests.ENDPOINTS,
    *calibration.ENDPOINTS,
    *readings.ENDPOINTS,
    *processing.ENDPOINTS,
    *actuators.ENDPOINTS,
    *operations.ENDPOINTS,
    *audit.ENDPOINTS,
    *live.ENDPOINTS,
)

__all__ = ["ENDPOINTS"]
