"""What /metrics says of growyd itself: families made of the parts' statistics records. Devices, sensors and actuators:
`metrics_growing`. Every figure is one that a part has counted or measured; docs/metrics.md lists them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from growy.broker.link_state import LinkStatistics
from growy.control.control import ControlStatistics
from growy.control.watchdog import WatchdogStatistics
from growy.fleet.audit_trail import AuditStatistics
from growy.fleet.enhanced import EnhancedStatistics
from growy.fleet.processed import ProcessedStatistics
from growy.fleet.statistics import FleetStatistics
from growy.hierarchy.node_events import NodeStatistics
from growy.hierarchy.receiving import ReceivingStatistics
from growy.hierarchy.sending import SendingStatistics
from growy.intake.outcomes import IntakeStatistics
from growy.ops.machine import disk_written_bytes, memory, resident_bytes, written_bytes
from growy.sensors.pool import PoolStatistics
from growy.store.statistics import StoreStatistics
from growy.web import metrics_tree
from growy.web.accounts.accounts import AccountStatistics
from growy.web.app import App
from growy.web.exposition import Family, counter, counters, figures, gauge, gauges, histogram
from growy.web.health import Health
from growy.web.live import LiveStatistics
from growy.web.statistics import WebStatistics

PREFIX = "growy"
UPLINK = "uplink"


def families(app: App, parts: Mapping[str, object]) -> Iterator[Family]:
    """All but those of devices, sensors and actuators.

    Args:
        parts: statistics records by name of the part; of one that is not known here every number is told, untyped.
    """
    yield gauge(
        "growy_build_info", "Version and node of growyd; always 1.", 1, version=app.version, node=app.node
    )
    yield gauge("growy_uptime_seconds", "Since growyd was started.", time.time() - app.started_ms / 1000)
    yield from _health(app.health())
    yield from _machine(app)
    yield from metrics_tree.tree(app)
    for name, record in parts.items():
        if name in _QUIET:
            continue
        if name == UPLINK and isinstance(record, LinkStatistics):
            yield from metrics_tree.uplink(record)
            continue
        for kind, tell in _TELLERS.items():
            if isinstance(record, kind):
                yield from tell(record)
                break
        else:
            yield from figures(f"{PREFIX}_{name}", record)


def _health(health: Health) -> Iterator[Family]:
    yield gauge("growy_healthy", "1 when nothing is missing.", health.status == "healthy")
    yield gauge(
        "growy_ready", "1 when readings are received, converted and stored, and control runs.", health.ready
    )
    yield gauges("growy_health_check", "1 for each check that is passed.", "check", health.checks)
    causes = Counter(cause.code for cause in health.causes)
    yield gauges("growy_health_cause", "Causes of bad health at this moment, by code.", "code", causes)
    yield gauge("growy_mqtt_connected", "1 while growyd is connected to its broker.", health.broker_connected)


def _machine(app: App) -> Iterator[Family]:
    all_ = memory()
    yield gauge(
        "growy_cpu_percent", "Processor of the machine in use since the last look, 0-100.", app.cpu.percent()
    )
    yield counter(
        "growy_cpu_seconds_total",
        "Processor time of growyd itself, without its workers.",
        time.process_time(),
    )
    yield gauge(
        "growy_memory_percent",
        "Memory of the machine in use, 0-100.",
        None if all_ is None else all_.used_percent,
    )
    yield gauge(
        "growy_resident_memory_bytes", "Memory of growyd itself, without its workers.", resident_bytes()
    )
    yield counter(
        "growy_written_bytes_total",
        "Written to disks by growyd since its start, as the kernel counts.",
        written_bytes(),
    )
    yield counter(
        "growy_disk_written_bytes_total",
        "Written by all programs since the boot to the disk that holds the databases.",
        disk_written_bytes(app.store.directory),
    )


def _store(said: StoreStatistics) -> Iterator[Family]:
    yield gauge("growy_store_ok", "1 while commits go through.", said.state == "ok")
    yield histogram(
        "growy_db_commit_duration_seconds",
        "Commits of readings, from the call to its return.",
        said.commit_times,
    )
    yield histogram(
        "growy_db_query_duration_seconds",
        "Reads of the databases, waiting for a free connection included.",
        said.query_times,
    )
    yield counter("growy_db_failed_commits_total", "Commits that the disk refused.", said.failed_commits)
    yield counter(
        "growy_db_committed_bytes_total", "Readings handed to SQLite, packed.", said.committed_bytes
    )
    yield counter(
        "growy_db_checkpoints_total",
        "Times that the write-ahead log was copied into series.db.",
        said.checkpoints,
    )
    yield counter(
        "growy_db_sealed_readings_total", "Readings moved from the journal into chunks.", said.sealed_readings
    )
    yield counter(
        "growy_db_seal_failures_total",
        "Turns of sealing, checkpoints and retention that failed.",
        said.seal_failures,
    )
    yield gauge("growy_db_size_bytes", "Size of series.db and growy.db.", said.db_bytes)
    yield gauges(
        "growy_db_wal_bytes",
        "Size of the write-ahead logs.",
        "database",
        {"series.db": said.wal_bytes, "growy.db": said.registry_wal_bytes},
    )
    yield gauge("growy_db_series", "Series that have ever sent a reading.", said.series)
    yield gauge("growy_db_chunks", "Compressed chunks of readings.", said.chunks)
    yield gauge("growy_db_journal_readings", "Readings committed and not yet sealed.", said.journal_readings)
    yield gauge("growy_db_damaged_blocks", "Blocks of readings that cannot be read.", said.damaged)
    yield gauge("growy_disk_free_bytes", "Room on the disk that holds the databases.", said.free_bytes)
    yield gauge("growy_disk_size_bytes", "Size of that disk's file system.", said.disk_bytes)


def _intake(said: IntakeStatistics) -> Iterator[Family]:
    yield counters(
        "growy_messages_total", "Messages of devices, by what became of them.", "outcome", said.outcomes
    )
    yield counters(
        "growy_dead_letters_total", "Messages that could not be used, by reason.", "reason", said.dead_letters
    )
    yield counter(
        "growy_readings_total", "Readings received, repetitions not counted.", said.readings_received
    )
    yield counter(
        "growy_readings_duplicate_total", "Readings that were here before.", said.readings_duplicate
    )
    yield counter("growy_readings_derived_total", "Readings computed from others.", said.readings_derived)
    yield counter(
        "growy_readings_committed_total", "Readings on disk, received and derived.", said.readings_committed
    )
    yield counter(
        "growy_readings_unconverted_total",
        "Readings that no library had to convert.",
        said.readings_unconverted,
    )
    yield counters(
        "growy_sensor_converted_total",
        "Readings converted, by value type.",
        "sensor_type",
        said.readings_converted,
    )
    yield counters(
        "growy_sensor_failed_total",
        "Readings stored without a value, by value type.",
        "sensor_type",
        said.readings_failed,
    )
    yield histogram(
        "growy_reading_commit_seconds",
        "From receipt to commit, per commit its oldest reading.",
        said.commit_times,
    )
    yield gauge("growy_messages_pending", "Messages received and not yet acknowledged.", said.pending)
    yield counter("growy_intake_faults_total", "Faults of growyd in handling messages.", said.handler_faults)


def _broker(said: LinkStatistics) -> Iterator[Family]:
    published = said.publishes_acknowledged + said.publishes_handed_over
    failed = said.publishes_expired + said.publishes_unknown + said.sends_refused
    yield counters(
        "growy_mqtt_messages_total",
        "Messages by direction; outbound ones when the broker has them.",
        "direction",
        {"in": said.messages_received, "out": published},
    )
    yield counters(
        "growy_mqtt_errors_total",
        "Messages that were not published: expired, unanswered, or no room.",
        "direction",
        {"out": failed},
    )
    yield counter("growy_mqtt_received_bytes_total", "Bytes read from the broker.", said.bytes_received)
    yield counter(
        "growy_mqtt_acknowledged_total", "Messages acknowledged to the broker.", said.messages_acknowledged
    )
    yield counter("growy_mqtt_connects_total", "Connections to the broker that came about.", said.connects)
    yield counter(
        "growy_mqtt_sessions_lost_total",
        "Reconnects at which the broker had forgotten growyd.",
        said.sessions_lost,
    )
    yield gauge("growy_mqtt_queued_messages", "Messages that wait to be published.", said.publishes_waiting)
    yield gauge("growy_mqtt_paused", "1 while growyd reads no more because the intake is full.", said.paused)
    last = None if said.last_message_ms is None else said.last_message_ms / 1000
    yield gauge("growy_mqtt_last_message", "When the last message came, Unix seconds.", last)


def _fleet(said: FleetStatistics) -> Iterator[Family]:
    yield gauge("growy_esp_devices", "Devices known, deleted ones not counted.", said.devices)
    yield gauge("growy_esp_online", "Devices that are there.", said.online)
    yield gauge("growy_esp_offline", "Devices that are not.", said.offline)
    yield gauge("growy_esp_pending_approval", "Devices that wait for approval.", said.pending_approval)
    yield gauge("growy_esp_flapping", "Devices that lose their connection again and again.", said.flapping)
    yield counter("growy_esp_heartbeats_total", "Heartbeats heard.", said.heartbeats)
    yield counter(
        "growy_esp_heartbeats_unanswered_total", "Heartbeats whose answer found no room.", said.unacknowledged
    )
    yield counter(
        "growy_esp_refused_total", "Messages of devices beyond the limits of discovery.", said.refused_devices
    )
    yield counters(
        "growy_esp_reports_total", "Messages of devices that are no readings, by kind.", "kind", said.reports
    )
    yield gauge(
        "growy_config_in_flight", "Devices whose answer to a configuration is awaited.", said.in_flight
    )
    yield counter("growy_esp_asked_total", "Questions put to devices for people.", said.asked)
    yield counter("growy_esp_asks_unanswered_total", "Of these, without an answer.", said.asks_unanswered)


def _control(said: ControlStatistics) -> Iterator[Family]:
    yield gauge("growy_actuators", "Actuators that are set up.", said.actuators)
    yield gauge("growy_actuators_on", "Actuators that are on, by what their devices say.", said.on)
    yield gauge(
        "growy_actuators_refused", "Actuators whose highest claim the safety gate refuses.", said.refused_now
    )
    yield gauge("growy_claims", "Claims that are held on actuators.", said.claims)
    yield counters("growy_actuator_commands_total", "Commands by how they ended.", "state", said.commands)
    yield counters(
        "growy_actuator_refusals_total", "Refusals of the safety gate, by code.", "code", said.refusals
    )
    yield counter(
        "growy_actuator_commands_unsent_total", "Commands that found no room, or no device.", said.unsent
    )
    yield counter(
        "growy_actuator_contests_total", "Times that claims contradicted each other.", said.contests
    )
    yield counter(
        "growy_actuator_oscillations_total",
        "Actuators held off because they switched too often.",
        said.oscillations,
    )
    yield counter("growy_control_faults_total", "Faults of growyd in control.", said.faults)
    yield gauge("growy_rules", "Rules that there are.", said.rules.rules)
    yield gauge("growy_rules_enabled", "Rules that are switched on.", said.rules.enabled)
    yield gauge("growy_rules_unknown", "Rules that lack a sensor they cannot do without.", said.rules.unknown)
    yield counter("growy_rule_evaluations_total", "Evaluations of rules.", said.rules.evaluations)
    yield counter("growy_rule_executions_total", "Executions of rules.", said.rules.executions)
    yield gauge("growy_emergency_stops_in_force", "Emergency stops in force.", said.emergency.in_force)
    yield gauge("growy_emergency_stops_not_durable", "Of these, not yet on disk.", said.emergency.not_durable)
    yield counter("growy_emergency_stops_total", "Emergency stops ordered.", said.emergency.ordered)
    notices = {"posted": said.notices.posted, "failed": said.notices.failed, "dropped": said.notices.dropped}
    yield counters("growy_notifications_total", "Webhooks of rules, by how they ended.", "outcome", notices)


def _sensors(said: PoolStatistics) -> Iterator[Family]:
    yield gauge("growy_workers", "Conversion workers wanted.", said.workers)
    yield gauge("growy_workers_alive", "Conversion workers that run.", said.workers_alive)
    yield counter("growy_worker_restarts_total", "Workers started in place of one that ended.", said.restarts)
    yield counter(
        "growy_worker_deadline_kills_total",
        "Workers killed because a conversion took too long.",
        said.deadline_kills,
    )
    yield counter("growy_conversions_total", "Rows converted by libraries.", said.conversions)
    yield counter("growy_conversion_failures_total", "Rows lost by a library's fault.", said.failures)
    yield counter("growy_library_reloads_total", "Times that a library was loaded anew.", said.reloads)
    aside = dict.fromkeys(said.set_aside, 1)
    yield gauges("growy_library_set_aside", "1 for each library that failed too often.", "library", aside)


def _live(said: LiveStatistics) -> Iterator[Family]:
    yield gauge("growy_websocket_connections", "WebSocket clients.", said.clients)
    yield counter(
        "growy_ws_disconnects_total", "WebSocket clients that have left.", said.clients_total - said.clients
    )
    yield counter(
        "growy_ws_messages_total", "Messages sent to WebSocket clients.", said.sent + said.events_sent
    )
    yield counter(
        "growy_ws_coalesced_total",
        "Readings that a newer one replaced before a client got them.",
        said.coalesced,
    )
    yield counter(
        "growy_ws_too_slow_total", "WebSocket clients given up because they did not read.", said.too_slow
    )
    yield counter(
        "growy_ws_refused_total", "WebSocket clients turned away because there were too many.", said.refused
    )


def _web(said: WebStatistics) -> Iterator[Family]:
    yield gauge("growy_http_connections", "Open connections.", said.connections)
    yield counter("growy_http_requests_total", "Requests.", said.requests)
    yield counters("growy_http_answers_total", "Answers by status.", "status", said.answers)
    errors = {"4xx": 0, "5xx": 0}
    for status, count in said.answers.items():
        if status[0] in "45":
            errors[f"{status[0]}xx"] += count
    yield counters("growy_http_errors_total", "Error answers by class of status.", "status_class", errors)
    yield counters("growy_api_error_code_total", "Error answers by code.", "error_code", said.errors)
    yield counter(
        "growy_http_refused_total", "Connections turned away because there were too many.", said.refused
    )
    yield counter("growy_http_timeouts_total", "Connections that took too long.", said.timeouts)
    yield counter("growy_http_faults_total", "Failures that nobody foresaw.", said.faults)
    yield counter("growy_http_sent_bytes_total", "Bytes sent in answers.", said.bytes_sent)


def _watchdog(said: WatchdogStatistics) -> Iterator[Family]:
    yield gauges("growy_part_silent_seconds", "Since a critical part last stamped.", "part", said.ages_s)
    yield counter(
        "growy_part_stood_still_total", "Times that a critical part missed its deadline.", said.complaints
    )


def _audit(said: AuditStatistics) -> Iterator[Family]:
    yield counter("growy_audit_entries_total", "Things noted in the audit trail.", said.noted)
    yield counter("growy_audit_dropped_total", "Entries given up because the disk refused.", said.dropped)


def _processed(said: ProcessedStatistics) -> Iterator[Family]:
    outcomes = {"published": said.published, "superseded": said.superseded, "refused": said.refused}
    yield counters(
        "growy_processed_total", "Values for sensor/{gpio}/processed, by outcome.", "outcome", outcomes
    )


def _enhanced(said: EnhancedStatistics) -> Iterator[Family]:
    outcomes = {"answered": said.answered, "unanswered": said.unanswered, "failed": said.failed}
    yield counters(
        "growy_pi_enhanced_total", "Conversions that devices asked for, by outcome.", "outcome", outcomes
    )


def _accounts(said: AccountStatistics) -> Iterator[Family]:
    yield gauge("growy_users", "Accounts of people.", said.users)
    yield gauge("growy_sessions", "Logins that count now.", said.sessions)
    yield gauge("growy_api_keys", "Keys of devices and scripts.", said.api_keys)
    yield gauge("growy_setup_required", "1 while there is no user.", said.setup_required)
    yield counter(
        "growy_refusals_left_out_total",
        "Wrong passwords, keys and the like beyond those that the audit trail has.",
        said.refusals_left_out,
    )


_TELLERS: dict[type, Callable[..., Iterator[Family]]] = {
    StoreStatistics: _store,
    IntakeStatistics: _intake,
    LinkStatistics: _broker,
    FleetStatistics: _fleet,
    ControlStatistics: _control,
    PoolStatistics: _sensors,
    LiveStatistics: _live,
    WebStatistics: _web,
    WatchdogStatistics: _watchdog,
    AuditStatistics: _audit,
    ProcessedStatistics: _processed,
    EnhancedStatistics: _enhanced,
    AccountStatistics: _accounts,
    NodeStatistics: metrics_tree.node,
    ReceivingStatistics: metrics_tree.receiving,
    SendingStatistics: metrics_tree.sending,
}
_QUIET = frozenset({"broker_findings"})
"""Sentences, no figures: the doctor tells them."""
