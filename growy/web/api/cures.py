"""What a person can do about what a device said of an item that it did not take. By the firmware's own words."""

from __future__ import annotations

from typing import Final

_PIN: Final = "The firmware does not take this pin, or has no room for one more: use another pin"
_SHAPE: Final = "The firmware does not take it like this: check type, pin and address"
_FLASH: Final = "The device could not store it: remove what it does not need, then push again"
_BUSY: Final = "The device was busy; growyd tries again, or push again"
_GONE: Final = "The sensor does not answer the device: check its wiring and address, then push again"

CURES: Final = {
    "GPIO_CONFLICT": "Another part of the device has this pin: remove that, or use another pin",
    "CONFIG_FAILED": _GONE,
    "NVS_WRITE_FAILED": _FLASH,
    "COMMIT_FAILED": _FLASH,
    "MISSING_FIELD": _SHAPE,
    "TYPE_MISMATCH": _SHAPE,
    "VALIDATION_FAILED": _SHAPE,
    "OUT_OF_RANGE": _SHAPE,
    "UNKNOWN_ERROR": _PIN,
    "PAYLOAD_TOO_LARGE": "Shorten its name and ids",
    "QUEUE_FULL": _BUSY,
    "WRITE_TIMEOUT": _BUSY,
    "OUTBOX_FULL": _BUSY,
    "REPLAY_QUEUE_FULL": _BUSY,
    "CONFIG_LANE_BUSY": _BUSY,
    "1001": _PIN,
    "1002": "Another part of the device has this pin: remove that, or use another pin",
    "1041": _GONE,
    "1051": _PIN,
    "2003": _FLASH,
    "2010": _SHAPE,
    "2011": _SHAPE,
}


def cure_of(code: str, error: str = "") -> str:
    """A sentence for a code (a word or a number of the firmware); "" when nothing better is known than trying again."""
    return CURES.get(code) or CURES.get(error) or ""
