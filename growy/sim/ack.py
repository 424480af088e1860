"""Whether the firmware would accept a heartbeat ACK, but for what its handover says. Pure; the rules are those that
make a real device deaf without a word.

The device parses into a pool of 256 bytes and wants a `status` string and an integer `handover_epoch` >= 1;
anything else is ignored, and the device stays unregistered.
"""

from __future__ import annotations

import attrs

from growy.sim import arduino_json
from growy.sim.arduino_json import JsonObject, ParseFailed

POOL_BYTES = 256
EARLIEST_SERVER_TIME = 1_700_000_000
"""Unix seconds; with an older one the firmware does not set its clock."""


@attrs.frozen(slots=True)
class Ack:
    """An ACK the device accepts."""

    status: str
    handover_epoch: int
    server_time: int | None
    """Unix seconds, where it is plausible enough to set a clock by."""
    document: JsonObject = attrs.field(factory=dict, eq=False, repr=False)
    """All of it."""


@attrs.frozen(slots=True)
class AckRefused:
    """An ACK the device ignores; `reason` is the word of its `heartbeat_metrics`, or POOL_OVERFLOW /
    JSON_PARSE_ERROR."""

    reason: str

    @property
    def counted(self) -> bool:
        """Whether the device counts it; what it cannot parse it only logs."""
        return self.reason not in ("POOL_OVERFLOW", "JSON_PARSE_ERROR")


def read_ack(payload: bytes) -> Ack | AckRefused:
    """Judge an ACK as the firmware does."""
    document = arduino_json.parse(arduino_json.c_text(payload), POOL_BYTES)
    if isinstance(document, ParseFailed):
        return AckRefused("POOL_OVERFLOW" if document.word == "NoMemory" else "JSON_PARSE_ERROR")
    members = arduino_json.as_object(document)
    status = members.get("status")
    if not isinstance(status, str):
        return AckRefused("MISSING_ACK_STATUS")
    if members.get("handover_epoch") is None:
        return AckRefused("MISSING_HANDOVER_EPOCH")
    epoch = arduino_json.int32(members["handover_epoch"], -1)
    if epoch == -1 and members["handover_epoch"] != -1:
        return AckRefused("INVALID_HANDOVER_EPOCH_TYPE")
    if epoch < 1:
        return AckRefused("INVALID_HANDOVER_EPOCH")
    server_time = arduino_json.int32(members.get("server_time"))
    plausible = server_time >= EARLIEST_SERVER_TIME
    return Ack(status, epoch, server_time if plausible else None, members)
