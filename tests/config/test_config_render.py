"""What is shown of the settings can be loaded again, and the documentation names every one of them."""

import tomllib
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.config import BrokerConfig, Config
from growy.config.load import load
from growy.config.names import SECTIONS, SETTINGS
from growy.config.reference import with_settings_table
from growy.config.render import describe, render
from growy.model.errors import ConfigError

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
SPECIAL = {
    "node.kaiser_id": st.from_regex(r"[A-Za-z0-9_-]{1,63}", fullmatch=True).filter(
        lambda name: name != "god"
    ),
    "node.god_id": st.from_regex(r"[A-Za-z0-9_-]{1,63}", fullmatch=True),
    "uplink.url": st.sampled_from(["", "mqtt://god", "mqtts://me:p%40ss@god:8883"]),
    "node.data_dir": TEXT.filter(bool).map(Path),
    "broker.url": st.sampled_from(["embedded", "mqtt://pi", "mqtts://me:p%40ss@[::1]:1"]),
    "broker.embedded_listen": st.sampled_from(["127.0.0.1:1", "[::]:1883"]),
    "control.webhooks": st.sampled_from(["", "http://nas/hook/", "http://nas:81/a/, https://pi.local/b/"]),
    "web.cors_origins": st.sampled_from(["", "http://nas:5173", "https://grow.example, http://[::1]:80"]),
    "web.host": st.sampled_from(["127.0.0.1", "::1", "localhost"]),
}


def values_for(setting):
    rule = setting.rule
    if setting.path in SPECIAL:
        return SPECIAL[setting.path]
    if rule.one_of:
        return st.sampled_from(rule.one_of)
    if setting.kind is bool:
        return st.booleans()
    if setting.kind is int:
        return st.integers(rule.at_least, rule.at_most)
    if setting.kind is float:
        low = rule.above if rule.at_least is None else rule.at_least
        return st.floats(low, rule.at_most, exclude_min=rule.at_least is None)
    return TEXT


def names_of(section):
    return {one.name for one in SETTINGS.values() if one.section == section}


@st.composite
def configs(draw):
    sections = {}
    for section, kind in SECTIONS.items():
        names = [one for one in SETTINGS.values() if one.section == section]
        values = {one.name: draw(values_for(one)) for one in names if draw(st.booleans())}
        if section == "broker":
            values["reconnect_max"] = max(values.get("reconnect_max", 60.0), values.get("reconnect_min", 1.0))
        if {"cert_file", "url"} <= names_of(section) and (values.get("cert_file") or values.get("key_file")):
            values |= {
                "cert_file": values.get("cert_file") or "c.pem",
                "key_file": values.get("key_file") or "c.key",
                "url": "mqtts://pi",
            }
        if section == "hierarchy":
            values["lease"] = max(
                values.get("lease", 120.0), values.get("fence", 3.0) + values.get("report", 5.0) + 1
            )
        sections[section] = kind(**values)
    node = sections["node"]
    if node.role == "kaiser" and (node.kaiser_id == "god" or not sections["uplink"].url):
        sections["node"] = attrs.evolve(node, role="god")
    return Config(**sections)


@given(configs())
def test_what_is_shown_can_be_saved_and_loaded_again(tmp_path_factory, config):
    path = tmp_path_factory.getbasetemp() / "shown.toml"
    path.write_text(render(config, secrets=True), "utf-8")

    assert load(path, {}).config == config


def test_defaults_are_shown_commented_out_and_own_settings_with_their_origin():
    text = render(Config(broker=BrokerConfig(keepalive=30)), {"broker.keepalive": "growyd.toml line 4"})

    assert tomllib.loads(text)["broker"] == {"keepalive": 30}
    assert "\n#inflight_window = 0\n" in text
    assert "From growyd.toml line 4." in text


def test_every_setting_is_shown_with_its_meaning():
    text = render(Config())

    for setting in SETTINGS.values():
        assert f"\n#{setting.name} = " in text
        assert setting.rule.doc.split()[0] in text


def test_a_password_is_masked_and_the_masked_file_does_not_load_in_silence(tmp_path):
    config = Config(broker=BrokerConfig(url="mqtt://me:hunter2@pi"))
    path = tmp_path / "shown.toml"
    path.write_text(render(config), "utf-8")

    assert "hunter2" not in path.read_text()
    assert "hunter2" not in str(describe(config))
    assert describe(config, secrets=True)["broker.url"]["value"] == "mqtt://me:hunter2@pi"
    with pytest.raises(ConfigError, match="masked"):
        load(path, {})


def test_programs_get_value_default_origin_and_bounds():
    loaded = load(None, {"GROWY_WEB__PORT": "9000"})

    assert describe(loaded.config, loaded.origin)["web.port"] == {
        "value": 9000,
        "default": 8000,
        "origin": "variable GROWY_WEB__PORT",
        "variable": "GROWY_WEB__PORT",
        "expected": "a whole number from 0 to 65535",
        "doc": "Port for HTTP and WebSocket; 0 picks a free one.",
    }
    assert describe(Config())["web.port"]["origin"] == "default"


def test_the_documentation_names_every_setting_as_it_is_declared():
    page = PAGE.read_text("utf-8")

    assert with_settings_table(page) == page, "run: python -m growy.config.reference docs/configuration.md"
    assert all(f"| `{setting.name}` |" in page for setting in SETTINGS.values())


def test_every_field_of_the_tree_is_a_documented_setting():
    fields = {f"{section}.{field.name}" for section, kind in SECTIONS.items() for field in attrs.fields(kind)}

    assert fields == set(SETTINGS)
    assert all(len(setting.rule.doc) > 10 for setting in SETTINGS.values())
