"""What rules say to people and programs, over a real HTTP server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import attrs
import pytest
import trio
import trio.testing

from growy.control.notices import ATTEMPTS, WAITING, Notices, post_json
from growy.control.rules.effects import Post
from growy.model.audit import AuditEntry
from growy.model.rules import Channel

NOW_MS = 1_767_225_600_000


class Server:
    """Answers POSTs with the statuses it was given, in turn; the last one for ever."""

    def __init__(self) -> None:
        self.statuses = [204]
        self.bodies: list[object] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                status = outer.statuses[0] if len(outer.statuses) == 1 else outer.statuses.pop(0)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"http://127.0.0.1:{outer.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.stop()


@attrs.define
class Heard:
    events: list[tuple[str, dict[str, object]]] = attrs.field(factory=list)
    entries: list[AuditEntry] = attrs.field(factory=list)

    def notices(self, *prefixes: str) -> Notices:
        return Notices(
            tell=lambda event, data, correlation_id: self.events.append((event, dict(data))),
            note=self.entries.append,
            prefixes=prefixes,
            wall_ms=lambda: NOW_MS,
        )


def post(target: str = "", channel: Channel = Channel.WEBHOOK) -> Post:
    return Post(
        channel=channel,
        text="12.5 °C in the tent",
        target=target,
        severity="warning",
        rule_id="r-1",
        rule_name="Frost",
        trigger={"esp_id": "ESP_00AA01", "sensor_value": 12.5},
    )


async def sent(notices: Notices, *posts: Post) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(notices.run)
        for one in posts:
            notices.take(one)
        with trio.fail_after(30):
            while (now := notices.statistics()).posted + now.failed < len(posts):
                await trio.sleep(0.01)
        assert now.waiting == 0
        nursery.cancel_scope.cancel()


async def test_a_word_on_the_websocket_stands_in_the_audit_trail_too() -> None:
    heard = Heard()
    heard.notices().take(post(channel=Channel.WEBSOCKET))
    ((event, data),) = heard.events
    assert (event, data["message"], data["rule_id"]) == ("notification", "12.5 °C in the tent", "r-1")
    assert data["sensor_value"] == 12.5
    assert [(one.event_type, one.severity) for one in heard.entries] == [("notification", "warning")]


async def test_a_webhook_is_posted_as_json(server: Server) -> None:
    url = f"http://127.0.0.1:{server.port}/hook/a"
    await sent(Heard().notices(f"http://127.0.0.1:{server.port}/hook/"), post(url))
    assert server.bodies == [
        {
            "message": "12.5 °C in the tent",
            "rule_id": "r-1",
            "rule_name": "Frost",
            "severity": "warning",
            "trigger": {"esp_id": "ESP_00AA01", "sensor_value": 12.5},
        }
    ]


async def test_a_webhook_that_nobody_allowed_is_not_called(server: Server) -> None:
    heard = Heard()
    await sent(heard.notices("http://elsewhere/"), post(f"http://127.0.0.1:{server.port}/hook/a"))
    assert server.bodies == []
    assert "allow" in heard.entries[-1].message


async def test_a_server_that_fails_is_asked_again_and_then_given_up(
    server: Server, autojump_clock: trio.testing.MockClock
) -> None:
    heard = Heard()
    prefix = f"http://127.0.0.1:{server.port}/"
    notices = heard.notices(prefix)
    server.statuses = [500, 503, 204]
    await notices._deliver(post(prefix + "a"))
    assert len(server.bodies) == 3
    assert notices.statistics().posted == 1

    server.statuses = [500]
    await notices._deliver(post(prefix + "a"))
    assert len(server.bodies) == 3 + ATTEMPTS
    assert notices.statistics().failed == 1
    assert "HTTP 500" in notices.statistics().last_error


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.statuses = [302]
    assert post_json(f"http://127.0.0.1:{server.port}/hook", b"{}") == "HTTP 302"
    assert len(server.bodies) == 1


async def test_what_finds_no_room_is_counted(server: Server) -> None:
    heard = Heard()
    notices = heard.notices("http://127.0.0.1/")
    for _ in range(WAITING + 3):
        notices.take(post("http://127.0.0.1/x"))
    assert notices.statistics().dropped == 3
    assert notices.statistics().waiting == WAITING
