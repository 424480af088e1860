"""The `config` document as the firmware of 2026-04 applies it: merged, item by item, never rolled back. Pure.

The session calls `uncorrelated` before its admission, `too_large` after it, and `apply` when the push leaves the
queue. Accepting, queueing and replaying are the session's; from `apply` on there is always an outcome.
"""

from __future__ import annotations

import attrs

from growy.sim import actuator_setup, config_items, sensor_setup
from growy.sim.arduino_json import INT32_MAX, JsonObject, ParseFailed, as_object, c_text, int32, parse
from growy.sim.board import Board, BoardReply, Ctx, Intent, Outcome, Replies
from growy.sim.payload_board import (
    ItemFailure,
    config_aggregated,
    config_error,
    config_success,
    correlated,
)
from growy.sim.pins import holder
from growy.sim.readiness import try_exit

PAYLOAD_LIMIT = 4_352
"""Bytes; a push of this size or more is refused."""
POOL_BYTES = 7_680
"""480 nodes; strings stay in the payload."""
MAX_FAILURES = 10
MAX_RULES = 8
Applied = tuple[Board, bool, list[BoardReply]]


def uncorrelated(board: Board, intent: Intent, ctx: Ctx) -> tuple[Board, Replies] | None:
    """The refusal of a push without `correlation_id`; None when it has one. `intent` must hold the server's id, not
    one made up."""
    if intent.correlation_id:
        return None
    reason = "Config contract violation: required correlation_id missing"
    board, corr = correlated(board, ctx, "")
    return board, (
        config_error(board, "system", "CONTRACT_MISSING_CORRELATION", reason, corr),
        Outcome(
            flow="config",
            intent=intent,
            outcome="failed",
            code="CONTRACT_CORRELATION_MISSING",
            reason=reason,
        ),
    )


def too_large(board: Board, payload: bytes, intent: Intent) -> Replies | None:
    """The refusal of a push that would not fit the queue; None when it fits."""
    size = len(payload.split(b"\0", 1)[0])
    if size < PAYLOAD_LIMIT:
        return None
    reason = f"[CONFIG] Payload too large: {size} bytes, max={PAYLOAD_LIMIT}"
    return (
        config_error(board, "system", "PAYLOAD_TOO_LARGE", reason, intent.correlation_id),
        Outcome(flow="config", intent=intent, outcome="rejected", code="VALIDATION_FAIL", reason=reason),
    )


def apply(board: Board, payload: bytes, intent: Intent, ctx: Ctx) -> tuple[Board, Replies]:
    """Apply a push; the last outcome among the replies is how it ended."""
    text = c_text(payload)
    corr = intent.correlation_id
    if not text:
        return board, (
            config_error(board, "system", "VALIDATION_FAILED", "Config payload empty - apply aborted", corr),
            _outcome(intent, "failed", "VALIDATION_FAILED", "Config payload empty"),
        )
    document = parse(text, POOL_BYTES, zero_copy=True)
    if isinstance(document, ParseFailed):
        reason = f"Config JSON parse failed: {document.word}"
        return board, (
            config_error(board, "system", "JSON_PARSE_ERROR", reason, corr),
            _outcome(intent, "failed", "JSON_PARSE_ERROR", reason),
        )
    root = as_object(document)
    generation = intent.generation or max(0, int32(root.get("generation")))
    stale = _stale_scopes(board, root, generation)
    if generation and generation <= board.nvs.applied_generation and stale >= _scopes(root):
        applied = board.nvs.applied_generation
        reason = f"Config generation rejected: incoming={generation} applied={applied}"
        return board, (
            _outcome(intent, "rejected", "STALE_SCOPE", reason),
            config_error(board, "system", "STALE_SCOPE", reason, corr),
        )
    if ctx.lane_busy:
        reason = "Config lane lock timeout"
        return board, (
            config_error(board, "system", "WRITE_TIMEOUT", reason, corr),
            _outcome(intent, "failed", "WRITE_TIMEOUT", reason, retryable=True),
        )
    return _apply_scopes(board, root, stale, generation, intent, ctx)


