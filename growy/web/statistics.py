"""Figures of the web server. Values only."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class WebStatistics:
    """Counters since start; `connections` is of now."""

    connections: int
    connections_total: int
    refused: int
    """Connections turned away because there were too many."""
    requests: int
    answers: dict[str, int]
    """By status."""
    errors: dict[str, int]
    """Error answers by code."""
    timeouts: int
    faults: int
    """Failures that nobody foresaw, in handlers and connections; the log has each."""
    bytes_sent: int
