"""What Linux says of the machine: memory, processor, what was written to the card, clock, power. Reads /proc and /sys
and changes nothing. What this machine does not tell is None, never 0.

Reading a file of /proc takes microseconds and no disk. `clock_synchronised` and `power` may start a program: blocking,
for a worker thread.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from pathlib import Path

import attrs

SECTOR = 512
"""Bytes: the unit of /sys/.../stat, whatever the disk's own sectors are."""
ASK_S = 3.0
"""How long a program that is asked may take."""
_TIMEX_BYTES = 512
"""More than struct timex has on any Linux."""
_TIME_ERROR = 5
"""adjtimex: the clock is not synchronised."""
_THROTTLED = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "too hot"}
"""Bits of vcgencmd get_throttled; the same 16 higher: it has happened since the boot."""
_HAS_OCCURRED = 16


@attrs.frozen(kw_only=True)
class Memory:
    """Bytes."""

    total: int
    available: int
    """What programs can still have without swapping."""

    @property
    def used_percent(self) -> float:
        return round(100.0 * (self.total - self.available) / self.total, 1) if self.total else 0.0


@attrs.frozen(kw_only=True)
class Power:
    """How the Pi's supply has been."""

    now: tuple[str, ...]
    """What is wrong at this moment."""
    since_boot: tuple[str, ...]


def memory(root: Path = Path("/")) -> Memory | None:
    """Of the whole machine."""
    fields = _colon_table(_read(root / "proc/meminfo"))
    try:
        return Memory(total=fields["MemTotal"] * 1024, available=fields["MemAvailable"] * 1024)
    except KeyError:
        return None


def resident_bytes(root: Path = Path("/"), pid: int | None = None) -> int | None:
    """Memory that a process holds now; of this one where no other is named."""
    kilobytes = _colon_table(_read(root / f"proc/{pid or 'self'}/status")).get("VmRSS")
    return None if kilobytes is None else kilobytes * 1024


def written_bytes(root: Path = Path("/")) -> int | None:
    """What this process has had written to disks since its start, as the kernel counts: the pages that it dirtied."""
    return _colon_table(_read(root / "proc/self/io")).get("write_bytes")


def up_s(root: Path = Path("/")) -> float | None:
    """Seconds since the machine was booted."""
    words = _read(root / "proc/uptime").split()
    return float(words[0]) if words else None


def disk_written_bytes(folder: Path, root: Path = Path("/")) -> int | None:
    """What all programs together have written, since the boot, to the disk that holds a folder."""
    try:
        device = folder.stat().st_dev
    except OSError:
        return None
    block = root / f"sys/dev/block/{os.major(device)}:{os.minor(device)}"
    if (block / "partition").exists():
        # A partition's own figure would do, but a card wears as a whole. The folder above it is the whole disk.
        block = block.resolve().parent
    words = _read(block / "stat").split()
    return int(words[6]) * SECTOR if len(words) > 6 else None


class CpuMeter:
    """How busy the processor was between two looks."""

    SHORTEST_S = 1.0
    """Looks that follow each other sooner are told the same: a figure of a moment says nothing."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._at = time.monotonic()
        self._last = self._jiffies()
        self._percent: float | None = None

    def percent(self) -> float | None:
        """0 to 100, of all cores together, since the look before; None until there are two looks."""
        now = time.monotonic()
        if now - self._at < self.SHORTEST_S:
            return self._percent
        busy, all_ = self._jiffies()
        gone = all_ - self._last[1]
        if gone > 0:
            self._percent = round(100.0 * (busy - self._last[0]) / gone, 1)
        self._at, self._last = now, (busy, all_)
        return self._percent

    def _jiffies(self) -> tuple[int, int]:
        words = _read(self._root / "proc/stat").partition("\n")[0].split()[1:9]
        times = [int(word) for word in words]
        idle = sum(times[3:5])
        return sum(times) - idle, sum(times)


def clock_synchronised(root: Path = Path("/")) -> bool | None:
    """Whether the kernel's clock is held in time by NTP. Blocking.

    Asks the kernel; where a unit's sandbox forbids that (ProtectClock), systemd.
    """
    if (root / "run/systemd/timesync/synchronized").exists():
        return True
    said = _adjtimex()
    if said is not None:
        return said
    answer = _ask("timedatectl", "show", "--property=NTPSynchronized", "--value")
    return {"yes": True, "no": False}.get(answer.strip())


def power(root: Path = Path("/")) -> Power | None:
    """What the Pi's firmware says of its supply; None on a machine that does not watch it. Blocking."""
    answer = _ask("vcgencmd", "get_throttled").strip()
    if answer.startswith("throttled=0x"):
        bits = int(answer.removeprefix("throttled="), 16)
        return Power(
            now=tuple(word for bit, word in _THROTTLED.items() if bits >> bit & 1),
            since_boot=tuple(word for bit, word in _THROTTLED.items() if bits >> (bit + _HAS_OCCURRED) & 1),
        )
    for sensor in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if _read(sensor / "name").strip() == "rpi_volt":
            low = _read(sensor / "in0_lcrit_alarm").strip() == "1"
            return Power(now=("under-voltage",) if low else (), since_boot=())
    return None


def _adjtimex() -> bool | None:
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes 0: it only looks
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (AttributeError, OSError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def _ask(program: str, *arguments: str) -> str:
    """What a program says, "" where there is none or it fails."""
    found = shutil.which(program)
    if found is None:
        return ""
    try:
        done = subprocess.run(
            [found, *arguments],
            capture_output=True,
            text=True,
            timeout=ASK_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _colon_table(text: str) -> dict[str, int]:
    """`Name:   123 kB` lines; those without a number are left out."""
    table: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            table[name] = int(words[0])
    return table
