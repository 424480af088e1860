"""Known devices: answered first, then remembered; gone when they say so or fall silent."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

from growy.config import StoreConfig
from growy.fleet.journal import FleetJournal, from_row, to_row
from growy.fleet.registry import MAX_DEVICES, OFFLINE_AFTER_S, Device, DeviceStatus, Fleet, describe
from growy.store.store import open_store
from growy.wire.decode import decode
from growy.wire.topics import parse_topic

NOW = 1_767_225_600_000


@attrs.define
class Heard:
    """What a fleet says and tells."""

    published: list[tuple[str, bytes]] = attrs.Factory(list)
    changes: list[tuple[str, str]] = attrs.Factory(list)
    room: bool = True
    now_s: float = 1000.0

    def publish(self, topic: str, payload: bytes) -> bool:
        if self.room:
            self.published.append((topic, payload))
        return self.room

    def fleet(self, *, auto_approve: bool = True, known: tuple[Device, ...] = ()) -> Fleet:
        return Fleet(
            auto_approve=auto_approve,
            publish=self.publish,
            on_change=lambda event, device: self.changes.append((event, device.status.value)),
            known=known,
            clock=lambda: self.now_s,
        )


def hear(
    fleet: Fleet, tail: str, payload: dict[str, object], now: int = NOW, esp: str = "ESP_00AA01"
) -> None:
    topic = parse_topic(f"kaiser/god/esp/{esp}/{tail}")
    fleet.handle(topic, decode(topic, json.dumps(payload).encode()), now)


HEARTBEAT: dict[str, object] = {
    "ts": 0, "uptime": 100, "heap_free": 118_244, "wifi_rssi": -58, "sensor_count": 3, "actuator_count": 2,
    "zone_id": "bench", "wifi_ip": "192.168.4.23", "active_handover_epoch": 0,
}  # fmt: skip


@pytest.mark.parametrize(("approve", "word"), [(True, "approved"), (False, "pending_approval")])
def test_a_first_heartbeat_is_answered_and_makes_the_device_known(approve: bool, word: str) -> None:
    heard = Heard()
    fleet = heard.fleet(auto_approve=approve)
    hear(fleet, "system/heartbeat", HEARTBEAT)

    ((topic, payload),) = heard.published
    assert topic == "kaiser/god/esp/ESP_00AA01/system/heartbeat/ack"
    assert json.loads(payload) == {
        "status": word,
        "handover_epoch": 1,
        "server_time": NOW // 1000,
        "config_available": False,
    }
    (device,) = fleet.devices()
    assert (device.zone_id, device.ip, device.heap_free, device.uptime) == (
        "bench",
        "192.168.4.23",
        118_244,
        100,
    )
    assert heard.changes[0][0] == "device_discovered"


def test_the_epoch_is_echoed_never_invented() -> None:
    heard = Heard()
    fleet = heard.fleet()
    for epoch in (0, 3, 4, 0):
        hear(fleet, "system/heartbeat", {**HEARTBEAT, "active_handover_epoch": epoch})

    assert [json.loads(payload)["handover_epoch"] for _, payload in heard.published] == [1, 3, 4, 1]


def test_the_will_and_silence_both_end_in_offline_and_a_word_brings_it_back() -> None:
    heard = Heard()
    fleet = heard.fleet()
    hear(fleet, "system/heartbeat", HEARTBEAT)
    hear(fleet, "system/will", {"status": "offline", "reason": "unexpected_disconnect", "timestamp": 0})
    assert fleet.devices()[0].status is DeviceStatus.OFFLINE

    hear(fleet, "system/heartbeat", HEARTBEAT, NOW + 1000)
    assert fleet.devices()[0].status is DeviceStatus.ONLINE
    heard.now_s += OFFLINE_AFTER_S
    fleet.tick()
    assert fleet.devices()[0].status is DeviceStatus.ONLINE
    heard.now_s += 1
    fleet.tick()
    assert fleet.devices()[0].status is DeviceStatus.OFFLINE
    assert fleet.statistics().offline == 1


@pytest.mark.parametrize("jump_ms", [-3_600_000, 3_600_000])
def test_a_jump_of_the_clock_of_the_pi_changes_nobodys_presence(jump_ms: int) -> None:
    heard = Heard()
    fleet = heard.fleet()
    hear(fleet, "system/heartbeat", HEARTBEAT)
    hear(fleet, "system/heartbeat", HEARTBEAT, NOW + jump_ms)
    fleet.tick()
    assert fleet.devices()[0].online

    heard.now_s += OFFLINE_AFTER_S + 1
    fleet.tick()
    assert not fleet.devices()[0].online


def test_an_answer_that_found_no_room_is_not_counted_as_given() -> None:
    heard = Heard(room=False)
    fleet = heard.fleet()
    hear(fleet, "system/heartbeat", HEARTBEAT)

    assert fleet.statistics().acknowledged == 0
    assert fleet.statistics().unacknowledged == 1


def test_a_device_that_waits_for_approval_is_online_all_the_same() -> None:
    fleet = Heard().fleet(auto_approve=False)
    hear(fleet, "system/heartbeat", HEARTBEAT)

    assert (fleet.statistics().online, fleet.statistics().pending_approval) == (1, 1)


def test_a_retained_will_is_older_than_what_was_heard_since() -> None:
    fleet = Heard().fleet()
    hear(fleet, "system/will", {"status": "offline", "reason": "unexpected_disconnect", "timestamp": 0})

    assert fleet.devices() == []


def test_an_empty_will_only_clears_the_retained_one() -> None:
    fleet = Heard().fleet()
    hear(fleet, "system/heartbeat", HEARTBEAT)
    topic = parse_topic("kaiser/god/esp/ESP_00AA01/system/will")
    fleet.handle(topic, decode(topic, b""), NOW)

    assert fleet.devices()[0].online


def test_a_heartbeat_that_cannot_be_read_is_answered_all_the_same() -> None:
    heard = Heard()
    fleet = heard.fleet()
    hear(fleet, "system/heartbeat", {**HEARTBEAT, "active_handover_epoch": 6})
    fleet.handle(parse_topic("kaiser/god/esp/ESP_00AA01/system/heartbeat"), None, NOW)

    assert [json.loads(payload)["handover_epoch"] for _, payload in heard.published] == [6, 6]


def test_a_drop_of_uptime_is_a_reboot() -> None:
    fleet = Heard().fleet()
    for uptime in (100, 160, 5, 65):
        hear(fleet, "system/heartbeat", {**HEARTBEAT, "uptime": uptime})

    assert fleet.devices()[0].reboots == 1


def test_invented_devices_do_not_fill_the_memory() -> None:
    fleet = Heard().fleet()
    for number in range(MAX_DEVICES + 5):
        fleet.seen(parse_topic(f"kaiser/god/esp/ESP_{number:06X}/system/heartbeat"), NOW)

    assert fleet.statistics().devices == MAX_DEVICES
    assert fleet.statistics().refused_devices == 5


def test_an_event_for_the_live_clients_says_what_they_need() -> None:
    fleet = Heard().fleet()
    hear(fleet, "system/heartbeat", HEARTBEAT)
    device = fleet.devices()[0]

    assert (
        describe("esp_health", device).items()
        >= {"esp_id": "ESP_00AA01", "status": "online", "uptime": 100}.items()
    )
    assert describe("device_discovered", device)["discovered_at"] == NOW // 1000


async def test_a_restart_knows_the_devices_and_calls_them_offline_until_heard(tmp_path: Path) -> None:
    fleet = Heard().fleet()
    hear(fleet, "system/heartbeat", {**HEARTBEAT, "active_handover_epoch": 4})
    async with open_store(StoreConfig(), tmp_path) as store:
        await FleetJournal(fleet, store).write()
        known = [from_row(row) for row in await store.device_rows()]

    again = Heard().fleet(auto_approve=False, known=tuple(known))
    (device,) = again.devices()
    assert (device.approved, device.online, device.zone_id, device.epoch) == (True, False, "bench", 4)
    assert device.status is DeviceStatus.OFFLINE
    assert from_row(to_row(device)).uptime == 100
