"""The baseline of bench.ingest: a bare paho subscriber that decodes the JSON and writes rows in batches, acknowledging
as paho does (at once). No conversion, no series, no replay detection, no live clients.

Run as a process: `python -m bench.bare PORT COUNT FOLDER`. Prints the monotonic time of the last commit as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import apsw
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

BATCH = 500


def main(port: int, count: int, folder: Path) -> None:
    database = apsw.Connection(str(folder / "bare.db"))
    database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL")
    database.execute(
        "CREATE TABLE sensor_data"
        " (esp_id TEXT, gpio INTEGER, sensor_type TEXT, raw_data INTEGER, value REAL, ts INTEGER)"
    )
    rows: list[tuple[Any, ...]] = []
    done = 0

    def flush() -> None:
        nonlocal done
        with database:
            database.executemany("INSERT INTO sensor_data VALUES (?,?,?,?,?,?)", rows)
        done += len(rows)
        rows.clear()
        if done >= count:
            print(json.dumps({"end": time.monotonic(), "rows": done}), flush=True)
            client.disconnect()

    def on_message(_client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        reading = json.loads(message.payload)
        rows.append(
            (
                reading["esp_id"],
                reading["gpio"],
                reading["sensor_type"],
                reading["raw"],
                reading["value"],
                reading["ts"],
            )
        )
        if len(rows) >= BATCH or done + len(rows) >= count:
            flush()

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bare", clean_session=False)
    client.on_message = on_message
    client.on_subscribe = lambda *_: print("subscribed", flush=True)
    client.connect("127.0.0.1", port)
    client.subscribe("kaiser/god/esp/+/sensor/+/data", 1)
    client.loop_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
