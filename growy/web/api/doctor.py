"""The doctor's visit over HTTP."""

from __future__ import annotations

import time
from collections import Counter

from growy.doctor import Level, examine, worst
from growy.model.people import Scope
from growy.web.answers import Response, answer, iso
from growy.web.doctor import facts_of
from growy.web.router import Call, Endpoint
from growy.web.shapes import operation as shapes


async def doctor(call: Call) -> Response:
    """Everything that was looked at, and what was found."""
    async with call.app.visits:
        findings = examine(await facts_of(call.app))
    counted = Counter(finding.level for finding in findings)
    return answer(
        {
            "success": True,
            "timestamp": iso(int(time.time() * 1000)),
            "running": True,
            "level": worst(findings),
            "counts": {level.value: counted[level] for level in Level},
            "findings": findings,
        }
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/doctor",
        summary="What is wrong with everything, and its cure",
        handler=doctor,
        scope=Scope.METRICS,
        answers=shapes.DOCTOR,
    ),
)
