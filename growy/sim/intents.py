"""Intents: which commands a device admits, and what it reports of them. Works on a turn; sends through it.

The first terminal outcome of an intent_id is all that is heard of it in a boot. One that cannot be sent goes to the
flash, 48 of them, and is sent again, two at a time, after the next registration.
"""

from __future__ import annotations

import enum

import attrs

from growy.sim import arduino_json
from growy.sim.arduino_json import ParseFailed
from growy.sim.flash import Intent, Outcome, SystemState
from growy.sim.payload_intent import chain_stage, intent_outcome
from growy.sim.state import NEVER
from growy.sim.turn import LIFECYCLE, Turn

OUTCOME = "system/intent_outcome"
RING = 32
SLOTS = 48
REPLAYED_AT_ONCE = 2
REPLAY_S = 0.1
"""Between two pairs: a turn or two of the communication task."""
ID_CHARS = 63
MESSAGE_BYTES = 8192
"""A message of this size or more is dropped without an answer."""
ALLOWLIST = frozenset(("status", "diagnostics", "get_config", "set_log_level", "safe_mode"))
"""System commands for a device that waits for something."""


class Lane(enum.Enum):
    """What kind of command asks to be admitted."""

    ACTUATOR = enum.auto()
    SENSOR = enum.auto()
    SYSTEM = enum.auto()
    CONFIG = enum.auto()


@attrs.frozen(slots=True)
class Admission:
    accepted: bool
    code: str
    reason_code: str


def admit(turn: Turn, lane: Lane, system_command: str = "") -> Admission:
    """Whether the device takes a command in the state it is in."""
    if not turn.state.gate_open:
        return Admission(False, "REGISTRATION_PENDING", "REGISTRATION_PENDING")
    open_to_it = lane is Lane.CONFIG or (lane is Lane.SYSTEM and system_command in ALLOWLIST)
    allowed = "CONFIG" if lane is Lane.CONFIG else "ALLOWLIST"
    match turn.board.state:
        case SystemState.CONFIG_PENDING_AFTER_RESET:
            if not open_to_it:
                return Admission(False, "CONFIG_PENDING_BLOCKED", "CONFIG_PENDING_AFTER_RESET")
            code = "CONFIG_PENDING_CONFIG_ACCEPTED" if lane is Lane.CONFIG else "PENDING_ALLOWLIST_ACCEPTED"
        case SystemState.PENDING_APPROVAL:
            if not open_to_it:
                return Admission(False, "PENDING_APPROVAL_BLOCKED", "PENDING_APPROVAL")
            code = f"PENDING_APPROVAL_{allowed}_ACCEPTED"
        case (
            SystemState.ERROR
            | SystemState.SAFE_MODE
            | SystemState.SAFE_MODE_PROVISIONING
            | SystemState.LIBRARY_DOWNLOADING
        ):
            if not open_to_it:
                return Admission(False, "DEGRADED_MODE_BLOCKED", "DEGRADED_MODE")
            code = f"DEGRADED_{allowed}_ACCEPTED"
        case _:
            code = "COMMAND_ACCEPTED"
    return Admission(True, code, code)


def read_intent(turn: Turn, body: bytes, prefix: str, *, generate_correlation: bool = True) -> Intent:
    """The intent fields of a command, at the top level or in `data`; ids are made up where none came.

    `correlation_id` stays empty where none came and none may be made up.
    """
    # Only these fields are kept while parsing, so the pool is large enough for any message.
    parsed = arduino_json.parse(arduino_json.c_text(body), MESSAGE_BYTES * arduino_json.SLOT_BYTES)
    document = {} if isinstance(parsed, ParseFailed) else arduino_json.as_object(parsed)
    places = (document, arduino_json.as_object(document.get("data")))

    def text(key: str) -> str:
        return next((t for p in places if (t := arduino_json.text(p.get(key), ""))), "")[:ID_CHARS]

    def number(key: str) -> int:
        return next((n for p in places if (n := arduino_json.int32(p.get(key)))), 0)

    created = next((c for p in places if (c := p.get("created_at_ms")) is not None), None)
    return Intent(
        intent_id=text("intent_id") or generated_id(turn, prefix),
        correlation_id=text("correlation_id") or (generated_id(turn, "corr") if generate_correlation else ""),
        generation=number("generation"),
        # A number that does not fit in 32 bits, as Unix time in ms, reads as 0.
        created_at_ms=turn.state.uptime_ms(turn.now)
        if created is None
        else max(0, arduino_json.cast_int(created)),
        ttl_ms=max(0, number("ttl_ms")),
        epoch=turn.board.safety_epoch,
    )


