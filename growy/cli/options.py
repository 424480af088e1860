"""Options that several commands share, and the way from them to the settings and to the daemon."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from growy.cli.client import Daemon
    from growy.config.load import Loaded

    FloatParameter = click.ParamType[float]
    NamedValueParameter = click.ParamType[tuple[str, object]]
    SensorAtParameter = click.ParamType["SensorAt"]
else:  # generic only in newer releases of click
    FloatParameter = NamedValueParameter = SensorAtParameter = click.ParamType

F = TypeVar("F", bound=Callable[..., Any])
LONGEST_S = 100 * 365 * 86400.0
UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(FloatParameter):
    """`20s`, `5m`, `1h30m`, `2d`, `250ms`; a bare number is seconds. Becomes float seconds, greater than 0."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        text = str(value).strip().lower()
        if re.fullmatch(r"\d+(\.\d*)?|\.\d+", text):
            seconds = float(text)
        elif re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h|d))+", text):
            parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
            seconds = sum(float(number) * UNIT_S[unit] for number, unit in parts)
        else:
            self.fail(f"{value!r} is no duration; write 20s, 5m, 1h30m, 2d or seconds", param, ctx)
        if not 0 < seconds <= LONGEST_S:
            self.fail("a duration is longer than 0 and at most 100 years", param, ctx)
        return seconds


DURATION = Duration()


class SensorAt(NamedTuple):
    """A sensor of a simulated device, and when something shall happen to it."""

    esp_id: str
    gpio: int
    sensor_type: str | None
    at_s: float


class SensorAtType(SensorAtParameter):
    """`ESP_00A003:68@30s`, or `ESP_00A003:4/ds18b20@2m` where several types share the gpio."""

    name = "sensor@time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> SensorAt:
        if isinstance(value, SensorAt):
            return value
        found = re.fullmatch(r"([A-Z]\w*):(\d{1,3})(?:/(\w+))?@(.+)", str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no sensor and time; write ESP_00A003:68@30s", param, ctx)
        esp_id, gpio, sensor_type, at = found.groups()
        return SensorAt(esp_id, int(gpio), sensor_type, DURATION.convert(at, param, ctx))


SENSOR_AT = SensorAtType()

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file; else $GROWY_CONFIG, else /etc/growy/growyd.toml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="The daemon's own data, for programs.")


def daemon_options(command: F) -> F:
    """--config, --socket and --url: where the daemon is. Arrive as the three arguments of `find_daemon`."""
    for option in (
        click.option("--url", help="Daemon at this address, e.g. http://127.0.0.1:8000 (also $GROWY_URL)."),
        # Whether it may be opened is told where it is tried, with what to do about it.
        click.option(
            "--socket", type=click.Path(path_type=Path, readable=False), help="Daemon at this unix socket."
        ),
        config_option,
    ):
        command = option(command)
    return command


def read_settings(config_file: Path | None, overrides: dict[str, object] | None = None) -> Loaded:
    """The settings as the daemon would read them. Raises ConfigError."""
    from growy.config.load import find_file, load

    return load(find_file(config_file, os.environ), os.environ, overrides)


def find_daemon(config_file: Path | None, socket: Path | None, url: str | None) -> Daemon:
    """Where to look for the daemon: only where one is told, else at the socket and the port of the settings.

    Raises:
        ConfigError: faults in the settings. One who may not read the file asks where growyd is by default.
    """
    from growy.cli.client import Daemon, HttpPlace, UnixPlace
    from growy.model.errors import ConfigError

    if socket is not None:
        return Daemon([UnixPlace(socket)], chosen=True)
    url = url or os.environ.get("GROWY_URL")
    if url:
        return Daemon([HttpPlace.parse(url)], chosen=True)
    try:
        config = read_settings(config_file).config
    except ConfigError as error:
        if config_file is not None or not isinstance(error.__cause__, PermissionError):
            raise
        from growy.config import Config

        click.echo(f"growyd: {error.message}; looking where growyd is by default", err=True)
        config = Config()
    places: list[UnixPlace | HttpPlace] = []
    if config.socket_path is not None:
        places.append(UnixPlace(config.socket_path))
    if config.web.port:
        places.append(HttpPlace(config.web.host, config.web.port, bool(config.web.cert_file)))
    return Daemon(places)
