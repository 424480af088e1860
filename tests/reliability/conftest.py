"""A running growyd on a running Mosquitto."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.brokers import Mosquitto
from rig.daemon import Growyd


@pytest.fixture
def growyd(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Growyd]:
    folder = tmp_path / "growy"
    folder.mkdir()
    daemon = Growyd(folder, mosquitto.port)
    daemon.start()
    yield daemon
    daemon.end()
