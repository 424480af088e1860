"""What happens while a critical rule cannot act: people are told again and again, and other actuators stand in. Pure.

A failover claim is one like any other: it passes the gate, and ends when the rule can act again or no longer wants to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from growy.control.rules.effects import Effect, Hold, Post, ReleaseAll
from growy.model.control import FULL, OFF, Claim, Rank
from growy.model.rules import Channel, Notify, Rule, Switch, SwitchCommand
from growy.model.time import Moment

RETRY_S = 300.0
"""Between two words to people, where the policy does not say."""
RETRIES = 10


@attrs.define(slots=True)
class _Case:
    rule: Rule
    reason: str
    told: int = 0
    again_at: float = math.inf


class Escalation:
    """Of all rules. Trio thread only."""

    def __init__(self) -> None:
        self._cases: dict[str, _Case] = {}

    def begin(self, rule: Rule, reason: str, moment: Moment) -> list[Effect]:
        """A rule holds and cannot act. Only critical ones with a policy go further than that."""
        if not rule.is_critical or rule.escalation is None or rule.id in self._cases:
            return []
        case = self._cases[rule.id] = _Case(rule, reason)
        out: list[Effect] = []
        for index, action in enumerate(_sequence(rule.escalation.get("failover_actions"))):
            if isinstance(action, Switch):
                out.append(Hold(_claim(rule, index, action, moment)))
        return self._tell(case, moment) + out

    def end(self, rule_id: str) -> list[Effect]:
        """It can act again, or has nothing to do any more."""
        return [] if self._cases.pop(rule_id, None) is None else [ReleaseAll(f"failover:{rule_id}/")]

    def tick(self, moment: Moment) -> list[Effect]:
        """Tells people once more."""
        out: list[Effect] = []
        for case in self._cases.values():
            if moment.clock >= case.again_at:
                out += self._tell(case, moment)
        return out

    def next_due(self) -> float:
        return min((case.again_at for case in self._cases.values()), default=math.inf)

    def _tell(self, case: _Case, moment: Moment) -> list[Effect]:
        rule, policy = case.rule, case.rule.escalation or {}
        case.told += 1
        interval_s, retries = policy.get("retry_interval_s", RETRY_S), policy.get("max_retries", RETRIES)
        more = isinstance(retries, int) and case.told <= retries
        case.again_at = (
            moment.clock + float(interval_s) if more and isinstance(interval_s, int | float) else math.inf
        )
        text = f"Critical rule {rule.name!r} cannot act: {case.reason}"
        channels = [Channel(str(one)) for one in _sequence(policy.get("notify"))]
        return [
            Post(
                channel=channel,
                text=text,
                target=target,
                severity="critical",
                rule_id=rule.id,
                rule_name=rule.name,
                trigger={"timestamp": moment.wall_ms // 1000},
            )
            for channel in channels
            for target in (_targets(rule) if channel is Channel.WEBHOOK else ("",))
        ]


def _targets(rule: Rule) -> tuple[str, ...]:
    """Where the rule's own webhooks go, those of its failover actions included."""
    policy = rule.escalation or {}
    actions = (*rule.actions, *_sequence(policy.get("failover_actions")))
    return tuple(
        dict.fromkeys(
            one.target for one in actions if isinstance(one, Notify) and one.channel is Channel.WEBHOOK
        )
    )


def _claim(rule: Rule, index: int, action: Switch, moment: Moment) -> Claim:
    off = action.command is SwitchCommand.OFF
    value = OFF if off else action.value if action.command is SwitchCommand.PWM else FULL
    return Claim(
        actuator=action.actuator,
        holder=f"failover:{rule.id}/{index}",
        rank=Rank.SAFETY if off else Rank.CRITICAL,
        value=value,
        priority=rule.priority,
        since=moment.clock,
        until=moment.clock + action.duration_s if action.duration_s else math.inf,
        issued_by=f"rule:{rule.name}",
        execution=f"failover-{rule.id[:8]}",
    )


def _sequence(said: object) -> Sequence[object]:
    return said if isinstance(said, list | tuple) else ()
