"""Keeps asking what the broker can do: measured after the first connect, and again whenever the broker has begun anew.

A broker that was restarted with other settings sends another number of messages ahead; a commit policy that waited for
the old number would wait for messages that never come.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from growy.broker.engine import Endpoint
from growy.broker.link import Link
from growy.broker.probe import BrokerFindings, probe_broker
from growy.model.errors import BrokerError
from growy.ops.log import get_log

log = get_log(__name__)

DEFAULT_WINDOW = 20
"""Mosquitto's default for messages sent ahead of acknowledgement: assumed until the broker has been measured."""
LOOK_S = 5.0
"""How often it is looked whether the broker has begun anew."""


class BrokerSurvey:
    """Measures the broker of a link.

    Args:
        window: what the settings say; 0: to be measured.
        on_window: told how many messages the broker sends ahead of acknowledgement; 0: no limit.
    """

    def __init__(self, link: Link, endpoint: Endpoint, window: int, on_window: Callable[[int], None]) -> None:
        self._link = link
        self._endpoint = endpoint
        self._window = window
        self._on_window = on_window
        self.findings: BrokerFindings | None = None
        """Of the broker as it is now; None until it has been measured."""

    async def run(self) -> None:
        """Until cancelled. A broker that cannot be measured is taken for one with Mosquitto's defaults."""
        if self._window:
            self._on_window(self._window)
            return
        measured = -1
        while True:
            await self._link.wait_connected()
            sessions_lost = self._link.statistics().sessions_lost
            if sessions_lost != measured:
                measured = sessions_lost
                await self._measure()
            await trio.sleep(LOOK_S)

    async def _measure(self) -> None:
        self.findings = None
        self._on_window(DEFAULT_WINDOW)
        try:
            found = await probe_broker(self._endpoint)
        except BrokerError as error:
            log.warning("the broker could not be measured", error=str(error), assumed_window=DEFAULT_WINDOW)
            return
        self.findings = found
        self._on_window(0 if found.window_is_whole_burst else found.window)
        for sentence in found.advice:
            log.warning("broker settings", advice=sentence)
