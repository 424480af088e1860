"""The composition root: opens everything in the order of dependence, wires it, owns the nurseries. No logic.

Lifetimes: store and workers outlive the tasks that use them; the core (store, workers, intake, fleet) dies last; the
doors (broker link, web) are shut first. A stop is: read no more, commit what was read, acknowledge it, say goodbye.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from growy import __version__
from growy.broker.client_certificate import read_pair
from growy.broker.embedded import open_embedded_broker
from growy.broker.link import Link
from growy.broker.logins import REMEMBERED, BrokerLogins
from growy.broker.mosquitto import mosquitto_of
from growy.broker.survey import BrokerSurvey
from growy.config import Config
from growy.config.broker_url import mask_url
from growy.control.control import Control
from growy.control.opening import open_control
from growy.control.performing import Ways
from growy.control.watchdog import Watchdog
from growy.fleet.audit_trail import AuditTrail
from growy.fleet.conversion import ConversionSetups
from growy.fleet.enhanced import EnhancedResponder
from growy.fleet.fleet import Fleet
from growy.fleet.journal import FleetJournal, read_known
from growy.fleet.limiter import TokenBucket
from growy.fleet.processed import ProcessedPublisher
from growy.fleet.server_status import ServerStatus
from growy.fleet.tokens import BROADCAST_TOKEN
from growy.fleet.zones import Zones, zone_of_row
from growy.intake import Intake
from growy.intake.replay import memory_for
from growy.model.reading import Columns
from growy.model.time import Moment
from growy.ops.log import get_log
from growy.ops.sdnotify import Notifier
from growy.parts import Daemon, one_line, wall_ms
from growy.sensors.pool import open_pool
from growy.store.store import open_store
from growy.tree import (
    ROLE_KAISER,
    backoff_of,
    broker_endpoint,
    device_prefix,
    listens_to,
    open_tree,
)
from growy.web.accounts.accounts import open_accounts
from growy.web.app import App
from growy.web.gate import Gate
from growy.web.health import assess
from growy.web.live import LiveHub
from growy.web.premises import premises_of, vitals_of
from growy.web.server import open_web
from growy.web.standing import standing
from growy.wire.table import Message
from growy.wire.topics import Topic

log = get_log(__name__)

STOP_WITHIN_S = 4.0
"""What cannot be committed by then stays with the broker. The goodbye after it takes a second at most."""
SWITCH_S = 0.0005
"""Seconds that a thread keeps the interpreter for at most while others wait for it."""


async def run_daemon(
    config: Config,
    *,
    on_committed: Callable[[Columns], None] | None = None,
    settings_file: Path | None = None,
    task_status: trio.TaskStatus[Daemon] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Runs until SIGTERM, SIGINT or `Daemon.stop`, then ends within five seconds with everything flushed.

    Args:
        on_committed: told of every batch that is on disk.
        settings_file: where the settings came from, for the doctor.

    Raises:
        GrowyError: it cannot start; the message names what and the cure.
    """
    # The disk's threads wait that long for the interpreter at each step of a commit while trio's is busy. Python's
    # 5 ms would make an emergency stop wait for several of them.
    sys.setswitchinterval(SWITCH_S)
    with trio.open_signal_receiver(*heard_signals()) as signals:
        await _run(config, on_committed, settings_file, signals, task_status)


async def _run(
    config: Config,
    on_committed: Callable[[Columns], None] | None,
    settings_file: Path | None,
    signals: AsyncIterator[int],
    task_status: trio.TaskStatus[Daemon],
) -> None:
    async with open_daemon(config, on_committed, settings_file) as daemon, trio.open_nursery() as core:
        await core.start(daemon.store.run)
        await core.start(daemon.pool.run)
        await core.start(daemon.intake.run)
        await core.start(daemon.enhanced.run)
        await core.start(daemon.fleet.run)
        await core.start(daemon.control.run)
        await core.start(daemon.journal.run)
        await core.start(daemon.audit.run)
        await core.start(daemon.accounts.run)
        await core.start(daemon.tree.run)
        async with trio.open_nursery() as doors:
            await doors.start(daemon.web.run)
            await doors.start(daemon.link.run)
            if daemon.tree.uplink is not None:
                await doors.start(daemon.tree.uplink.run)
            if config.sensors.publish_processed:
                await doors.start(daemon.processed.run)
            doors.start_soon(daemon.status.repeat, daemon.link.publish)
            doors.start_soon(daemon.survey.run)
            doors.start_soon(obey_signals, signals, daemon)
            notifier = Notifier.from_environ(os.environ)
            doors.start_soon(daemon.watchdog.pulse, "writer", daemon.store.ping)
            doors.start_soon(daemon.watchdog.pulse, "workers", daemon.pool.ping)
            await doors.start(partial(daemon.watchdog.run, notifier, summary=partial(one_line, daemon)))
            notifier.ready(f"listening on {daemon.web.url}")
            log.info("growyd runs", version=__version__, web=daemon.web.url, store=str(config.store_dir))
            task_status.started(daemon)
            daemon.note("service_start", f"growyd {__version__} has started")
            await daemon.stop.wait()
            daemon.note("service_stop", "growyd was stopped in order")
            notifier.stopping()
            daemon.link.drain()
            with trio.move_on_after(STOP_WITHIN_S) as patience:
                await daemon.intake.flush()
                await daemon.control.flush()
                await daemon.journal.write(everything=True)
                await daemon.accounts.flush()
                await daemon.audit.flush()
            log.info("growyd stops", flushed=not patience.cancelled_caught)
            doors.cancel_scope.cancel()
        core.cancel_scope.cancel()


