"""One change of Mosquitto's password file: written, read by the broker, proven by a login, or taken back.

It must never call a change done that no login has proven, and never leave one behind that it has called failed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Self

import trio

from growy.broker import password_file
from growy.broker.engine import Endpoint
from growy.broker.knock import Login, lets_in
from growy.broker.mosquitto import Mosquitto
from growy.model.errors import BrokerError, LoginNotChanged, LoginUncertain
from growy.ops.log import get_log

log = get_log(__name__)

POLL_S = 0.2
NUDGE_EVERY = 10
"""Polls after which Mosquitto is told once more."""
HURRY_S = 2.0
"""For putting the file back when growyd is stopping."""


class LoginChange:
    """Use as an async context manager:

        async with LoginChange(mosquitto, endpoint, login, patience_s) as change:
            await change.put(content made of change.before)
            await change.prove(wanted=True)

    Whatever fails in the block takes back what was put.

    Args:
        endpoint: where the broker is.
        login: what tells the broker of before from the changed one.
        patience_s: how long Mosquitto may take to read its file.

    Raises:
        LoginNotChanged: all is as it was before; from entering it, too: the broker or its files are not fit for it.
        LoginUncertain: it could not be proven that all is as it was before.
    """

    before: bytes
    """The file as it was."""

    def __init__(self, mosquitto: Mosquitto, endpoint: Endpoint, login: Login, patience_s: float) -> None:
        self._mosquitto = mosquitto
        self._endpoint = endpoint
        self._login = login
        self._patience_s = patience_s
        self._put: list[bytes] = []
        self._taken = False
        """The broker was seen to use a file of ours."""
        self._own = (
            Login(endpoint.username, endpoint.password or "") if endpoint.username is not None else None
        )
        self._own_lets_in = False
        """growyd's own login was good before. It is the witness of all the others: a Mosquitto that cannot read its
        file refuses everybody."""

    async def __aenter__(self) -> Self:
        await trio.to_thread.run_sync(self._mosquitto.check)
        self.before = await self._read()
        try:
            await self._prove_checked()
            self._own_lets_in = await lets_in(self._endpoint, self._own)
        except LoginNotChanged:
            raise
        except BrokerError as error:
            raise LoginNotChanged(
                f"Nothing was changed, because it could not be tried: {error.message}", cure=error.cure
            ) from error
        return self

    async def put(self, content: bytes) -> None:
        """Another password file, on disk. Raises BrokerError."""
        now = await self._read()
        if now != (self._put[-1] if self._put else self.before):
            raise LoginNotChanged(f"Somebody else is changing {self._mosquitto.password_file}")
        if content != now:
            self._put.append(content)
            await trio.to_thread.run_sync(self._mosquitto.replace, content)

    async def prove(self, *, wanted: bool) -> None:
        """Make Mosquitto read its file until it lets the login in, or no more, and growyd's own as before; and see that
        it refuses a wrong one.

        Raises LoginNotChanged: it does not, in time; BrokerError: it cannot be told.
        """
        await self._until(wanted, self._mosquitto.nudge)
        self._taken = True
        await self._prove_checked()

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            return
        if not isinstance(error, BrokerError):  # cancelled: no time for proof; or nothing was put yet
            with trio.CancelScope(shield=True), trio.move_on_after(HURRY_S):
                await self._hurry_back()
            return
        try:
            with trio.CancelScope(shield=True):
                await self._put_back()
                if self._put:
                    await self._prove_undone()
        except BrokerError as failure:
            raise LoginUncertain(
                f"{error.message}. To undo it failed too: {failure.message}",
                cure=f"Look at {self._mosquitto.password_file}, then: sudo systemctl reload mosquitto",
            ) from error
        raise LoginNotChanged(f"{error.message}. Everything is as it was before", cure=error.cure) from error

    async def _hurry_back(self) -> None:
        """The exception that brought us here goes on: nothing may take its place."""
        try:
            await self._put_back()
            if self._put:
                await trio.to_thread.run_sync(self._mosquitto.nudge)
        except BrokerError as failure:
            log.error("a change of the broker's login could not be taken back", error=str(failure))

    async def _put_back(self) -> None:
        """The file as it was before. Raises BrokerError: it cannot be written, or somebody else has since."""
        now = await self._read()
        if now == self.before:
            return
        if now not in self._put:
            raise BrokerError(f"Somebody else has written {self._mosquitto.password_file} meanwhile")
        await trio.to_thread.run_sync(self._mosquitto.replace, self.before)

    async def _prove_undone(self) -> None:
        """Raises BrokerError."""

        def nudge() -> None:
            try:
                self._mosquitto.nudge()
            except BrokerError:
                # Who has never read what we wrote need not be told that it is gone.
                if self._taken:
                    raise

        stood = await trio.to_thread.run_sync(self._stood_before)
        await self._until(stood, nudge)

    async def _prove_checked(self) -> None:
        """That the broker refuses a wrong login. Raises LoginNotChanged, BrokerError."""
        stranger = Login(f"growyd-nobody-{secrets.token_hex(4)}", secrets.token_urlsafe(12))
        if await lets_in(self._endpoint, stranger):
            raise LoginNotChanged(
                "The broker lets in whoever says a name: it looks at no password file",
                cure="Set password_file in mosquitto.conf, and restart Mosquitto",
            )

    async def _until(self, wanted: bool, nudge: Callable[[], None]) -> None:
        trouble = "it did not answer"
        with trio.move_on_after(self._patience_s):
            while True:
                await trio.to_thread.run_sync(nudge)
                for _ in range(NUDGE_EVERY):
                    await trio.sleep(POLL_S)  # at once, the answer could be that of the file before
                    try:
                        if await lets_in(self._endpoint, self._login) is not wanted:
                            trouble = "it refuses the login" if wanted else "it still takes the login"
                        elif self._own_lets_in and not await lets_in(self._endpoint, self._own):
                            trouble = "it refuses growyd's own login, too"
                        else:
                            return
                    except BrokerError as error:  # it may be busy, or starting again: there is time for that
                        trouble = error.message
        watched = self._mosquitto.pid_file is None
        told = "left to systemd" if watched else "told by SIGHUP"
        raise LoginNotChanged(
            f"Mosquitto ({told}) did not use the changed password file within {self._patience_s:g} s: {trouble}",
            cure="Check that [broker] password_file is the one in mosquitto.conf and that Mosquitto may read it"
            + ("; then systemctl status growyd-mosquitto.path" if watched else ""),
        )

    def _stood_before(self) -> bool:
        return password_file.matches(self.before, self._login.username, self._login.password)

    async def _read(self) -> bytes:
        return await trio.to_thread.run_sync(self._mosquitto.read)
