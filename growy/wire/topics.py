"""Topics: parse what ESP32s publish, build what growyd publishes. Knows nothing of payloads and never guesses
a device.

The topic is the only authority on who speaks: an `esp_id` or `gpio` inside a payload is a courtesy of the
firmware and is not looked at where the topic has one.
"""

from __future__ import annotations

import enum
import string

import attrs

from growy.wire.reasons import Reason, refuse

GOD = "god"
"""The firmware's default kaiser id, and the one it has hard-wired into `session/announce` and
`onewire/scan_result`."""

_HEX = "0123456789ABCDEF"
_MOCK = string.ascii_uppercase + string.digits
_KAISER = string.ascii_letters + string.digits + "_-"
_MAX_ID = 63
_GPIO = {str(number): number for number in range(256)}


class TopicKind(enum.Enum):
    """What a device can say. The value is the part of the topic behind `kaiser/{kaiser_id}/esp/{esp_id}/`."""

    SENSOR_DATA = "sensor/{gpio}/data"
    SENSOR_BATCH = "sensor/batch"
    SENSOR_RESPONSE = "sensor/{gpio}/response"
    HEARTBEAT = "system/heartbeat"
    HEARTBEAT_METRICS = "system/heartbeat_metrics"
    SESSION_ANNOUNCE = "session/announce"
    WILL = "system/will"
    ACTUATOR_STATUS = "actuator/{gpio}/status"
    ACTUATOR_RESPONSE = "actuator/{gpio}/response"
    ACTUATOR_ALERT = "actuator/{gpio}/alert"
    EMERGENCY_ACK = "actuator/emergency/ack"
    EMERGENCY_RESPONSE = "actuator/emergency/response"
    EMERGENCY_ERROR = "actuator/emergency/error"
    RECOVERY_CONFIRM = "actuator/recovery_confirm"
    CONFIG_RESPONSE = "config_response"
    ZONE_ACK = "zone/ack"
    SUBZONE_ACK = "subzone/ack"
    COMMAND_RESPONSE = "system/command/response"
    ONEWIRE_SCAN_RESULT = "onewire/scan_result"
    SYSTEM_ERROR = "system/error"
    DIAGNOSTICS = "system/diagnostics"
    INTENT_OUTCOME = "system/intent_outcome"
    INTENT_LIFECYCLE = "system/intent_outcome/lifecycle"
    QUEUE_PRESSURE = "system/queue_pressure"
    PI_ENHANCED_REQUEST = "pi_enhanced/request"

    @property
    def has_gpio(self) -> bool:
        return "{gpio}" in self.value


HARD_WIRED_TO_GOD = frozenset({TopicKind.SESSION_ANNOUNCE, TopicKind.ONEWIRE_SCAN_RESULT})
"""Published under `kaiser/god/...` by every device, whatever kaiser it belongs to."""

_FIXED = {kind.value: kind for kind in TopicKind if not kind.has_gpio}
_NUMBERED = {
    (kind.value.split("/")[0], kind.value.split("/")[2]): kind for kind in TopicKind if kind.has_gpio
}


@attrs.frozen(slots=True)
class Topic:
    """A topic that a device publishes on, taken apart."""

    kaiser_id: str
    esp_id: str
    kind: TopicKind
    gpio: int | None
    """0-255 where the kind has one; 255 in an alert is the whole device."""


def is_esp_id(text: str) -> bool:
    """Whether this names a device: `ESP_` and 6 to 8 upper-case hex digits, or `MOCK_` and upper-case letters
    or digits."""
    if text.startswith("ESP_"):
        return 10 <= len(text) <= 12 and not text[4:].strip(_HEX)
    return text.startswith("MOCK_") and 5 < len(text) <= _MAX_ID and not text[5:].strip(_MOCK)


def is_kaiser_id(text: str) -> bool:
    """Whether this can be a kaiser id: 1 to 63 of letters, digits, `_` and `-` (the firmware's own limit)."""
    return 0 < len(text) <= _MAX_ID and not text.strip(_KAISER)


def parse_topic(topic: bytes | str) -> Topic:
    """Take a device's topic apart.

    Raises:
        WireError: unknown_topic, bad_esp_id, bad_gpio, bad_utf8.
    """
    if isinstance(topic, bytes):
        try:
            topic = topic.decode()
        except UnicodeDecodeError:
            raise refuse(Reason.BAD_UTF8, f"topic {topic!r:.200} is not UTF-8") from None
    parts = topic.split("/", 4)
    if len(parts) != 5 or parts[0] != "kaiser" or parts[2] != "esp" or not is_kaiser_id(parts[1]):
        raise refuse(Reason.UNKNOWN_TOPIC, f"topic {topic!r:.200} is not part of the protocol")
    _, kaiser_id, _, esp_id, tail = parts
    gpio: int | None = None
    kind = _FIXED.get(tail)
    if kind is None:
        levels = tail.split("/")
        kind = _NUMBERED.get((levels[0], levels[2])) if len(levels) == 3 else None
        if kind is None:
            raise refuse(Reason.UNKNOWN_TOPIC, f"topic {topic!r:.200} is not part of the protocol")
        gpio = _GPIO.get(levels[1])
        if gpio is None:
            raise refuse(Reason.BAD_GPIO, f"topic {topic!r:.200}: gpio must be a number from 0 to 255")
    if not is_esp_id(esp_id):
        raise refuse(Reason.BAD_ESP_ID, f"topic {topic!r:.200}: not a device id (ESP_ and 6 to 8 hex digits)")
    return Topic(kaiser_id, esp_id, kind, gpio)


