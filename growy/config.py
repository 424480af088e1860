"""The settings tree: TOML file + `GROWY_SECTION__KEY` environment -> attrs. All faults are reported at once, with their paths.

Every setting is declared here once, with its default, its bounds and its documentation; `docs/configuration.md` and
`growyd config show` are checked against this declaration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from attrs import validators as v


def setting(default: Any, doc: str, *checks: Any) -> Any:
    """A setting with its documentation beside it (`attrs.fields(cls).name.metadata["doc"]`)."""
    return attrs.field(default=default, validator=list(checks), metadata={"doc": doc})


def positive(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not value > 0:
        raise ValueError(f"must be greater than 0, is {value}")


@attrs.frozen(kw_only=True)
class NodeConfig:
    """[node]: who this Pi is."""

    kaiser_id: str = setting(
        "god",
        "Topic prefix of this node: kaiser/{kaiser_id}/... The firmware's default is god.",
        v.matches_re(r"[A-Za-z0-9_-]{1,63}"),
    )
    data_dir: Path = setting(Path("/var/lib/growy"), "Where databases and a grower's own libraries live.")


@attrs.frozen(kw_only=True)
class BrokerConfig:
    """[broker]: the MQTT broker."""

    url: str = setting(
        "mqtt://127.0.0.1:1883",
        "mqtt://user:pw@host:port, mqtts://..., or embedded (a broker inside growyd: quick start and tests).",
    )
    embedded_listen: str = setting("127.0.0.1:1883", "host:port of the embedded broker.")
    client_id: str = setting("", "MQTT client id; default growyd-{kaiser_id}. Must stay the same: it names the session.")
    ca_file: str = setting("", "CA certificate for mqtts://; default the system's.")
    keepalive: int = setting(60, "MQTT keep-alive, seconds.", v.ge(5), v.le(3600))
    inflight_window: int = setting(
        0,
        "How many unacknowledged messages the broker sends ahead (Mosquitto: max_inflight_messages). "
        "0: growyd measures it at start.",
        v.ge(0),
        v.le(65535),
    )
    intake_limit: int = setting(
        20_000, "Unacknowledged messages held at most; beyond, growyd stops reading the socket.", v.ge(100)
    )
    reconnect_min: float = setting(1.0, "First pause before a reconnect, seconds; doubles.", positive)
    reconnect_max: float = setting(60.0, "Longest pause between reconnects, seconds.", positive)
    breaker_failures: int = setting(5, "Failed connects in a row that open the breaker.", v.ge(1))
    breaker_pause: float = setting(30.0, "How long the open breaker waits, seconds.", positive)


@attrs.frozen(kw_only=True)
class StoreConfig:
    """[store]: the two SQLite databases."""

    path: str = setting("", "Folder of growy.db and series.db; default {node.data_dir}.")
    commit_interval: float = setting(
        1.0, "A reading is on disk and acknowledged at most this long after receipt, seconds.", v.ge(0.01), v.le(60)
    )
    synchronous: str = setting(
        "normal",
        "normal: survives a killed daemon; a power cut can lose what the kernel had not yet written. "
        "full: every commit is forced to the card (more wear).",
        v.in_(("normal", "full")),
    )
    chunk_readings: int = setting(600, "Readings per sealed chunk, about.", v.ge(60), v.le(10_000))
    seal_interval: float = setting(600.0, "How often the journal is sealed into chunks, seconds.", positive)
    tail_readings: int = setting(600, "Newest readings per series kept in memory.", v.ge(10), v.le(100_000))
    retention_days: int = setting(0, "Delete readings older than this many days; 0 keeps everything.", v.ge(0))
    dead_letters: int = setting(1000, "Dead letters kept; the oldest go first.", v.ge(0), v.le(1_000_000))
    min_free_mb: int = setting(20, "Less free disk than this counts as full.", v.ge(0))


@attrs.frozen(kw_only=True)
class SensorsConfig:
    """[sensors]: sensor libraries and the worker pool."""

    workers: int = setting(1, "Worker processes that convert raw values.", v.ge(1), v.le(8))
    library_dir: str = setting(
        "", "A grower's own libraries; win over a shipped one of the same name. Default {node.data_dir}/sensor_libs."
    )
    reload_interval: float = setting(1.0, "How often library files are looked at for changes, seconds.", positive)
    deadline: float = setting(2.0, "A conversion that takes longer kills its worker, seconds.", positive)
    breaker_failures: int = setting(3, "Failures in a row that set a library aside.", v.ge(1))
    publish_processed: bool = setting(True, "Publish converted values to sensor/{gpio}/processed.")


@attrs.frozen(kw_only=True)
class WebConfig:
    """[web]: HTTP and WebSocket, one port."""

    host: str = setting("127.0.0.1", "Address to listen on. Loopback only until login exists.")
    port: int = setting(8000, "Port for HTTP and WebSocket; 0 picks a free one.", v.ge(0), v.le(65535))
    socket: str = setting("", "Unix socket for the local CLI; default {node.data_dir}/growyd.sock, - for none.")
    max_connections: int = setting(200, "Open connections at most.", v.ge(1))
    max_header: int = setting(16_384, "Request line and headers, bytes.", v.ge(1024))
    max_body: int = setting(1_048_576, "Request body, bytes.", v.ge(1024))
    header_timeout: float = setting(10.0, "A client must have sent its headers within this, seconds.", positive)
    idle_timeout: float = setting(60.0, "An idle keep-alive connection is closed after this, seconds.", positive)


@attrs.frozen(kw_only=True)
class FleetConfig:
    """[fleet]: the ESP32s."""

    auto_approve: bool = setting(False, "Approve every new device by itself (demo, closed networks).")


@attrs.frozen(kw_only=True)
class LogConfig:
    """[log]: structured logs."""

    level: str = setting("info", "debug, info, warning or error.", v.in_(("debug", "info", "warning", "error")))
    format: str = setting(
        "auto", "json, human, or auto: JSON under systemd, human on a terminal.", v.in_(("auto", "json", "human"))
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
    log: LogConfig = attrs.field(factory=LogConfig)

    @property
    def store_dir(self) -> Path:
        return Path(self.store.path) if self.store.path else self.node.data_dir

    @property
    def library_dir(self) -> Path:
        return Path(self.sensors.library_dir) if self.sensors.library_dir else self.node.data_dir / "sensor_libs"

    @property
    def socket_path(self) -> Path | None:
        if self.web.socket == "-":
            return None
        return Path(self.web.socket) if self.web.socket else self.node.data_dir / "growyd.sock"

    @property
    def client_id(self) -> str:
        return self.broker.client_id or f"growyd-{self.node.kaiser_id}"
