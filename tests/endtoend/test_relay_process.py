"""Relays as processes: they find each other by zeroconf on 127.0.0.1, and end when they are told to."""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.support.pairing import pair_states

BOUND_S = 30.0
ROOT = Path(__file__).parents[2]


class Process:
    """A running relay, its lines readable with a bound."""

    def __init__(self, *command: str, within: tuple[str, ...] = ()) -> None:
        """``within``: what is put before the command, to run it somewhere else."""
        self.lines: list[str] = []
        self._coming: queue.Queue[str | None] = queue.Queue()
        self._running = subprocess.Popen(
            [*within, sys.executable, *command],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._running.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._running.stdout,))
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._coming.put(line.rstrip())
        self._coming.put(None)

    def wait_for(self, part: str) -> str:
        """Return the first line from now on that holds ``part``."""
        while True:
            try:
                line = self._coming.get(timeout=BOUND_S)
            except queue.Empty:
                line = None
            assert line is not None, (part, self.lines)
            self.lines.append(line)
            if part in line:
                return line

    def write(self, line: str) -> None:
        """Give it a line to read."""
        assert self._running.stdin is not None
        self._running.stdin.write(f"{line}\n")
        self._running.stdin.flush()

    def end(self, number: int) -> int:
        """Send a signal; return the exit status."""
        if self._running.poll() is None:
            self._running.send_signal(number)
        status = self._running.wait(BOUND_S)
        assert self._running.stdin is not None
        self._running.stdin.close()
        self._reader.join()
        return status


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        process.end(signal.SIGKILL)


def test_two_relays_find_each_other_exchange_and_end_cleanly(tmp_path: Path, processes: list[Process]):
    pair_states(("camp a", tmp_path / "a"), ("camp b", tmp_path / "b"))
    # A service of its own: other relays on this machine are not met.
    service = f"_sahana-{os.getpid() % 10**8}._tcp.local."
    for letter in "ab":
        state = str(tmp_path / letter)
        processes.append(Process("-m", "tests.endtoend.relay_site", letter, service, state))
    one, other = processes
    one.wait_for("has: from a, from b")
    other.wait_for("has: from a, from b")
    assert sum("listening on 127.0.0.1:" in line for line in one.lines) == 1
    assert one.end(signal.SIGTERM) == 0
    assert other.end(signal.SIGINT) == 0


def test_a_configuration_that_is_wrong_is_one_line_and_status_2(tmp_path: Path):
    file = tmp_path / "relay.toml"
    file.write_text('[site]\nname = "n"\n[database]\nurl = "mysql://h/d"\n[listen]\nhost = "eth0"\n')
    ended = subprocess.run(
        [sys.executable, "-m", "relay", "run", "--config", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=BOUND_S,
    )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1 and "[listen] host = 'eth0' is not an address" in ended.stderr


def test_a_port_that_is_taken_is_one_line_and_status_2(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = tmp_path / "relay.toml"
        listen = f'[listen]\nhost = "127.0.0.1"\nport = {port}\n'
        file.write_text(f'[site]\nname = "n"\n[database]\nurl = "mysql://h/d"\n{listen}')
        ended = subprocess.run(
            [sys.executable, "-m", "relay", "run", "--config", str(file)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=BOUND_S,
        )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1 and f"cannot listen on 127.0.0.1:{port}" in ended.stderr


def test_a_database_that_cannot_be_reached_is_said_and_waited_for(tmp_path: Path, processes: list[Process]):
    file = tmp_path / "relay.toml"
    file.write_text(
        '[site]\nname = "n"\n[database]\nurl = "postgresql://u:secret@127.0.0.1:1/d"\n'
        '[listen]\nhost = "127.0.0.1"\nport = 0\n[discovery]\nenabled = false\n'
    )
    process = Process("-m", "relay", "run", "--config", str(file))
    processes.append(process)
    process.wait_for("listening on 127.0.0.1:")
    assert "secret" not in process.wait_for("waiting for the database")
    assert process.end(signal.SIGTERM) == 0
