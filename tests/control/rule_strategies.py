"""Hypothesis: any condition, any action, as the model can say them and a client can write them."""

from __future__ import annotations

from hypothesis import strategies as st

from growy.model.control import ActuatorKey
from growy.model.rules import (
    Action,
    All,
    Always,
    AnyOf,
    Between,
    Channel,
    Condition,
    Delay,
    Difference,
    Freshness,
    HeldFor,
    Hysteresis,
    Not,
    Notify,
    Operator,
    Photoperiod,
    Pid,
    RateOfChange,
    SensorRef,
    Sequence,
    Step,
    Switch,
    SwitchCommand,
    Threshold,
    TimeWindow,
)

NUMBERS = st.floats(-1e6, 1e6)
SHARES = st.floats(0, 1)
SECONDS = st.floats(1, 3600)
ZONES = st.sampled_from(("UTC", "Europe/Berlin", "America/Lima"))
ESPS = st.sampled_from(("ESP_0A1B2C", "ESP_00AA01", "MOCK_A1"))
WORDS = st.text("abc {}%é", min_size=1, max_size=20).filter(lambda text: bool(text.strip())).map(str.strip)

SENSORS = st.builds(
    SensorRef,
    ESPS,
    st.integers(0, 255),
    st.none() | st.sampled_from(("sht31_temp", "sht31_humidity", "ds18b20", "ph")),
    st.none() | st.sampled_from(("68", "28FF641E8D3C0CDA")),
)
ACTUATORS = st.builds(ActuatorKey, ESPS, st.integers(0, 255))
AGES = st.none() | SECONDS
PLACES = {"zone_id": st.none() | st.just("tent_1"), "subzone_id": st.none() | st.just("bench_a")}
SENSED = {"sensor": SENSORS, "max_age_s": AGES}


def _apart(pair: tuple[float, float]) -> tuple[float, float]:
    return (min(pair), max(pair) + 0.5)


HYSTERESES = st.one_of(
    st.builds(
        lambda pair, **more: Hysteresis(off_below=pair[0], on_above=pair[1], **more),
        st.tuples(NUMBERS, NUMBERS).map(_apart),
        **SENSED,
        **PLACES,
    ),
    st.builds(
        lambda pair, **more: Hysteresis(on_below=pair[0], off_above=pair[1], **more),
        st.tuples(NUMBERS, NUMBERS).map(_apart),
        **SENSED,
        **PLACES,
    ),
)
WINDOWS = st.builds(
    TimeWindow,
    start_min=st.integers(0, 1439),
    end_min=st.integers(0, 1440),
    days=st.none() | st.frozensets(st.integers(0, 6), min_size=1, max_size=6),
    timezone=ZONES,
).filter(lambda window: window.start_min != window.end_min)
LEAVES: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Threshold, operator=st.sampled_from(Operator), value=NUMBERS, **SENSED, **PLACES),
    st.builds(
        lambda pair, **more: Between(low=pair[0], high=pair[1], **more),
        st.tuples(NUMBERS, NUMBERS).map(_apart),
        **SENSED,
        **PLACES,
    ),
    HYSTERESES,
    WINDOWS,
    st.builds(
        Difference,
        a=SENSORS,
        b=SENSORS,
        operator=st.sampled_from(Operator),
        value=NUMBERS,
        consecutive=st.integers(1, 100),
        max_age_s=AGES,
    ).filter(lambda difference: difference.a != difference.b),
    st.builds(
        RateOfChange,
        operator=st.sampled_from(Operator),
        per_min=NUMBERS,
        window_s=st.floats(10, 86_400),
        **SENSED,
    ),
    st.builds(Freshness, stale=st.booleans(), **SENSED),
    st.just(Always()),
)


def _some(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[tuple[Condition, ...]]:
    return st.lists(inner, min_size=2, max_size=3).map(tuple)


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(All, conditions=_some(inner)),
        st.builds(AnyOf, conditions=_some(inner)),
        st.builds(Not, condition=inner),
        st.builds(HeldFor, condition=inner, seconds=SECONDS),
    ),
    max_leaves=6,
)

SWITCHES = st.one_of(
    st.builds(
        Switch,
        actuator=ACTUATORS,
        command=st.just(SwitchCommand.ON),
        value=st.floats(0.01, 1),
        duration_s=SECONDS,
        critical=st.booleans(),
    ),
    st.builds(Switch, actuator=ACTUATORS, command=st.just(SwitchCommand.OFF), value=st.just(0.0)),
    st.builds(Switch, actuator=ACTUATORS, command=st.just(SwitchCommand.PWM), value=SHARES),
    st.builds(Switch, actuator=ACTUATORS, command=st.just(SwitchCommand.TOGGLE)),
)
NOTIFICATIONS = st.one_of(
    st.builds(Notify, channel=st.just(Channel.WEBSOCKET), template=WORDS),
    st.builds(
        Notify,
        channel=st.just(Channel.WEBHOOK),
        template=WORDS,
        target=st.just("http://192.168.1.5:8123/api/webhook/x"),
        severity=st.sampled_from(("info", "critical")),
    ),
)
STEPS = st.one_of(
    st.builds(
        Step,
        action=SWITCHES | NOTIFICATIONS,
        before_s=st.floats(0, 30),
        after_s=st.floats(0, 30),
        timeout_s=SECONDS,
        retries=st.integers(0, 20),
        retry_delay_s=SECONDS,
        abort_on_failure=st.booleans(),
        name=WORDS,
    ),
    st.builds(Step, delay_s=st.floats(0, 60)),
)
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    SWITCHES,
    NOTIFICATIONS,
    st.builds(Delay, seconds=SECONDS),
    st.builds(
        Sequence, steps=st.lists(STEPS, min_size=1, max_size=5).map(tuple), id=WORDS, description=WORDS
    ),
    st.builds(
        Pid,
        actuator=ACTUATORS,
        sensor=SENSORS,
        set_point=NUMBERS,
        kp=st.floats(0.01, 100),
        ki=SHARES,
        kd=SHARES,
        reverse=st.booleans(),
        output_min=st.floats(0, 0.4),
        output_max=st.floats(0.5, 1),
        window_s=st.just(0.0) | st.floats(10, 3600),
        max_age_s=AGES,
        critical=st.booleans(),
    ),
    st.builds(
        Photoperiod,
        actuator=ACTUATORS,
        on_min=st.integers(0, 1439),
        light_min=st.integers(60, 1440),
        value=st.floats(0.01, 1),
        ramp_min=st.integers(0, 30),
        timezone=ZONES,
        critical=st.booleans(),
    ),
)
