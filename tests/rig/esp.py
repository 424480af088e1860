"""An ESP32 that talks to a `Fleet` directly, without a broker: it hears what the fleet sends and answers like the
firmware. For tests of what is built on the fleet; the simulator is for tests of the fleet itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import trio

from growy.broker.outbox import Lane
from growy.fleet.fleet import Fleet
from growy.wire.decode import decode
from growy.wire.table import Message
from growy.wire.topics import Topic, parse_topic
from rig.outputs import Outputs, Saying

T0 = 1_760_000_000_000
"""Some Thursday in October 2025: Unix ms at which the tests' clock begins."""


def wall_ms() -> int:
    """The tests' clock as Unix ms."""
    return T0 + round(trio.current_time() * 1000)


@attrs.define
class Air:
    """What the fleet publishes, and who hears it. `send` is the fleet's."""

    sent: list[tuple[str, dict[str, Any]]] = attrs.field(factory=list)
    esps: dict[str, Esp] = attrs.field(factory=dict)
    listeners: list[Callable[[Topic, Message | None, int], None]] = attrs.field(factory=list)
    """Who hears the devices, beside the fleet."""

    cut: bool = False
    """Nothing can be sent."""

    def send(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        timeout_s: float = 10.0,
        lane: Lane = Lane.NORMAL,
    ) -> bool:
        if self.cut:
            return False
        said = json.loads(payload) if payload else {}
        self.sent.append((topic, said))
        if topic.startswith("kaiser/broadcast/"):
            for esp in self.esps.values():
                esp.ear.send_nowait((topic.removeprefix("kaiser/"), said))
            return True
        _, _, _, esp_id, tail = topic.split("/", 4)
        if esp_id in self.esps:
            self.esps[esp_id].ear.send_nowait((tail, said))
        return True

    def to(self, esp_id: str, tail: str) -> list[dict[str, Any]]:
        """What a device was sent under a topic."""
        return [said for topic, said in self.sent if topic == f"kaiser/god/esp/{esp_id}/{tail}"]


