"""`/api/v1/kaiser` at God: the registry and what it has Kaisers do. On a Kaiser: what it knows itself, and whom to ask
for the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rig.tree import ESP, GOD_ID, Tree, open_tree, until

KAISERS = "/api/v1/kaiser"
ONE = f"{KAISERS}/kaiser_1"
OTHER = "ESP_77EE66FF"


@pytest.fixture
async def tree(tmp_path: Path, connect: Any) -> AsyncIterator[Tree]:
    async with open_tree(tmp_path, connect) as tree:
        yield tree


async def test_a_kaiser_is_entered_bound_by_its_first_report_and_listed(tree: Tree) -> None:
    body = {
        "kaiser_id": "kaiser_1",
        "zone_ids": ["tent"],
        "capabilities": {"gpu": False},
        "ip_address": "10.0.0.7",
    }
    made = await tree.god.post(KAISERS, body, status=201)
    assert (made["kaiser_id"], made["status"], made["registered"]) == ("kaiser_1", "added", False)
    assert made["capabilities"] == {"gpu": False, "ip_address": "10.0.0.7"}
    assert (await tree.god.post(KAISERS, body, status=409))["error"]["code"] == "DUPLICATE"

    kaiser = await tree.new_kaiser("kaiser_1", heard=False)
    await until(lambda: tree.status("kaiser_1") == "online")
    for path in (KAISERS, f"{KAISERS}/nodes"):
        said = await tree.god.get(path)
        assert (said["total_count"], said["complete"]) == (1, True)
        (one,) = said["data"]
        assert (one["kaiser_id"], one["status"], one["zone_ids"]) == ("kaiser_1", "online", ["tent"])
        assert one["last_seen"].startswith("20")
        assert one["instance"] == kaiser.node.core.identity.instance  # type: ignore[union-attr]


async def test_a_kaiser_is_shown_with_its_devices(tree: Tree) -> None:
    await tree.new_kaiser("kaiser_1")
    await tree.god.new_esp()
    assert (await tree.god.post(f"{ONE}/assign_esp?wait=20", {"esp_id": ESP}))["status"] == "done"
    said = await tree.god.get(ONE)
    assert [one["esp_id"] for one in said["esps"]] == [ESP]
    assert set(said["kaiser_metadata"]) == {"name", "version", "instance"}
    assert (await tree.god.get(f"{KAISERS}/nobody", status=404))["error"]["code"] == "KAISER_NOT_FOUND"
    for name in ("god", GOD_ID):
        assert (await tree.god.get(f"{KAISERS}/{name}"))["total_kaisers"] == 1


async def test_devices_of_a_node_are_shown_by_zone(tree: Tree) -> None:
    await tree.new_kaiser("kaiser_1")
    for esp_id in (ESP, OTHER):
        await tree.god.new_esp(esp_id)
    await tree.god.post("/api/v1/zones", {"zone_id": "tent", "name": "Tent"}, status=201)
    await tree.god.call("PATCH", f"/api/v1/esp/devices/{ESP}", {"zone_id": "tent"})
    said = await tree.god.get(f"{KAISERS}/god/hierarchy")
    assert (said["total_devices"], said["total_zones"], said["status"]) == (2, 1, "online")
    assert [one["device_id"] for one in said["zones"][0]["devices"]] == [ESP]
    assert [one["device_id"] for one in said["unassigned_devices"]] == [OTHER]
    await tree.moved(ESP, "kaiser_1")
    moved = await tree.god.get(f"{ONE}/hierarchy")
    assert [(zone["zone_id"], len(zone["devices"])) for zone in moved["zones"]] == [("tent", 1)]
    assert (await tree.god.get(f"{KAISERS}/god/hierarchy"))["total_devices"] == 1


async def test_assign_kaiser_is_a_transfer(tree: Tree) -> None:
    await tree.new_kaiser("kaiser_1")
    await tree.god.new_esp()
    path = f"/api/v1/esp/devices/{ESP}/assign_kaiser"
    same = await tree.god.post(path, {"kaiser_id": "god"})
    assert (same["success"], same["kaiser_id"], same["previous_kaiser_id"]) == (True, "god", "god")
    done = await tree.god.post(f"{path}?wait=20", {"kaiser_id": "kaiser_1"})
    assert (done["device_id"], done["kaiser_id"], done["previous_kaiser_id"]) == (ESP, "kaiser_1", "god")
    assert (done["success"], done["status"]) == (True, "done")
    device = await tree.god.get(f"/api/v1/esp/devices/{ESP}")
    assert (device["kaiser_id"], device["topic_kaiser_id"]) == ("kaiser_1", "god")
    assert (await tree.god.get("/api/v1/esp/devices?kaiser_id=kaiser_1"))["data"][0]["device_id"] == ESP
    assert (await tree.god.post(path, {"kaiser_id": "kaiser_9"}, status=404))["error"]["code"] == (
        "KAISER_NOT_FOUND"
    )
    nobody = await tree.god.post(path.replace(ESP, OTHER), {"kaiser_id": "kaiser_1"}, status=404)
    assert nobody["error"]["code"] == "ESP_NOT_FOUND"


async def test_god_itself_commands_no_device_that_it_has_given_away(tree: Tree) -> None:
    await tree.new_kaiser("kaiser_1")
    esp = await tree.god.new_esp()
    await tree.god.actuator()
    await tree.moved(ESP, "kaiser_1")
    said = await tree.god.post(f"/api/v1/actuators/{ESP}/18/command", {"command": "ON"}, status=409)
    assert "kaiser_1" in said["detail"]
    assert not esp.outputs.on(18)


async def test_an_unregistered_kaiser_gives_its_devices_back_first(tree: Tree) -> None:
    await tree.new_kaiser("kaiser_1")
    await tree.god.new_esp()
    await tree.moved(ESP, "kaiser_1")
    said = await tree.god.delete(f"{ONE}?wait=20")
    assert (said["removed"], said["reassigned"], said["left"]) == (True, [ESP], [])
    assert tree.gods.owner(ESP) == "god"
    await tree.god.get(ONE, status=404)
    assert (await tree.god.delete(ONE, status=404))["error"]["code"] == "KAISER_NOT_FOUND"
    (entry,) = await tree.god.audited("kaiser_leaving")
    assert entry.details["by"] == "key:tests"


async def test_the_second_node_of_one_name_is_refused_and_both_sides_show_it(tree: Tree) -> None:
    first = await tree.new_kaiser("kaiser_1")
    second = await tree.new_kaiser("kaiser_1", folder="clone", heard=False)
    tree.post.nodes["kaiser_1"] = first.node
    tree.post.nodes["clone"] = second.node
    await until(lambda: second.node.god().refusal is not None)  # type: ignore[union-attr]
    shown = await tree.god.get(ONE)
    assert shown["refused"]["reason"] == "duplicate_kaiser"
    assert shown["refused"]["instance"] == second.node.core.identity.instance  # type: ignore[union-attr]
    assert (shown["status"], shown["instance"]) == (
        "online",
        first.node.core.identity.instance,  # type: ignore[union-attr]
    )
    theirs = await second.get(ONE)
    assert (theirs["status"], theirs["god"]["refusal"]) == ("refused", "duplicate_kaiser")


async def test_a_name_is_freed_only_when_its_installation_is_gone(tree: Tree) -> None:
    kaiser = await tree.new_kaiser("kaiser_1")
    body = {"kaiser_id": "kaiser_1", "replace": True}
    told = await tree.god.post(f"{KAISERS}/register", {"kaiser_id": "kaiser_1"}, status=409)
    assert "replace" in told["detail"]
    said = await tree.god.post(f"{KAISERS}/register", body, status=409)
    assert "Switch it off" in said["detail"]
    bound = {"kaiser_id": "kaiser_1", "instance": "another"}
    assert (await tree.god.post(f"{KAISERS}/register", bound, status=409))["error"]["code"] == "DUPLICATE"

    tree.post.away.add("kaiser_1")
    await until(lambda: tree.status("kaiser_1") == "offline", 20)
    freed = await tree.god.post(f"{KAISERS}/register", body)
    assert (freed["registered"], freed["certificate"]) == (False, None)
    del tree.post.nodes["kaiser_1"]
    tree.post.away.clear()
    tree.post.away.add("old")
    assert kaiser.node.core.identity.instance  # type: ignore[union-attr]
    entries = await tree.god.audited("kaiser_registered")
    assert [one.details["by"] for one in entries] == ["key:tests"]


async def test_a_new_name_is_registered_with_its_installation(tree: Tree) -> None:
    body = {"kaiser_id": "kaiser_1", "instance": "0a1b", "name": "Tent", "max_esps": 3}
    made = await tree.god.post(f"{KAISERS}/register", body, status=201)
    assert (made["registered"], made["instance"], made["max_esps"]) == (True, "0a1b", 3)
    again = await tree.god.post(f"{KAISERS}/register", {**body, "name": "Cellar"})
    assert (again["name"], again["instance"]) == ("Cellar", "0a1b")


async def test_zones_of_a_kaiser_are_written_and_its_configuration_is_asked_for(tree: Tree) -> None:
    await tree.new_kaiser("kaiser_1", name="Tent")
    said = await tree.god.put(f"{ONE}/zones", {"zone_ids": ["a", "b"]})
    assert (said["zone_ids"], said["name"]) == (["a", "b"], "Tent")
    done = await tree.god.post(f"{ONE}/sync_config?wait=10")
    assert (done["command_type"], done["status"], done["response_data"]["esps"]) == (
        "sync_config",
        "done",
        [],
    )
    assert (await tree.god.post(f"{KAISERS}/kaiser_9/sync_config", status=404))["error"]["code"] == (
        "KAISER_NOT_FOUND"
    )


async def test_one_node_is_stopped_and_the_others_go_on(tree: Tree) -> None:
    one = await tree.new_kaiser("kaiser_1")
    said = await tree.god.post(f"{ONE}/emergency_stop?wait=10", {"reason": "smoke"})
    assert [(node["node"], node["proven"]) for node in said["nodes"]] == [("kaiser_1", True)]
    assert [len(pi.control.stops()) for pi in (tree.god, one)] == [0, 1]
    own = await tree.god.post(f"{KAISERS}/god/emergency_stop?wait=10", {"reason": "smoke"})
    assert [node["node"] for node in own["nodes"]] == ["god"]
    assert (await tree.god.post(f"{KAISERS}/k/emergency_stop", {"reason": "x"}, status=404))["error"][
        "code"
    ] == ("KAISER_NOT_FOUND")


# -- on a Kaiser


async def test_a_kaiser_tells_what_it_knows_itself(tree: Tree) -> None:
    one = await tree.new_kaiser("kaiser_1")
    await one.new_esp()
    await until(lambda: one.node.tenure(ESP) == "ours")
    for path in (ONE, f"{ONE}/hierarchy"):
        assert (await one.get(path))["status"] == "online"
    said = await one.get(ONE)
    assert (said["god"]["id"], said["god"]["heard"], said["god"]["refusal"]) == (GOD_ID, True, None)
    assert said["god"]["instance"] == tree.gods.instance
    (esp,) = said["esps"]
    assert (esp["esp_id"], esp["owner"], esp["home"], esp["tenure"]) == (ESP, "kaiser_1", "kaiser_1", "ours")
    assert 0 < esp["lease_left_s"] <= 4
    listed = await one.get(KAISERS)
    assert ([node["kaiser_id"] for node in listed["data"]], listed["complete"]) == (["kaiser_1"], False)
    whole = await one.get("/api/god/hierarchy")
    assert (whole["complete"], whole["god"]["id"], whole["god"]["total_esps"]) == (False, GOD_ID, None)
    assert [node["id"] for node in whole["kaisers"]] == ["kaiser_1"]


async def test_a_kaiser_that_is_cut_off_says_until_when_and_then_that_it_has_nothing(tree: Tree) -> None:
    one = await tree.new_kaiser("kaiser_1")
    await one.new_esp()
    await until(lambda: one.node.tenure(ESP) == "ours")
    tree.post.away.add("kaiser_1")
    await until(lambda: one.node.tenure(ESP) == "fenced", 20)
    await until(lambda: one.node.holdings()[0].lease_left_s is None, 5)  # type: ignore[union-attr]
    said = await one.get(ONE)
    assert (said["status"], said["god"]["heard"], said["esps"][0]["lease_left_s"]) == ("offline", False, None)


async def test_a_kaiser_stops_itself_whether_or_not_its_god_is_there(tree: Tree) -> None:
    one = await tree.new_kaiser("kaiser_1")
    await one.new_esp()
    await until(lambda: one.node.tenure(ESP) == "ours")
    tree.post.away.add("god")
    said = await one.post(f"{ONE}/emergency_stop?wait=10", {"reason": "smoke"})
    assert (said["proven"], said["nodes"][0]["node"], said["nodes"][0]["devices"][0]["esp_id"]) == (
        True,
        "kaiser_1",
        ESP,
    )
    again = await one.get(f"/api/god/emergency_stop/{said['incident']}")
    assert again["proven"]
    await one.get("/api/god/emergency_stop/none", status=404)
    everything = await one.post("/api/god/emergency_stop", {"reason": "smoke"}, status=409)
    assert "`growyd stop`" in everything["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/god/kaiser/add", {"kaiser_id": "kaiser_2"}),
        ("POST", "/api/god/esp/transfer", {"esp_id": ESP, "to_owner": "god"}),
        ("GET", "/api/god/command-chains", None),
        ("GET", "/api/god/command-chain/x", None),
        ("POST", "/api/god/command-chain/x/cancel", {}),
        ("POST", "/api/god/command-chain/x/approve", {}),
        ("GET", "/api/god/performance/stats", None),
        ("POST", "/api/god/emergency_stop", {"reason": "x"}),
        ("POST", KAISERS, {"kaiser_id": "kaiser_2"}),
        ("POST", f"{KAISERS}/register", {"kaiser_id": "kaiser_2"}),
        ("GET", f"{KAISERS}/kaiser_2", None),
        ("GET", f"{KAISERS}/god", None),
        ("DELETE", ONE, None),
        ("PUT", f"{ONE}/zones", {"zone_ids": []}),
        ("POST", f"{ONE}/assign_esp", {"esp_id": ESP}),
        ("POST", f"{ONE}/sync_config", {}),
        ("POST", f"{KAISERS}/kaiser_2/emergency_stop", {"reason": "x"}),
        ("POST", f"/api/v1/esp/devices/{ESP}/assign_kaiser", {"kaiser_id": "god"}),
    ],
)
async def test_a_kaiser_names_its_god_for_everything_else(
    tree: Tree, method: str, path: str, body: object
) -> None:
    one = await tree.new_kaiser("kaiser_1")
    await until(lambda: one.node.god().heard)  # type: ignore[union-attr]
    said = await one.call(method, path, body, 409)
    assert said["error"]["code"] == "NOT_GOD"
    assert f"Ask your God {GOD_ID} at mqtt://god.local:1883" in said["detail"]
    assert said["error"]["details"]["god_heard"] is True