def device_topic(topic: Topic) -> str:
    """The text of a device's topic: the inverse of `parse_topic`. Simulators publish on it, growyd clears
    wills with it.

    Raises:
        WireError: bad_gpio when the kind has a gpio and the topic has none; unknown_topic, bad_esp_id.
    """
    if topic.kind.has_gpio:
        return _below(topic.kaiser_id, topic.esp_id, _with_gpio(topic.kind.value, topic.gpio))
    return _below(topic.kaiser_id, topic.esp_id, topic.kind.value)


def device_topic_of(topic: str) -> tuple[str, str] | None:
    """Device and the part behind it of a topic that is sent to one; None: it is sent to others."""
    parts = topic.split("/", 4)
    return (parts[3], parts[4]) if len(parts) == 5 and parts[0] == "kaiser" and parts[2] == "esp" else None


def subscriptions() -> tuple[tuple[str, int], ...]:
    """(filter, QoS) of everything growyd listens to, under any kaiser id: a device keeps the one that it was given,
    whoever owns it. No two filters match the same topic.

    Overlapping filters would make some brokers deliver a message once per filter. So `actuator/emergency/response` has
    no filter of its own (`actuator/+/response` matches it). QoS 1 throughout: the broker lowers it to what the device
    used.
    """
    return tuple(
        (f"kaiser/+/esp/+/{kind.value.replace('{gpio}', '+')}", 1)
        for kind in TopicKind
        if kind is not TopicKind.EMERGENCY_RESPONSE
    )


def server_status(kaiser_id: str) -> str:
    """`kaiser/{k}/server/status`, QoS 1, retained, also growyd's own will."""
    return f"kaiser/{_kaiser(kaiser_id)}/server/status"


def broadcast_emergency() -> str:
    """`kaiser/broadcast/emergency`, QoS 2: stop every ESP32 on the broker."""
    return "kaiser/broadcast/emergency"


def heartbeat_ack(kaiser_id: str, esp_id: str) -> str:
    """QoS 1, never retained: an old handover epoch must not come back."""
    return _below(kaiser_id, esp_id, "system/heartbeat/ack")


def config(kaiser_id: str, esp_id: str) -> str:
    """QoS 2: sensors, actuators, offline rules."""
    return _below(kaiser_id, esp_id, "config")


def actuator_command(kaiser_id: str, esp_id: str, gpio: int) -> str:
    """QoS 2: ON, OFF, PWM, TOGGLE."""
    return _below(kaiser_id, esp_id, _with_gpio("actuator/{gpio}/command", gpio))


def actuator_emergency(kaiser_id: str, esp_id: str) -> str:
    """QoS 1: stop or clear one ESP32."""
    return _below(kaiser_id, esp_id, "actuator/emergency")


def sensor_command(kaiser_id: str, esp_id: str, gpio: int) -> str:
    """QoS 2: measure now."""
    return _below(kaiser_id, esp_id, _with_gpio("sensor/{gpio}/command", gpio))


def sensor_processed(kaiser_id: str, esp_id: str, gpio: int) -> str:
    """QoS 1: the converted value of a reading, for displays and other programs; no firmware subscribes."""
    return _below(kaiser_id, esp_id, _with_gpio("sensor/{gpio}/processed", gpio))


def pi_enhanced_response(kaiser_id: str, esp_id: str) -> str:
    """QoS 1: the answer to `pi_enhanced/request`."""
    return _below(kaiser_id, esp_id, "pi_enhanced/response")


def system_command(kaiser_id: str, esp_id: str) -> str:
    """QoS 2: status, diagnostics, onewire/scan, factory_reset..."""
    return _below(kaiser_id, esp_id, "system/command")


def zone_assign(kaiser_id: str, esp_id: str) -> str:
    """QoS 1."""
    return _below(kaiser_id, esp_id, "zone/assign")


def subzone_assign(kaiser_id: str, esp_id: str) -> str:
    """QoS 1."""
    return _below(kaiser_id, esp_id, "subzone/assign")


def subzone_remove(kaiser_id: str, esp_id: str) -> str:
    """QoS 1."""
    return _below(kaiser_id, esp_id, "subzone/remove")


def subzone_safe(kaiser_id: str, esp_id: str) -> str:
    """QoS 1."""
    return _below(kaiser_id, esp_id, "subzone/safe")


def _kaiser(kaiser_id: str) -> str:
    if not is_kaiser_id(kaiser_id):
        raise refuse(Reason.UNKNOWN_TOPIC, f"{kaiser_id!r:.80} is not a kaiser id")
    return kaiser_id


def _below(kaiser_id: str, esp_id: str, tail: str) -> str:
    # A wildcard or a slash in an id would turn one device's command into another topic altogether.
    if not is_esp_id(esp_id):
        raise refuse(Reason.BAD_ESP_ID, f"{esp_id!r:.80} is not a device id (ESP_ and 6 to 8 hex digits)")
    return f"kaiser/{_kaiser(kaiser_id)}/esp/{esp_id}/{tail}"


def _with_gpio(tail: str, gpio: int | None) -> str:
    if gpio is None or not 0 <= gpio <= 255:
        raise refuse(Reason.BAD_GPIO, f"gpio {gpio!r} for {tail}: must be from 0 to 255")
    return tail.replace("{gpio}", str(gpio))
