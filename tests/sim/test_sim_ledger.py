"""The ledger keeps what it is told, or says that it did not."""

from __future__ import annotations

import pytest

from growy.sim.ledger import Ledger, LedgerEntry


def record(ledger: Ledger, seq: int) -> int | None:
    return ledger.record("ESP_00A001", 1, seq, 4, "ds18b20", "28AA", -24 + seq, 10.0 + seq)


def test_entries_come_back_in_order_with_their_acks():
    ledger = Ledger(10)
    first, second = record(ledger, 1), record(ledger, 2)
    assert (first, second) == (0, 1)

    ledger.acked(1, 12.5)

    assert list(ledger.entries()) == [
        LedgerEntry("ESP_00A001", 1, 1, 4, "ds18b20", "28AA", -23, 11.0, None),
        LedgerEntry("ESP_00A001", 1, 2, 4, "ds18b20", "28AA", -22, 12.0, 12.5),
    ]
    assert [entry.seq for entry in ledger.entries(acked_only=True)] == [2]


def test_a_full_ledger_counts_what_it_could_not_take():
    ledger = Ledger(2)
    assert [record(ledger, seq) for seq in range(4)] == [0, 1, None, None]
    assert (len(ledger), ledger.overflow) == (2, 2)


def test_a_ledger_of_zero_is_switched_off_not_full():
    ledger = Ledger(0)
    assert record(ledger, 1) is None
    assert (len(ledger), ledger.overflow) == (0, 0)


def test_a_negative_limit_is_refused():
    with pytest.raises(ValueError, match="0 or more"):
        Ledger(-1)
