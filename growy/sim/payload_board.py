"""What the firmware answers to commands and configuration: topics and JSON of the board's messages, byte for byte.

Some it puts together by hand, without escaping; some it writes with a JSON library into a pool of fixed size, and
then members that do not fit are missing. Both are kept apart here. Firmware of 2025-12 numbers and correlates
nothing. No decisions: the handlers have made them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import attrs

from growy.sim.arduino_json import COUNTER, Document, Owned, Raw, Value
from growy.sim.board import (
    SEQ,
    ActuatorOutput,
    Board,
    BoardReply,
    Ctx,
    Generation,
    Intent,
    Outcome,
    Replies,
    Reply,
    TrackedError,
)

SUBZONE_ERROR = 2506
"""The only code a subzone error has, whatever went wrong."""


def _flag(value: bool) -> str:
    return "true" if value else "false"


def old(board: Board) -> bool:
    return board.generation is Generation.DEC_2025


def spoken(board: Board, replies: Iterable[BoardReply]) -> Replies:
    """What this generation says: firmware of 2025-12 has neither outcomes nor `system/error`."""
    if not old(board):
        return tuple(replies)
    return tuple(reply for reply in replies if not isinstance(reply, Outcome | TrackedError))


def correlated(board: Board, ctx: Ctx, correlation_id: str) -> tuple[Board, str]:
    """The id to answer with: the server's, or one the firmware makes up."""
    if correlation_id:
        return board, correlation_id
    number = board.ids + 1
    return attrs.evolve(board, ids=number), f"fw_{board.esp_id}_{ctx.uptime_ms}_{number}"


def _seq(board: Board) -> str:
    return "" if old(board) else f'"seq":{SEQ},'


def _numbered(board: Board, **members: Value) -> dict[str, Value]:
    return {} if old(board) else {"seq": COUNTER, **members}


# --- actuators ------------------------------------------------------------------------------------


def actuator_status(board: Board, output: ActuatorOutput, ctx: Ctx) -> Reply:
    config = output.config
    runtime_ms = output.runtime_ms
    if output.on_since_ms is not None:
        runtime_ms += ctx.uptime_ms - output.on_since_ms
    source = f',"command_source":"{output.source}"' if output.source and not old(board) else ""
    return Reply(
        f"actuator/{config.gpio}/status",
        f'{{"esp_id":"{board.esp_id}",{_seq(board)}"zone_id":"{board.nvs.zone_id}",'
        f'"subzone_id":"{config.subzone_id}","ts":{ctx.ts},"gpio":{config.gpio},"type":"{config.actuator_type}",'
        f'"state":{_flag(output.on)},"pwm":{output.pwm},"runtime_ms":{runtime_ms},'
        f'"emergency":"{"active" if output.emergency else "normal"}"{source}}}',
    )


@attrs.frozen(kw_only=True, slots=True)
class ActuatorCommand:
    """A command as the text scan found it."""

    gpio: int
    command: str
    value: float = 0.0
    duration_s: int = 0
    correlation_id: str = ""
    issued_by: str = "system:unknown"


def actuator_response(
    board: Board, command: ActuatorCommand, ctx: Ctx, *, success: bool, message: str
) -> Reply:
    text = (
        f'{{"esp_id":"{board.esp_id}",{_seq(board)}"zone_id":"{board.nvs.zone_id}","ts":{ctx.ts},'
        f'"gpio":{command.gpio},"command":"{command.command}","value":{command.value:.3f},'
        f'"duration":{command.duration_s},"success":{_flag(success)},"message":"{message}"'
    )
    if not old(board):
        if command.correlation_id:
            text += f',"correlation_id":"{command.correlation_id}"'
        text += f',"issued_by":"{command.issued_by}"'
    return Reply(f"actuator/{command.gpio}/response", f"{text}}}")


