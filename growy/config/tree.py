"""The settings tree: every setting of growyd, declared once, with its default, its bounds and its documentation.

Frozen values only: nothing here reads a file or the environment (`load` does). `docs/configuration.md` and `growyd
config show` are made from this declaration.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from growy.config.broker_url import require_address
from growy.config.brokers import BrokerConfig, UplinkConfig
from growy.config.origins import parse_origins
from growy.config.setting import setting
from growy.config.webhooks import parse_webhooks


@attrs.frozen(kw_only=True)
class NodeConfig:
    """[node]: who this Pi is."""

    role: str = setting(
        "god",
        "god: a Pi that is alone, or the one that others follow. kaiser: it follows the God at [uplink].",
        one_of=("god", "kaiser"),
    )
    god_id: str = setting(
        "god_pi_central",
        "Name of the God. A Kaiser follows no other.",
        matches=r"[A-Za-z0-9_-]{1,63}",
    )
    kaiser_id: str = setting(
        "god",
        "Name of this node, and of a God the topic prefix of its devices: kaiser/{kaiser_id}/... The firmware's "
        "default is god. It hears those with the id of a Kaiser of its own too. A Kaiser hears its devices "
        "under any prefix, and must have a name of its own.",
        matches=r"[A-Za-z0-9_-]{1,63}",
    )
    data_dir: Path = setting(  # noqa: RUF009 - `setting` makes an attrs field, as for the others
        Path("/var/lib/growy"), "Where databases and a grower's own libraries live."
    )


@attrs.frozen(kw_only=True)
class StoreConfig:
    """[store]: the two SQLite databases."""

    path: str = setting("", "Folder of growy.db and series.db; default {node.data_dir}.")
    commit_interval: float = setting(
        1.0,
        "A reading is on disk and acknowledged at most this long after receipt, seconds.",
        at_least=0.01,
        at_most=60,
    )
    synchronous: str = setting(
        "normal",
        "normal: survives a killed daemon; a power cut can lose what the kernel had not yet written. "
        "full: every commit is forced to the card (more wear).",
        one_of=("normal", "full"),
    )
    chunk_readings: int = setting(600, "Readings per sealed chunk, about.", at_least=60, at_most=10_000)
    seal_interval: float = setting(
        600.0, "How often the journal is sealed into chunks, seconds.", above=0, at_most=86_400
    )
    tail_readings: int = setting(
        240, "Newest readings per series kept in memory.", at_least=10, at_most=100_000
    )
    retention_days: int = setting(
        0, "Delete readings older than this many days; 0 keeps everything.", at_least=0, at_most=36_500
    )
    dead_letters: int = setting(
        1000, "Dead letters kept; the oldest go first.", at_least=0, at_most=1_000_000
    )
    audit_rows: int = setting(
        20_000, "Entries of the audit trail kept; the oldest go first.", at_least=100, at_most=200_000
    )
    min_free_mb: int = setting(20, "Less free disk than this counts as full.", at_least=0, at_most=1_000_000)
    card_endurance_tb: float = setting(
        10.0,
        "How much may be written to the card or disk in its life, terabytes, for `growyd doctor`; 0 says nothing. "
        "Makers of ordinary cards do not say: 10 is what 32 GB bear that are overwritten 300 times. Cards made for "
        "endurance bear ten times that, SSDs say theirs (TBW).",
        at_least=0,
        at_most=100_000,
    )


@attrs.frozen(kw_only=True)
class SensorsConfig:
    """[sensors]: sensor libraries and the worker pool."""

    workers: int = setting(1, "Worker processes that convert raw values.", at_least=1, at_most=8)
    library_dir: str = setting(
        "",
        "A grower's own libraries; win over a shipped one of the same name. "
        "Default {node.data_dir}/sensor_libs.",
    )
    reload_interval: float = setting(
        1.0, "How often library files are looked at for changes, seconds.", above=0, at_most=3600
    )
    deadline: float = setting(
        2.0, "A conversion that takes longer kills its worker, seconds.", above=0, at_most=60
    )
    breaker_failures: int = setting(
        3, "Failures in a row that set a library aside.", at_least=1, at_most=1000
    )
    publish_processed: bool = setting(True, "Publish converted values to sensor/{gpio}/processed.")


@attrs.frozen(kw_only=True)
class WebConfig:
    """[web]: HTTP and WebSocket, one port."""

    host: str = setting(
        "127.0.0.1",
        "Address to listen on: 127.0.0.1 for this machine only, 0.0.0.0 for everybody in the network.",
        check=require_address,
    )
    port: int = setting(8000, "Port for HTTP and WebSocket; 0 picks a free one.", at_least=0, at_most=65535)
    socket: str = setting(
        "", "Unix socket for the local CLI; default {node.data_dir}/growyd.sock, - for none."
    )
    cert_file: str = setting("", "Certificate for HTTPS, PEM; with key_file. `growyd certs` makes both.")
    key_file: str = setting("", "Key of the certificate, PEM, readable for growyd alone.")
    max_connections: int = setting(200, "Open connections at most.", at_least=1, at_most=10_000)
    max_header: int = setting(16_384, "Request line and headers, bytes.", at_least=1024, at_most=1_048_576)
    max_body: int = setting(1_048_576, "Request body, bytes.", at_least=1024, at_most=67_108_864)
    cors_origins: str = setting(
        "",
        "Web pages from elsewhere that may use growyd: origins (https://grow.example, http://192.168.1.9:5173), "
        "separated by commas. None: only pages that growyd itself serves.",
        check=parse_origins,
    )
    header_timeout: float = setting(
        10.0, "A client must have sent its headers within this, seconds.", above=0, at_most=3600
    )
    idle_timeout: float = setting(
        60.0, "An idle keep-alive connection is closed after this, seconds.", above=0, at_most=86_400
    )

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """`cors_origins` in its parts, lower-case."""
        return parse_origins(self.cors_origins)


@attrs.frozen(kw_only=True)
class FleetConfig:
    """[fleet]: the ESP32s."""

    auto_approve: bool = setting(False, "Approve every new device by itself (demo, closed networks).")
    discovery_burst: int = setting(
        250,
        "New devices taken in at once; all are answered, whether taken in or not.",
        at_least=1,
        at_most=2000,
    )
    discovery_per_minute: float = setting(
        10.0, "New devices taken in per minute after that.", at_least=1, at_most=600
    )


@attrs.frozen(kw_only=True)
class ControlConfig:
    """[control]: actuators, rules, safety."""

    lease: int = setting(
        90,
        "Every ON carries this duration, seconds, and is renewed while it is wanted: so long a device that is cut off "
        "from its Pi runs on.",
        at_least=10,
        at_most=3600,
    )
    max_runtime: int = setting(
        3600,
        "Longest run of an actuator for which none is set up, seconds. Then it goes off, whoever wants it on.",
        at_least=10,
        at_most=86_400,
    )
    min_max_age: float = setting(
        60.0,
        "A sensor is stale after three of its intervals, but not before this, seconds.",
        at_least=5,
        at_most=86_400,
    )
    answer_timeout: float = setting(
        8.0,
        "A command that the device has not answered by then counts as unknown, seconds.",
        at_least=1,
        at_most=60,
    )
    adopt: float = setting(
        30.0,
        "After its start, or a device's, growyd gives its rules this long before it switches off what runs and nobody "
        "claims, seconds.",
        at_least=3,
        at_most=600,
    )
    max_switches: int = setting(
        20,
        "An actuator that rules switch on more often within ten minutes is held off until it calms down.",
        at_least=2,
        at_most=600,
    )
    webhooks: str = setting(
        "", "Where rules may post to: URL prefixes, separated by commas. None: nowhere.", check=parse_webhooks
    )
    history_rows: int = setting(
        20_000, "Commands and switchings kept; the oldest go first.", at_least=100, at_most=1_000_000
    )


@attrs.frozen(kw_only=True)
class HierarchyConfig:
    """[hierarchy]: what God and Kaisers agree on. All nodes of a tree need the same."""

    lease: float = setting(
        120.0,
        "So long a Kaiser that is cut off from its God goes on regulating, seconds. Then it switches off what it owns, "
        "and another may have it.",
        at_least=1,
        at_most=86_400,
    )
    fence: float = setting(3.0, "So long before that it switches off, seconds.", above=0, at_most=60)
    report: float = setting(
        5.0, "How often a Kaiser reports, and renews its leases, seconds.", above=0, at_most=600
    )

    def __attrs_post_init__(self) -> None:
        if self.fence + self.report >= self.lease:
            raise ValueError(
                f"lease: must be longer than fence and report together ({self.fence + self.report:g}), "
                f"is {self.lease:g}"
            )


@attrs.frozen(kw_only=True)
class LogConfig:
    """[log]: structured logs."""

    level: str = setting(
        "info", "debug, info, warning or error.", one_of=("debug", "info", "warning", "error")
    )
    format: str = setting(
        "auto",
        "json, human, or auto: JSON under systemd, human on a terminal.",
        one_of=("auto", "json", "human"),
    )


@attrs.frozen(kw_only=True)
class Config:
    """The whole tree."""

    node: NodeConfig = attrs.field(factory=NodeConfig)
    broker: BrokerConfig = attrs.field(factory=BrokerConfig)
    store: StoreConfig = attrs.field(factory=StoreConfig)
    sensors: SensorsConfig = attrs.field(factory=SensorsConfig)
    web: WebConfig = attrs.field(factory=WebConfig)
    fleet: FleetConfig = attrs.field(factory=FleetConfig)
    control: ControlConfig = attrs.field(factory=ControlConfig)
    uplink: UplinkConfig = attrs.field(factory=UplinkConfig)
    hierarchy: HierarchyConfig = attrs.field(factory=HierarchyConfig)
    log: LogConfig = attrs.field(factory=LogConfig)

    def __attrs_post_init__(self) -> None:
        if self.node.role == "kaiser" and self.node.kaiser_id == "god":
            raise ValueError("node.kaiser_id: a Kaiser needs a name of its own, not god")
        if self.node.role == "kaiser" and not self.uplink.url:
            raise ValueError("uplink.url: a Kaiser needs the address of its God's broker")

    @property
    def store_dir(self) -> Path:
        return _path(self.store.path) or self.data_dir

    @property
    def data_dir(self) -> Path:
        return self.node.data_dir.expanduser()

    @property
    def library_dir(self) -> Path:
        return _path(self.sensors.library_dir) or self.data_dir / "sensor_libs"

    @property
    def socket_path(self) -> Path | None:
        """The unix socket of the local CLI; None: no socket is wanted."""
        if self.web.socket == "-":
            return None
        return _path(self.web.socket) or self.data_dir / "growyd.sock"

    @property
    def client_id(self) -> str:
        return self.broker.client_id or f"growyd-{self.node.kaiser_id}"


def _path(text: str) -> Path | None:
    return Path(text).expanduser() if text else None
