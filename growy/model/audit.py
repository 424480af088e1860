"""The audit trail's entry: something that a person would look for later. Values only.

An entry is never changed after it was made, and never holds a secret: it is shown to everyone who may read.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs
from attrs import validators as v

LONGEST_MESSAGE = 1000
"""Characters of a message that are kept; what a device says can be long."""


class AuditSeverity(enum.StrEnum):
    """How bad it is. In the order of their declaration, so that "at least a warning" can be asked for."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info ... 3 for critical, as the firmware numbers them."""
        return _RANKS[self]

    @classmethod
    def of_rank(cls, rank: int) -> AuditSeverity:
        """The severity of the firmware's number; numbers beyond are the nearest."""
        return list(cls)[min(max(rank, 0), len(cls) - 1)]


_RANKS = {severity: rank for rank, severity in enumerate(AuditSeverity)}


class AuditSource(enum.StrEnum):
    """Who caused it."""

    ESP32 = "esp32"
    USER = "user"
    SYSTEM = "system"
    API = "api"
    MQTT = "mqtt"
    SCHEDULER = "scheduler"

    @classmethod
    def of(cls, by: str) -> AuditSource:
        """The kind of source of somebody as `Caller.by` names them."""
        if by.startswith("key:"):
            return cls.API
        return cls.USER if by.startswith("user:") or by == "local" else cls.SYSTEM


EVENT_TYPES: Mapping[str, str] = {
    "service_start": "growyd has started",
    "service_stop": "growyd was stopped in order",
    "device_discovered": "A device was heard for the first time",
    "device_rediscovered": "A device that was rejected or deleted was heard again",
    "device_registered": "A device was entered by hand before it was heard",
    "device_approved": "A device was approved",
    "device_rejected": "A device was rejected",
    "device_set_pending": "A decision about a device was taken back",
    "device_deleted": "A device was deleted",
    "device_setup": "What a device shall have was changed: sensors, actuators, offline rules",
    "device_online": "A device is back",
    "device_offline": "A device has fallen silent",
    "device_rebooted": "A device has restarted",
    "device_error": "A device reports a fault",
    "device_alert": "A device's own protection has acted",
    "device_lifecycle": "A device waits for its configuration, or no longer does",
    "queue_pressure": "A device cannot send as fast as it wants to, or can again",
    "lwt_received": "The broker says that a device's connection broke",
    "config_published": "A configuration was sent to a device",
    "config_response": "A device answered to its configuration",
    "config_failed": "A configuration could not be sent, or was not answered",
    "zone_created": "A zone was made",
    "zone_changed": "A zone was changed",
    "zone_deleted": "A zone was deleted",
    "zone_assignment": "A device's zone was changed",
    "subzone_assignment": "A device's subzone was changed",
    "intent_outcome": "What became of a command, as the device says",
    "system_command": "A command to the device itself: diagnose, log level, factory reset",
    "actuator_command": "An actuator was switched",
    "actuator_command_failed": "An actuator could not be switched",
    "actuator_oscillates": "Rules switched an actuator to and fro, and were held off",
    "rule_changed": "A rule was written, changed or deleted",
    "rule_degraded": "A rule holds and cannot act",
    "rule_recovered": "A rule can act again",
    "notification": "What a rule told people",
    "interlock_changed": "An interlock or a coupling was set or taken away",
    "emergency_stop": "An emergency stop began or ended, or a device has proven it",
    "kaiser_added": "A Kaiser was entered at God",
    "kaiser_changed": "What God knows of a Kaiser was changed",
    "kaiser_registered": "A Kaiser's name was bound to an installation, or freed for another",
    "kaiser_online": "A Kaiser is there",
    "kaiser_offline": "A Kaiser has been silent for so long that it owns nothing any more",
    "kaiser_refused": "A node was refused by God, or refuses it",
    "kaiser_leaving": "A Kaiser is to be unregistered",
    "kaiser_removed": "A Kaiser was taken out of the registry",
    "ownership_changed": "A device has another owner",
    "ownership_conflict": "Two nodes were of different opinion about a device or about who they are",
    "transfer_begun": "A person wants a device to change its owner",
    "transfer_approved": "A person has consented to a transfer",
    "transfer_ended": "A transfer of a device has ended, well or not",
    "chain_begun": "God told a Kaiser to do something",
    "kaiser_asked": "A Kaiser was asked by another for something, and what became of it",
    "chain_cancelled": "A command chain was cancelled",
    "mqtt_login_changed": "A login of the broker was set up or taken away",
    "mqtt_error": "A fault between growyd and the broker",
    "database_error": "A fault of the store",
    "validation_error": "A request was refused",
    "api_error": "A request failed",
    "user_created": "Somebody has got an account",
    "user_changed": "An account was changed: role, password, whether it may log in",
    "user_deleted": "An account was deleted",
    "key_created": "A device or a script has got an API key",
    "login_success": "Somebody logged in",
    "login_failed": "Somebody could not log in",
    "logout": "Somebody logged out",
    "token_revoked": "A token was revoked",
    "permission_denied": "Somebody asked for what they may not do",
    "api_key_invalid": "A wrong API key was used",
    "rate_limit_exceeded": "Somebody asked too often",
}
"""Kinds of event and what they mean. A part may note others; clients are told of those that were stored."""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 3]}..."


@attrs.frozen(kw_only=True, slots=True)
class AuditEntry:
    """One thing that happened, or `repeats` things of the same kind of which this is the newest."""

    ts_ms: int
    """When, by growyd's clock: Unix ms."""
    event_type: str = attrs.field(validator=v.min_len(1))
    """A word of `EVENT_TYPES`, or another one in lower case."""
    severity: AuditSeverity = attrs.field(default=AuditSeverity.INFO, converter=AuditSeverity)
    source_type: AuditSource = attrs.field(default=AuditSource.SYSTEM, converter=AuditSource)
    source_id: str = ""
    """What it is about: the ESP32 where it is about one, also when a person did it (who did stands in the details as
    `by`); else the user, rule or part."""
    status: str = ""
    """How it ended: success, failed, pending..."""
    message: str = attrs.field(default="", converter=_cut)
    """One sentence for people."""
    details: Mapping[str, object] = attrs.field(factory=dict)
    """More of it, as JSON can hold it."""
    error_code: str = ""
    correlation_id: str = ""
    """What the request, its command and the answers to it have in common."""
    repeats: int = attrs.field(default=1, validator=v.ge(1))
