"""Structured logs on stderr: an event and its fields; JSON lines for machines, readable lines for people.

Never raises into its caller, never logs the same complaint of the same source in a flood (`Log.once_per`), and writes
ASCII only: what a device sends can neither break a line nor a terminal.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, TextIO, TypeAlias

ExcInfo: TypeAlias = BaseException | bool | None

LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
MAX_SOURCES = 1024
"""Keys a `OncePer` remembers: bounds its memory, and the lines when every message claims a new source."""
MAX_FIELD = 2000
"""Characters of one field; what a device sends can be long."""


class OncePer:
    """Lets one through per key and period and counts the rest.

    Args:
        clock: monotonic seconds.
        max_keys: remembered at most. While so many keys are within their period, further ones are counted, not let
            through.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_keys: int = MAX_SOURCES) -> None:
        self._clock = clock
        self._max_keys = max_keys
        self._until: dict[Hashable, float] = {}
        self._suppressed: dict[Hashable, int] = {}
        self._others = 0
        self._full_until = float("-inf")

    def __len__(self) -> int:
        return len(self._until)

    def admit(self, key: Hashable, seconds: float) -> Mapping[str, int] | None:
        """None: be silent. Otherwise what was suppressed since, to be told: `suppressed` of this key, and
        `suppressed_others` of keys that were forgotten, or never remembered because the memory was full.
        """
        now = self._clock()
        until = self._until.get(key)
        if until is not None and now < until:
            self._suppressed[key] = self._suppressed.get(key, 0) + 1
            return None
        if until is None and len(self._until) >= self._max_keys:
            if now >= self._full_until:
                self._forget(now)
            if len(self._until) >= self._max_keys:
                self._others += 1
                return None
        self._until[key] = now + seconds
        counts = {"suppressed": self._suppressed.pop(key, 0), "suppressed_others": self._others}
        self._others = 0
        return {name: count for name, count in counts.items() if count}

    def _forget(self, now: float) -> None:
        for key in [key for key, until in self._until.items() if until <= now]:
            del self._until[key]
            self._others += self._suppressed.pop(key, 0)
        # Nothing more can be forgotten before then: a flood must not search the memory for every message.
        self._full_until = min(self._until.values(), default=now)


class Log:
    """A logger whose lines are an event and fields: `log.warning("payload refused", esp=esp_id)`."""

    def __init__(
        self,
        logger: logging.Logger,
        limiter: OncePer | None = None,
        bound: Mapping[str, object] | None = None,
        muted: bool = False,
    ) -> None:
        self._logger = logger
        self._limiter = OncePer() if limiter is None else limiter
        self._bound = dict(bound or {})
        self._muted = muted

    def bind(self, **fields: object) -> Log:
        """The same log with these fields on every line."""
        return Log(self._logger, self._limiter, {**self._bound, **fields}, self._muted)

    def once_per(self, key: Hashable, seconds: float = 60.0) -> Log:
        """This log when `key` has been silent for `seconds`, else one that says nothing.

        Lines left out are counted and stand in the next line of that key as `suppressed=N`.
        """
        admitted = self._limiter.admit(key, seconds)
        if admitted is None:
            return Log(self._logger, self._limiter, self._bound, muted=True)
        return self.bind(**admitted) if admitted else self

    def debug(self, event: str, /, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, *, exc_info: ExcInfo = None, **fields: object) -> None:
        self._write(logging.WARNING, event, fields, exc_info)

    def error(self, event: str, /, *, exc_info: ExcInfo = None, **fields: object) -> None:
        self._write(logging.ERROR, event, fields, exc_info)

    def critical(self, event: str, /, **fields: object) -> None:
        """growyd cannot go on like this."""
        self._write(logging.CRITICAL, event, fields)

    def _write(self, level: int, event: str, fields: Mapping[str, object], exc_info: ExcInfo = None) -> None:
        if self._muted or not self._logger.isEnabledFor(level):
            return
        self._logger.log(
            level, "%s", event, exc_info=exc_info, extra={"growy_fields": {**self._bound, **fields}}
        )


def get_log(name: str) -> Log:
    """The log of a module: `log = get_log(__name__)`."""
    return Log(logging.getLogger(name))


def configure_logging(
    level: str = "info",
    style: str = "auto",
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Send all logs to `stream` (stderr), replacing what was set up before.

    Args:
        level: debug, info, warning or error.
        style: json, human, or auto: human on a terminal, JSON otherwise. On the journal's own stream every line
            carries its priority, so that `journalctl -p warning` works.
    """
    stream = stream or sys.stderr
    journal = _is_journal(stream, os.environ if environ is None else environ)
    human = style == "human" or (style == "auto" and stream.isatty() and not journal)
    formatter = HumanFormatter() if human else JsonFormatter()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JournalFormatter(formatter) if journal else formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(LEVELS[level])


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ts (ISO 8601, UTC), level, logger, event, the fields, and `exception` with the
    traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event(record),
        }
        for name, value in _fields(record).items():
            # A field never overwrites what the line itself says.
            line[f"{name}_" if name in line else name] = _plain(value)
        if exception := _exception(self, record):
            line["exception"] = exception
        return json.dumps(line, ensure_ascii=True, separators=(",", ":"))


class HumanFormatter(logging.Formatter):
    """`12:00:01.250 WARNING broker.link: connection lost  url=mqtt://127.0.0.1:1883 attempt=2`, local time."""

    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        name = record.name.removeprefix("growy.")
        line = f"{clock}.{int(record.msecs):03d} {record.levelname:<7} {name}: {_ascii(_event(record))}"
        fields = " ".join(f"{name}={_word(value)}" for name, value in _fields(record).items())
        if fields:
            line += f"  {fields}"
        if exception := _exception(self, record):
            line += "\n" + "\n".join(_ascii(part) for part in exception.splitlines())
        return line


class _JournalFormatter(logging.Formatter):
    """Puts `<priority>` before every line (sd-daemon(3)); the journal takes it off again."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        severe = record.levelno >= logging.ERROR
        priority = (
            3
            if severe
            else 4
            if record.levelno >= logging.WARNING
            else 6
            if record.levelno >= logging.INFO
            else 7
        )
        return "\n".join(f"<{priority}>{line}" for line in self._inner.format(record).splitlines())


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """JOURNAL_STREAM names the device and inode of the journal's socket; it stays set in children whose stderr is
    elsewhere.
    """
    try:
        at = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{at.st_dev}:{at.st_ino}"


def _event(record: logging.LogRecord) -> str:
    """The message; a library's wrong format arguments must not cost the line."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, "growy_fields", None)
    return fields if isinstance(fields, dict) else {}


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    info: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None] | None
    info = record.exc_info
    return formatter.formatException(info) if info and info[1] is not None else ""


def _plain(value: object) -> object:
    """What JSON can say, as it is; anything else as text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # NaN and infinity are not JSON
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return _clipped(value)


def _clipped(value: object) -> str:
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= MAX_FIELD else f"{text[:MAX_FIELD]}... ({len(text)} characters)"


def _word(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else _clipped(value)
    plain = text and not any(c.isspace() or c in '"=' for c in text)
    return _ascii(text) if plain else f'"{_ascii(text).replace(chr(34), chr(92) + chr(34))}"'


def _ascii(text: str) -> str:
    """Control characters and everything beyond ASCII as backslash escapes: no line breaks, no terminal sequences."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text)
