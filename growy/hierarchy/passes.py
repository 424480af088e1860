"""Passes, as the owner of devices gives them to the nodes on whose brokers they hang. Pure.

While a home has a pass it takes the owner's commands without asking, so a node that lets go of a device must know that
no pass of it is about any more: none that it gave, and none that it gave before it was last started.
"""

from __future__ import annotations

import math

from growy.hierarchy.leases import Terms
from growy.model.hierarchy import NodeId


class Passes:
    """Args: now: the clock at the start of this node."""

    def __init__(self, terms: Terms, now: float) -> None:
        self._terms = terms
        self._floor = now + terms.pass_s
        """Until then there may be passes that this node has forgotten."""
        self._given: dict[str, dict[NodeId, float]] = {}

    def give(self, esp_id: str, home: NodeId, left_s: float, now: float) -> float:
        """Seconds to tell the home that asks. It counts them from its question, so they are over here first.

        Args:
            left_s: of this node's own right to the device.
        """
        left_s = min(self._terms.pass_s, left_s)
        homes = self._given.setdefault(esp_id, {})
        homes[home] = max(homes.get(home, -math.inf), now + left_s)
        return left_s

    def withdrawn(self, esp_id: str, home: NodeId) -> None:
        """The home has said that it takes no more."""
        self._given.get(esp_id, {}).pop(home, None)

    def over_at(self, esp_id: str) -> float:
        """From this clock on no pass for the device is about."""
        return max([self._floor, *self._given.get(esp_id, {}).values()])

    def homes(self, esp_id: str, now: float) -> list[NodeId]:
        """Who has one."""
        return [home for home, until in self._given.get(esp_id, {}).items() if until > now]
