"""What repeats is counted, what is new is written at once, and no count is ever lost."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.fleet.audit_repeats import BURST, WINDOW_S, WINDOWS, WINDOWS_PER_SOURCE, Repeats
from growy.model.audit import AuditEntry, AuditSeverity, AuditSource

FAULT = AuditEntry(
    ts_ms=0,
    event_type="device_error",
    severity="error",
    source_type="esp32",
    source_id="ESP_00A001",
    message="SHT31 does not answer",
    error_code="1007",
)


def fault(at_s: float, **changes: object) -> AuditEntry:
    return attrs.evolve(FAULT, ts_ms=int(at_s * 1000), **changes)


def rows_of(repeats: Repeats, entries: list[tuple[float, AuditEntry]], end_s: float) -> list[AuditEntry]:
    """What is written until `end_s`, looked at every five seconds as the trail does."""
    rows: list[AuditEntry] = []
    waiting = iter(sorted(entries, key=lambda pair: pair[0]))
    following = next(waiting, None)
    for tick in range(int(end_s / 5) + 1):
        while following is not None and following[0] <= tick * 5:
            rows += repeats.admit(following[1], following[0])
            following = next(waiting, None)
        rows += repeats.ended(tick * 5.0)
    return rows


def test_a_dead_sensor_of_two_hours_is_one_row_in_ten_minutes() -> None:
    reports = [(second * 1.166, fault(second * 1.166)) for second in range(6174)]
    repeats = Repeats()
    rows = rows_of(repeats, reports, 7200)

    assert len(rows) == 1 + 12
    assert rows[0] == FAULT
    assert all(500 < row.repeats < 520 for row in rows[1:])
    assert sum(row.repeats for row in [*rows, *repeats.close()]) == len(reports)


def test_the_first_is_written_at_once_and_what_repeats_it_when_the_window_ends() -> None:
    repeats = Repeats()

    assert repeats.admit(fault(0), 0) == [fault(0)]
    assert repeats.admit(fault(1), 1) == []
    assert repeats.admit(fault(599, message="newest"), 599) == []
    assert repeats.ended(599.9) == []
    assert repeats.ended(600) == [fault(599, message="newest", repeats=2)]


def test_a_fault_that_comes_again_later_is_written_at_once() -> None:
    repeats = Repeats()
    repeats.admit(fault(0), 0)

    assert repeats.ended(WINDOW_S) == []
    assert len(repeats) == 0
    assert repeats.admit(fault(700), 700) == [fault(700)]


def test_what_goes_on_is_counted_in_the_window_that_follows_too() -> None:
    repeats = Repeats()
    repeats.admit(fault(0), 0)
    repeats.admit(fault(10), 10)
    repeats.ended(600)

    assert repeats.admit(fault(601), 601) == []
    assert repeats.ended(1199) == []
    assert repeats.ended(1200) == [fault(601)]
    assert repeats.ended(1800) == []
    assert len(repeats) == 0


@pytest.mark.parametrize(
    "other",
    [
        {"source_id": "ESP_00A002"},
        {"event_type": "device_alert"},
        {"error_code": "1008"},
        {"correlation_id": "abc"},
    ],
)
def test_something_else_is_written_at_once(other: dict[str, str]) -> None:
    repeats = Repeats()
    repeats.admit(fault(0), 0)

    assert repeats.admit(fault(1, **other), 1) == [fault(1, **other)]


def test_what_gets_worse_is_written_at_once() -> None:
    repeats = Repeats()
    repeats.admit(fault(0, severity="warning"), 0)

    assert repeats.admit(fault(1, severity="critical"), 1) == [fault(1, severity="critical")]
    assert repeats.admit(fault(2, severity="warning"), 2) == []
    assert repeats.admit(fault(3, severity="critical"), 3) == []


def test_what_a_person_did_is_never_only_counted() -> None:
    repeats = Repeats()
    decision = fault(0, source_type=AuditSource.USER)

    assert [repeats.admit(decision, second) for second in range(100)] == [[decision]] * 100
    assert len(repeats) == 0


def test_of_what_is_no_fault_the_first_few_are_written_at_once() -> None:
    repeats = Repeats()
    back = [
        fault(at, event_type="device_online", severity=AuditSeverity.INFO, error_code="") for at in range(20)
    ]
    rows = [row for at, entry in enumerate(back) for row in repeats.admit(entry, at)]

    assert rows == back[:BURST]
    assert repeats.ended(600) == [attrs.evolve(back[-1], repeats=20 - BURST)]
    assert repeats.admit(back[0], 601) == []


def test_a_device_that_invents_error_codes_is_bounded() -> None:
    repeats = Repeats()
    rows = [row for n in range(10_000) for row in repeats.admit(fault(n / 100, error_code=str(n)), n / 100)]

    assert len(rows) == WINDOWS_PER_SOURCE + 1
    assert len(repeats) == WINDOWS_PER_SOURCE + 1
    assert repeats.admit(fault(101, source_id="ESP_00A002"), 101)
    assert sum(row.repeats for row in repeats.ended(800)) == 10_000 - len(rows)


def test_a_broker_that_invents_devices_is_bounded_and_loses_no_count() -> None:
    repeats = Repeats()
    noted = 0
    rows: list[AuditEntry] = []
    for n in range(WINDOWS + 500):
        for _ in range(2):
            rows += repeats.admit(fault(0, source_id=f"ESP_{n:06X}"), n / 1000)
            noted += 1

    assert len(repeats) == WINDOWS
    assert sum(row.repeats for row in [*rows, *repeats.close()]) == noted


def test_nothing_is_kept_back_at_the_end() -> None:
    repeats = Repeats()
    for at in range(10):
        repeats.admit(fault(at), at)

    assert repeats.close() == [fault(9, repeats=9)]
    assert repeats.close() == []
    assert repeats.admit(fault(10), 10) == [fault(10)]


@given(
    st.lists(
        st.tuples(
            st.floats(0, 400),
            st.sampled_from(["a", "b"]),
            st.sampled_from(["", "1", "2"]),
            st.sampled_from(list(AuditSeverity)),
            st.integers(1, 3),
        ),
        max_size=60,
    )
)
def test_every_entry_is_in_exactly_one_row(
    happened: list[tuple[float, str, str, AuditSeverity, int]],
) -> None:
    repeats, now = Repeats(), 0.0
    noted: Counter[tuple[str, str]] = Counter()
    written: Counter[tuple[str, str]] = Counter()
    rows: list[AuditEntry] = []
    for pause, source, code, severity, number in happened:
        now += pause
        entry = fault(now, source_id=source, error_code=code, severity=severity, repeats=number)
        noted[source, code] += number
        rows += repeats.admit(entry, now)
    for row in [*rows, *repeats.close()]:
        written[row.source_id, row.error_code] += row.repeats

    assert written == noted
