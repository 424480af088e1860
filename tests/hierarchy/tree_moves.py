"""What may happen in the world of the tree. Each takes one number, out of which everything else is made: so a history
is a short list that can be shrunk and told again.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from tree_things import ESPS, KAISERS, NODES, Counts, Weather
from tree_world import World

from growy.hierarchy.god import God
from growy.hierarchy.kaiser import Kaiser
from growy.model.errors import GrowyError
from growy.model.hierarchy import GOD, ChainType, Node

T = TypeVar("T")


class Choice:
    """One number, read as many small ones."""

    def __init__(self, number: int) -> None:
        self._dice = random.Random(number)

    def of(self, several: Sequence[T]) -> T:
        return self._dice.choice(several)


def a_moment_passes(world: World, choice: Choice) -> None:
    world.pass_time(choice.of((0.1, 0.3, 1.0, 2.0)))


def time_passes(world: World, choice: Choice) -> None:
    world.pass_time(choice.of((4.0, 8.0, 16.0, 35.0)))


def somebody_transfers(world: World, choice: Choice) -> None:
    god = world.god
    if god is None:
        return
    assert isinstance(god.core, God)
    record = god.core.record(choice.of(ESPS))
    if record is None:
        return
    to = choice.of([node for node in NODES if node != record.owner])
    core = god.core
    try:
        world.step(
            god,
            lambda moment: core.transfer(world.fresh_id(), record.esp_id, record.owner, to, moment),
        )
    except GrowyError:
        world.counts.steps -= 1


def a_kaiser_asks(world: World, choice: Choice) -> None:
    process = world.alive.get(choice.of(KAISERS))
    if process is not None:
        assert isinstance(process.core, Kaiser)
        core = process.core
        esp_id, to = choice.of(ESPS), choice.of(NODES)
        world.step(process, lambda _: core.petition(world.fresh_id(), esp_id, to, "wish"))


def somebody_decides(world: World, choice: Choice) -> None:
    god = world.god
    if god is None or not isinstance(god.core, God) or not god.core.chains:
        return
    chain, consent = choice.of(god.core.chains), choice.of((True, False))
    try:
        world.step(god, god.core.approve if consent else god.core.cancel, chain.command_id)
    except GrowyError:
        world.counts.steps -= 1


def somebody_commands(world: World, choice: Choice) -> None:
    for _ in range(3):
        world.command(choice.of(NODES), choice.of(ESPS), choice.of((0.0, 0.25, 0.5, 1.0)))


def all_command(world: World, choice: Choice) -> None:
    for name in NODES:
        for esp_id in ESPS:
            world.command(name, esp_id, choice.of((0.0, 0.25, 0.5, 1.0)))


def a_node_dies(world: World, choice: Choice) -> None:
    name = choice.of(NODES)
    if choice.of((True, False)):
        world.crash(name)
    elif name in world.alive:
        world.crash_in[name] = choice.of((0, 1, 2, 3, 5, 8))


def a_node_is_started_anew(world: World, choice: Choice) -> None:
    name = choice.of(NODES)
    world.crash(name)
    world.pass_time(choice.of((0.0, 0.5, 2.0)))
    world.start(name)


def a_transfer_in_trouble(world: World, choice: Choice) -> None:
    """Whoever is about to lose or to get a device dies in the midst of it, and is there again at once."""
    if choice.of((True, False)):
        name = choice.of(NODES)
        world.crash_in[name] = choice.of(range(20))
        somebody_transfers(world, choice)
        world.pass_time(4.0)
        world.start(name)
        return
    somebody_transfers(world, choice)
    world.pass_time(choice.of((0.0, 0.05, 0.2, 0.6, 1.2)))
    a_node_is_started_anew(world, choice)


def somebody_makes_a_backup(world: World, choice: Choice) -> None:
    name = choice.of(NODES)
    world.backups[name] = copy.deepcopy(world.disks[name])


def a_disk_breaks(world: World, choice: Choice) -> None:
    world.restore(choice.of(NODES))


def a_node_restarts(world: World, choice: Choice) -> None:
    world.start(choice.of(NODES))


def all_nodes_restart(world: World, choice: Choice) -> None:
    for name in NODES:
        world.start(name)


def a_node_stands_still(world: World, choice: Choice) -> None:
    process = world.alive.get(choice.of(NODES))
    if process is not None:
        process.stalled_until = world.now + choice.of((1.0, 10.0, 28.0, 45.0))


def a_link_breaks(world: World, choice: Choice) -> None:
    one = choice.of(NODES)
    others = [other for other in NODES if other != one]
    for other in others if choice.of((True, False)) else [choice.of(others)]:
        world.cut.add(frozenset((one, other)))


def a_node_falls_silent(world: World, choice: Choice) -> None:
    """It goes on working, and nobody hears it; what was under way may still reach it."""
    name = choice.of(NODES)
    for other in NODES:
        if other != name:
            world.cut.add(frozenset((name, other)))
    world.pass_time(choice.of((20.0, 31.0, 34.0, 45.0)))


def the_links_are_mended(world: World, choice: Choice) -> None:
    world.cut.clear()


def the_weather_changes(world: World, choice: Choice) -> None:
    world.weather = Weather(
        loss=choice.of((0.0, 0.0, 0.2, 0.6)),
        twice=choice.of((0.0, 0.3)),
        delay_s=choice.of((0.05, 0.05, 0.5, 2.0, 12.0)),
        stray=choice.of((0.0, 0.05, 0.3)),
        stray_s=choice.of((3.0, 45.0)),
    )


def a_device_moves(world: World, choice: Choice) -> None:
    esp_id = choice.of(ESPS)
    world.homes[esp_id] = choice.of(NODES)
    world.heard_at(esp_id)


def a_configuration_changes(world: World, choice: Choice) -> None:
    esp_id = choice.of(ESPS)
    world.versions = {**world.versions, esp_id: world.versions.get(esp_id, 0) + 1}
    god = world.god
    if god is not None and isinstance(god.core, God):
        god.core.configured(esp_id, world.version_of(esp_id))


def god_commands(world: World, choice: Choice) -> None:
    god = world.god
    if god is None or not isinstance(god.core, God):
        return
    core, to = god.core, choice.of(KAISERS)
    try:
        if choice.of((True, False, False)):
            world.step(
                god,
                lambda moment: core.emergency_stop(
                    world.fresh_id(), choice.of((None, to)), moment, reason="smoke", issued_by="ada"
                ),
            )
        else:
            world.step(
                god, lambda moment: core.command(world.fresh_id(), to, ChainType.SYNC_CONFIG, {}, moment)
            )
    except GrowyError:
        world.counts.steps -= 1


def a_kaiser_wants_something_of_another(world: World, choice: Choice) -> None:
    process = world.alive.get(choice.of(KAISERS))
    if process is not None and isinstance(process.core, Kaiser):
        clock = process.clock(world.now)
        process.core.cross.send(choice.of(KAISERS), world.fresh_id(), "sync_data", {}, deadline=clock + 30.0)


def a_kaiser_leaves_or_joins(world: World, choice: Choice) -> None:
    god = world.god
    if god is None or not isinstance(god.core, God):
        return
    core, name = god.core, choice.of(KAISERS)
    if any(node.kaiser_id == name for node in core.nodes):
        if choice.of((True, False)):
            world.step(god, core.unregister, name)
    else:
        world.step(god, core.add, Node(kaiser_id=name, max_esps=3, stand_in=GOD))


_MOVES: dict[str, tuple[Callable[[World, Choice], None], int]] = {
    "a moment passes": (a_moment_passes, 5),
    "time passes": (time_passes, 3),
    "somebody transfers": (somebody_transfers, 5),
    "a kaiser asks": (a_kaiser_asks, 1),
    "somebody decides": (somebody_decides, 1),
    "somebody commands": (somebody_commands, 4),
    "all command": (all_command, 6),
    "a node dies": (a_node_dies, 3),
    "a node is started anew": (a_node_is_started_anew, 2),
    "a transfer in trouble": (a_transfer_in_trouble, 4),
    "somebody makes a backup": (somebody_makes_a_backup, 1),
    "a disk breaks": (a_disk_breaks, 1),
    "a node restarts": (a_node_restarts, 2),
    "all nodes restart": (all_nodes_restart, 1),
    "a node stands still": (a_node_stands_still, 1),
    "a link breaks": (a_link_breaks, 2),
    "a node falls silent": (a_node_falls_silent, 3),
    "the links are mended": (the_links_are_mended, 3),
    "the weather changes": (the_weather_changes, 2),
    "a device moves": (a_device_moves, 2),
    "a configuration changes": (a_configuration_changes, 1),
    "god commands": (god_commands, 1),
    "a kaiser wants something of another": (a_kaiser_wants_something_of_another, 1),
    "a kaiser leaves or joins": (a_kaiser_leaves_or_joins, 1),
}
MOVES = [name for name, (_, weight) in _MOVES.items() for _ in range(weight)]


def play(seed: int, history: list[tuple[str, int]], counts: Counts) -> None:
    """A whole history, and how it settles."""
    world = World(seed, counts)
    world.stormy()
    for name, number in history:
        _MOVES[name][0](world, Choice(number))
    world.end()
