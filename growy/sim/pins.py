"""Which pins a board has, what they can do and who holds them. Pure look-ups; the pins of an ESP32 DevKit.

Only pins of the safe list can be requested at all. A pin has one holder, except a OneWire bus, which its sensors
share.
"""

from __future__ import annotations

from growy.sim.board import NO_PIN, ActuatorConfig, Board
from growy.sim.sensor_types import is_i2c, is_onewire

SAFE_PINS = frozenset((4, 5, 14, 15, 16, 17, 18, 19, 21, 22, 23, 25, 26, 27, 32, 33, 34, 35, 36, 39))
RESERVED_PINS = frozenset((0, 1, 2, 3, 12, 13))
"""Boot strapping, UART and flash."""
INPUT_ONLY_PINS = frozenset((34, 35, 36, 39))
I2C_PINS = {21: "I2C_SDA", 22: "I2C_SCL"}


def valve_enable_pin(config: ActuatorConfig) -> int:
    """The second pin of a motor valve: its `aux_gpio`, else the pin after the first."""
    return config.aux_gpio if config.aux_gpio != NO_PIN else (config.gpio + 1) % 256


def holder(board: Board, gpio: int) -> tuple[str, str]:
    """Who holds a pin and under which name; two empty strings while it is free."""
    if gpio in I2C_PINS:
        return "system", I2C_PINS[gpio]
    for output in board.actuators:
        config = output.config
        if gpio == config.gpio or (config.actuator_type == "valve" and gpio == valve_enable_pin(config)):
            return "actuator", config.actuator_name
    if gpio == board.onewire_pin and not board.onewire_released:
        return f"bus/onewire/{gpio}", "OneWireBus"
    for sensor in board.sensors:
        if sensor.gpio == gpio and not is_i2c(sensor.sensor_type) and not is_onewire(sensor.sensor_type):
            return "sensor", sensor.sensor_name
    return "", ""


def can_be_requested(board: Board, gpio: int) -> bool:
    return gpio in SAFE_PINS and not holder(board, gpio)[0]
