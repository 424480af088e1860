"""docs/http.md is complete: every endpoint, parameter, limit and error that a client can meet is in it."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from growy.model.errors import (
    GrowyError,
    InvalidCredentials,
    LoginNotChanged,
    LoginUncertain,
    OwnLogin,
    RuleConflict,
    RuleInvalid,
    RuleNotFound,
    SafetyRefused,
    TokenExpired,
    TooManyAttempts,
    Unauthorized,
)
from growy.model.tree_errors import ChainEnded, ChainNotFound, NodeNotFound, NotGod, TransferRefused
from growy.web.answers import BadRequest, Forbidden, MethodNotAllowed, TooBusy
from growy.web.api import ENDPOINTS
from growy.web.api.calibration import NotCalibrated
from growy.web.api.processing import UnknownSensorType
from growy.web.api.setups import Ambiguous
from growy.web.inputs import called
from growy.web.limits import Limits
from growy.web.router import Endpoint

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^### ((?:GET|POST|PUT|PATCH|DELETE) \S+)$", PAGE, re.MULTILINE)


def section(heading: str) -> str:
    return re.split(r"^### ", PAGE.partition(f"### {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_every_endpoint_is_documented_and_nothing_else() -> None:
    assert sorted(HEADINGS) == sorted(f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_every_parameter_and_field_is_documented(endpoint: Endpoint) -> None:
    text = section(f"{endpoint.method} {endpoint.path}")
    for model in (endpoint.query, endpoint.body):
        # A body that is free JSON is a rule: docs/control.md has its fields.
        for field in attrs.fields(model) if model is not None and attrs.has(model) else ():
            assert re.search(rf'[`"]{called(field.name)}[`"]', text), field.name


@pytest.mark.parametrize(
    "error",
    [
        *(BadRequest, Forbidden, MethodNotAllowed, TooBusy, GrowyError),
        *(UnknownSensorType, Ambiguous, NotCalibrated),
        *(Unauthorized, TokenExpired, InvalidCredentials, TooManyAttempts),
        *(SafetyRefused, RuleNotFound, RuleInvalid, RuleConflict),
        *(OwnLogin, LoginNotChanged, LoginUncertain),
        *(NotGod, NodeNotFound, ChainNotFound, ChainEnded, TransferRefused),
    ],
)
def test_every_error_of_the_web_room_is_documented(error: type[GrowyError]) -> None:
    assert f"`{error.code}`" in PAGE


def test_every_endpoint_has_a_summary() -> None:
    assert all(endpoint.summary for endpoint in ENDPOINTS)


def test_the_limits_in_the_page_are_those_of_the_program() -> None:
    limits = Limits()
    assert f"within {limits.body_timeout:g} s" in PAGE
    assert f"read within {limits.send_timeout:g} s" in PAGE
    assert f"at most {limits.flush_readings} each" in PAGE
    assert f"more than {limits.websockets} clients" in PAGE
    assert f"larger than {limits.websocket_message // 1024} KiB" in PAGE
    assert f"within {limits.gather * 1000:g} ms" in PAGE
    assert f"a batch holds {limits.flush_batch:,}" in PAGE
    assert (limits.frame_interval, limits.frame_burst, limits.websocket_idle) == (0.1, 3, 300)
