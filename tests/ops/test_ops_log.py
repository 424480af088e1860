"""Log lines: what they carry, that they stay one line of ASCII, and that a flood is counted instead of written."""

import io
import json
import logging
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growy.ops.log import JsonFormatter, Log, OncePer, configure_logging, get_log


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def _root_logger_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []  # pytest's own must not be closed by configure_logging
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def json_lines():
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_carries_event_and_fields(json_lines):
    get_log("growy.broker").warning(
        "connection lost", url="mqtt://pi:1883", attempt=2, pause_s=1.5, cause=None
    )

    (line,) = json_lines()
    assert line.pop("ts").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "growy.broker",
        "event": "connection lost",
        "url": "mqtt://pi:1883",
        "attempt": 2,
        "pause_s": 1.5,
        "cause": None,
    }


def test_fields_that_json_has_no_word_for_become_text(json_lines):
    get_log("growy").info("odd", nan=float("nan"), payload=b"\xff{", path=os.path, nested={"a": (1, 2.5)})

    (line,) = json_lines()
    assert line["nan"] == "nan"
    assert line["payload"] == "\\xff{"
    assert line["path"].startswith("<module")
    assert line["nested"] == {"a": [1, 2.5]}


def test_a_field_cannot_overwrite_what_the_line_says_itself(json_lines):
    get_log("growy").info("x", level="critical", logger="root", event_="kept")

    (line,) = json_lines()
    assert (line["level"], line["level_"], line["logger"], line["logger_"]) == (
        "info",
        "critical",
        "growy",
        "root",
    )


def test_an_exception_stands_in_the_same_line(json_lines):
    get_log("growy.store").error("commit failed", exc_info=RuntimeError("disk on fire"))

    (line,) = json_lines()
    assert "RuntimeError: disk on fire" in line["exception"]


def test_lines_of_other_libraries_pass_through(json_lines):
    logging.getLogger("paho").info("sent %d bytes", 3)

    assert json_lines()[0]["event"] == "sent 3 bytes"


def test_a_library_that_gives_wrong_arguments_costs_the_arguments_not_the_line():
    record = logging.LogRecord("paho", logging.INFO, "client.py", 1, "sent %d bytes", ("three",), None)

    assert json.loads(JsonFormatter().format(record))["event"] == "sent %d bytes"


def test_levels_below_the_configured_one_are_left_out():
    stream = io.StringIO()
    configure_logging("warning", "json", stream)
    log = get_log("growy")
    log.debug("no")
    log.info("no")
    log.warning("yes")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["yes"]


def test_people_get_one_readable_line_on_a_terminal():
    stream = Terminal()
    configure_logging("info", "auto", stream, environ={})
    get_log("growy.broker.link").info("connected", url="mqtt://pi", name="two words", ratio=0.123456789)

    line = stream.getvalue()
    assert line.endswith('INFO    broker.link: connected  url=mqtt://pi name="two words" ratio=0.123457\n')


def test_a_pipe_gets_json_by_default():
    stream = io.StringIO()
    configure_logging("info", "auto", stream, environ={})
    get_log("growy").info("hello")

    assert json.loads(stream.getvalue())["event"] == "hello"


def test_the_journal_gets_a_priority_before_every_line(tmp_path):
    with (tmp_path / "journal").open("w+") as stream:
        at = os.fstat(stream.fileno())
        configure_logging("debug", "auto", stream, environ={"JOURNAL_STREAM": f"{at.st_dev}:{at.st_ino}"})
        log = get_log("growy")
        log.debug("a")
        log.info("b")
        log.warning("c")
        log.error("d")
        stream.seek(0)
        lines = stream.read().splitlines()

    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>"]
    assert [json.loads(line[3:])["event"] for line in lines] == ["a", "b", "c", "d"]


def test_a_journal_stream_inherited_from_a_service_but_redirected_is_not_the_journal(tmp_path):
    with (tmp_path / "file").open("w+") as stream:
        configure_logging("info", "auto", stream, environ={"JOURNAL_STREAM": "1:1"})
        get_log("growy").info("hello")
        stream.seek(0)
        assert stream.read().startswith("{")


@given(st.text(), st.text(), st.binary())
def test_nothing_a_device_sends_breaks_a_line_or_reaches_the_terminal(event, text, payload):
    for style in ("json", "human"):
        stream = io.StringIO()
        configure_logging("info", style, stream)
        get_log("growy").info(event, text=text, payload=payload)

        written = stream.getvalue()
        assert written.count("\n") == 1
        assert all(" " <= c <= "~" for c in written[:-1])


def test_a_long_field_is_clipped_and_says_so(json_lines):
    get_log("growy").info("refused", payload="x" * 5000)

    (line,) = json_lines()
    assert line["payload"].endswith("... (5000 characters)")
    assert len(line["payload"]) < 2100


def test_a_complaint_is_written_once_per_source_and_period_and_the_rest_is_counted(json_lines):
    clock = Clock()
    log = Log(logging.getLogger("growy.intake"), OncePer(clock))

    for _ in range(5):
        log.once_per(("bad_json", "ESP_1"), 60).warning("payload refused", esp="ESP_1")
    log.once_per(("bad_json", "ESP_2"), 60).warning("payload refused", esp="ESP_2")
    clock.now += 60
    log.once_per(("bad_json", "ESP_1"), 60).warning("payload refused", esp="ESP_1")
    clock.now += 60
    log.once_per(("bad_json", "ESP_1"), 60).warning("payload refused", esp="ESP_1")

    assert [(line["esp"], line.get("suppressed")) for line in json_lines()] == [
        ("ESP_1", None),
        ("ESP_2", None),
        ("ESP_1", 4),
        ("ESP_1", None),
    ]


def test_bound_fields_stand_on_every_line_and_survive_suppression(json_lines):
    log = get_log("growy.fleet").bind(esp="ESP_1")
    log.info("seen")
    log.once_per("key").warning("odd")

    assert [line["esp"] for line in json_lines()] == ["ESP_1", "ESP_1"]


def test_the_limiter_keeps_its_memory_and_its_lines_bounded_when_every_message_is_a_new_source():
    clock = Clock()
    limiter = OncePer(clock, max_keys=10)

    admitted = [limiter.admit(key, 60) for key in range(1000)]
    assert sum(one is not None for one in admitted) == 10
    assert len(limiter) == 10

    clock.now += 61
    assert limiter.admit("new", 60) == {"suppressed_others": 990}
    assert len(limiter) == 1


def test_what_was_suppressed_of_a_forgotten_source_is_still_told():
    clock = Clock()
    limiter = OncePer(clock, max_keys=1)
    limiter.admit("a", 60)
    limiter.admit("a", 60)
    clock.now += 61

    assert limiter.admit("b", 60) == {"suppressed_others": 1}
