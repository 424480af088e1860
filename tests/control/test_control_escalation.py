"""What happens while a critical rule cannot act."""

from __future__ import annotations

import math

import attrs

from growy.control.escalation import Escalation
from growy.control.rules.effects import Hold, Post, ReleaseAll
from growy.model.control import ActuatorKey, Rank
from growy.model.rules import Always, Channel, Notify, Rule, Switch, SwitchCommand
from growy.model.time import Moment

HEATER, SPARE = ActuatorKey("ESP_00AA01", 18), ActuatorKey("ESP_00AA02", 19)
RULE = Rule(
    id="7f0e9c1a-0000-4000-8000-000000000001",
    name="Frost",
    condition=Always(),
    actions=(
        Switch(actuator=HEATER),
        Notify(channel=Channel.WEBHOOK, template="", target="http://nas/hook/"),
    ),
    is_critical=True,
    escalation={
        "notify": ("websocket", "webhook"),
        "retry_interval_s": 60.0,
        "max_retries": 2,
        "failover_actions": (Switch(actuator=SPARE, command=SwitchCommand.PWM, value=0.5),),
    },
)


def at(seconds: float) -> Moment:
    return Moment(seconds, 1_767_225_600_000 + int(seconds * 1000))


def test_people_are_told_again_and_again_but_not_for_ever() -> None:
    escalation = Escalation()
    first = escalation.begin(RULE, "ESP_00AA01 is offline", at(0))
    assert [(one.channel, one.target) for one in first if isinstance(one, Post)] == [
        (Channel.WEBSOCKET, ""),
        (Channel.WEBHOOK, "http://nas/hook/"),
    ]
    told = [len(escalation.tick(at(seconds))) for seconds in range(0, 300, 30)]
    assert told == [0, 0, 2, 0, 2, 0, 0, 0, 0, 0]
    assert escalation.next_due() == math.inf


def test_another_actuator_stands_in_until_the_rule_can_act_again() -> None:
    escalation = Escalation()
    (hold,) = [one for one in escalation.begin(RULE, "offline", at(5)) if isinstance(one, Hold)]
    assert (hold.claim.actuator, hold.claim.value, hold.claim.rank) == (SPARE, 0.5, Rank.CRITICAL)
    assert escalation.begin(RULE, "offline", at(6)) == [], "once is enough"

    assert escalation.end(RULE.id) == [ReleaseAll(f"failover:{RULE.id}/")]
    assert hold.claim.holder.startswith(f"failover:{RULE.id}/")
    assert escalation.end(RULE.id) == []
    assert escalation.tick(at(1000)) == []


def test_a_stand_in_that_is_to_be_off_goes_before_people() -> None:
    policy = {"failover_actions": (Switch(actuator=SPARE, command=SwitchCommand.OFF, duration_s=30),)}
    rule = attrs.evolve(RULE, escalation=policy)
    (hold,) = [one for one in Escalation().begin(rule, "offline", at(0)) if isinstance(one, Hold)]
    assert (hold.claim.value, hold.claim.rank, hold.claim.until) == (0.0, Rank.SAFETY, 30.0)


def test_rules_that_are_not_critical_or_have_no_policy_do_nothing() -> None:
    escalation = Escalation()
    assert escalation.begin(attrs.evolve(RULE, is_critical=False), "offline", at(0)) == []
    assert escalation.begin(attrs.evolve(RULE, escalation=None), "offline", at(0)) == []
