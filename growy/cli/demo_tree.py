"""Runs the demo with several Pis: a God and Kaisers in one trio run, and one device that gets another owner.

Everything between them goes over God's broker, as between real ones. Lifetimes are nested as in `demo_run`; the final
count is taken at God, where the readings of all of them have to arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import attrs
import trio

from growy.broker.embedded import check_port_free
from growy.cli.demo_control import LOOK_S, rules_of
from growy.cli.demo_move import play
from growy.cli.demo_pis import DemoTree, fly, running, shares
from growy.cli.demo_run import (
    HOST,
    DemoOptions,
    Proof,
    Reading,
    all_committed,
    latency_of,
    obey_signals,
    published_by,
    screen,
    seen_device,
    stop_with_daemon,
    stored_since,
    watch,
    with_actuators_of,
)
from growy.cli.demo_view import DemoDevice, DemoSnapshot
from growy.model.hierarchy import GOD, NodeId
from growy.sim.fleet import SimFleet

ARRIVE_S = 15.0
"""How long the last readings of Kaisers may take to God."""
LATE_S = 1.0
"""After that it is looked again: what comes twice comes later."""


async def run_tree_demo(options: DemoOptions) -> DemoSnapshot:
    """Until the duration is over and the device is moved, or Ctrl-C, which ends it in order; a second ends it at once.

    Returns:
        The final count.

    Raises:
        GrowyError: a part cannot start, e.g. PortInUse, or a Kaiser does not find its God.
    """
    check_port_free(HOST, options.broker_port, "--broker-port")
    shared = shares(options.simulation().specs(), options.kaisers)
    seen: list[DemoSnapshot] = []
    with screen() as show:
        async with running(options, shared) as pis:
            async with trio.open_nursery() as beside:
                async with trio.open_nursery() as flight:
                    began = trio.current_time()
                    fleets: dict[NodeId, SimFleet] = {}
                    for pi in pis:
                        fleets[pi.node] = await flight.start(fly, options, pi)
                    tree = DemoTree(options=options, pis=pis, fleets=fleets, began=began)
                    beside.start_soon(obey_signals, tree.stop)
                    for pi in pis:
                        beside.start_soon(stop_with_daemon, pi.daemon, tree.stop)
                    beside.start_soon(watch, partial(snapshot, tree), lambda: tree.stopping, show, seen)
                    beside.start_soon(play, tree)
                    beside.start_soon(end_in_time, tree)
                proof, doubled = await settle(tree)
                final = with_actuators_of(seen, snapshot(tree, proof, doubled))
                beside.cancel_scope.cancel()
            show(final)
    return final


async def end_in_time(tree: DemoTree) -> None:
    """Stops the devices when the time is over, but not in the midst of the move."""
    if tree.options.duration_s is not None:
        await trio.sleep_until(tree.began + tree.options.duration_s)
        await tree.told.wait()
        tree.stop()


async def settle(tree: DemoTree) -> tuple[Proof, int]:
    """Wait until the last readings are committed where they were heard, and have arrived at God; then look each one up
    there. Second: how many are there more than once."""
    published: dict[Reading, float] = {}
    committed_s: dict[Reading, float] = {}
    for pi in tree.pis:
        ours = published_by(tree.fleets[pi.node])
        await all_committed(ours, pi.witness)
        published |= ours
        committed_s |= pi.witness.committed_s
    count = sum(fleet.statistics().published for fleet in tree.fleets.values())
    god, began_ms = tree.pis[0].daemon, tree.pis[0].witness.began_ms
    stored: Counter[Reading] = Counter()
    with trio.move_on_after(ARRIVE_S):
        while len(stored) < count or not published.keys() <= stored.keys():
            await trio.sleep(LOOK_S)
            stored = await stored_since(god, began_ms)
    await trio.sleep(LATE_S)
    stored = await stored_since(god, began_ms)
    missing = max(len(published.keys() - stored.keys()), count - len(stored))
    proof = Proof(missing=missing, latency=latency_of(published, committed_s))
    return proof, stored.total() - len(stored)


def snapshot(tree: DemoTree, proof: Proof | None = None, doubled: int = 0) -> DemoSnapshot:
    """Where the demo stands. Counts are those of all nodes; each reading counts where it was heard."""
    simulated = [fleet.statistics() for fleet in tree.fleets.values()]
    intakes = [pi.daemon.intake.statistics() for pi in tree.pis]
    windows = [one.commit_latency for one in intakes] if proof is None else [proof.latency.statistics()]
    converted: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for one in intakes:
        converted.update(one.readings_converted)
        failed.update(one.readings_failed)
    god, *kaisers = tree.pis
    brokers = [str(god.broker), *(f"{one.node} {one.broker}" for one in kaisers)]
    return DemoSnapshot(
        elapsed_s=max(one.elapsed_s for one in simulated),
        duration_s=tree.options.duration_s,
        broker=", ".join(brokers),
        web=god.daemon.web.url,
        devices=devices_of(tree),
        published=sum(one.published for one in simulated),
        received=sum(one.readings_received for one in intakes),
        derived=sum(one.readings_derived for one in intakes),
        committed=sum(one.readings_committed for one in intakes),
        converted=dict(converted),
        unconverted=sum(one.readings_unconverted for one in intakes),
        failed=dict(failed),
        missing=None if proof is None else proof.missing,
        latency_from="receipt" if proof is None else "publishing",
        p50_ms=_slowest([one.p50_ms for one in windows]),
        p99_ms=_slowest([one.p99_ms for one in windows]),
        kaisers=len(kaisers),
        moves=tuple(tree.moves),
        doubled=doubled,
    )


def devices_of(tree: DemoTree) -> tuple[DemoDevice, ...]:
    """By id."""
    rules = {pi.node: rules_of(pi.daemon) for pi in tree.pis}
    found = []
    for home in tree.pis:
        fleet = tree.fleets[home.node]
        for one in fleet.statistics().devices:
            known = home.node == GOD or tree.god.core.record(one.esp_id) is not None
            owner = tree.owner(one.esp_id) if known else home
            device = seen_device(one, fleet.device(one.esp_id), home.daemon, owner.daemon, rules[owner.node])
            found.append(attrs.evolve(device, owner=owner.node, home=home.node) if known else device)
    return tuple(sorted(found, key=lambda device: device.esp_id))


def _slowest(figures: Sequence[float | None]) -> float | None:
    return max((one for one in figures if one is not None), default=None)