@asynccontextmanager
async def open_daemon(
    config: Config,
    on_committed: Callable[[Columns], None] | None = None,
    settings_file: Path | None = None,
) -> AsyncIterator[Daemon]:
    """Opens and wires the parts, lowest floor first; nothing runs yet."""
    async with AsyncExitStack() as opened:
        endpoint = broker_endpoint(config)
        read_pair(endpoint)
        if config.broker.address.embedded:
            await opened.enter_async_context(open_embedded_broker(endpoint.host, endpoint.port))
        store = await opened.enter_async_context(
            open_store(
                config.store,
                config.store_dir,
                history_rows=config.control.history_rows,
                ship=config.node.role == ROLE_KAISER,
            )
        )
        pool = await opened.enter_async_context(open_pool(config.sensors, config.library_dir))
        rows = await store.device_rows()

        watchdog = Watchdog()
        status = ServerStatus(device_prefix(config), wall_ms)
        hub = LiveHub(
            store.catalog,
            zone_of=lambda esp_id: fleet.zone_of(esp_id),
            recall=store.tail.newest,
            standing=lambda: standing(fleet, control),
        )
        link = Link(
            endpoint,
            subscriptions=listens_to(config),
            deliver=lambda delivery: tree.deliver(delivery),
            backoff=backoff_of(config),
            wall_ms=wall_ms,
            will=status.will,
            hello=status.hello,
            farewell=status.offline,
            on_connection=lambda connected: connection_changed(fleet, control, connected),
            beat=partial(watchdog.beat, "link"),
        )
        say = partial(say_all, link)
        audit = AuditTrail(store)
        tree = await open_tree(
            config,
            store,
            pool,
            control=lambda: control,
            fleet=lambda: fleet,
            link=lambda: link,
            intake=lambda: intake,
            hub=hub,
            setups=lambda: setups,
            hear=lambda topic, message, now_ms: hear(fleet, control, topic, message, now_ms),
            note=audit.note,
            on_prefix=lambda kaiser_id: say(status.joins(kaiser_id)),
            wall_ms=wall_ms,
        )
        fleet = Fleet(
            auto_approve=config.fleet.auto_approve,
            send=tree.estate.send,
            say_online=lambda: say(status.online()),
            tell=hub.publish_event,
            note=audit.note,
            discovery=TokenBucket(config.fleet.discovery_burst, config.fleet.discovery_per_minute / 60.0),
            known=read_known(rows),
            persist=lambda device: journal.persist(device),
            on_setup=lambda esp_id: intake.settings_changed(esp_id),
            on_change=lambda esp_id: control.device_changed(esp_id),
            clock=trio.current_time,
            wall_ms=wall_ms,
        )
        journal = FleetJournal(fleet, store, rows)
        control = await open_control(
            config.control,
            store,
            Ways(
                send=tree.estate.send,
                tell=hub.publish_event,
                note=audit.note,
                view=tree.estate.view,
                views=tree.estate.views,
                moment=lambda: Moment(trio.current_time(), wall_ms()),
            ),
            broadcast_token=await store.keyed(BROADCAST_TOKEN) or "",
            push_offline=fleet.set_offline_rules,
            beat=partial(watchdog.beat, "control"),
            quiet=link.quiet,
        )
        setups = ConversionSetups(pool.registry, fleet.sensors_of)
        processed = ProcessedPublisher(
            device_prefix(config), store.catalog.get, partial(link.send, spare=True)
        )
        enhanced = EnhancedResponder(pool, link.send, wall_ms)
        listeners: list[Callable[[Columns], None]] = [control.take, hub.publish_readings]
        if config.sensors.publish_processed:
            listeners.append(processed.take)
        intake = Intake(
            store,
            pool,
            acknowledge=link.acknowledge,
            commit_interval_s=config.store.commit_interval,
            limit=config.broker.intake_limit,
            on_event=lambda topic, message, now_ms: hear(fleet, control, topic, message, now_ms),
            on_request=enhanced.take,
            on_seen=fleet.seen,
            on_readings=listeners,
            on_committed=partial(committed, control, on_committed),
            setup_of=setups.setup_of,
            committed=await store.newest_commits(memory_for(config.broker.intake_limit)),
        )
        survey = BrokerSurvey(link, endpoint, config.broker.inflight_window, on_window=intake.set_window)
        parts: dict[str, Callable[[], object]] = {
            "intake": intake.statistics,
            "broker": link.statistics,
            "fleet": fleet.statistics,
            "control": control.statistics,
            "watchdog": watchdog.statistics,
            "audit": audit.statistics,
            "processed": processed.statistics,
            "pi_enhanced": enhanced.statistics,
            "broker_findings": lambda: survey.findings,
            **tree.parts(),
        }
        accounts = await open_accounts(store, config.store_dir, note=audit.note, wall_ms=wall_ms)
        parts["accounts"] = accounts.statistics
        app = App(
            node=config.node.kaiser_id,
            version=__version__,
            started_ms=wall_ms(),
            store=store,
            pool=pool,
            fleet=fleet,
            control=control,
            zones=Zones(store, map(zone_of_row, await store.zone_rows()), wall_ms),
            hub=hub,
            tree=tree.node,
            god_at=mask_url(config.uplink.url),
            health=lambda: assess(vitals_of(config, store, pool, link, fleet, watchdog)),
            premises=partial(premises_of, config, settings_file, link, survey, started_s=time.monotonic()),
            broker_logins=BrokerLogins(
                endpoint,
                mosquitto_of(config.broker),
                remembered=await store.keyed(REMEMBERED),
                remember=partial(store.set_keyed, REMEMBERED),
                note=audit.note,
                connected=lambda: link.connected,
                wall_ms=wall_ms,
            ),
            accounts=accounts,
            gate=Gate(accounts),
            broker_login=endpoint.username is not None,
            broker_tls=endpoint.tls,
            parts=parts,
        )
        web = await opened.enter_async_context(open_web(config.web, config.socket_path, app))
        yield Daemon(
            config=config,
            endpoint=endpoint,
            store=store,
            pool=pool,
            link=link,
            intake=intake,
            fleet=fleet,
            control=control,
            hub=hub,
            web=web,
            accounts=accounts,
            processed=processed,
            enhanced=enhanced,
            tree=tree,
            journal=journal,
            audit=audit,
            status=status,
            survey=survey,
            watchdog=watchdog,
            stop=trio.Event(),
        )


