"""How a virtual ESP32 comes up: what the firmware's setup makes of the flash. Pure.

Only the flash goes in; a reboot forgets everything else, the emergency latch too.
"""

from __future__ import annotations

import attrs

from growy.sim.board import Board
from growy.sim.drivers import begin
from growy.sim.flash import Generation, Nvs, SystemState
from growy.sim.measuring import measures_itself
from growy.sim.payload import boot_sequence_id
from growy.sim.sensor_types import is_onewire
from growy.sim.spec import EspSpec
from growy.sim.state import DIAGNOSTICS_S, NEVER, SETUP_S, STABLE_S, STATUS_S, Beat, EspState

SENSORS_RESTORED = 10
"""The loader's array has ten places; what else is in the flash stays there."""
RULES_RESTORED = 8


def boot(spec: EspSpec, now: float, nvs: Nvs | None = None, *, reset_reason: str = "POWERON") -> EspState:
    """A device that has just been switched on. Every sensor is due in its first loop.

    Args:
        nvs: its flash; None: as it was delivered.
    """
    nvs = spec.flash if nvs is None else nvs
    landed = state_after_boot(nvs, spec.generation)
    nvs = attrs.evolve(nvs, boot_count=nvs.boot_count + 1, system_state=landed)
    board = _restored(spec, nvs, landed)
    start = now + SETUP_S
    return EspState(
        spec=spec,
        board=board,
        boot_at=now,
        boot_id=boot_sequence_id(spec.esp_id, nvs.boot_count, reset_reason),
        boot_count=nvs.boot_count,
        reset_reason=reset_reason,
        beats=tuple(Beat(s, start if measures_itself(s) else NEVER) for s in board.sensors),
        status_at=start + STATUS_S,
        diagnostics_at=now + DIAGNOSTICS_S,
        stable_at=now + STABLE_S,
    )


def state_after_boot(nvs: Nvs, generation: Generation) -> SystemState:
    """Where setup ends. Anything configured, but not both a sensor and an actuator: it waits for the rest."""
    if not nvs.wifi_configured:
        return SystemState.SAFE_MODE_PROVISIONING
    if generation is Generation.DEC_2025:
        return SystemState.OPERATIONAL
    configured = nvs.sensors or nvs.actuators or nvs.offline_rules
    if configured and not (nvs.sensors and nvs.actuators):
        return SystemState.CONFIG_PENDING_AFTER_RESET
    return SystemState.OPERATIONAL if nvs.approved else SystemState.PENDING_APPROVAL


def _restored(spec: EspSpec, nvs: Nvs, landed: SystemState) -> Board:
    sensors = nvs.sensors[:SENSORS_RESTORED]
    # Firmware of 2025-12 stores its actuators and does not load them.
    actuators = () if spec.generation is Generation.DEC_2025 else nvs.actuators
    return Board(
        esp_id=spec.esp_id,
        attached=spec.attached,
        generation=spec.generation,
        production=spec.production,
        nvs=nvs,
        kaiser_id=nvs.kaiser_id,
        state=landed,
        sensors=sensors,
        actuators=tuple(begin(config, 0) for config in actuators),
        onewire_pin=next((s.gpio for s in sensors if is_onewire(s.sensor_type)), None),
        rules=nvs.offline_rules[:RULES_RESTORED],
        subzone_pins={subzone.subzone_id: subzone.gpios for subzone in nvs.subzones},
    )
