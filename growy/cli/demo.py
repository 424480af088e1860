"""`growyd demo`: broker, daemon and simulated ESP32s in one go, live in the terminal, with a proof at the end.

Everything is the real thing: the devices speak MQTT to a broker, the daemon is the one that `growyd run` starts. The
settings file and the environment are left alone, so that a demo is the same everywhere.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from growy.cli.options import DURATION, SENSOR_AT, SensorAt


@click.command()
@click.option("--for", "duration", type=DURATION, help="End after this long; else with Ctrl-C.")
@click.option("--esps", type=click.IntRange(1, 1000), default=6, show_default=True, help="Simulated ESP32s.")
@click.option("--interval", type=DURATION, default="1s", show_default=True, help="Of every sensor.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="HTTP; 0 picks a free one."
)
@click.option("--broker-port", type=click.IntRange(1, 65535), default=1883, show_default=True, help="MQTT.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the databases here; else they are deleted at the end.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Devices, weather and noise.")
@click.option(
    "--unplug",
    type=SENSOR_AT,
    multiple=True,
    help="ESP:GPIO@TIME: pull this sensor off, as ESP_00A003:68@20s does with the heater's thermometer.",
)
@click.option("--plug", type=SENSOR_AT, multiple=True, help="ESP:GPIO@TIME: put it back.")
@click.option(
    "--kaisers",
    type=click.IntRange(0, 3),
    default=0,
    show_default=True,
    help="More Pis, which follow the first; a device is moved while its heater runs.",
)
@click.pass_context
def demo(
    ctx: click.Context,
    duration: float | None,
    esps: int,
    interval: float,
    port: int,
    broker_port: int,
    data_dir: Path | None,
    seed: int,
    unplug: tuple[SensorAt, ...],
    plug: tuple[SensorAt, ...],
    kaisers: int,
) -> None:
    """Broker, daemon and simulated ESP32s in one process, live in the terminal.

    Ends with 0 only if every reading that was published is in the store. With Kaisers: in God's, once, and the device
    has got its new owner without being switched.
    """
    from functools import partial

    from growy.cli.demo_run import DemoOptions, run_demo
    from growy.cli.demo_view import proven, summary
    from growy.cli.exits import ExitCode
    from growy.cli.running import run_trio
    from growy.cli.simulate import plug_changes
    from growy.model.errors import ConfigError

    with tempfile.TemporaryDirectory(prefix="growyd-demo-", ignore_cleanup_errors=True) as scratch:
        options = DemoOptions(
            duration_s=duration,
            esps=esps,
            interval_s=interval,
            port=port,
            broker_port=broker_port,
            data_dir=data_dir or Path(scratch),
            seed=seed,
            plug_changes=plug_changes(unplug, plug),
            kaisers=kaisers,
        )
        try:
            options.simulation().specs()
        except ValueError as error:
            raise ConfigError("These devices cannot be simulated", (str(error),)) from error
        if kaisers:
            from growy.cli.demo_tree import run_tree_demo

            final = run_trio(partial(run_tree_demo, options))
        else:
            final = run_trio(partial(run_demo, options))
    click.echo(summary(final))
    if data_dir is not None:
        click.echo(f"The databases are in {data_dir}")
    if not proven(final):
        ctx.exit(ExitCode.FAILED)
