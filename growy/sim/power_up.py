"""What the firmware's setup makes of the flash: sensors, actuators, rules and subzones come back to life, each
through the same door as a push. Pure.

Ten sensors at most come back; a DS18B20 that does not answer stays away; what is in flash without an I²C address gets
the chip's default in RAM and a second entry in flash. Drivers start at `default_state`, not inverted.
"""

from __future__ import annotations

import attrs

from growy.sim import actuator_setup, sensor_setup
from growy.sim.board import Attached, Board, BoardReply, Ctx, Generation, Nvs, Replies, SystemState
from growy.sim.readiness import at_boot


def powered(
    esp_id: str,
    nvs: Nvs,
    attached: Attached,
    ctx: Ctx,
    *,
    generation: Generation = Generation.APR_2026,
    production: bool = False,
) -> tuple[Board, Replies]:
    """A board just switched on. Of the replies only the lifecycle event can be heard: there is no connection yet, the
    statuses of the drivers are lost."""
    board = Board(
        esp_id=esp_id,
        attached=attached,
        generation=generation,
        production=production,
        nvs=nvs,
        kaiser_id=nvs.kaiser_id,
        rules=nvs.offline_rules,
        rule_warmup=(0,) * len(nvs.offline_rules),
        subzone_pins={subzone.subzone_id: subzone.gpios for subzone in nvs.subzones},
    )
    replies: list[BoardReply] = []
    for sensor in nvs.sensors[: sensor_setup.RESTORED_AT_BOOT]:
        # The ROM code comes back only for the exact name.
        rom = sensor.onewire_address if sensor.sensor_type == "ds18b20" else ""
        board, _, errors = sensor_setup.configure(board, attrs.evolve(sensor, onewire_address=rom))
        replies += errors
    if generation is Generation.APR_2026:
        # Firmware of 2025-12 keeps its actuators in flash and does not load them.
        for config in nvs.actuators:
            board, _, said = actuator_setup.configure(board, config, ctx)
            replies += said
    if not nvs.wifi_configured:
        return attrs.evolve(board, state=SystemState.SAFE_MODE_PROVISIONING), tuple(replies)
    if generation is Generation.DEC_2025:
        return attrs.evolve(board, state=SystemState.OPERATIONAL), tuple(replies)
    board, events = at_boot(board, ctx)
    return board, (*replies, *events)
