"""What systemd hears from us, on a real datagram socket."""

import os
import socket
import uuid

import pytest

from growy.ops.sdnotify import Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    """A socket like systemd's and the NOTIFY_SOCKET that names it."""
    if request.param == "path":
        address = named = str(tmp_path / "notify")
    else:
        name = f"growy-test-{uuid.uuid4().hex}"
        address, named = "\0" + name, "@" + name
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        sock.settimeout(2)
        yield sock, {"NOTIFY_SOCKET": named}


def test_each_message_is_one_datagram(systemd):
    sock, environ = systemd
    notifier = Notifier.from_environ(environ)

    assert notifier.ready("serving on 127.0.0.1:8000")
    assert notifier.status("12 devices")
    assert notifier.watchdog()
    assert notifier.stopping()

    assert [sock.recv(4096) for _ in range(4)] == [
        b"READY=1\nSTATUS=serving on 127.0.0.1:8000",
        b"STATUS=12 devices",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


def test_a_status_cannot_smuggle_in_another_assignment(systemd):
    sock, environ = systemd
    Notifier.from_environ(environ).status("no broker\nMAINPID=1")

    assert sock.recv(4096) == b"STATUS=no broker MAINPID=1"


def test_without_systemd_nothing_happens():
    notifier = Notifier.from_environ({})

    assert not notifier.enabled
    assert not notifier.ready()
    assert notifier.refused == 0


def test_a_socket_that_is_gone_is_counted_not_raised(tmp_path):
    notifier = Notifier(str(tmp_path / "gone"))

    assert notifier.enabled
    assert not notifier.watchdog()
    assert notifier.refused == 1


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_interval_counts_when_it_is_meant_for_this_process(environ, watchdog_s):
    assert Notifier.from_environ(environ).watchdog_s == watchdog_s
