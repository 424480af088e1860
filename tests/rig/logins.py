"""The broker's logins where a test has no broker."""

from __future__ import annotations

from growy.broker.engine import Endpoint
from growy.broker.logins import BrokerLogins


def no_logins() -> BrokerLogins:
    """Those of an embedded broker: there are none, and none can be made."""

    async def remember(facts: str) -> None:
        raise AssertionError(f"nothing can have been set up: {facts}")

    return BrokerLogins(
        Endpoint(host="127.0.0.1", port=1, client_id="nobody"),
        None,
        remembered=None,
        remember=remember,
        note=lambda entry: None,
        connected=lambda: False,
        wall_ms=lambda: 0,
    )
