"""Where rules may post to."""

from __future__ import annotations

import pytest

from growy.config.webhooks import allowed, parse_webhooks


def test_a_list_of_prefixes() -> None:
    text = " http://192.168.1.5:8123/api/webhook/ , https://nas.local/hook?".replace("?", "")
    assert parse_webhooks(text) == ("http://192.168.1.5:8123/api/webhook/", "https://nas.local/hook")
    assert parse_webhooks("") == ()


@pytest.mark.parametrize(
    "wrong", ["ftp://nas/x", "http://nas", "nas/x", "http:///x", "http://user:pw@nas/x", "http://nas/x?y=1"]
)
def test_a_prefix_that_would_allow_more_than_it_says_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_webhooks(wrong)


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("http://nas/hook/a", True),
        ("http://nas/hook/", True),
        ("http://nas.evil.example/hook/", False),
        ("http://nas/other", False),
        ("http://nas/hook/../admin", False),
        ("http://nas/hook/a b", False),
        ("http://nas/hook/\\evil", False),
    ],
)
def test_a_webhook_is_allowed_when_it_begins_with_a_prefix(url: str, fits: bool) -> None:
    assert allowed(url, ("http://nas/hook/",)) is fits
    assert not allowed(url, ())
