"""A Mosquitto with a password file that growyd may change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from growy.broker.engine import Endpoint
from growy.broker.mosquitto import Mosquitto
from growy.broker.password_file import hash_of, with_user
from rig.brokers import Mosquitto as Broker


def guarded(
    start: Callable[[str], Broker], folder: Path, users: dict[str, str]
) -> tuple[Broker, Mosquitto, Endpoint]:
    """A broker that lets in these users and nobody else; its files; and growyd's own place there, without a login.

    Args:
        start: starts a Mosquitto with these settings.
        folder: for its files.
    """
    file, pid_file = folder / "passwd", folder / "mosquitto.pid"
    content = b""
    for user, password in users.items():
        content = with_user(content, user, hash_of(password))
    file.write_bytes(content)
    broker = start(f"allow_anonymous false\npassword_file {file}\npid_file {pid_file}")
    endpoint = Endpoint(host="127.0.0.1", port=broker.port, client_id="growyd")
    return broker, Mosquitto(password_file=file, pid_file=pid_file), endpoint
