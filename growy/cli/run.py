"""`growyd run`: the daemon in the foreground, for systemd and for a terminal."""

from __future__ import annotations

import os
from pathlib import Path

import click

from growy.cli.options import config_option, read_settings


@click.command()
@config_option
@click.option("--broker", help="[broker] url: mqtt://user:password@host:port, mqtts://..., or embedded.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="[node] data_dir.")
@click.option("--port", type=click.IntRange(0, 65535), help="[web] port; 0 picks a free one.")
def run(config_file: Path | None, broker: str | None, data_dir: Path | None, port: int | None) -> None:
    """Run the daemon in the foreground.

    Stops in order on SIGTERM and Ctrl-C: what was received is committed and acknowledged first.
    """
    given = {"broker.url": broker, "node.data_dir": data_dir, "web.port": port}
    config = read_settings(
        config_file, {path: value for path, value in given.items() if value is not None}
    ).config

    from functools import partial

    from growy.cli.running import run_trio
    from growy.config.load import find_file
    from growy.daemon import run_daemon
    from growy.ops.log import configure_logging

    configure_logging(config.log.level, config.log.format)
    run_trio(partial(run_daemon, config, settings_file=find_file(config_file, os.environ)))