def _outcome(intent: Intent, outcome: str, code: str, reason: str, *, retryable: bool = False) -> Outcome:
    return Outcome(
        flow="config", intent=intent, outcome=outcome, code=code, reason=reason, retryable=retryable
    )


def _scopes(root: JsonObject) -> set[str]:
    return {scope for scope in ("sensors", "actuators", "offline_rules") if scope in root}


def _stale_scopes(board: Board, root: JsonObject, generation: int) -> set[str]:
    if not generation:
        return set()
    applied = {
        "sensors": 0,
        "actuators": board.nvs.actuator_generation,
        "offline_rules": board.nvs.offline_generation,
    }
    return {scope for scope in _scopes(root) if generation <= applied[scope]}


_STALE = {
    "sensors": ("STALE_SENSOR_SCOPE", "Sensor scope rejected by generation guard"),
    "actuators": ("STALE_ACTUATOR_SCOPE", "Actuator scope rejected by generation guard"),
    "offline_rules": ("STALE_OFFLINE_SCOPE", "Offline-rules scope rejected by generation guard"),
}


def _apply_scopes(
    board: Board, root: JsonObject, stale: set[str], generation: int, intent: Intent, ctx: Ctx
) -> tuple[Board, Replies]:
    replies: list[BoardReply] = []
    persisted = True
    for scope in ("sensors", "actuators", "offline_rules"):
        if scope in stale:
            replies.append(_outcome(intent, "rejected", *_STALE[scope]))
            continue
        match scope:
            case "sensors":
                board, ok, said = apply_sensors(board, root, intent.correlation_id)
            case "actuators":
                board, ok, said = apply_actuators(board, root, intent.correlation_id, ctx)
            case _:
                board, ok, said = _apply_rules(board, root)
        persisted = persisted and ok
        replies += said
    if not persisted:
        reason = "Config apply/persist failed"
        replies.append(config_error(board, "system", "COMMIT_FAILED", reason, intent.correlation_id))
        replies.append(_outcome(intent, "failed", "COMMIT_FAILED", reason, retryable=True))
        return board, tuple(replies)
    replies.append(_outcome(intent, "persisted", "NONE", "Config committed and persisted"))
    if generation:
        board = _with_generation(board, _scopes(root) - stale, min(generation, INT32_MAX))
    board, exited = try_exit(board, ctx)
    return board, (*replies, *exited)


def _with_generation(board: Board, scopes: set[str], generation: int) -> Board:
    nvs = attrs.evolve(board.nvs, applied_generation=generation)
    if "actuators" in scopes:
        nvs = attrs.evolve(nvs, actuator_generation=generation)
    if "offline_rules" in scopes:
        nvs = attrs.evolve(nvs, offline_generation=generation)
    return attrs.evolve(board, nvs=nvs)


# --- scopes ---------------------------------------------------------------------------------------


def apply_sensors(board: Board, root: JsonObject, corr: str) -> Applied:
    """All sensors, one answer."""
    if "sensors" not in root:
        return board, True, []
    items = root["sensors"]
    if not isinstance(items, list):
        message = "Sensor config 'sensors' field is not an array"
        return board, False, [config_error(board, "sensor", "MISSING_FIELD", message, corr)]
    if not items:
        return board, True, [config_success(board, "sensor", 0, "No sensors configured", corr)]
    replies: list[BoardReply] = []
    failures: list[ItemFailure] = []
    for item in items:
        board, failure, errors = apply_sensor(board, as_object(item))
        replies += errors
        if failure is not None:
            failures.append(failure)
    good = len(items) - len(failures)
    replies.append(config_aggregated(board, "sensor", good, len(failures), failures[:MAX_FAILURES], corr))
    return board, not failures, replies


