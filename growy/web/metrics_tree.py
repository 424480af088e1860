"""What /metrics says of several Pis: this node, its mail to others, what travels between Kaisers and God."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from growy.broker.link_state import LinkStatistics
from growy.hierarchy.god_node import GodNode
from growy.hierarchy.node_events import NodeStatistics
from growy.hierarchy.receiving import ReceivingStatistics
from growy.hierarchy.sending import SendingStatistics
from growy.web.app import App
from growy.web.exposition import Family, counter, counters, gauge, gauges, histogram


def tree(app: App) -> Iterator[Family]:
    """Of God: its Kaisers and what is under way; of a Kaiser: its God and its leases."""
    node = app.tree
    if isinstance(node, GodNode):
        states = Counter(one.state.value for one in node.core.nodes)
        yield gauges("growy_tree_kaisers", "Kaisers in God's registry, by status.", "status", states)
        owned = Counter(one.owner for one in node.core.records)
        yield gauges("growy_tree_owned_devices", "Devices by owner, as God has it.", "owner", owned)
        live = Counter(one.command_type.value for one in node.core.chains)
        yield gauges("growy_tree_chains", "Command chains under way, by type.", "type", live)
        yield histogram(
            "growy_tree_transfer_seconds",
            "Transfers that succeeded, from the leave on.",
            node.transfer_times(),
        )
        return
    god, held = node.god(), node.holdings()
    yield gauge("growy_tree_god_heard", "1 while a Kaiser hears its God.", god.heard)
    yield gauge("growy_tree_refused", "1 while its God refuses this Kaiser.", god.refusal is not None)
    yield gauge("growy_tree_holdings", "Devices that this Kaiser owns or is about to own.", len(held))
    leases = [one.lease_left_s for one in held if one.lease_left_s is not None]
    shortest = min(leases, default=None)
    yield gauge("growy_tree_shortest_lease_seconds", "Left of the lease that ends first.", shortest)


def node(said: NodeStatistics) -> Iterator[Family]:
    outcomes = {
        "heard": said.heard,
        "told": said.told,
        "unsent": said.unsent,
        "unreadable": said.unreadable,
    }
    yield counters(
        "growy_tree_messages_total", "Messages of and to other nodes, by outcome.", "outcome", outcomes
    )
    relayed = {"command": said.carried, "said": said.relayed, "refused": said.relay_refusals}
    yield counters(
        "growy_tree_relayed_total",
        "What went between a device and an owner elsewhere, by kind.",
        "kind",
        relayed,
    )
    yield counter(
        "growy_tree_remade_total", "Times that ownership was read anew as the disk refused.", said.remade
    )


def receiving(said: ReceivingStatistics) -> Iterator[Family]:
    yield counter("growy_tree_received_readings_total", "Readings taken from Kaisers.", said.readings)
    yield counter("growy_tree_received_events_total", "Audit entries taken from Kaisers.", said.events)
    yield counter("growy_tree_repeats_total", "Commits of Kaisers that were here already.", said.repeats)
    lost = {"damaged": said.damaged, "missing": said.missing}
    yield counters("growy_tree_lost_total", "Of Kaisers' commits what cannot be had, by why.", "why", lost)


def sending(said: SendingStatistics) -> Iterator[Family]:
    yield gauge("growy_tree_behind_commits", "Commits of readings that God has yet to get.", said.behind)
    yield counter("growy_tree_sent_readings_total", "Readings that God has taken.", said.readings)
    yield counter("growy_tree_sent_bytes_total", "Bytes sent to God.", said.bytes)
    yield counter(
        "growy_tree_given_up_total", "Commits that were too many to be kept for God.", said.given_up
    )


def uplink(said: LinkStatistics) -> Iterator[Family]:
    """A Kaiser's connection to its God's broker: that to its own has the other names."""
    yield gauge("growy_uplink_connected", "1 while a Kaiser has its God's broker.", said.state == "connected")
    yield counter(
        "growy_uplink_connects_total", "Connections to God's broker that came about.", said.connects
    )
    yield counter("growy_uplink_received_bytes_total", "Bytes read from God's broker.", said.bytes_received)
