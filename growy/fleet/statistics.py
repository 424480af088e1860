"""Figures of the fleet. Values only."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class FleetStatistics:
    devices: int
    online: int
    offline: int
    """Approved or waiting, and not there."""
    pending_approval: int
    rejected: int
    flapping: int
    heartbeats: int
    acknowledged: int
    unacknowledged: int
    """Heartbeats whose answer the broker link had no room for."""
    kept_company: int
    """Acknowledgements sent without being asked."""
    refused_devices: int
    """Messages of devices beyond the limit, or discovered too fast; their heartbeats are answered all the same."""
    events: Mapping[str, int]
    """What those who watch were told, by event name."""
    reports: Mapping[str, int]
    """Messages of devices, by kind."""
    transmissions: int
    transmissions_retried: int
    transmissions_failed: int
    in_flight: int
    asked: int
    asks_unanswered: int
