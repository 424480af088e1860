"""What a virtual ESP32 is: its identity, its place, what hangs on its pins and what stands in its flash when it
is first switched on. Plain values, checked when made; no behaviour, no I/O.

`default_fleet` is the greenhouse of the demo. Limits and spellings are the firmware's: lower-case types,
`ESP_` and six to eight hex digits, one gpio label per sensor (only DS18B20s share a wire), characters that
need no JSON escaping because the firmware does not escape.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attrs
from attrs import validators as v

from growy.sim.faults import WRONG_TOKEN, Faults
from growy.sim.flash import ActuatorConfig, Attached, Generation, Nvs, SensorConfig, Subzone, Variant
from growy.sim.greenhouse import Role

SAFE_ADC_PINS = frozenset((32, 33, 34, 35, 36, 39))
"""ADC1: the pins of ADC2 read 0 while WiFi is up."""
ONEWIRE_PIN = 4
BH1750_ADDRESS = 0x5C
"""ADDR pin high. The other address, 0x23, would be gpio label 35, which is an ADC pin."""
_WORD = r"[A-Za-z0-9_.:-]*"


class SensorKind(enum.StrEnum):
    """Sensor families, spelled as the device publishes them (an SHT31 publishes two types)."""

    SHT31 = "sht31"
    DS18B20 = "ds18b20"
    PH = "ph"
    EC = "ec"
    MOISTURE = "moisture"
    MHZ19_CO2 = "mhz19_co2"
    BH1750 = "bh1750"
    FLOW = "flow"

    @property
    def on_i2c(self) -> bool:
        return self in (SensorKind.SHT31, SensorKind.BH1750)

    @property
    def on_adc(self) -> bool:
        return self in (SensorKind.PH, SensorKind.EC, SensorKind.MOISTURE)


def onewire_crc(data: bytes) -> int:
    """CRC-8 of 1-Wire ROM codes, x⁸+x⁵+x⁴+1, least significant bit first (Maxim application note 27)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x8C if crc & 1 else crc >> 1
    return crc


def ds18b20_rom(serial: int) -> str:
    """ROM code of a DS18B20 by its 48-bit serial number: family 0x28, serial, CRC; 16 upper-case digits."""
    body = bytes((0x28,)) + serial.to_bytes(6, "little")
    return (body + bytes((onewire_crc(body),))).hex().upper()


def _valid_rom(_: object, __: object, rom: str | None) -> None:
    if rom is None:
        return
    data = bytes.fromhex(rom)
    if len(data) != 8 or onewire_crc(data[:7]) != data[7]:
        raise ValueError(f"{rom} is not a 1-Wire ROM code: 16 hex digits of which the last two are the CRC")


@attrs.frozen(kw_only=True)
class SensorSpec:
    """One sensor that hangs on a device, and how its configuration names it."""

    kind: SensorKind
    gpio: int = attrs.field(validator=[v.ge(0), v.le(254)])
    """Pin, or for I²C the label, which is the address."""
    interval_s: float = attrs.field(default=30.0, validator=v.gt(0.0))
    """The firmware allows 1 to 300; shorter ones are a load test, not a device."""
    subzone_id: str = attrs.field(default="", validator=v.matches_re(_WORD))
    i2c_address: int | None = attrs.field(default=None, validator=v.optional([v.ge(1), v.le(127)]))
    onewire_address: str | None = attrs.field(default=None, validator=_valid_rom)
    in_tank: bool = False
    """A thermometer that hangs in the nutrient tank instead of the root zone."""
    bias: float = 0.0
    """How far this specimen, or its place in the house, is off, in units of the quantity."""

    def __attrs_post_init__(self) -> None:
        if self.kind.on_i2c and self.i2c_address is None:
            raise ValueError(f"{self.kind} on gpio {self.gpio} needs its i2c_address")
        if self.kind is SensorKind.DS18B20 and self.onewire_address is None:
            raise ValueError(f"{self.kind} on gpio {self.gpio} needs its onewire_address")
        if self.kind.on_adc and self.gpio not in SAFE_ADC_PINS:
            raise ValueError(
                f"{self.kind} on gpio {self.gpio}: analog sensors need one of {sorted(SAFE_ADC_PINS)}"
            )

    def configured(self, name: str) -> SensorConfig:
        """Its entry in the device's flash."""
        return SensorConfig(
            gpio=self.gpio,
            sensor_type=str(self.kind),
            sensor_name=name,
            subzone_id=self.subzone_id,
            onewire_address=self.onewire_address or "",
            i2c_address=self.i2c_address or 0,
            interval_s=self.interval_s,
        )


