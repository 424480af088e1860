"""A node of the tree, put together: its core, its devices, the way to God's broker, and what travels along it.

Composition only, as `growy.daemon`, which opens and runs it. A Pi that is alone is a God that nobody follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import attrs
import trio

from growy.broker.client_certificate import ClientCertificate, client_certificate_of
from growy.broker.engine import Endpoint
from growy.broker.link import Delivery, Link
from growy.broker.outbox import Lane
from growy.broker.reconnect import Backoff
from growy.config import BrokerConfig, BrokerUrl, Config, UplinkConfig
from growy.control.control import Control
from growy.estate import HouseEstate
from growy.fleet.conversion import ConversionSetups
from growy.fleet.fleet import Fleet
from growy.hierarchy.god_node import GodNode
from growy.hierarchy.god_opening import open_god
from growy.hierarchy.kaiser_node import KaiserNode, open_kaiser
from growy.hierarchy.leases import Terms
from growy.hierarchy.measuring import COMMIT, PROCESSING, TRANSFER, Recorder
from growy.hierarchy.receiving import Receiver, open_receiver
from growy.hierarchy.sending import Sender, no_wait
from growy.hierarchy.sorting import Sorter
from growy.intake import Intake
from growy.intake.shelf import Passing
from growy.model.audit import AuditEntry
from growy.model.hierarchy import GOD
from growy.model.reading import Columns
from growy.model.time import Moment
from growy.sensors.pool import Pool
from growy.store.store import Store
from growy.web.live import LiveHub
from growy.wire import shipments
from growy.wire.hierarchy import god_subscriptions, kaiser_subscriptions
from growy.wire.table import Message
from growy.wire.topics import Topic, subscriptions

ROLE_KAISER = "kaiser"
MAIL_S = 5.0
"""A message to another node that could not be sent by then is not worth sending: all of it is said again."""
COMMIT_S = 0.2


def device_prefix(config: Config) -> str:
    """The kaiser id in the topics of this node's devices: that of a Kaiser's is the firmware's default."""
    return GOD if config.node.role == ROLE_KAISER else config.node.kaiser_id


def listens_to(config: Config) -> tuple[tuple[str, int], ...]:
    """(filter, QoS) for this node's own broker."""
    devices = subscriptions()
    if config.node.role == ROLE_KAISER:
        return devices
    return (*devices, *god_subscriptions(), (shipments.any_data(), 1))


def broker_endpoint(config: Config) -> Endpoint:
    """This node's own broker, as a link is told."""
    return _endpoint(config, config.broker, config.client_id, "broker")


def uplink_endpoint(config: Config) -> Endpoint:
    """The broker of a Kaiser's God."""
    return _endpoint(config, config.uplink, f"growyd-{config.node.kaiser_id}-uplink", "uplink")


def _endpoint(config: Config, said: BrokerConfig | UplinkConfig, client_id: str, section: str) -> Endpoint:
    url = BrokerUrl.parse(said.url)
    host, port = config.broker.embedded_address if url.embedded else (url.host, url.port)
    return Endpoint(
        host=host,
        port=port,
        client_id=client_id,
        username=url.user,
        password=url.password,
        tls=url.tls,
        ca_file=said.ca_file or None,
        cert_file=said.cert_file or None,
        key_file=said.key_file or None,
        section=section,
        keepalive_s=config.broker.keepalive,
    )


def backoff_of(config: Config) -> Backoff:
    """How a link comes back."""
    broker = config.broker
    return Backoff(broker.reconnect_min, broker.reconnect_max, broker.breaker_failures, broker.breaker_pause)


@attrs.frozen(kw_only=True)
class Tree:
    """See `open_tree`."""

    node: GodNode | KaiserNode
    estate: HouseEstate
    sorter: Sorter
    store: Store
    intake: Callable[[], Intake]
    afar: Intake
    uplink: Link | None = None
    certificate: ClientCertificate | None = None
    """That the uplink shows."""
    sender: Sender | None = None
    receiver: Receiver | None = None

    async def deliver(self, delivery: Delivery) -> None:
        """What came from this node's own broker."""
        # Mail is acknowledged with the readings before it; whatever matters in it is said again until it is answered.
        ours = self.sorter.sort(delivery)
        if ours.messages:
            await self.intake().deliver(ours)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Core, and what travels; not the uplink."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.afar.run)
            await nursery.start(self.node.run)
            nursery.start_soon(self.estate.pass_on, self.estate.afar, self.afar.deliver)
            nursery.start_soon(self.estate.pass_on, self.estate.again, self.intake().deliver)
            if self.certificate is not None:
                nursery.start_soon(self.certificate.run)
            if self.sender is not None:
                nursery.start_soon(self.sender.run)
            if self.receiver is not None:
                nursery.start_soon(self.receiver.run)
            if isinstance(self.node, GodNode):
                nursery.start_soon(self._recorder(self.node).run)
            task_status.started()

    def _recorder(self, god: GodNode) -> Recorder:
        return Recorder(
            {
                PROCESSING: lambda: self.intake().statistics().commit_times,
                COMMIT: lambda: self.store.statistics().commit_times,
                TRANSFER: god.transfer_times,
            },
            god.measured,
        )

    def parts(self) -> Mapping[str, Callable[[], object]]:
        """Statistics, by name."""
        found: dict[str, Callable[[], object]] = {"tree": self.node.statistics}
        if self.uplink is not None and self.sender is not None:
            found |= {"uplink": self.uplink.statistics, "sending": self.sender.statistics}
        if self.receiver is not None:
            found["receiving"] = self.receiver.statistics
        return found


