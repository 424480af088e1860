"""`growyd migrate`: from the old server's file into growyd's folder, told to people and to programs."""

import io
import json
import os
import sys

import pytest
from click.testing import CliRunner
from rig.legacy import T0, legacy_file, row

from growy.cli import main
from growy.cli.exits import ExitCode
from growy.cli.migrate_view import watching
from growy.config import StoreConfig
from growy.store import open_store
from growy.store.legacy import Advance


@pytest.fixture
def growyd(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("GROWY_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("growy.config.load.DEFAULT_FILE", tmp_path / "no such file")
    return lambda *arguments: CliRunner().invoke(
        main, ["migrate", *map(str, arguments), "--data-dir", str(tmp_path / "growy")], prog_name="growyd"
    )


@pytest.fixture
def old(tmp_path):
    rows = [row(T0 + at) for at in range(30)]
    return legacy_file(tmp_path / "growy_database.db", [*rows, row(T0, esp_id="kitchen\x1b[2J"), row(None)])


def test_it_says_what_became_of_every_row(growyd, old):
    done = growyd(old)

    assert done.exit_code == 0
    assert f"{old}: 32 rows read" in done.stdout
    assert "30 taken" in done.stdout
    assert "1 new series; 0 went on with one of growyd's" in done.stdout
    assert "bad_esp_id" in done.stdout
    assert r"row 31: esp_id 'kitchen\x1b[2J'" in done.stdout
    assert "ESP_00A001/gpio:4/ds18b20" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_second_time_it_takes_nothing(growyd, old):
    growyd(old)
    done = growyd(old)

    assert done.exit_code == 0
    assert "0 rows read" in done.stdout
    assert "All runs together: 32 rows read, 30 taken" in done.stdout


def test_a_dry_run_writes_nothing(growyd, old, tmp_path):
    done = growyd(old, "--dry-run")

    assert done.exit_code == 0
    assert "30 would be taken" in done.stdout
    assert "Let growyd\nreceive each of them once" in done.stdout
    assert not (tmp_path / "growy").exists()


def test_programs_get_the_whole_report(growyd, old):
    growyd(old)
    said = json.loads(growyd(old, "--json", "--again").stdout)

    assert (said["run"]["rows"], said["run"]["taken"]) == (32, 0)
    assert said["run"]["not_taken"]["stored_already"]["rows"] == 30
    assert said["run"]["not_taken"]["no_time"]["examples"] == [
        "row 32: esp_id 'ESP_00A001', gpio 4, sensor_type 'ds18b20', timestamp None"
    ]
    assert said["series"] == [
        {
            "esp_id": "ESP_00A001",
            "gpio": 4,
            "sensor_type": "ds18b20",
            "taken": 0,
            "stored_already": 30,
            "refused": 1,
            "first": None,
            "last": None,
        }
    ]
    assert said["joined_series"] == 1


async def test_while_growyd_runs_it_says_how(growyd, old, tmp_path):
    async with open_store(StoreConfig(), tmp_path / "growy"):
        refused = growyd(old)
        looked = growyd(old, "--dry-run")

    assert refused.exit_code == ExitCode.FAILED
    assert "growyd is running" in refused.stderr
    assert "systemctl stop growyd" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert looked.exit_code == 0


def test_a_file_that_is_not_there_is_named(growyd, tmp_path):
    done = growyd(tmp_path / "nothing.db")

    assert done.exit_code == ExitCode.FAILED
    assert "nothing.db cannot be read: No such file or directory" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files that are not the daemon's")
def test_root_is_sent_to_the_user_that_the_folder_belongs_to(growyd, old, tmp_path):
    (tmp_path / "growy").mkdir()
    os.chown(tmp_path / "growy", 65534, 65534)

    done = growyd(old)

    assert done.exit_code == ExitCode.FAILED
    assert "sudo -u growy" in done.stderr
    assert list((tmp_path / "growy").iterdir()) == []


def test_a_full_disk_is_said_and_that_it_goes_on_later(growyd, old, tmp_path):
    settings = tmp_path / "growyd.toml"
    settings.write_text("[store]\nmin_free_mb = 1000000\n")

    done = growyd(old, "--config", settings)

    assert done.exit_code == ExitCode.FAILED
    assert "is full" in done.stderr
    assert "run this again to go on" in done.stderr


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_a_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with watching() as watch:
        watch(Advance(500, 1000, 400))
        watch(Advance(1000, 1000, 900))

    assert "migrating" in sys.stderr.getvalue()
    assert "1000/1000" in sys.stderr.getvalue()
    assert "rows/s" in sys.stderr.getvalue()


def test_a_pipe_sees_a_line_from_time_to_time(monkeypatch, capsys):
    moments = iter([0.0, 5.0, 20.0])
    monkeypatch.setattr("growy.cli.migrate_view.time.monotonic", lambda: next(moments))
    with watching() as watch:
        watch(Advance(100, 1000, 90))
        watch(Advance(400, 1000, 300))

    assert capsys.readouterr().err == "400 of about 1,000 rows, 20 rows/s, 30 s left\n"
