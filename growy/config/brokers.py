"""[broker] and [uplink] of the settings tree: the brokers that a node speaks to. Opens nothing."""

from __future__ import annotations

import attrs

from growy.config.broker_url import BrokerScheme, BrokerUrl, mask_url, parse_listen
from growy.config.setting import setting


@attrs.frozen(kw_only=True)
class BrokerConfig:
    """[broker]: the MQTT broker."""

    url: str = setting(
        "mqtt://127.0.0.1:1883",
        "mqtt://user:pw@host:port, mqtts://..., or embedded (a broker inside growyd: quick start and tests). "
        '`broker = "embedded"` at the top of the file is short for it.',
        check=BrokerUrl.parse,
        mask=mask_url,
    )
    embedded_listen: str = setting(
        "127.0.0.1:1883",
        "host:port of the embedded broker. ESP32s reach it only at an address of the network.",
        check=parse_listen,
    )
    client_id: str = setting(
        "", "MQTT client id; default growyd-{kaiser_id}. Must stay the same: it names the session."
    )
    ca_file: str = setting("", "CA certificate for mqtts://; default the system's.")
    cert_file: str = setting(
        "", "Client certificate for mqtts://, PEM, where the broker asks for one; with key_file."
    )
    key_file: str = setting("", "Key of the client certificate, PEM, readable for growyd alone.")
    keepalive: int = setting(60, "MQTT keep-alive, seconds.", at_least=5, at_most=3600)
    password_file: str = setting(
        "/etc/mosquitto/growyd/passwd",
        "Mosquitto's password_file, for logins set up through growyd, which must be able to write its folder.",
    )
    pid_file: str = setting(
        "",
        "Mosquitto's pid_file, if growyd may signal it: then growyd itself makes it read a changed password file. "
        "Empty: growyd-mosquitto.path of systemd does.",
    )
    inflight_window: int = setting(
        0,
        "How many unacknowledged messages the broker sends ahead (Mosquitto: max_inflight_messages). "
        "0: growyd measures it at start.",
        at_least=0,
        at_most=65535,
    )
    intake_limit: int = setting(
        10_000,
        "Unacknowledged messages held at most; beyond, growyd stops reading the socket.",
        at_least=100,
        at_most=1_000_000,
    )
    reconnect_min: float = setting(
        1.0, "First pause before a reconnect, seconds; doubles.", above=0, at_most=3600
    )
    reconnect_max: float = setting(
        60.0, "Longest pause between reconnects, seconds.", above=0, at_most=86_400
    )
    breaker_failures: int = setting(
        5, "Failed connects in a row that open the breaker.", at_least=1, at_most=1000
    )
    breaker_pause: float = setting(30.0, "How long the open breaker waits, seconds.", above=0, at_most=86_400)

    def __attrs_post_init__(self) -> None:
        require_pair(self.url, self.cert_file, self.key_file)
        if self.reconnect_max < self.reconnect_min:
            raise ValueError(
                f"reconnect_max: must be at least reconnect_min ({self.reconnect_min}), "
                f"is {self.reconnect_max}"
            )

    @property
    def address(self) -> BrokerUrl:
        """The URL in its parts."""
        return BrokerUrl.parse(self.url)

    @property
    def embedded_address(self) -> tuple[str, int]:
        """Host and port that the embedded broker listens on."""
        return parse_listen(self.embedded_listen)


@attrs.frozen(kw_only=True)
class UplinkConfig:
    """[uplink]: the way from a Kaiser to its God."""

    url: str = setting(
        "",
        "The God's broker: mqtt://user:pw@host:port or mqtts://... Needed where node.role is kaiser.",
        check=lambda text: BrokerUrl.parse(text) if text else None,
        mask=mask_url,
    )
    ca_file: str = setting("", "CA certificate for mqtts://; default the system's.")
    cert_file: str = setting(
        "",
        "Client certificate for mqtts://, PEM, where God's broker asks for one; with key_file. "
        "`growyd certs --client` makes both, on God's Pi.",
    )
    key_file: str = setting("", "Key of the client certificate, PEM, readable for growyd alone.")
    rate_kb: int = setting(
        64,
        "Kilobytes a second at most in which readings travel to God, on average.",
        at_least=1,
        at_most=100_000,
    )
    backlog_mb: int = setting(
        1024,
        "How much is kept for a God that is away. What is beyond it stays here and is not sent.",
        at_least=1,
        at_most=1_000_000,
    )

    def __attrs_post_init__(self) -> None:
        require_pair(self.url, self.cert_file, self.key_file)


def require_pair(url: str, cert_file: str, key_file: str) -> None:
    """A client certificate has its key, and is only for mqtts://.

    Raises:
        ValueError: it begins with the name of the setting.
    """
    if not cert_file and not key_file:
        return
    for name, said in (("cert_file", cert_file), ("key_file", key_file)):
        if not said:
            raise ValueError(f"{name}: is missing; a certificate and its key belong together")
    # Whoever sets one up means to be protected by TLS: it must not be left out in silence.
    if url and BrokerUrl.parse(url).scheme is not BrokerScheme.MQTTS:
        raise ValueError(f'cert_file: is for mqtts:// only, and url is "{mask_url(url)}"')
