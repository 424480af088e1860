"""The systemd unit: it is watched, it is shut in, and nothing in it is misspelt."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from growy.cli.exits import ExitCode
from growy.config.tree import BrokerConfig
from growy.control.standstill import STUCK_EXIT, STUCK_S
from growy.control.watchdog import GIVE_UP_S, LIMITS

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "growyd.service"
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
EXPOSURE_AT_MOST = 2.0
ANALYZE = shutil.which("systemd-analyze")


def directives(unit: Path = UNIT) -> dict[str, list[str]]:
    """Name -> its values in order: systemd adds up what is said twice."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in unit.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


def analyze(*arguments: str, unit: Path = UNIT) -> subprocess.CompletedProcess[str]:
    if ANALYZE is None:
        pytest.skip("systemd-analyze is not installed here")
    return subprocess.run(
        [ANALYZE, *arguments, "--no-pager", str(unit)], capture_output=True, text=True, check=False
    )


def test_the_unit_is_watched_and_started_again() -> None:
    service = directives()

    assert service["Type"] == ["notify"]
    assert [float(seconds) for seconds in service["WatchdogSec"]] == [GIVE_UP_S]
    assert service["Restart"] == ["on-failure"]  # which includes a watchdog that ran out
    assert service["StartLimitIntervalSec"] == ["0"]
    assert str(int(ExitCode.STUCK)) not in service["RestartPreventExitStatus"][0].split()


def test_the_thread_that_can_say_why_comes_before_systemd_and_leaves_no_core_dump() -> None:
    service = directives()

    assert float(service["WatchdogSec"][0]) >= STUCK_S * 1.2
    assert service["WatchdogSignal"] == ["SIGABRT"]
    assert service["LimitCORE"] == ["0"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NoNewPrivileges", "true"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "true"),
        ("PrivateTmp", "true"),
        ("PrivateDevices", "true"),
        ("PrivateMounts", "true"),
        ("ProtectKernelTunables", "true"),
        ("RestrictNamespaces", "true"),
        ("RestrictSUIDSGID", "true"),
        ("MemoryDenyWriteExecute", "true"),
        ("RemoveIPC", "true"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("StateDirectory", "growy"),
    ],
)
def test_the_unit_shuts_growyd_in(name: str, value: str) -> None:
    assert directives()[name] == [value]


def test_growyd_may_call_what_a_service_calls_and_not_what_changes_the_machine() -> None:
    assert directives()["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]


def test_the_password_file_of_the_settings_is_the_one_that_systemd_watches_and_lets_growyd_write() -> None:
    file = BrokerConfig().password_file
    units = UNIT.parent

    assert directives(units / "growyd-mosquitto.path")["PathChanged"] == [file]
    assert directives()["ReadWritePaths"] == [f"-{Path(file).parent}"]
    assert directives(units / "growyd-mosquitto.service")["StartLimitIntervalSec"] == ["0"]
    assert f"password_file {file}" in PAGE


def test_the_exposure_that_systemd_measures_is_the_one_on_the_page() -> None:
    done = analyze("security", "--offline=true", f"--threshold={round(EXPOSURE_AT_MOST * 10)}")
    if "--offline" in done.stderr:
        pytest.skip(f"this systemd-analyze cannot judge a file: {done.stderr.strip()}")

    found = re.search(r"Overall exposure level for growyd\.service: ([\d.]+)", done.stdout)

    assert found, done.stderr
    assert done.returncode == 0
    assert float(found[1]) <= EXPOSURE_AT_MOST
    assert "rates the unit 1.2 of 10" in PAGE


@pytest.mark.parametrize("unit", sorted(UNIT.parent.iterdir()), ids=lambda unit: unit.name)
def test_no_directive_of_a_unit_is_unknown_to_systemd(unit: Path) -> None:
    done = analyze("verify", unit=unit)

    # That growyd is not installed where the unit expects it is no fault of the unit.
    faults = [
        line for line in done.stderr.splitlines() if unit.name in line and "is not executable" not in line
    ]
    assert faults == []


def test_the_page_tells_of_the_watchdog_what_the_program_does() -> None:
    section = re.search(r"^### The watchdog\n(.*?)^### ", PAGE, re.DOTALL | re.MULTILINE)
    assert section
    text = section[1]

    assert f"all of growyd, for {STUCK_S:g} s" in text
    assert f"after `WatchdogSec` ({GIVE_UP_S:g} s)" in text
    assert f"({min(LIMITS.values()):g} to {max(LIMITS.values()):g} s)" in text
    assert f"with code {STUCK_EXIT}" in text
    assert re.search(rf"^\| {STUCK_EXIT} \|", PAGE, re.MULTILINE)
