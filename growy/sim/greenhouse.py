"""A small greenhouse: air, water vapour, CO2, substrate and a nutrient tank, integrated over simulated time.

Pure: `advance(state, parameters, inputs, seconds) -> state`; the same arguments give the same result on
every machine. It exists so that simulated readings hang together (sun up, air warm, humidity down, lamps
on, CO2 eaten); it must never be taken for a design tool, and it knows nothing of sensors, ESP32s or MQTT.

The model is the usual one-node balance of greenhouse texts: heat through cover, air exchange, sun and
latent heat; vapour from the crop and through the vents; CO2 by assimilation and air exchange. Units are in
the names: `_c` °C, `_gm3` g/m³, `_wm2` W/m², `_ppm`, `_pct` %, `_l` litres, `_s` seconds.
"""

from __future__ import annotations

import enum
import math

import attrs
from attrs import validators as v

DAY_S = 86_400.0
STEP_S = 15.0
"""Longest Euler step. The fastest time constant is the vapour with vents full open, about 100 s."""
AIR_HEAT_J = 1_206.0
"""Heat capacity of a cubic metre of air, J/(m³ K)."""
EVAPORATION_J = 2_450.0
"""Latent heat of water, J/g."""
PPM_G = 1.83e-3
"""Grams of CO2 that make one ppm in a cubic metre of air at 20 °C."""
SUNLIGHT_LM_PER_W = 110.0
"""Luminous efficacy of daylight, lm/W."""
_CLOUD_KNOT_S = 1_200.0
_MASK = (1 << 64) - 1


_FRACTION = (v.ge(0.0), v.le(1.0))


class Role(enum.StrEnum):
    """What an actuator does to the house: the fields of `Inputs`."""

    HEATER = "heater"
    VENT = "vent"
    """Opens, or blows: what matters is how much air it exchanges."""
    PUMP = "pump"
    LAMP = "lamp"


@attrs.frozen(kw_only=True)
class Inputs:
    """What actuators do, each 0 (off, shut) to 1 (full)."""

    heater: float = attrs.field(default=0.0, validator=_FRACTION)
    vent: float = attrs.field(default=0.0, validator=_FRACTION)
    pump: float = attrs.field(default=0.0, validator=_FRACTION)
    lamp: float = attrs.field(default=0.0, validator=_FRACTION)


@attrs.frozen(kw_only=True)
class Parameters:
    """The house and its weather. The defaults are a 20 m² polycarbonate house in a mild spring."""

    seed: int = 0
    """Weather seed: decides the clouds."""
    floor_m2: float = 20.0
    volume_m3: float = 50.0
    heat_capacity_j_per_k: float = 400_000.0
    """Air, fabric and leaves together."""
    cover_w_per_k: float = 240.0
    """60 m² of cover at 4 W/(m² K)."""
    transmission: float = 0.6
    """Share of the sun that comes through the cover."""
    leak_per_h: float = 0.5
    """Air changes per hour with the vents shut."""
    vent_per_h: float = 30.0
    """Air changes per hour with the vents full open."""
    heater_w: float = 3_000.0
    lamp_w: float = 1_200.0
    lamp_lux: float = 25_000.0
    pump_l_per_min: float = 6.0
    substrate_l: float = 400.0
    """Water the substrate holds between 0 and 100 % moisture, litres."""
    tank_l: float = 200.0
    """Nutrient tank, kept full with plain water by a float valve."""
    outside_mean_c: float = 14.0
    outside_swing_c: float = 6.0
    outside_dew_point_c: float = 8.0
    outside_co2_ppm: float = 425.0
    sun_peak_wm2: float = 800.0


@attrs.frozen(kw_only=True)
class Outside:
    """Weather at one moment."""

    temperature_c: float
    vapour_gm3: float
    sun_wm2: float
    cloud: float
    """0 clear, 1 overcast."""


