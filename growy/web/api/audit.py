"""The audit trail: what happened, for whoever asks later. Read only; entries come from the parts that act."""

from __future__ import annotations

import attrs
from attrs import validators as v

from growy.model.audit import EVENT_TYPES, AuditSeverity, AuditSource
from growy.model.errors import Invalid
from growy.store import AuditFilter, AuditRow
from growy.web.answers import Response, answer, iso, page_answer
from growy.web.inputs import Moment
from growy.web.router import Call, Endpoint
from growy.web.shapes import operation as shapes

SEVERITIES = tuple(severity.value for severity in AuditSeverity)
SOURCES = tuple(source.value for source in AuditSource)
MOST_TYPES = 50


@attrs.frozen
class AuditQuery:
    event_type: str | None = None
    """One, or several with commas."""
    severity: str | None = attrs.field(default=None, validator=v.optional(v.in_(SEVERITIES)))
    """At least."""
    source_type: str | None = attrs.field(default=None, validator=v.optional(v.in_(SOURCES)))
    source_id: str | None = None
    esp_id: str | None = None
    correlation_id: str | None = None
    error_code: str | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    """Not included."""
    before_id: int | None = attrs.field(default=None, validator=v.optional([v.ge(1), v.lt(1 << 62)]))
    page: int = attrs.field(default=1, validator=[v.ge(1), v.le(1_000_000)])
    page_size: int = attrs.field(default=20, validator=[v.ge(1), v.le(100)])

    def wanted(self) -> AuditFilter:
        """Raises Invalid."""
        types = tuple(filter(None, (part.strip() for part in (self.event_type or "").split(","))))
        if len(types) > MOST_TYPES:
            raise Invalid(f"event_type: more than {MOST_TYPES} at once")
        if self.esp_id and self.source_id and self.esp_id != self.source_id:
            raise Invalid("esp_id and source_id mean the same, and they differ", cure="Say one of them")
        return AuditFilter(
            event_types=types,
            at_least=AuditSeverity(self.severity or AuditSeverity.INFO),
            source_type=self.source_type,
            source_id=self.esp_id or self.source_id,
            correlation_id=self.correlation_id,
            error_code=self.error_code,
            since_ms=self.start_time,
            until_ms=self.end_time,
            before_id=self.before_id,
        )


def record(row: AuditRow) -> dict[str, object]:
    """An entry in the shape that the existing clients know. What was not said is null."""
    entry = row.entry
    return {
        "id": row.id,
        "event_type": entry.event_type,
        "severity": entry.severity,
        "source_type": entry.source_type,
        "source_id": entry.source_id or None,
        "status": entry.status or None,
        "message": entry.message or None,
        "details": entry.details,
        "error_code": entry.error_code or None,
        "correlation_id": entry.correlation_id or None,
        "repeats": entry.repeats,
        "created_at": iso(entry.ts_ms),
    }


async def entries(call: Call, query: AuditQuery) -> Response:
    """A page of the audit trail, newest first."""
    found = await call.app.store.audit(
        query.wanted(), limit=query.page_size, offset=(query.page - 1) * query.page_size
    )
    return page_answer([record(row) for row in found.rows], found.total, query.page, query.page_size)


async def event_types(call: Call) -> Response:
    """Kinds of event that can be asked for, and how often each stands in the trail."""
    counts = await call.app.store.audit_event_types()
    return answer(
        {
            "success": True,
            "data": [
                {"value": kind, "description": EVENT_TYPES.get(kind), "count": counts.get(kind, 0)}
                for kind in sorted(counts.keys() | EVENT_TYPES.keys())
            ],
            "severities": SEVERITIES,
            "source_types": SOURCES,
        }
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/audit",
        summary="The audit trail",
        handler=entries,
        query=AuditQuery,
        answers=shapes.AUDIT,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/audit/event-types",
        summary="Kinds of event",
        handler=event_types,
        answers=shapes.EVENT_TYPES,
    ),
)
