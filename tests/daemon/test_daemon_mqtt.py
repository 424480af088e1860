"""The whole daemon on a real Mosquitto, seen from the other side of the broker."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from rig.brokers import Mosquitto
from rig.daemon import Growyd

pytestmark = pytest.mark.mosquitto

ESP = "kaiser/god/esp/ESP_00AA01"


class Device:
    """Something on the other side: publishes, and remembers what it hears."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, Any, bool]] = []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="ESP_00AA01")
        self.client.max_queued_messages_set(0)
        self.client.on_message = self._hear
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _hear(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        self.heard.append((message.topic, json.loads(message.payload), message.retain))

    def say(self, topic: str, payload: object, qos: int = 1) -> paho.MQTTMessageInfo:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.client.publish(topic, body, qos)

    def listen(self, topic: str) -> None:
        self.client.subscribe(topic, 1)

    def wait_for(self, condition: Callable[[str, Any], bool], seconds: float = 10.0) -> tuple[str, Any, bool]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for heard in list(self.heard):
                if condition(heard[0], heard[1]):
                    return heard
            time.sleep(0.01)
        raise TimeoutError(f"not heard; heard {self.heard[-5:]}")


@pytest.fixture
def device(mosquitto: Mosquitto) -> Iterator[Device]:
    peer = Device(mosquitto.port)
    yield peer
    peer.client.disconnect()
    peer.client.loop_stop()


def test_a_heartbeat_is_answered_at_once_and_with_its_epoch(growyd: Growyd, device: Device) -> None:
    device.listen(f"{ESP}/system/heartbeat/ack")
    heartbeat = {"esp_id": "ESP_00AA01", "ts": 0, "uptime": 5, "heap_free": 100_000, "wifi_rssi": -50}
    device.say(f"{ESP}/system/heartbeat", heartbeat, qos=0)
    _, first, _ = device.wait_for(lambda topic, _: topic.endswith("/ack"))
    device.heard.clear()
    device.say(f"{ESP}/system/heartbeat", {**heartbeat, "active_handover_epoch": 7}, qos=0)
    _, second, retained = device.wait_for(lambda topic, _: topic.endswith("/ack"))

    assert (first["status"], first["handover_epoch"]) == ("approved", 1)
    assert second["handover_epoch"] == 7
    assert abs(second["server_time"] - time.time()) < 5
    assert not retained
    assert growyd.parts()["fleet"]["online"] == 1


def test_the_server_status_is_retained_and_says_offline_after_a_stop(growyd: Growyd, device: Device) -> None:
    device.listen("kaiser/god/server/status")
    _, online, retained = device.wait_for(lambda _, payload: payload["status"] == "online")
    assert retained
    assert growyd.stop()[0] == 0
    _, offline, _ = device.wait_for(lambda _, payload: payload["status"] == "offline")

    assert abs(online["timestamp"] - time.time()) < 60
    assert offline["reason"] == "graceful_shutdown"


def test_a_killed_daemon_is_declared_offline_by_the_broker(growyd: Growyd, device: Device) -> None:
    device.listen("kaiser/god/server/status")
    growyd.kill()
    _, will, _ = device.wait_for(lambda _, payload: payload["status"] == "offline")

    assert will["reason"] == "unexpected_disconnect"


def test_converted_values_come_back(growyd: Growyd, device: Device) -> None:
    device.listen(f"{ESP}/sensor/+/processed")
    device.say(
        f"{ESP}/sensor/4/data", {"raw": 400, "sensor_type": "ds18b20", "ts": int(time.time()), "seq": 1}
    )
    topic, payload, _ = device.wait_for(lambda topic, _: topic.endswith("processed"))

    assert topic == f"{ESP}/sensor/4/processed"
    assert (payload["processed_value"], payload["unit"], payload["quality"]) == (25.0, "°C", "good")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            {"raw_data": 400, "sensor_type": "ds18b20", "gpio": 4},
            {"status": "ok", "value": 25.0, "temperature": 25.0},
        ),
        ({"raw_value": -2032, "sensor_type": "DS18B20"}, {"status": "error", "value": None}),
        ({"raw": 1, "sensor_type": "tricorder"}, {"status": "error", "value": None}),
    ],
)
def test_a_conversion_request_is_answered(
    growyd: Growyd, device: Device, request_: dict[str, object], expected: dict[str, object]
) -> None:
    device.listen(f"{ESP}/pi_enhanced/response")
    device.say(f"{ESP}/pi_enhanced/request", {**request_, "request_id": "r-1"})
    _, payload, _ = device.wait_for(lambda topic, _: topic.endswith("response"))

    assert payload.items() >= {**expected, "request_id": "r-1"}.items()


