"""A greenhouse of values for the rule engine: sensors by name, virtual time, and the claims that its effects leave."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeVar

import attrs

from growy.control.lookup import Found
from growy.control.rules.effects import Effect, Execution, Happened, Hold, Post, Release, ReleaseAll
from growy.control.rules.engine import RuleEngine
from growy.control.samples import Samples
from growy.model.control import ActuatorKey, Claim, Command, CommandState, Verb
from growy.model.rules import (
    Action,
    Always,
    Condition,
    Hysteresis,
    Operator,
    Rule,
    SensorRef,
    Switch,
    SwitchCommand,
    Threshold,
)
from growy.model.time import Moment

T = TypeVar("T")
WALL_MS = 1_790_000_000_000
"""A Monday, 2026-09-21 14:13:20 UTC."""
MAX_AGE_S = 90.0
AIR = SensorRef("ESP_00AA01", 68, "sht31_temp")
SOIL = SensorRef("ESP_00AA01", 34, "moisture")
TANK = SensorRef("ESP_00AA02", 32, "level")
HEATER = ActuatorKey("ESP_00AA01", 18)
PUMP = ActuatorKey("ESP_00AA02", 19)
VALVE = ActuatorKey("ESP_00AA02", 21)
LAMP = ActuatorKey("ESP_00AA03", 25)


def above(value: float, sensor: SensorRef = AIR, **more: object) -> Threshold:
    return Threshold(sensor=sensor, operator=Operator.GT, value=value, **more)


def below(value: float, sensor: SensorRef = AIR, **more: object) -> Threshold:
    return Threshold(sensor=sensor, operator=Operator.LT, value=value, **more)


def cold(on: float = 18.0, off: float = 20.0, sensor: SensorRef = AIR) -> Hysteresis:
    return Hysteresis(sensor=sensor, on_below=on, off_above=off)


def on(actuator: ActuatorKey = HEATER, seconds: float = 0.0, **more: object) -> Switch:
    return Switch(actuator=actuator, duration_s=seconds, **more)


def off(actuator: ActuatorKey = HEATER, seconds: float = 0.0, **more: object) -> Switch:
    return Switch(actuator=actuator, command=SwitchCommand.OFF, value=0.0, duration_s=seconds, **more)


def rule(condition: Condition | None = None, *actions: Action, **more: object) -> Rule:
    fields: dict[str, object] = {"id": "r1", "name": "Rule", "cooldown_s": 0.0, **more}
    return Rule(condition=condition or Always(), actions=actions or (on(),), **fields)


@attrs.define
class Rig:
    """One engine. `now` is its clock; `drift` what the wall shows more than at the beginning."""

    now: float = 1000.0
    wall_at_0: int = WALL_MS - 1_000_000
    series: dict[SensorRef, int] = attrs.field(factory=lambda: {AIR: 1, SOIL: 2, TANK: 3})
    ambiguous: set[SensorRef] = attrs.field(factory=set)
    places: dict[tuple[str, int], tuple[str, str]] = attrs.field(factory=dict)
    outputs: dict[ActuatorKey, float] = attrs.field(factory=dict)
    stored: list[tuple[int, int, float | None]] = attrs.field(factory=list)
    """(series, receipt Unix ms, value) of every reading."""
    claims: dict[tuple[str, ActuatorKey], Claim] = attrs.field(factory=dict)
    out: list[Effect] = attrs.field(factory=list)
    """Effects of the last call."""
    effects: list[Effect] = attrs.field(factory=list)
    """All of them."""
    last_execution: int = 0
    samples: Samples = attrs.field(factory=Samples)
    engine: RuleEngine = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.engine = RuleEngine(
            self.samples,
            series_of=self._series_of,
            max_age_of=lambda series_id: MAX_AGE_S,
            place_of=lambda esp_id, gpio: self.places.get((esp_id, gpio), ("", "")),
            output_of=lambda actuator: self.outputs.get(actuator, math.nan),
            history=self._history,
            last_execution=self.last_execution,
        )

    def _series_of(self, ref: SensorRef) -> Found:
        if ref in self.ambiguous:
            return Found(None, f"{ref} could be several", ambiguous=True)
        series_id = self.series.get(ref)
        return Found(None, f"no reading of {ref} has come yet") if series_id is None else Found(series_id)

    def _history(self, series_id: int, since_ms: int) -> Iterable[tuple[int, float]]:
        for one, at_ms, value in self.stored:
            if one == series_id and at_ms >= since_ms and value is not None:
                yield at_ms, value

    @property
    def moment(self) -> Moment:
        return Moment(self.now, self.wall_at_0 + round(self.now * 1000))

    # --- events -------------------------------------------------------------------------------------------------------

    def take(self, effects: list[Effect]) -> list[Effect]:
        """Does with effects what control does with them."""
        self.out = effects
        self.effects += effects
        for effect in effects:
            match effect:
                case Hold(claim):
                    self.claims[claim.holder, claim.actuator] = claim
                case Release(holder, actuator):
                    self.claims.pop((holder, actuator), None)
                case ReleaseAll(prefix):
                    for key in [key for key in self.claims if key[0].startswith(prefix)]:
                        del self.claims[key]
                case _:
                    pass
        for key in [key for key, claim in self.claims.items() if claim.until <= self.now]:
            del self.claims[key]
        return effects

    def put(self, one: Rule, saved: bytes | None = None) -> list[Effect]:
        return self.take(self.engine.put(one, self.moment, saved))

    def remove(self, rule_id: str = "r1") -> list[Effect]:
        return self.take(self.engine.remove(rule_id, self.moment))

    def read(self, values: dict[SensorRef, float | None] | float | None) -> list[Effect]:
        """Readings, now; a bare value is the air's."""
        if not isinstance(values, dict):
            values = {AIR: values}
        series = [self.series[ref] for ref in values]
        self.stored += [
            (one, self.moment.wall_ms, value) for one, value in zip(series, values.values(), strict=True)
        ]
        return self.take(self.engine.readings(series, list(values.values()), self.moment))

    def wait(self, seconds: float) -> list[Effect]:
        """Time passes; the engine is woken whenever it wants to be."""
        end, out = self.now + seconds, []
        while (due := self.engine.next_due()) <= end:
            self.now = max(self.now, due)
            out += self.take(self.engine.tick(self.moment))
        self.now = end
        out += self.take(self.engine.tick(self.moment))
        self.out = out
        return out

    def keep(self, value: float, seconds: float, every: float = 30.0, sensor: SensorRef = AIR) -> None:
        """The sensor goes on sending one value, now and for so long."""
        end = self.now + seconds
        while True:
            self.read({sensor: value})
            if self.now + every > end:
                break
            self.wait(every)
        self.wait(end - self.now)

    def answer(self, claim: Claim, state: CommandState = CommandState.ACKNOWLEDGED, code: str = "") -> None:
        """The command that the claim has led to comes to its end."""
        if state is CommandState.ACKNOWLEDGED:
            self.outputs[claim.actuator] = claim.value
        command = Command(
            id="c",
            actuator=claim.actuator,
            verb=Verb.ON if claim.value else Verb.OFF,
            value=claim.value,
            holder=claim.holder,
            execution=claim.execution,
            state=state,
            code=code,
        )
        self.take(self.engine.command_ended(command, self.moment))

    # --- looking ------------------------------------------------------------------------------------------------------

    def value(self, actuator: ActuatorKey = HEATER) -> float | None:
        """What the highest claim wants of it; None: nobody claims it."""
        claim = self.claim(actuator)
        return None if claim is None else claim.value

    def claim(self, actuator: ActuatorKey = HEATER) -> Claim | None:
        mine = [claim for claim in self.claims.values() if claim.actuator == actuator]
        return min(mine, key=lambda one: (one.rank, one.priority, one.holder), default=None)

    def of(self, kind: type[T]) -> list[T]:
        """Effects of this kind of the last call."""
        return [effect for effect in self.out if isinstance(effect, kind)]

    def all_of(self, kind: type[T]) -> list[T]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def begun(self) -> list[Execution]:
        return [one for one in self.all_of(Execution) if one.ended_ms is None]

    def ended(self) -> list[Execution]:
        return [one for one in self.all_of(Execution) if one.ended_ms is not None]

    def posts(self) -> list[str]:
        return [post.text for post in self.all_of(Post)]

    def events(self, name: str) -> list[dict[str, object]]:
        return [dict(one.data) for one in self.all_of(Happened) if one.event == name]
