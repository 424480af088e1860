"""What the boards can do and which sensors the firmware can read: tables, and questions to them. Knows no device.

Two builds of the firmware are in the field. Each has its own list of pins that it lets be used; what is not on it the
device refuses, so growyd refuses it first and says why.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from growy.model.errors import Invalid
from growy.model.reading import Bus
from growy.wire.limits import WROOM_PINS, XIAO_PINS

ADC_BLIND = "is on the second ADC, which the WiFi needs: it would read 0"


@attrs.frozen(kw_only=True)
class Board:
    """A kind of ESP32 board, with the firmware's build for it."""

    name: str
    """As `hardware_type` says it."""
    safe: frozenset[int]
    """Pins that the firmware lets be used."""
    system: Mapping[int, str]
    """Pins that something else needs, and what."""
    input_only: frozenset[int]
    adc1: frozenset[int]
    """Safe pins that can be read as analogue values."""
    adc2: frozenset[int]
    """Pins whose analogue value is 0 while the WiFi is up, that is always."""
    sda: int
    scl: int
    moves_at_boot: frozenset[int]
    """Safe pins that have a level of the chip's own for a moment at every boot, before any program runs."""
    max_sensors: int
    max_actuators: int

    @property
    def i2c_pins(self) -> frozenset[int]:
        return frozenset({self.sda, self.scl})

    def why_not(self, gpio: int) -> str | None:
        """Why a pin cannot be used for a sensor or an actuator of any kind; None if it can.

        The rest of a sentence that begins with the pin: `is the flash memory's`.
        """
        if gpio in self.system:
            return self.system[gpio]
        if gpio not in self.safe:
            return f"is no pin that the firmware uses on {self.name}"
        if gpio in self.i2c_pins:
            return f"belongs to the I²C bus (SDA {self.sda}, SCL {self.scl})"
        return None


_FLASH = "belongs to the flash memory"
_ABSENT = "does not exist on this chip"

WROOM = Board(
    name="ESP32_WROOM",
    safe=WROOM_PINS,
    system={
        0: "decides how the chip boots (BOOT button)",
        1: "is the serial port (TX)",
        2: "decides how the chip boots (and has the LED)",
        3: "is the serial port (RX)",
        **dict.fromkeys(range(6, 12), _FLASH),
        12: "decides the voltage of the flash memory at boot",
        13: "is kept by the firmware",
        **dict.fromkeys((20, 24, 28, 29, 30, 31), _ABSENT),
        **dict.fromkeys((37, 38), "is not led out of the module"),
    },
    input_only=frozenset({34, 35, 36, 39}),
    adc1=frozenset({32, 33, 34, 35, 36, 39}),
    adc2=frozenset({0, 2, 4, 12, 13, 14, 15, 25, 26, 27}),
    sda=21,
    scl=22,
    moves_at_boot=frozenset({5, 14, 15}),
    max_sensors=20,
    max_actuators=12,
)

XIAO = Board(
    name="XIAO_ESP32_C3",
    safe=XIAO_PINS,
    system={
        0: "is kept by the firmware",
        1: "is kept by the firmware",
        3: "is kept by the firmware",
        **dict.fromkeys(range(11, 18), _FLASH),
        18: "is the USB port (D-)",
        19: "is the USB port (D+)",
        20: "is the serial port (RX)",
    },
    input_only=frozenset(),
    adc1=frozenset({2}),  # of 0-4 the firmware keeps 0, 1 and 3, and 4 is SDA
    adc2=frozenset({5}),
    sda=4,
    scl=5,
    moves_at_boot=frozenset({8, 9, 21}),
    max_sensors=10,
    max_actuators=6,
)

BOARDS = {board.name: board for board in (WROOM, XIAO)}
_BY_NAME = {
    **BOARDS,
    "ESP32": WROOM,
    "ESP32_DEV": WROOM,
    "ESP32_WROOM_32": WROOM,
    "XIAO_ESP32C3": XIAO,
}


def board_of(hardware_type: str) -> Board:
    """The board of that name, in whatever case; a mock device is built like a WROOM.

    Raises:
        Invalid: no board of that name is known.
    """
    name = hardware_type.strip().upper().replace("-", "_")
    if name.startswith("MOCK"):
        return WROOM
    try:
        return _BY_NAME[name]
    except KeyError:
        raise Invalid(
            f"hardware type {hardware_type!r:.60} is not known",
            cure=f"One of {', '.join(BOARDS)}, or MOCK",
        ) from None


