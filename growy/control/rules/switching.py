"""What a switch or a notification of a rule is when its turn has come: a value to claim, a text to post."""

from __future__ import annotations

from growy.control.rules.compile import Surroundings
from growy.control.rules.effects import Post
from growy.control.rules.running import Running, Turn
from growy.control.rules.texts import render
from growy.model.control import FULL, OFF
from growy.model.rules import Notify, Switch, SwitchCommand


def value_of(action: Switch, around: Surroundings) -> float:
    """0-1. A toggle is the opposite of what is known now; of what is not known, on."""
    match action.command:
        case SwitchCommand.OFF:
            return OFF
        case SwitchCommand.PWM:
            return action.value
        case SwitchCommand.TOGGLE:
            return OFF if around.output_of(action.actuator) > OFF else FULL
        case SwitchCommand.ON:
            return action.value if action.value > OFF else FULL


def post(running: Running, action: Notify, turn: Turn, trigger: dict[str, object]) -> None:
    if running.around.quiet:
        return
    rule = running.rule
    text = render(action.template, {**trigger, "rule_name": rule.name, "rule_id": rule.id})
    turn.out.append(
        Post(
            channel=action.channel,
            text=text,
            target=action.target,
            severity=action.severity,
            rule_id=rule.id,
            rule_name=rule.name,
            trigger=trigger,
        )
    )
