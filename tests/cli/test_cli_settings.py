"""`growyd config`: check and show."""

import json
import os

import pytest
from click.testing import CliRunner

from growy.cli import main


@pytest.fixture
def growyd(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("GROWY_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("growy.config.load.DEFAULT_FILE", tmp_path / "no such file")
    return lambda *arguments: CliRunner().invoke(main, [str(one) for one in arguments], prog_name="growyd")


def test_good_settings_are_fine(growyd, tmp_path):
    file = tmp_path / "growyd.toml"
    file.write_text("[web]\nport = 9000\n")

    done = growyd("config", "check", "--config", file)

    assert (done.exit_code, done.output) == (
        0,
        "The settings are fine: 1 set here, the others at their defaults.\n",
    )


def test_faults_end_with_code_2_and_without_a_traceback(growyd, tmp_path):
    file = tmp_path / "growyd.toml"
    file.write_text("[web]\nprot = 9000\n[store]\ncommit_interval = 99\n")

    done = growyd("config", "check", "--config", file)

    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "growyd: The settings have 2 faults",
        f"  web.prot: unknown setting; did you mean port? ({file} line 2)",
        f"  store.commit_interval: must be a number from 0.01 to 60, is 99.0 ({file} line 4)",
        "All settings and what they mean: growyd config show --defaults",
    ]


def test_a_named_file_that_is_missing_is_a_fault(growyd, tmp_path):
    done = growyd("config", "show", "--config", tmp_path / "none.toml")

    assert done.exit_code == 2
    assert "There is no settings file" in done.stderr


def test_what_show_prints_is_what_check_accepts(growyd, tmp_path, monkeypatch):
    monkeypatch.setenv("GROWY_BROKER", "mqtt://me:hunter2@pi")
    shown = growyd("config", "show", "--secrets").output
    monkeypatch.delenv("GROWY_BROKER")
    file = tmp_path / "saved.toml"
    file.write_text(shown)

    assert growyd("config", "check", "--config", file).exit_code == 0
    assert growyd("config", "show", "--secrets", "--config", file).output.count("hunter2") == 1


def test_show_masks_passwords_and_knows_origins_and_defaults(growyd, monkeypatch):
    monkeypatch.setenv("GROWY_BROKER", "mqtt://me:hunter2@pi")

    assert "hunter2" not in growyd("config", "show").output
    setting = json.loads(growyd("config", "show", "--json").output)["broker.url"]
    assert (setting["value"], setting["origin"]) == ("mqtt://me:***@pi", "variable GROWY_BROKER")
    assert 'url = "mqtt://127.0.0.1:1883"' in growyd("config", "show", "--defaults").output
