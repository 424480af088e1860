"""What a Kaiser's store sends to its God's, and what comes back: CBOR, because most of it is packed blobs.

    kaiser/{id}/kaiser/data       Shipment     commits and events behind God's cursors, with the names they need
    kaiser/{id}/god/data_ack      Progress     how far God has come, on its disk

A shipment says everything that it depends on, so that losing or repeating one costs time and nothing else. Pure; what
is in a blob is the store's business.
"""

from __future__ import annotations

import re
from typing import TypeVar

import cbor2
import msgspec

from growy.wire.reasons import Reason, refuse

_DATA = re.compile(rb"kaiser/([A-Za-z0-9_-]{1,63})/kaiser/data")


def data(kaiser_id: str) -> str:
    """Where a Kaiser's shipments are published, QoS 1."""
    return f"kaiser/{kaiser_id}/kaiser/data"


def any_data() -> str:
    """The filter for those of all Kaisers."""
    return "kaiser/+/kaiser/data"


def data_of(topic: bytes) -> str | None:
    """Whose shipments have that topic; None: it is another one."""
    found = _DATA.fullmatch(topic)
    return None if found is None else found[1].decode()


def data_ack(kaiser_id: str) -> str:
    """Where God answers, QoS 1."""
    return f"kaiser/{kaiser_id}/god/data_ack"


MAX_BYTES = 512 * 1024
"""Of one message. A commit of 10,000 readings has 110 kB; a broker's own limit is usually far above."""


class SeriesName(msgspec.Struct, frozen=True, array_like=True):
    """What a series id of the sending store means."""

    id: int
    esp_id: str
    bus: str
    address: str
    value_type: str
    gpio: int
    unit: str


class ConversionName(msgspec.Struct, frozen=True, array_like=True):
    id: int
    library: str
    version: str
    parameters: str


class Commit(msgspec.Struct, frozen=True, array_like=True):
    id: int
    blob: bytes


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One entry of the audit trail; `entry` is its JSON."""

    id: int
    entry: bytes


class Paper(msgspec.Struct, frozen=True, array_like=True):
    """What a node needs to own a device, as its owner has it now."""

    esp_id: str
    version: str
    content: bytes


class Shipment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """With neither commits nor events: how far are you with me?"""

    instance: str
    """Of the store that sends: another card begins anew."""
    session: str
    """Names that were told hold for as long as it is the same."""
    installation: str
    """As in its reports: two nodes with one id must not be mixed."""
    commits: tuple[Commit, ...] = ()
    """In order."""
    events: tuple[Event, ...] = ()
    """In order."""
    series: tuple[SeriesName, ...] = ()
    conversions: tuple[ConversionName, ...] = ()
    papers: tuple[Paper, ...] = ()
    """Those that have changed. God keeps the newest, so that the device can go on elsewhere."""
    all_names: bool = False
    """All that occur in it are named in it: whoever does not know one never will."""


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The cursors are those of the instance that asked."""

    instance: str
    session: str
    cursor: int = 0
    check: int = 0
    """CRC-32 of the commit at the cursor."""
    events: int = 0
    names_wanted: bool = False
    """A shipment named series that were not told in this session, to this God: nothing of it was taken."""
    refusal: str = ""


T = TypeVar("T", Shipment, Progress)


def encode(message: Shipment | Progress) -> bytes:
    return cbor2.dumps(msgspec.to_builtins(message, builtin_types=(bytes,)))


def decode(payload: bytes, kind: type[T]) -> T:
    """Raises WireError: too_large, bad_cbor, or wrong_type where a field is missing or of another kind."""
    if len(payload) > MAX_BYTES:
        raise refuse(Reason.TOO_LARGE, f"{len(payload)} bytes; at most {MAX_BYTES} are taken")
    try:
        said = cbor2.loads(payload)
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise refuse(Reason.BAD_CBOR, str(error)) from None
    try:
        return msgspec.convert(said, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise refuse(Reason.WRONG_TYPE, str(error)) from None