async def open_tree(
    config: Config,
    store: Store,
    pool: Pool,
    *,
    control: Callable[[], Control],
    fleet: Callable[[], Fleet],
    link: Callable[[], Link],
    intake: Callable[[], Intake],
    hub: LiveHub,
    setups: Callable[[], ConversionSetups],
    hear: Callable[[Topic, Message | None, int], None],
    note: Callable[[AuditEntry], None],
    on_prefix: Callable[[str], None],
    wall_ms: Callable[[], int],
) -> Tree:
    """What is given as a function need not be there yet.

    Args:
        on_prefix: a device on this node's own broker has that kaiser id in its topics; told again and again.
        hear: takes what a device says that is no reading.

    Raises:
        StoreError, Invalid.
    """
    sorter: Sorter
    sender: Sender | None = None
    certificate: ClientCertificate | None = None
    estate = HouseEstate(
        control=control,
        fleet=fleet,
        link=link,
        note=note,
        tell=partial(hub.publish_event),
        changed=lambda: sorter.changed(),
        on_prefix=on_prefix,
        wall_ms=wall_ms,
        behind=lambda: 0 if sender is None else sender.statistics().behind,
        papers_told=lambda: sender.papers_told() if sender is not None else no_wait(),
        certificate=lambda: None if certificate is None else certificate.shown,
    )
    terms = Terms(
        lease_s=config.hierarchy.lease, fence_s=config.hierarchy.fence, report_s=config.hierarchy.report
    )
    afar = Intake(
        Passing(store),
        pool,
        acknowledge=lambda epoch, mids: True,
        commit_interval_s=COMMIT_S,
        limit=config.broker.intake_limit,
        on_event=hear,
        on_request=lambda topic, request: False,
        on_seen=lambda topic, now_ms: fleet().seen(topic, now_ms),
        on_readings=[lambda columns: control().take(columns), hub.publish_readings],
        on_committed=lambda columns: control().committed(columns),
        setup_of=lambda *asked: setups().setup_of(*asked),
    )
    moment = partial(_now, wall_ms)
    made = partial(Tree, estate=estate, store=store, intake=intake, afar=afar)
    if config.node.role == ROLE_KAISER:
        endpoint = uplink_endpoint(config)
        certificate = client_certificate_of(endpoint)
        uplink, kaiser, sender = await _kaiser(config, endpoint, store, estate, terms, moment)
        estate.node = kaiser
        sorter = Sorter(kaiser, device_prefix(config), lambda topic, payload: False, estate.speaks)
        return made(node=kaiser, sorter=sorter, uplink=uplink, certificate=certificate, sender=sender)
    god = await open_god(
        config.node.god_id,
        terms,
        store=store,
        estate=estate,
        mail=lambda topic, payload, *, urgent=False: _post(link(), topic, payload, urgent),
        moment=moment,
    )
    estate.node = god
    receiver = await open_receiver(
        store,
        answer=lambda node, payload: _post(link(), shipments.data_ack(node), payload, False),
        refusal=lambda node, installation: god.core.refusal(node, installation),
        on_readings=partial(_show, store, hub),
        wall_ms=wall_ms,
        on_paper=lambda node, paper: god.took_papers(node, paper.esp_id, paper.version, paper.content),
    )

    def mail(topic: bytes, payload: bytes) -> bool:
        sender_id = shipments.data_of(topic)
        if sender_id is None:
            return god.mail(topic, payload)
        receiver.take(sender_id, payload)
        return True

    sorter = Sorter(god, device_prefix(config), mail, estate.speaks)
    return made(node=god, sorter=sorter, receiver=receiver)


async def _kaiser(
    config: Config,
    endpoint: Endpoint,
    store: Store,
    estate: HouseEstate,
    terms: Terms,
    moment: Callable[[], Moment],
) -> tuple[Link, KaiserNode, Sender]:
    me = config.node.kaiser_id

    async def deliver(delivery: Delivery) -> None:
        for message in delivery.messages:
            if message.topic == acknowledgements:
                sender.heard(message.payload)
            else:
                kaiser.mail(message.topic, message.payload)
        uplink.acknowledge(delivery.epoch, [one.mid for one in delivery.messages if one.mid])

    acknowledgements = shipments.data_ack(me).encode()
    uplink = Link(
        endpoint,
        subscriptions=(*kaiser_subscriptions(me), (shipments.data_ack(me), 1)),
        deliver=deliver,
        backoff=backoff_of(config),
        wall_ms=lambda: moment().wall_ms,
    )
    kaiser = await open_kaiser(
        me,
        config.node.god_id,
        terms,
        store=store,
        estate=estate,
        mail=lambda topic, payload, *, urgent=False: _post(uplink, topic, payload, urgent),
        moment=moment,
    )
    sender = Sender(
        store,
        kaiser.core.identity.instance,
        publish=lambda payload: _post(uplink, shipments.data(me), payload, False),
        rate=config.uplink.rate_kb * 1024.0,
        backlog=config.uplink.backlog_mb << 20,
        papers=estate.papers_of_all,
    )
    return uplink, kaiser, sender


def _post(link: Link, topic: str, payload: bytes, urgent: bool) -> bool:
    return link.connected and link.send(
        topic, payload, timeout_s=MAIL_S, lane=Lane.EMERGENCY if urgent else Lane.NORMAL
    )


def _show(store: Store, hub: LiveHub, columns: Columns) -> None:
    """Readings of Kaisers, for those who watch here. Rules run where the devices are owned."""
    store.tail.append(columns)
    hub.publish_readings(columns)


def _now(wall_ms: Callable[[], int]) -> Moment:
    return Moment(trio.current_time(), wall_ms())
