"""Settings of growyd: `tree` declares them, `load` reads them, `render` and `reference` show them.

Imports only the tree; whoever loads a file pays for the TOML parser and cattrs then.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from growy.config.broker_url import BrokerScheme, BrokerUrl
from growy.config.brokers import BrokerConfig, UplinkConfig
from growy.config.tree import (
    Config,
    ControlConfig,
    FleetConfig,
    LogConfig,
    NodeConfig,
    SensorsConfig,
    StoreConfig,
    WebConfig,
)

__all__ = [
    "BrokerConfig",
    "BrokerScheme",
    "BrokerUrl",
    "Config",
    "ControlConfig",
    "FleetConfig",
    "LogConfig",
    "NodeConfig",
    "SensorsConfig",
    "StoreConfig",
    "UplinkConfig",
    "WebConfig",
    "load_config",
]


def load_config(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Config:
    """The settings of the file (None: no file), the environment over it, the overrides over both.

    Args:
        overrides: by dotted path, e.g. `{"web.port": 0}`.

    Raises:
        ConfigError: with all faults at once, each beginning with the path of its setting.
    """
    from growy.config.load import load

    return load(path, environ, overrides).config
