"""What `growyd migrate` shows: how far it is, and what became of every row. On stderr while it runs, on stdout at the
end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from growy.cli.output import print_table
from growy.store.legacy.judge import MEANING, REMARKS, Why
from growy.store.legacy.moving import Advance
from growy.store.legacy.report import Report, iso
from growy.store.legacy.tally import Tally

if TYPE_CHECKING:
    from rich.progress import Task
    from rich.text import Text

LINE_EVERY_S = 10.0
"""Between two lines where there is no terminal."""
HINT = (
    "Sensors with an address (1-Wire, I²C) are known by it, which the old database does not have. Let growyd\n"
    "receive each of them once before the migration: then their old and new readings are one series."
)
SHOWN_SERIES = 40
"""Series in the table; all of them are in `--json`."""


@contextmanager
def watching() -> Iterator[Callable[[Advance], None]]:
    """Shows how far a run is: a bar on a terminal, else a line from time to time."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:,.0f} rows/s")

    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn())
    console = Console(file=sys.stderr)
    with Progress(*columns, Speed(), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("migrating", total=None)

        def watch(advance: Advance) -> None:
            bar.update(task, completed=advance.rows, total=max(advance.of_rows, advance.rows))

        yield watch


class _Lines:
    """One line every ten seconds."""

    def __init__(self) -> None:
        self._began = self._told = time.monotonic()

    def __call__(self, advance: Advance) -> None:
        now = time.monotonic()
        if now - self._told < LINE_EVERY_S:
            return
        self._told = now
        speed = advance.rows / (now - self._began)
        left = max(0, advance.of_rows - advance.rows) / speed
        click.echo(
            f"{advance.rows:,} of about {advance.of_rows:,} rows, {speed:,.0f} rows/s, {left:,.0f} s left",
            err=True,
        )


def print_report(report: Report) -> None:
    """For people."""
    run, total = report.run, report.total
    taken = "would be taken" if report.dry_run else "taken"
    click.echo(f"{report.source}: {run.rows:,} rows read in {report.duration_s:.1f} s, {run.taken:,} {taken}")
    if report.dry_run:
        click.echo(
            "Nothing was written. What is stored already, or has the same time twice, is found out when it is."
        )
        if report.new_series is not None:
            click.echo(
                f"{report.new_series} series would be new; {report.joined_series} would go on with one of growyd's"
            )
        if report.new_series:
            click.echo(HINT)
    else:
        click.echo(f"series.db grew by {report.stored_bytes / 1e6:.1f} MB")
        click.echo(f"{report.new_series} new series; {report.joined_series} went on with one of growyd's")
        if report.owned_devices:
            click.echo(f"{report.owned_devices} devices had no owner and belong to god now")
        if total.rows != run.rows:
            click.echo(f"All runs together: {total.rows:,} rows read, {total.taken:,} taken")
    _print_counts(total)
    _print_series(report)
    if report.extension:
        tables = ", ".join(f"{name} ({count})" for name, count in report.extension.items())
        click.echo(f"\nNot taken: the tables {tables}")


def _print_counts(tally: Tally) -> None:
    refused = [(why, count) for why, count in sorted(tally.why.items()) if why is not Why.TAKEN and count]
    if refused:
        click.echo("\nNot taken:")
        print_table(("reason", "rows", "meaning"), [(why.word, n, MEANING[why]) for why, n in refused])
        for why, _ in refused:
            for example in tally.examples.get(why, ()):
                click.echo(f"  {why.word}: {example}")
    remarks = [(one.value, count, REMARKS[one]) for one, count in sorted(tally.remarks.items()) if count]
    if remarks:
        click.echo("\nTaken, with a remark:")
        print_table(("remark", "rows", "meaning"), remarks)
    if tally.units:
        written = ", ".join(f"{unit.word} {count:,}" for unit, count in sorted(tally.units.items()))
        click.echo(f"\nTimes were written as: {written}")


def _print_series(report: Report) -> None:
    devices = report.per_device()
    if not devices:
        return
    columns = ("taken", "there already", "refused", "first", "last")
    click.echo("")
    print_table(
        ("device", *columns),
        [
            (esp_id, one.taken, one.stored_already, one.refused, iso(one.first_ms), iso(one.last_ms))
            for esp_id, one in devices.items()
        ],
    )
    series = sorted(report.total.series.items(), key=lambda item: -item[1].taken)[:SHOWN_SERIES]
    click.echo("")
    print_table(
        ("series", *columns),
        [
            (str(name), one.taken, one.stored_already, one.refused, iso(one.first_ms), iso(one.last_ms))
            for name, one in series
        ],
    )
    if len(report.total.series) > len(series):
        click.echo(f"{len(report.total.series) - len(series)} more series in --json")
