"""What growyd tells a device beside its config: nothing is null, nothing overflows, nothing is pretended."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.model.errors import GrowyError, Invalid, NotSupported, TooLargeForDevice
from growy.model.setup import SubzoneSetup, ZoneSetup
from growy.wire import commands
from growy.wire.commands import LogLevel, SystemCommand, TokenType
from growy.wire.limits import SAFE_PINS, WROOM_PINS, pool_bytes, within_pool

GREENHOUSE = ZoneSetup(zone_id="greenhouse_1", master_zone_id="greenhouse", zone_name="Greenhouse 1")
BENCH = SubzoneSetup(subzone_id="bench_a", name="Bench A", gpios=(4, 18))


def test_a_zone_is_always_four_texts() -> None:
    assert json.loads(commands.zone_assign(GREENHOUSE, "god", "z-1")) == {
        "zone_id": "greenhouse_1",
        "master_zone_id": "greenhouse",
        "zone_name": "Greenhouse 1",
        "kaiser_id": "god",
        "correlation_id": "z-1",
    }


def test_out_of_the_zone_is_an_empty_one() -> None:
    payload = json.loads(commands.zone_assign(ZoneSetup(zone_id=""), "god", "z-2"))

    assert payload == {
        "zone_id": "",
        "master_zone_id": "",
        "zone_name": "",
        "kaiser_id": "god",
        "correlation_id": "z-2",
    }


@pytest.mark.parametrize(
    ("zone", "kaiser_id"),
    [
        (ZoneSetup(zone_id="green house"), "god"),
        (ZoneSetup(zone_id="z" * 33), "god"),
        (ZoneSetup(zone_id="z", master_zone_id="m/n"), "god"),
        (ZoneSetup(zone_id="z", zone_name='"'), "god"),
        (ZoneSetup(zone_id="z"), ""),
        (ZoneSetup(zone_id="z"), "a/b"),
    ],
)
def test_a_zone_that_the_device_would_refuse_or_be_lost_in_is_refused(
    zone: ZoneSetup, kaiser_id: str
) -> None:
    with pytest.raises(Invalid):
        commands.zone_assign(zone, kaiser_id, "z-1")


def test_a_subzone_always_says_whether_its_pins_are_made_safe() -> None:
    payload = commands.subzone_assign(BENCH, "greenhouse_1", BENCH.gpios, 1767225600, "s-1")

    assert json.loads(payload) == {
        "subzone_id": "bench_a",
        "subzone_name": "Bench A",
        "parent_zone_id": "greenhouse_1",
        "assigned_gpios": [4, 18],
        "safe_mode_active": False,
        "timestamp": 1767225600,
        "correlation_id": "s-1",
    }


@pytest.mark.parametrize("gpio", [0, 1, 12, 20, 37, 68, 255])
def test_a_subzone_of_what_is_no_usable_pin_is_refused(gpio: int) -> None:
    with pytest.raises(Invalid, match=str(gpio)):
        commands.subzone_assign(BENCH, "greenhouse_1", (4, gpio), 1767225600, "s-1")


def test_a_subzone_needs_a_zone() -> None:
    with pytest.raises(Invalid, match="zone id"):
        commands.subzone_assign(BENCH, "", BENCH.gpios, 1767225600, "s-1")


def test_a_subzone_is_removed_and_made_safe() -> None:
    assert commands.subzone_remove("bench_a", "s-2") == b'{"subzone_id":"bench_a","correlation_id":"s-2"}'
    assert json.loads(commands.subzone_safe("bench_a", True, "s-3"))["action"] == "enable"
    assert json.loads(commands.subzone_safe("bench_a", False, "s-4"))["action"] == "disable"


def test_a_measurement_is_asked_for_under_one_id() -> None:
    assert commands.measure("r-9", 8000) == (
        b'{"command":"measure","request_id":"r-9","correlation_id":"r-9","intent_id":"r-9","timeout_ms":8000}'
    )


@pytest.mark.parametrize("timeout", [0, 60_001])
def test_a_time_that_the_device_would_change_is_refused(timeout: int) -> None:
    with pytest.raises(Invalid):
        commands.measure("r-9", timeout)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (commands.system_command(SystemCommand.STATUS), {"command": "status"}),
        (
            commands.system_command(SystemCommand.DIAGNOSTICS, "c-1"),
            {"command": "diagnostics", "correlation_id": "c-1", "intent_id": "c-1"},
        ),
        (commands.set_log_level(LogLevel.DEBUG), {"command": "set_log_level", "level": "DEBUG"}),
        (
            commands.set_emergency_token("s3cret", TokenType.BROADCAST),
            {"command": "set_emergency_token", "token": "s3cret", "token_type": "broadcast"},
        ),
        (commands.onewire_scan(4), {"command": "onewire/scan", "pin": 4}),
        (commands.factory_reset(), {"command": "factory_reset", "confirm": True}),
    ],
)
def test_system_commands_by_their_exact_names(payload: bytes, expected: dict[str, object]) -> None:
    assert json.loads(payload) == expected


@pytest.mark.parametrize("command", SystemCommand)
def test_a_command_is_found_by_its_name_in_any_case(command: SystemCommand) -> None:
    assert commands.system_command_named(f" {command.value.upper()}") is command


@pytest.mark.parametrize("name", ["reboot", "RESTART", "reset_config", "resume_operation", ""])
def test_what_the_firmware_does_not_know_is_not_pretended(name: str) -> None:
    with pytest.raises(NotSupported) as caught:
        commands.system_command_named(name)

    assert caught.value.http_status == 501
    assert ("switching it off and on" in caught.value.cure) is (name in ("reboot", "RESTART"))


def test_what_a_device_takes_that_waits() -> None:
    assert {command for command in SystemCommand if command.always_taken} == {
        SystemCommand.STATUS,
        SystemCommand.DIAGNOSTICS,
        SystemCommand.GET_CONFIG,
        SystemCommand.SET_LOG_LEVEL,
        SystemCommand.SAFE_MODE,
    }


@pytest.mark.parametrize(
    "command",
    [
        SystemCommand.SET_EMERGENCY_TOKEN,  # without a token the device would store the text "null"
        SystemCommand.FACTORY_RESET,
        SystemCommand.ONEWIRE_SCAN,
        SystemCommand.SET_LOG_LEVEL,
    ],
)
def test_a_command_with_arguments_cannot_be_sent_without_them(command: SystemCommand) -> None:
    with pytest.raises(ValueError, match="arguments"):
        commands.system_command(command)


@pytest.mark.parametrize("token", ["", "t" * 65, 'a"b', "a\\b", "tökn", "a\nb"])
def test_a_token_that_the_device_could_not_compare_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(Invalid) as caught:
        commands.set_emergency_token(token)

    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("pin", [-1, 40])
def test_a_scan_of_what_is_no_pin_is_refused(pin: int) -> None:
    with pytest.raises(Invalid):
        commands.onewire_scan(pin)


# --- what a device can parse ------------------------------------------------------------------------------------------

IDS = st.text("abcXYZ019_.:-", min_size=1, max_size=63)
PLACES = st.text("abcXYZ019_-", min_size=1, max_size=32)
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc",), exclude_characters='"\\'), max_size=16
)
LONGEST = "w" * 63


@given(PLACES, PLACES | st.just(""), NAMES, st.text("abcXYZ019_-", min_size=1, max_size=63), IDS)
def test_every_zone_leaves_a_fifth_of_its_pool(
    zone: str, master: str, name: str, kaiser: str, correlation: str
) -> None:
    setup = ZoneSetup(zone_id=zone, master_zone_id=master, zone_name=name)

    assert pool_bytes(commands.zone_assign(setup, kaiser, correlation)) <= 512 * 0.8


@given(PLACES, NAMES, PLACES, st.sets(st.sampled_from(sorted(WROOM_PINS))), IDS)
def test_every_subzone_leaves_a_fifth_of_its_pool(
    subzone: str, name: str, zone: str, gpios: set[int], correlation: str
) -> None:
    setup = SubzoneSetup(subzone_id=subzone, name=name)
    payload = commands.subzone_assign(setup, zone, sorted(gpios), 2_000_000_000, correlation)

    assert pool_bytes(payload) <= 1024 * 0.8
    assert pool_bytes(commands.subzone_remove(subzone, correlation)) <= 256 * 0.8
    assert pool_bytes(commands.subzone_safe(subzone, True, correlation)) <= 512 * 0.8


@given(IDS, st.text("abc XYZ019!#$%&'()*+,-./", min_size=1, max_size=64), st.sampled_from(TokenType))
def test_every_command_leaves_a_fifth_of_its_pool(an_id: str, token: str, kind: TokenType) -> None:
    assert pool_bytes(commands.measure(an_id, 60_000)) <= 384 * 0.8
    for payload in (
        *(commands.set_log_level(level, an_id) for level in LogLevel),
        commands.set_emergency_token(token, kind),
        commands.onewire_scan(39, an_id),
        commands.factory_reset(an_id),
        *(
            commands.system_command(command, an_id)
            for command in SystemCommand
            if command.always_taken and command is not SystemCommand.SET_LOG_LEVEL
        ),
    ):
        assert pool_bytes(payload) <= 256 * 0.8


def test_the_largest_of_each_still_fits() -> None:
    zone = ZoneSetup(zone_id="z" * 32, master_zone_id="m" * 32, zone_name="n" * 64)
    subzone = SubzoneSetup(subzone_id="s" * 32, name="n" * 64)

    assert pool_bytes(commands.zone_assign(zone, "k" * 63, LONGEST)) == 397
    assert pool_bytes(commands.subzone_assign(subzone, "z" * 32, sorted(WROOM_PINS), 1, LONGEST)) == 723
    assert pool_bytes(commands.set_emergency_token("t" * 64)) == 162


def test_what_would_be_dropped_is_not_sent() -> None:
    with pytest.raises(TooLargeForDevice) as caught:
        within_pool("a command", json.dumps({"text": "x" * 200}).encode(), 256)

    assert isinstance(caught.value, GrowyError)
    assert caught.value.details == {"pool_bytes": 16 + 5 + 201, "of_pool_bytes": 204}


def test_the_safe_pins_are_those_of_the_boards() -> None:
    assert not SAFE_PINS & {0, 1, 3, 12, 13, 20, 24, 37, 38}
