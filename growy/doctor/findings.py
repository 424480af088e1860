"""All facts of a visit, and what is found. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import attrs

from growy.doctor.facts import (
    BrokerFacts,
    CertificateFacts,
    ControlFacts,
    FleetFacts,
    MachineFacts,
    PartsFacts,
    SensorsFacts,
    WebFacts,
)
from growy.doctor.judge_growing import control, fleet, sensors
from growy.doctor.judge_machine import machine
from growy.doctor.judge_service import broker, certificates, parts, web
from growy.doctor.verdict import Finding, Level, amber, red


@attrs.frozen(kw_only=True)
class Facts:
    """A group is None where it could not be looked at."""

    running: bool
    """A daemon answers."""
    barred: bool = False
    """One may be there, and whoever asks is not let in."""
    why_not: str = ""
    """What happened where it was looked for."""
    machine: MachineFacts | None = None
    parts: PartsFacts | None = None
    broker: BrokerFacts | None = None
    certificates: tuple[CertificateFacts, ...] = ()
    web: WebFacts | None = None
    fleet: FleetFacts | None = None
    sensors: SensorsFacts | None = None
    control: ControlFacts | None = None


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Every check that could be made, in the order in which a person should read them."""
    found: list[Iterable[Finding]] = [_running(facts)]
    if facts.parts is not None:
        found.append(parts(facts.parts))
    if facts.control is not None:
        found.append(control(facts.control))
    if facts.broker is not None:
        found.append(broker(facts.broker))
    found.append(certificates(facts.certificates))
    if facts.fleet is not None:
        found.append(fleet(facts.fleet))
    if facts.sensors is not None:
        found.append(sensors(facts.sensors))
    if facts.machine is not None:
        found.append(machine(facts.machine))
    if facts.web is not None:
        found.append(web(facts.web))
    return tuple(chain.from_iterable(found))


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level among them; green when there are none."""
    return max((finding.level for finding in findings), key=list(Level).index, default=Level.GREEN)


def _running(facts: Facts) -> Iterator[Finding]:
    if facts.barred:
        yield amber(
            "growyd",
            "not_let_in",
            f"growyd could not be asked, so that devices and rules were not looked at. {facts.why_not}".strip(),
            "sudo -u growy growyd doctor; from elsewhere with an API key: GROWYD_API_KEY",
        )
    elif not facts.running:
        yield red(
            "growyd",
            "not_running",
            f"growyd does not run, so that devices and rules cannot be looked at. {facts.why_not}".strip(),
            "systemctl start growyd (or `growyd run`); why it ended: journalctl -u growyd -n 50",
        )


__all__ = ["Facts", "Finding", "Level", "examine", "worst"]
