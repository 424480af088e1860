"""Tables and JSON: readable, aligned, and nothing that a device is called can harm the terminal."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.cli.output import age, make_printable, print_json, print_table, shown, when


class Terminal(io.StringIO):
    def isatty(self):
        return True


def printed(*args, stream=None, **options):
    stream = stream or io.StringIO()
    print_table(*args, stream=stream, **options)
    return stream.getvalue()


def test_a_pipe_gets_aligned_columns_without_frames():
    assert printed(("device", "value"), [("ESP_A", 1.5), ("ESP_LONG", None), ("", 1234567.25)]) == (
        "device      value\nESP_A         1.5\nESP_LONG        -\n-         1234567\n"
    )


def test_a_terminal_gets_the_same_cells():
    text = printed(
        ("device", "online"), [("ESP_A", True), ("[bold]x", False)], stream=Terminal(), title="Devices"
    )

    for cell in ("Devices", "ESP_A", "yes", "[bold]x", "no"):
        assert cell in text


@given(st.text(), st.sampled_from([io.StringIO, Terminal]))
def test_no_name_of_a_device_reaches_the_terminal_as_a_control(name, kind):
    cell = shown(name)

    assert cell.isprintable()
    text = printed(("name",), [(name,)], stream=kind())
    assert not any(c in text for c in "\x07\x08\x7f\x9b\r")


def test_json_is_the_data_and_has_no_raw_controls(capsys):
    data = {"name": "\x1b[2J\x9b1m", "unit": "°C", "value": None}
    print_json(data)

    text = capsys.readouterr().out
    assert json.loads(text) == data
    assert "°C" in text
    assert "\x1b" not in text
    assert "\x9b" not in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_few_characters_is_no_reason_to_fail(encoding, monkeypatch):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", stdout)

    make_printable()
    print_table(("unit",), [("°C",), ("₂",)])
    stdout.flush()
    table = stdout.buffer.getvalue()
    print_json({"unit": "₂"})
    stdout.flush()

    assert table.splitlines()[1] in (b"?C", b"\xb0C")
    assert json.loads(stdout.buffer.getvalue()[len(table) :]) == {"unit": "₂"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (-3, "0 s"),
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7200, "2 h"),
        (172_800, "2 d"),
        (1e8, "1157 d"),
    ],
)
def test_an_age_is_rough(seconds, text):
    assert age(seconds) == text


def test_times_of_the_api_become_local_time():
    moment = when("2026-01-02T03:04:05.678Z")

    assert moment is not None
    assert moment.timestamp() == pytest.approx(1767323045.678)
    assert when(None) is None
    assert when("soon") is None
