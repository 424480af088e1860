"""What happens to a device, and what its machine wants done. Values only: nothing here acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from growy.fleet.device import Record, Standing
from growy.model.audit import AuditEntry
from growy.wire.table import Message

# --- what happens -------------------------------------------------------------------------------------------------


@attrs.frozen
class Said:
    """A message of the device, of any kind but a reading. None: a heartbeat that cannot be read."""

    message: Message | None


@attrs.frozen
class Measured:
    """It sent readings: it is there, and its gate is open."""


@attrs.frozen
class Tick:
    """Time has passed."""

    heard_at: float
    """When it was heard last."""
    may_send: bool
    """Whether this device may begin a transmission now; the fleet as a whole is paced."""


@attrs.frozen
class LinkLost:
    """growyd's own connection to the broker is gone: nothing in the air will be answered."""


@attrs.frozen
class LinkBack:
    """growyd is connected to the broker (again)."""


@attrs.frozen
class Decided:
    """A person, or `fleet.auto_approve`, decided about the device."""

    standing: Standing
    by: str
    reason: str = ""


@attrs.frozen
class Changed:
    """A person changed what is set up. `record` was made by `growy.fleet.edit` of the present one."""

    record: Record
    note: AuditEntry | None = None


Event: TypeAlias = Said | Measured | Tick | LinkLost | LinkBack | Decided | Changed


# --- what is to be done -------------------------------------------------------------------------------------------


@attrs.frozen
class Acknowledge:
    """Answer, or keep company: `system/heartbeat/ack`. Always the first effect of a heartbeat."""

    status: str
    epoch: int


@attrs.frozen
class Send:
    """Publish to the device, QoS 1, within its deadline or never."""

    topic: str
    payload: bytes


@attrs.frozen
class ClearWill:
    """Take the retained last will back: the device is here."""


@attrs.frozen
class SayOnline:
    """Publish `server/status online` again: the device refuses acknowledgements until it has seen it."""


@attrs.frozen
class Tell:
    """Tell those who watch, under the event names of the WebSocket."""

    event: str
    data: Mapping[str, object] = attrs.field(factory=dict)
    correlation_id: str | None = None


@attrs.frozen
class Note:
    """Write it into the audit trail."""

    entry: AuditEntry


@attrs.frozen
class Save:
    """The record has changed in what matters after a restart."""


Effect: TypeAlias = Acknowledge | Send | ClearWill | SayOnline | Tell | Note | Save
