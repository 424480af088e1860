"""The commands against a running daemon with simulated devices: everything real, on loopback."""

import csv
import io
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from growy.cli import main
from growy.cli.exits import ExitCode


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environ(**settings):
    return {name: value for name, value in os.environ.items() if not name.startswith("GROWY_")} | settings


def growyd(*arguments, **settings):
    """A growyd of its own, as a shell would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "growy", *map(str, arguments)],
        stdin=subprocess.DEVNULL,  # a terminal would make SIGHUP the end
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environ(**settings),
    )


def finished(process, timeout_s=30):
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, out, err


def event(process, name):
    """The first log line of that event; the daemon logs JSON into a pipe."""
    for line in process.stderr:
        record = json.loads(line)
        if record["event"] == name:
            return record
    raise AssertionError(f"the daemon ended without {name!r}")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """Where a daemon listens that has heard six devices for three seconds."""
    folder, port = tmp_path_factory.mktemp("d"), free_port()
    process = growyd(
        *("run", "--broker", "embedded", "--port", 0, "--data-dir", folder),
        GROWY_BROKER__EMBEDDED_LISTEN=f"127.0.0.1:{port}",
        GROWY_STORE__COMMIT_INTERVAL="0.05",
    )
    try:
        url = event(process, "growyd runs")["web"]
        code, report, _ = finished(
            growyd(
                "simulate",
                "--broker",
                f"mqtt://127.0.0.1:{port}",
                "--for",
                "3s",
                "--interval",
                "1s",
                "--json",
            )
        )
        assert code == ExitCode.OK
        yield {
            "socket": folder / "growyd.sock",
            "url": url,
            "report": json.loads(report),
            "broker_port": port,
        }
        process.send_signal(signal.SIGTERM)
        code, _, log = finished(process)
        assert code == ExitCode.OK, log
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def ask(daemon, monkeypatch):
    """Runs a command that asks the daemon at its unix socket."""
    for name in [name for name in os.environ if name.startswith("GROWY_")]:
        monkeypatch.delenv(name)
    return lambda *arguments: CliRunner().invoke(
        main, [*map(str, arguments), "--socket", str(daemon["socket"])], catch_exceptions=False
    )


def test_the_simulation_counted_what_was_acknowledged(daemon):
    devices = daemon["report"]["devices"]

    assert len(devices) == 6
    assert sum(one["published"] for one in devices) == sum(one["acked"] for one in devices) > 0


def test_status_says_healthy_and_gives_the_figures(ask, daemon):
    done = ask("status")

    assert done.exit_code == ExitCode.OK, done.output
    first, *rest = done.output.splitlines()
    assert first.startswith("growyd 0.1.0 (god) is healthy, up ")
    published = sum(one["published"] for one in daemon["report"]["devices"])
    assert any(line.split() == ["intake", "readings_received", str(published)] for line in rest)
    data = json.loads(ask("status", "--json").output)
    assert data["parts"]["intake"]["readings_received"] == published


def test_status_and_doctor_say_that_there_is_no_user_and_how_to_make_one(ask):
    (line,) = [line for line in ask("status").output.splitlines() if "no user yet" in line]
    assert re.search(r"`growyd user add NAME` .* a browser, with the setup code [0-9a-f]{16}$", line)
    found = {one["code"]: one for one in json.loads(ask("doctor", "--json").stdout)["findings"]}
    assert "growyd user add NAME" in found["no_user"]["message"] + found["no_user"]["cure"]


def test_the_daemon_is_found_by_its_port_too_and_lets_no_stranger_in(daemon, ask, monkeypatch):
    done = CliRunner().invoke(main, ["status", "--url", daemon["url"]])
    assert (done.exit_code, "Could not validate credentials" in done.stderr) == (ExitCode.FAILED, True)

    monkeypatch.setenv("GROWYD_API_KEY", ask("key", "add", "by-port").output.strip())
    done = CliRunner().invoke(main, ["status", "--url", daemon["url"]])
    assert (done.exit_code, "is healthy" in done.output) == (ExitCode.OK, True)


def test_without_a_socket_the_port_of_the_settings_is_asked(daemon, ask, monkeypatch, tmp_path):
    monkeypatch.setenv("GROWY_NODE__DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GROWY_WEB__PORT", daemon["url"].rpartition(":")[2])

    monkeypatch.setenv("GROWYD_API_KEY", ask("key", "add", "by-settings").output.strip())

    assert CliRunner().invoke(main, ["devices"]).exit_code == ExitCode.OK


def test_devices_are_listed(ask, daemon):
    lines = ask("devices").output.splitlines()

    assert lines[0].split()[:3] == ["device", "status", "online"]
    assert [line.split()[0] for line in lines[1:]] == [one["esp_id"] for one in daemon["report"]["devices"]]
    assert [one["device_id"] for one in json.loads(ask("devices", "--zone", "greenhouse_1", "--json").output)]
    assert ask("devices", "--zone", "nowhere").output.startswith("No device fits")


def test_a_list_of_several_pages_comes_whole(ask, monkeypatch):
    monkeypatch.setattr("growy.cli.client.PAGE_SIZE", 4)

    assert len(json.loads(ask("devices", "--json").output)) == 6


def test_readings_are_shown_newest_last(ask):
    done = ask("readings", "ESP_00A001", "--limit", 3)
    lines = done.stdout.splitlines()

    assert lines[0].split() == ["time", "sensor", "gpio", "address", "raw", "value", "unit", "quality"]
    assert len(lines) == 4
    assert "The newest 3" in done.stderr
    assert lines[1:] == sorted(lines[1:], key=lambda line: line[:19])


def test_csv_has_every_reading_once(ask, daemon):
    device = daemon["report"]["devices"][0]
    whole = list(csv.DictReader(io.StringIO(ask("readings", device["esp_id"], "--csv").stdout)))

    measured = [row for row in whole if row["sensor_type"] != "vpd"]
    assert len(measured) == device["published"]
    assert [row["time"] for row in whole] == sorted(row["time"] for row in whole)
    assert {row["esp_id"] for row in whole} == {device["esp_id"]}
    assert all(float(row["value"]) and row["unit"] for row in whole if row["sensor_type"] == "ds18b20")


def test_readings_can_be_narrowed_down_and_come_as_json(ask):
    answer = json.loads(ask("readings", "ESP_00A001", "--type", "ds18b20", "--json").output)

    assert {one["sensor_type"] for one in answer["readings"]} == {"ds18b20"}
    assert ask("readings", "ESP_00A001", "--gpio", 99).output == "ESP_00A001 has no such sensor.\n"
    assert ask("readings", "ESP_00A001", "--since", "1ms").output.startswith("No readings in this time")


def test_what_the_daemon_refuses_is_said_with_its_code(ask):
    done = ask("readings", "ESP_FFFFFF")

    assert done.exit_code == ExitCode.FAILED
    assert "ESP_FFFFFF" in done.stderr
    assert "[ESP_NOT_FOUND]" in done.stderr


def test_csv_and_json_exclude_each_other(ask):
    assert ask("readings", "ESP_00A001", "--csv", "--json").exit_code == ExitCode.CONFIG


def test_sensor_libraries_are_listed_and_loaded_anew(ask):
    listed, reloaded = ask("sensors", "list"), ask("sensors", "reload")

    for done in (listed, reloaded):
        assert done.exit_code == ExitCode.OK, done.output
        rows = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
        assert "active" in rows["ds18b20"]
    assert {one["name"] for one in json.loads(ask("sensors", "list", "--json").output)["libraries"]} == set(
        rows
    )


def test_raw_values_are_converted_by_the_daemon_as_they_are_here(ask):
    by_daemon = ask("convert", "ds18b20", "400", "-20", "--json")
    here = ask("convert", "ds18b20", "400", "-20", "--json", "--local")

    assert by_daemon.exit_code == here.exit_code == ExitCode.OK
    assert json.loads(by_daemon.stdout) == json.loads(here.stdout)
    assert [(one["value"], one["unit"]) for one in json.loads(here.stdout)] == [(25.0, "°C"), (-1.25, "°C")]


@pytest.mark.parametrize("where", [[], ["--local"]])
def test_a_type_that_nobody_knows_is_refused(ask, where):
    done = ask("convert", "phlogiston", "1", *where)

    assert done.exit_code == ExitCode.FAILED
    assert "phlogiston" in done.stderr


def test_a_raw_value_that_has_no_value_is_not_called_zero(ask):
    done = ask("convert", "sht31_temp", "1")

    assert done.exit_code == ExitCode.FAILED
    assert done.stdout.splitlines()[1].split() == ["1", "-", "°C", "error"]
    assert done.stderr


@pytest.mark.parametrize("where", [[], ["--local"]])
@pytest.mark.parametrize(
    "arguments", [["nan"], ["inf"], ["1e999"], ["400", "--param", "resolution_bits=NaN"]]
)
def test_what_is_no_number_is_wrong_use_of_convert(ask, arguments, where):
    done = ask("convert", "ds18b20", *arguments, *where)

    assert done.exit_code == ExitCode.CONFIG
    assert "not a finite number" in done.stderr


@pytest.mark.parametrize("where", [[], ["--local"]])
def test_a_derived_type_is_not_converted_from_one_raw_value(ask, where):
    done = ask("convert", "vpd", "5", *where)

    assert (done.exit_code, done.stdout) == (ExitCode.FAILED, "")
    assert "vpd is computed from temperature and humidity" in done.stderr


def test_dead_letters_are_shown(ask):
    assert ask("deadletters").output == "No dead letters: every message could be used.\n"
    assert json.loads(ask("deadletters", "--json").output)["data"] == []


def test_without_a_daemon_raw_values_are_converted_here_and_that_is_said(ask, monkeypatch, tmp_path):
    monkeypatch.setenv("GROWY_NODE__DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GROWY_WEB__PORT", str(free_port()))

    done = CliRunner().invoke(main, ["convert", "ds18b20", "400"])

    assert (done.exit_code, done.stdout.split()[-4:]) == (ExitCode.OK, ["400", "25", "°C", "good"])
    assert "converting here" in done.stderr


def test_a_port_that_is_taken_ends_the_daemon_with_a_clear_message(daemon, tmp_path):
    taken = daemon["url"].rpartition(":")[2]
    code, _, err = finished(
        growyd(
            "run",
            "--broker",
            f"mqtt://127.0.0.1:{daemon['broker_port']}",
            "--port",
            taken,
            "--data-dir",
            tmp_path,
        )
    )

    assert code == ExitCode.FAILED
    assert f"Port {taken}" in err
    assert "--port" in err
    assert "Traceback" not in err


def test_faults_in_the_settings_end_the_daemon_before_it_begins(tmp_path):
    code, _, err = finished(growyd("run", "--data-dir", tmp_path, GROWY_BROKER="pi:1883", GROWY_WEB__PRT="1"))

    assert code == ExitCode.CONFIG
    assert "broker.url: must be mqtt://" in err
    assert "did you mean GROWY_WEB__PORT?" in err
    assert "Traceback" not in err


def test_a_simulation_that_reaches_no_broker_fails():
    code, out, err = finished(
        growyd("simulate", "--broker", f"mqtt://127.0.0.1:{free_port()}", "--esps", "1", "--for", "1s")
    )

    assert code == ExitCode.FAILED
    assert "0 of 1 connected" in out
    assert "Traceback" not in err


def test_devices_that_cannot_be_are_refused_in_words():
    code, _, err = finished(growyd("simulate", "--kaiser", "a/b"))

    assert code == ExitCode.CONFIG
    assert "'kaiser_id' must match" in err
    assert "Attribute(" not in err


def test_a_full_disk_behind_the_output_is_said():
    with open("/dev/full", "w") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "growy", "config", "show"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environ(),
        )
        code, _, err = finished(process)

    assert (code, err) == (ExitCode.FAILED, "growyd: The output cannot be written: no space left on device\n")


def test_a_demo_whose_reader_has_gone_ends_without_a_traceback():
    process = growyd("demo", "--for", "20s", "--port", 0, "--broker-port", free_port())
    process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        err = process.stderr.read()

    assert process.wait(10) == ExitCode.FAILED
    assert err == "growyd: The output cannot be written: broken pipe\n"


def test_a_simulation_ends_in_order_on_ctrl_c(daemon):
    broker = f"mqtt://127.0.0.1:{daemon['broker_port']}"
    process = growyd("simulate", "--broker", broker, "--esps", "1", "--interval", "1s")
    for line in process.stderr:
        if "readings published" in line and " 0 readings published" not in line:
            break
    process.send_signal(signal.SIGINT)
    code, out, err = finished(process)

    assert code == ExitCode.OK, err
    assert " acknowledged, 0 not yet\n" in out


def test_the_demo_proves_that_nothing_was_lost():
    code, out, err = finished(growyd("demo", "--for", "3s", "--port", 0, "--broker-port", free_port()))

    assert code == ExitCode.OK, out + err
    assert out.splitlines()[-1].startswith("Every one of the ")
    assert "publishing to commit p50" in out
    assert "ds18b20" in out


def test_ctrl_c_ends_the_demo_in_order():
    process = growyd("demo", "--port", 0, "--broker-port", free_port())
    for line in process.stdout:
        if "readings published" in line and " 0 readings published" not in line:
            break
    process.send_signal(signal.SIGINT)
    code, out, err = finished(process)

    assert code == ExitCode.OK, out + err
    assert out.splitlines()[-1].startswith("Every one of the ")


def test_a_service_shows_a_renewed_certificate_at_sighup_and_goes_on(tmp_path):
    renew = ["certs", "--out", str(tmp_path / "tls")]
    assert CliRunner().invoke(main, renew).exit_code == ExitCode.OK
    process = growyd(
        *("run", "--broker", "embedded", "--port", 0, "--data-dir", tmp_path),
        GROWY_BROKER__EMBEDDED_LISTEN=f"127.0.0.1:{free_port()}",
        GROWY_WEB__CERT_FILE=str(tmp_path / "tls" / "server.pem"),
        GROWY_WEB__KEY_FILE=str(tmp_path / "tls" / "server.key"),
    )
    try:
        host, _, port = event(process, "growyd runs")["web"].removeprefix("https://").partition(":")
        before = ssl.get_server_certificate((host, int(port)))
        assert CliRunner().invoke(main, renew).exit_code == ExitCode.OK
        process.send_signal(signal.SIGHUP)
        event(process, "a new certificate is in use")
        assert ssl.get_server_certificate((host, int(port))) != before
        process.send_signal(signal.SIGTERM)
        code, _, log = finished(process)
        assert code == ExitCode.OK, log
    finally:
        process.kill()
        process.communicate()


def test_a_demo_whose_broker_port_is_taken_names_the_option(daemon):
    code, _, err = finished(
        growyd("demo", "--for", "1s", "--port", 0, "--broker-port", daemon["broker_port"])
    )

    assert code == ExitCode.FAILED
    assert "--broker-port" in err
    assert "Traceback" not in err


def test_the_doctor_of_a_daemon_in_use_has_looked_at_everything(ask):
    done = ask("doctor", "--json")
    said = json.loads(done.stdout)
    found = {one["code"]: one for one in said["findings"]}

    assert said["running"] is True
    assert done.exit_code == {"green": 0, "amber": 1, "red": 2}[said["level"]]
    assert found["broker_embedded"]["level"] == "amber"
    assert found["broker_disconnected"]["level"] == "green"
    assert found["devices_pending"]["level"] == "amber"
    assert found["database_damaged"]["level"] == "green"
    assert found["web_exposed"]["level"] == "green"
    assert found.keys() >= {"disk_full", "card_wears", "sqlite_old", "wal_long", "backup_old", "dead_letters"}


def test_every_figure_of_a_daemon_in_use_has_a_kind_and_stands_on_the_page(daemon):
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(daemon["socket"]))
        channel.sendall(b"GET /metrics HTTP/1.1\r\nHost: growyd\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: channel.recv(65536), b"")).partition(b"\r\n\r\n")[2].decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")

    assert {family.type for family in families.values()} == {"gauge", "counter", "histogram"}
    declared = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert [name for name in declared if f"| `{name}` |" not in page] == []
    (committed,) = families["growy_readings_committed"].samples
    assert committed.value > 0
    assert families["growy_written_bytes"].samples[0].value >= 0
