"""A database server as a process of our own: installed in a directory, started, stopped, killed.

Knows no kind of server: servers.py says what to run. Only processes that were started here are
ended, by their process ids. Readiness is polled, with a bound; ports are picked, never fixed.
"""

import pwd
import random
import shutil
import socket
import subprocess
import time
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psutil

from tests.support.databases import DatabaseServer

USER = "admin"
PASSWORD = "s%cret/1"  # a URL, and alembic's configuration, must quote it
READY_SECONDS = 60
STOP_SECONDS = 30
POLL_SECONDS = 0.02
PORTS = range(15000, 32000)  # below Linux's ephemeral ports: none is taken while a server is down


class ServerError(Exception):
    """A server cannot be installed, started or reached."""


class LocalServer(DatabaseServer):
    """A server process of our own: the parts that do not depend on the kind of server.

    ``directory`` is made if absent and holds everything of the server; its data outlive stop() and
    kill(), and so does the port, thus every URL. ``durable`` is for crash tests and benchmarks:
    without it nothing is synced to disk. ``options`` are settings of the server by name.
    """

    def __init__(
        self, directory: Path, *, durable: bool = False, options: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.directory = directory
        self.durable = durable
        self.options = dict(options or {})
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file with all that the server and its installer printed."""
        return self.directory / "server.log"

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server, install it first if its directory is empty; return when it answers."""
        if self.running:
            return
        self._prepare()
        if not (self.directory / "data").exists():
            self._install()
        ports = [self.port] if self.port else [_find_port() for _ in range(3)]
        for self.port in ports:
            if self._try_start():
                return
        raise ServerError(f"{type(self).__name__} does not start:\n{self._read_log_end()}")

    def stop(self) -> None:
        """Stop the server in order; its clients are sent away."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(self._stop_signal())
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def kill(self) -> None:
        """End the server and all its processes at once with SIGKILL, as a power cut would."""
        if self._process is None:
            return
        if self.running:
            parent = psutil.Process(self._process.pid)
            parent.suspend()  # else it may fork, or tidy up, between the listing and the killing
            for process in [*parent.children(recursive=True), parent]:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    pass
        self._process.wait(STOP_SECONDS)
        self._process = None

    def restart(self) -> None:
        """Stop and start again, on the same port."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # Ctrl-C too: __exit__ is not called for what did not enter
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        scheme = self.dialect
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"{scheme}://{login}@127.0.0.1:{self.port}/{quote(database)}"

    @abstractmethod
    def _install(self) -> None:
        """Fill the data directory and make the administrator's account."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the server's command line, in the foreground."""

    @abstractmethod
    def _stop_signal(self) -> int:
        """Return the signal that asks the server to stop without waiting for its clients."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the administrator can log in."""

    @abstractmethod
    def _os_user(self) -> str | None:
        """Return the OS user to run as, or None to stay who we are."""

    def _prepare(self) -> None:
        """Make the directory, and what the OS user of the server needs to work in it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        user = self._os_user()
        if user:
            shutil.chown(self.directory, user)

    def _try_start(self) -> bool:
        """Start the process and wait until it answers; False if it ended instead."""
        self._process = self._spawn(self._command())
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            if self._answers():
                return True
            time.sleep(POLL_SECONDS)
        self.kill()
        return False

    def _run(self, command: list[str]) -> None:
        """Run an installer to its end."""
        with self._spawn(command) as installer:
            code = installer.wait()
        if code != 0:
            raise ServerError(f"{command[0]} failed:\n{self._read_log_end()}")

    def _spawn(self, command: list[str]) -> "subprocess.Popen[bytes]":
        """Start a process of this server, apart from our terminal and its Ctrl-C."""
        user = self._os_user()
        group = pwd.getpwnam(user).pw_gid if user else None
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=[] if user else None,
            )

    def _read_log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


def _find_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    for _ in PORTS:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerError(f"no free port between {PORTS.start} and {PORTS.stop}")
