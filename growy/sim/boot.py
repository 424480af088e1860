"""How a virtual ESP32 comes up: the board from its flash, the session from nothing. Pure.

Only the flash goes in; a reset forgets everything else, the emergency latch too.
"""

from __future__ import annotations

import attrs

from growy.sim.board import Board, Ctx, Lifecycle, Replies, Reply, TrackedError
from growy.sim.flash import Generation, Nvs, SensorConfig
from growy.sim.measuring import measures_itself
from growy.sim.payload import boot_sequence_id
from growy.sim.power_up import powered
from growy.sim.sensor_setup import RESTORED_AT_BOOT
from growy.sim.spec import EspSpec, SensorKind
from growy.sim.state import DIAGNOSTICS_S, NEVER, SETUP_S, STABLE_S, STATUS_S, Beat, EspState


def boot(spec: EspSpec, now: float, nvs: Nvs | None = None, *, reset_reason: str = "POWERON") -> EspState:
    """A device that has just been switched on. Every sensor is due in its first loop.

    Args:
        nvs: its flash; None: as it was delivered.
        reset_reason: one of `payload.RESET_REASONS`.
    """
    nvs = spec.flash if nvs is None else nvs
    nvs = attrs.evolve(nvs, boot_count=nvs.boot_count + 1)
    boot_id = boot_sequence_id(spec.esp_id, nvs.boot_count, reset_reason)
    board, replies = powered(
        spec.esp_id,
        nvs,
        spec.attached,
        Ctx(ts=0, uptime_ms=0, boot_sequence_id=boot_id),
        generation=spec.generation,
        production=spec.production,
    )
    board = _with_the_driverless(board, nvs, spec)
    if spec.generation is not Generation.DEC_2025:
        board = attrs.evolve(board, nvs=attrs.evolve(board.nvs, system_state=board.state))
    seq, backlog = _said(replies)
    start = now + SETUP_S
    return EspState(
        spec=spec,
        board=attrs.evolve(board, sensor_due=frozenset()),
        boot_at=now,
        boot_id=boot_id,
        reset_reason=reset_reason,
        seq=seq,
        beats=tuple(Beat(s, start if measures_itself(s) else NEVER) for s in board.sensors),
        error_count=sum(isinstance(reply, TrackedError) for reply in replies),
        backlog=backlog,
        status_at=start + STATUS_S,
        diagnostics_at=now + DIAGNOSTICS_S,
        stable_at=now + STABLE_S,
    )


def _said(replies: Replies) -> tuple[int, tuple[bytes, ...]]:
    """How many numbers the setup has used up, and the events that wait for the first connection. All else is lost:
    there is no connection yet."""
    seq, backlog = 0, []
    for reply in replies:
        said = reply.reply if isinstance(reply, Lifecycle) else reply
        if isinstance(said, Reply) and said.numbered:
            seq += 1
            if isinstance(reply, Lifecycle):
                backlog.append(said.body(seq))
    return seq, tuple(backlog)


def _with_the_driverless(board: Board, nvs: Nvs, spec: EspSpec) -> Board:
    """Bring back light sensors, for which the firmware has no driver and would take their label for a pin: the
    simulated greenhouse has them all the same."""
    have = {(s.gpio, s.i2c_address) for s in board.sensors}
    fitted = {s.gpio for s in spec.sensors if s.kind is SensorKind.BH1750}

    def missing(sensor: SensorConfig) -> bool:
        return (
            sensor.sensor_type == SensorKind.BH1750
            and sensor.gpio in fitted
            and (sensor.gpio, sensor.i2c_address) not in have
        )

    return attrs.evolve(
        board, sensors=(*board.sensors, *(s for s in nvs.sensors[:RESTORED_AT_BOOT] if missing(s)))
    )
