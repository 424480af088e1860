"""What Linux says: read from files as a Pi has them, and from this very machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from growy.ops import machine
from growy.ops.machine import CpuMeter, Power


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def test_memory_and_own_memory_in_bytes(root: Path) -> None:
    write(root / "proc/meminfo", "MemTotal:        3884448 kB\nMemFree:  1 kB\nMemAvailable:    2913336 kB\n")
    write(root / "proc/self/status", "Name:\tgrowyd\nVmRSS:\t   74240 kB\n")

    found = machine.memory(root)

    assert found is not None
    assert (found.total, found.available, found.used_percent) == (3884448 * 1024, 2913336 * 1024, 25.0)
    assert machine.resident_bytes(root) == 74240 * 1024


def test_what_this_process_wrote_and_how_long_the_machine_is_up(root: Path) -> None:
    write(
        root / "proc/self/io",
        "rchar: 5\nwchar: 99\nread_bytes: 0\nwrite_bytes: 4096\ncancelled_write_bytes: 0\n",
    )
    write(root / "proc/uptime", "13024.96 20000.00\n")

    assert machine.written_bytes(root) == 4096
    assert machine.up_s(root) == 13024.96


def test_a_disk_is_counted_as_a_whole_whichever_partition_holds_the_folder(
    root: Path, tmp_path: Path
) -> None:
    device = tmp_path.stat().st_dev
    card = root / "sys/devices/mmc/mmcblk0"
    write(card / "stat", "  10 0 80 5  20 0 2000 9  0 5 14 0 0 0 0 0 0\n")
    write(card / "mmcblk0p2/partition", "2\n")
    write(card / "mmcblk0p2/stat", "  1 0 8 5  2 0 200 9  0 5 14 0 0 0 0 0 0\n")
    links = root / "sys/dev/block"
    links.mkdir(parents=True)
    (links / f"{os.major(device)}:{os.minor(device)}").symlink_to(card / "mmcblk0p2")

    assert machine.disk_written_bytes(tmp_path, root) == 2000 * 512


def test_what_is_not_there_is_none_never_zero(root: Path, tmp_path: Path) -> None:
    root.mkdir()
    assert machine.memory(root) is None
    assert machine.resident_bytes(root) is None
    assert machine.written_bytes(root) is None
    assert machine.up_s(root) is None
    assert machine.disk_written_bytes(tmp_path, root) is None
    assert machine.disk_written_bytes(tmp_path / "nowhere") is None
    assert CpuMeter(root).percent() is None


def test_the_processor_is_measured_between_two_looks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(machine.time, "monotonic", lambda: now[0])
    write(root / "proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1\n")
    meter = CpuMeter(root)
    assert meter.percent() is None

    now[0] += 10
    write(root / "proc/stat", "cpu  130 0 120 850 100 0 0 0 0 0\n")
    assert meter.percent() == 25.0

    write(root / "proc/stat", "cpu  900 0 120 850 100 0 0 0 0 0\n")
    assert meter.percent() == 25.0, "no second figure within a second"


@pytest.fixture
def path_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@pytest.mark.parametrize(
    ("said", "power"),
    [
        ("throttled=0x0", Power(now=(), since_boot=())),
        (
            "throttled=0x50005",
            Power(now=("under-voltage", "throttled"), since_boot=("under-voltage", "throttled")),
        ),
        ("throttled=0x80000", Power(now=(), since_boot=("too hot",))),
    ],
)
def test_a_pis_firmware_is_asked_for_its_supply(path_with: Path, said: str, power: Power) -> None:
    program = path_with / "vcgencmd"
    program.write_text(f"#!/bin/sh\necho {said}\n", encoding="ascii")
    program.chmod(0o755)

    assert machine.power() == power


@pytest.mark.parametrize(("alarm", "now"), [("0", ()), ("1", ("under-voltage",))])
def test_without_it_the_kernels_alarm_is_read(
    path_with: Path, root: Path, alarm: str, now: tuple[str, ...]
) -> None:
    write(root / "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    write(root / "sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    write(root / "sys/class/hwmon/hwmon1/in0_lcrit_alarm", f"{alarm}\n")

    assert machine.power(root) == Power(now=now, since_boot=())


def test_a_machine_that_does_not_watch_its_supply_says_nothing(path_with: Path, root: Path) -> None:
    assert machine.power(root) is None


def test_a_clock_that_timesyncd_has_set_is_synchronised(root: Path) -> None:
    write(root / "run/systemd/timesync/synchronized", "")
    assert machine.clock_synchronised(root) is True


def test_this_machine_answers() -> None:
    found = machine.memory()
    assert found is not None
    assert 0 < found.available <= found.total
    own = machine.resident_bytes()
    assert own is not None
    assert own > 1_000_000
