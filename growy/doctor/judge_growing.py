"""Judges what grows depend on: devices, sensors, actuators, rules, emergency stops. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from growy.doctor.facts import ControlFacts, FleetFacts, SensorsFacts, Stale
from growy.doctor.verdict import Finding, amber, green, red, some, span

SKEW_S = 30.0
"""A heartbeat is seconds on its way at most, and says whole seconds."""


def control(facts: ControlFacts) -> Iterator[Finding]:
    """Safety first: what is stopped, what is not guarded, what cannot act."""
    yield from _stops(facts)
    yield from _actuators(facts)
    for one in facts.faulty:
        yield red(
            "rules",
            "rule_faulty",
            f"The rule {one.rule} cannot run: {one.reason}",
            f"growyd rules show {one.rule!r}",
        )
    for one in facts.degraded:
        yield amber(
            "rules",
            "rule_degraded",
            f"The rule {one.rule} cannot do its work: {one.reason}",
            f"growyd rules show {one.rule!r}",
        )
    if facts.rules and not facts.faulty and not facts.degraded:
        yield green("rules", "rule_degraded", f"{facts.rules} rules can do their work")


def _stops(facts: ControlFacts) -> Iterator[Finding]:
    if facts.not_durable:
        yield red(
            "safety",
            "stop_not_durable",
            f"{facts.not_durable} emergency stops are not on disk: a restart would forget them",
            "Do not restart growyd; make room or mend the disk (see store)",
        )
    if facts.stops:
        unproven = f"; not proven by {some(facts.unproven)}" if facts.unproven else ""
        yield red(
            "safety",
            "emergency_stop",
            f"Emergency stop in force: {some(facts.stops)}{unproven}",
            "When it is safe: growyd clear-stop"
            + ("; what has not proven it, switch off by hand" if facts.unproven else ""),
        )
    else:
        yield green("safety", "emergency_stop", "No emergency stop is in force")


def _actuators(facts: ControlFacts) -> Iterator[Finding]:
    if facts.unknown:
        yield amber(
            "actuators",
            "actuator_unknown",
            f"Nobody knows whether these are on: {some(facts.unknown)}",
            "growyd actuators says why; look at them",
        )
    if facts.unguarded:
        yield amber(
            "actuators",
            "actuator_unguarded",
            f"Neither a longest run of their own nor an interlock: {some(facts.unguarded)}. "
            f"They may run for {span(facts.default_run_s)} at a time",
            "Set max_runtime_seconds on them, or [control] max_runtime; growyd interlocks add",
        )
    elif facts.actuators:
        yield green(
            "actuators", "actuator_unguarded", f"All {facts.actuators} have a longest run or an interlock"
        )


def fleet(facts: FleetFacts) -> Iterator[Finding]:
    """The ESP32s."""
    if facts.offline:
        yield amber(
            "devices",
            "devices_offline",
            f"{len(facts.offline)} of {facts.devices} devices are not there: {some(facts.offline)}",
            "Power and WiFi of the device; growyd devices show ESP; gone for good: growyd devices delete ESP",
        )
    elif facts.devices:
        yield green("devices", "devices_offline", f"All {facts.devices} devices are there")
    else:
        yield amber(
            "devices",
            "no_devices",
            "No device has ever been heard",
            "They must publish to this broker, under kaiser/{[node] kaiser_id}/",
        )
    if facts.pending:
        yield amber(
            "devices",
            "devices_pending",
            f"Waiting for approval: {some(facts.pending)}",
            "growyd devices approve ESP (or reject)",
        )
    if facts.in_error:
        yield red(
            "devices",
            "devices_in_error",
            f"In their error state: {some(facts.in_error)}",
            "growyd devices show ESP; growyd events --device ESP",
        )
    if facts.flapping:
        yield amber(
            "devices",
            "devices_flapping",
            f"Lose their connection again and again: {some(facts.flapping)}",
            "WiFi at that place (growyd devices show ESP: signal), power supply of the device",
        )
    if facts.unconfigured:
        yield amber(
            "devices",
            "devices_unconfigured",
            f"Could not be configured: {some(facts.unconfigured)}",
            "growyd devices config ESP says what and why",
        )
    skewed = [one for one in facts.clocks if abs(one.seconds) > SKEW_S]
    if skewed:
        said = [
            f"{one.esp_id} {span(abs(one.seconds))} {'ahead' if one.seconds > 0 else 'behind'}"
            for one in skewed
        ]
        yield amber(
            "devices",
            "devices_skewed",
            f"Clocks differ from ours: {some(said)}. Readings keep their times up to five minutes ahead",
            "NTP on the device's network; the Pi's own clock, if all differ alike",
        )
    elif facts.clocks:
        yield green("devices", "devices_skewed", f"The clocks of {len(facts.clocks)} devices agree with ours")


def sensors(facts: SensorsFacts) -> Iterator[Finding]:
    """Sensors and their libraries."""
    needed = [one for one in facts.stale if one.rules]
    idle = [one for one in facts.stale if not one.rules]
    if needed:
        yield red(
            "sensors",
            "sensor_stale_in_rule",
            f"Rules depend on sensors that are silent: {some([_silent(one) for one in needed])}",
            "Cable and power of the sensor; growyd devices measure ESP GPIO",
        )
    if idle:
        yield amber(
            "sensors",
            "sensor_stale",
            f"Silent: {some([_silent(one) for one in idle])}",
            "Cable and power of the sensor; growyd devices measure ESP GPIO",
        )
    if facts.sensors and not facts.stale:
        yield green("sensors", "sensor_stale", f"All {facts.sensors} values are measured in time")
    if facts.set_aside:
        yield red(
            "libraries",
            "library_set_aside",
            f"Set aside after failing too often: {some(facts.set_aside)}. Their readings have no value",
            "growyd sensors list says why; then growyd sensors reload",
        )
    if facts.broken:
        yield amber(
            "libraries",
            "library_broken",
            f"The newest file is not in use: {some(facts.broken)}",
            "growyd sensors list says why",
        )
    if not facts.set_aside and not facts.broken:
        yield green("libraries", "library_set_aside", "All sensor libraries work")


def _silent(one: Stale) -> str:
    age = "never heard" if one.age_s is None else f"for {span(one.age_s)}"
    used = f", in {some(one.rules, 2)}" if one.rules else ""
    return f"{one.sensor} ({age}{used})"