def apply_sensor(board: Board, item: JsonObject) -> tuple[Board, ItemFailure | None, sensor_setup.Errors]:
    """One entry of `sensors`, of either generation."""
    read = config_items.sensor(item)
    if isinstance(read, ItemFailure):
        return board, read, ()
    config, gpio = read.config, read.config.gpio
    if not read.active:
        return sensor_setup.remove(board, gpio, config.onewire_address, config.i2c_address), None, ()
    if not sensor_setup.valid(board, config):
        return board, _pin_failure(board, gpio, "reserved", 2010, "VALIDATION_FAILED"), ()
    board, ok, errors = sensor_setup.configure(board, config)
    if not ok:
        return board, _pin_failure(board, gpio, "already used", 1041, "CONFIG_FAILED"), errors
    # Stored a second time, now exactly as pushed.
    board, ok, more = sensor_setup.store(board, config)
    if not ok:
        failure = ItemFailure(gpio, 2003, "NVS_WRITE_FAILED", "Failed to save sensor config to NVS")
        return board, failure, errors + more
    return board, None, errors + more


def _pin_failure(board: Board, gpio: int, how: str, code: int, name: str) -> ItemFailure:
    owner, component = holder(board, gpio)
    if owner and not owner.startswith("bus/"):
        named = f" ({component})" if component else ""
        return ItemFailure(gpio, 1002, "GPIO_CONFLICT", f"GPIO {gpio} {how} by {owner}{named}")
    what = (
        f"Sensor validation failed for GPIO {gpio}"
        if name == "VALIDATION_FAILED"
        else f"Failed to configure sensor on GPIO {gpio}"
    )
    return ItemFailure(gpio, code, name, what)


def apply_actuators(board: Board, root: JsonObject, corr: str, ctx: Ctx) -> Applied:
    """Each bad actuator its own answer; a summary only when all are good."""
    items = root.get("actuators")
    if not isinstance(items, list):
        return board, True, []
    if not items:
        return board, True, [config_success(board, "actuator", 0, "No actuators configured", corr)]
    replies: list[BoardReply] = []
    good = 0
    for item in items:
        entry = as_object(item)
        read = config_items.actuator(entry)
        if isinstance(read, config_items.Refusal):
            replies.append(config_error(board, "actuator", read.code, read.message, corr, entry))
            continue
        if not read.active and read.config.gpio != 255:
            board, ok = actuator_setup.remove(board, read.config.gpio), True
        else:
            board, ok, said = actuator_setup.configure(board, read.config, ctx)
            replies += said
        if not ok:
            message = (
                f"Failed to configure actuator on GPIO {read.config.gpio} type={read.config.actuator_type} "
                f"name={read.config.actuator_name} heap={ctx.heap_free}"
            )
            replies.append(config_error(board, "actuator", "UNKNOWN_ERROR", message, corr, entry))
            continue
        good += 1
    if good < len(items):
        return board, False, replies
    message = f"Configured {good} actuator(s) successfully"
    return board, True, [*replies, config_success(board, "actuator", good, message, corr)]


def _apply_rules(board: Board, root: JsonObject) -> Applied:
    """Offline rules are answered by the outcome alone."""
    if "offline_rules" not in root:
        return board, True, []
    items = root["offline_rules"]
    if not isinstance(items, list):
        return board, False, []
    places = (*board.rules, *(None for _ in range(MAX_RULES)))
    rules = tuple(
        config_items.offline_rule(as_object(item), place)
        for item, place in zip(items[:MAX_RULES], places, strict=False)
    )
    board = attrs.evolve(
        board,
        rules=rules,
        rule_warmup=(*board.rule_warmup, *(0 for _ in rules))[: len(rules)],
        overridden=frozenset(),
        nvs=attrs.evolve(board.nvs, offline_rules=rules),
    )
    return board, True, []
