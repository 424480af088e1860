"""What happens in a demo with several Pis: devices are set up where they are owned, and one gets another owner while
its heater runs. Each step is told; what the heater really did is counted at its pin, whatever anybody believes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio

from growy.cli.demo_control import LOOK_S, fit_out
from growy.cli.demo_pis import BY, DemoTree, Pi
from growy.cli.demo_view import MAX_ROWS, DemoMove
from growy.control.people import Wish
from growy.model.control import ActuatorKey
from growy.model.errors import GrowyError
from growy.model.hierarchy import GOD, ChainStatus, CommandChain, TransferStep
from growy.sim.greenhouse import Role
from growy.sim.spec import EspSpec

HEAT_AT_S = 7.0
"""When its heater is switched on. Seconds from the start of the devices, as the next."""
MOVE_AT_S = 10.0
"""When the device gets another owner: by then its room can be seen to live."""
READY_S = 30.0
"""How long its heater may take to obey."""
HEAT_S = 600.0
"""So long the heater is on by hand, whatever its rule says meanwhile: then no weather switches it."""
MOVE_WITHIN_S = 60.0
OBSERVE_S = 2.0
"""How long its heater is looked at before the transfer and after it, at least."""
REACH_S = 15.0
"""How long it is looked at on top of that, until the new owner hears the device and would switch it."""
STEP_S = 0.005
STEPS: Mapping[TransferStep, str] = {
    TransferStep.PREPARE: "{target} gets its setup and its rules",
    TransferStep.REVOKE: "{source} keeps its hands off, and says what the outputs do",
    TransferStep.GRANT: "a new epoch is on God's disk, for {target}",
    TransferStep.ADOPT: "{target} takes the outputs over as they are",
    TransferStep.ROLL_BACK: "{target} did not take it: back to {source}",
}


async def play(tree: DemoTree) -> None:
    """Every device is set up where it is owned; then one gets another owner.

    Raises:
        GrowyError: a node refuses the setup.
    """
    mover = tree.pis[1].specs[0]
    async with trio.open_nursery() as nursery:
        ready = trio.Event()
        for pi in tree.pis:
            for spec in pi.specs[:MAX_ROWS]:
                nursery.start_soon(set_up, tree, pi, spec, ready if spec is mover else None)
        with trio.move_on_after(HEAT_AT_S + READY_S):
            await ready.wait()
        await trio.sleep_until(tree.began + HEAT_AT_S)
        done = await move(tree, mover)
        if not tree.stopping:
            tree.moves.append(done)
            tree.tell(str(done))
        tree.told.set()


async def set_up(tree: DemoTree, home: Pi, spec: EspSpec, ready: trio.Event | None) -> None:
    # Until it has been heard nobody owns it, except that what hangs on God is God's.
    while home.node != GOD and tree.god.core.record(spec.esp_id) is None:  # noqa: ASYNC110
        await trio.sleep(LOOK_S)
    await fit_out(tree.owner(spec.esp_id).daemon, [spec], tree.options.interval_s)
    if ready is not None:
        ready.set()


async def move(tree: DemoTree, spec: EspSpec) -> DemoMove:
    """Its heater is switched on by hand; then it goes to God, or from God to the first Kaiser, step by step."""
    esp_id, god = spec.esp_id, tree.god
    gpio = next(pin for pin, role in spec.plant.items() if role is Role.HEATER)
    heater = next(one.actuator_name for one in spec.actuators if one.gpio == gpio)
    source = tree.owner(esp_id)
    target = GOD if source.node != GOD else tree.pis[1].node
    fleet = tree.fleets[tree.pis[1].node]
    switchings = fleet.houses[spec.zone_id].switchings

    def level() -> float:
        output = fleet.device(esp_id).state.board.actuator(gpio)
        return 0.0 if output is None else output.flow

    fault = await heat(source, ActuatorKey(esp_id, gpio), level)
    if not fault:
        tree.tell(f"{heater} of {spec.name} ({esp_id}) is on: by hand at {source.node}, its owner")
        await trio.sleep_until(max(tree.began + MOVE_AT_S, trio.current_time() + OBSERVE_S))
    before, switched, began = level(), switchings[esp_id, Role.HEATER], trio.current_time()
    took_s = 0.0
    if not fault:
        tree.tell(f"transfer of {spec.name} from {source.node} to {target} begins")
        try:
            chain = await follow(tree, await god.transfer(esp_id, source.node, target, reason="demo", by=BY))
            took_s = trio.current_time() - began
            if chain.status is not ChainStatus.DONE:
                fault = f"the transfer ended with {chain.status.value}"
        except GrowyError as error:
            fault = str(error)
        await trio.sleep(OBSERVE_S)
        with trio.move_on_after(REACH_S) as patience:
            while not acts(tree.owner(esp_id), ActuatorKey(esp_id, gpio)):  # noqa: ASYNC110 - only a demo waits for it
                await trio.sleep(LOOK_S)
        if patience.cancelled_caught and not fault:
            fault = f"{god.owner(esp_id)} does not reach it"
    return DemoMove(
        esp_id=esp_id,
        device=spec.name,
        actuator=heater,
        source=source.node,
        target=target,
        owner=god.owner(esp_id),
        home=god.home(esp_id),
        took_s=took_s,
        before=before,
        after=level(),
        switched=switchings[esp_id, Role.HEATER] - switched,
        fault=fault,
    )


async def heat(owner: Pi, heater: ActuatorKey, level: Callable[[], float]) -> str:
    """Has a heater run. Why it does not; "" when it does."""
    fault = "the heater did not go on"
    with trio.move_on_after(READY_S):
        while True:
            try:
                said = await owner.daemon.control.command(heater, Wish.ON, duration_s=HEAT_S, by=BY)
                if said.acknowledged and level() > 0.0:
                    return ""
            except GrowyError as error:  # it has only just turned up
                fault = str(error)
            await trio.sleep(LOOK_S)
    return fault


def acts(owner: Pi, actuator: ActuatorKey) -> bool:
    """Whether the owner would switch it now: it hears the device, and somebody wants something of the actuator."""
    try:
        state = owner.daemon.control.state(actuator)
    except GrowyError:  # not there yet
        return False
    return state.refusal is None and state.claim is not None


async def follow(tree: DemoTree, chain: CommandChain) -> CommandChain:
    """Tells every step of a transfer; how it ended."""
    data = {"source": tree.owner(chain.esp_id or "").node, "target": chain.kaiser_id}
    told: TransferStep | None = None
    with trio.move_on_after(MOVE_WITHIN_S):
        while True:
            now = next((one for one in tree.god.core.chains if one.command_id == chain.command_id), None)
            if now is None:
                break
            if now.step is not None and now.step is not told and now.step in STEPS:
                tree.tell(f"{now.step.value}: {STEPS[now.step].format_map(data)}")
            told = now.step
            await trio.sleep(STEP_S)
    return await tree.god.wait(chain.command_id, LOOK_S)