@attrs.frozen(kw_only=True)
class EspSpec:
    """One device."""

    esp_id: str = attrs.field(validator=v.matches_re(r"ESP_[0-9A-F]{6,8}"))
    name: str
    zone_id: str = attrs.field(default="", validator=v.matches_re(_WORD))
    master_zone_id: str = attrs.field(default="", validator=v.matches_re(_WORD))
    kaiser_id: str = attrs.field(default="god", validator=v.matches_re(r"[A-Za-z0-9_-]{1,63}"))
    sensors: tuple[SensorSpec, ...] = ()
    actuators: tuple[ActuatorConfig, ...] = ()
    plant: Mapping[int, Role] = attrs.field(factory=dict, hash=False)
    """Pin -> what hangs on it and moves the greenhouse, once the device has an actuator on that pin."""
    generation: Generation = Generation.APR_2026
    variant: Variant = Variant.DEV
    production: bool = False
    """An `esp32_prod` build: no emergency stop without a stored token."""
    approved: bool = False
    """A server has approved it before."""
    virgin: bool = False
    """Fresh from provisioning: sensors and actuators hang on its pins, but its flash knows of none, nor of a
    zone."""
    faults: Faults = attrs.field(factory=Faults)
    gate: bool = True
    """Hold sensor data back until the server has answered a heartbeat, as firmware since 2026-04 does."""
    wifi_ip: str = "192.168.4.20"
    wifi_rssi: int = -58

    def __attrs_post_init__(self) -> None:
        pins = [sensor.gpio for sensor in self.sensors if sensor.kind is not SensorKind.DS18B20]
        wires = {sensor.gpio for sensor in self.sensors if sensor.kind is SensorKind.DS18B20}
        roms = [sensor.onewire_address for sensor in self.sensors if sensor.onewire_address]
        if len(set(pins)) < len(pins) or wires & set(pins) or len(wires) > 1 or len(set(roms)) < len(roms):
            raise ValueError(
                f"{self.esp_id}: every sensor needs a gpio label of its own; "
                "only DS18B20s share one wire, by different ROM codes"
            )

    @property
    def attached(self) -> Attached:
        """What is physically there."""
        wires: dict[int, tuple[str, ...]] = {}
        for sensor in self.sensors:
            if sensor.onewire_address is not None:
                wires[sensor.gpio] = (*wires.get(sensor.gpio, ()), sensor.onewire_address)
        chips = {s.i2c_address: str(s.kind) for s in self.sensors if s.i2c_address is not None}
        return Attached(variant=self.variant, i2c=chips, onewire=wires)

    @property
    def flash(self) -> Nvs:
        """What stands in its flash before the first boot."""
        tokens = WRONG_TOKEN if self.faults.wrong_token else ""
        if self.virgin:
            return Nvs(
                kaiser_id=self.kaiser_id,
                approved=self.approved,
                emergency_token=tokens,
                broadcast_token=tokens,
            )
        return Nvs(
            approved=self.approved,
            zone_id=self.zone_id,
            master_zone_id=self.master_zone_id,
            kaiser_id=self.kaiser_id,
            subzones=self._subzones(),
            sensors=tuple(sensor.configured(f"{self.name} {sensor.kind}") for sensor in self.sensors),
            actuators=self.actuators,
            emergency_token=tokens,
            broadcast_token=tokens,
        )

    def _subzones(self) -> tuple[Subzone, ...]:
        pins: dict[str, set[int]] = {}
        # An I²C label is no pin, and a subzone has pins.
        wired = [(s.subzone_id, s.gpio) for s in self.sensors if not s.kind.on_i2c]
        for subzone_id, gpio in (*wired, *((a.subzone_id, a.gpio) for a in self.actuators)):
            if subzone_id:
                pins.setdefault(subzone_id, set()).add(gpio)
        return tuple(
            Subzone(
                subzone_id=subzone_id,
                subzone_name=subzone_id,
                parent_zone_id=self.zone_id,
                gpios=tuple(sorted(gpios)),
                safe_mode_active=False,
            )
            for subzone_id, gpios in sorted(pins.items())
        )


