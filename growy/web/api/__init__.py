"""Endpoints by resource. Each module lists its own; here they are put together, and nothing else is
registered anywhere."""

from growy.web.api import health, live, operations

ENDPOINTS = (*health.ENDPOINTS, *operations.ENDPOINTS, *live.ENDPOINTS)

__all__ = ["ENDPOINTS"]
