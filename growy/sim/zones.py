"""Zones and subzones as the firmware takes them: `zone/assign`, `subzone/assign`, `subzone/remove`,
`subzone/safe`. Pure.

A field that is missing or null becomes the word null and is stored as such. Firmware of 2025-12 cannot remove a zone,
does not confirm the removal of a subzone and keeps silent about JSON it cannot read.
"""

from __future__ import annotations

import attrs

from growy.sim import arduino_json as aj
from growy.sim.arduino_json import JsonObject, ParseFailed
from growy.sim.board import (
    Board,
    BoardReply,
    Ctx,
    ForceHeartbeat,
    Intent,
    KaiserChanged,
    Outcome,
    Replies,
    Subzone,
    SystemState,
)
from growy.sim.payload_board import correlated, old, spoken, subzone_ack, zone_ack, zone_error
from growy.sim.pins import RESERVED_PINS, SAFE_PINS, holder
from growy.sim.readiness import entered

ZONE_POOL, ASSIGN_POOL, REMOVE_POOL, SAFE_POOL = 512, 1_024, 256, 512
REMOVED_WITH_THE_ZONE = 8
BUSY = "Config persistence lane busy; retry later"


def assign_zone(board: Board, payload: bytes, intent: Intent, ctx: Ctx) -> tuple[Board, Replies]:
    """`zone/assign`."""
    if ctx.lane_busy and not old(board):
        return board, (
            zone_error(board, BUSY, intent.correlation_id, ctx, "CONFIG_LANE_BUSY"),
            _failed("zone", intent, "CONFIG_LANE_BUSY", "Zone intent blocked: config lane busy"),
        )
    document = aj.parse(aj.c_text(payload), ZONE_POOL)
    if isinstance(document, ParseFailed):
        reason = f"Zone assignment JSON parse failed: {document.word}"
        ack = zone_error(
            board,
            f"Zone JSON parse failed: {document.word}",
            intent.correlation_id,
            ctx,
            "JSON_PARSE_ERROR",
        )
        return board, () if old(board) else (ack, _failed("zone", intent, "JSON_PARSE_ERROR", reason))
    root = aj.as_object(document)
    board, corr = _correlation(board, root, ctx)
    zone_id, master, name, kaiser = (
        aj.as_string(root.get(key)) for key in ("zone_id", "master_zone_id", "zone_name", "kaiser_id")
    )
    if not zone_id and not old(board):
        return _remove_zone(board, kaiser or "god", corr, ctx)
    kaiser = kaiser or "god"
    if not old(board) and not _zone_is_valid(zone_id, master, name, kaiser):
        return board, (zone_error(board, "Zone validation failed", corr, ctx),)
    before = board.kaiser_id
    nvs = attrs.evolve(board.nvs, zone_id=zone_id, master_zone_id=master, zone_name=name, kaiser_id=kaiser)
    board = attrs.evolve(board, nvs=nvs, kaiser_id=kaiser)
    moved: Replies = (KaiserChanged(before),) if kaiser != before else ()
    ack = zone_ack(board, "zone_assigned", zone_id, master, corr, ctx)
    board, changed = entered(board, SystemState.ZONE_CONFIGURED)
    return board, (*moved, ack, *changed, ForceHeartbeat())


def _remove_zone(board: Board, kaiser: str, corr: str, ctx: Ctx) -> tuple[Board, Replies]:
    for subzone in board.nvs.subzones[:REMOVED_WITH_THE_ZONE]:
        board = _without(board, subzone)
    # The prefix goes into flash and not into use: a wrong one shows after the next boot.
    nvs = attrs.evolve(board.nvs, zone_id="", master_zone_id="", zone_name="", kaiser_id=kaiser)
    board = attrs.evolve(board, nvs=nvs)
    ack = zone_ack(board, "zone_removed", "", "", corr, ctx)
    board, changed = entered(board, SystemState.PENDING_APPROVAL)
    return board, (ack, *changed, ForceHeartbeat())


def _zone_is_valid(zone_id: str, master: str, name: str, kaiser: str) -> bool:
    sizes = ((zone_id, 32), (master, 32), (name, 64), (kaiser, 63))
    if any(len(text.encode(errors="surrogateescape")) > limit for text, limit in sizes):
        return False
    return all(c.isascii() and (c.isalnum() or c in "_-") for c in zone_id)


