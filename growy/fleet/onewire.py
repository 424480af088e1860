"""ROM codes of OneWire sensors: sixteen hex digits, of which the last two prove the others."""

from __future__ import annotations

import re

from growy.model.errors import Invalid

READABLE = {0x28: "DS18B20", 0x22: "DS1822"}
"""Family codes, the first byte of a ROM code, whose values the firmware converts rightly (1/16 °C)."""

_POLYNOMIAL = 0x8C
_ROM = re.compile(r"[0-9A-F]{16}")
_SCAN = "Scan the bus and take the code from there"


def crc8(data: bytes) -> int:
    """The 1-Wire CRC (x⁸ + x⁵ + x⁴ + 1, least bit first) of Maxim's application note 27."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ _POLYNOMIAL if crc & 1 else crc >> 1
    return crc


def rom_code(text: str | None) -> str:
    """A ROM code as the firmware wants it: 16 upper-case hex digits; separators are dropped.

    Raises:
        Invalid: none, misread, or of a sensor that the firmware converts wrongly.
    """
    if not text:
        raise Invalid("a OneWire sensor is found by its ROM code, and there is none", cure=_SCAN)
    rom = re.sub(r"[\s:.-]", "", text).upper()
    if not _ROM.fullmatch(rom):
        raise Invalid(f"{text!r:.60} is no ROM code: it has 16 hex digits", cure=_SCAN)
    data = bytes.fromhex(rom)
    if crc8(data[:7]) != data[7]:
        raise Invalid(f"ROM code {rom} is misread: its last two digits do not prove the others", cure=_SCAN)
    if data[0] not in READABLE:
        raise Invalid(
            f"ROM code {rom} is of family {data[0]:02X}, and the firmware would convert its values wrongly",
            cure=f"It reads {' and '.join(f'{name} ({code:02X}...)' for code, name in READABLE.items())}",
        )
    return rom
