"""Durations as people write them, and where a command looks for the daemon."""

import os

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from growy.cli import main
from growy.cli.client import HttpPlace, UnixPlace
from growy.cli.convert import own_libraries
from growy.cli.exits import ExitCode
from growy.cli.options import DURATION, SENSOR_AT, SensorAt, find_daemon
from growy.config import Config, NodeConfig
from growy.model.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20s", 20),
        ("5m", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("2d", 172800),
        ("250ms", 0.25),
        ("1.5h", 5400),
        ("20", 20),
    ],
)
def test_a_duration_has_a_unit_or_is_seconds(text, seconds):
    assert DURATION.convert(text, None, None) == pytest.approx(seconds)
    assert DURATION.convert(f" {text.upper()} ", None, None) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "soon", "-5s", "0", "0s", "5 m", "1e3", "s", "inf", "nan", "5w", "1:30"]
)
def test_what_is_no_duration_is_wrong_use(text):
    with pytest.raises(click.BadParameter):
        DURATION.convert(text, None, None)


@given(st.text(max_size=12))
def test_any_text_is_a_positive_duration_or_wrong_use(text):
    try:
        seconds = DURATION.convert(text, None, None)
    except click.BadParameter:
        return
    assert 0 < seconds < float("inf")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("ESP_00A003:68@30s", SensorAt("ESP_00A003", 68, None, 30.0)),
        (" ESP_00A003:4/ds18b20@1m30s ", SensorAt("ESP_00A003", 4, "ds18b20", 90.0)),
        ("ESP_00A003:4@5", SensorAt("ESP_00A003", 4, None, 5.0)),
    ],
)
def test_a_sensor_and_a_time_are_named_in_one_word(text, meant):
    assert SENSOR_AT.convert(text, None, None) == meant
    assert SENSOR_AT.convert(meant, None, None) is meant


@pytest.mark.parametrize(
    "text", ["", "ESP_00A003", "ESP_00A003:68", "68@30s", "ESP_00A003:sht31@30s", "ESP_00A003:68@soon"]
)
def test_what_is_no_sensor_and_time_is_wrong_use(text):
    with pytest.raises(click.BadParameter):
        SENSOR_AT.convert(text, None, None)


@pytest.fixture
def places(monkeypatch, tmp_path):
    """Where a command looks, given its three options; the environment is empty but for what a test sets."""
    for name in list(os.environ):
        if name.startswith("GROWY_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("growy.config.load.DEFAULT_FILE", tmp_path / "no such file")
    return lambda **options: (
        find_daemon(options.get("config_file"), options.get("socket"), options.get("url")).places
    )


def test_the_settings_say_where_the_daemon_is(places, monkeypatch, tmp_path):
    monkeypatch.setenv("GROWY_WEB__PORT", "9000")
    file = tmp_path / "growyd.toml"
    file.write_text(f'[node]\ndata_dir = "{tmp_path}"\n')

    assert places(config_file=file) == (UnixPlace(tmp_path / "growyd.sock"), HttpPlace("127.0.0.1", 9000))


def test_a_place_that_is_named_is_the_only_one(places, monkeypatch, tmp_path):
    assert places(socket=tmp_path / "x.sock") == (UnixPlace(tmp_path / "x.sock"),)
    assert places(url="http://[::1]:8001/") == (HttpPlace("::1", 8001),)
    assert places(url="pi:8000") == (HttpPlace("pi", 8000),)
    assert places(url="https://pi:8443") == (HttpPlace("pi", 8443, tls=True),)
    monkeypatch.setenv("GROWY_URL", "http://pi:1")
    assert places() == (HttpPlace("pi", 1),)


@pytest.mark.parametrize(
    "url", ["ftp://pi", "http://", "http://pi:x", "http://pi/api", "mqtt://pi", "http://pi:70000"]
)
def test_a_url_that_is_none_is_refused(places, url):
    with pytest.raises(ConfigError, match="no address of growyd"):
        places(url=url)


def test_faults_in_the_settings_are_told_before_looking(places, monkeypatch):
    monkeypatch.setenv("GROWY_WEB__PORT", "many")
    with pytest.raises(ConfigError, match=r"web\.port"):
        places()


@pytest.fixture
def closed(tmp_path):
    """A folder that we may not enter, also when the tests are run by root."""
    folder, user = tmp_path / "closed", os.geteuid()
    folder.mkdir(mode=0)
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    folder.chmod(0o700)


def test_a_socket_that_is_closed_to_us_is_no_wrong_use(closed):
    done = CliRunner().invoke(main, ["status", "--socket", str(closed / "growyd.sock")])

    assert done.exit_code == ExitCode.UNREACHABLE
    assert "growyd.sock: permission denied" in done.stderr


def test_libraries_that_we_may_not_see_are_said_to_be_missing(closed, capsys):
    assert own_libraries(Config(node=NodeConfig(data_dir=closed))) is None
    assert "sensor_libs may not be read" in capsys.readouterr().err
