"""The emergency stop of another node, or of every node, through God: `growyd stop --kaiser` and `--everywhere`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from growy.cli.client import Daemon

PROVEN_WITHIN_S = 10.0
POLL_S = 0.25
PROOFS = "/api/god/emergency_stop"


def stop_tree(daemon: Daemon, kaiser: str | None, reason: str, *, quiet: bool) -> Any:
    """The daemon's answer when every node has proven it, or when the time is over. Each is printed once it has.

    Args:
        kaiser: None: every node.
    """
    from growy.cli.client import rounds
    from growy.cli.output import shown

    path = PROOFS if kaiser is None else f"/api/v1/kaiser/{kaiser}/emergency_stop"
    found = daemon.post(path, {"reason": reason})
    if not quiet:
        nodes = ", ".join(shown(one["node"]) for one in found["nodes"])
        click.echo(f"Emergency stop of {nodes} is in force, at each as soon as it hears of it.")
    told: set[str] = set()
    for over in rounds(PROVEN_WITHIN_S, POLL_S):
        found = daemon.get(f"{PROOFS}/{found['incident']}")
        last = found["proven"] or over
        for one in found["nodes"]:
            if (one["proven"] or last) and one["node"] not in told and not quiet:
                told.add(one["node"])
                click.echo(proof(one))
        if last:
            break
    return found


def proof(node: Mapping[str, Any]) -> str:
    """What one node has proven, in a line."""
    from growy.cli.output import shown

    devices = node["devices"]
    off = sum(bool(one["proven"]) for one in devices)
    away = sum(not one["online"] and not one["proven"] for one in devices)
    name = shown(node["node"])
    later = f"; {away} offline, told when they come back" if away else ""
    if node["proven"]:
        return f"{name}: off, proven by {off} of {len(devices)} devices{later}"
    if not node["heard"]:
        return (
            f"{name}: NOT PROVEN, nothing heard from it ({shown(node['status'])}); growyd goes on telling it"
        )
    return f"{name}: NOT PROVEN yet: {off} of {len(devices)} devices are off{later}"