def actuator_rejected(
    board: Board, gpio: int, document: Mapping[str, object], intent: Intent, reason_code: str, ctx: Ctx
) -> Reply:
    """The answer to a command that admission refused; `document` is the parsed payload, empty if it was none."""
    value, duration = document.get("value"), document.get("duration")
    issued_by = document.get("issued_by")
    command = document.get("command")
    body = Document(512).put(
        esp_id=Owned(board.esp_id),
        seq=COUNTER,
        zone_id=Owned(board.nvs.zone_id),
        ts=ctx.ts,
        gpio=gpio,
        command=Owned(command if isinstance(command, str) else "UNKNOWN"),
        value=float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0,
        duration=duration if isinstance(duration, int) and not isinstance(duration, bool) else 0,
        success=False,
        message=Owned(f"Rejected before execution (reason_code={reason_code})"),
    )
    if intent.correlation_id:
        body.put(correlation_id=Owned(intent.correlation_id))
    if isinstance(issued_by, str) and issued_by:
        body.put(issued_by=Owned(issued_by))
    return Reply(f"actuator/{gpio}/response", body.json())


def actuator_alert(board: Board, gpio: int, alert_type: str, message: str, ctx: Ctx) -> Reply:
    return Reply(
        f"actuator/{gpio}/alert",
        f'{{"esp_id":"{board.esp_id}",{_seq(board)}"zone_id":"{board.nvs.zone_id}","ts":{ctx.ts},'
        f'"gpio":{gpio},"alert_type":"{alert_type}","message":"{message}"}}',
    )


# --- emergency ------------------------------------------------------------------------------------


def _quotes_escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def emergency_ack(board: Board, intent: Intent, ctx: Ctx) -> Reply:
    return Reply(
        "actuator/emergency/ack",
        f'{{"ts":{ctx.ts},"esp_id":"{board.esp_id}","correlation_id":"{_quotes_escaped(intent.correlation_id)}",'
        f'"command":"emergency_stop","gpio_count":{len(board.actuators)},"outcome":"executed","seq":{SEQ}}}',
    )


def emergency_response(board: Board, uptime_ms: int) -> Reply:
    seq = "" if old(board) else f',"seq":{SEQ}'
    return Reply(
        "actuator/emergency/response", f'{{"status":"emergency_cleared","timestamp":{uptime_ms}{seq}}}'
    )


def emergency_error(board: Board, error: str, message: str) -> Reply:
    seq = "" if old(board) else f',"seq":{SEQ}'
    return Reply("actuator/emergency/error", f'{{"error":"{error}","message":"{message}"{seq}}}')


def recovery_confirm(board: Board, intent: Intent, ctx: Ctx) -> Reply:
    return Reply(
        "actuator/recovery_confirm",
        f'{{"ts":{ctx.ts},"esp_id":"{board.esp_id}","correlation_id":"{_quotes_escaped(intent.correlation_id)}",'
        f'"command":"clear_emergency","state":"cleared","seq":{SEQ}}}',
    )


# --- configuration --------------------------------------------------------------------------------

_CONFIG_POOL = 512
_FAILED_ITEM_POOL = 256


@attrs.frozen(slots=True)
class ItemFailure:
    """Why a sensor was not configured."""

    gpio: int
    code: int
    name: str
    detail: str


def _config_document(board: Board, status: str, kind: str, count: int, message: str) -> Document:
    return Document(_CONFIG_POOL).put(
        **_numbered(board), status=status, type=kind, count=count, message=Owned(message)
    )


def _config_reply(board: Board, document: Document, correlation_id: str) -> Reply:
    if correlation_id and not old(board):
        document.put(correlation_id=Owned(correlation_id))
    return Reply("config_response", document.json())


def config_success(board: Board, kind: str, count: int, message: str, correlation_id: str) -> Reply:
    return _config_reply(board, _config_document(board, "success", kind, count, message), correlation_id)


def config_error(
    board: Board,
    kind: str,
    code: str,
    message: str,
    correlation_id: str,
    failed_item: Mapping[str, object] | None = None,
) -> Reply:
    """`failed_item` is echoed as far as its own pool reaches."""
    document = _config_document(board, "error", kind, 0, message).put(error_code=Owned(code))
    if failed_item:
        echo = Document(_FAILED_ITEM_POOL).put(**cast("dict[str, Value]", failed_item))
        document.put(failed_item=echo.members)
    return _config_reply(board, document, correlation_id)


