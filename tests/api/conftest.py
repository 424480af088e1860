"""A growyd with devices, for the tests of one module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rig.running import Running, running_growyd


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_growyd(tmp_path_factory.mktemp("api")) as running:
        yield running
