"""`system/command`: the names the firmware knows, letter by letter, and its replies. Pure.

The session parses with `read`, asks its admission with the name, and then calls `execute` (or answers with
`payload_board.command_refused`). Replies carry no correlation, except when the JSON could not be read. There is no
command to reboot. Firmware of 2025-12 knows `factory_reset` alone and answers nothing else.
"""

from __future__ import annotations

import attrs

from growy.sim import arduino_json as aj
from growy.sim import emergency
from growy.sim.arduino_json import COUNTER, Document, JsonObject, Owned, ParseFailed, Value
from growy.sim.board import (
    SEQ,
    Board,
    BoardReply,
    Ctx,
    Intent,
    Outcome,
    RebootIn,
    Replies,
)
from growy.sim.payload_board import command_reply, config_status, correlated, old, scan_result
from growy.sim.pins import can_be_requested
from growy.sim.spec import ONEWIRE_PIN, onewire_crc

POOL = 256
LOG_LEVELS = frozenset(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
REBOOT_S = 3.0
SCAN_LIMIT = 10


@attrs.frozen(slots=True)
class SystemCommand:
    name: str
    root: JsonObject


def read(payload: bytes) -> SystemCommand | ParseFailed:
    """Parse a command. A missing name is the word null."""
    document = aj.parse(aj.c_text(payload), POOL)
    if isinstance(document, ParseFailed):
        return document
    root = aj.as_object(document)
    return SystemCommand(aj.as_string(root.get("command")), root)


def unreadable(board: Board, failed: ParseFailed, intent: Intent, ctx: Ctx) -> tuple[Board, Replies]:
    """The answer to what is no JSON, or too much of it."""
    if old(board):
        return board, ()
    board, corr = correlated(board, ctx, intent.correlation_id)
    reason = f"System command JSON parse failed: {failed.word}"
    body = Document(320).put(
        command="",
        success=False,
        esp_id=Owned(board.esp_id),
        error="JSON_PARSE_ERROR",
        message=Owned(reason),
        reason_code="JSON_PARSE_ERROR",
        ts=ctx.ts,
        seq=COUNTER,
        correlation_id=Owned(corr),
    )
    outcome = Outcome(
        flow="command",
        intent=intent,
        outcome="failed",
        code="JSON_PARSE_ERROR",
        reason=reason,
        retryable=True,
    )
    return board, (command_reply(body), outcome)


def execute(board: Board, command: SystemCommand, ctx: Ctx) -> tuple[Board, Replies]:
    """Carry out a command that was admitted."""
    if command.name == "factory_reset" and command.root.get("confirm") is True:
        return _factory_reset(board)
    if old(board):
        return board, ()
    match command.name:
        case "onewire/scan":
            return _scan(board, command.root)
        case "status":
            return board, (_status(board, ctx),)
        case "diagnostics":
            return board, (_diagnostics(board, ctx),)
        case "get_config":
            return board, (_get_config(board, ctx),)
        case "safe_mode":
            message = "Safe mode activated - all actuators stopped"
            board, stopped = emergency.stop_all(board, ctx)
            return board, (_reply(board, ctx, "safe_mode", message=message), *stopped)
        case "exit_safe_mode":
            # Success, whether the latch opened or not.
            board, _, said = emergency.clear(board, ctx)
            message = "Safe mode deactivated - actuators can be controlled"
            return board, (*said, _reply(board, ctx, "exit_safe_mode", message=message))
        case "set_log_level":
            return _set_log_level(board, command.root, ctx)
        case "set_emergency_token":
            return _set_emergency_token(board, command.root, ctx)
        case name:
            body = Document(256).put(
                command=Owned(name),
                success=False,
                esp_id=Owned(board.esp_id),
                error="Unknown command",
                ts=ctx.ts,
                seq=COUNTER,
            )
            return board, (command_reply(body),)


def _reply(board: Board, ctx: Ctx, name: str, *, message: str) -> BoardReply:
    body = Document(256).put(
        command=name,
        success=True,
        esp_id=Owned(board.esp_id),
        message=message,
        ts=ctx.ts,
        seq=COUNTER,
    )
    return command_reply(body)


def _factory_reset(board: Board) -> tuple[Board, Replies]:
    """WiFi and zone go; sensors, actuators, rules and the approval stay."""
    seq = "" if old(board) else f',"seq":{SEQ}'
    text = f'{{"status":"factory_reset_initiated","esp_id":"{board.esp_id}"{seq}}}'
    nvs = attrs.evolve(
        board.nvs, wifi_configured=False, zone_id="", master_zone_id="", zone_name="", kaiser_id="god"
    )
    return attrs.evolve(board, nvs=nvs), (command_reply(text), RebootIn(REBOOT_S, into_portal=True))


# --- what it says of itself -----------------------------------------------------------------------


def _status(board: Board, ctx: Ctx) -> BoardReply:
    body = Document(1_024).put(
        command="status",
        success=True,
        esp_id=Owned(board.esp_id),
        state=int(board.state),
        uptime=ctx.uptime_ms // 1000,
        heap_free=ctx.heap_free,
        wifi_rssi=ctx.wifi_rssi,
        sensor_count=len(board.sensors),
        actuator_count=len(board.actuators),
        zone_id=Owned(board.nvs.zone_id),
        zone_assigned=bool(board.nvs.zone_id),
        ts=ctx.ts,
        seq=COUNTER,
    )
    return command_reply(body)


def _diagnostics(board: Board, ctx: Ctx) -> BoardReply:
    nvs = board.nvs
    digits = board.esp_id.removeprefix("ESP_")[-6:]
    body = Document(2_048).put(
        command="diagnostics",
        success=True,
        esp_id=Owned(board.esp_id),
        state=int(board.state),
        uptime=ctx.uptime_ms // 1000,
        heap_free=ctx.heap_free,
        heap_min=ctx.heap_min,
        chip_model="ESP32-D0WDQ6",
        chip_revision=1,
        flash_size=4_194_304,
        sdk_version="v4.4.6",
        wifi_rssi=ctx.wifi_rssi,
        wifi_ssid=Owned(ctx.wifi_ssid),
        wifi_ip=Owned(ctx.wifi_ip),
        wifi_mac=Owned("24:6F:28:" + ":".join(digits[i : i + 2] for i in (0, 2, 4))),
        zone_id=Owned(nvs.zone_id),
        master_zone_id=Owned(nvs.master_zone_id),
        kaiser_id=Owned(board.kaiser_id),
        zone_assigned=bool(nvs.zone_id),
        sensor_count=len(board.sensors),
        actuator_count=len(board.actuators),
        boot_count=nvs.boot_count,
        config_status=config_status(board),
        ts=ctx.ts,
        seq=COUNTER,
    )
    return command_reply(body)


def _get_config(board: Board, ctx: Ctx) -> BoardReply:
    """The lists are always empty; only the counts are filled in."""
    nvs = board.nvs
    zone: dict[str, Value] = {
        "zone_id": Owned(nvs.zone_id),
        "master_zone_id": Owned(nvs.master_zone_id),
        "zone_name": Owned(nvs.zone_name),
        "kaiser_id": Owned(board.kaiser_id),
        "zone_assigned": bool(nvs.zone_id),
    }
    body = Document(2_048).put(
        command="get_config",
        success=True,
        esp_id=Owned(board.esp_id),
        zone=zone,
        sensors=[],
        sensor_count=len(board.sensors),
        actuators=[],
        actuator_count=len(board.actuators),
        ts=ctx.ts,
        seq=COUNTER,
    )
    return command_reply(body)


# --- settings -------------------------------------------------------------------------------------


def _set_log_level(board: Board, root: JsonObject, ctx: Ctx) -> tuple[Board, Replies]:
    params = aj.as_object(root.get("params"))
    level = ""
    for place in (root, params):
        if "level" in place:
            level = aj.as_string(place["level"]).upper()
            break
    body = Document(256).put(command="set_log_level", esp_id=Owned(board.esp_id))
    if level in LOG_LEVELS:
        board = attrs.evolve(board, nvs=attrs.evolve(board.nvs, log_level=level))
        body.put(
            success=True,
            level=Owned(level),
            message=Owned(f"Log level changed to {level}"),
            persisted=True,
            ts=ctx.ts,
        )
    else:
        body.put(
            success=False,
            error="Invalid log level",
            message="Valid levels: DEBUG, INFO, WARNING, ERROR, CRITICAL",
            requested_level=Owned(level),
            ts=ctx.ts,
        )
    return board, (command_reply(body.put(seq=COUNTER)),)


def _set_emergency_token(board: Board, root: JsonObject, ctx: Ctx) -> tuple[Board, Replies]:
    """A missing token is stored as the word null."""
    token = aj.as_string(root.get("token"))
    broadcast = aj.text(root.get("token_type"), "esp") == "broadcast"
    body = Document(256).put(command="set_emergency_token", esp_id=Owned(board.esp_id))
    if not 1 <= len(token.encode(errors="surrogateescape")) <= 64:
        body.put(success=False, error="Token must be 1-64 characters")
    elif broadcast:
        board = attrs.evolve(board, nvs=attrs.evolve(board.nvs, broadcast_token=token))
        body.put(success=True, token_type="broadcast", message="Broadcast emergency token updated")
    else:
        board = attrs.evolve(board, nvs=attrs.evolve(board.nvs, emergency_token=token))
        body.put(success=True, token_type="esp", message="ESP emergency token updated")
    return board, (command_reply(body.put(ts=ctx.ts, seq=COUNTER)),)


# --- OneWire --------------------------------------------------------------------------------------


def _scan(board: Board, root: JsonObject) -> tuple[Board, Replies]:
    """Look for devices on a pin. Another pin than before moves the one bus there, away from its sensors."""
    params = aj.as_object(root.get("params"))
    asked = params["pin"] if "pin" in params else root.get("pin", ONEWIRE_PIN)
    number = aj.cast_int(asked)
    pin = number if 0 <= number <= 255 else 0
    active = board.onewire_pin
    if active is None:
        if not can_be_requested(board, pin):
            error = "Failed to initialize OneWire bus"
            return board, (command_reply(f'{{"error":"{error}","pin":{pin},"seq":{SEQ}}}'),)
        board = attrs.evolve(board, onewire_pin=pin, onewire_released=False)
    elif active != pin:
        moved = attrs.evolve(board, onewire_pin=None)
        if not can_be_requested(moved, pin):
            text = (
                f'{{"error":"Failed to switch OneWire bus","requested_pin":{pin},"active_pin":{active},'
                f'"seq":{SEQ}}}'
            )
            return board, (command_reply(text),)
        board = attrs.evolve(moved, onewire_pin=pin, onewire_released=False)
    found = [rom for rom in board.attached.onewire.get(pin, ()) if _crc_is_right(rom)][:SCAN_LIMIT]
    text = f'{{"command":"onewire/scan","status":"ok","found_count":{len(found)},"pin":{pin},"seq":{SEQ}}}'
    return board, (scan_result(pin, found), command_reply(text))


def _crc_is_right(rom: str) -> bool:
    code = bytes.fromhex(rom)
    return onewire_crc(code[:7]) == code[7]
