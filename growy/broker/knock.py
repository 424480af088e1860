"""Asks the broker whether it lets somebody in: a real CONNECT with a session that is forgotten at once."""

from __future__ import annotations

import secrets

import attrs
import trio

from growy.broker.connection import LOST, Connection, open_stream, root_cause
from growy.broker.engine import Endpoint
from growy.model.errors import BrokerError, LoginRefused

LIMIT_S = 5.0


@attrs.frozen
class Login:
    """Who somebody says to be."""

    username: str
    password: str = attrs.field(repr=False)


async def lets_in(endpoint: Endpoint, login: Login | None) -> bool:
    """Whether the broker accepts this login; None: one without a name.

    Raises:
        BrokerError: it cannot be asked, or refuses for another reason.
    """
    asked = attrs.evolve(
        endpoint,
        client_id=f"growyd-login-{secrets.token_hex(4)}",
        username=login.username if login else None,
        password=login.password if login else None,
    )
    failure: BaseException = BrokerError(f"The broker at {endpoint} did not answer within {LIMIT_S:g} s")
    with trio.move_on_after(LIMIT_S):
        try:
            await _log_in(asked)
        except* LOST as group:
            failure = root_cause(group)
        else:
            return True
    if isinstance(failure, LoginRefused):
        return False
    if isinstance(failure, BrokerError):
        raise failure
    raise BrokerError(f"The broker at {endpoint} cannot be asked: {failure}") from failure


async def _log_in(endpoint: Endpoint) -> None:
    stream = await open_stream(endpoint)
    connection = Connection(stream, endpoint, None, 0, lambda mid: None, clean_session=True)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.write_loop, lambda: None)
            await connection.handshake([], None, lambda messages: None)
            nursery.cancel_scope.cancel()
    finally:
        await connection.close(())
