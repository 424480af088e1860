"""One tree of errors. Each has a code, a message that names the thing, and the cure.

At the border an error becomes `code`, `numeric_code`, `message`, `details`; inside it is never swallowed. Numeric codes
5000-5999 are the server's; those below belong to the firmware.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class GrowyError(Exception):
    """Root of everything growyd raises on purpose.

    Args:
        message: names the thing that is wrong.
        cure: what the reader can do about it; shown after the message.
        details: machine-readable facts for the HTTP error shape.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    numeric_code: ClassVar[int] = 5000
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, cure: str = "", details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure
        self.details = dict(details or {})

    def __str__(self) -> str:
        return f"{self.message}. {self.cure}" if self.cure else self.message


class ConfigError(GrowyError):
    """The settings are wrong. `faults` holds one line per fault, each beginning with the path of the setting."""

    code = "CONFIGURATION_ERROR"
    numeric_code = 5002

    def __init__(self, message: str, faults: tuple[str, ...] = (), *, cure: str = "") -> None:
        super().__init__(message, cure=cure, details={"faults": list(faults)})
        self.faults = faults

    def __str__(self) -> str:
        said = [self.message, *(f"  {fault}" for fault in self.faults), self.cure]
        return "\n".join(filter(None, said))


class WireError(GrowyError):
    """A message that cannot be used. `reason` is a short stable word: it is counted and stored with the dead letter."""

    code = "PAYLOAD_INVALID"
    numeric_code = 5205
    http_status = 400

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreError(GrowyError):
    """The store cannot do what was asked of it."""

    code = "DATABASE_ERROR"
    numeric_code = 5301
    http_status = 503


class StoreUnavailable(StoreError):
    """The disk is full or read-only. Nothing was committed; the same commit may be tried again."""

    code = "STORE_UNAVAILABLE"
    numeric_code = 5302


class StoreInUse(StoreError):
    """Another growyd has the store open."""

    code = "STORE_IN_USE"
    numeric_code = 5309
    http_status = 409


class SchemaError(StoreError):
    """The database on disk was written by a newer growyd, or SQLite is too old to be trusted."""

    code = "SCHEMA_ERROR"
    numeric_code = 5303


class BrokerError(GrowyError):
    """Something about the MQTT broker or the link to it."""

    code = "MQTT_ERROR"
    numeric_code = 5101
    http_status = 503


class BrokerRefused(BrokerError):
    """The broker answered CONNECT with a refusal: credentials, client id, protocol."""

    code = "MQTT_REFUSED"
    numeric_code = 5102


class LoginRefused(BrokerRefused):
    """The broker knows no such user, or the password is wrong."""


class LoginNotChanged(BrokerError):
    """A login of the broker could not be set up, and is as it was before."""

    code = "MQTT_LOGIN_NOT_CHANGED"
    numeric_code = 5106


class LoginUncertain(BrokerError):
    """A login of the broker could not be set up, and whether the broker has what it had before could not be proven."""

    code = "MQTT_LOGIN_UNCERTAIN"
    numeric_code = 5107


class OwnLogin(GrowyError):
    """The login that growyd itself uses must not differ from its settings: it would be shut out of its broker."""

    code = "MQTT_OWN_LOGIN"
    numeric_code = 5108
    http_status = 409


class PublishFailed(BrokerError):
    """The broker did not take the message. Nobody may assume it was delivered."""

    code = "MQTT_PUBLISH_FAILED"
    numeric_code = 5103


class PublishExpired(PublishFailed):
    """The message's deadline passed before it could be sent; it never will be."""

    code = "MQTT_PUBLISH_EXPIRED"
    numeric_code = 5104


class LibraryError(GrowyError):
    """A sensor library cannot be loaded or failed its self-test."""

    code = "SENSOR_LIBRARY_ERROR"
    numeric_code = 5420
    http_status = 400


class ConversionError(GrowyError):
    """A conversion was asked for that cannot be done (unknown type, bad parameter, library set aside)."""

    code = "CONVERSION_FAILED"
    numeric_code = 5421
    http_status = 400


class CalibrationError(GrowyError):
    """A calibration that is refused, with the reason (too few points, implausible slope...)."""

    code = "CALIBRATION_REFUSED"
    numeric_code = 5422
    http_status = 400


class NotFound(GrowyError):
    """The thing asked for does not exist."""

    code = "NOT_FOUND"
    numeric_code = 5404
    http_status = 404


class EspNotFound(NotFound):
    code = "ESP_NOT_FOUND"
    numeric_code = 5001


