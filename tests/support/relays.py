"""A relay process of one site: ``changecapture-relay run --config FILE``, its log read as it comes.

Relays of one process of ours find each other by zeroconf on 127.0.0.1, and no others; they speak to
each other once they are paired (tests/support/pairing.py).
"""

import json
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import IO

from tests.support.patience import Patience

PROGRAM = Path(sysconfig.get_path("scripts"), "changecapture-relay")
DATE_AND_TIME = len("2026-01-31 12:00:00 ")
END_S = 15.0
ROOT = Path(__file__).parents[2]
IMPATIENT = "tests.support.impatient"

CONFIG = """\
[site]
name = "{name}"
owner = "owner of {name}"

[database]
url_env = "CHANGECAPTURE_URL"       # the password stands in no file

[listen]
host = "127.0.0.1"
port = 0                            # any free port: no address is written anywhere

[discovery]
interfaces = ["127.0.0.1"]
service = "{service}"    # of our own: real sites are not met
"""

LONELY = """\
enabled = false
"""
PEER = """\
[[peer]]
address = "127.0.0.1:{port}"
"""


class RelayError(Exception):
    """A relay has ended as it should not."""


def ignore(name: str, line: str) -> None:
    """Hear nothing."""


class Relay:
    """One site's relay; it may be started again after its end."""

    def __init__(
        self,
        name: str,
        url: str,
        directory: Path,
        heard: Callable[[str, str], None] = ignore,
        *,
        peers: Collection[int] | None = None,
        timing: Mapping[str, float] | None = None,
        program: Sequence[str] | None = None,
    ) -> None:
        """``heard`` gets the name and each line of the log, in a thread.

        ``peers``: ports to call, instead of whom it discovers. ``timing``: see tests.support.impatient.
        ``program``: what runs in place of the relay's own.
        """
        self.name = name
        self.lines: list[str] = []
        self.config = directory / f"{name}.toml"
        self.state = directory / f"{name}.state"
        service = f"_sahana-{os.getpid() % 10**8}._tcp.local."
        text = CONFIG.format(name=name, service=service)
        if peers is not None:
            text += LONELY + "".join(PEER.format(port=port) for port in peers)
        self.config.write_text(text)
        impatient = (
            [str(PROGRAM)] if timing is None else [sys.executable, "-m", IMPATIENT, json.dumps(timing)]
        )
        self._program = list(program or impatient)
        self._url = url
        self._heard = heard
        self._process: subprocess.Popen[str] | None = None
        self._reader: Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id, once it was started."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the process, apart from our terminal and its Ctrl-C."""
        self._process = subprocess.Popen(
            [*self._program, "run", "--config", self.config],
            cwd=ROOT,
            env={**os.environ, "CHANGECAPTURE_URL": self._url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._reader = Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._reader.start()

    @property
    def port(self) -> int:
        """The port that it listens on, once it has said so."""
        part = "listening on 127.0.0.1:"
        (line,) = [line for line in self.lines if part in line]
        return int(line.partition(part)[2].split(",")[0])

    def stop(self) -> None:
        """Ask it to end; make it, when it does not."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def said(self, part: str, after: int = 0) -> bool:
        """Return whether a line of its log, from the given one on, has these words."""
        return any(part in line for line in self.lines[after:])

    def wait_for(self, part: str, patience: Patience, after: int = 0) -> None:
        """Wait for a line with these words."""
        what = f"the relay of the {self.name} to say '{part}'"
        patience.wait(lambda: self.said(part, after) or not self.running, what)
        if not self.said(part, after):
            raise RelayError("\n".join([f"the relay of the {self.name} has ended", *self.lines]))

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._reader is not None:
            self._reader.join()
        self._process = None

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                text = line.rstrip()[DATE_AND_TIME:]
                self._heard(self.name, text)  # first: who waits for a line finds it printed
                self.lines.append(text)
