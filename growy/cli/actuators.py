"""`growyd actuators` and `growyd set`: what actuators do and why, and switching one by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click

from growy.cli.options import DURATION, daemon_options, find_daemon, json_option

ANSWER_S = 5
"""How long `--wait` waits for the device: the API's longest."""
WORDS = ("on", "off", "auto", "toggle")


@attrs.frozen
class Wanted:
    """What an actuator shall do, as the API calls it."""

    command: str
    value: float = 1.0


def wanted(said: str) -> Wanted:
    """`on`, `off`, `auto`, `toggle`, `35%` or `0.35`. Raises click.BadParameter."""
    word = said.strip().lower()
    if word in WORDS:
        return Wanted(word.upper())
    try:
        value = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:  # not a number is neither
        raise click.BadParameter(f"{said!r} is none of {', '.join(WORDS)}, 0% to 100%, 0 to 1")
    return Wanted("PWM", value) if value else Wanted("OFF")


@click.command()
@click.argument("esp", required=False)
@daemon_options
@json_option
def actuators(
    config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, esp: str | None
) -> None:
    """What every actuator does, why, and how long it ran today."""
    from growy.cli.output import print_json, print_table, shown

    with find_daemon(config_file, socket, url) as daemon:
        found = daemon.get_list("/api/v1/actuators", {"esp_id": esp})
    if as_json:
        print_json(found)
        return
    if not found:
        where = f" on {shown(esp)}" if esp else ""
        click.echo(f"No actuator is set up{where}: POST /api/v1/actuators/ESP/GPIO sets one up.")
        return
    print_table(
        ("device", "gpio", "name", "kind", "is", "why", "lease", "today"),
        [
            (
                one["esp_id"],
                one["gpio"],
                one["name"],
                one["hardware_type"],
                output(one["current_value"]),
                one["why"]["text"],
                left(one["lease_until"]),
                span(one["run_today_seconds"]),
            )
            for one in found
        ],
    )
    cures = {one["why"]["cure"]: None for one in found if one["why"]["cure"]}
    for cure in cures:
        click.echo(f"\n{shown(cure)}")


@click.command("set")
@click.argument("esp")
@click.argument("gpio")
@click.argument("value")
@click.option("--for", "for_s", type=DURATION, help="Then growyd lets go of it again, e.g. 30s, 10m.")
@click.option("--wait", is_flag=True, help="Wait up to 5 s for the device's confirmation.")
@daemon_options
@json_option
@click.pass_context
def set_(
    context: click.Context,
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    esp: str,
    gpio: str,
    value: str,
    for_s: float | None,
    wait: bool,
) -> None:
    """Switch an actuator: VALUE is on, off, auto, toggle, 35% or 0.35.

    What is set goes before rules until it ends; auto ends it. GPIO is the pin, or the actuator's id. Exit code 1 when
    it was refused, and with --wait also when the device has not confirmed it.
    """
    from growy.cli.exits import ExitCode
    from growy.cli.output import print_json, shown

    wish = wanted(value)
    body: dict[str, Any] = {"command": wish.command, "value": wish.value}
    if for_s is not None:
        body["duration"] = for_s
    with find_daemon(config_file, socket, url) as daemon:
        said = daemon.post(f"/api/v1/actuators/{esp}/{gpio}/command", body, {"wait": ANSWER_S if wait else 0})
    if as_json:
        print_json(said)
    else:
        click.echo(shown(said["message"]))
        for warning in said["safety_warnings"]:
            click.echo(f"growyd: {shown(warning)}", err=True)
    # What is given back to the rules has no answer to wait for.
    unproven = wait and wish.command != "AUTO" and not said["acknowledged"]
    if not said["success"] or unproven:
        context.exit(ExitCode.FAILED)


def output(value: float | None) -> str | None:
    """`on`, `off` or a percentage; None where the device has not said."""
    if value is None:
        return None
    if value in (0, 1):
        return "on" if value else "off"
    return f"{value:.0%}"


def left(until: str | None) -> str | None:
    """How long it is until a time of the API, in seconds."""
    from datetime import UTC, datetime

    from growy.cli.output import when

    moment = when(until)
    return None if moment is None else f"{max(0, (moment - datetime.now(UTC)).total_seconds()):.0f} s"


def span(seconds: float | None) -> str | None:
    """`45 s`, `12 min`, `3.5 h`: how long something ran."""
    if seconds is None:
        return None
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
