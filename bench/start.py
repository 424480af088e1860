"""From exec to subscribed, which is how long a restart leaves the broker alone, and `growyd --help`.

`python -m bench.start [RUNS]`.

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


def ran(*arguments: str) -> float:
    """Seconds of a Python process from beginning to end."""
    begin = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
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
        bare_s = [ran("-c", IMPORTS) for _ in range(runs)]
        empty_s = [ran("-c", "") for _ in range(runs)]
        help_s = [ran("-m", "growy", "--help") for _ in range(runs)]
        results = [started(port, folder) for _ in range(runs)]
    ours = statistics.median(seconds for seconds, _ in results)
    theirs = statistics.median(bare_s)
    print(f"bare_imports={theirs:.2f}s")
    print(
        f"exec_to_subscribed={ours:.2f}s ratio_to_bare={ours / theirs:.1f} (aim: 1.0 s) worst={max(results)[0]:.2f}s"
    )
    helped, empty = statistics.median(help_s), statistics.median(empty_s)
    print(f"growyd_help={helped:.3f}s ratio_to_empty_python={helped / empty:.1f} (aim: 0.15 s)")
    print(f"rss_after_start_mib={max(memory for _, memory in results):.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