def hear(fleet: Fleet, control: Control, topic: Topic, message: Message | None, now_ms: int) -> None:
    """Whatever a device says that is not a reading: the fleet first, which answers heartbeats."""
    fleet.handle(topic, message, now_ms)
    control.handle(topic, message, now_ms)


def committed(control: Control, on_committed: Callable[[Columns], None] | None, columns: Columns) -> None:
    """Readings are on disk: control may write what it made of them."""
    control.committed(columns)
    if on_committed is not None:
        on_committed(columns)


def say_all(link: Link, said: Iterable[tuple[str, bytes, bool]]) -> None:
    """Topics, payloads, and whether the broker is to keep them."""
    for topic, payload, retain in said:
        link.send(topic, payload, retain=retain)


def connection_changed(fleet: Fleet, control: Control, connected: bool) -> None:
    """growyd's own connection to the broker."""
    if connected:
        fleet.link_back()
    else:
        fleet.link_lost()
    control.link(connected)


def heard_signals() -> tuple[signal.Signals, ...]:
    """SIGHUP means `look at the certificate` to a service, and the end to what runs in a terminal that is closed."""
    ending = (signal.SIGTERM, signal.SIGINT)
    in_terminal = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
    if in_terminal or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return ending
    return (*ending, signal.SIGHUP)


async def obey_signals(signals: AsyncIterator[int], daemon: Daemon) -> None:
    async for one in signals:
        if one == signal.SIGHUP:
            daemon.web.look_at_certificate()
        else:
            daemon.stop.set()
            return
