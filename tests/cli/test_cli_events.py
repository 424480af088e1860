"""`growyd events` against the real endpoint over a real store."""

import json
import queue
import threading
import time

import attrs
import pytest
import trio
from click.testing import CliRunner
from rig.people import api_key

from growy.cli import main
from growy.cli.exits import ExitCode
from growy.config import StoreConfig, WebConfig
from growy.model.audit import AuditEntry
from growy.store import open_store
from growy.web.accounts.accounts import open_accounts
from growy.web.api.audit import ENDPOINTS
from growy.web.app import App
from growy.web.gate import Gate
from growy.web.live import LiveHub
from growy.web.server import open_web


async def serve(directory, entries, started, ended):
    async with open_store(StoreConfig(min_free_mb=0), directory) as store:
        await store.write_audit(entries)
        # Of the daemon's parts these endpoints need the store only.
        nothing = dict.fromkeys(field.name for field in attrs.fields(App))
        accounts = await open_accounts(store, directory, note=lambda entry: None, wall_ms=lambda: 0)
        app = App(
            **{
                **nothing,
                "store": store,
                "hub": LiveHub(store.catalog),
                "parts": {},
                "accounts": accounts,
                "gate": Gate(accounts),
            }
        )
        async with (
            open_web(WebConfig(port=0), None, app, endpoints=ENDPOINTS) as web,
            trio.open_nursery() as nursery,
        ):
            await nursery.start(web.run)
            started.put((web.url, await api_key(web)))
            await trio.to_thread.run_sync(ended.wait)
            nursery.cancel_scope.cancel()


@pytest.fixture
def daemon_with(tmp_path, monkeypatch):
    """Starts a web server whose trail holds these entries; returns a function that runs `growyd events` there."""
    ended, threads, started = threading.Event(), [], queue.Queue()

    def run(entries):
        try:
            trio.run(serve, tmp_path, entries, started, ended)
        except BaseException as error:
            started.put(error)
            raise

    def start(entries):
        thread = threading.Thread(target=run, args=(entries,))
        thread.start()
        threads.append(thread)
        came = started.get(timeout=30)
        assert isinstance(came, tuple), came
        url, key = came
        monkeypatch.setenv("GROWYD_API_KEY", key)
        return lambda *arguments: CliRunner().invoke(main, ["events", "--url", url, *arguments])

    yield start
    ended.set()
    for thread in threads:
        thread.join()


def happened(minutes_ago, event_type="device_online", **more):
    return AuditEntry(ts_ms=int((time.time() - 60 * minutes_ago) * 1000), event_type=event_type, **more)


FAULT = {
    "severity": "error",
    "source_type": "esp32",
    "source_id": "ESP_00A001",
    "error_code": "1007",
    "message": "SHT31 does not\x1b[2J answer",
    "repeats": 514,
}


def test_events_are_shown_newest_first(daemon_with):
    ask = daemon_with(
        [happened(90, "service_start", message="growyd 0.2"), happened(5, "device_error", **FAULT)]
    )
    done = ask()
    header, first, second = done.stdout.splitlines()

    assert done.exit_code == ExitCode.OK
    assert header.split() == ["time", "severity", "event", "of", "code", "times", "what", "happened"]
    assert first.split()[2:7] == ["error", "device_error", "ESP_00A001", "1007", "514"]
    assert "\x1b" not in first
    assert second.split()[2:7] == ["info", "service_start", "-", "-", "1"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--device", "ESP_00A001"], ["device_error"]),
        (["--severity", "warning"], ["device_error"]),
        (["--since", "1h"], ["device_error"]),
        (["--since", "2h"], ["device_error", "service_start"]),
        (["--since", "36500d"], ["device_error", "service_start"]),
        (["--type", "service_start,service_stop"], ["service_start"]),
        (["--limit", "1"], ["device_error"]),
        (["--device", "ESP_00A001", "--severity", "critical"], []),
    ],
)
def test_events_are_chosen(daemon_with, options, found):
    ask = daemon_with([happened(90, "service_start"), happened(5, "device_error", **FAULT)])

    assert [one["event_type"] for one in json.loads(ask("--json", *options).stdout)] == found


def test_more_than_a_page_of_events_comes_whole_and_in_order(daemon_with):
    ask = daemon_with([happened(1, message=str(number)) for number in range(257)])

    def numbers(*options):
        return [int(one["message"]) for one in json.loads(ask("--json", *options).stdout)]

    assert numbers("--limit", "10000") == list(range(256, -1, -1))
    assert numbers("--limit", "150") == list(range(256, 106, -1))


def test_no_events_are_said_to_be_none(daemon_with):
    ask = daemon_with([])

    assert ask().stdout == "No events yet.\n"
    assert ask("--since", "1h").stdout == "No such event.\n"
    assert ask("--json").stdout == "[]\n"


def test_an_unknown_severity_is_wrong_use(daemon_with):
    done = daemon_with([])("--severity", "dreadful")

    assert done.exit_code == ExitCode.CONFIG
    assert "critical" in done.stderr
