"""Groups of errors that endpoints have in common, beside those of every endpoint. Values only."""

from __future__ import annotations

from growy.model.errors import (
    ActuatorNotFound,
    CalibrationError,
    ConfigTooLarge,
    ConversionError,
    DeviceError,
    DeviceNotApproved,
    DeviceNotReady,
    DeviceOffline,
    DeviceRefused,
    DeviceSilent,
    Duplicate,
    EspNotFound,
    GpioConflict,
    NotSupported,
    PublishExpired,
    PublishFailed,
    RuleConflict,
    RuleInvalid,
    RuleNotFound,
    SensorNotFound,
    SubzoneNotFound,
    TooLargeForDevice,
    ZoneNotFound,
)

DEVICE = (EspNotFound,)
TOLD = (
    EspNotFound,
    DeviceError,
    DeviceNotApproved,
    DeviceNotReady,
    DeviceOffline,
    DeviceRefused,
    DeviceSilent,
    NotSupported,
    PublishExpired,
    PublishFailed,
    TooLargeForDevice,
)
"""A device is told something, and answers or not."""
SET_UP = (EspNotFound, DeviceNotApproved, GpioConflict, ConfigTooLarge, TooLargeForDevice)
"""Something is set up on a device."""
SENSOR = (EspNotFound, SensorNotFound)
ACTUATOR = (EspNotFound, ActuatorNotFound)
ZONE = (ZoneNotFound,)
SUBZONE = (EspNotFound, SubzoneNotFound)
RULE = (RuleNotFound,)
WRITTEN_RULE = (RuleInvalid, RuleConflict, Duplicate)
CONVERTED = (ConversionError, CalibrationError)
