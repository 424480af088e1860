"""What every room's tests may use: real brokers on free loopback ports, and the switch for the long proofs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.brokers import MOSQUITTO, Mosquitto
from rig.documented import faults_of

from growy.model.people import Caller
from growy.web.answers import Response
from growy.web.dispatch import Dispatcher, Request
from growy.web.router import Match


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the slow proofs in their long form")
    parser.addoption(
        "--screenshots", metavar="FOLDER", help="keep pictures of the page there, for the README"
    )


@pytest.fixture(scope="session")
def long_form(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--long"))


@pytest.fixture(autouse=True)
def every_answer_is_documented(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test asks of the API in this process: the answer must be as its endpoint declares it."""
    faults: list[str] = []
    answer = Dispatcher.answer

    async def checked(
        self: Dispatcher, request: Request, match: Match, caller: Caller, body: bytes
    ) -> Response:
        reply = await answer(self, request, match, caller, body)
        faults.extend(faults_of(match.endpoint, reply))
        return reply

    monkeypatch.setattr(Dispatcher, "answer", checked)
    yield
    assert not faults, "\n".join(dict.fromkeys(faults))


@pytest.fixture
def mosquitto_with(tmp_path: Path) -> Iterator[object]:
    """A function that makes a Mosquitto with extra settings; all are stopped at the end."""
    if MOSQUITTO is None:
        pytest.fail("the mosquitto program is missing: apt-get install mosquitto")
    started: list[Mosquitto] = []

    def make(settings: str = "") -> Mosquitto:
        directory = tmp_path / f"mosquitto{len(started)}"
        directory.mkdir()
        broker = Mosquitto(directory, settings)
        started.append(broker)
        broker.start()
        return broker

    yield make
    for broker in started:
        broker.stop()


@pytest.fixture
def mosquitto(mosquitto_with: object) -> Mosquitto:
    """A Mosquitto as docs/operations.md recommends it."""
    assert callable(mosquitto_with)
    broker = mosquitto_with("max_inflight_messages 1000\nmax_queued_messages 100000")
    assert isinstance(broker, Mosquitto)
    return broker
