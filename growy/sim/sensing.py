"""From the greenhouse to the integer on the wire: noise, the sensor's transfer function, quantisation, the
firmware's preview.

Pure but for the generator that is handed in. The transfer functions are the inverse of the datasheets', so
that a right library gets the greenhouse back within the sensor's noise. Never a conversion of growyd's own:
that would test the libraries with themselves.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

import attrs

from growy.sim.flash import SensorConfig
from growy.sim.greenhouse import GreenhouseState
from growy.sim.spec import SensorKind, SensorSpec

ADC_MAX = 4095
ADC_VOLTS = 3.3
ADC2_PINS = frozenset((0, 2, 4, 12, 13, 14, 15, 25, 26, 27))
"""Read 0 while WiFi is up."""
SHT31_TYPES = frozenset(("sht31", "sht31_temp", "sht31_humidity", "temperature_sht31", "humidity_sht31"))
SHT31_DEFAULT_ADDRESS = 0x44
DS18B20_TYPES = frozenset(("ds18b20", "temperature_ds18b20"))
PUBLISHED_AS = {"ph_sensor": "ph", "ec_sensor": "ec", "soil_moisture": "moisture"}
"""Aliases of analog types; every other unknown type is published as it was configured."""


@attrs.frozen(slots=True)
class Sample:
    """One value of one measurement, before it is a message."""

    sensor_type: str
    raw: int
    value: float
    """The firmware's uncalibrated preview."""
    unit: str
    """Unit of the preview: °C, % or the word raw."""
    quality: str
    """good or suspect; the firmware never publishes anything else."""
    truth: float
    """What the sensor saw, noise included: what a right conversion gives back within its resolution."""
    truth_unit: str


def read(
    config: SensorConfig, fitted: Iterable[SensorSpec], house: GreenhouseState, rng: random.Random
) -> tuple[Sample, ...]:
    """Read what a configuration names from what is really there.

    A bus device that does not answer gives nothing: the read fails. A pin always gives a number, of whatever
    hangs on it, under the type that the configuration claims.
    """
    if config.sensor_type in SHT31_TYPES:
        address = config.i2c_address or SHT31_DEFAULT_ADDRESS
        chip = next((s for s in fitted if s.kind is SensorKind.SHT31 and s.i2c_address == address), None)
        return () if chip is None else measure(chip, house, rng)
    if config.sensor_type in DS18B20_TYPES:
        rom = config.onewire_address.upper()
        probe = next((s for s in fitted if s.onewire_address == rom and s.gpio == config.gpio), None)
        return () if probe is None else measure(probe, house, rng)
    sensor_type = PUBLISHED_AS.get(config.sensor_type, config.sensor_type)
    there = next((s for s in fitted if s.gpio == config.gpio and s.kind is not SensorKind.DS18B20), None)
    if there is None and config.sensor_type == SensorKind.BH1750:
        return ()
    if there is None or there.kind is SensorKind.SHT31:
        # An open input picks up hum.
        raw = 0 if config.gpio in ADC2_PINS else rng.randint(0, 400)
        return (_count_of_adc(sensor_type, raw),)
    (sample,) = measure(there, house, rng)
    return (attrs.evolve(sample, sensor_type=sensor_type),)