def _correlation(board: Board, root: JsonObject, ctx: Ctx) -> tuple[Board, str]:
    sent = aj.as_string(root["correlation_id"]) if "correlation_id" in root else ""
    return correlated(board, ctx, sent)


def _failed(flow: str, intent: Intent, code: str, reason: str) -> Outcome:
    return Outcome(flow=flow, intent=intent, outcome="failed", code=code, reason=reason, retryable=True)


# --- subzones -------------------------------------------------------------------------------------


def _read(
    board: Board, payload: bytes, intent: Intent, ctx: Ctx, *, flow: str, pool: int, what: str
) -> JsonObject | Replies:
    """The document, or the refusal."""
    if ctx.lane_busy and not old(board):
        code, reason = "CONFIG_LANE_BUSY", "Subzone intent blocked: config lane busy"
        return (
            subzone_ack(
                board, "error", "unknown", intent.correlation_id, ctx, message=BUSY, reason_code=code
            ),
            _failed(flow, intent, code, reason),
        )
    document = aj.parse(aj.c_text(payload), pool)
    if not isinstance(document, ParseFailed):
        return aj.as_object(document)
    if old(board):
        if flow != "subzone_assign":
            return ()
        return (subzone_ack(board, "error", "", "", ctx, message="JSON parse failed"),)
    ack = subzone_ack(
        board,
        "error",
        "unknown",
        intent.correlation_id,
        ctx,
        message=f"JSON parse failed: {document.word}",
        reason_code="JSON_PARSE_ERROR",
    )
    return (
        ack,
        _failed(flow, intent, "JSON_PARSE_ERROR", f"Subzone {what} JSON parse failed: {document.word}"),
    )


def assign_subzone(board: Board, payload: bytes, intent: Intent, ctx: Ctx) -> tuple[Board, Replies]:
    """`subzone/assign`."""
    root = _read(board, payload, intent, ctx, flow="subzone_assign", pool=ASSIGN_POOL, what="assign")
    if isinstance(root, tuple):
        return board, root
    board, corr = _correlation(board, root, ctx)
    subzone_id = aj.as_string(root.get("subzone_id"))
    parent = aj.as_string(root.get("parent_zone_id"))
    listed = root.get("assigned_gpios")
    gpios = [_uint8(gpio) for gpio in listed] if isinstance(listed, list) else []
    safe_mode = root.get("safe_mode_active")
    subzone = Subzone(
        subzone_id=subzone_id,
        subzone_name=aj.as_string(root.get("subzone_name")),
        parent_zone_id=parent or board.nvs.zone_id,
        gpios=tuple(gpios),
        safe_mode_active=safe_mode if isinstance(safe_mode, bool) else True,
    )
    wrong = _refusal(board, subzone, parent)
    if not wrong:
        board, held = _hold(board, subzone)
        wrong = "" if held else "GPIO assignment failed"
    if wrong:
        return board, (subzone_ack(board, "error", subzone_id, corr, ctx, message=wrong),)
    if subzone.safe_mode_active:
        board, _ = _make_safe(board, subzone_id)
    board = _saved(board, subzone)
    return board, spoken(board, (subzone_ack(board, "subzone_assigned", subzone_id, corr, ctx),))


def _uint8(value: object) -> int:
    number = aj.cast_int(value)
    return number if 0 <= number <= 255 else 0


def _refusal(board: Board, subzone: Subzone, parent: str) -> str:
    if not subzone.subzone_id:
        return "subzone_id is required"
    if parent and parent != board.nvs.zone_id:
        return "parent_zone_id mismatch"
    if not board.nvs.zone_id:
        return "ESP zone not assigned"
    too_long = len(subzone.subzone_id.encode(errors="surrogateescape")) > 32
    if too_long or any(gpio not in SAFE_PINS | RESERVED_PINS for gpio in subzone.gpios):
        return "subzone config validation failed"
    return ""


def _hold(board: Board, subzone: Subzone) -> tuple[Board, bool]:
    """Give the pins to the subzone. When one cannot be had the others are let go, whoever held them."""
    pins = dict(board.subzone_pins)
    for gpio in subzone.gpios:
        owner = next((name for name, held in pins.items() if gpio in held), None)
        if gpio in RESERVED_PINS or owner not in (None, subzone.subzone_id):
            for other in subzone.gpios:
                if other != gpio:
                    pins = _let_go(pins, other)
            return attrs.evolve(board, subzone_pins=pins), False
        if owner is None:
            pins[subzone.subzone_id] = (*pins.get(subzone.subzone_id, ()), gpio)
    return attrs.evolve(board, subzone_pins=pins), True