@attrs.frozen(kw_only=True)
class Family:
    """Sensors that the firmware reads in one way."""

    base: str
    """What the device is told as `sensor_type`."""
    bus: Bus
    values: tuple[str, ...]
    """What it publishes as `sensor_type`: an entry for a chip publishes all its values."""
    addresses: tuple[int, ...] = ()
    """I²C: those that the chip can have, the one it comes with first."""
    doubt: str = ""
    """What a grower must know before believing its values."""
    known: bool = True
    """Whether the firmware has a name for it."""


_UNCOMPENSATED = (
    "the firmware publishes the raw words of a {chip} and never reads its trimming values: no temperature, pressure or "
    "humidity can be made of them"
)

_FAMILIES = (
    Family(base="sht31", bus=Bus.I2C, values=("sht31_temp", "sht31_humidity"), addresses=(0x44, 0x45)),
    Family(
        base="bmp280",
        bus=Bus.I2C,
        values=("bmp280_pressure", "bmp280_temp"),
        addresses=(0x76, 0x77),
        doubt=_UNCOMPENSATED.format(chip="BMP280"),
    ),
    Family(
        base="bme280",
        bus=Bus.I2C,
        values=("bme280_pressure", "bme280_temp", "bme280_humidity"),
        addresses=(0x76, 0x77),
        doubt=_UNCOMPENSATED.format(chip="BME280"),
    ),
    Family(base="ds18b20", bus=Bus.ONEWIRE, values=("ds18b20",)),
    Family(base="ph", bus=Bus.GPIO, values=("ph",)),
    Family(base="ec", bus=Bus.GPIO, values=("ec",)),
    Family(base="moisture", bus=Bus.GPIO, values=("moisture",)),
)
FAMILIES = {family.base: family for family in _FAMILIES}
ANALOG_UNJUDGED = frozenset({"ph", "ec", "moisture"})
"""What the device itself cannot judge, because the calibration is on the Pi: its offline rules do not work with it."""

_QUANTITIES = {"temp": "temperature", "humidity": "humidity", "pressure": "pressure"}
_BASE = {
    "temperature_ds18b20": "ds18b20",
    "ph_sensor": "ph",
    "ec_sensor": "ec",
    "soil_moisture": "moisture",
    **{
        name: family.base
        for family in _FAMILIES
        if family.bus is Bus.I2C
        for short, quantity in _QUANTITIES.items()
        if f"{family.base}_{short}" in family.values
        for name in (f"{family.base}_{short}", f"{family.base}_{quantity}", f"{quantity}_{family.base}")
    },
}

_I2C = "the firmware has no driver for this I²C chip; it would read the analogue value of a pin instead"
_DIGITAL = "the firmware reads no digital, serial or counted inputs; it would read the analogue value of a pin instead"
_NO_DRIVER = {
    **dict.fromkeys(
        (
            *("bh1750", "tsl2561", "tsl2591", "veml7700", "scd30", "scd40", "scd41", "sgp30", "ccs811"),
            *("aht10", "aht20", "sht20", "sht21", "sht40", "htu21", "bme680", "bmp180", "ads1115", "ina219"),
        ),
        _I2C,
    ),
    **dict.fromkeys(
        ("dht11", "dht22", "am2302", "mhz19", "mhz19b", "flow", "yfs201", "hcsr04", "counter", "pulse"),
        _DIGITAL,
    ),
}


def base_type(sensor_type: str) -> str:
    """What the device is to be told for a sensor type: the chip, not one of its values, in lower case.

    `sht31_temp` and `temperature_sht31` are `sht31`, `temperature_ds18b20` is `ds18b20` (under the long name the
    firmware forgets the ROM code at its next reboot), `soil_moisture` is `moisture`. Others stay what they are.
    """
    name = sensor_type.strip().lower()
    return _BASE.get(name, name)


def no_driver(sensor_type: str) -> str | None:
    """Why the firmware cannot read such a sensor, though it would take it and publish something; None if it can."""
    name = base_type(sensor_type)
    return _NO_DRIVER.get(name) or _NO_DRIVER.get(name.partition("_")[0])


def family_of(sensor_type: str) -> Family:
    """How the firmware reads such a sensor. What it does not know it reads as an analogue pin."""
    base = base_type(sensor_type)
    known = FAMILIES.get(base)
    if known is not None:
        return known
    return Family(
        base=base,
        bus=Bus.GPIO,
        values=(base,),
        doubt=f"the firmware does not know {base}: it reads the analogue value of the pin, 0 to 4095",
        known=False,
    )