def measure(sensor: SensorSpec, house: GreenhouseState, rng: random.Random) -> tuple[Sample, ...]:
    """Read one sensor: one sample, two from an SHT31 (temperature, then humidity)."""
    bias = sensor.bias
    match sensor.kind:
        case SensorKind.SHT31:
            return _sht31(
                house.air_c + bias + rng.gauss(0.0, 0.05),
                house.humidity_pct - 3.0 * bias + rng.gauss(0.0, 0.3),
            )
        case SensorKind.DS18B20:
            return (
                _ds18b20((house.tank_c if sensor.in_tank else house.root_c) + bias + rng.gauss(0.0, 0.05)),
            )
        case SensorKind.PH:
            ph = house.ph + bias + rng.gauss(0.0, 0.01)
            # DFRobot SEN0161-V2: 1500 mV at pH 7, 2032.44 mV at pH 4.
            return (_adc("ph", 1.5 + (7.0 - ph) * 0.53244 / 3.0, ph, "pH"),)
        case SensorKind.EC:
            ec25 = max(0.0, house.ec_us_cm + bias + rng.gauss(0.0, 5.0))
            # DFRobot DFR0300, K = 1: 6097.6 µS/cm per volt; the solution conducts 2 % more per kelvin above
            # 25 °C.
            return (_adc("ec", ec25 * (1.0 + 0.02 * (house.tank_c - 25.0)) / 6_097.6, ec25, "µS/cm"),)
        case SensorKind.MOISTURE:
            wet = min(100.0, max(0.0, house.moisture_pct + bias + rng.gauss(0.0, 0.3)))
            # Capacitive probe: 3200 counts in air, 1500 in water.
            return (_adc("moisture", (3_200.0 - 17.0 * wet) * ADC_VOLTS / ADC_MAX, wet, "%"),)
        case SensorKind.MHZ19_CO2:
            ppm = min(5_000.0, max(0.0, house.co2_ppm + bias + rng.gauss(0.0, 4.0)))
            return (_count("mhz19_co2", ppm, ppm, "ppm"),)
        case SensorKind.BH1750:
            lux = min(54_612.0, max(0.0, house.light_lux + (bias if house.light_lux > 1_000.0 else 0.0)))
            lux *= 1.0 + rng.gauss(0.0, 0.002)
            return (_count("bh1750", min(65_535.0, lux * 1.2), lux, "lux"),)
        case SensorKind.FLOW:
            # YF-S201: 7.5 pulses per second for each litre per minute, counted over one second.
            flow = max(0.0, house.flow_l_per_min * (1.0 + rng.gauss(0.0, 0.02)) + bias)
            return (_count("flow", flow * 7.5, flow, "L/min"),)


def _sht31(temperature_c: float, humidity_pct: float) -> tuple[Sample, ...]:
    humidity_pct = min(100.0, max(0.0, humidity_pct))
    t_raw = min(65_535, max(0, round((temperature_c + 45.0) / 175.0 * 65_535.0)))
    h_raw = round(humidity_pct / 100.0 * 65_535.0)
    return (
        Sample("sht31_temp", t_raw, 175.0 * t_raw / 65_535.0 - 45.0, "°C", "good", temperature_c, "°C"),
        Sample("sht31_humidity", h_raw, 100.0 * h_raw / 65_535.0, "%", "good", humidity_pct, "%RH"),
    )


def _ds18b20(temperature_c: float) -> Sample:
    raw = min(2_047, max(-2_031, round(temperature_c * 16.0)))
    quality = "good" if -880 <= raw <= 2_000 else "suspect"
    return Sample("ds18b20", raw, raw * 0.0625, "°C", quality, temperature_c, "°C")


def _adc(sensor_type: str, volts: float, truth: float, unit: str) -> Sample:
    """12 bits at 11 dB attenuation, idealised: linear to 3.3 V, as an uncalibrated conversion assumes."""
    raw = min(ADC_MAX, max(0, round(volts / ADC_VOLTS * ADC_MAX)))
    return attrs.evolve(_count_of_adc(sensor_type, raw), truth=truth, truth_unit=unit)


def _count_of_adc(sensor_type: str, raw: int) -> Sample:
    quality = "suspect" if raw < 50 or raw > 4_045 else "good"
    return Sample(sensor_type, raw, float(raw), "raw", quality, float(raw), "raw")


def _count(sensor_type: str, count: float, truth: float, unit: str) -> Sample:
    raw = round(count)
    return Sample(sensor_type, raw, float(raw), "raw", "good", truth, unit)
