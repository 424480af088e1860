"""The demo's greenhouse is set up in the running growyd; what its actuators do, and why, is looked up for the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import trio

from growy.cli import demo_rules
from growy.cli.demo_view import MAX_ROWS, DemoActuator
from growy.control.rules.walk import actuators_of as named_by
from growy.fleet.device import Standing
from growy.model.control import ActuatorKey, ActuatorState, Tenure
from growy.model.errors import NotFound

if TYPE_CHECKING:
    from growy.parts import Daemon
    from growy.sim.device import SimDevice
    from growy.sim.fleet import SimFleet
    from growy.sim.spec import EspSpec

LOOK_S = 0.2
"""How often it is looked whether growyd has met a device."""
BY = "demo"


async def set_up(daemon: Daemon, fleet: SimFleet, interval_s: float) -> None:
    """Tell growyd of the actuators of the devices that the table shows, as each of them turns up, then of the rules.

    Raises:
        GrowyError: it refuses one.
    """
    await fit_out(daemon, fleet.specs[:MAX_ROWS], interval_s)


async def fit_out(daemon: Daemon, specs: Sequence[EspSpec], interval_s: float) -> None:
    """Tell the growyd that owns these devices of their actuators, as each turns up, then of the rules.

    Raises:
        GrowyError: it refuses one.
    """
    for esp_id, setup in demo_rules.setups(specs):
        await _approved(daemon, esp_id)
        await daemon.fleet.set_actuator(esp_id, setup)
    book = daemon.control.book
    kept = {rule.name: rule.id for rule in book.rules()}
    for document in demo_rules.rules(specs, interval_s, datetime.now(UTC)):
        rule_id = kept.get(str(document["name"]))
        if rule_id is None:
            await book.add(document, by=BY)
        else:  # of an earlier demo in the same databases
            await book.change(rule_id, document, by=BY)


async def _approved(daemon: Daemon, esp_id: str) -> None:
    while True:
        device = daemon.fleet.get(esp_id)
        approved = device is not None and device.record.standing is Standing.APPROVED
        if approved and daemon.tree.node.tenure(esp_id) is Tenure.OURS:
            return
        await trio.sleep(LOOK_S)


def actuators_of(daemon: Daemon, device: SimDevice) -> tuple[DemoActuator, ...]:
    """Those that move the greenhouse, as they really are."""
    found = []
    for output in device.state.board.actuators:
        if output.gpio in device.spec.plant:
            try:
                why = why_of(daemon.control.state(ActuatorKey(device.spec.esp_id, output.gpio)))
            except NotFound:  # not set up yet
                why = ""
            flow = output.flow if device.powered else 0.0
            found.append(DemoActuator(name=output.config.actuator_name, output=flow, why=why))
    return tuple(found)


def why_of(state: ActuatorState) -> str:
    """The gate's no, or whose claim goes before all others, in a word or two."""
    if state.refusal is not None:
        return state.refusal.code.value
    if state.claim is None:
        return ""
    return _short(state.claim.issued_by.partition(":")[2] or state.claim.holder)


def rules_of(daemon: Daemon) -> Mapping[str, tuple[str, ...]]:
    """By device, the rules that switch its actuators, with a mark for whether each holds."""
    found: dict[str, tuple[str, ...]] = {}
    for record in daemon.control.book.records():
        holds = record.situation.holds
        line = f"{'?' if holds is None else '+' if holds else '-'} {_short(record.rule.name)}"
        for esp_id in {actuator.esp_id for actuator in named_by(record.rule)}:
            found[esp_id] = (*found.get(esp_id, ()), line)
    return found


def _short(name: str) -> str:
    """A rule's name without the device that stands in the same row."""
    return name.rpartition(": ")[2]
