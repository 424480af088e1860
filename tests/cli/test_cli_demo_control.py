"""Why an actuator of the demo does what it does, in a word or two, and what is shown when all is over."""

from __future__ import annotations

import attrs
import pytest
from test_cli_demo_view import HEATING, SNAPSHOT

from growy.cli.demo_control import why_of
from growy.cli.demo_run import with_actuators_of
from growy.model.control import ActuatorKey, ActuatorState, Claim, Rank, Refusal, RefusalCode
from growy.model.setup import ActuatorKind

HEATER = ActuatorKey("ESP_00A003", 18)
RULE = Claim(
    actuator=HEATER, holder="rule:7/0", rank=Rank.RULE, value=1.0, issued_by="rule:Bench B: keep warm"
)
NO = Refusal(code=RefusalCode.INTERLOCK, message="Not while the vent is open")


@pytest.mark.parametrize(
    ("claim", "refusal", "why"),
    [
        (None, None, ""),
        (RULE, None, "keep warm"),
        (attrs.evolve(RULE, issued_by="user:anna"), None, "anna"),
        (attrs.evolve(RULE, holder="default", issued_by=""), None, "default"),
        (RULE, NO, "INTERLOCK"),
    ],
)
def test_the_gate_s_no_goes_before_the_claim(claim: Claim | None, refusal: Refusal | None, why: str):
    state = ActuatorState(
        actuator=HEATER,
        kind=ActuatorKind.RELAY,
        wanted=1.0,
        output=1.0,
        reported=None,
        claim=claim,
        refusal=refusal,
    )

    assert why_of(state) == why


def test_the_final_picture_shows_what_ran_when_the_end_began():
    bench, tank = SNAPSHOT.devices
    before = attrs.evolve(
        SNAPSHOT, devices=(attrs.evolve(bench, actuators=(HEATING,), rules=("+ keep warm",)), tank)
    )
    over = attrs.evolve(SNAPSHOT, devices=(attrs.evolve(bench, published=99), tank))

    (shown, _) = with_actuators_of([before], over).devices
    assert (shown.published, shown.actuators, shown.rules) == (99, (HEATING,), ("+ keep warm",))
    assert with_actuators_of([], over) == over