@attrs.define
class Esp:
    """One device of the newest generation. `refuses` holds answers that it gives instead of consent, by topic."""

    fleet: Fleet
    air: Air
    esp_id: str = "ESP_12AB34CD"
    zone_id: str = ""
    mute: bool = False
    """It hears and does, and says nothing but heartbeats."""
    refuses: dict[str, Mapping[str, object]] = attrs.field(factory=dict)
    commands: dict[str, Mapping[str, object]] = attrs.field(factory=dict)
    """Answers to system commands that are special, by command."""
    warm_up_s: float = 5.0
    """Until the fleet sends it more than acknowledgements."""
    config_failures: list[dict[str, object]] = attrs.field(factory=list)
    """Sensors of its next configuration that it does not take, as it says it."""
    probes: dict[int, float] = attrs.field(factory=dict)
    """What its sensors measure when they are told to, raw, by gpio."""
    bus: tuple[str, ...] = ()
    """ROM codes on its OneWire bus."""
    beat: dict[str, object] = attrs.field(factory=dict)
    """Fields of its heartbeat that are special."""
    ear: trio.MemorySendChannel[tuple[str, dict[str, Any]]] = attrs.field(init=False)
    outputs: Outputs = attrs.field(init=False)
    """Its actuators."""
    pace: float = 1.0
    """So many seconds go by for its actuators in one of the clock's."""
    up_s: float = 60.0
    """How long it has run when it is first heard. Its silence is not judged before two minutes."""
    _booted: float = attrs.field(init=False, default=0.0)
    _commanded: trio.Event = attrs.field(factory=trio.Event)
    _heard: trio.MemoryReceiveChannel[tuple[str, dict[str, Any]]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.ear, self._heard = trio.open_memory_channel(math.inf)
        # Its own clock begins with it: trio's begins anywhere, and milliseconds of 49 days are all that a device has.
        self._booted = trio.current_time()
        self.outputs = Outputs(
            self.esp_id,
            lambda: self.up_s + self.pace * (trio.current_time() - self._booted),
            lambda: wall_ms() // 1000,
        )

    def say(self, tail: str, **fields: object) -> None:
        topic = parse_topic(f"kaiser/god/esp/{self.esp_id}/{tail}")
        message = decode(topic, json.dumps(fields).encode())
        for hear in (self.fleet.handle, *self.air.listeners):
            hear(topic, message, wall_ms())

    def heartbeat(self) -> None:
        fields: dict[str, object] = {
            "ts": wall_ms() // 1000,
            "time_valid": True,
            "uptime": round(self.up_s + trio.current_time() - self._booted),
            "heap_free": 118_244,
            "wifi_rssi": -58,
            "wifi_ip": "192.168.4.23",
            "sensor_count": 0,
            "actuator_count": 0,
            "zone_id": self.zone_id,
            "master_zone_id": "",
            "zone_assigned": bool(self.zone_id),
            "boot_sequence_id": f"{self.esp_id}-b1-r1",
            "reset_reason": "POWERON",
            "active_handover_epoch": 1,
            "runtime_state_degraded": False,
        }
        self.say("system/heartbeat", **{**fields, **self.beat})

    def measured(self) -> None:
        """It has sent a reading."""
        self.fleet.seen(parse_topic(f"kaiser/god/esp/{self.esp_id}/sensor/4/data"), wall_ms())

    def vanish(self) -> None:
        """Its connection breaks, and it hears nothing any more."""
        self.air.esps.pop(self.esp_id, None)
        self.say("system/will", status="offline", reason="unexpected_disconnect", timestamp=0)

    def reappear(self) -> None:
        """It is connected again."""
        self.air.esps[self.esp_id] = self
        self.heartbeat()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Appears, and waits until it can be sent more than acknowledgements; then answers until cancelled."""
        self.air.esps[self.esp_id] = self
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beat)
            nursery.start_soon(self._answer)
            nursery.start_soon(self._run_down)
            await trio.sleep(self.warm_up_s)
            task_status.started()

    async def _beat(self) -> None:
        while True:
            if self.esp_id in self.air.esps:
                self.heartbeat()
            await trio.sleep(60)

    async def _answer(self) -> None:
        answers: dict[str, Callable[[dict[str, Any]], None]] = {
            "zone/assign": self._zone,
            "subzone/assign": self._subzone,
            "subzone/remove": self._subzone,
            "subzone/safe": lambda said: None,
            "config": self._config,
            "system/command": self._command,
        }
        async for tail, said in self._heard:
            await trio.sleep(0.05)
            if self.mute:
                continue
            if tail.startswith("sensor/") and tail.endswith("/command"):
                self._measure(int(tail.split("/")[1]), said)
            if tail.startswith(("actuator/", "broadcast/")):
                self._tell(self.outputs.take(tail, said))
                self._commanded.set()
            if tail not in answers:
                continue
            if tail in self.refuses:
                ids = {name: said[name] for name in ("correlation_id", "subzone_id") if name in said}
                ack = "zone/ack" if tail.startswith("zone") else "subzone/ack"
                self.say(ack, status="error", ts=0, seq=1, **{**ids, **self.refuses[tail]})
            else:
                answers[tail](said)

    async def _run_down(self) -> None:
        """What its actuators do by themselves."""
        while True:
            with trio.move_on_after(self.outputs.rest_s / self.pace):
                await self._commanded.wait()
            self._commanded = trio.Event()
            self._tell(self.outputs.pass_time())

    def _tell(self, sayings: list[Saying]) -> None:
        if self.esp_id in self.air.esps:
            for tail, fields in sayings:
                self.say(tail, **fields)

    def _zone(self, said: dict[str, Any]) -> None:
        self.zone_id = said["zone_id"]
        status = "zone_assigned" if self.zone_id else "zone_removed"
        ids = {"zone_id": self.zone_id, "correlation_id": said["correlation_id"]}
        self.say("zone/ack", status=status, master_zone_id=said["master_zone_id"], ts=0, seq=1, **ids)
        self.heartbeat()

    def _subzone(self, said: dict[str, Any]) -> None:
        status = "subzone_assigned" if "assigned_gpios" in said else "subzone_removed"
        ids = {"subzone_id": said["subzone_id"], "correlation_id": said["correlation_id"]}
        self.say("subzone/ack", status=status, timestamp=0, seq=1, **ids)

    def _config(self, said: dict[str, Any]) -> None:
        ids = {"correlation_id": said["correlation_id"]}
        for scope in ("sensor", "actuator"):
            if scope == "sensor" and self.config_failures and "sensors" in said:
                failures, self.config_failures = self.config_failures, []
                self.say(
                    "config_response",
                    status="error",
                    type=scope,
                    count=0,
                    failed_count=len(failures),
                    failures=failures,
                    seq=1,
                    **ids,
                )
            elif f"{scope}s" in said:
                count = len(said[f"{scope}s"])
                self.say(
                    "config_response", status="success", type=scope, count=count, failed_count=0, seq=1, **ids
                )
        if "actuators" in said:
            self._tell(self.outputs.configure(said))
            self._commanded.set()
        ids["intent_id"] = said["correlation_id"]
        self.say("system/intent_outcome", flow="config", outcome="persisted", code="NONE", seq=1, **ids)

    def _measure(self, gpio: int, said: dict[str, Any]) -> None:
        found = gpio in self.probes
        self.say(
            f"sensor/{gpio}/response",
            request_id=said["request_id"],
            gpio=gpio,
            command="measure",
            success=found,
            reason_code="NONE" if found else "SENSOR_NOT_FOUND",
            quality="good" if found else "unknown",
            raw=self.probes.get(gpio, 0),
            seq=1,
        )

    def _command(self, said: dict[str, Any]) -> None:
        command = said["command"]
        if command == "onewire/scan":
            found = [{"rom_code": rom, "device_type": "ds18b20", "pin": said["pin"]} for rom in self.bus]
            self.say("onewire/scan_result", devices=found, found_count=len(found), seq=1)
        answer = self.commands.get(command, {"command": command, "success": True, "esp_id": self.esp_id})
        self.say("system/command/response", **{"ts": 0, "seq": 1, **answer})
