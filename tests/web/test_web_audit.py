"""The audit trail over HTTP: found by what is known, page by page, in the one list shape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from growy.model.audit import AuditEntry

T0 = 1_760_000_000_000
"""2025-10-09 08:53:20 UTC."""


def happened(number: int, event_type: str, severity: str = "info", **more: Any) -> AuditEntry:
    return AuditEntry(
        ts_ms=T0 + number * 1000, event_type=event_type, severity=severity, message=str(number), **more
    )


@pytest.fixture
async def ask(house: Any, serve: Any, connect: Any) -> AsyncIterator[Any]:
    await house.store.write_audit(
        [
            happened(0, "service_start"),
            happened(1, "device_discovered", source_type="esp32", source_id="ESP_12AB34CD"),
            happened(
                2,
                "device_error",
                "error",
                source_type="esp32",
                source_id="ESP_12AB34CD",
                status="failed",
                details={"category": "SENSOR"},
                error_code="1007",
                repeats=514,
            ),
            happened(
                3,
                "device_approved",
                source_type="user",
                source_id="ESP_77EE66FF",
                correlation_id="req-1",
                details={"by": "anna"},
            ),
            happened(4, "config_failed", "warning", source_id="ESP_77EE66FF", correlation_id="req-1"),
            happened(5, "my_own_kind", "critical"),
        ]
    )
    async with serve(house) as web, connect(web) as client:
        yield client.ask


async def get(ask: Any, query: str = "", status: int = 200) -> Any:
    reply = await ask("GET", f"/api/v1/audit{query}")
    assert reply.status == status, reply.body
    return reply.json()


async def messages(ask: Any, query: str) -> str:
    return "".join(one["message"] for one in (await get(ask, query))["data"])


async def test_an_entry_has_everything_that_was_noted(ask: Any) -> None:
    (entry,) = (await get(ask, "?error_code=1007"))["data"]

    assert isinstance(entry.pop("id"), int)
    assert entry == {
        "event_type": "device_error",
        "severity": "error",
        "source_type": "esp32",
        "source_id": "ESP_12AB34CD",
        "status": "failed",
        "message": "2",
        "details": {"category": "SENSOR"},
        "error_code": "1007",
        "correlation_id": None,
        "repeats": 514,
        "created_at": "2025-10-09T08:53:22.000Z",
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "543210"),
        ("/?event_type=device_error", "2"),
        ("?event_type=device_error,%20device_approved,", "32"),
        ("?severity=info", "543210"),
        ("?severity=warning", "542"),
        ("?severity=critical", "5"),
        ("?source_type=user", "3"),
        ("?source_id=ESP_77EE66FF", "43"),
        ("?esp_id=ESP_12AB34CD", "21"),
        ("?esp_id=ESP_12AB34CD&source_id=ESP_12AB34CD&severity=error", "2"),
        ("?correlation_id=req-1", "43"),
        ("?start_time=2025-10-09T08:53:22Z&end_time=2025-10-09T08:53:24Z", "32"),
        (f"?start_time={T0 + 4000}", "54"),
        (f"?end_time={T0 // 1000 + 1}", "0"),
        ("?esp_id=never_heard_of", ""),
        ("?esp_id=&whatever=1", "543210"),
    ],
)
async def test_entries_are_found_by_what_is_known(ask: Any, query: str, found: str) -> None:
    assert await messages(ask, query) == found


async def test_the_list_comes_in_pages(ask: Any) -> None:
    said = await get(ask, "?page=2&page_size=4")

    assert [one["message"] for one in said["data"]] == ["1", "0"]
    assert said["pagination"] == {
        "page": 2,
        "page_size": 4,
        "total_items": 6,
        "total_pages": 2,
        "has_next": False,
        "has_prev": True,
    }
    assert (said["success"], said["message"]) == (True, "6 in all")
    assert await messages(ask, "?page=9") == ""


async def test_a_list_read_from_id_to_id_does_not_shift(house: Any, ask: Any) -> None:
    first = (await get(ask, "?page_size=2"))["data"]
    await house.store.write_audit([happened(6, "device_online")])

    assert await messages(ask, f"?page_size=2&before_id={first[-1]['id']}") == "32"


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("?severity=dreadful", "severity: must be one of "),
        ("?source_type=gnome", "source_type: must be one of "),
        ("?start_time=yesterday", "start_time: 'yesterday' is not ISO-8601"),
        ("?page_size=101", "page_size: must be"),
        ("?before_id=0", "before_id: must be"),
        ("?before_id=9999999999999999999", "before_id: must be"),
    ],
)
async def test_a_wrong_filter_is_named(ask: Any, query: str, fault: str) -> None:
    (said,) = (await get(ask, query, 400))["error"]["details"]["faults"]

    assert said.startswith(fault)


@pytest.mark.parametrize(
    "query", ["?esp_id=ESP_1&source_id=ESP_2", "?event_type=" + ",".join(map(str, range(51)))]
)
async def test_filters_that_make_no_sense_are_refused(ask: Any, query: str) -> None:
    assert (await get(ask, query, 400))["error"]["code"] == "VALIDATION_ERROR"


async def test_kinds_of_event_are_those_that_may_be_and_those_that_were(ask: Any) -> None:
    said = await get(ask, "/event-types")
    kinds = {one["value"]: one for one in said["data"]}

    assert kinds["device_error"]["count"] == 514
    assert kinds["emergency_stop"]["count"] == 0
    assert kinds["emergency_stop"]["description"]
    assert kinds["my_own_kind"] == {"value": "my_own_kind", "description": None, "count": 1}
    assert said["severities"] == ["info", "warning", "error", "critical"]
    assert "esp32" in said["source_types"]
