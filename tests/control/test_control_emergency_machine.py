"""Whatever happens to devices, lines, broker and growyd, in whatever order: what is stopped stays stopped, and nobody
is left untold.
"""

from __future__ import annotations

import math

import attrs
from emergency_rig import PINS, Bench, Chip
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from growy.control.stops.effects import Proof, Publish
from growy.control.stops.pursuit import EVERY_S
from growy.model.control import ActuatorKey, Stop
from growy.model.messages import Generation

ONE, SECRET, OLD, STRANGE = "ESP_00A001", "ESP_00A002", "ESP_00A003", "ESP_00A004"
DEVICES = st.sampled_from([ONE, SECRET, OLD, STRANGE])
WAITS = st.sampled_from([0.1, 1.0, 2.0, 5.5, 14.9, 15.0, 40.0, 200.0])


class Greenhouse(RuleBasedStateMachine):
    """Four devices: without a token, with one, of 2025-12, and one whose token growyd does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(
            Chip(esp_id=ONE),
            Chip(esp_id=SECRET, stored_token="s3cret", known_token="s3cret"),
            Chip(esp_id=OLD, generation=Generation.DEC_2025),
            Chip(esp_id=STRANGE, stored_token="right", known_token="wrong"),
        )
        self.unseen: set[str] = set()
        """Devices that somebody has switched on behind a line that loses what they say."""

    def chip(self, esp_id: str) -> Chip:
        return self.bench.chips[esp_id]

    def covering(self, chip: Chip) -> list[Stop]:
        return [stop for stop in self.bench.stops.values() if stop.esp_id in (None, chip.esp_id)]

    def latched(self, chip: Chip) -> bool:
        """Whether a stop wants its latch shut."""
        return any(stop.gpio is None for stop in self.covering(chip))

    # --- people -----------------------------------------------------------------------------------------------

    @initialize(running=st.sets(DEVICES))
    def somebody_has_switched_on(self, running: set[str]) -> None:
        for esp_id in sorted(running):
            self.chip(esp_id).switch_on(self.bench.now)

    @rule()
    def stop_everything(self) -> None:
        self.bench.stop()

    @rule(esp_id=DEVICES)
    def stop_a_device(self, esp_id: str) -> None:
        self.bench.stop(esp_id)

    @rule(esp_id=DEVICES, gpio=st.sampled_from(PINS))
    def stop_an_actuator(self, esp_id: str, gpio: int) -> None:
        self.bench.stop(esp_id, gpio)

    @precondition(lambda self: self.bench.stops)
    @rule()
    def clear_everything(self) -> None:
        assert self.bench.clear().remaining == ()

    @rule(esp_id=DEVICES)
    def clear_a_device(self, esp_id: str) -> None:
        answer = self.bench.clear(esp_id)

        assert answer.remaining == tuple(self.covering(self.chip(esp_id)))

    @rule(esp_id=DEVICES, gpio=st.sampled_from(PINS))
    def clear_an_actuator(self, esp_id: str, gpio: int) -> None:
        answer = self.bench.clear(esp_id, gpio)

        actuator = ActuatorKey(esp_id, gpio)
        assert set(answer.remaining) == {s for s in self.bench.stops.values() if s.covers(actuator)}

    # --- the world --------------------------------------------------------------------------------------------

    @rule(seconds=WAITS)
    def time_passes(self, seconds: float) -> None:
        self.bench.wait(seconds)

    @rule(esp_id=DEVICES)
    def lose_what_is_sent_to_it(self, esp_id: str) -> None:
        self.chip(esp_id).deaf ^= True

    @rule(esp_id=DEVICES)
    def lose_what_it_says(self, esp_id: str) -> None:
        self.chip(esp_id).mute ^= True

    @rule(esp_id=DEVICES)
    def it_reports(self, esp_id: str) -> None:
        chip = self.chip(esp_id)
        self.bench.report_statuses(chip)
        if chip.ready and chip.online and not chip.mute and self.bench.linked:
            self.unseen.discard(esp_id)

    @rule(esp_id=DEVICES)
    def somebody_switches_it_on(self, esp_id: str) -> None:
        chip = self.chip(esp_id)
        if chip.mute or not (chip.online and chip.ready and self.bench.linked):
            self.unseen.add(esp_id)
        self.bench.carry(self.bench.hear(chip, chip.switch_on(self.bench.now)))

    @rule(esp_id=DEVICES)
    def it_goes(self, esp_id: str) -> None:
        self.bench.disconnect(self.chip(esp_id))

    @rule(esp_id=DEVICES, rebooted=st.booleans())
    def it_comes(self, esp_id: str, rebooted: bool) -> None:
        chip = self.chip(esp_id)
        if chip.online:
            return
        if rebooted:
            chip.board, chip.boots = chip.fresh_board(), chip.boots + 1
            chip.kept, chip.booted_at = [], self.bench.now
        effects = self.bench.connect(chip, ready=False)

        if self.latched(chip) and self.bench.linked:
            assert any(isinstance(e, Publish) and e.topic.endswith("/emergency") for e in effects)

    @rule(esp_id=DEVICES)
    def it_is_registered(self, esp_id: str) -> None:
        chip = self.chip(esp_id)
        if chip.online:
            self.bench.register(chip)

    @rule(esp_id=DEVICES)
    def it_reboots_between_two_heartbeats(self, esp_id: str) -> None:
        chip = self.chip(esp_id)
        if chip.online:
            chip.kept = []
            self.unseen.discard(esp_id)
            self.bench.reboot(chip)

    @rule(connected=st.booleans())
    def the_broker_comes_or_goes(self, connected: bool) -> None:
        if self.bench.linked is not connected:
            self.bench.link(connected)

    @rule()
    def growyd_restarts(self) -> None:
        self.bench.start()

    # --- what can never be ------------------------------------------------------------------------------------

    @invariant()
    def every_stop_is_in_force_until_a_person_ends_it(self) -> None:
        assert set(self.bench.emergency.stops) == set(self.bench.stops.values())

    @invariant()
    def who_has_not_proven_it_has_just_been_told(self) -> None:
        bench = self.bench
        if not bench.linked:
            return
        for report in bench.emergency.report():
            for found in report.devices:
                chip = self.chip(found.esp_id)
                if chip.online and found.proof is None:
                    since = bench.now - chip.told_at.get(found.gpio, -math.inf)
                    waiting = bench.emergency.next_due() - bench.now
                    assert waiting <= EVERY_S
                    # A single actuator's OFF waits for the device to take commands, but not longer than that.
                    assert since <= EVERY_S or (found.gpio is not None and not chip.ready)

    @invariant()
    def what_is_proven_is_so(self) -> None:
        for report in self.bench.emergency.report():
            for found in report.devices:
                chip = self.chip(found.esp_id)
                if found.proof in (Proof.ACKNOWLEDGED, Proof.LATCHED):
                    assert chip.board.emergency
                    assert chip.still
                elif found.proof is Proof.OFF and chip.online and chip.esp_id not in self.unseen:
                    outputs = [chip.board.actuator(found.gpio)] if found.gpio else chip.board.actuators
                    assert not any(output.on for output in outputs)

    @invariant()
    def every_covered_device_is_reported(self) -> None:
        for report in self.bench.emergency.report():
            covered = {e for e in self.bench.chips if report.stop.esp_id in (None, e)}
            assert {found.esp_id for found in report.devices} == covered

    @invariant()
    def a_latch_that_is_still_shut_is_not_forgotten(self) -> None:
        for chip in self.bench.chips.values():
            if chip.board.emergency:
                assert self.latched(chip) or self.bench.emergency.held(chip.esp_id)

    def teardown(self) -> None:
        """All lines mended, all is proven; all ended, all is free."""
        bench = self.bench
        self.chip(STRANGE).known_token = "right"
        if not bench.linked:
            bench.link(True)
        for chip in bench.chips.values():
            chip.deaf = chip.mute = False
            bench.connect(chip)
            bench.register(chip)
        bench.wait(60)
        for chip in bench.chips.values():
            bench.report_statuses(chip)
        bench.wait(60)
        for report in bench.emergency.report():
            assert report.proven, [attrs.asdict(found) for found in report.devices]
        for chip in bench.chips.values():
            assert chip.board.emergency or not self.latched(chip)
        bench.clear()
        bench.wait(60)
        assert bench.emergency.stops == ()
        assert bench.emergency.next_due() == math.inf
        assert bench.owed == {}
        assert not any(chip.board.emergency for chip in bench.chips.values())


TestGreenhouse = Greenhouse.TestCase
TestGreenhouse.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