@attrs.frozen(kw_only=True)
class GreenhouseState:
    """Everything the house remembers."""

    time_s: float
    """Simulated seconds since the midnight of day 0."""
    air_c: float = 19.0
    vapour_gm3: float = 11.0
    root_c: float = 18.5
    moisture_pct: float = 58.0
    """Relative wetness of the substrate, 0 air-dry, 100 saturated."""
    co2_ppm: float = 450.0
    tank_c: float = 18.5
    ph: float = 5.9
    ec_us_cm: float = 1_600.0
    """Conductivity of the nutrient solution at 25 °C."""
    light_lux: float = 0.0
    """At canopy height."""
    flow_l_per_min: float = 0.0

    @property
    def humidity_pct(self) -> float:
        """Relative humidity, 0 to 100."""
        return min(100.0, max(0.0, 100.0 * self.vapour_gm3 / saturation_gm3(self.air_c)))

    @property
    def hour(self) -> float:
        """Hour of the simulated day, 0 to 24."""
        return self.time_s % DAY_S / 3_600.0


def saturation_gm3(temperature_c: float) -> float:
    """Water vapour that air of this temperature can hold, g/m³ (Tetens, FAO-56 eq. 11, and the gas law)."""
    pressure_kpa = 0.6108 * math.exp(17.27 * temperature_c / (temperature_c + 237.3))
    return 2_166.9 * pressure_kpa / (temperature_c + 273.15)


