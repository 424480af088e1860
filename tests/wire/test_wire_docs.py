"""docs/mqtt.md says what the program does: every topic, field, reason and example of it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from wire_samples import builders

from growy.model.control import FULL, OFF, ActuatorKey, Command, Verb
from growy.model.setup import SubzoneSetup, ZoneSetup
from growy.wire import actuation, commands
from growy.wire.batch import MAX_READINGS
from growy.wire.commands import LogLevel, SystemCommand
from growy.wire.config_document import MAX_CHARACTERS, MAX_NODES
from growy.wire.decode import decode
from growy.wire.formats import MAX_DEPTH, MAX_PAYLOAD
from growy.wire.reasons import Reason
from growy.wire.table import MESSAGE_TYPES, SHAPES
from growy.wire.topics import TopicKind, parse_topic

PAGE = (Path(__file__).parents[2] / "docs" / "mqtt.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json (\S+)\n(.*?)\n```", PAGE, re.DOTALL)


def section(kind: TopicKind) -> str:
    found = re.search(rf"^## `{re.escape(kind.value)}`\n(.*?)(?=^#)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, f"docs/mqtt.md has no section for {kind.value}"
    return found[1]


@pytest.mark.parametrize("kind", TopicKind, ids=lambda kind: kind.name)
def test_every_topic_has_a_section_with_its_quality_of_service_and_an_example(kind: TopicKind) -> None:
    text = section(kind)

    assert re.match(r"\nQoS [01], (not )?retained", text)
    assert "```json" in text


@pytest.mark.parametrize("kind", TopicKind, ids=lambda kind: kind.name)
def test_every_field_and_alias_is_described(kind: TopicKind) -> None:
    text = section(kind)
    fields = set(MESSAGE_TYPES[kind].__struct_encode_fields__)
    aliases = (
        {name for others in SHAPES[kind].aliases.values() for name in others} if kind in SHAPES else set()
    )
    general = {"timestamp", "raw_value", "raw_data", "session_epoch", "active_handover_epoch", "free_heap"}

    assert {name for name in fields if f"`{name}`" not in text} == set()
    assert {name for name in aliases - general if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("tail", [build(*arguments) for build, arguments in builders()])
def test_every_topic_growyd_speaks_on_is_listed(tail: str) -> None:
    template = tail.replace("god", "{k}").replace("ESP_EA5484", "{id}").replace("/4/", "/{gpio}/")

    assert f"| `{template}` |" in PAGE


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained(reason: Reason) -> None:
    assert f"| `{reason.value}` |" in PAGE


@pytest.mark.parametrize(("tail", "payload"), EXAMPLES, ids=[tail for tail, _ in EXAMPLES])
def test_every_example_can_be_sent(tail: str, payload: str) -> None:
    topic = parse_topic(f"kaiser/god/esp/ESP_EA5484/{tail}")

    assert type(decode(topic, payload.encode())) is MESSAGE_TYPES[topic.kind]


def test_the_limits_are_those_of_the_program() -> None:
    for limit in (f"{MAX_PAYLOAD:,} bytes", f"{MAX_DEPTH} levels", f"{MAX_READINGS:,} readings"):
        assert limit in PAGE


COMMANDS = [
    *(
        commands.system_command(command)
        for command in (
            SystemCommand.STATUS,
            SystemCommand.DIAGNOSTICS,
            SystemCommand.GET_CONFIG,
            SystemCommand.SAFE_MODE,
            SystemCommand.EXIT_SAFE_MODE,
        )
    ),
    commands.set_log_level(LogLevel.INFO),
    commands.set_emergency_token("..."),
    commands.onewire_scan(4),
    commands.factory_reset(),
]


@pytest.mark.parametrize("payload", COMMANDS)
def test_every_system_command_is_listed_as_it_is_sent(payload: bytes) -> None:
    assert f"| `{payload.decode()}` |" in PAGE


def test_no_system_command_is_forgotten() -> None:
    assert {msgspec.json.decode(payload)["command"] for payload in COMMANDS} == {
        str(name) for name in SystemCommand
    }


def test_zones_subzones_and_measurements_are_shown_as_they_are_sent() -> None:
    zone = ZoneSetup(zone_id="greenhouse_1", master_zone_id="greenhouse", zone_name="Greenhouse 1")
    bench = SubzoneSetup(subzone_id="bench_a", name="Bench A")

    for payload in (
        commands.zone_assign(zone, "god", "z-1"),
        commands.subzone_assign(bench, "greenhouse_1", (4, 18), 1767225600, "s-1"),
        commands.subzone_remove("bench_a", "s-2"),
        commands.subzone_safe("bench_a", True, "s-3"),
        commands.measure("r-9"),
    ):
        assert f"`{payload.decode()}`" in PAGE


def test_the_budget_of_a_config_document_is_that_of_the_program() -> None:
    assert f"at most {MAX_CHARACTERS:,} bytes and {MAX_NODES} members" in PAGE


def test_commands_and_emergencies_are_shown_as_they_are_sent() -> None:
    vent = ActuatorKey("ESP_EA5484", 18)

    for payload in (
        actuation.actuator_command(
            Command(
                id="c-1", actuator=vent, verb=Verb.ON, value=FULL, duration_s=60, issued_by="rule:keep_warm"
            )
        ),
        actuation.actuator_command(
            Command(id="c-2", actuator=vent, verb=Verb.PWM, value=0.5, issued_by="user:ada")
        ),
        actuation.actuator_command(
            Command(id="c-3", actuator=vent, verb=Verb.OFF, value=OFF, issued_by="safety")
        ),
        actuation.emergency_stop("ESP_EA5484", "emg-1"),
        actuation.clear_emergency("ESP_EA5484", "clr-1"),
        actuation.broadcast_stop("", "smoke", "emg-1", "2026-01-01T00:00:00Z"),
    ):
        assert f"`{payload.decode()}`" in PAGE
