"""All devices: answered first, taken in at a bounded pace, remembered over a restart."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest
from fleet_rig import WALL_MS

from growy.config import StoreConfig
from growy.fleet.device import Device, DeviceStatus
from growy.fleet.fleet import Fleet
from growy.fleet.journal import FleetJournal, read_known
from growy.fleet.limiter import TokenBucket
from growy.fleet.machine import OFFLINE_AFTER_S
from growy.fleet.registry import MAX_DEVICES
from growy.model.setup import SensorSetup
from growy.store.devices import DeviceRow
from growy.store.store import open_store
from growy.wire.decode import decode
from growy.wire.topics import parse_topic

ESP = "ESP_00AA01"
HEARTBEAT: dict[str, object] = {
    "ts": 0, "uptime": 100, "heap_free": 118_244, "wifi_rssi": -58, "sensor_count": 0, "actuator_count": 0,
    "zone_id": "bench", "wifi_ip": "192.168.4.23", "active_handover_epoch": 0,
}  # fmt: skip


@attrs.define
class Heard:
    """What a fleet says and tells."""

    published: list[tuple[str, bytes, bool]] = attrs.Factory(list)
    told: list[tuple[str, object]] = attrs.Factory(list)
    said_online: int = 0
    room: bool = True
    now_s: float = 1000.0

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        if self.room:
            self.published.append((topic, payload, retain))
        return self.room

    def say_online(self) -> None:
        self.said_online += 1

    def fleet(
        self,
        *,
        auto_approve: bool = True,
        known: tuple[Device, ...] = (),
        discovery: TokenBucket | None = None,
    ) -> Fleet:
        return Fleet(
            auto_approve=auto_approve,
            send=self.send,
            say_online=self.say_online,
            tell=lambda event, data, _: self.told.append((event, data)),
            discovery=discovery,
            known=known,
            clock=lambda: self.now_s,
            wall_ms=lambda: WALL_MS + int(self.now_s * 1000),
        )

    def acks(self, esp_id: str = ESP) -> list[dict[str, object]]:
        return [
            json.loads(payload)
            for topic, payload, _ in self.published
            if topic == f"kaiser/god/esp/{esp_id}/system/heartbeat/ack"
        ]


def hear(fleet: Fleet, tail: str, payload: dict[str, object], now: int = WALL_MS, esp: str = ESP) -> None:
    topic = parse_topic(f"kaiser/god/esp/{esp}/{tail}")
    fleet.handle(topic, decode(topic, json.dumps(payload).encode()), now)


@pytest.mark.parametrize(("approve", "word"), [(True, "approved"), (False, "pending_approval")])
def test_a_first_heartbeat_is_answered_and_makes_the_device_known(approve: bool, word: str) -> None:
    heard = Heard()
    fleet = heard.fleet(auto_approve=approve)
    hear(fleet, "system/heartbeat", HEARTBEAT)

    assert heard.acks() == [
        {"status": word, "handover_epoch": 1, "server_time": WALL_MS // 1000, "config_available": False}
    ]
    (device,) = fleet.devices()
    assert (device.zone_id, device.ip, device.heap_free, device.uptime) == (
        "bench",
        "192.168.4.23",
        118_244,
        100,
    )
    assert heard.told[0][0] == "device_discovered"


def test_the_epoch_is_echoed_never_invented() -> None:
    heard = Heard()
    fleet = heard.fleet()
    for epoch in (0, 3, 4, 0):
        hear(fleet, "system/heartbeat", {**HEARTBEAT, "active_handover_epoch": epoch})
    assert [ack["handover_epoch"] for ack in heard.acks()] == [1, 3, 4, 1]


def test_a_device_is_answered_even_where_it_is_not_taken_in_yet() -> None:
    heard = Heard()
    fleet = heard.fleet(discovery=TokenBucket(2, 10 / 60))
    for number in range(5):
        hear(fleet, "system/heartbeat", HEARTBEAT, esp=f"ESP_00AA0{number}")
    assert len(fleet.devices()) == 2
    assert [ack["status"] for ack in heard.acks("ESP_00AA04")] == ["unchanged"]
    assert fleet.statistics().refused_devices == 3
    assert fleet.statistics().acknowledged == 5
    heard.now_s += 6
    hear(fleet, "system/heartbeat", HEARTBEAT, esp="ESP_00AA04")
    assert len(fleet.devices()) == 3


def test_an_answer_that_found_no_room_is_not_counted_as_given() -> None:
    heard = Heard(room=False)
    fleet = heard.fleet()
    hear(fleet, "system/heartbeat", HEARTBEAT)
    assert (fleet.statistics().acknowledged, fleet.statistics().unacknowledged) == (0, 1)


def test_company_is_kept_by_the_tick() -> None:
    heard = Heard()
    fleet = heard.fleet()
    hear(fleet, "system/heartbeat", HEARTBEAT)
    for _ in range(61):
        heard.now_s += 1
        fleet.tick()
    assert len(heard.acks()) == 1 + 2
    assert fleet.statistics().kept_company == 2


@pytest.mark.parametrize("jump_ms", [-3_600_000, 3_600_000])
def test_a_jump_of_the_clock_of_the_pi_changes_nobodys_presence(jump_ms: int) -> None:
    heard = Heard()
    fleet = heard.fleet()
    hear(fleet, "system/heartbeat", HEARTBEAT)
    hear(fleet, "system/heartbeat", HEARTBEAT, WALL_MS + jump_ms)
    fleet.tick()
    assert fleet.devices()[0].online
    heard.now_s += OFFLINE_AFTER_S + 1
    fleet.tick()
    assert not fleet.devices()[0].online


def test_a_will_of_a_device_that_nobody_knows_makes_none() -> None:
    fleet = Heard().fleet()
    hear(fleet, "system/will", {"status": "offline", "reason": "unexpected_disconnect", "timestamp": 0})
    assert fleet.devices() == []


def test_a_kept_will_is_cleared_on_the_broker_when_the_device_is_back() -> None:
    heard = Heard()
    fleet = heard.fleet()
    hear(fleet, "system/heartbeat", HEARTBEAT)
    hear(fleet, "system/will", {"status": "offline", "reason": "unexpected_disconnect", "timestamp": 0})
    hear(fleet, "system/heartbeat", HEARTBEAT)
    assert (f"kaiser/god/esp/{ESP}/system/will", b"", True) in heard.published


def test_devices_that_hear_nobody_make_growyd_say_online_again_but_not_each_by_itself() -> None:
    heard = Heard()
    fleet = heard.fleet()
    for uptime in (60, 65, 70):
        for number in range(9):
            esp = f"ESP_00AA0{number}"
            hear(fleet, "system/heartbeat", {**HEARTBEAT, "uptime": uptime}, esp=esp)
        heard.now_s += 5
    assert heard.said_online == 1


def test_invented_devices_do_not_fill_the_memory() -> None:
    fleet = Heard().fleet()
    for number in range(MAX_DEVICES + 5):
        fleet.seen(parse_topic(f"kaiser/god/esp/ESP_{number:06X}/system/heartbeat"), WALL_MS)
    assert fleet.statistics().devices == MAX_DEVICES
    assert fleet.statistics().refused_devices == 5


async def test_a_fleet_that_comes_back_at_once_is_configured_at_a_bounded_pace() -> None:
    heard = Heard()
    fleet = heard.fleet()
    for number in range(100):
        hear(fleet, "system/heartbeat", HEARTBEAT, esp=f"ESP_00AB{number:02X}")
    for device in fleet.devices():
        await fleet.set_sensor(device.esp_id, SensorSetup(id="1", gpio=34, sensor_type="ph", name="pH"))
    sent = []
    for _ in range(8):
        heard.now_s += 1
        fleet.tick()
        sent.append(fleet.statistics().transmissions)
    assert sent == [0, 0, 20, 40, 60, 80, 100, 100]


async def test_a_restart_knows_devices_and_setups_and_calls_them_offline_until_heard(tmp_path: Path) -> None:
    heard = Heard()
    fleet = heard.fleet()
    hear(fleet, "system/heartbeat", {**HEARTBEAT, "active_handover_epoch": 4})
    await fleet.set_sensor(ESP, SensorSetup(id="1", gpio=34, sensor_type="ph", name="pH"))
    async with open_store(StoreConfig(), tmp_path) as store:
        await FleetJournal(fleet, store).write()
        known = read_known(await store.device_rows())

    again = Heard().fleet(auto_approve=False, known=tuple(known))
    (device,) = again.devices()
    assert (device.approved, device.online, device.zone_id, device.record.epoch) == (True, False, "bench", 4)
    assert device.status is DeviceStatus.OFFLINE
    assert device.uptime == 100
    assert [sensor.name for sensor in device.record.sensors] == ["pH"]


async def test_a_setup_that_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    heard = Heard()
    fleet = heard.fleet()
    hear(fleet, "system/heartbeat", HEARTBEAT)
    async with open_store(StoreConfig(), tmp_path) as store:
        journal = FleetJournal(fleet, store)
        await journal.write()
        await store.upsert_devices([DeviceRow(ESP, "{}", 0, 0, '{"name":"written by another hand"}')])
        fleet.mark_dirty(fleet.devices())
        await journal.write()
        (row,) = await store.device_rows()
    assert row.setup is not None
    assert "another hand" in row.setup
    assert "zone_id" in row.record


def test_devices_written_before_setups_existed_keep_their_approval() -> None:
    (device,) = read_known([DeviceRow(ESP, '{"approved":true,"zone_id":"z","reboots":3}', 1, 2)])
    assert (device.approved, device.zone_id, device.first_seen_ms) == (True, "z", 1)


def test_a_damaged_record_costs_the_others_nothing() -> None:
    known = read_known([DeviceRow(ESP, "{", 1, 2), DeviceRow("ESP_00AA02", "{}", 1, 2, "{}")])
    assert [device.esp_id for device in known] == ["ESP_00AA02"]