def _unit_noise(seed: int, knot: int) -> float:
    """0..1 from two integers (splitmix64): the same on every machine, cheaper than seeding a generator."""
    x = (knot * 0x9E3779B97F4A7C15 + seed * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return (x ^ (x >> 31)) / 2.0**64


def outside(time_s: float, parameters: Parameters) -> Outside:
    """Weather at a simulated time: sun from 6 to 18 h, warmest at 15 h, clouds that change in 20 minutes."""
    hour = time_s % DAY_S / 3_600.0
    knot, part = divmod(time_s / _CLOUD_KNOT_S, 1.0)
    smooth = part * part * (3.0 - 2.0 * part)
    before = _unit_noise(parameters.seed, int(knot))
    cloud = before + (_unit_noise(parameters.seed, int(knot) + 1) - before) * smooth
    clear_sky = parameters.sun_peak_wm2 * max(0.0, math.sin(math.pi * (hour - 6.0) / 12.0))
    swing = parameters.outside_swing_c * math.cos(2.0 * math.pi * (hour - 15.0) / 24.0)
    temperature_c = parameters.outside_mean_c + swing
    vapour = min(saturation_gm3(parameters.outside_dew_point_c), saturation_gm3(temperature_c))
    return Outside(
        temperature_c=temperature_c, vapour_gm3=vapour, sun_wm2=clear_sky * (1.0 - 0.75 * cloud), cloud=cloud
    )


def routine(state: GreenhouseState) -> Inputs:
    """What the mechanical thermostats and timers of an ordinary house do while nobody controls it.

    Proportional vents from 24 °C, heater below 16 °C, lamps morning and evening, two minutes of drip
    irrigation every half hour of the day while the substrate is below 70 %.
    """
    hour = state.hour
    dripping = 6.0 <= hour < 20.0 and hour % 0.5 < 2.0 / 60.0 and state.moisture_pct < 70.0
    return Inputs(
        heater=min(1.0, max(0.0, (16.0 - state.air_c) / 2.0)),
        vent=min(1.0, max(0.0, (state.air_c - 24.0) / 4.0)),
        pump=1.0 if dripping else 0.0,
        lamp=1.0 if 5.0 <= hour < 8.0 or 17.0 <= hour < 20.0 else 0.0,
    )


def advance(
    state: GreenhouseState, parameters: Parameters, inputs: Inputs, seconds: float
) -> GreenhouseState:
    """The house after `seconds` of simulated time with constant inputs.

    Raises:
        ValueError: `seconds` is negative or not finite: time does not run backwards here.
    """
    if not (math.isfinite(seconds) and seconds >= 0.0):
        raise ValueError(f"seconds must be finite and not negative, is {seconds}")
    steps = math.ceil(seconds / STEP_S)
    for _ in range(steps):
        state = _step(state, parameters, inputs, seconds / steps)
    return state


def _step(state: GreenhouseState, p: Parameters, inputs: Inputs, dt: float) -> GreenhouseState:
    weather = outside(state.time_s, p)
    sun_wm2 = weather.sun_wm2 * p.transmission
    light_lux = sun_wm2 * SUNLIGHT_LM_PER_W + inputs.lamp * p.lamp_lux
    brightness = min(1.0, light_lux / 50_000.0)
    changes_per_s = (p.leak_per_h + p.vent_per_h * inputs.vent) / 3_600.0

    # Stomata open with light and close when the substrate is nearly dry; the driving force is the vapour
    # deficit.
    watered = min(1.0, state.moisture_pct / 20.0)
    deficit = max(0.0, saturation_gm3(state.air_c) - state.vapour_gm3)
    transpired_g_s = p.floor_m2 * (0.0004 + 0.0035 * brightness) * deficit * watered
    # The cover is about as warm as the mean of both sides: at night it is where the water goes.
    cover_c = (state.air_c + weather.temperature_c) / 2.0
    condensed_g_s = p.volume_m3 * 0.002 * max(0.0, state.vapour_gm3 - saturation_gm3(cover_c))

    exchange_w_per_k = p.volume_m3 * AIR_HEAT_J * changes_per_s
    heat_w = (
        sun_wm2 * p.floor_m2 * 0.55
        + inputs.lamp * p.lamp_w
        + inputs.heater * p.heater_w
        + (condensed_g_s - transpired_g_s) * EVAPORATION_J * 0.5
        - (p.cover_w_per_k + exchange_w_per_k) * (state.air_c - weather.temperature_c)
    )
    air_c = state.air_c + heat_w / p.heat_capacity_j_per_k * dt
    vapour = state.vapour_gm3 + dt * (
        (transpired_g_s - condensed_g_s) / p.volume_m3
        - changes_per_s * (state.vapour_gm3 - weather.vapour_gm3)
    )

    # 3 g CO2 per m² and hour in full light, half of it at 300 ppm; 0.3 g respired day and night.
    assimilated_g_s = p.floor_m2 * 3.0 / 3_600.0 * brightness * 1.5 * state.co2_ppm / (state.co2_ppm + 300.0)
    respired_g_s = p.floor_m2 * 0.3 / 3_600.0
    co2 = state.co2_ppm + dt * (
        (respired_g_s - assimilated_g_s) / (PPM_G * p.volume_m3)
        - changes_per_s * (state.co2_ppm - p.outside_co2_ppm)
    )

    flow_l_per_min = inputs.pump * p.pump_l_per_min
    pumped_l = flow_l_per_min * dt / 60.0
    drained_pct = max(0.0, state.moisture_pct - 85.0) * dt / 1_800.0
    moisture = (
        state.moisture_pct + 100.0 * (pumped_l - transpired_g_s * dt / 1_000.0) / p.substrate_l - drained_pct
    )
    # What the pump takes out the float valve replaces with plain water of about EC 300; left alone, uptake
    # of nitrate lifts pH.
    refilled = pumped_l / p.tank_l
    return GreenhouseState(
        time_s=state.time_s + dt,
        air_c=air_c,
        vapour_gm3=min(saturation_gm3(air_c), max(0.5, vapour)),
        root_c=state.root_c + (state.air_c - state.root_c) * dt / 10_800.0,
        moisture_pct=min(100.0, max(0.0, moisture)),
        co2_ppm=max(50.0, co2),
        tank_c=state.tank_c + (state.air_c - state.tank_c) * dt / 28_800.0,
        ph=state.ph + (6.9 - state.ph) * (dt / (10.0 * DAY_S) + 0.2 * refilled),
        ec_us_cm=state.ec_us_cm * (1.0 + 0.01 * dt / DAY_S) - (state.ec_us_cm - 300.0) * 0.2 * refilled,
        light_lux=light_lux,
        flow_l_per_min=flow_l_per_min,
    )
