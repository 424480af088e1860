"""What the server says of a device and of itself: the ACK that opens the gate and decides about approval, and
`server/status`. Works on a turn.

The gate opens with any ACK that keeps the contract, whatever its status says.
"""

from __future__ import annotations

import attrs

from growy.sim import arduino_json, config_lane, handover, portal, safety
from growy.sim.ack import Ack, AckRefused, read_ack
from growy.sim.arduino_json import ParseFailed
from growy.sim.board import TrackedError
from growy.sim.flash import Outcome, SystemState
from growy.sim.handover import Mode
from growy.sim.heartbeat import HEARTBEAT_S
from growy.sim.intents import read_intent, replay, report
from growy.sim.state import NEVER
from growy.sim.turn import Turn

APPROVAL_REFRESH_S = 86_400
"""The time of the approval is written to the flash at most once a day."""
REJECTED = 4200
STATUS_POOL_BYTES = 256
STALE_S = 15.0
"""So long after a reconnect a retained `offline` may be older than the reconnect."""


def acknowledged(turn: Turn, body: bytes) -> None:
    """`system/heartbeat/ack`."""
    if not turn.session.connected:
        return
    ack = read_ack(body)
    if isinstance(ack, AckRefused):
        _refuse(turn, ack.reason, counted=ack.counted)
        return
    reason = handover.refusal(turn.handover, ack.handover_epoch)
    if reason is not None:
        _refuse(turn, reason, counted=True)
        return
    _register(turn)
    was = turn.handover.mode
    turn.handover = handover.accepted(turn.handover, turn.now)
    if turn.handover.mode is Mode.ADOPTING and was is not Mode.ADOPTING:
        safety.publish_statuses(turn)
    if turn.state.clock_offset_s is None and ack.server_time is not None:
        set_clock(turn, ack.server_time)
    _decide(turn, ack, body)
    portal.answered(turn)
    replay(turn)
    config_lane.resume(turn)


def _refuse(turn: Turn, reason: str, *, counted: bool) -> None:
    turn.state = attrs.evolve(turn.state, acks_refused=turn.state.acks_refused + 1, last_ack_refusal=reason)
    if counted:
        turn.handover = handover.refused(turn.handover, reason)


def _register(turn: Turn) -> None:
    session = turn.session
    # An ACK that nobody asked for may come before the first heartbeat of a boot, which still has to be sent.
    unasked = session.registered or session.last_heartbeat == -NEVER
    turn.session = attrs.evolve(
        session,
        registered=True,
        heard_at=turn.now,
        silence_told=False,
        heartbeat_at=session.heartbeat_at if unasked else session.last_heartbeat + HEARTBEAT_S,
    )
    turn.state = attrs.evolve(turn.state, acks_accepted=turn.state.acks_accepted + 1)


def set_clock(turn: Turn, unix_s: float) -> None:
    """The device knows the time from now on."""
    start = turn.state.segment_start_ts or int(unix_s)
    turn.state = attrs.evolve(turn.state, clock_offset_s=unix_s - turn.now, segment_start_ts=start)


def _decide(turn: Turn, ack: Ack, body: bytes) -> None:
    """What the status does to approval and state. A device that waits for its configuration goes on waiting."""
    board = turn.board
    match ack.status:
        case "approved" | "online":
            ts = ack.server_time or turn.ts
            nvs, state = board.nvs, board.state
            if not nvs.approved or ts - nvs.approved_ts >= APPROVAL_REFRESH_S:
                nvs = attrs.evolve(nvs, approved=True, approved_ts=ts)
            if state in (SystemState.PENDING_APPROVAL, SystemState.ERROR):
                state = SystemState.OPERATIONAL
                nvs = attrs.evolve(nvs, system_state=state)
            turn.board = attrs.evolve(board, nvs=nvs, state=state)
        case "pending_approval":
            waits = board.state is SystemState.CONFIG_PENDING_AFTER_RESET
            turn.board = attrs.evolve(
                board,
                nvs=attrs.evolve(board.nvs, approved=False, approved_ts=0),
                state=board.state if waits else SystemState.PENDING_APPROVAL,
            )
        case "rejected":
            _reject(turn, ack, body)
        case _:
            return


def _reject(turn: Turn, ack: Ack, body: bytes) -> None:
    """The administrator does not want this device: it says so, and stands in ERROR until another ACK."""
    said = ack.document
    reason, source = (arduino_json.text(said.get(key), "") for key in ("reason_code", "revocation_source"))
    deleted = (
        said.get("upstream_deleted") is True
        or said.get("delete_intent") is True
        or any(word in text.lower() for word in ("delete", "revoke") for text in (reason, source))
    )
    intent = read_intent(turn, body, "hb_ack")
    told = (
        "Heartbeat rejected via upstream delete/revocation path"
        if deleted
        else "Heartbeat rejected by server administrator"
    ) + (
        f" (reason_code={reason or 'NONE'}, revocation_source={source or 'NONE'}, "
        f"correlation_id={intent.correlation_id or 'NONE'})"
    )
    code = "UPSTREAM_DELETE_REVOKED" if deleted else "HEARTBEAT_REJECTED"
    report(turn, Outcome(flow="heartbeat", intent=intent, outcome="rejected", code=code, reason=told))
    turn.error(TrackedError(REJECTED, 2, told))
    board = turn.board
    turn.board = attrs.evolve(
        board,
        nvs=attrs.evolve(board.nvs, approved=False, approved_ts=0, system_state=SystemState.ERROR),
        state=SystemState.ERROR,
    )


def server_status(turn: Turn, body: bytes) -> None:
    """`server/status`, retained by the broker and the server's last will."""
    document = arduino_json.parse(arduino_json.c_text(body), STATUS_POOL_BYTES)
    if isinstance(document, ParseFailed):
        return
    said = arduino_json.as_object(document)
    session = turn.session
    match said.get("status"):
        case "offline":
            stale = (
                said.get("reason") == "unexpected_disconnect"
                and session.connects > 1
                and turn.now - session.connected_at < STALE_S
                and not session.registered
            )
            if not stale:
                safety.server_lost(turn)
        case "online":
            turn.handover = handover.returned(turn.handover)
        case _:
            return
