"""The relay's log: one line per thing that a person would act on, to stderr.

``Log`` is what the other modules are given. ``TextLog`` writes it. What Twisted and zeroconf have
to say goes the same way, from warnings up, so that nothing is lost and nothing chatters.
"""

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
        self._write(text)

    def warning(self, text: str) -> None:
        """Write a line that is marked."""
        self._write(f"warning: {text}")

    def failure(self, text: str) -> None:
        """Write a line and the traceback of the exception that is being handled."""
        self._write(f"error: {text}\n{traceback.format_exc().rstrip()}")

    def begin(self) -> None:
        """Take in what Twisted and Python's logging say, from warnings up."""
        observer: Any = self._observe
        globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
        # What zeroconf warns of (a socket without a route, a peer's odd packet) it gets over by itself.
        logging.getLogger("zeroconf").setLevel(logging.ERROR)
        logging.basicConfig(
            level=logging.WARNING, stream=self._stream, format="%(name)s: %(message)s", force=True
        )

    def _observe(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) < LogLevel.warn:
            return
        self._write(f"warning: {formatEvent(event)}")
        failure = event.get("log_failure")
        if failure is not None:
            self._stream.write(failure.getTraceback())

    def _write(self, text: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        try:
            self._stream.write(f"{now} {text}\n")
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads any more; that is no reason to stop exchanging.
            pass
