"""`growyd config`: check the settings, and show what is in force. Needs no daemon."""

from __future__ import annotations

from pathlib import Path

import click

from growy.cli.options import config_option, json_option, read_settings


@click.group()
def config() -> None:
    """Check and show the settings."""


@config.command()
@config_option
def check(config_file: Path | None) -> None:
    """Read the settings as the daemon would, and name every fault. Exit code 2 when there are any."""
    loaded = read_settings(config_file)
    own = len(loaded.origin)
    click.echo(f"The settings are fine: {own or 'none'} set here, the others at their defaults.")


@config.command()
@config_option
@click.option("--defaults", is_flag=True, help="Without file and environment: the defaults.")
@click.option("--secrets", is_flag=True, help="Write passwords out instead of masking them.")
@json_option
def show(config_file: Path | None, defaults: bool, secrets: bool, as_json: bool) -> None:
    """Print every setting with its meaning and where it came from, as TOML that can be saved and loaded again."""
    from growy.cli.output import print_json
    from growy.config import Config
    from growy.config.load import Loaded
    from growy.config.render import describe, render

    loaded = Loaded(Config(), {}) if defaults else read_settings(config_file)
    if as_json:
        print_json(describe(loaded.config, loaded.origin, secrets=secrets))
    else:
        click.echo(render(loaded.config, loaded.origin, secrets=secrets), nl=False)
