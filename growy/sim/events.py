"""What can happen to a virtual ESP32, and what it wants done: the vocabulary between the pure machine and the
shell that carries it out. Values only.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from growy.sim.flash import SensorConfig
from growy.sim.sensing import Sample

# --- what happens to a device ---------------------------------------------------------------------


@attrs.frozen(slots=True)
class Connected:
    """CONNACK arrived."""


@attrs.frozen(slots=True)
class Disconnected:
    """The transport is gone, or could not be made: the firmware's MQTT client reports both alike."""

    wifi_lost: bool = False
    """The network itself is gone, not only the broker."""


@attrs.frozen(slots=True)
class Subscribed:
    """SUBACK arrived for this topic filter."""

    topic: str


@attrs.frozen(slots=True)
class Received:
    """A message arrived."""

    topic: str
    payload: bytes


@attrs.frozen(slots=True)
class Measured:
    """A sensor was read, as `Measure` asked. No samples: the read failed."""

    sensor: SensorConfig
    samples: tuple[Sample, ...]
    number: int = 0
    """The number of the `Measure` that asked."""


@attrs.frozen(slots=True)
class ClockSet:
    """SNTP knows the time."""

    unix_s: float


@attrs.frozen(slots=True)
class Tick:
    """Time has passed; `next_wakeup` said until when nothing would happen."""


Event: TypeAlias = Connected | Disconnected | Subscribed | Received | Measured | ClockSet | Tick


# --- what a device wants done ---------------------------------------------------------------------


@attrs.frozen(slots=True)
class PublishReading:
    """Publish a reading: QoS 1 and not retained, from firmware of 2025-12 QoS 0 and retained."""

    topic: str
    payload: bytes
    seq: int
    """0 from firmware that does not number."""
    sensor: SensorConfig
    sample: Sample
    qos: int = 1
    retain: bool = False


@attrs.frozen(slots=True)
class Publish:
    """Publish anything else."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False


@attrs.frozen(slots=True)
class Subscribe:
    topic: str
    qos: int


@attrs.frozen(slots=True)
class Unsubscribe:
    topic: str


@attrs.frozen(slots=True)
class Measure:
    """Read a sensor and come back with `Measured` and this number."""

    sensor: SensorConfig
    number: int = 0
    """Not 0: a command asked, the answer belongs to it."""


@attrs.frozen(slots=True)
class DroppedOffline:
    """A reading was lost because there is no broker; the firmware keeps none for later."""


@attrs.frozen(slots=True)
class DroppedAtGate:
    """A reading was lost because the server has not answered a heartbeat yet."""


@attrs.frozen(slots=True)
class Dropped:
    """Another message was lost: no broker, or a closed gate."""

    topic: str


@attrs.frozen(slots=True)
class Restart:
    """The device resets itself now; everything in RAM is gone."""

    reset_reason: str


Effect: TypeAlias = (
    PublishReading
    | Publish
    | Subscribe
    | Unsubscribe
    | Measure
    | DroppedOffline
    | DroppedAtGate
    | Dropped
    | Restart
)
