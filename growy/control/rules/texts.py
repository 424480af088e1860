"""Texts of notifications: placeholders replaced as text. Never `str.format`, which would let a template look into
objects."""

from __future__ import annotations

import re
from collections.abc import Mapping

PLACEHOLDERS = ("sensor_value", "esp_id", "gpio", "sensor_type", "timestamp", "rule_name", "rule_id")
_PLACEHOLDER = re.compile(rf"{{({'|'.join(PLACEHOLDERS)})}}")
DECIMALS = 4


def render(template: str, values: Mapping[str, object]) -> str:
    """The text. A placeholder that is unknown, or that has no value, stays as it is; what a value says is not looked
    at for placeholders."""

    def filled(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if value is None:
            return match[0]
        return str(round(value, DECIMALS) if isinstance(value, float) else value)

    return _PLACEHOLDER.sub(filled, template)
