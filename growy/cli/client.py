"""The daemon, seen from the command line: JSON over HTTP/1.1, by unix socket or TCP. Blocking; standard library only.

Tries its places in turn until one takes the connection, and says of each what happened. A request is sent once: it is
never repeated at another place after it may have had an effect.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

import attrs

from growy import __version__
from growy.cli import logins
from growy.cli.exits import DaemonRefused, DaemonUnreachable
from growy.model.errors import ConfigError

CONNECT_TIMEOUT_S = 5.0
KEY_VARIABLE = "GROWYD_API_KEY"
"""Environment variable with the API key for a daemon that is asked over TCP."""
CA_VARIABLE = "GROWYD_CA_FILE"
"""Environment variable with the file of the certificate authority that `growyd certs` has made."""
NO_CONTENT = 204
UNAUTHORIZED = 401
PAGE_SIZE = 100
"""The API's largest page."""
PIECE_BYTES = 65_536
ANSWER_TIMEOUT_S = 60.0
"""A year of readings of a slow card takes its time."""
CURE = (
    "Start it with `growyd run` (or `systemctl start growyd`), try it with `growyd demo`; "
    "if it runs elsewhere, name the place with --socket or --url"
)

Query: TypeAlias = Mapping[str, str | int | float | None]


@attrs.frozen
class UnixPlace:
    """A unix socket."""

    path: Path

    def __str__(self) -> str:
        return f"unix socket {self.path}"

    def connect(self) -> http.client.HTTPConnection:
        """Raises OSError."""
        connection = _UnixConnection(self.path)
        connection.connect()
        return connection


@attrs.frozen
class HttpPlace:
    """A TCP port."""

    host: str
    port: int
    tls: bool = False

    @classmethod
    def parse(cls, url: str) -> HttpPlace:
        """Raises ConfigError: not a URL of growyd."""
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port if parts.port is not None else 443 if parts.scheme == "https" else 80
        except ValueError:
            parts, port = urlsplit(""), 0
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or not port
            or parts.path not in ("", "/")
        ):
            raise ConfigError(f"{url} is no address of growyd", cure="Write http://127.0.0.1:8000")
        return cls(parts.hostname, port, parts.scheme == "https")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls else ''}://{host}:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        """Raises OSError."""
        if self.tls:
            import ssl  # a tenth of the time that most commands take

            trusted = ssl.create_default_context(cafile=os.environ.get(CA_VARIABLE))
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self.host, self.port, timeout=CONNECT_TIMEOUT_S, context=trusted
            )
        else:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=CONNECT_TIMEOUT_S)
        connection.connect()
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=CONNECT_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(os.fspath(self._path))
        except BaseException:
            sock.close()
            raise
        self.sock = sock


