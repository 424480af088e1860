"""`growyd deadletters`: the messages that could not be used. They are kept so that a device can be put right."""

from __future__ import annotations

from pathlib import Path

import click

from growy.cli.options import daemon_options, find_daemon, json_option


@click.command()
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="The newest this many."
)
@daemon_options
@json_option
def deadletters(
    config_file: Path | None, socket: Path | None, url: str | None, as_json: bool, limit: int
) -> None:
    """Messages that could not be used, with the reason."""
    from growy.cli.output import print_json, print_table, when

    with find_daemon(config_file, socket, url) as daemon:
        answer = daemon.get("/api/v1/deadletters", {"limit": limit})
    if as_json:
        print_json(answer)
        return
    rows = []
    for letter in answer["data"]:
        received = when(letter["received_at"])
        rows.append(
            (
                None if received is None else f"{received:%Y-%m-%d %H:%M:%S}",
                letter["reason"],
                letter["topic"],
                letter["message"],
                letter["size"],
                letter["payload"][:80],
            )
        )
    if rows:
        print_table(("received", "reason", "topic", "what is wrong", "bytes", "begins with"), rows)
    else:
        click.echo("No dead letters: every message could be used.")
