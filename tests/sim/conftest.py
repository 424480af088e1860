"""Real brokers for the simulator's tests: the embedded one, and Mosquitto where it is installed."""

from __future__ import annotations

import queue
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from iotcore import Broker
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from trio.testing import MockClock

from growy.config import BrokerUrl

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def fast() -> MockClock:
    """For a test: its devices' clock runs eight times as fast as the broker's."""
    return MockClock(rate=8.0)


@attrs.define
class RealBroker:
    """A broker that can be stopped and started again on its port."""

    port: int
    start: Callable[[], None]
    stop: Callable[[], None]

    @property
    def url(self) -> BrokerUrl:
        return BrokerUrl.parse(f"mqtt://127.0.0.1:{self.port}")


@pytest.fixture
def sim_broker() -> Iterator[RealBroker]:
    """The embedded broker."""
    port = free_port()
    running: list[Broker] = []

    def start() -> None:
        running.append(Broker(port=port, listen="127.0.0.1").start())

    def stop() -> None:
        while running:
            running.pop().stop()

    start()
    yield RealBroker(port, start, stop)
    stop()


@pytest.fixture
def start_mosquitto(tmp_path: Path) -> Iterator[Callable[..., RealBroker]]:
    """Starts Mosquittos with extra configuration lines."""
    if MOSQUITTO is None:
        pytest.fail("the mosquitto program is missing: apt-get install mosquitto")
    running: list[subprocess.Popen[bytes]] = []

    def make(*lines: str) -> RealBroker:
        port = free_port()
        config = tmp_path / f"mosquitto-{port}.conf"
        config.write_text("\n".join((f"listener {port} 127.0.0.1", *(lines or ("allow_anonymous true",)))))

        def start() -> None:
            process = subprocess.Popen(
                [MOSQUITTO, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            running.append(process)
            deadline = time.monotonic() + 10.0
            while True:
                assert process.poll() is None, "mosquitto ended at once"
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
                except OSError:
                    assert time.monotonic() < deadline, "mosquitto does not listen"
                    time.sleep(0.02)
                else:
                    return

        def stop() -> None:
            while running:
                process = running.pop()
                process.terminate()
                process.wait(10.0)

        start()
        return RealBroker(port, start, stop)

    yield make
    for process in running:
        process.terminate()
        process.wait(10.0)


class Listener:
    """A server's end: sees everything below kaiser/, answers heartbeats if told to. paho in its own thread."""

    def __init__(self, broker: RealBroker, ack: bytes | None = None) -> None:
        self.messages: queue.SimpleQueue[paho.MQTTMessage] = queue.SimpleQueue()
        subscribed: queue.SimpleQueue[bool] = queue.SimpleQueue()
        client = paho.Client(CallbackAPIVersion.VERSION2, f"listener-{free_port()}")

        def on_message(_c: object, _u: object, message: paho.MQTTMessage) -> None:
            self.messages.put(message)
            if ack is not None and message.topic.endswith("/system/heartbeat"):
                client.publish(message.topic + "/ack", ack, qos=1)

        client.on_connect = lambda *_: client.subscribe("kaiser/#", qos=1)
        client.on_subscribe = lambda *_: subscribed.put(True)
        client.on_message = on_message
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        assert subscribed.get(timeout=10.0)
        self._client = client

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        self._client.publish(topic, payload, qos)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def take(
        self, want: Callable[[list[paho.MQTTMessage]], bool], timeout_s: float = 10.0
    ) -> list[paho.MQTTMessage]:
        """Messages until `want` is content with them."""
        taken: list[paho.MQTTMessage] = []
        while not want(taken):
            taken.append(self.messages.get(timeout=timeout_s))
        return taken

    def taken_so_far(self) -> list[paho.MQTTMessage]:
        taken = []
        while not self.messages.empty():
            taken.append(self.messages.get())
        return taken


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def make(broker: RealBroker, ack: bytes | None = None) -> Listener:
        listeners.append(Listener(broker, ack))
        return listeners[-1]

    yield make
    for listener in listeners:
        listener.close()
