"""Zones over HTTP: the registry, and devices that are put into them and say so."""

from __future__ import annotations

from typing import Any

import pytest
from rig.esp import T0

from growy.model.reading import NO_SEQ, Bus, Columns, Quality, SeriesKey
from growy.model.setup import ActuatorKind, ActuatorSetup, SubzoneSetup

ESP = "ESP_12AB34CD"
ZONES = "/api/v1/zones"
PLACE = f"/api/v1/zone/devices/{ESP}"


async def test_a_zone_is_made_shown_changed_and_deleted(clock: Any, greenhouse: Any) -> None:
    body = {"zone_id": "tent", "name": "The tent", "description": "left", "master_zone_id": "hall"}
    made = await greenhouse.post(ZONES, body, status=201)
    assert {name: made[name] for name in body} == body
    assert (made["status"], made["registered"], made["device_count"]) == ("active", True, 0)
    said = await greenhouse.patch(f"{ZONES}/tent", {"name": "The big tent"})
    assert (said["name"], said["zone_name"], said["description"]) == ("The big tent", "The big tent", "left")
    listed = await greenhouse.get(ZONES)
    assert (listed["total"], listed["zones"][0]["name"]) == (1, "The big tent")
    assert await greenhouse.get("/api/v1/zone/zones") == listed
    assert (await greenhouse.delete(f"{ZONES}/tent"))["zone_id"] == "tent"
    assert (await greenhouse.get(f"{ZONES}/tent", status=404))["error"]["code"] == "ZONE_NOT_FOUND"


async def test_a_zone_has_one_entry(clock: Any, greenhouse: Any) -> None:
    await greenhouse.post(ZONES, {"zone_id": "tent"}, status=201)
    assert (await greenhouse.post(ZONES, {"zone_id": "tent"}, status=409))["error"]["code"] == "DUPLICATE"


@pytest.mark.parametrize(
    "body", [None, {"zone_id": "a b"}, {"zone_id": "x" * 33}, {"zone_id": "tent", "name": 'the "best"'}]
)
async def test_a_zone_that_no_device_would_take_is_refused(clock: Any, greenhouse: Any, body: Any) -> None:
    await greenhouse.post(ZONES, body, status=400)
    assert (await greenhouse.get(ZONES))["total"] == 0


