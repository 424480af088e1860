"""The WebSocket's addresses. Three, because the papers and the existing frontend name three; all lead to the
same hub."""

from __future__ import annotations

from growy.model.people import Scope
from growy.web.router import Auth, Endpoint

_SUMMARY = "WebSocket: readings and events as they come"

ENDPOINTS = tuple(
    Endpoint(method="GET", path=path, summary=_SUMMARY, auth=Auth.VIEWER, scope=Scope.LIVE)
    for path in ("/api/v1/ws/realtime/{client_id}", "/ws/realtime/{client_id}", "/api/v1/ws")
)