def config_aggregated(
    board: Board, kind: str, count: int, failed: int, failures: Sequence[ItemFailure], correlation_id: str
) -> Reply:
    """One message for all sensors. With many long details the pool runs out and the last members vanish."""
    if not failed:
        status, message = "success", f"Configured {count} item(s) successfully"
    elif count:
        status, message = "partial_success", f"{count} configured, {failed} failed"
    else:
        status, message = "error", f"All {failed} item(s) failed to configure"
    document = Document(min(2_048, 256 + 128 * len(failures))).put(
        **_numbered(board),
        status=status,
        type=kind,
        count=count,
        failed_count=failed,
        message=Owned(message),
    )
    if failures:
        document.put(failures=[_failure(item) for item in failures])
    return _config_reply(board, document, correlation_id)


def _failure(item: ItemFailure) -> dict[str, Value]:
    members: dict[str, Value] = {
        "type": Owned("sensor"),
        "gpio": item.gpio,
        "error_code": item.code,
        "error": Owned(item.name),
    }
    if item.detail:
        members["detail"] = Owned(item.detail)
    return members


# --- zones ----------------------------------------------------------------------------------------


def zone_ack(board: Board, status: str, zone_id: str, master_zone_id: str, corr: str, ctx: Ctx) -> Reply:
    document = Document(384).put(
        esp_id=Owned(board.esp_id),
        status=status,
        zone_id=Owned(zone_id),
        master_zone_id=Owned(master_zone_id),
        ts=ctx.ts,
        **_numbered(board, correlation_id=Owned(corr)),
    )
    return Reply("zone/ack", document.json())


def zone_error(board: Board, message: str, corr: str, ctx: Ctx, reason_code: str = "") -> Reply:
    document = Document(384).put(esp_id=Owned(board.esp_id), status="error")
    if reason_code:
        document.put(reason_code=reason_code, message=Owned(message), ts=ctx.ts, seq=COUNTER)
    else:
        document.put(ts=ctx.ts, **_numbered(board), message=Owned(message))
    if not old(board):
        document.put(correlation_id=Owned(corr))
    return Reply("zone/ack", document.json())


def subzone_ack(
    board: Board,
    status: str,
    subzone_id: str,
    corr: str,
    ctx: Ctx,
    *,
    message: str = "",
    reason_code: str = "",
) -> Reply:
    """`timestamp` is Unix seconds; of firmware of 2025-12 the seconds since boot."""
    document = Document(512).put(
        esp_id=Owned(board.esp_id),
        status=Owned(status),
        subzone_id=Owned(subzone_id),
        timestamp=ctx.uptime_ms // 1000 if old(board) else ctx.ts,
    )
    if reason_code:
        document.put(reason_code=reason_code)
    elif message:
        document.put(error_code=SUBZONE_ERROR)
    if message:
        document.put(message=Owned(message))
    return Reply("subzone/ack", document.put(**_numbered(board, correlation_id=Owned(corr))).json())


# --- commands -------------------------------------------------------------------------------------


def command_reply(document: Document | str) -> Reply:
    body = document if isinstance(document, str) else document.json()
    return Reply("system/command/response", body)


def command_refused(board: Board, command: str, code: str, reason_code: str, ctx: Ctx) -> Reply:
    """Admission said no; `state` is a constant of the firmware, whatever the state is."""
    return command_reply(
        Document(320).put(
            command=Owned(command),
            success=False,
            esp_id=Owned(board.esp_id),
            error=code,
            reason_code=reason_code,
            state="CONFIG_PENDING_AFTER_RESET",
            ts=ctx.ts,
            seq=COUNTER,
        )
    )


def config_status(board: Board) -> Raw:
    """The object that the heartbeat and the diagnostics carry; `state` is the stored one."""
    nvs = board.nvs
    return Raw(
        f'{{"wifi_configured":{_flag(nvs.wifi_configured)},"zone_assigned":{_flag(bool(nvs.zone_id))},'
        f'"system_configured":true,"subzone_count":{len(nvs.subzones)},"boot_count":{nvs.boot_count},'
        f'"state":{int(nvs.system_state)}}}'
    )


def scan_result(pin: int, roms: Sequence[str]) -> Reply:
    kinds = {"28": "ds18b20", "10": "ds18s20", "22": "ds1822"}
    devices = ",".join(
        f'{{"rom_code":"{rom}","device_type":"{kinds.get(rom[:2], "unknown")}","pin":{pin}}}' for rom in roms
    )
    return Reply(
        "onewire/scan_result",
        f'{{"devices":[{devices}],"found_count":{len(roms)},"seq":{SEQ}}}',
        under_god=True,
    )
