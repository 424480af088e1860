"""The rules a device lives by while its server is away: hysteresis, time windows, warm-up. Pure.

The session calls `activate` when the grace is over, `evaluate` every 5 s while they rule, `release` when the server
has taken over again. A rule whose value is unknown holds; one that cannot know its value (pH, EC, moisture need the
server's calibration) switches off.
"""

from __future__ import annotations

import datetime as dt

import attrs

from growy.sim import actuators
from growy.sim.board import NO_PIN, Board, BoardReply, Ctx, OfflineRule, Replies

CACHE_MS = 300_000
"""A preview older than this is no value."""
WARMUP = 3
"""The third value is the first that counts."""
PURE_WINDOW = {"__twindow_on": True, "__twindow_off": False}


def activate(board: Board, ctx: Ctx) -> tuple[Board, Replies]:
    """The rules take over: from what the actuators do now, outside their time windows from off."""
    board = attrs.evolve(board, rule_warmup=(0,) * len(board.rules))
    if not board.rules:
        return actuators.all_to_default(board, ctx)
    replies: list[BoardReply] = []
    for index, rule in enumerate(board.rules):
        if not rule.enabled or rule.actuator_gpio == NO_PIN:
            continue
        output = board.actuator(rule.actuator_gpio)
        running = output is not None and output.on
        if _outside_hours(rule, ctx.ts):
            board = _with_rule(board, index, is_active=False)
            if running:
                board, _, said = actuators.switch(board, rule.actuator_gpio, False, ctx)
                replies += said
            continue
        board = _with_rule(board, index, is_active=running)
    return board, tuple(replies)


def release(board: Board) -> Board:
    """The server has adopted what it found; outputs stay as they are."""
    return attrs.evolve(board, overridden=frozenset())


def evaluate(board: Board, ctx: Ctx) -> tuple[Board, Replies]:
    """One pass over all rules, in their order."""
    replies: list[BoardReply] = []
    for index in range(len(board.rules)):
        board, said = _evaluate_one(board, index, ctx)
        replies += said
    return board, tuple(replies)


def _evaluate_one(board: Board, index: int, ctx: Ctx) -> tuple[Board, list[BoardReply]]:
    rule = board.rules[index]
    if not rule.enabled or rule.actuator_gpio in board.overridden:
        return board, []
    if needs_calibration(rule.sensor_value_type):
        return _off(board, index, ctx, stored=False) if rule.is_active else (board, [])
    if rule.time_filter.enabled:
        if ctx.ts <= 0:
            return board, []
        if not _today(rule, ctx.ts) or _outside_hours(rule, ctx.ts):
            return _off(board, index, ctx, stored=True) if rule.is_active else (board, [])
    if rule.sensor_value_type in PURE_WINDOW:
        return _change(board, index, PURE_WINDOW[rule.sensor_value_type], ctx)
    value = _value(board, rule, ctx)
    warm = 0 if value is None else min(WARMUP, _warmth(board, index) + 1)
    board = _with_warmth(board, index, warm)
    if value is None or warm < WARMUP:
        return board, []
    return _change(board, index, _wanted(rule, value), ctx)


def needs_calibration(value_type: str) -> bool:
    return value_type in ("ph", "ec", "moisture") or value_type.startswith("soil")


def _wanted(rule: OfflineRule, value: float) -> bool:
    """Heating and cooling by hysteresis; a pair of zeros is no pair."""
    wanted = rule.is_active
    if rule.activate_below or rule.deactivate_above:
        if not rule.is_active and value < rule.activate_below:
            wanted = True
        if rule.is_active and value > rule.deactivate_above:
            wanted = False
    if rule.activate_above or rule.deactivate_below:
        if not rule.is_active and value > rule.activate_above:
            wanted = True
        if rule.is_active and value < rule.deactivate_below:
            wanted = False
    return wanted


def _change(board: Board, index: int, wanted: bool, ctx: Ctx) -> tuple[Board, list[BoardReply]]:
    rule = board.rules[index]
    if wanted == rule.is_active:
        return board, []
    board, done, said = actuators.switch(board, rule.actuator_gpio, wanted, ctx)
    # An actuator that refuses leaves its rule as it was: tried again at the next pass.
    return (_stored(_with_rule(board, index, is_active=wanted)) if done else board), said


def _off(board: Board, index: int, ctx: Ctx, *, stored: bool) -> tuple[Board, list[BoardReply]]:
    board, _, said = actuators.switch(board, board.rules[index].actuator_gpio, False, ctx)
    board = _with_rule(board, index, is_active=False)
    return (_stored(board) if stored else board), said


def _with_rule(board: Board, index: int, *, is_active: bool) -> Board:
    rules = list(board.rules)
    rules[index] = attrs.evolve(rules[index], is_active=is_active)
    return attrs.evolve(board, rules=tuple(rules))


def _stored(board: Board) -> Board:
    return attrs.evolve(board, nvs=attrs.evolve(board.nvs, offline_rules=board.rules))


def _warmth(board: Board, index: int) -> int:
    return board.rule_warmup[index] if index < len(board.rule_warmup) else 0


def _with_warmth(board: Board, index: int, warm: int) -> Board:
    warmup = [*board.rule_warmup, *(0 for _ in board.rules)][: len(board.rules)]
    warmup[index] = warm
    return attrs.evolve(board, rule_warmup=tuple(warmup))


def _value(board: Board, rule: OfflineRule, ctx: Ctx) -> float | None:
    cached = board.values.get((rule.sensor_gpio, rule.sensor_value_type))
    if cached is None or ctx.uptime_ms - cached.at_ms > CACHE_MS:
        return None
    return cached.value


# --- the rule's clock -----------------------------------------------------------------------------


def _local(rule: OfflineRule, ts: int) -> dt.datetime:
    """UTC, or the time in Berlin by the rule of the firmware: last Sundays of March and October, 01:00 UTC."""
    utc = dt.datetime.fromtimestamp(ts, dt.UTC)
    if rule.time_filter.timezone != "Europe/Berlin":
        return utc
    return utc + dt.timedelta(hours=2 if _summer_in_berlin(utc) else 1)


def _summer_in_berlin(utc: dt.datetime) -> bool:
    starts, ends = (
        dt.datetime(utc.year, month, _last_sunday(utc.year, month), 1, tzinfo=dt.UTC) for month in (3, 10)
    )
    return starts <= utc < ends


def _last_sunday(year: int, month: int) -> int:
    return 31 - dt.date(year, month, 31).isoweekday() % 7


def _today(rule: OfflineRule, ts: int) -> bool:
    weekday = _local(rule, ts).isoweekday() % 7  # 0 is Sunday
    return bool(rule.time_filter.days_of_week_mask & (1 << weekday))


def _outside_hours(rule: OfflineRule, ts: int) -> bool:
    """Whether the rule's window is shut; a rule without one, or a device without a clock, has none."""
    window = rule.time_filter
    if not window.enabled or ts <= 0:
        return False
    clock = _local(rule, ts)
    minute = clock.hour * 60 + clock.minute
    start = window.start_hour * 60 + window.start_minute
    end = window.end_hour * 60 + window.end_minute
    if start <= end:
        return not start <= minute < end
    return end <= minute < start