def generated_id(turn: Turn, prefix: str) -> str:
    """An id for a message that brought none."""
    turn.board = attrs.evolve(turn.board, ids=turn.board.ids + 1)
    return f"{prefix}_{turn.state.uptime_ms(turn.now)}_{turn.board.ids}"


def expired(turn: Turn, intent: Intent) -> bool:
    """Its `ttl_ms` has run out, by the device's uptime."""
    age_ms = turn.state.uptime_ms(turn.now) - intent.created_at_ms
    return 0 < intent.ttl_ms < age_ms


def stage(turn: Turn, intent: Intent, name: str, code: str, detail: str) -> None:
    """Tell a stage of a command."""
    body = chain_stage(intent, name, code, detail, seq=turn.next_seq(), ts=turn.ts)
    turn.bypass(LIFECYCLE, body, 1)


def report(turn: Turn, outcome: Outcome) -> None:
    """Send an outcome, or keep it for later, or nothing if the intent has had its terminal one."""
    if turn.state.old:
        return
    command = outcome.flow == "command"
    if command:
        stage(turn, outcome.intent, "outcome_publish_attempted", outcome.code, "attempting outcome publish")
    if outcome.code == "NO_TOKEN_CONFIGURED":
        turn.state = attrs.evolve(turn.state, no_token=turn.state.no_token + 1)
    terminal = outcome.outcome != "accepted"
    if terminal:
        final = turn.state.final
        if outcome.intent.intent_id in final:
            return
        turn.state = attrs.evolve(turn.state, final=(*final, outcome.intent.intent_id)[-RING:])
    body = intent_outcome(outcome, turn.board.nvs.outcome_counts, seq=turn.next_seq(), ts=turn.ts)
    replay(turn)
    if turn.publish(OUTCOME, body, 1):
        if command:
            stage(turn, outcome.intent, "outcome_publish_ok", outcome.code, "outcome publish delivered")
        _count(turn, confirmed=1)
        return
    if command:
        stage(turn, outcome.intent, "outcome_publish_failed", outcome.code, "outcome publish failed")
    if terminal:
        _store(turn, outcome)


def _store(turn: Turn, outcome: Outcome) -> None:
    nvs = turn.board.nvs
    kept = (*nvs.outcomes, outcome)
    turn.board = attrs.evolve(turn.board, nvs=attrs.evolve(nvs, outcomes=kept[-SLOTS:]))
    _count(turn, retried=1, dropped=int(len(kept) > SLOTS))


def _count(turn: Turn, *, retried: int = 0, recovered: int = 0, dropped: int = 0, confirmed: int = 0) -> None:
    nvs = turn.board.nvs
    old = nvs.outcome_counts
    counts = attrs.evolve(
        old,
        retried=old.retried + retried,
        recovered=old.recovered + recovered,
        dropped=old.dropped + dropped,
        confirmed=old.confirmed + confirmed,
    )
    turn.board = attrs.evolve(turn.board, nvs=attrs.evolve(nvs, outcome_counts=counts))


def replay(turn: Turn) -> None:
    """Send the two oldest stored outcomes again, if the gate is open; arm the timer for the next two."""
    if not (turn.session.connected and turn.state.gate_open):
        return
    for _ in range(REPLAYED_AT_ONCE):
        nvs = turn.board.nvs
        if not nvs.outcomes:
            break
        oldest, left = nvs.outcomes[0], nvs.outcomes[1:]
        body = intent_outcome(oldest, nvs.outcome_counts, seq=turn.next_seq(), ts=turn.ts, recovered=True)
        turn.publish(OUTCOME, body, 1)
        turn.board = attrs.evolve(turn.board, nvs=attrs.evolve(nvs, outcomes=left))
        if oldest.flow == "command":
            stage(turn, oldest.intent, "outcome_publish_ok", oldest.code, "critical outcome replay delivered")
        _count(turn, recovered=1, confirmed=1)
    more = bool(turn.board.nvs.outcomes)
    turn.state = attrs.evolve(turn.state, replay_at=turn.now + REPLAY_S if more else NEVER)
