"""The logins of the Mosquitto beside us: one is set up or taken away, and where that stands. Must never repeat a
password: not in an answer, not in an error."""

from __future__ import annotations

import attrs

from growy.model.errors import Invalid, LoginNotChanged, LoginUncertain, NotFound, NotSupported, OwnLogin
from growy.web.answers import Response, answer, iso
from growy.web.inputs import Secret
from growy.web.router import Auth, Call, Endpoint
from growy.web.shapes import operation as shapes


@attrs.frozen
class ConfigureBody:
    username: str
    password: Secret | None = attrs.field(default=None, repr=False)
    """Not needed to take a login away."""
    enabled: bool | None = None
    enable: bool | None = None
    """The same by its older name."""

    def wanted(self) -> bool:
        """Raises Invalid."""
        if None not in (self.enabled, self.enable) and self.enabled is not self.enable:
            raise Invalid("enabled and enable mean the same, and they differ", cure="Say one of them")
        return self.enabled is not False and self.enable is not False


async def configure(call: Call, body: ConfigureBody) -> Response:
    """Set up a login of the broker, or take one away. Answers when the broker has proven it."""
    logins = call.app.broker_logins
    if body.wanted():
        if body.password is None:
            raise Invalid("password: is missing", details={"faults": ["password: is missing"]})
        done = await logins.enable(body.username, body.password, by=call.by)
        message = f"The broker lets {done.username} in with the new password, and with no other"
    else:
        done = await logins.disable(body.username, by=call.by)
        message = f"The broker does not let {done.username} in any more"
    return answer(
        {
            "success": True,
            "message": message,
            "username": done.username,
            "enabled": done.enabled,
            "broker_reloaded": True,
            "warnings": done.warnings,
        }
    )


async def status(call: Call) -> Response:
    """The login that was set up last, and the broker."""
    found = await call.app.broker_logins.status()
    return answer(
        {
            "success": True,
            "enabled": found.enabled,
            "username": found.username,
            "password_file_exists": found.password_file_exists,
            "broker_connected": found.broker_connected,
            "last_configured": iso(found.last_configured_ms),
        }
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v1/auth/mqtt/configure",
        summary="Set up a login of the broker",
        handler=configure,
        body=ConfigureBody,
        auth=Auth.ADMIN,
        answers=shapes.BROKER_LOGIN,
        errors=(NotFound, NotSupported, OwnLogin, LoginNotChanged, LoginUncertain),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/auth/mqtt/status",
        summary="The broker's login",
        handler=status,
        answers=shapes.BROKER_LOGIN_STATUS,
    ),
)
