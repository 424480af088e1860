"""Run trio from a command. Errors of growyd come out singly and typed, whatever nursery they passed through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import trio

from growy.cli.exits import code_of
from growy.model.errors import GrowyError

T = TypeVar("T")


def run_trio(main: Callable[[], Awaitable[T]]) -> T:
    """`trio.run`; a group of nothing but GrowyErrors is reported as a whole and raised as the one that decides the
    exit code.

    Any other exception is a bug: it passes as it is, with its traceback.
    """
    try:
        return trio.run(main)
    except BaseExceptionGroup as group:
        errors = _leaves(group)
        interrupted = [error for error in errors if isinstance(error, KeyboardInterrupt)]
        if interrupted and len(interrupted) == len(errors):
            raise KeyboardInterrupt from None
        ours = [error for error in errors if isinstance(error, GrowyError)]
        if len(ours) < len(errors):
            raise
        # Wrong settings first: they may be the reason for the others.
        ours.sort(key=code_of, reverse=True)
        for error in ours[1:]:
            click.echo(f"growyd: {error}", err=True)
        raise ours[0] from None


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves
