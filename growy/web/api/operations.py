"""What an operator looks at: the parts' statistics, as JSON and for Prometheus, and the messages that could
not be used."""

from __future__ import annotations

import time
from itertools import chain

import attrs
import trio
from attrs import validators as v

from growy.model.people import Scope
from growy.web import metrics as own
from growy.web import metrics_growing as growing
from growy.web.answers import PROMETHEUS, Response, answer, iso
from growy.web.app import App
from growy.web.exposition import Exposition
from growy.web.router import Answer, Auth, Call, Endpoint
from growy.web.shapes import operation as shapes


@attrs.frozen
class DeadLetterQuery:
    limit: int = attrs.field(default=100, validator=[v.ge(1), v.le(1000)])


def figures_of(app: App) -> dict[str, object]:
    """The statistics records of all parts, by part."""
    return {
        "store": app.store.statistics(),
        "sensors": app.pool.statistics(),
        "live": app.hub.statistics(),
        **{name: ask() for name, ask in app.parts.items()},
    }


async def statistics(call: Call) -> Response:
    app = call.app
    now_ms = int(time.time() * 1000)
    return answer(
        {
            "success": True,
            "version": app.version,
            "node": app.node,
            "started_at": iso(app.started_ms),
            "uptime_seconds": (now_ms - app.started_ms) // 1000,
            "timestamp": iso(now_ms),
            "health": app.health(),
            "parts": figures_of(app),
        }
    )


async def metrics(call: Call) -> Response:
    app = call.app
    exposition = Exposition()
    for family in chain(own.families(app, figures_of(app)), growing.families(app)):
        exposition.add(family)
        # A thousand sensors are lines for tens of milliseconds on a Pi: what is to be switched does not wait for them.
        await trio.lowlevel.checkpoint()
    text = exposition.text()
    return Response(200, text.encode(), PROMETHEUS)


async def dead_letters(call: Call, query: DeadLetterQuery) -> Response:
    letters = await call.app.store.dead_letters(query.limit)
    data = [
        {
            "id": letter.id,
            "received_at": iso(letter.received_ms),
            "topic": letter.topic,
            "reason": letter.reason,
            "message": letter.message,
            "size": letter.size,
            "payload": letter.payload.decode(errors="backslashreplace"),
        }
        for letter in letters
    ]
    return answer({"success": True, "data": data, "count": len(data)})


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/statistics",
        summary="Figures of all parts",
        handler=statistics,
        scope=Scope.METRICS,
        answers=shapes.STATISTICS,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/deadletters",
        summary="Messages that could not be used",
        handler=dead_letters,
        query=DeadLetterQuery,
        answers=shapes.DEAD_LETTERS,
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        summary="Prometheus",
        handler=metrics,
        auth=Auth.PUBLIC,
        answers=Answer(media=(PROMETHEUS,)),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/health/metrics",
        summary="Prometheus",
        handler=metrics,
        auth=Auth.PUBLIC,
        answers=Answer(media=(PROMETHEUS,)),
    ),
)
