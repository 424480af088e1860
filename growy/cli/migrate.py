"""`growyd migrate`: the old server's readings into growyd's store. Works on the files, while the daemon is stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from growy.cli.options import config_option, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from growy.config import StoreConfig
    from growy.store.legacy import Advance, LegacySource, Options, Report


@click.command()
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="[node] data_dir.")
@click.option("--dry-run", is_flag=True, help="Say what would be taken and what not; write nothing.")
@click.option("--again", is_flag=True, help="Read from the first row, whatever was read before.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON, for programs.")
def migrate(
    source: Path, config_file: Path | None, data_dir: Path | None, dry_run: bool, again: bool, as_json: bool
) -> None:
    """Take over the readings of the old server's growy_database.db.

    SOURCE is only read. growyd must be stopped, but not for --dry-run. Run it as often as you like: it goes on where it
    was, and what is stored already is not stored again.
    """
    overrides: dict[str, object] = {} if data_dir is None else {"node.data_dir": data_dir}
    config = read_settings(config_file, overrides).config

    from growy.cli.migrate_view import print_report, watching
    from growy.cli.output import print_json
    from growy.store.legacy import Options, look_through, open_source

    directory = config.store_dir
    if not dry_run:
        _check_owner(directory)
    options = Options(again=again)
    with open_source(source, Path(os.environ.get("TMPDIR", "/var/tmp"))) as legacy, watching() as watch:
        if dry_run:
            report = look_through(legacy, config.store, directory, options, watch)
        else:
            report = _move(legacy, config.store, directory, options, watch)
    if as_json:
        print_json(report.to_dict())
    else:
        print_report(report)


def _move(
    legacy: LegacySource,
    config: StoreConfig,
    directory: Path,
    options: Options,
    watch: Callable[[Advance], None],
) -> Report:
    from growy.model.errors import StoreError, StoreInUse
    from growy.store.legacy import move

    try:
        return move(legacy, config, directory, options, watch)
    except StoreInUse as error:
        raise StoreInUse(
            f"growyd is running, and only one may write {directory}",
            cure="sudo systemctl stop growyd, then run this again; --dry-run works meanwhile",
        ) from error
    except (StoreError, KeyboardInterrupt):
        click.echo("growyd: what was written stays; run this again to go on", err=True)
        raise


def _check_owner(directory: Path) -> None:
    """Raises StoreError: files made by root are files that the daemon cannot open."""
    from growy.model.errors import StoreError

    if os.geteuid() == 0 and directory.exists() and (owner := directory.stat().st_uid) != 0:
        raise StoreError(
            f"{directory} belongs to another user (uid {owner}), and growyd could not write what root makes in it",
            cure="sudo -u growy growyd migrate ...",
        )