class SensorNotFound(NotFound):
    code = "SENSOR_NOT_FOUND"
    numeric_code = 5210


class ActuatorNotFound(NotFound):
    code = "ACTUATOR_NOT_FOUND"
    numeric_code = 5211


class ZoneNotFound(NotFound):
    code = "ZONE_NOT_FOUND"
    numeric_code = 5783


class SubzoneNotFound(NotFound):
    code = "SUBZONE_NOT_FOUND"
    numeric_code = 5780


class Duplicate(GrowyError):
    """Something of that name exists already."""

    code = "DUPLICATE"
    numeric_code = 5208
    http_status = 409


class GpioConflict(GrowyError):
    """A pin, a label, a bus address or a ROM code that another part of the device has already."""

    code = "GPIO_CONFLICT"
    numeric_code = 5208
    http_status = 409


class TooLargeForDevice(GrowyError):
    """A message that the device would drop without a word. Nothing was sent."""

    code = "PAYLOAD_TOO_LARGE"
    numeric_code = 4031
    http_status = 400


class ConfigTooLarge(TooLargeForDevice):
    """A sensor, an actuator or a list of offline rules that no config message can hold; `details` has the budget."""

    code = "CONFIG_TOO_LARGE"


class DeviceError(GrowyError):
    """A device cannot do, or did not do, what was asked of it."""

    code = "ESP_COMMAND_FAILED"
    numeric_code = 5008
    http_status = 409


class DeviceOffline(DeviceError):
    """The device is not there. Nothing was sent."""

    code = "DEVICE_OFFLINE"
    numeric_code = 5414


class DeviceNotReady(DeviceError):
    """The device is there, but its session has only just begun, or it refuses growyd's answers. Nothing was sent."""

    code = "DEVICE_NOT_READY"
    numeric_code = 5418


class DeviceNotApproved(DeviceError):
    """The device waits for approval, was rejected or deleted. Nothing was sent."""

    code = "DEVICE_NOT_APPROVED"
    numeric_code = 5405
    http_status = 403


class DeviceRefused(DeviceError):
    """The device answered that it will not; `details` has its reason."""

    code = "DEVICE_REFUSED"


class DeviceSilent(DeviceError):
    """The device did not answer in time. It may have done what was asked."""

    code = "GATEWAY_TIMEOUT"
    numeric_code = 5403
    http_status = 504


class NotSupported(DeviceError):
    """No firmware can do this; growyd does not pretend."""

    code = "COMMAND_NOT_SUPPORTED"
    numeric_code = 5417
    http_status = 501


class Invalid(GrowyError):
    """A request's value is wrong."""

    code = "VALIDATION_ERROR"
    numeric_code = 5205
    http_status = 400


class SafetyRefused(DeviceError):
    """The safety gate said no. Nothing was sent; `details["refusal"]` is the gate's own code."""

    code = "SAFETY_REJECTED"
    numeric_code = 5426
    http_status = 409


class RuleNotFound(NotFound):
    code = "RULE_NOT_FOUND"
    numeric_code = 5700


class RuleInvalid(GrowyError):
    """A rule that growyd could not run as it reads. `details["faults"]` has one line per fault, with its path."""

    code = "RULE_VALIDATION_FAILED"
    numeric_code = 5701
    http_status = 400


class RuleConflict(RuleInvalid):
    """A rule that fights another one, or itself, for certain."""

    code = "RULE_CONFLICT"
    numeric_code = 5702
    http_status = 409


class Unauthorized(GrowyError):
    """Nobody knows who asks: no credentials, or none that count."""

    code = "INVALID_TOKEN"
    numeric_code = 5408
    http_status = 401


class TokenExpired(Unauthorized):
    """A token that was good once. Refresh it, or log in again."""

    code = "TOKEN_EXPIRED"
    numeric_code = 5407


class InvalidCredentials(Unauthorized):
    """Name and password do not belong together. Which of them is wrong is not said."""

    code = "INVALID_CREDENTIALS"
    numeric_code = 5406


class TooManyAttempts(GrowyError):
    """Somebody tried too often. `details["retry_after_s"]` says when to try again."""

    code = "RATE_LIMIT_EXCEEDED"
    numeric_code = 5419
    http_status = 429


class AccessDenied(GrowyError):
    """It is known who asks, and that they may not. `details["role"]` is the role that could."""

    code = "FORBIDDEN"
    numeric_code = 5409
    http_status = 403


class PortInUse(GrowyError):
    """A port that growyd was told to listen on is taken."""

    code = "PORT_IN_USE"
    numeric_code = 5006
