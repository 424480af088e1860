"""A transfer in which anybody dies at any moment: after each effect of each party, once. By the rules of
docs/hierarchy.md it is gone on with or taken back, and no output changes.
"""

from __future__ import annotations

import itertools

import pytest
from tree_things import TERMS, Counts
from tree_world import World

from growy.hierarchy.god import God
from growy.model.hierarchy import GOD

ESP = "ESP_000001"
ROUTES = [(GOD, "k1"), ("k1", GOD), ("k1", "k2")]
BOUND_S = TERMS.wait_s(TERMS.lease_s) + TERMS.grant_s + TERMS.prepare_s + TERMS.wait_s(TERMS.lease_s) + 15.0


def world_with(owner: str, home: str) -> World:
    """All is well, and the device is its owner's, switched on, on the broker of its home."""
    world = World(0, Counts())
    world.forgetful = 0.0
    world.pass_time(10.0)
    for esp_id in world.homes:
        world.homes[esp_id] = home
        world.heard_at(esp_id)
    world.chatters = False
    world.pass_time(10.0)
    if owner_of(world) != owner:
        transfer(world, owner_of(world), owner)
        world.pass_time(20.0)
    assert owner_of(world) == owner
    world.command(owner, ESP, 0.75)
    world.pass_time(1.0)
    assert world.levels[ESP] == 0.75
    return world


def owner_of(world: World) -> str:
    assert world.god is not None
    assert isinstance(world.god.core, God)
    record = world.god.core.record(ESP)
    assert record is not None
    return record.owner


def transfer(world: World, from_owner: str, to_owner: str) -> None:
    god = world.god
    assert god is not None
    core = god.core
    assert isinstance(core, God)
    world.step(god, lambda moment: core.transfer("t-1", ESP, from_owner, to_owner, moment))


def settle(world: World) -> float:
    """Seconds until everything is in order."""
    begun = world.now
    while (wrong := world.judge.unsettled()) is not None:
        assert world.now < begun + BOUND_S, wrong
        world.pass_time(0.5)
    return world.now - begun


@pytest.mark.parametrize("home", [GOD, "k1", "k3"])
@pytest.mark.parametrize(("from_owner", "to_owner"), ROUTES)
def test_a_transfer_in_peace_takes_seconds_and_changes_no_output(
    from_owner: str, to_owner: str, home: str
) -> None:
    world = world_with(from_owner, home)
    handed_over = world.counts.handed_over

    transfer(world, from_owner, to_owner)
    world.pass_time(5.0)

    assert owner_of(world) == to_owner
    assert world.judge.unsettled() is None
    assert world.counts.ended["transfer_esp:done"] >= 1
    assert world.counts.handed_over == handed_over + 1  # with the old owner's last words
    assert world.levels[ESP] == 0.75
    assert world.counts.fences == 0


@pytest.mark.parametrize(("from_owner", "to_owner"), ROUTES)
@pytest.mark.parametrize("dies", ["from", "to", GOD])
@pytest.mark.parametrize("down_s", [0.5, 90.0])
def test_whoever_dies_at_whatever_step_there_is_one_owner_afterwards(
    from_owner: str, to_owner: str, dies: str, down_s: float
) -> None:
    victim = {"from": from_owner, "to": to_owner, GOD: GOD}[dies]
    reached = 0
    for effect in itertools.count(step=1 if down_s < 1.0 else 3):
        world = world_with(from_owner, "k3")
        world.crash_in[victim] = effect
        transfer(world, from_owner, to_owner)
        world.pass_time(4.0)
        if world.crash_in.pop(victim, None) is not None and victim in world.alive:
            break  # the transfer was over before that effect
        reached += 1
        world.pass_time(down_s)
        world.start(victim)
        settle(world)
        if down_s < 1.0:
            # Short enough for everybody to come back to it: nobody but those two, and nothing was fenced.
            assert owner_of(world) in (from_owner, to_owner)
            assert world.levels[ESP] == 0.75
        world.pass_time(40.0)
        assert world.judge.unsettled() is None
    assert reached >= 3


def test_an_owner_that_never_answers_loses_the_device_when_its_lease_is_over() -> None:
    world = world_with("k1", "k3")
    world.cut.add(frozenset((GOD, "k1")))

    begun = world.now
    transfer(world, "k1", "k2")
    while owner_of(world) == "k1":
        world.pass_time(0.5)
        assert world.now < begun + TERMS.wait_s(TERMS.lease_s) + 5.0
    assert world.now > begun + TERMS.lease_s - TERMS.report_s - 1.0

    settle(world)
    assert owner_of(world) == "k2"


def test_a_silent_kaiser_loses_its_devices_soon_after_its_lease_and_comes_back_as_a_guest() -> None:
    world = world_with("k1", "k3")
    assert world.god is not None
    core = world.god.core
    assert isinstance(core, God)
    node = next(node for node in core.nodes if node.kaiser_id == "k1")
    assert node.failover

    world.crash("k1")
    begun = world.now
    while owner_of(world) == "k1":
        world.pass_time(0.25)
    assert world.now - begun <= TERMS.lease_s + 5.0

    new_owner = owner_of(world)
    world.start("k1")
    world.pass_time(60.0)
    assert owner_of(world) == new_owner
    assert world.judge.unsettled() is None


def test_a_kaiser_alone_goes_on_until_its_lease_is_over_and_then_goes_safe() -> None:
    world = world_with("k1", "k1")
    world.cut.add(frozenset((GOD, "k1")))

    world.pass_time(TERMS.lease_s - TERMS.fence_s - TERMS.report_s - 1.0)
    assert world.levels[ESP] == 0.75
    world.command("k1", ESP, 0.5)
    assert world.levels[ESP] == 0.5

    world.pass_time(TERMS.fence_s + TERMS.report_s + 2.0)
    assert world.levels[ESP] == 0.0
    world.command("k1", ESP, 1.0)
    assert world.levels[ESP] == 0.0


def test_what_was_begun_can_be_cancelled_until_the_new_owner_has_it() -> None:
    for wait_s in [tick / 20 for tick in range(80)]:
        world = world_with("k1", "k3")
        transfer(world, "k1", "k2")
        world.pass_time(wait_s)
        god = world.god
        assert god is not None
        assert isinstance(god.core, God)
        begun = god.core.chains
        if not begun:
            assert wait_s > 0.5
            break
        if begun[0].step in ("adopt", "done"):
            continue
        world.step(god, god.core.cancel, "t-1")
        world.pass_time(8.0)
        settle(world)
        assert owner_of(world) == "k1"
        assert world.levels[ESP] == 0.75
    else:
        pytest.fail("it never ended")
