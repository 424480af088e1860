"""When sensors are read, and what becomes of the readings. Works on a turn.

A device measures in every state and keeps nothing for later: without a broker, or before the server has answered,
a reading is lost.
"""

from __future__ import annotations

import attrs

from growy.sim import payload
from growy.sim.board import CachedValue, TrackedError
from growy.sim.events import DroppedAtGate, DroppedOffline, Measure, PublishReading
from growy.sim.flash import SensorConfig
from growy.sim.sensing import Sample
from growy.sim.sensor_setup import I2C_DEVICE_NOT_FOUND
from growy.sim.sensor_types import is_i2c, is_onewire, known
from growy.sim.state import HTTP_FAILURES, NEVER, Beat, EspState
from growy.sim.turn import Turn

FAILURES = 10
"""In a row; then the sensor is only probed."""
PROBE_S = 300.0
DS18B20_FAULT = 1060
INTERVAL_2025_S = 5.0
"""One for all sensors, whatever is configured."""


def next_due(state: EspState) -> float:
    """When the next sensor is read."""
    return min((beat.due for beat in state.beats), default=NEVER)


def measures_itself(sensor: SensorConfig) -> bool:
    return sensor.operating_mode == "continuous"


def rearm(turn: Turn) -> None:
    """Follow a changed configuration: what a push touched is due at once, the rest keeps its beat."""
    board = turn.board
    kept = {_place(beat.sensor): beat for beat in turn.state.beats}
    beats = []
    for index, sensor in enumerate(board.sensors):
        old = kept.get(_place(sensor))
        if old is None or index in board.sensor_due:
            beats.append(Beat(sensor, turn.now if measures_itself(sensor) else NEVER))
        else:
            beats.append(attrs.evolve(old, sensor=sensor))
    turn.board = attrs.evolve(board, sensor_due=frozenset())
    turn.state = attrs.evolve(turn.state, beats=tuple(beats))


def _place(sensor: SensorConfig) -> tuple[int, str, int]:
    return sensor.gpio, sensor.onewire_address, sensor.i2c_address


def tick(turn: Turn) -> None:
    """Ask for the readings that are due."""
    if turn.now < next_due(turn.state):
        return
    beats = []
    for beat in turn.state.beats:
        if turn.now >= beat.due:
            turn.effects.append(Measure(_first_of(turn, beat.sensor)))
            interval_s = INTERVAL_2025_S if turn.state.old else beat.sensor.interval_s
            beat = attrs.evolve(beat, due=following(beat.due, interval_s, turn.now))  # noqa: PLW2901
        beats.append(beat)
    turn.state = attrs.evolve(turn.state, beats=tuple(beats))


def _first_of(turn: Turn, sensor: SensorConfig) -> SensorConfig:
    """Chips on the bus are looked up by their gpio label alone: the first with that label is what is read."""
    if not is_i2c(sensor.sensor_type):
        return sensor
    return next(s for s in turn.board.sensors if s.gpio == sensor.gpio)


def following(due: float, interval_s: float, now: float) -> float:
    """The next time on the sensor's own beat; a device that stood still skips what it missed."""
    return due + interval_s if due + interval_s > now else now + interval_s


def measured(turn: Turn, sensor: SensorConfig, samples: tuple[Sample, ...]) -> bool:
    """A read has ended: count failures, remember previews for the offline rules, publish. Whether all of it was
    sent."""
    _count(turn, sensor, failed=not samples)
    if not samples:
        _complain(turn, sensor)
    else:
        at_ms = turn.state.uptime_ms(turn.now)
        fresh = {(sensor.gpio, s.sensor_type): CachedValue(value=s.value, at_ms=at_ms) for s in samples}
        turn.board = attrs.evolve(turn.board, values={**turn.board.values, **fresh})
    if turn.state.old and not _given_up(turn):
        return False
    sent = [publish(turn, sensor, sample) for sample in samples]
    return bool(sent) and all(sent)


def _complain(turn: Turn, sensor: SensorConfig) -> None:
    """A bus device did not answer. There is no other word of it than `system/error`, throttled as all of them."""
    found = known(sensor.sensor_type)
    if is_onewire(sensor.sensor_type):
        message = f"DS18B20 fault (-127°C) on GPIO {sensor.gpio} ROM {sensor.onewire_address}"
        turn.error(TrackedError(DS18B20_FAULT, 2, message))
    elif found is not None and found.i2c_address:
        address = sensor.i2c_address or found.i2c_address
        turn.error(TrackedError(I2C_DEVICE_NOT_FOUND, 2, f"I2C device not found at 0x{address:02X}"))


def _given_up(turn: Turn) -> bool:
    """Firmware of 2025-12 asks the server's HTTP port what a number means, and publishes nothing while it has no
    answer; nobody answers here. After five failures it passes the numbers on as they are."""
    failures = turn.state.http_failures
    if failures >= HTTP_FAILURES:
        return True
    turn.state = attrs.evolve(turn.state, http_failures=failures + 1)
    return False


def _count(turn: Turn, sensor: SensorConfig, *, failed: bool) -> None:
    place = _place(sensor)
    beats = turn.state.beats
    for index, beat in enumerate(beats):
        if _place(beat.sensor) != place or (not failed and not beat.failures):
            continue
        failures = beat.failures + 1 if failed else 0
        due = turn.now + PROBE_S if failures >= FAILURES else beat.due
        changed = attrs.evolve(beat, failures=failures, due=due)
        turn.state = attrs.evolve(turn.state, beats=(*beats[:index], changed, *beats[index + 1 :]))
        return


def publish(turn: Turn, sensor: SensorConfig, sample: Sample) -> bool:
    """`sensor/{gpio}/data`; whether it was sent. A reading that cannot be sent takes no number."""
    state = turn.state
    if not state.session.connected:
        turn.effects.append(DroppedOffline())
        return False
    if not state.gate_open:
        turn.effects.append(DroppedAtGate())
        return False
    topic = turn.topic(f"sensor/{sensor.gpio}/data")
    if state.old:
        body = payload.sensor_data_2025(turn.board, sensor, sample, turn.ts)
        turn.effects.append(PublishReading(topic, body, 0, sensor, sample, qos=0, retain=True))
        return True
    seq = turn.next_seq()
    body = payload.sensor_data(turn.board, sensor, sample, seq, turn.ts)
    turn.effects.append(PublishReading(topic, body, seq, sensor, sample))
    return True
