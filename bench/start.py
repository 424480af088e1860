"""From exec to subscribed: how long a restart leaves the broker alone. `python -m bench.start [RUNS]`.

The baseline of the same run is a Python that imports numpy, trio and paho and ends.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time

from bench.brokers import mosquitto
from bench.ingest import Growyd

IMPORTS = "import numpy, trio, paho.mqtt.client, apsw, msgspec"


def bare() -> float:
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    return time.monotonic() - begin


def started(port: int, folder: str) -> tuple[float, float]:
    """Seconds from exec to subscribed, and MiB of daemon and worker then."""
    begin = time.monotonic()
    with Growyd(port, folder, wait=False) as growyd:
        growyd.wait(lambda parts: parts["broker"]["state"] == "connected")
        seconds = time.monotonic() - begin
        memory = growyd.memory_mib()
        growyd.stop()
    return seconds, memory


def main(runs: int) -> None:
    with mosquitto() as port, tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        bare_s = [bare() for _ in range(runs)]
        results = [started(port, folder) for _ in range(runs)]
    ours = statistics.median(seconds for seconds, _ in results)
    theirs = statistics.median(bare_s)
    print(f"bare_imports={theirs:.2f}s")
    print(
        f"exec_to_subscribed={ours:.2f}s ratio_to_bare={ours / theirs:.1f} (aim: 1.0 s) worst={max(results)[0]:.2f}s"
    )
    print(f"rss_after_start_mib={max(memory for _, memory in results):.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
