"""The two commands of the README are those that run, and its picture is what the demo draws."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import attrs
import pytest
from rich.console import Console

from growy.cli.demo_view import DemoActuator, DemoDevice, DemoSnapshot, live, summary

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(make [^\n]*)\n```$", README, re.MULTILINE)
PICTURE = re.search(r"^```text\n(growyd demo: .*?)\n```$", README, re.DOTALL | re.MULTILINE)


def figure(name: str, within: str) -> int:
    found = re.search(rf"{name} +(\d+)", within)
    assert found, f"the picture has no {name}"
    return int(found[1])


def actuator(text: str) -> DemoActuator:
    """What `DemoActuator` is shown as."""
    found = re.fullmatch(r"(.+) (on|off|\d+%)(?:: (.+))?", text)
    assert found, text
    output = {"on": 1.0, "off": 0.0}.get(found[2])
    return DemoActuator(
        name=found[1],
        output=float(found[2][:-1]) / 100 if output is None else output,
        why=found[3] or "",
    )


def devices(table: str) -> list[DemoDevice]:
    """The devices of the table, each in one or more lines; without their newest values."""
    found: list[DemoDevice] = []
    for line in table.splitlines():
        if not line.startswith("│"):
            continue
        esp_id, name, status, published, _, does, rule = (cell.strip() for cell in line.split("│")[1:-1])
        if esp_id:
            found.append(
                DemoDevice(esp_id=esp_id, name=name, status=status, published=int(published), values=())
            )
        last = found[-1]
        found[-1] = attrs.evolve(
            last,
            actuators=(*last.actuators, *([actuator(does)] if does else [])),
            rules=(*last.rules, *([rule] if rule else [])),
        )
    return found


def pictured() -> tuple[str, str, DemoSnapshot]:
    """The live table and the final count of the README, and the snapshot whose picture they claim to be."""
    assert PICTURE is not None
    table, _, final = PICTURE[1].partition("\n\n")
    clock = re.match(r"growyd demo, (\d+) s", final)
    latency = re.search(r"p50 (\d+) ms, p99 (\d+) ms", final)
    assert clock is not None
    assert latency is not None
    types = re.findall(r"^  (\w+) +(\d+) converted +(\d+) failed$", final, re.MULTILINE)
    return (
        table,
        final,
        DemoSnapshot(
            elapsed_s=float(clock[1]),
            duration_s=float(clock[1]),
            broker="mqtt://127.0.0.1:1883",
            web="http://127.0.0.1:8000",
            devices=tuple(devices(table)),
            published=figure("published", final),
            received=figure("received", final),
            derived=figure("derived", final),
            committed=figure("committed", final),
            converted={kind: int(count) for kind, count, _ in types},
            failed={kind: int(count) for kind, _, count in types if int(count)},
            unconverted=figure("kept raw", final),
            missing=0,
            latency_from="publishing",
            p50_ms=float(latency[1]),
            p99_ms=float(latency[2]),
        ),
    )


def test_the_readme_gives_two_commands() -> None:
    assert COMMANDS == ["make demo", "make test"]


def test_the_pictures_are_there_and_small() -> None:
    pictures = re.findall(r"""(?:\]\(|src=")(docs/images/[^)"]+)""", README)

    assert len(pictures) == 3
    for picture in pictures:
        data = (ROOT / picture).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) <= 150_000


def test_both_commands_are_targets_of_the_makefile() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert {command.removeprefix("make ") for command in COMMANDS} <= set(targets)


@pytest.mark.parametrize("program", ["mosquitto", "chromium", "chromium-driver"])
def test_ci_runs_the_test_command_of_the_readme_after_installing_what_it_needs(program: str) -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    needed = re.search(r"`sudo apt install (mosquitto [^`]*)`", README)
    installed = next(
        number for number, line in enumerate(lines) if re.search(rf"install .*{program}\b", line)
    )
    assert lines.index("make test") > installed
    assert needed is not None
    assert program in needed[1].split()


def test_the_final_count_in_the_picture_is_written_as_the_demo_writes_it() -> None:
    _, final, snapshot = pictured()

    assert summary(snapshot) == final


def test_the_table_in_the_picture_is_drawn_as_the_demo_draws_it() -> None:
    table, _, snapshot = pictured()
    drawn = StringIO()
    width = max(map(len, table.splitlines()))
    Console(file=drawn, width=width, force_terminal=False).print(live(snapshot))
    lines = [line.rstrip() for line in drawn.getvalue().splitlines()]
    shown = table.splitlines()

    # All but the newest values: of those the picture shows some, the snapshot here none.
    assert [line for line in shown if not line.startswith("│")] == [
        line for line in lines if not line.startswith("│")
    ]
    left = [re.match(r"│.*?│.*?│.*?│.*?│", line) for line in lines if line.startswith("│ ESP")]
    assert all(found is not None and any(line.startswith(found[0]) for line in shown) for found in left)


def test_the_figures_in_the_picture_add_up() -> None:
    _, _, snapshot = pictured()

    assert snapshot.published == sum(device.published for device in snapshot.devices)
    assert snapshot.received == sum(snapshot.converted.values())
    assert snapshot.committed == snapshot.received + snapshot.derived
