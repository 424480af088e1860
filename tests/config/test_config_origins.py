"""`[web] cors_origins`."""

from __future__ import annotations

import pytest

from growy.config import WebConfig
from growy.config.origins import parse_origins


def test_origins_are_a_list() -> None:
    assert parse_origins("") == ()
    assert parse_origins("https://Grow.example, http://[::1]:5173,") == (
        "https://grow.example",
        "http://[::1]:5173",
    )


@pytest.mark.parametrize(
    "said", ["*", "null", "grow.example", "https://grow.example/", "ftp://x", "https://a b", "https://x:"]
)
def test_what_is_no_origin_is_named(said: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        WebConfig(cors_origins=said)
