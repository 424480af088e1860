"""Settings from file, environment and command line; every fault in one report."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.config import BrokerConfig, BrokerScheme, Config, load_config
from growy.config.load import find_file, load
from growy.model.errors import ConfigError


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "growyd.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def faults_of(path, environ=None, overrides=None):
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ or {}, overrides)
    return list(caught.value.faults)


def test_without_file_and_environment_everything_is_at_its_default():
    assert load_config(None, {"PATH": "/bin", "HOME": "/root"}) == Config()


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(file):
    path = file(
        '[store]\ncommit_interval = 2\n[web]\nport = 1000\nmax_header = 4096\n[log]\nlevel = "debug"\n'
    )
    environ = {"GROWY_WEB__PORT": "2000", "GROWY_LOG__LEVEL": "error", "GROWY_FLEET__AUTO_APPROVE": "yes"}

    loaded = load(path, environ, {"log.level": "warning"})

    config = loaded.config
    assert (config.store.commit_interval, config.web.port, config.web.max_header) == (2.0, 2000, 4096)
    assert (config.log.level, config.fleet.auto_approve) == ("warning", True)
    assert loaded.origin == {
        "store.commit_interval": f"{path} line 2",
        "web.port": "variable GROWY_WEB__PORT",
        "web.max_header": f"{path} line 5",
        "log.level": "command line",
        "fleet.auto_approve": "variable GROWY_FLEET__AUTO_APPROVE",
    }
    assert isinstance(config.store.commit_interval, float)


@pytest.mark.parametrize(
    "text", ['broker = "embedded"\n', '[broker]\nurl = "embedded"\n', 'broker.url = "embedded"\n']
)
def test_the_embedded_broker_is_one_line(file, text):
    assert load_config(file(text), {}).broker.address.embedded


def test_the_broker_has_a_short_name_in_the_environment_too():
    assert load_config(None, {"GROWY_BROKER": "mqtts://pi"}).broker.address.scheme is BrokerScheme.MQTTS


def test_all_faults_of_all_layers_stand_in_one_report(file):
    path = file(
        """storee = 1
