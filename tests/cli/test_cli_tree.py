"""`growyd hierarchy`, `kaisers`, `transfer`, `chains`, `stop --everywhere`, asked of a real God with real Kaisers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result
from rig.tree import ESP, GOD_ID, Pi, Tree, open_tree, until

from growy.cli import main
from growy.cli.exits import ExitCode
from growy.cli.transfer import passed
from growy.model.tree_messages import Health, ShownCertificate
from growy.wire.hierarchy import encode_tree

Run = Callable[..., Awaitable[Result]]
OTHER = "ESP_77EE66FF"


@pytest.fixture
async def tree(tmp_path: Path) -> AsyncIterator[Tree]:
    async with open_tree(tmp_path) as tree:
        yield tree


@pytest.fixture
def run(tree: Tree) -> Run:
    async def invoke(*arguments: object, at: Pi | None = None) -> Result:
        pi = at or tree.god
        words = [*map(str, arguments), "--url", pi.url]
        return await trio.to_thread.run_sync(
            partial(CliRunner(env=pi.env).invoke, main, words, catch_exceptions=False)
        )

    return invoke


async def test_the_tree_is_drawn_with_owners_epochs_and_leases(tree: Tree, run: Run) -> None:
    alone = await run("hierarchy")
    assert alone.output == f"god {GOD_ID}: 0 devices of its own, 0 Kaisers\n"

    one = await tree.new_kaiser("kaiser_1", name="Tent", max_esps=3)
    await tree.god.new_esp()
    await tree.god.new_esp(OTHER)
    await tree.moved(ESP, "kaiser_1")
    epochs = {one.esp_id: one.epoch for one in tree.gods.core.records}
    lines = (await run("hierarchy")).output.splitlines()
    assert lines[0] == f"god {GOD_ID}: 1 device of its own, 1 Kaiser"
    assert lines[1].startswith(f"  {OTHER}, online, epoch {epochs[OTHER]}")
    assert lines[2].startswith(
        "  kaiser_1 (Tent): online, heard 0 s ago, 1 of 3 devices, all its readings here"
    )
    assert lines[3].startswith(f"    {ESP}, epoch {epochs[ESP]}, lease ")
    assert lines[3].endswith("on the broker of god")
    assert json.loads((await run("hierarchy", "--json")).output)["god"]["total_esps"] == 2

    theirs = await run("hierarchy", at=one)
    assert theirs.output.splitlines()[0] == f"god {GOD_ID}"
    assert f"its God {GOD_ID} is heard" in theirs.output
    assert "its God knows the rest" in theirs.stderr


async def test_kaisers_are_entered_listed_bound_and_removed(tree: Tree, run: Run) -> None:
    assert "growyd kaisers add ID" in (await run("kaisers")).output
    made = await run("kaisers", "add", "kaiser_1", "--name", "Tent", "--max-esps", 4, "--no-failover")
    assert made.exit_code == ExitCode.OK
    assert "kaiser_1 (Tent): added, 0 of 4 devices" in made.output
    await tree.new_kaiser("kaiser_1", heard=False)
    await until(lambda: tree.status("kaiser_1") == "online")
    header, row = (await run("kaisers", "list")).output.splitlines()
    assert header.split()[:3] == ["kaiser", "name", "status"]
    assert row.split()[:3] == ["kaiser_1", "Tent", "online"]
    assert json.loads((await run("kaisers", "--json")).output)[0]["failover"] is False

    await tree.god.new_esp()
    moved = await run("kaisers", "add", "kaiser_1", "--esp", ESP)
    assert "1 devices are on their way" in moved.output
    assert json.loads((await run("kaisers", "--json")).output)[0]["name"] == "Tent"
    await until(lambda: tree.gods.owner(ESP) == "kaiser_1")
    missing = await run("kaisers", "add", "kaiser_1", "--stand-in", "kaiser_9")
    assert (missing.exit_code, "kaiser_9" in missing.stderr) == (ExitCode.FAILED, True)
    bound = await run("kaisers", "register", "kaiser_1", "--replace")
    assert (bound.exit_code, "Switch it off" in bound.stderr) == (ExitCode.FAILED, True)

    await until(lambda: not tree.gods.core.chains)
    gone = await run("kaisers", "rm", "kaiser_1", "--wait", "20s")
    assert gone.output == "kaiser_1 is removed\n"
    assert tree.gods.owner(ESP) == "god"
    assert (await run("kaisers", "rm", "kaiser_1")).exit_code == ExitCode.FAILED


async def test_a_kaiser_is_shown_with_its_certificate(tree: Tree, run: Run) -> None:
    one = await tree.new_kaiser("kaiser_1", name="Tent")
    await tree.god.new_esp()
    await tree.moved(ESP, "kaiser_1")
    without = await run("kaisers", "show", "kaiser_1")
    assert without.output.splitlines()[0].startswith("kaiser_1 (Tent): online")
    assert without.output.splitlines()[1].startswith(f"  {ESP}")
    assert without.output.splitlines()[2:] == [
        f"installation {one.kaiser.core.identity.instance}",
        "certificate -",
    ]
    assert (await run("kaisers", "show", "kaiser_9")).exit_code == ExitCode.FAILED
    assert "god: online, 0 devices" in (await run("kaisers", "show", "god")).output

    def says(year: int) -> None:
        expires_ms = int(datetime(year, 2, 23, 12, tzinfo=UTC).timestamp()) * 1000
        certificate = ShownCertificate(fingerprint="0a" * 32, expires_ms=expires_ms)
        health = Health(kaiser_id="kaiser_1", uptime_s=1.0, certificate=certificate)
        assert tree.gods.mail(b"kaiser/kaiser_1/kaiser/health", encode_tree(health))

    says(2999)
    shown = (await run("kaisers", "show", "kaiser_1")).output.splitlines()
    assert shown[0].endswith("certificate until 2999-02-23")
    assert shown[-1] == f"certificate SHA-256 {'0a' * 32}, until 2999-02-23"
    header, row = (await run("kaisers")).output.splitlines()
    assert (header.split()[-1], row[header.index("certificate") :]) == ("certificate", "until 2999-02-23")
    told = json.loads((await run("kaisers", "--json")).output)[0]["certificate"]
    assert told == {"fingerprint": "0a" * 32, "expires": "2999-02-23T12:00:00.000Z"}
    says(2020)
    assert "certificate EXPIRED 2020-02-23" in (await run("hierarchy")).output


async def test_a_device_that_cannot_go_is_told_and_is_a_failure(tree: Tree, run: Run) -> None:
    await tree.god.new_esp()
    made = await run("kaisers", "add", "kaiser_1", "--esp", ESP)
    assert made.exit_code == ExitCode.FAILED
    assert f"{ESP}: kaiser_1 is added" in made.stderr


async def test_a_transfer_is_followed_step_by_step(tree: Tree, run: Run) -> None:
    await tree.new_kaiser("kaiser_1")
    await tree.god.new_esp()
    done = await run("transfer", ESP, "--to", "kaiser_1", "--from", "god", "--reason", "heat", "--wait")
    assert done.exit_code == ExitCode.OK, done.stderr
    assert [line.split()[2] for line in done.output.splitlines()] == [
        "prepare",
        "revoke",
        "grant",
        "adopt",
        "done",
    ]
    assert done.output.splitlines()[-1].endswith("kaiser_1 has it")
    back = await run("transfer", ESP, "--to", "god")
    assert (back.exit_code, f"{ESP} is on its way to god" in back.output) == (ExitCode.OK, True)
    await until(lambda: tree.gods.owner(ESP) == "god")

    wrong = await run("transfer", ESP, "--to", "god", "--from", "kaiser_1")
    assert (wrong.exit_code, f"{ESP} belongs to god" in wrong.stderr) == (ExitCode.FAILED, True)


async def test_a_transfer_that_does_not_end_in_time_is_a_failure_and_goes_on(tree: Tree, run: Run) -> None:
    await tree.new_kaiser("kaiser_1")
    await tree.god.new_esp()
    late = await run("transfer", ESP, "--to", "kaiser_1", "--wait", "--timeout", "1ms")
    assert (late.exit_code, "still under way" in late.stderr) == (ExitCode.FAILED, True)
    await until(lambda: tree.gods.owner(ESP) == "kaiser_1", 20)


async def test_chains_are_listed_cancelled_and_consented_to(tree: Tree, run: Run) -> None:
    one = await tree.new_kaiser("kaiser_1")
    await tree.new_kaiser("kaiser_2")
    await tree.god.new_esp()
    assert (await run("chains")).output == "Nothing is under way.\n"
    await tree.moved(ESP, "kaiser_1")
    for decision in ("cancel", "approve"):
        await one.kaiser.petition(ESP, "kaiser_2", "nearer")
        await until(lambda: bool(tree.gods.core.chains))
        (chain,) = json.loads((await run("chains", "--json")).output)
        assert "pending" in (await run("chains")).output
        said = await run("chains", decision, chain["command_id"])
        assert said.exit_code == ExitCode.OK, said.stderr
        if decision == "cancel":
            assert said.output == f"{chain['command_id']}: cancelled (leave)\n"
            assert tree.gods.owner(ESP) == "kaiser_1"
    await until(lambda: tree.gods.owner(ESP) == "kaiser_2")
    await until(lambda: not tree.gods.core.chains)
    await tree.gods.settled()  # its end is on the disk
    everything = json.loads((await run("chains", "--all", "--json")).output)
    assert [chain["status"] for chain in everything] == ["done", "cancelled", "done"]
    again = await run("chains", "cancel", everything[0]["command_id"])
    assert (again.exit_code, "has ended: done" in again.stderr) == (ExitCode.FAILED, True)


async def test_a_kaiser_asks_another_how_far_it_is_and_for_a_device(tree: Tree, run: Run) -> None:
    one = await tree.new_kaiser("kaiser_1")
    two = await tree.new_kaiser("kaiser_2", gives_to=("kaiser_1",))
    await two.new_esp()
    await until(lambda: two.node.tenure(ESP) == "ours")
    far = await run("kaisers", "ask", "kaiser_2", "sync_data", at=one)
    assert (far.exit_code, far.output) == (
        ExitCode.OK,
        "kaiser_2 has 1 device, and God has all its readings\n",
    )
    assert json.loads((await run("kaisers", "ask", "kaiser_2", "sync_data", "--json", at=one)).output)[
        "data"
    ] == {"esps": [ESP], "backlog": 0}

    wrong = await run("kaisers", "ask", "kaiser_2", "transfer_esp", OTHER, at=one)
    assert wrong.exit_code == ExitCode.FAILED
    assert f"kaiser_2 refuses transfer_esp: {OTHER} is not kaiser_2's" in wrong.stderr
    assert "`growyd hierarchy`" in wrong.stderr

    asked = await run("kaisers", "ask", "kaiser_2", "transfer_esp", ESP, "--reason", "nearer", at=one)
    assert asked.exit_code == ExitCode.OK, asked.stderr
    assert f"kaiser_2 has asked God to give {ESP} to kaiser_1" in asked.output
    await until(lambda: tree.gods.owner(ESP) == "kaiser_1" and not tree.gods.core.chains, 20)
    back = await run("kaisers", "ask", "kaiser_1", "transfer_esp", ESP, "--to", "kaiser_2")
    assert (back.exit_code, f"{ESP} is on its way to kaiser_2" in back.output) == (ExitCode.OK, True)
    await until(lambda: tree.gods.owner(ESP) == "kaiser_2", 20)


async def test_a_kaiser_that_is_not_there_or_does_not_answer_is_a_failure_with_its_cure(
    tree: Tree, run: Run
) -> None:
    one = await tree.new_kaiser("kaiser_1")
    await tree.new_kaiser("kaiser_2")
    for pi, node in ((one, "kaiser_9"), (one, "kaiser_1"), (tree.god, "kaiser_9"), (tree.god, "god")):
        none = await run("kaisers", "ask", node, "sync_data", at=pi)
        assert (none.exit_code, node in none.stderr) == (ExitCode.FAILED, True)
        assert "[KAISER_NOT_FOUND]" in none.stderr
    tree.post.away.add("kaiser_2")
    for pi in (one, tree.god):
        late = await run("kaisers", "ask", "kaiser_2", "sync_data", "--wait", "300ms", at=pi)
        assert late.exit_code == ExitCode.FAILED
        assert "kaiser_2 did not answer to sync_data in time" in late.stderr
        assert "`growyd kaisers`" in late.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["transfer_esp"], "growyd kaisers ask kaiser_2 transfer_esp ESP"),
        (["sync_data", ESP], "are for transfer_esp"),
        (["sync_data", "--to", "god"], "are for transfer_esp"),
        (["sync_data", "--reason", "x"], "are for transfer_esp"),
        (["reboot"], "'sync_data', 'transfer_esp'"),
    ],
)
def test_a_kaiser_is_asked_for_what_it_understands(words: list[str], told: str) -> None:
    done = CliRunner().invoke(main, ["kaisers", "ask", "kaiser_2", *words])
    assert (done.exit_code, told in done.stderr) == (ExitCode.CONFIG, True), done.stderr


async def test_a_stop_of_every_node_tells_what_each_has_proven(tree: Tree, run: Run) -> None:
    one = await tree.new_kaiser("kaiser_1")
    await tree.god.new_esp()
    await one.new_esp(OTHER)
    await until(lambda: one.node.tenure(OTHER) == "ours")
    done = await run("stop", "--everywhere", "--reason", "flood")
    assert done.exit_code == ExitCode.OK, done.output
    first, *proofs = done.output.splitlines()
    assert first.startswith("Emergency stop of god, kaiser_1 is in force")
    assert sorted(proofs) == [
        "god: off, proven by 1 of 1 devices",
        "kaiser_1: off, proven by 1 of 1 devices",
    ]
    assert [[stop.stop.reason for stop in pi.control.stops()] for pi in (tree.god, one)] == [
        ["flood"],
        ["flood"],
    ]


async def test_a_stop_of_one_node_that_is_not_heard_is_a_failure(
    tree: Tree, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("growy.cli.stop_tree.PROVEN_WITHIN_S", 0.5)
    one = await tree.new_kaiser("kaiser_1")
    tree.post.away.add("kaiser_1")
    done = await run("stop", "--kaiser", "kaiser_1")
    assert done.exit_code == ExitCode.FAILED
    assert "kaiser_1: NOT PROVEN, nothing heard from it" in done.output
    tree.post.away.clear()
    await until(lambda: bool(one.control.stops()))
    assert tree.god.control.stops() == []
    told = await run("stop", "--everywhere", at=one)
    assert (told.exit_code, "`growyd stop`" in told.stderr) == (ExitCode.FAILED, True)


def test_a_stop_is_of_one_thing() -> None:
    done = CliRunner().invoke(main, ["stop", "--everywhere", "--esp", ESP])
    assert (done.exit_code, "Say one of" in done.stderr) == (ExitCode.CONFIG, True)


@pytest.mark.parametrize(
    ("told", "at", "said"),
    [
        ([], "leave", ["leave"]),
        (["leave"], "revoke", ["prepare", "revoke"]),
        ([], "done", ["prepare", "revoke", "grant", "adopt", "done"]),
        (["prepare", "revoke", "grant"], "roll_back", ["roll_back"]),
        (["prepare"], "prepare", []),
    ],
)
def test_steps_that_went_by_too_fast_are_told_too(told: list[str], at: str, said: list[str]) -> None:
    assert passed(told, at) == said
