"""Pull the plug, again and again: every reading that the broker acknowledged is stored exactly once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rig.brokers import Mosquitto
from rig.daemon import Growyd, Publisher, assert_exactly_once

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]

RATE = 400.0


def settle(growyd: Growyd) -> None:
    """Waits until all that the broker holds has been committed."""
    quiet = 0
    before = -1

    def still(parts: dict[str, dict[str, int]]) -> bool:
        nonlocal quiet, before
        received = parts["broker"]["messages_received"]
        quiet = quiet + 1 if received == before and parts["intake"]["pending"] == 0 else 0
        before = received
        return quiet >= 15

    growyd.wait(still, 30.0)


def test_the_daemon_killed_at_random_moments(growyd: Growyd, mosquitto: Mosquitto, long_form: bool) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    publisher = Publisher(mosquitto.port, RATE)
    publisher.start()
    for _ in range(400 if long_form else 20):
        time.sleep(chance.uniform(0.0, 1.0))  # the random moment itself
        growyd.kill()
        growyd.start()
    publisher.wait_for_more(200)
    acknowledged = publisher.finish()
    settle(growyd)
    assert growyd.stop()[0] == 0

    assert len(acknowledged) > 2000
    assert_exactly_once(growyd.stored(), acknowledged)


def test_the_broker_killed_in_the_middle(
    mosquitto_with: Callable[[str], Mosquitto], tmp_path: Path, long_form: bool
) -> None:
    broker = mosquitto_with(
        "max_inflight_messages 1000\nmax_queued_messages 100000\nautosave_interval 1\nautosave_on_changes true"
    )
    folder = tmp_path / "growy"
    folder.mkdir()
    growyd = Growyd(folder, broker.port)
    growyd.start()
    publisher = Publisher(broker.port, RATE)
    publisher.start()
    for _ in range(40 if long_form else 3):
        publisher.wait_for_more(300)
        broker.kill(signal.SIGKILL)
        growyd.wait(lambda parts: parts["broker"]["state"] != "connected")
        broker.start()
        growyd.wait(lambda parts: parts["broker"]["state"] == "connected")
    publisher.wait_for_more(300)
    acknowledged = publisher.finish()
    settle(growyd)
    assert growyd.stop()[0] == 0

    assert len(acknowledged) > 500
    assert_exactly_once(growyd.stored(), acknowledged)


def test_the_worker_killed_in_the_middle(growyd: Growyd, mosquitto: Mosquitto) -> None:
    publisher = Publisher(mosquitto.port, RATE)
    publisher.start()
    for _ in range(5):
        publisher.wait_for_more(200)
        for worker in growyd.workers():
            os.kill(worker, signal.SIGKILL)
    publisher.wait_for_more(300)
    acknowledged = publisher.finish()
    settle(growyd)
    assert growyd.stop()[0] == 0

    stored = growyd.stored()
    assert len(acknowledged) > 1000
    assert_exactly_once(stored, acknowledged)
    assert all(reading.value is not None for reading in stored), "a reading was stored without its value"


def test_sigterm_flushes_everything_within_five_seconds(growyd: Growyd, mosquitto: Mosquitto) -> None:
    publisher = Publisher(mosquitto.port, RATE)
    publisher.start()
    publisher.wait_for_more(700)
    code, seconds = growyd.stop()
    before = {reading.seq for reading in growyd.stored()}
    acknowledged_then = set(publisher.acknowledged)
    growyd.start()
    acknowledged = publisher.finish()
    settle(growyd)
    assert growyd.stop()[0] == 0

    assert code == 0
    assert seconds < 5.0
    assert len(before) > 500
    assert before <= acknowledged_then | acknowledged
    assert_exactly_once(growyd.stored(), acknowledged)


def test_a_disk_that_fills_while_running_stops_acknowledgements_and_goes_on_by_itself(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    folder = tmp_path / "growy"
    folder.mkdir()
    ballast = tmp_path / "ballast"
    free_mb = shutil.disk_usage(folder).free // 1_048_576
    growyd = Growyd(folder, mosquitto.port, f"min_free_mb = {free_mb - 200}\n")
    growyd.start()
    publisher = Publisher(mosquitto.port, 100.0)
    publisher.start()
    try:
        publisher.wait_for_more(50)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 400 * 1_048_576)
        growyd.wait(lambda parts: parts["intake"]["store_waiting"])
        acknowledged = growyd.parts()["broker"]["messages_acknowledged"]
        publisher.wait_for_more(100)  # the broker takes them, and keeps them
        health = growyd.ask("/health")
        assert growyd.parts()["broker"]["messages_acknowledged"] == acknowledged
        assert health["status"] == "degraded"
        assert "store_full" in [cause["code"] for cause in health["causes"]]

        ballast.unlink()
        growyd.wait(lambda parts: not parts["intake"]["store_waiting"])
        publisher.wait_for_more(50)
        promised = publisher.finish()
        settle(growyd)
        assert growyd.ask("/health")["status"] == "healthy"
        assert growyd.stop()[0] == 0
        assert_exactly_once(growyd.stored(), promised)
    finally:
        growyd.end()
        ballast.unlink(missing_ok=True)
