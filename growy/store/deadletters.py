"""Messages that could not be used, with the reason: every inbound message ends somewhere. A bounded table.

A dead letter is written in the transaction of the readings it arrived with, so that its message is acknowledged
only when it is on disk too. Must never grow without limit: the oldest go first, long payloads are cut (their
size is kept)."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import attrs

PAYLOAD_KEPT = 4096
"""Bytes of a payload that are kept: four of the firmware's largest readings."""


@attrs.frozen(slots=True)
class DeadLetter:
    """A message that ended without a reading."""

    received_ms: int
    topic: str
    payload: bytes
    reason: str
    """A short stable word, as `WireError.reason`."""
    message: str = ""
    size: int | None = None
    """Length of the whole payload where `payload` is only its beginning."""

    @classmethod
    def of(cls, received_ms: int, topic: str, payload: bytes, reason: str, message: str) -> DeadLetter:
        """With no more of the payload than will be stored: it may wait long, and with many others."""
        return cls(received_ms, topic, payload[:PAYLOAD_KEPT], reason, message, len(payload))


@attrs.frozen(slots=True)
class DeadLetterRow:
    """A dead letter as it is stored."""

    id: int
    received_ms: int
    topic: str
    reason: str
    message: str
    size: int
    """Length of the whole payload; `payload` holds at most its first 4096 bytes."""
    payload: bytes


def write_dead_letters(db: apsw.Connection, letters: Sequence[DeadLetter], keep: int) -> None:
    """Append, then drop what is older than the newest `keep`. Inside the caller's transaction."""
    for letter in letters[-keep:] if keep else ():
        db.execute(
            "INSERT INTO dead_letter (received_ms, topic, reason, message, size, payload) VALUES (?, ?, ?, ?, ?, ?)",
            (
                letter.received_ms,
                letter.topic,
                letter.reason,
                letter.message,
                len(letter.payload) if letter.size is None else letter.size,
                letter.payload[:PAYLOAD_KEPT],
            ),
        )
    db.execute("DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?", (keep,))


def read_dead_letters(db: apsw.Connection, limit: int) -> list[DeadLetterRow]:
    """The newest first."""
    rows = db.execute(
        "SELECT id, received_ms, topic, reason, message, size, payload FROM dead_letter ORDER BY id DESC LIMIT ?",
        (limit,),
    )
    return [DeadLetterRow(*row) for row in rows]
