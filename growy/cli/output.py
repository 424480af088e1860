"""What commands print: tables for a terminal or a pipe, JSON for programs. Never a control character of a device."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TextIO

from growy.cli.exits import OutputFailed

NOTHING = "-"
"""Stands for a value that does not exist. Never 0."""


def print_json(data: object) -> None:
    """The data as it came, indented."""
    plain = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("_", "-") != "utf-8"
    text = json.dumps(data, indent=2, ensure_ascii=plain)
    # JSON escapes the controls below space itself; DEL and the C1 controls can move a terminal's cursor too.
    sys.stdout.write("".join(f"\\u{ord(c):04x}" if "\x7f" <= c <= "\x9f" else c for c in text) + "\n")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", stream: TextIO | None = None
) -> None:
    """A table: by rich on a terminal; plain, in aligned columns with two spaces between them, into a pipe.

    Numbers stand to the right. None is shown as -.
    """
    stream = stream or sys.stdout
    content = [list(row) for row in rows]
    right = [all(_is_number(row[i]) for row in content) and bool(content) for i in range(len(columns))]
    cells = [[shown(cell) for cell in row] for row in content]
    if stream.isatty():
        _print_rich(columns, cells, right, title, stream)
        return
    widths = [max(len(row[i]) for row in ([*columns], *cells)) for i in range(len(columns))]
    for row in ([*columns], *cells):
        aligned = (
            cell.rjust(width) if to_the_right else cell.ljust(width)
            for cell, width, to_the_right in zip(row, widths, right, strict=True)
        )
        stream.write("  ".join(aligned).rstrip() + "\n")


def _print_rich(
    columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool], title: str, stream: TextIO
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None, title_justify="left")
    for name, to_the_right in zip(columns, right, strict=True):
        table.add_column(Text(name), justify="right" if to_the_right else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))  # Text: what a device is called is no markup
    Console(file=stream).print(table)


def shown(value: object) -> str:
    """One cell. What came from a device cannot break the table: controls are replaced."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(shown(item) for item in value) or NOTHING
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))


def make_printable() -> None:
    """A terminal or pipe that cannot show a character (°, ┃) is shown a ? in its place."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def output_failed(error: OSError) -> OutputFailed:
    """stdout cannot be written: what still waits in its buffer goes nowhere, or Python would try it again at exit."""
    # A stdout without a file descriptor has nothing that waits.
    with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return OutputFailed(f"The output cannot be written: {(error.strerror or str(error)).lower()}")


def age(seconds: float | None) -> str:
    """`12 s`, `5 min`, `3 h`, `2 d`: how long something has been, roughly."""
    if seconds is None:
        return NOTHING
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{max(0, int(seconds / divisor))} {unit}"
    return f"{int(seconds / 86400)} d"


def since(iso: str | None) -> str:
    """How long ago a time of the API was."""
    moment = when(iso)
    return age(None if moment is None else time.time() - moment.timestamp())


def when(iso: object) -> datetime | None:
    """A time of the API (ISO 8601) in local time; None when there is none."""
    if not isinstance(iso, str):
        return None
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone()


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