def rounds(within_s: float, every_s: float) -> Iterator[bool]:
    """For one who asks again and again: False for each round, at this pace, and True for the last, when the time is
    over."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        yield False
        time.sleep(every_s)
    yield True


class Daemon:
    """Asks the daemon. Use as a context manager: the connection is kept for several requests.

    Args:
        places: where to look, in this order.
        chosen: somebody named this very place, so that nothing else will do.
    """

    def __init__(self, places: Sequence[UnixPlace | HttpPlace], *, chosen: bool = False) -> None:
        self.chosen = chosen
        self.places = tuple(places)
        self._place: UnixPlace | HttpPlace | None = None
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path: str, query: Query | None = None) -> Any:
        """The JSON answer. Raises DaemonUnreachable, DaemonRefused."""
        return self._ask("GET", _target(path, query), None)

    def get_list(self, path: str, query: Query | None = None) -> list[Any]:
        """All items of a list that comes in pages. Raises DaemonUnreachable, DaemonRefused."""
        items: list[Any] = []
        page = 1
        while True:
            answer = self.get(path, {**(query or {}), "page": page, "page_size": PAGE_SIZE})
            items += answer["data"]
            if not answer["pagination"]["has_next"]:
                return items
            page += 1

    def stream(self, path: str, query: Query | None = None) -> Iterator[bytes]:
        """The answer piece by piece, as it comes. Raises DaemonUnreachable, also when it breaks off; DaemonRefused."""
        target = _target(path, query)
        response = self._send("GET", target, None)
        if response.status == UNAUTHORIZED:
            self._body(response, "GET", target)
            if self._renew():
                response = self._send("GET", target, None)
        if response.status >= 400:
            self._read(response.status, self._body(response, "GET", target))
        while piece := self._body(response, "GET", target, PIECE_BYTES):
            yield piece

    def post(self, path: str, body: object, query: Query | None = None) -> Any:
        """The JSON answer. Raises DaemonUnreachable, DaemonRefused."""
        return self._ask("POST", _target(path, query), json.dumps(body).encode())

    def patch(self, path: str, body: object) -> Any:
        """The JSON answer. Raises DaemonUnreachable, DaemonRefused."""
        return self._ask("PATCH", _target(path, None), json.dumps(body).encode())

    def delete(self, path: str, query: Query | None = None) -> Any:
        """The JSON answer; `{}` where there is nothing to say. Raises DaemonUnreachable, DaemonRefused."""
        return self._ask("DELETE", _target(path, query), None)

    def _ask(self, method: str, target: str, body: bytes | None) -> Any:
        status, answer = self._exchange(method, target, body)
        # Not let in means that nothing was done: it may be asked again.
        if status == UNAUTHORIZED and self._renew():
            status, answer = self._exchange(method, target, body)
        return self._read(status, answer)

    def _credentials(self) -> dict[str, str]:
        """For a port: the key of the environment, else who has logged in there. Never for the socket: its file is the
        login."""
        if not isinstance(self._place, HttpPlace):
            return {}
        if key := os.environ.get(KEY_VARIABLE):
            return {"X-API-Key": key}
        tokens = logins.of(str(self._place))
        return {} if tokens is None else {"Authorization": f"Bearer {tokens.access}"}

    def _renew(self) -> bool:
        """Whether the login of this place has got new tokens."""
        if not isinstance(self._place, HttpPlace) or os.environ.get(KEY_VARIABLE):
            return False

        def refreshed(old: logins.Login) -> logins.Login | None:
            body = json.dumps({"refresh_token": old.refresh}).encode()
            status, answer = self._exchange("POST", "/api/v1/auth/refresh", body, anonymous=True)
            if status >= 400:
                return None
            tokens = self._read(status, answer)["tokens"]
            return logins.Login(old.username, tokens["access_token"], tokens["refresh_token"])

        return logins.renew(str(self._place), refreshed)

    def _exchange(
        self, method: str, target: str, body: bytes | None, *, anonymous: bool = False
    ) -> tuple[int, bytes]:
        """Status and body of the answer. Raises DaemonUnreachable."""
        response = self._send(method, target, body, anonymous=anonymous)
        answer = self._body(response, method, target)
        if response.will_close:
            self.close()
        return response.status, answer

    def _send(
        self, method: str, target: str, body: bytes | None, *, anonymous: bool = False
    ) -> http.client.HTTPResponse:
        connection = self._connected()
        headers = {"Accept": "application/json", "User-Agent": f"growyd-cli/{__version__}"}
        if not anonymous:
            headers |= self._credentials()
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, target, body, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(method, target, error) from error

    def _body(
        self, response: http.client.HTTPResponse, method: str, target: str, most: int | None = None
    ) -> bytes:
        try:
            return response.read(most)
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(method, target, error) from error

    def _silent(self, method: str, target: str, error: Exception) -> DaemonUnreachable:
        self.close()
        return DaemonUnreachable(
            f"The daemon at {self._place} did not answer {method} {target}: {_reason(error)}",
            cure="If it keeps so, look at its log: journalctl -u growyd",
        )

    def _read(self, status: int, answer: bytes) -> Any:
        if status == NO_CONTENT:
            return {}
        try:
            content = json.loads(answer)
        except ValueError:
            content = None
        if status < 400 and isinstance(content, dict) and "success" in content:
            return content
        error = content.get("error") if isinstance(content, dict) else None
        if not isinstance(error, dict):
            raise DaemonUnreachable(
                f"{self._place} answers with HTTP {status}, but not as growyd does",
                cure="Another program may have this port. " + CURE,
            )
        message = str(error.get("message", f"HTTP {status}"))
        if status == UNAUTHORIZED and isinstance(self._place, HttpPlace):
            message += f". Log in with `growyd login {self._place}`, or set {KEY_VARIABLE}"
        raise DaemonRefused(message, str(error.get("code", "")))

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is not None:
            return self._connection
        tried = []
        for place in self.places:
            try:
                connection = place.connect()
            except OSError as error:
                tried.append(f"\n  {place}: {_reason(error)}")
                continue
            connection.sock.settimeout(ANSWER_TIMEOUT_S)
            self._place, self._connection = place, connection
            return connection
        raise DaemonUnreachable(f"No daemon answers. Tried:{''.join(tried)}", cure=CURE)


def _target(path: str, query: Query | None) -> str:
    asked = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{quote(path)}{'?' + urlencode(asked) if asked else ''}"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