def test_twenty_thousand_malformed_messages_leave_it_well(growyd: Growyd, device: Device) -> None:
    chance = random.Random(20_000)
    kinds = ["sensor/4/data", "sensor/999/data", "sensor/batch", "system/heartbeat", "system/will", "actuator/5/status",
             "config_response", "zone/ack", "system/error", "session/announce", "pi_enhanced/request"]  # fmt: skip
    good = json.dumps(
        {"raw": 400, "sensor_type": "ds18b20", "ts": 1767225600, "seq": 1, "value": 25.0}
    ).encode()
    total = 20_000
    for number in range(total):
        cut = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            cut[chance.randrange(len(cut))] = chance.randrange(256)
        payload = bytes(cut) if number % 3 else chance.randbytes(chance.randrange(0, 300))
        device.say(f"{ESP}/{chance.choice(kinds)}", payload)
    marker = device.say(
        f"{ESP}/sensor/4/data", {"raw": 320, "sensor_type": "ds18b20", "ts": 0, "seq": 99_999}
    )
    marker.wait_for_publish(60)

    parts = growyd.wait(
        lambda parts: parts["intake"]["messages_received"] > total and parts["intake"]["pending"] == 0, 60
    )
    intake = parts["intake"]
    assert intake["messages_received"] == sum(intake["outcomes"].values()) == total + 1
    assert intake["outcomes"]["dead_letter"] > total // 2
    assert parts["broker"]["connects"] == 1, "the broker link never broke"
    assert growyd.ask("/health")["status"] == "healthy"
    assert 0 < len(growyd.ask("/api/v1/deadletters?limit=1000")["data"]) <= 1000
    assert growyd.stop()[0] == 0
    assert any(reading.seq == 99_999 for reading in growyd.stored())


def test_an_occupied_port_is_said_with_the_option_that_changes_it(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "growy", "run", "--port", str(port), "--data-dir", str(tmp_path / "growy"),
             "--broker", f"mqtt://127.0.0.1:{mosquitto.port}"],
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip

    assert ended.returncode == 1
    assert str(port) in ended.stderr
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_device_with_a_kaiser_s_id_is_heard_and_told_that_its_pi_is_there(
    growyd: Growyd, device: Device
) -> None:
    other = "kaiser/k7/esp/ESP_00AA01"
    device.listen("kaiser/k7/#")
    heartbeat = {"esp_id": "ESP_00AA01", "ts": 0, "uptime": 5, "heap_free": 100_000, "wifi_rssi": -50}
    device.say(f"{other}/system/heartbeat", heartbeat).wait_for_publish(5)

    def told() -> list[Any]:
        return [one["message"] for one in growyd.ask("/api/v1/audit?type=ownership_conflict")["data"]]

    growyd.wait(lambda parts: bool(told()))
    assert "add that Kaiser if it is yours" in told()[0]
    assert growyd.ask("/api/v1/esp/devices")["data"] == []
    assert not [topic for topic, _, _ in device.heard if topic.endswith(("ack", "status"))]

    growyd.say("POST", "/api/god/kaiser/add", {"kaiser_id": "k7"})
    device.say(f"{other}/system/heartbeat", heartbeat)
    device.wait_for(lambda topic, _: topic == f"{other}/system/heartbeat/ack")
    _, online, _ = device.wait_for(lambda topic, _: topic == "kaiser/k7/server/status")
    assert online["status"] == "online"
    assert growyd.stop()[0] == 0
    device.wait_for(
        lambda topic, said: topic == "kaiser/k7/server/status" and said.get("status") == "offline"
    )