def _let_go(pins: dict[str, tuple[int, ...]], gpio: int) -> dict[str, tuple[int, ...]]:
    left = {name: tuple(pin for pin in held if pin != gpio) for name, held in pins.items()}
    return {name: held for name, held in left.items() if held}


def _make_safe(board: Board, subzone_id: str) -> tuple[Board, bool]:
    """Pins of the subzone become inputs with a pull-up, those of actuators excepted; False when it has none."""
    pins = board.subzone_pins.get(subzone_id, ())
    harmless = {pin for pin in pins if holder(board, pin)[0] != "actuator"}
    return attrs.evolve(board, safe_gpios=board.safe_gpios | harmless), bool(pins)


def _saved(board: Board, subzone: Subzone) -> Board:
    others = board.nvs.subzones
    known = any(other.subzone_id == subzone.subzone_id for other in others)
    subzones = (
        tuple(subzone if other.subzone_id == subzone.subzone_id else other for other in others)
        if known
        else (*others, subzone)
    )
    return attrs.evolve(board, nvs=attrs.evolve(board.nvs, subzones=subzones))


def _without(board: Board, subzone: Subzone) -> Board:
    pins = dict(board.subzone_pins)
    for gpio in subzone.gpios:
        pins = _let_go(pins, gpio)
    left = tuple(other for other in board.nvs.subzones if other.subzone_id != subzone.subzone_id)
    return attrs.evolve(board, subzone_pins=pins, nvs=attrs.evolve(board.nvs, subzones=left))


def _named(
    board: Board, root: JsonObject, corr: str, ctx: Ctx
) -> tuple[Subzone | None, tuple[BoardReply, ...]]:
    """The stored subzone that a document names, or the refusal."""
    subzone_id = aj.as_string(root.get("subzone_id"))
    stored = next((s for s in board.nvs.subzones if s.subzone_id == subzone_id), None)
    if stored is not None:
        return stored, ()
    if old(board):
        return None, ()
    if not subzone_id:
        refusal = subzone_ack(
            board,
            "error",
            "unknown",
            corr,
            ctx,
            message="subzone_id is required",
            reason_code="VALIDATION_ERROR",
        )
    else:
        refusal = subzone_ack(
            board,
            "error",
            subzone_id,
            corr,
            ctx,
            message="subzone not found",
            reason_code="SUBZONE_NOT_FOUND",
        )
    return None, (refusal,)


def remove_subzone(board: Board, payload: bytes, intent: Intent, ctx: Ctx) -> tuple[Board, Replies]:
    """`subzone/remove`."""
    root = _read(board, payload, intent, ctx, flow="subzone_remove", pool=REMOVE_POOL, what="remove")
    if isinstance(root, tuple):
        return board, root
    board, corr = _correlation(board, root, ctx)
    subzone, refusal = _named(board, root, corr, ctx)
    if subzone is None:
        return board, refusal
    board = _without(board, subzone)
    if old(board):
        return board, ()
    return board, (subzone_ack(board, "subzone_removed", subzone.subzone_id, corr, ctx),)


def switch_safe_mode(board: Board, payload: bytes, intent: Intent, ctx: Ctx) -> tuple[Board, Replies]:
    """`subzone/safe`. Success is silent."""
    root = _read(board, payload, intent, ctx, flow="subzone_safe", pool=SAFE_POOL, what="safe-mode")
    if isinstance(root, tuple):
        return board, root
    board, corr = _correlation(board, root, ctx)
    subzone, refusal = _named(board, root, corr, ctx)
    if subzone is None:
        return board, refusal
    enable = aj.as_string(root.get("action")) == "enable"
    safe_mode = root.get("safe_mode")
    if enable or (isinstance(safe_mode, bool) and safe_mode):
        board, done = _make_safe(board, subzone.subzone_id)
        return (_saved(board, attrs.evolve(subzone, safe_mode_active=True)) if done else board), ()
    pins = board.subzone_pins.get(subzone.subzone_id, ())
    if not pins:
        return board, ()
    board = attrs.evolve(board, safe_gpios=board.safe_gpios - set(pins))
    return _saved(board, attrs.evolve(subzone, safe_mode_active=False)), ()
