"""`growyd convert`: raw values by the libraries that convert the readings. Asks the daemon, or does without one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from growy.cli.exits import DaemonUnreachable, ExitCode
from growy.cli.options import (
    FloatParameter,
    NamedValueParameter,
    daemon_options,
    find_daemon,
    json_option,
    read_settings,
)

if TYPE_CHECKING:
    from growy.cli.client import Daemon
    from growy.config import Config


@attrs.frozen
class Conversion:
    """One raw value and what became of it; `value` is None when there is none."""

    raw: float
    value: float | None
    unit: str
    quality: str
    error: str


class ParameterType(NamedValueParameter):
    """`name=value`; the value is JSON where it can be read as such, else text. Becomes (name, value)."""

    name = "name=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, object]:
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not name or not equals:
            self.fail(f"{value!r} is not name=value", param, ctx)
        try:
            said: object = json.loads(text)
        except ValueError:
            return name, text
        if isinstance(said, float) and not math.isfinite(said):
            self.fail(f"{name}: {text} is not a finite number", param, ctx)
        return name, said


class RawType(FloatParameter):
    """A raw value: any finite number."""

    name = "raw"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("sensor_type", metavar="TYPE")
@click.argument("raw", type=RawType(), nargs=-1, required=True)
@click.option(
    "--param", "params", type=ParameterType(), multiple=True, help="Parameter of the library, name=value."
)
@click.option("--local", is_flag=True, help="Do not ask the daemon.")
@daemon_options
@json_option
@click.pass_context
def convert(
    ctx: click.Context,
    config_file: Path | None,
    socket: Path | None,
    url: str | None,
    as_json: bool,
    sensor_type: str,
    raw: tuple[float, ...],
    params: tuple[tuple[str, object], ...],
    local: bool,
) -> None:
    """Convert raw values as the daemon would.

    TYPE is a sensor type, e.g. growyd convert sht31_temp 27445. Without a daemon the libraries are run here. Exit
    code 1 when a value could not be converted.
    """
    from growy.cli.output import print_json, print_table

    settings = dict(params)
    done = None if local else ask(find_daemon(config_file, socket, url), sensor_type, raw, settings)
    if done is None:
        if not local:
            click.echo(
                "growyd: no daemon answers; converting here, with the libraries of the settings", err=True
            )
        done = convert_here(config_file, sensor_type, raw, settings)
    if as_json:
        print_json([attrs.asdict(one) for one in done])
    else:
        print_table(
            ("raw", "value", "unit", "quality"), [(one.raw, one.value, one.unit, one.quality) for one in done]
        )
        for error in sorted({one.error for one in done if one.error}):
            click.echo(f"growyd: {error}", err=True)
    if any(one.value is None for one in done):
        ctx.exit(ExitCode.FAILED)


def ask(
    daemon: Daemon, sensor_type: str, raw: Sequence[float], params: Mapping[str, object]
) -> list[Conversion] | None:
    """By the daemon; None when there is none, unless one was told where it is. Raises DaemonRefused."""
    body = {"sensor_type": sensor_type, "params": dict(params)}
    try:
        with daemon:
            answers = [
                daemon.post("/api/v1/sensors/process", {**body, "raw_value": number}) for number in raw
            ]
    except DaemonUnreachable:
        if daemon.chosen:
            raise
        return None
    return [
        Conversion(number, one["processed_value"], one["unit"], one["quality"], one["error"] or "")
        for number, one in zip(raw, answers, strict=True)
    ]


def own_libraries(config: Config) -> Path | None:
    """The grower's library folder. One that is not there yet holds no libraries; of one that we may not see it is
    said that they are missing here."""
    try:
        return config.library_dir if config.library_dir.is_dir() else None
    except PermissionError:
        click.echo(
            f"growyd: {config.library_dir} may not be read; the libraries there are left out", err=True
        )
        return None


def convert_here(
    config_file: Path | None, sensor_type: str, raw: Sequence[float], params: Mapping[str, object]
) -> list[Conversion]:
    """In a worker of our own. Raises ConversionError: no library for the type, or a wrong parameter."""
    import numpy as np

    from growy.cli.running import run_trio
    from growy.model.errors import ConversionError
    from growy.model.reading import Quality
    from growy.ops.log import configure_logging
    from growy.sensors.pool import open_pool

    config = read_settings(config_file).config
    configure_logging("warning", config.log.format)
    own = own_libraries(config)

    async def main() -> list[Conversion]:
        async with open_pool(config.sensors, own) as pool:
            plan = pool.registry.plan(sensor_type, params)
            output = pool.registry.resolve(sensor_type)
            if output is not None and output.inputs:
                raise ConversionError(
                    f"{output.value_type} is computed from {' and '.join(output.inputs)}, not from one raw value",
                    cure="The daemon computes it by itself, or by POST /api/v1/sensors/process",
                )
            columns = await pool.convert([plan], np.zeros(len(raw), np.int64), np.array(raw, np.float64))
        error = "; ".join(columns.reasons)
        return [
            Conversion(
                number,
                None if math.isnan(value) else float(value),
                plan.unit,
                Quality(int(quality)).word,
                error if math.isnan(value) else "",
            )
            for number, value, quality in zip(raw, columns.value, columns.quality, strict=True)
        ]

    return run_trio(main)
