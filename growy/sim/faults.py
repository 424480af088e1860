"""What can be wrong with a virtual ESP32 and its surroundings. Values, checked when made; the seed of the fleet
decides when a fault that has a share strikes.
"""

from __future__ import annotations

import attrs
from attrs import validators as v

WRONG_TOKEN = "not-the-one-you-think"


@attrs.frozen(kw_only=True)
class Faults:
    """The default is a healthy device in a healthy place."""

    lose_acks: float = attrs.field(default=0.0, validator=[v.ge(0.0), v.le(1.0)])
    """Share of the server's heartbeat ACKs that never arrive."""
    lose_heartbeats: float = attrs.field(default=0.0, validator=[v.ge(0.0), v.le(1.0)])
    """Share of the heartbeats that never leave; the device believes it has sent them."""
    suback_delay_s: float = attrs.field(default=0.0, validator=v.ge(0.0))
    """Every subscription stands this much later than it should; what is sent before is lost to the device."""
    clock_unknown: bool = False
    """SNTP never answers: time stamps are 0 until an ACK brings the time."""
    duplicate: float = attrs.field(default=0.0, validator=[v.ge(0.0), v.le(1.0)])
    """Share of the QoS 1 messages that arrive twice."""
    reboot_every_s: float | None = attrs.field(default=None, validator=v.optional(v.ge(0.1)))
    """A panic, so many seconds after each boot."""
    wrong_token: bool = False
    """Its flash holds emergency tokens that nobody knows."""
    config_lane_busy: bool = False
    """Zone messages are answered CONFIG_LANE_BUSY, config pushes WRITE_TIMEOUT."""
