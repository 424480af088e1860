"""`growyd simulate`: virtual ESP32s against a real broker, with their own count of what was acknowledged."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from growy.cli.options import DURATION, SENSOR_AT, SensorAt

if TYPE_CHECKING:
    from growy.sim.fleet import SimOptions
    from growy.sim.plant import PlugChange
    from growy.sim.report import FleetReport

SHARE = click.FloatRange(0.0, 1.0)


@click.command()
@click.option("--esps", type=click.IntRange(1, 10_000), default=6, show_default=True, help="How many ESP32s.")
@click.option(
    "--interval", type=DURATION, help="One interval for every sensor; else each kind its own (10 to 60 s)."
)
@click.option(
    "--broker", default="mqtt://127.0.0.1:1883", show_default=True, help="mqtt://user:password@host:port."
)
@click.option("--for", "duration", type=DURATION, help="End after this long; else with Ctrl-C.")
@click.option("--kaiser", default="god", show_default=True, help="kaiser_id in their topics.")
@click.option("--seed", type=int, default=0, show_default=True, help="Devices, weather and noise.")
@click.option(
    "--no-gate", is_flag=True, help="Publish at once, without waiting for growyd's answer to a heartbeat."
)
@click.option(
    "--generation",
    type=click.Choice(["2026-04", "2025-12"]),
    default="2026-04",
    show_default=True,
    help="Their firmware.",
)
@click.option("--approved", is_flag=True, help="A server has approved them before.")
@click.option("--virgin", is_flag=True, help="Fresh from provisioning: no sensor, no actuator, no zone.")
@click.option("--spread", type=DURATION, help="Switch them on over this time; else all at once.")
@click.option("--lose-acks", type=SHARE, default=0.0, help="Share of growyd's ACKs that are lost, 0 to 1.")
@click.option("--lose-heartbeats", type=SHARE, default=0.0, help="Share of the heartbeats that are lost.")
@click.option("--duplicate", type=SHARE, default=0.0, help="Share of the messages that arrive twice.")
@click.option("--slow-suback", type=DURATION, help="Every subscription stands this much later.")
@click.option("--no-clock", is_flag=True, help="No time from the network: only an ACK brings it.")
@click.option("--reboot-every", type=DURATION, help="Every device panics so long after each boot.")
@click.option(
    "--unplug",
    type=SENSOR_AT,
    multiple=True,
    help="ESP:GPIO@TIME: pull this sensor off so long after the start; several times for several.",
)
@click.option("--plug", type=SENSOR_AT, multiple=True, help="ESP:GPIO@TIME: put it back.")
@click.option("--json", "as_json", is_flag=True, help="Print the final report as JSON.")
@click.pass_context
def simulate(
    ctx: click.Context,
    /,
    esps: int,
    interval: float | None,
    broker: str,
    duration: float | None,
    kaiser: str,
    seed: int,
    no_gate: bool,
    unplug: tuple[SensorAt, ...],
    plug: tuple[SensorAt, ...],
    as_json: bool,
    **about_them: Any,
) -> None:
    """Simulated ESP32s against any MQTT broker.

    They wait, as real ones do, until growyd has answered a heartbeat. Ends with 1 when readings stayed
    unacknowledged, or when none could be published at all (virgin devices have none).
    """
    from functools import partial

    import attrs

    from growy.cli.exits import ExitCode
    from growy.cli.output import print_json
    from growy.cli.running import run_trio
    from growy.config import BrokerUrl
    from growy.model.errors import ConfigError
    from growy.sim.fleet import SimOptions

    try:
        address = BrokerUrl.parse(broker)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param_hint="--broker") from error
    try:
        options = SimOptions(
            esps=esps,
            interval_s=interval,
            broker=address,
            kaiser_id=kaiser,
            seed=seed,
            duration_s=duration,
            gate=not no_gate,
            ledger_limit=0,
            plug_changes=plug_changes(unplug, plug),
            **_devices(**about_them),
        )
        options.specs()
    except ValueError as error:
        # attrs puts the field and the pattern behind its sentence.
        raise ConfigError("These devices cannot be simulated", (str(error.args[0]),)) from error
    report = run_trio(partial(_run, options, quiet=as_json))
    if as_json:
        print_json(attrs.asdict(report))
    else:
        click.echo(told(report))
    if report.unacked or not (report.published or options.virgin):
        ctx.exit(ExitCode.FAILED)


def plug_changes(unplug: Iterable[SensorAt], plug: Iterable[SensorAt]) -> tuple[PlugChange, ...]:
    """What --unplug and --plug say, as `SimOptions` has it."""
    from growy.sim.plant import PlugChange

    return tuple(
        PlugChange(
            at_s=one.at_s, esp_id=one.esp_id, gpio=one.gpio, sensor_type=one.sensor_type, plugged=plugged
        )
        for plugged, ones in ((False, unplug), (True, plug))
        for one in ones
    )


def _devices(
    *,
    generation: str,
    approved: bool,
    virgin: bool,
    spread: float | None,
    lose_acks: float,
    lose_heartbeats: float,
    duplicate: float,
    slow_suback: float | None,
    no_clock: bool,
    reboot_every: float | None,
) -> dict[str, Any]:
    """What the options say of the devices, as `SimOptions` has it."""
    from growy.sim.faults import Faults
    from growy.sim.flash import Generation

    return {
        "generation": Generation(generation),
        "approved": approved,
        "virgin": virgin,
        "start_spread_s": spread or 0.0,
        "faults": Faults(
            lose_acks=lose_acks,
            lose_heartbeats=lose_heartbeats,
            duplicate=duplicate,
            suback_delay_s=slow_suback or 0.0,
            clock_unknown=no_clock,
            reboot_every_s=reboot_every,
        ),
    }


def told(report: FleetReport) -> str:
    """The report in words, one line, or two when something is amiss."""
    dropped = report.dropped_offline + report.dropped_gate + report.dropped_outbox
    line = (
        f"{report.elapsed_s:6.1f} s: {report.connected} of {len(report.devices)} connected, "
        f"{report.registered} registered, {report.published} readings published, {report.acked} acknowledged, "
        f"{report.unacked} not yet"
    )
    if dropped:
        line += (
            f"\n          {dropped} never published: {report.dropped_gate} before growyd's answer, "
            f"{report.dropped_offline} without a broker, {report.dropped_outbox} with a full outbox"
        )
    if report.lost_in_reset:
        line += f"\n          {report.lost_in_reset} published and forgotten in a reset before they were acknowledged"
    away = [device for device in report.devices if device.mode != "online"]
    if away:
        modes = sorted({device.mode for device in away})
        line += f"\n          {len(away)} without their server: {', '.join(modes)}"
    errors = sorted(
        {device.last_error for device in report.devices if device.last_error and not device.connected}
    )
    refusals = sorted({device.last_ack_refusal for device in report.devices if device.acks_refused})
    return "".join([line, *(f"\n          {text}" for text in (*errors[:3], *refusals[:3]))])


async def _run(options: SimOptions, *, quiet: bool) -> FleetReport:
    """Until its duration is over or a signal comes: then it ends in order. A second signal ends it at once."""
    import trio

    from growy.sim.fleet import SimFleet, run_fleet

    async def tell(fleet: SimFleet) -> None:
        while True:
            await trio.sleep(1.0)
            click.echo(told(fleet.statistics()), err=True)

    async def obey(fleet: SimFleet, at_once: trio.CancelScope) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            await anext(signals)
            fleet.stop()
            await anext(signals)
            at_once.cancel()

    async with trio.open_nursery() as beside:
        async with trio.open_nursery() as flight:
            fleet: SimFleet = await flight.start(run_fleet, options)
            beside.start_soon(obey, fleet, flight.cancel_scope)
            if not quiet:
                beside.start_soon(tell, fleet)
        beside.cancel_scope.cancel()
    return fleet.statistics()