[broker]
reconect_min = 1
keepalive = 2
[web]
port = "8000"
max_header = true
[nod]
data_dir = "/tmp"
[store]
synchronous = "off"
keepalive = 60
commit_interval = nan
[sensors]
publish_processed = 1
        """
    )
    environ = {"GROWY_LOG__LEVEL": "loud", "GROWY_BROKER_URL": "x", "GROWY_WEB__MAX_BODY": "1M"}

    assert faults_of(path, environ, {"fleet.auto": True}) == [
        f"storee: unknown setting; did you mean store? ({path} line 1)",
        f"broker.reconect_min: unknown setting; did you mean reconnect_min? ({path} line 3)",
        f"broker.keepalive: must be a whole number from 5 to 3600, is 2 ({path} line 4)",
        f'web.port: must be a whole number from 0 to 65535, is the text "8000" ({path} line 6)',
        f"web.max_header: must be a whole number from 1024 to 1048576, is true ({path} line 7)",
        f"nod.data_dir: unknown section [nod]; did you mean node? ({path} line 9)",
        f'store.synchronous: must be normal or full, is "off" ({path} line 11)',
        f"store.keepalive: unknown setting; did you mean [broker] keepalive? ({path} line 12)",
        f"store.commit_interval: must be a number from 0.01 to 60, is nan ({path} line 13)",
        f"sensors.publish_processed: must be true or false, is 1 ({path} line 15)",
        "GROWY_BROKER_URL: unknown setting; did you mean GROWY_BROKER__URL? (variable GROWY_BROKER_URL)",
        'log.level: must be debug, info, warning or error, is "loud" (variable GROWY_LOG__LEVEL)',
        'web.max_body: must be a whole number from 1024 to 67108864, is "1M" (variable GROWY_WEB__MAX_BODY)',
        "fleet.auto: unknown setting (command line)",
    ]


def test_the_error_shows_number_faults_and_cure(file):
    with pytest.raises(ConfigError) as caught:
        load_config(file("[web]\nprt = 1\n"), {})

    text = str(caught.value)
    assert text.startswith("The settings have 1 fault\n  web.prt: unknown setting; did you mean port?")
    assert "growyd config show --defaults" in text


def test_two_settings_that_contradict_each_other_are_a_fault(file):
    assert faults_of(file("[broker]\nreconnect_min = 30\nreconnect_max = 10\n")) == [
        "broker.reconnect_max: must be at least reconnect_min (30.0), is 10.0"
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("web = 8000\n", "web: must be a section [web], is 8000"),
        ("broker = 3\n", "broker: must be a section [broker], is 3"),
        ("port = 8000\n", "port: unknown setting; did you mean [web] port?"),
        ("[stroe]\n", "stroe: unknown setting; did you mean store?"),
        ("[web]\nport = [1]\n", "web.port: must be a whole number from 0 to 65535, is a list"),
        ("[web]\nport = {a = 1}\n", "web.port: must be a whole number from 0 to 65535, is a table"),
        ('[node]\ndata_dir = ""\n', 'node.data_dir: must be a path, is the text ""'),
        (
            '[web]\nhost = "growpi"\n',
            "web.host: must be an IP address",
        ),
        (
            "[sensors]\ndeadline = 0\n",
            "sensors.deadline: must be a number greater than 0, at most 60, is 0.0",
        ),
        (
            f"[sensors]\ndeadline = 1{'0' * 400}\n",
            "sensors.deadline: must be a number greater than 0, at most 60",
        ),
        ('[node]\nkaiser_id = "a/b"\n', 'node.kaiser_id: must be text like [A-Za-z0-9_-]{1,63}, is "a/b"'),
        ("[log]\nlevel = 2020-01-01\n", "log.level: must be debug, info, warning or error, is 2020-01-01"),
    ],
)
def test_each_kind_of_fault_says_what_was_expected(file, text, fault):
    (found,) = faults_of(file(text))

    assert found.startswith(fault)


def test_a_password_never_stands_in_a_fault(file):
    path = file('broker = "mqtt://grower:hunter2@pi:99999"\n')
    environ = {"GROWY_BROKER__URL": "mqtt//grower:hunter2@pi"}

    faults = faults_of(path, environ, {"broker.url": "mqtt://grower:hun#ter2@pi"})

    assert len(faults) == 3
    assert "ter2" not in "".join(faults)
    assert all("grower:***@pi" in fault for fault in faults)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[web\n", "is not TOML"),
        (b"[web]\nport = 1\nport = 2\n", "is not TOML"),
        (b"[web]\nhost = \xff\n", "is not UTF-8"),
        (None, "There is no settings file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, message):
    path = tmp_path / "growyd.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path, {})

    assert str(path) in caught.value.message
    assert caught.value.cure


def test_a_folder_is_no_settings_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, {})


def test_a_file_from_a_windows_editor_is_read(tmp_path):
    path = tmp_path / "growyd.toml"
    path.write_bytes(b"\xef\xbb\xbf[web]\r\nport = 9000\r\n")

    assert load_config(path, {}).web.port == 9000


@pytest.mark.parametrize("word", ["", "maybe", "2", "ja"])
def test_a_word_that_is_neither_true_nor_false_is_refused_in_the_environment(word):
    (fault,) = faults_of(None, {"GROWY_FLEET__AUTO_APPROVE": word})

    assert fault.startswith(f'fleet.auto_approve: must be true or false, is "{word}"')


def test_text_that_is_not_unicode_is_refused():
    (fault,) = faults_of(None, {"GROWY_BROKER__CLIENT_ID": "pi\udcff"})

    assert fault.startswith("broker.client_id: must be text")


def test_variables_that_name_the_file_or_the_daemon_are_no_settings():
    assert load_config(None, {"GROWY_CONFIG": "/x.toml", "GROWY_URL": "http://pi:8000"}) == Config()


@given(
    st.dictionaries(
        st.text(), st.recursive(st.none() | st.booleans() | st.text(), st.lists), min_size=1, max_size=4
    )
)
def test_no_value_on_the_command_line_ends_in_anything_but_settings_or_their_faults(overrides):
    mixed = {**overrides, **dict(zip(["web.port", "log.level"], overrides.values(), strict=False))}

    assert len(faults_of(None, {}, mixed)) == len(mixed)


def test_which_file_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("growy.config.load.DEFAULT_FILE", tmp_path / "etc.toml")

    assert find_file(None, {}) is None
    (tmp_path / "etc.toml").touch()
    assert find_file(None, {}) == tmp_path / "etc.toml"
    assert find_file(None, {"GROWY_CONFIG": "/a.toml"}) == Path("/a.toml")
    assert find_file(Path("b.toml"), {"GROWY_CONFIG": "/a.toml"}) == Path("b.toml")


def test_a_default_file_in_a_folder_that_is_closed_to_us_is_named_when_it_is_read(tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "growyd.toml").write_text("")
    monkeypatch.setattr("growy.config.load.DEFAULT_FILE", closed / "growyd.toml")
    closed.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # nothing is closed to root
    try:
        found = find_file(None, {})
        with pytest.raises(ConfigError, match=r"growyd\.toml cannot be read: Permission denied") as caught:
            load(found, {})
    finally:
        os.seteuid(user)
        closed.chmod(0o700)
    assert isinstance(caught.value.__cause__, PermissionError)


def test_folders_follow_the_data_folder_unless_they_are_set(monkeypatch):
    monkeypatch.setenv("HOME", "/home/grower")
    config = load_config(None, {"GROWY_NODE__DATA_DIR": "~/growy", "GROWY_STORE__PATH": "/mnt/ssd"})

    assert config.store_dir == Path("/mnt/ssd")
    assert config.library_dir == Path("/home/grower/growy/sensor_libs")
    assert config.socket_path == Path("/home/grower/growy/growyd.sock")
    assert load_config(None, {"GROWY_WEB__SOCKET": "-"}).socket_path is None


def test_a_tree_made_in_code_obeys_the_same_bounds():
    with pytest.raises(ValueError, match="keepalive: must be a whole number from 5 to 3600, is 1"):
        BrokerConfig(keepalive=1)


@pytest.mark.parametrize("section", ["broker", "uplink"])
@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"cert_file": "/c"}, "{}.key_file: is missing; a certificate and its key belong together"),
        ({"key_file": "/k"}, "{}.cert_file: is missing; a certificate and its key belong together"),
        (
            {"cert_file": "/c", "key_file": "/k", "url": "mqtt://g:pw@pi"},
            '{}.cert_file: is for mqtts:// only, and url is "mqtt://g:***@pi"',
        ),
        ({"cert_file": "/c", "key_file": "/k", "url": "mqtts://pi"}, None),
    ],
)
def test_a_client_certificate_has_a_key_and_is_for_tls(section, given, fault):
    settings = {f"{section}.url": "mqtts://pi"} | {
        f"{section}.{name}": value for name, value in given.items()
    }
    if fault is None:
        assert getattr(load_config(None, {}, settings), section).cert_file == "/c"
    else:
        assert faults_of(None, {}, settings) == [fault.format(section)]
