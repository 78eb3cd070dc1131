"""The relay's log: one line per thing that a person would act on, to stderr.

``Log`` is what the other modules are given. ``TextLog`` writes it, ``JsonLog`` as one object a line.
What Twisted and zeroconf have to say goes the same way, from warnings up, so that nothing is lost and
nothing chatters.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import IO, Any, Protocol

from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogBeginner


class Log(Protocol):
    """Where lines for people go."""

    def info(self, text: str) -> None:
        """Something went well or forward."""

    def warning(self, text: str) -> None:
        """Something may need a person."""

    def failure(self, text: str) -> None:
        """A mistake of ours: the exception that is being handled, with its traceback."""


class TextLog:
    """Lines of text: time in UTC, what happened; warnings are marked."""

    def __init__(self, stream: IO[str] = sys.stderr) -> None:
        """Write to a stream, which is flushed after each line."""
        self._stream = stream

    def info(self, text: str) -> None:
        """Write a line."""
        self._write("info", text)

    def warning(self, text: str) -> None:
        """Write a line that is marked."""
        self._write("warning", text)

    def failure(self, text: str) -> None:
        """Write a line and the traceback of the exception that is being handled."""
        self._write("error", text, traceback.format_exc())

    def begin(self) -> None:
        """Take in what Twisted and Python's logging say, from warnings up."""
        observer: Any = self._observe
        globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
        # What zeroconf warns of (a socket without a route, a peer's odd packet) it gets over by itself.
        logging.getLogger("zeroconf").setLevel(logging.ERROR)
        logging.basicConfig(level=logging.WARNING, handlers=[_Handler(self)], force=True)

    def _observe(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) < LogLevel.warn:
            return
        failure = event.get("log_failure")
        self._write("warning", formatEvent(event), "" if failure is None else failure.getTraceback())

    def _write(self, level: str, text: str, trace: str = "") -> None:
        try:
            self._stream.write(self._form(datetime.now(UTC), level, text, trace.rstrip()) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads any more; that is no reason to stop exchanging.
            pass

    def _form(self, now: datetime, level: str, text: str, trace: str) -> str:
        mark = "" if level == "info" else f"{level}: "
        return f"{now:%Y-%m-%d %H:%M:%S} {mark}{text}" + (f"\n{trace}" if trace else "")


class JsonLog(TextLog):
    """An object a line: ``time``, ``level`` (info, warning, error), ``text``; of a mistake its ``trace``."""

    def _form(self, now: datetime, level: str, text: str, trace: str) -> str:
        said = {"time": now.isoformat(timespec="milliseconds"), "level": level, "text": text}
        return json.dumps({**said, "trace": trace} if trace else said)


class _Handler(logging.Handler):
    """Python's logging, into ours."""

    def __init__(self, log: TextLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        self._log.warning(f"{record.name}: {record.getMessage()}")


LOGS = {"text": TextLog, "json": JsonLog}


class NamedLog:
    """The log of one site among several: each line begins with its name."""

    def __init__(self, name: str, log: Log) -> None:
        """Write to ``log``."""
        self._name, self._log = name, log

    def info(self, text: str) -> None:
        """See Log."""
        self._log.info(f"{self._name}: {text}")

    def warning(self, text: str) -> None:
        """See Log."""
        self._log.warning(f"{self._name}: {text}")

    def failure(self, text: str) -> None:
        """See Log."""
        self._log.failure(f"{self._name}: {text}")
