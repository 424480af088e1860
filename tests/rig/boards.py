"""A virtual board on the bench: made, pushed to, read. For the tests of `growy.sim`'s board part."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import attrs

from growy.sim.board import Attached, Board, BoardReply, Ctx, Generation, Intent, Outcome, Reply, SystemState
from growy.sim.config_apply import apply
from growy.sim.spec import ds18b20_rom

ROM = ds18b20_rom(0x1234)
OTHER_ROM = ds18b20_rom(0x5678)
NOW = 1_767_225_600
"""2026-01-01 00:00 UTC, a Thursday."""
ATTACHED = Attached(i2c={0x44: "sht31", 0x45: "sht31", 0x76: "bmp280"}, onewire={4: (ROM, OTHER_ROM)})

T = TypeVar("T")


def board(**changes: Any) -> Board:
    """An approved board in a zone, with nothing configured."""
    made = Board(esp_id="ESP_00A001", attached=ATTACHED, state=SystemState.OPERATIONAL)
    nvs = attrs.evolve(made.nvs, approved=True, zone_id="house", master_zone_id="farm")
    return attrs.evolve(made, **{"nvs": nvs, **changes})


def old_board(**changes: Any) -> Board:
    return board(generation=Generation.DEC_2025, **changes)


def ctx(uptime_s: float = 100.0, **changes: Any) -> Ctx:
    return Ctx(
        **{"ts": NOW, "uptime_ms": int(uptime_s * 1000), "boot_sequence_id": "ESP_00A001-b1-r1", **changes}
    )


def intent(name: str = "c-1", **changes: Any) -> Intent:
    return Intent(**{"intent_id": name, "correlation_id": name, **changes})


def encoded(document: object) -> bytes:
    """Compact, as the actuator's text scan needs it."""
    return document if isinstance(document, bytes) else json.dumps(document, separators=(",", ":")).encode()


def push(on: Board, document: object, **changes: Any) -> tuple[Board, tuple[BoardReply, ...]]:
    return apply(on, encoded(document), intent(**changes), ctx())


def of(replies: tuple[BoardReply, ...], kind: type[T]) -> list[T]:
    return [reply for reply in replies if isinstance(reply, kind)]


def bodies(replies: tuple[BoardReply, ...], tail: str = "") -> list[dict[str, Any]]:
    """What was published, parsed; on one topic, or all. Control characters stand unescaped, as the firmware leaves
    them."""
    return [
        json.loads(r.body(7), strict=False) for r in of(replies, Reply) if not tail or r.topic_tail == tail
    ]


def ended(replies: tuple[BoardReply, ...]) -> tuple[str, str]:
    """Outcome and code of the last outcome."""
    last = of(replies, Outcome)[-1]
    return last.outcome, last.code


def sensor(gpio: int = 34, kind: str = "moisture", **fields: Any) -> dict[str, Any]:
    return {"gpio": gpio, "sensor_type": kind, "sensor_name": f"{kind} {gpio}", **fields}


def sht31(address: int = 0x44, label: int | None = None, **fields: Any) -> dict[str, Any]:
    return sensor(address if label is None else label, "sht31", i2c_address=address, **fields)


def ds18b20(rom: str = ROM, gpio: int = 4, **fields: Any) -> dict[str, Any]:
    return sensor(gpio, "ds18b20", onewire_address=rom, **fields)


def actuator(gpio: int = 18, kind: str = "relay", **fields: Any) -> dict[str, Any]:
    return {"gpio": gpio, "actuator_type": kind, "actuator_name": f"{kind} {gpio}", **fields}


def configured(
    *actuators: dict[str, Any], rules: list[dict[str, Any]] | None = None, **changes: Any
) -> Board:
    """A board with an SHT31 on label 68 and these actuators."""
    document: dict[str, Any] = {"sensors": [sht31()], "actuators": list(actuators or (actuator(),))}
    if rules is not None:
        document["offline_rules"] = rules
    made, replies = push(board(**changes), document)
    assert ended(replies) == ("persisted", "NONE")
    return made
