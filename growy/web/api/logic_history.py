"""What rules did: their executions, newest first. Read only."""

from __future__ import annotations

import json

import attrs
from attrs import validators as v

from growy.store import ExecutionFilter, ExecutionRow
from growy.web.answers import Response, answer, iso
from growy.web.inputs import Moment
from growy.web.router import Call, Endpoint
from growy.web.shapes import rules as shapes

WEEK_MS = 7 * 86_400_000


@attrs.frozen
class ExecutionsQuery:
    rule_id: str | None = None
    success: bool | None = None
    start_time: Moment | None = None
    """A week ago if absent."""
    end_time: Moment | None = None
    """Not included."""
    limit: int = attrs.field(default=50, validator=[v.ge(1), v.le(100)])
    offset: int = attrs.field(default=0, validator=[v.ge(0), v.le(10_000_000)])


async def executions(call: Call, query: ExecutionsQuery) -> Response:
    """Executions, and the share of those ended that did all they were to do."""
    from_ms = call.app.control.moment().wall_ms - WEEK_MS if query.start_time is None else query.start_time
    wanted = ExecutionFilter(
        rule_id=query.rule_id, success=query.success, from_ms=from_ms, to_ms=query.end_time
    )
    await call.app.control.flush()  # what has only just happened belongs to it
    page = await call.app.store.executions(wanted, limit=query.limit, offset=query.offset)
    return answer(
        {
            "success": True,
            "entries": [entry(row) for row in page.rows],
            "total_count": page.total,
            "success_rate": page.succeeded / page.ended if page.ended else None,
        }
    )


def entry(row: ExecutionRow) -> dict[str, object]:
    """One execution. `success` is null while it is under way."""
    return {
        "id": row.id,
        "rule_id": row.rule_id,
        "rule_name": row.rule_name,
        "triggered_at": iso(row.ts_ms),
        "timestamp": iso(row.ts_ms),
        "trigger_data": json.loads(row.trigger),
        "actions_executed": json.loads(row.actions),
        "success": row.success,
        "error_message": row.error or None,
        "execution_time_ms": row.duration_ms,
        "correlation_id": row.correlation_id or None,
    }


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/logic/execution_history",
        summary="What rules did",
        handler=executions,
        query=ExecutionsQuery,
        answers=shapes.EXECUTIONS,
    ),
)
