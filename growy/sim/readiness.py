"""CONFIG_PENDING_AFTER_RESET: when the firmware falls into it, when it comes out, and what it says of it. Pure.

A board with anything configured needs a sensor and an actuator to work; an ACK from the server does not help it.
"""

from __future__ import annotations

import attrs

from growy.sim.arduino_json import COUNTER, Document, Owned
from growy.sim.board import (
    Board,
    BoardReply,
    Ctx,
    Lifecycle,
    Replies,
    Reply,
    StateChange,
    SystemState,
)

LIFECYCLE_TAIL = "system/intent_outcome/lifecycle"


def decision(board: Board) -> tuple[bool, str]:
    """Whether the board is ready to work, and the word for it."""
    if board.rules and not board.actuators:
        return True, "OFFLINE_RULES_ONLY_AUTO_EXIT"
    if not board.sensors:
        return False, "MISSING_SENSORS"
    if not board.actuators:
        return False, "MISSING_ACTUATORS"
    return True, "CONFIG_PENDING_EXIT_READY"


def at_boot(board: Board, ctx: Ctx) -> tuple[Board, Replies]:
    """The state after a boot: pending approval, at work, or waiting for the rest of its configuration."""
    usual = SystemState.OPERATIONAL if board.nvs.approved else SystemState.PENDING_APPROVAL
    configured = board.sensors or board.actuators or board.rules
    if not configured or decision(board)[0]:
        return attrs.evolve(board, state=usual), ()
    board = attrs.evolve(
        board, state=SystemState.CONFIG_PENDING_AFTER_RESET, pending_enters=board.pending_enters + 1
    )
    event = _event(
        board, ctx, "entered_config_pending", "CONFIG_PENDING_AFTER_RESET", usual, "boot_runtime_partial"
    )
    return board, (event,)


def try_exit(board: Board, ctx: Ctx, trigger: str = "config_commit") -> tuple[Board, Replies]:
    """Leave the state if what is configured now suffices; nothing in any other state."""
    if board.state is not SystemState.CONFIG_PENDING_AFTER_RESET:
        return board, ()
    ready, _ = decision(board)
    if not ready:
        board = attrs.evolve(board, pending_blocks=board.pending_blocks + 1)
        return board, (
            _event(
                board,
                ctx,
                "exit_blocked_config_pending",
                "CONFIG_PENDING_EXIT_NOT_READY",
                board.state,
                trigger,
            ),
        )
    board, changed = entered(
        board, SystemState.OPERATIONAL if board.nvs.approved else SystemState.PENDING_APPROVAL
    )
    board = attrs.evolve(board, pending_exits=board.pending_exits + 1)
    event = _event(
        board,
        ctx,
        "exited_config_pending",
        "CONFIG_PENDING_EXIT_READY",
        SystemState.CONFIG_PENDING_AFTER_RESET,
        trigger,
    )
    return board, (*changed, event)


def entered(board: Board, state: SystemState) -> tuple[Board, tuple[BoardReply, ...]]:
    """Change the live state and the stored one."""
    changed = () if state is board.state else (StateChange(board.state, state),)
    return attrs.evolve(board, state=state, nvs=attrs.evolve(board.nvs, system_state=state)), changed


def _event(
    board: Board, ctx: Ctx, event_type: str, reason_code: str, before: SystemState, trigger: str
) -> Lifecycle:
    document = Document(768).put(
        seq=COUNTER,
        event_type=event_type,
        reason_code=reason_code,
        trigger_source=trigger,
        esp_id=Owned(board.esp_id),
        state_before=before.name,
        state_after=board.state.name,
        sensor_count=len(board.sensors),
        actuator_count=len(board.actuators),
        offline_rule_count=len(board.rules),
        runtime_profile="sensor_required",
        readiness_decision=decision(board)[1],
        config_pending_enter_count=board.pending_enters,
        config_pending_exit_count=board.pending_exits,
        config_pending_exit_blocked_count=board.pending_blocks,
        ts=ctx.ts,
        boot_sequence_id=Owned(ctx.boot_sequence_id),
        schema="config_pending_lifecycle_v1",
    )
    return Lifecycle(Reply(LIFECYCLE_TAIL, document.json()), event_type)
