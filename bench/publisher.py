"""A publisher that costs little: firmware-shaped readings over one raw MQTT connection, QoS 1.

Run as a process of its own: `python -m bench.publisher PORT COUNT [RATE]`. Prints one JSON line: begin and end
(CLOCK_MONOTONIC, the same for all processes of the machine) and how many were acknowledged by the broker.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time

ESPS = 10
SENSORS = 50
WINDOW = 1000
BATCH = 50

CONNECT = b"\x10\x1c\x00\x04MQTT\x04\x02\x00\x00\x00\x10bench-publisher0"
PAYLOAD = (
    b'{"esp_id":"%s","seq":%d,"zone_id":"greenhouse_1","subzone_id":"bench_a","gpio":4,"sensor_type":"ds18b20",'
    b'"raw":%d,"value":%.2f,"unit":"\xc2\xb0C","quality":"good","ts":%d,"time_valid":true,"raw_mode":true,'
    b'"onewire_address":"%s"}'
)


def frame(topic: bytes, payload: bytes, mid: int) -> bytes:
    """A PUBLISH with QoS 1; its length takes two bytes."""
    length = 4 + len(topic) + len(payload)
    head = bytes((0x32, length & 0x7F | 0x80, length >> 7))
    return head + struct.pack(">H", len(topic)) + topic + struct.pack(">H", mid) + payload


def publish(port: int, count: int, rate: float) -> dict[str, float]:
    """Publishes `count` readings, at most `rate` a second (0: as fast as the broker acknowledges)."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(CONNECT)
    if sock.recv(4) != b"\x20\x02\x00\x00":
        raise ConnectionError("the broker refused the publisher")
    esps = [b"ESP_BE%04X" % number for number in range(ESPS)]
    topics = [b"kaiser/god/esp/%s/sensor/4/data" % esp for esp in esps]
    roms = [b"28%014X" % number for number in range(SENSORS)]
    # Two runs within one second must not look like one that was repeated.
    first_seq = int(time.time() * 10) % 100_000 * 10_000 + 1
    sent = acknowledged = 0
    rest = 0
    begin = time.monotonic()
    while acknowledged < count:
        due = count if rate == 0 else min(count, int((time.monotonic() - begin) * rate) + 1)
        room = min(due - sent, WINDOW - (sent - acknowledged), BATCH)
        if room > 0:
            frames = []
            now = int(time.time())
            for number in range(sent, sent + room):
                esp = number % ESPS
                raw = 300 + (number * 7919) % 160
                payload = PAYLOAD % (
                    esps[esp],
                    first_seq + number,
                    raw,
                    raw / 16,
                    now,
                    roms[number // ESPS % SENSORS],
                )
                frames.append(frame(topics[esp], payload, number % 65000 + 1))
            sock.sendall(b"".join(frames))
            sent += room
        waiting = sent - acknowledged
        timeout = 0.0 if room > 0 else 0.001 if waiting < WINDOW else 1.0
        if select.select([sock], [], [], timeout)[0]:
            rest += len(sock.recv(1 << 16))
            acknowledged += rest // 4
            rest %= 4
    end = time.monotonic()
    sock.sendall(b"\xe0\x00")
    sock.close()
    return {"begin": begin, "end": end, "acknowledged": acknowledged}


if __name__ == "__main__":
    arguments = [float(word) for word in sys.argv[1:]]
    print(
        json.dumps(publish(int(arguments[0]), int(arguments[1]), arguments[2] if len(arguments) > 2 else 0.0))
    )
