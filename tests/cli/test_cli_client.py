"""What the client says when what answers is not growyd, or nothing does."""

import socket
import threading

import pytest

from growy.cli.client import Daemon, HttpPlace, UnixPlace
from growy.cli.exits import DaemonRefused, DaemonUnreachable


@pytest.fixture
def answering():
    """A place whose every connection gets these bytes and is closed."""
    doors = []

    def serve(content):
        door = socket.create_server(("127.0.0.1", 0))
        doors.append(door)

        def answer():
            while True:
                try:
                    visitor, _ = door.accept()
                except OSError:
                    return
                with visitor:
                    visitor.recv(65536)
                    visitor.sendall(content)

        threading.Thread(target=answer, daemon=True).start()
        return HttpPlace("127.0.0.1", door.getsockname()[1])

    yield serve
    for door in doors:
        door.shutdown(socket.SHUT_RDWR)
        door.close()


def http(status, body, kind="application/json"):
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )


def ask(places, path):
    with Daemon(places) as daemon:
        return daemon.get(path)


def test_the_first_place_that_takes_the_connection_is_asked(answering, tmp_path):
    there = answering(http(200, '{"success": true}'))

    assert ask([UnixPlace(tmp_path / "none.sock"), there], "/api/v1/health") == {"success": True}


def test_every_place_that_was_tried_is_named_with_what_happened_there(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound, but nobody listens
        place = HttpPlace("127.0.0.1", probe.getsockname()[1])
        with pytest.raises(DaemonUnreachable) as caught:
            ask([UnixPlace(tmp_path / "none.sock"), place], "/")

    text = str(caught.value)
    assert f"unix socket {tmp_path}/none.sock: no such file or directory" in text
    assert f"{place}: connection refused" in text
    assert "growyd run" in text


def test_an_error_of_the_daemon_keeps_its_message_and_code(answering):
    body = '{"success": false, "error": {"code": "ESP_NOT_FOUND", "message": "No device X"}, "detail": "No device X"}'

    with pytest.raises(DaemonRefused, match=r"^No device X \[ESP_NOT_FOUND\]$"):
        ask([answering(http(404, body))], "/x")


@pytest.mark.parametrize(
    "content",
    [
        http(200, "<html>hello</html>", "text/html"),
        http(404, "not here", "text/plain"),
        http(500, '{"detail": "oops"}'),
        http(200, '{"hello": "world"}'),
        http(200, "[]"),
    ],
)
def test_another_program_on_the_port_is_recognised(answering, content):
    with pytest.raises(DaemonUnreachable, match="but not as growyd does"):
        ask([answering(content)], "/api/v1/statistics")


@pytest.mark.parametrize(
    "content", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"]
)
def test_an_answer_that_breaks_off_is_no_answer(answering, content):
    with pytest.raises(DaemonUnreachable, match="did not answer GET /api/v1/statistics"):
        ask([answering(content)], "/api/v1/statistics")
