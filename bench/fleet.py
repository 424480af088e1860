"""250 ESP32s that come back in the same second, and what a heartbeat costs. `python -m bench.fleet [ESPS]`.

The first part is a daemon in a process of its own on a real Mosquitto, and the simulated fleet in this one; an ACK is
timed from the publishing of its heartbeat to its arrival, so the simulator's own time is in it. The baseline of the
second is decoding the same heartbeat and nothing else.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time

import trio

from bench.brokers import mosquitto
from bench.ingest import Growyd
from growy.config import BrokerUrl
from growy.fleet.fleet import Fleet
from growy.sim.fleet import SimFleet, SimOptions, run_fleet
from growy.wire.decode import decode
from growy.wire.topics import parse_topic

HEARTBEAT = {
    "ts": 1_790_000_000, "uptime": 61, "heap_free": 118_244, "wifi_rssi": -58, "sensor_count": 0,
    "actuator_count": 0, "zone_id": "bench", "wifi_ip": "192.168.4.23", "active_handover_epoch": 0,
    "boot_sequence_id": "ESP_00AA01-b1-r1", "runtime_state_degraded": False,
}  # fmt: skip


async def come_back(port: int, esps: int, seconds: float) -> tuple[float, list[float], int]:
    """Seconds until every gate is open, all ACK delays in seconds, and how many gates are open."""
    async with trio.open_nursery() as nursery:
        options = SimOptions(broker=BrokerUrl.parse(f"mqtt://127.0.0.1:{port}"), esps=esps, ledger_limit=0)
        began = trio.current_time()
        sim: SimFleet = await nursery.start(run_fleet, options)
        for _ in range(int(seconds / 0.02)):
            if all(device.state.registered for device in sim.devices):
                break
            await trio.sleep(0.02)
        took = trio.current_time() - began
        delays = [delay for device in sim.devices for delay in device.ack_delays]
        opened = sum(device.state.registered for device in sim.devices)
        nursery.cancel_scope.cancel()
    return took, delays, opened


def cost(count: int) -> tuple[float, float]:
    """Seconds per heartbeat: decoded only, and taken by the fleet."""
    topics = [parse_topic(f"kaiser/god/esp/ESP_{number:06X}/system/heartbeat") for number in range(250)]
    payload = json.dumps(HEARTBEAT).encode()
    fleet = Fleet(auto_approve=True, send=lambda topic, payload, *, retain=False: True)
    for topic in topics:
        fleet.handle(topic, decode(topic, payload), 0)
    begin = time.perf_counter()
    for number in range(count):
        decode(topics[number % 250], payload)
    bare = time.perf_counter() - begin
    begin = time.perf_counter()
    for number in range(count):
        topic = topics[number % 250]
        fleet.handle(topic, decode(topic, payload), 0)
    return bare / count, (time.perf_counter() - begin) / count


def main(esps: int) -> None:
    with (
        mosquitto() as port,
        tempfile.TemporaryDirectory(dir="/var/tmp") as folder,
        Growyd(port, folder) as growyd,
    ):
        took, delays, opened = trio.run(come_back, port, esps, 60.0)
        growyd.stop()
    p99 = statistics.quantiles(delays, n=100)[98]
    print(f"esps={esps} gates_open={opened} all_open_after={took:.2f}s (aim: 10 s)")
    p50, worst = statistics.median(delays), max(delays)
    print(
        f"ack_p50={p50 * 1000:.0f}ms ack_p99={p99 * 1000:.0f}ms ack_worst={worst * 1000:.0f}ms (aim: 1000 ms)"
    )
    bare, ours = cost(20_000)
    print(f"heartbeat={ours * 1e6:.0f}us ratio_to_decoding={ours / bare:.1f} decoding={bare * 1e6:.0f}us")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 250)