_Sensors: TypeAlias = tuple[tuple[SensorKind, int], ...]
_Actuators: TypeAlias = tuple[tuple[str, str, int, Role | None], ...]
_BENCHES: tuple[tuple[str, str, _Sensors, _Actuators], ...] = (
    (
        "Propagation bench",
        "propagation",
        ((SensorKind.SHT31, 0x44), (SensorKind.DS18B20, 4), (SensorKind.MOISTURE, 34)),
        (("pump", "Mist", 18, None), ("relay", "Heat mat", 19, None)),
    ),
    (
        "Bench A",
        "bench_a",
        ((SensorKind.SHT31, 0x44), (SensorKind.MOISTURE, 34), (SensorKind.MOISTURE, 35)),
        (("relay", "Vent", 18, Role.VENT), ("pump", "Watering", 19, Role.PUMP)),
    ),
    (
        "Bench B",
        "bench_b",
        (
            (SensorKind.SHT31, 0x44),
            (SensorKind.DS18B20, 4),
            (SensorKind.DS18B20, 4),
            (SensorKind.MOISTURE, 34),
        ),
        (("relay", "Heating", 18, Role.HEATER), ("pump", "Watering", 19, Role.PUMP)),
    ),
    (
        "Nutrient tank",
        "tank",
        ((SensorKind.PH, 34), (SensorKind.EC, 35), (SensorKind.DS18B20, 4), (SensorKind.FLOW, 27)),
        (("pump", "Acid", 18, None), ("pump", "Nutrients", 19, None), ("relay", "Circulation", 23, None)),
    ),
    (
        "Canopy",
        "canopy",
        (
            (SensorKind.SHT31, 0x44),
            (SensorKind.SHT31, 0x45),
            (SensorKind.MHZ19_CO2, 16),
            (SensorKind.BH1750, BH1750_ADDRESS),
        ),
        (("relay", "Lamps", 18, Role.LAMP), ("pwm", "Fan", 19, Role.VENT)),
    ),
    (
        "Drip line",
        "drip",
        (
            (SensorKind.MOISTURE, 32),
            (SensorKind.MOISTURE, 33),
            (SensorKind.FLOW, 27),
            (SensorKind.BH1750, BH1750_ADDRESS),
        ),
        (("pump", "Drip pump", 18, Role.PUMP),),
    ),
)
"""Six devices that together have every sensor family; a larger fleet is more such greenhouses."""
_SPREAD = {
    SensorKind.SHT31: 0.4,
    SensorKind.DS18B20: 0.5,
    SensorKind.PH: 0.05,
    SensorKind.EC: 40.0,
    SensorKind.MOISTURE: 6.0,
    SensorKind.MHZ19_CO2: 25.0,
    SensorKind.BH1750: 400.0,
    SensorKind.FLOW: 0.0,
}
_INTERVALS = {SensorKind.FLOW: 10.0, SensorKind.PH: 60.0, SensorKind.EC: 60.0, SensorKind.MOISTURE: 60.0}
FIRST_ID = 0x00A001


def default_fleet(esps: int, seed: int = 0) -> list[EspSpec]:
    """`esps` devices in greenhouses of six, `ESP_00A001` upwards; the same seed gives the same devices.

    Raises:
        ValueError: fewer than 1 or more than 10,000 devices.
    """
    if not 1 <= esps <= 10_000:
        raise ValueError(f"a simulated fleet has 1 to 10000 devices, not {esps}")
    return [_bench(number, random.Random(f"{seed}:{number}")) for number in range(esps)]


def _bench(number: int, rng: random.Random) -> EspSpec:
    house, place = divmod(number, len(_BENCHES))
    name, subzone, kinds, outputs = _BENCHES[place]
    return EspSpec(
        esp_id=f"ESP_{FIRST_ID + number:06X}",
        name=name if house == 0 else f"{name} {house + 1}",
        zone_id=f"greenhouse_{house + 1}",
        master_zone_id="greenhouse",
        sensors=_sensors(kinds, number, subzone, rng),
        actuators=tuple(
            ActuatorConfig(gpio=gpio, actuator_type=kind, actuator_name=what, subzone_id=subzone)
            for kind, what, gpio, _ in outputs
        ),
        plant={gpio: role for _, _, gpio, role in outputs if role is not None},
        wifi_ip=f"10.0.{number // 200}.{20 + number % 200}",
        wifi_rssi=rng.randint(-74, -45),
    )


def _sensors(
    kinds: Sequence[tuple[SensorKind, int]], number: int, subzone: str, rng: random.Random
) -> tuple[SensorSpec, ...]:
    return tuple(
        SensorSpec(
            kind=kind,
            gpio=gpio,
            interval_s=_INTERVALS.get(kind, 30.0),
            subzone_id=subzone,
            i2c_address=gpio if kind.on_i2c else None,
            onewire_address=ds18b20_rom((number << 16 | index << 8 | 0x5A) + (0x1E64 << 32))
            if kind is SensorKind.DS18B20
            else None,
            in_tank=subzone == "tank",
            bias=round(rng.uniform(-1.0, 1.0) * _SPREAD[kind], 3),
        )
        for index, (kind, gpio) in enumerate(kinds)
    )