async def test_an_archived_zone_takes_no_devices(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    await greenhouse.post(ZONES, {"zone_id": "tent"}, status=201)
    assert (await greenhouse.post(f"{ZONES}/tent/archive"))["status"] == "archived"
    assert (await greenhouse.get(f"{ZONES}?status=active"))["zones"] == []
    assert (await greenhouse.get(f"{ZONES}?status=archived"))["total"] == 1
    said = await greenhouse.post(f"{PLACE}/assign", {"zone_id": "tent"}, status=409)
    assert said["error"]["code"] == "ZONE_ARCHIVED"
    assert greenhouse.air.to(ESP, "zone/assign") == []
    assert (await greenhouse.post(f"{ZONES}/tent/reactivate"))["status"] == "active"
    await greenhouse.post(f"{PLACE}/assign", {"zone_id": "tent"})


async def test_a_device_is_assigned_and_has_confirmed_it(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    said = await greenhouse.post(f"{PLACE}/assign", {"zone_id": "tent", "zone_name": "The tent"})
    assert (said["mqtt_sent"], said["ack_received"], said["warning"]) == (True, True, None)
    assert (said["zone_id"], said["zone_name"], said["config_status"]) == ("tent", "The tent", "applied")
    (told,) = greenhouse.air.to(ESP, "zone/assign")
    assert (told["zone_id"], told["zone_name"], told["master_zone_id"]) == ("tent", "The tent", "")
    place = await greenhouse.get(PLACE)
    assert (place["zone_id"], place["reported_zone_id"]) == ("tent", "tent")
    zone = await greenhouse.get(f"{ZONES}/tent")
    assert (zone["name"], zone["registered"], zone["devices"]) == ("The tent", True, [ESP])


async def test_what_the_registry_knows_need_not_be_said_again(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    zone = {"zone_id": "tent", "name": "The tent", "master_zone_id": "hall"}
    await greenhouse.post(ZONES, zone, status=201)
    await greenhouse.post(f"{PLACE}/assign", {"zone_id": "tent"})
    (told,) = greenhouse.air.to(ESP, "zone/assign")
    assert (told["zone_name"], told["master_zone_id"]) == ("The tent", "hall")


async def test_a_device_that_is_away_is_told_when_it_comes_back(clock: Any, greenhouse: Any) -> None:
    esp = await greenhouse.new_esp(zone_id="hall")
    esp.vanish()
    said = await greenhouse.post(f"{PLACE}/assign", {"zone_id": "tent"})
    assert (said["mqtt_sent"], said["ack_received"], said["config_status"]) == (False, False, "pending")
    assert "offline" in said["warning"]
    assert greenhouse.air.to(ESP, "zone/assign") == []
    place = await greenhouse.get(PLACE)
    assert (place["zone_id"], place["reported_zone_id"]) == ("tent", "hall")
    # It counts where it shall be and where it still is: neither zone can be taken from under it.
    for zone_id in ("tent", "hall"):
        refused = await greenhouse.delete(f"{ZONES}/{zone_id}", status=409)
        assert refused["error"]["details"]["devices"] == [ESP]

    esp.reappear()
    await greenhouse.settled("zone")
    assert (await greenhouse.get(PLACE))["reported_zone_id"] == "tent"


async def test_a_device_that_says_nothing_is_not_said_to_have_confirmed(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(mute=True)
    said = await greenhouse.post(f"{PLACE}/assign", {"zone_id": "tent"})
    assert (said["mqtt_sent"], said["ack_received"]) == (True, False)
    assert "not confirmed" in said["warning"]


async def test_a_device_that_refuses_a_zone_is_quoted(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(refuses={"zone/assign": {"message": "Zone validation failed"}})
    said = await greenhouse.post(f"{PLACE}/assign", {"zone_id": "tent"})
    assert (said["ack_received"], said["config_status"]) == (True, "failed")
    assert said["config_error"] == "Zone validation failed"
    assert "Zone validation failed" in said["warning"]


async def test_a_device_is_taken_out_of_its_zone(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp()
    await greenhouse.post(f"{PLACE}/assign", {"zone_id": "tent"})
    assert (await greenhouse.get("/api/v1/zone/unassigned"))["count"] == 0
    said = await greenhouse.delete(f"{PLACE}/zone")
    assert (said["zone_id"], said["ack_received"]) == (None, True)
    assert greenhouse.air.to(ESP, "zone/assign")[-1]["zone_id"] == ""
    unassigned = await greenhouse.get("/api/v1/zone/unassigned")
    assert [one["device_id"] for one in unassigned["devices"]] == [ESP]
    await greenhouse.delete(f"{ZONES}/tent")


@pytest.mark.parametrize("zone_id", ["", "a b", "ü"])
async def test_a_device_is_not_put_into_what_is_no_zone(clock: Any, greenhouse: Any, zone_id: str) -> None:
    await greenhouse.new_esp()
    await greenhouse.post(f"{PLACE}/assign", {"zone_id": zone_id}, status=400)
    assert (await greenhouse.get(ZONES))["total"] == 0


async def test_a_device_that_waits_for_approval_is_not_assigned(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(approved=False)
    said = await greenhouse.post(f"{PLACE}/assign", {"zone_id": "tent"}, status=403)
    assert said["error"]["code"] == "DEVICE_NOT_APPROVED"
    assert (await greenhouse.get(ZONES))["total"] == 0


async def test_a_zone_that_only_devices_speak_of_is_shown_and_registered_by_its_first_change(
    clock: Any, greenhouse: Any
) -> None:
    await greenhouse.new_esp(zone_id="old_tent")
    (zone,) = (await greenhouse.get(ZONES))["zones"]
    assert (zone["zone_id"], zone["registered"], zone["device_count"]) == ("old_tent", False, 1)
    there = await greenhouse.get("/api/v1/zone/old_tent/devices")
    assert (there["count"], there["devices"][0]["device_id"]) == (1, ESP)
    said = await greenhouse.patch(f"{ZONES}/old_tent", {"description": "found it"})
    assert (said["registered"], said["name"], said["description"]) == (True, "old_tent", "found it")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{ZONES}/nowhere"),
        ("PATCH", f"{ZONES}/nowhere"),
        ("DELETE", f"{ZONES}/nowhere"),
        ("POST", f"{ZONES}/nowhere/archive"),
        ("POST", f"{ZONES}/nowhere/reactivate"),
        ("GET", "/api/v1/zone/nowhere/devices"),
        ("GET", "/api/v1/zone/nowhere/monitor-data"),
    ],
)
async def test_a_zone_that_nobody_speaks_of_is_not_found(
    clock: Any, greenhouse: Any, method: str, path: str
) -> None:
    assert (await greenhouse.call(method, path, None, 404))["error"]["code"] == "ZONE_NOT_FOUND"


@pytest.mark.parametrize(("method", "tail"), [("POST", "/assign"), ("DELETE", "/zone"), ("GET", "")])
async def test_a_device_that_nobody_knows_has_no_place(
    clock: Any, greenhouse: Any, method: str, tail: str
) -> None:
    body = {"zone_id": "tent"} if method == "POST" else None
    assert (await greenhouse.call(method, PLACE + tail, body, 404))["error"]["code"] == "ESP_NOT_FOUND"
    assert (await greenhouse.get(ZONES))["total"] == 0


async def test_what_is_measured_in_a_zone_stands_in_its_subzones(clock: Any, greenhouse: Any) -> None:
    await greenhouse.new_esp(zone_id="tent")
    fleet, store = greenhouse.house.fleet, greenhouse.house.store
    bench = SubzoneSetup(subzone_id="bench_a", name="Bench A", gpios=(18,))
    await fleet.set_subzone(ESP, bench)
    await greenhouse.sensor(subzone_id="bench_a", name="Bed")
    await greenhouse.sensor(id="lone", gpio=33, name="Corner")
    pump = ActuatorSetup(id="p1", gpio=18, kind=ActuatorKind.PUMP, name="Pump")
    await fleet.set_actuator(ESP, pump)
    series = store.catalog.intern(SeriesKey(ESP, Bus.GPIO, "32", "moisture"), 32, "%", T0)
    good = [int(Quality.GOOD)]
    store.tail.append(Columns.of([series], [T0], [T0], [2000.0], [61.5], good, [NO_SEQ], [0], [0]))

    said = await greenhouse.get("/api/v1/zone/tent/monitor-data")
    assert (said["zone_id"], said["sensor_count"], said["actuator_count"]) == ("tent", 2, 1)
    bench_a, nowhere = said["subzones"]
    assert (bench_a["subzone_id"], bench_a["subzone_name"]) == ("bench_a", "Bench A")
    (bed,) = bench_a["sensors"]
    assert (bed["name"], bed["raw_value"], bed["raw"], bed["unit"]) == ("Bed", 61.5, 2000.0, "%")
    assert bed["quality"] == "good"
    (actuator,) = bench_a["actuators"]
    assert (actuator["name"], actuator["gpio"], actuator["state"]) == ("Pump", 18, None)
    assert nowhere["subzone_id"] is None
    (corner,) = nowhere["sensors"]
    assert (corner["name"], corner["raw_value"], corner["last_read"]) == ("Corner", None, None)
