"""Pull the plug, again and again: every reading that the broker acknowledged is stored exactly once."""

from __future__ import annotations

import os
import random
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
        time.sleep(chance.uniform(0.0, 1.0))
        growyd.kill()
        growyd.start()
    time.sleep(0.5)
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
        time.sleep(1.5)
        broker.kill(signal.SIGKILL)
        time.sleep(0.3)
        broker.start()
        growyd.wait(lambda parts: parts["broker"]["state"] == "connected")
    time.sleep(2)
    acknowledged = publisher.finish()
    settle(growyd)
    assert growyd.stop()[0] == 0

    assert len(acknowledged) > 500
    assert_exactly_once(growyd.stored(), acknowledged)


def test_the_worker_killed_in_the_middle(growyd: Growyd, mosquitto: Mosquitto) -> None:
    publisher = Publisher(mosquitto.port, RATE)
    publisher.start()
    for _ in range(5):
        time.sleep(0.6)
        for worker in growyd.workers():
            os.kill(worker, signal.SIGKILL)
    time.sleep(1)
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
    time.sleep(2)
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
