"""`/api/god/*` over a real God and real Kaisers: what is asked is done, what cannot be done is refused before anything
has changed, and every step can be seen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio
from rig.people import api_key
from rig.tree import ESP, GOD_ID, Tree, open_tree, until

from growy.hierarchy.measuring import COMMIT, PROCESSING, Recorder
from growy.model.errors import StoreUnavailable
from growy.model.people import Role
from growy.ops.latency import Histogram

HIERARCHY = "/api/god/hierarchy"
TRANSFER = "/api/god/esp/transfer"
ADD = "/api/god/kaiser/add"
CHAINS = "/api/god/command-chains"


@pytest.fixture
async def tree(tmp_path: Path, connect: Any) -> AsyncIterator[Tree]:
    async with open_tree(tmp_path, connect) as tree:
        yield tree


def kaiser_in(said: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in said["kaisers"] if one["id"] == name]
    return found


async def test_a_pi_that_is_alone_is_a_god_with_its_devices(tree: Tree) -> None:
    await tree.god.new_esp()
    said = await tree.god.get(HIERARCHY)
    assert (said["god"]["id"], said["god"]["type"]) == (GOD_ID, "god")
    assert (said["god"]["total_kaisers"], said["god"]["total_esps"]) == (0, 1)
    assert (said["kaisers"], said["complete"]) == ([], True)
    (esp,) = said["god"]["esps"]
    assert (esp["esp_id"], esp["owner"], esp["online"], esp["lease_left_s"]) == (ESP, "god", True, None)


async def test_the_tree_shows_owners_epochs_and_leases(tree: Tree) -> None:
    await tree.new_kaiser("kaiser_1", name="Tent")
    await tree.god.new_esp()
    before = (await tree.god.get(HIERARCHY))["god"]["esps"][0]["epoch"]
    await tree.moved(ESP, "kaiser_1")

    said = await tree.god.get(HIERARCHY)
    one = kaiser_in(said, "kaiser_1")
    assert (one["status"], one["esp_count"], one["name"]) == ("online", 1, "Tent")
    assert one["last_heartbeat"].startswith("20")
    assert (one["backlog"], one["max_esps"], one["refused"]) == (0, 10, None)
    (esp,) = one["esps"]
    assert (esp["owner"], esp["home"], esp["epoch"]) == ("kaiser_1", "god", before + 1)
    assert 0 < esp["lease_left_s"] <= 4
    assert (esp["previous_owner"], esp["reason"]) == ("god", "test")
    assert (said["god"]["esp_count"], said["god"]["total_esps"]) == (0, 1)


async def test_a_transfer_answers_when_begun_and_with_wait_when_done(tree: Tree) -> None:
    for name in ("kaiser_1", "kaiser_2"):
        await tree.new_kaiser(name)
    await tree.god.new_esp()
    body = {"esp_id": ESP, "from_owner": "god", "to_owner": "kaiser_1", "reason": "heat"}
    begun = await tree.god.post(TRANSFER, body)
    assert (begun["success"], begun["esp_id"], begun["new_owner"]) == (True, ESP, "kaiser_1")
    assert begun["status"] == "running"
    await until(lambda: tree.gods.owner(ESP) == "kaiser_1")
    await until(lambda: not tree.gods.core.chains)

    body = {"esp_id": ESP, "from_owner": "kaiser_1", "to_owner": "kaiser_2"}
    done = await tree.god.post(f"{TRANSFER}?wait=20", body)
    assert (done["success"], done["status"], done["step"], done["owner"]) == (
        True,
        "done",
        "done",
        "kaiser_2",
    )
    assert done["message"] == f"{ESP} belongs to kaiser_2"

    kept = await tree.god.get(f"/api/god/command-chain/{begun['command_id']}")
    assert (kept["status"], kept["issued_by"], kept["command_type"]) == ("done", "key:tests", "transfer_esp")
    assert (kept["command_data"]["reason"], kept["completed_at"][:2]) == ("heat", "20")
    entries = await tree.god.audited("transfer_begun")
    assert [(one.source_id, one.details["by"]) for one in entries] == [(ESP, "key:tests")] * 2


async def test_a_device_that_was_never_heard_stays_with_god_and_a_deleted_one_is_not_shown(
    tree: Tree,
) -> None:
    await tree.new_kaiser("kaiser_1")
    await tree.god.new_esp()
    await tree.god.post("/api/v1/esp/devices", {"device_id": "ESP_00AA11"}, status=201)
    shown = (await tree.god.get(HIERARCHY))["god"]
    assert [(esp["esp_id"], esp["epoch"] is None) for esp in shown["esps"]] == [
        ("ESP_00AA11", True),
        (ESP, False),
    ]
    said = await tree.god.post(TRANSFER, {"esp_id": "ESP_00AA11", "to_owner": "kaiser_1"}, status=409)
    assert said["error"]["details"]["reason"] == "never_heard"
    async with tree.god.connect(tree.god.web, tree.god.key) as client:
        assert (await client.ask("DELETE", f"/api/v1/esp/devices/{ESP}")).status == 204
    left = (await tree.god.get(HIERARCHY))["god"]
    assert ([esp["esp_id"] for esp in left["esps"]], left["total_esps"]) == (["ESP_00AA11"], 1)


@pytest.mark.parametrize(
    ("body", "status", "code", "reason"),
    [
        ({"esp_id": "ESP_000000", "to_owner": "kaiser_1"}, 404, "ESP_NOT_FOUND", None),
        ({"esp_id": ESP, "to_owner": "kaiser_9"}, 404, "KAISER_NOT_FOUND", None),
        ({"esp_id": ESP, "from_owner": "kaiser_1", "to_owner": "god"}, 409, "TRANSFER_REFUSED", "not_owner"),
        ({"esp_id": ESP, "from_owner": "god", "to_owner": "god"}, 409, "TRANSFER_REFUSED", "same_owner"),
        ({"esp_id": ESP, "to_owner": GOD_ID}, 409, "TRANSFER_REFUSED", "same_owner"),
        ({"esp_id": ESP, "to_owner": "kaiser_2"}, 409, "TRANSFER_REFUSED", "offline"),
        ({"esp_id": ESP, "to_owner": "kaiser_3"}, 409, "TRANSFER_REFUSED", "full"),
        ({"esp_id": ESP}, 400, "VALIDATION_ERROR", None),
    ],
)
async def test_a_transfer_that_cannot_be_is_refused_and_changes_nothing(
    tree: Tree, body: dict[str, Any], status: int, code: str, reason: str | None
) -> None:
    await tree.new_kaiser("kaiser_1")
    await tree.new_kaiser("kaiser_3", max_esps=0)
    await tree.god.post(ADD, {"kaiser_id": "kaiser_2"})
    await tree.god.new_esp()
    said = await tree.god.post(TRANSFER, body, status)
    assert said["error"]["code"] == code
    assert said["error"]["details"].get("reason") == reason
    assert (tree.gods.owner(ESP), tree.gods.core.chains) == ("god", ())


async def test_a_kaiser_is_entered_with_devices_that_go_to_it(tree: Tree) -> None:
    for esp_id in (ESP, "ESP_77EE66FF"):
        await tree.god.new_esp(esp_id)
    config = {"name": "Tent", "max_esps": 4, "failover": False}
    early = await tree.god.post(ADD, {"kaiser_id": "kaiser_1", "esp_devices": [ESP], "kaiser_config": config})
    assert (early["success"], early["kaiser_id"], early["esp_count"]) == (False, "kaiser_1", 0)
    assert [(one["esp_id"], one["reason"]) for one in early["refused"]] == [(ESP, "offline")]
    assert (early["kaiser"]["name"], early["kaiser"]["failover"]) == ("Tent", False)
    assert early["kaiser"]["status"] == "added"

    await tree.new_kaiser("kaiser_1", heard=False)
    await until(lambda: tree.status("kaiser_1") == "online")
    said = await tree.god.post(ADD, {"kaiser_id": "kaiser_1", "esp_devices": [ESP, "ESP_77EE66FF", ESP]})
    assert (said["success"], said["esp_count"], len(said["transfers"])) == (True, 2, 2)
    assert said["kaiser"]["max_esps"] == 4  # what was not said stays
    await until(lambda: len(tree.gods.kaiser("kaiser_1").esps) == 2)
    entries = await tree.god.audited("kaiser_added")
    assert [(one.source_id, one.details["by"]) for one in entries] == [("kaiser_1", "key:tests")]


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"kaiser_id": "god"}, 400, "cannot be called god"),
        ({"kaiser_id": "a/b"}, 400, "cannot be called"),
        ({"kaiser_id": ""}, 400, "cannot be called"),
        ({"kaiser_id": "k", "esp_devices": ["ESP_000000"]}, 404, "ESP_000000"),
        ({"kaiser_id": "k", "kaiser_config": {"max_esps": -1}}, 400, "max_esps"),
        ({"kaiser_id": "k", "kaiser_config": {"stand_in": "k"}}, 404, "no Kaiser 'k'"),
        ({"kaiser_id": "k", "kaiser_config": {"stand_in": "kaiser_9"}}, 404, "kaiser_9"),
        ({"kaiser_id": "k", "kaiser_config": {"max_esps": 0}, "esp_devices": [ESP]}, 400, "these are 1"),
    ],
)
async def test_a_kaiser_that_makes_no_sense_is_not_entered(
    tree: Tree, body: dict[str, Any], status: int, why: str
) -> None:
    await tree.god.new_esp()
    assert why in (await tree.god.post(ADD, body, status))["detail"]
    assert tree.gods.core.nodes == ()


async def test_chains_under_way_are_listed_and_cancelled(tree: Tree) -> None:
    await tree.new_kaiser("kaiser_1")
    await tree.god.new_esp()
    tree.post.away.add("kaiser_1")  # it is not known to be gone yet
    begun = await tree.god.post(TRANSFER, {"esp_id": ESP, "to_owner": "kaiser_1"})
    (chain,) = (await tree.god.get(CHAINS))["command_chains"]
    assert (chain["command_id"], chain["esp_id"], chain["kaiser_id"]) == (
        begun["command_id"],
        ESP,
        "kaiser_1",
    )
    assert (await tree.god.get("/api/god/performance/stats"))["active_command_chains"] == 1
    waits = (await tree.god.get(HIERARCHY))["god"]["esps"] + kaiser_in(
        await tree.god.get(HIERARCHY), "kaiser_1"
    )["esps"]
    assert waits[0]["transfer"]["command_id"] == begun["command_id"]

    path = f"/api/god/command-chain/{begun['command_id']}"
    gone = await tree.god.post(f"{path}/cancel")
    assert (gone["success"], gone["command_id"]) == (True, begun["command_id"])
    tree.post.away.clear()
    await until(lambda: not tree.gods.core.chains)
    assert (await tree.god.get(path))["status"] == "cancelled"
    assert tree.gods.owner(ESP) == "god"
    assert (await tree.god.get(CHAINS))["command_chains"] == []
    assert [one["status"] for one in (await tree.god.get(f"{CHAINS}?all=true"))["command_chains"]] == [
        "cancelled"
    ]

    again = await tree.god.post(f"{path}/cancel", status=409)
    assert again["error"]["code"] == "COMMAND_CHAIN_ENDED"
    assert (await tree.god.post("/api/god/command-chain/none/cancel", status=404))["error"][
        "code"
    ] == "COMMAND_CHAIN_NOT_FOUND"


async def test_what_a_kaiser_wishes_waits_for_a_person(tree: Tree) -> None:
    one = await tree.new_kaiser("kaiser_1")
    await tree.new_kaiser("kaiser_2")
    await tree.god.new_esp()
    await tree.moved(ESP, "kaiser_1")
    await one.kaiser.petition(ESP, "kaiser_2", "it is nearer")
    await until(lambda: bool(tree.gods.core.chains))
    (chain,) = (await tree.god.get(CHAINS))["command_chains"]
    assert (chain["status"], chain["step"], chain["issued_by"]) == ("pending", "leave", "kaiser:kaiser_1")
    assert tree.gods.owner(ESP) == "kaiser_1"

    said = await tree.god.post(f"/api/god/command-chain/{chain['command_id']}/approve")
    assert said["success"]
    await until(lambda: tree.gods.owner(ESP) == "kaiser_2")
    (entry,) = await tree.god.audited("transfer_approved")
    assert (entry.source_id, entry.details["by"]) == (ESP, "key:tests")
    twice = await tree.god.post(f"/api/god/command-chain/{chain['command_id']}/approve", status=409)
    assert twice["error"]["code"] == "TRANSFER_REFUSED"


async def test_a_stop_of_everything_is_proven_up_the_tree(tree: Tree) -> None:
    one = await tree.new_kaiser("kaiser_1")
    here, there = await tree.god.new_esp(), await one.new_esp("ESP_77EE66FF")
    await until(lambda: one.node.tenure("ESP_77EE66FF") == "ours")
    keys = [await tree.god.actuator(), await one.actuator(esp_id="ESP_77EE66FF")]
    for pi, key in zip((tree.god, one), keys, strict=True):
        await pi.post(f"/api/v1/actuators/{key.esp_id}/{key.gpio}/command", {"command": "ON"})
    await until(lambda: here.outputs.on(18) and there.outputs.on(18))

    said = await tree.god.post("/api/god/emergency_stop?wait=10", {"reason": "flood"})
    assert (said["success"], said["proven"]) == (True, True)
    assert [(node["node"], node["proven"]) for node in said["nodes"]] == [("god", True), ("kaiser_1", True)]
    assert [[device["esp_id"] for device in node["devices"]] for node in said["nodes"]] == [
        [ESP],
        ["ESP_77EE66FF"],
    ]
    assert not here.outputs.on(18)
    assert not there.outputs.on(18)
    assert [stop.stop.reason for stop in one.control.stops()] == ["flood"]
    (entry,) = [one for one in await tree.god.audited("emergency_stop") if "incident" in one.details]
    assert entry.details["by"] == "key:tests"


async def test_a_kaiser_that_is_away_has_proven_nothing(tree: Tree) -> None:
    await tree.new_kaiser("kaiser_1")
    await tree.new_kaiser("kaiser_2")
    tree.post.away.add("kaiser_1")
    said = await tree.god.post("/api/god/emergency_stop?wait=1", {"reason": "flood"})
    assert (said["proven"], [one["node"] for one in said["nodes"] if not one["proven"]]) == (
        False,
        ["kaiser_1"],
    )
    assert "nothing heard from kaiser_1" in said["message"]
    refused = await tree.god.post(f"/api/god/command-chain/{said['incident']}:kaiser_1/cancel", status=409)
    assert "cannot be cancelled" in refused["detail"]

    tree.post.away.clear()
    again = await tree.god.get(f"/api/god/emergency_stop/{said['incident']}?wait=10")
    assert again["proven"]
    assert (await tree.god.get("/api/god/emergency_stop/em-0", status=404))["error"]["code"] == (
        "COMMAND_CHAIN_NOT_FOUND"
    )


async def test_figures_are_measured_or_null(tree: Tree) -> None:
    empty = await tree.god.get("/api/god/performance/stats")
    assert {
        name: empty[name] for name in ("avg_processing_time", "cache_hit_ratio", "registered_kaisers")
    } == {
        "avg_processing_time": None,
        "cache_hit_ratio": None,
        "registered_kaisers": 0,
    }
    await tree.new_kaiser("kaiser_1")
    await tree.god.new_esp()
    processing, commits = Histogram(), Histogram()
    recorder = Recorder(
        {
            PROCESSING: processing.distribution,
            COMMIT: commits.distribution,
            "transfer_time": tree.gods.transfer_times,
        },
        tree.gods.measured,
    )
    for seconds in (0.2, 0.4):
        processing.add(seconds)
    await recorder.record()
    processing.add(0.9)
    await tree.moved(ESP, "kaiser_1")
    await recorder.record()
    await recorder.record()  # nothing happened: nothing is written

    said = await tree.god.get("/api/god/performance/stats")
    assert said["avg_processing_time"] == pytest.approx(600)  # of 300 and 900
    assert said["avg_commit_time"] is None
    assert 0 < said["avg_transfer_time"] < 20_000
    assert (said["registered_kaisers"], said["kaisers_online"]) == (1, 1)
    assert {name: mean.count for name, mean in (await tree.gods.performance()).items()} == {
        PROCESSING: 2,
        "transfer_time": 1,
    }


async def test_what_could_not_be_written_is_in_the_next_mean() -> None:
    times, written = Histogram(), []
    full = True

    async def keep(figures: Any) -> None:
        if full:
            raise StoreUnavailable("full")
        written.append(dict(figures))

    recorder = Recorder({PROCESSING: times.distribution}, keep)
    times.add(0.1)
    with pytest.raises(StoreUnavailable):
        await recorder.record()
    full = False
    times.add(0.3)
    await recorder.record()
    assert written == [{PROCESSING: pytest.approx(200)}]


async def test_who_watches_is_told_of_every_step(tree: Tree, connect: Any) -> None:
    from trio_websocket import open_websocket_url

    await tree.new_kaiser("kaiser_1")
    await tree.god.new_esp()
    key = (await api_key(tree.god.web, Role.VIEWER)).encode()
    url = f"ws://{tree.god.web.host}:{tree.god.web.port}/api/v1/ws"
    seen: list[dict[str, Any]] = []
    async with open_websocket_url(url, extra_headers=[(b"X-API-Key", key)]) as socket:
        import json

        topics = ["esp_ownership_changed", "esp_transfer_ended", "command_chain", "kaiser_status"]
        await socket.send_message(json.dumps({"action": "subscribe", "filters": {"types": topics}}))
        await tree.moved(ESP, "kaiser_1")
        tree.post.away.add("kaiser_1")
        with trio.fail_after(20):
            while not seen or seen[-1]["type"] != "kaiser_status":
                seen.append(json.loads(await socket.get_message()))
    steps = [one["data"]["step"] for one in seen if one["type"] == "command_chain"]
    assert steps[:5] == ["prepare", "revoke", "grant", "adopt", "done"]
    (changed, *_) = [one["data"] for one in seen if one["type"] == "esp_ownership_changed"]
    assert (changed["esp_id"], changed["owner"], changed["previous_owner"]) == (ESP, "kaiser_1", "god")
    (ended,) = [one["data"] for one in seen if one["type"] == "esp_transfer_ended"]
    assert (ended["esp_id"], ended["status"]) == (ESP, "done")
    assert (seen[-1]["data"]["kaiser_id"], seen[-1]["data"]["status"]) == ("kaiser_1", "offline")


async def test_the_tree_has_figures_for_prometheus(tree: Tree) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    one = await tree.new_kaiser("kaiser_1")
    await tree.god.new_esp()
    await tree.moved(ESP, "kaiser_1")

    async def figures(pi: Any) -> dict[str, dict[tuple[str, ...], float]]:
        async with pi.connect(pi.web, pi.key) as client:
            text = (await client.ask("GET", "/metrics")).body.decode()
        return {
            family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
            for family in text_string_to_metric_families(text)
        }

    god = await figures(tree.god)
    assert god["growy_tree_kaisers"] == {("online",): 1}
    assert god["growy_tree_owned_devices"] == {("kaiser_1",): 1}
    assert god["growy_tree_transfer_seconds"][()] > 0
    kaiser = await figures(one)
    assert kaiser["growy_tree_holdings"] == {(): 1}
    assert 0 < kaiser["growy_tree_shortest_lease_seconds"][()] <= 4
    assert kaiser["growy_tree_god_heard"] == {(): 1}


async def test_a_stop_waits_for_no_disk(tree: Tree) -> None:
    one = await tree.new_kaiser("kaiser_1")
    here, there = await tree.god.new_esp(), await one.new_esp("ESP_77EE66FF")
    await until(lambda: one.node.tenure("ESP_77EE66FF") == "ours")
    for pi, esp in ((tree.god, here), (one, there)):
        await pi.actuator(esp_id=esp.esp_id)
        await pi.post(f"/api/v1/actuators/{esp.esp_id}/18/command", {"command": "ON"})
    await until(lambda: here.outputs.on(18) and there.outputs.on(18))

    holder = apsw.Connection(str(tree.folder / "god" / "growy.db"))
    holder.execute("BEGIN IMMEDIATE")  # nothing else can be written to it
    try:
        with trio.fail_after(8):
            said = await tree.god.post("/api/god/emergency_stop?wait=5", {"reason": "flood"})
            await until(lambda: not here.outputs.on(18) and not there.outputs.on(18))
    finally:
        holder.close()
    assert {node["node"]: node["proven"] for node in said["nodes"]} == {"god": True, "kaiser_1": True}


async def test_what_the_disk_does_not_take_is_not_said_to_be_done(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("growy.hierarchy.node.SETTLE_S", 0.3)
    holder = apsw.Connection(str(tree.folder / "god" / "growy.db"))
    holder.execute("BEGIN IMMEDIATE")
    try:
        said = await tree.god.post(ADD, {"kaiser_id": "kaiser_1"}, status=503)
    finally:
        holder.close()
    assert said["error"]["code"] == "STORE_UNAVAILABLE"
    assert "may not be done" in said["detail"]
