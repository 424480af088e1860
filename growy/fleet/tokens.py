"""The emergency token that all devices share. Kept before any device is told: a token that is on a device and nowhere
else could never stop it. Must never be shown or logged.
"""

from __future__ import annotations

import secrets
from typing import Final

from growy.store.registry import Registry
from growy.wire.commands import set_emergency_token

BROADCAST_TOKEN: Final = "emergency.broadcast_token"
"""Key among the store's small facts."""


async def broadcast_token(store: Registry, wanted: str | None = None) -> str:
    """The token for all devices.

    Args:
        wanted: from now on it is this one; devices that have another must be given it, too. None: the one there is,
            or a new one where there is none.

    Raises:
        Invalid: no device would take it.
        StoreError: it could not be kept.
    """
    if wanted is not None:
        set_emergency_token(wanted)
    kept = await store.keyed(BROADCAST_TOKEN)
    token = wanted or kept or secrets.token_hex(8)
    if token != kept:
        await store.set_keyed(BROADCAST_TOKEN, token)
    return token
