"""Relays made to trust each other: by a code, as two people do it, or by writing both their lists."""

import subprocess
from itertools import permutations
from pathlib import Path
from queue import Queue
from threading import Thread

from relay.trust.identity import Identity, load_identity
from relay.trust.peers import Paired, Peers
from relay.trust.state import open_state
from tests.support.patience import Patience
from tests.support.relays import PROGRAM, Relay, RelayError

BOUND_S = 60.0


def pair_all(*relays: Relay) -> None:
    """Let relays that do not run yet trust each other, each all others."""
    pair_states(*((relay.name, relay.state) for relay in relays))


def pair_states(*sites: tuple[str, Path]) -> None:
    """Let the owners of state directories trust each other; ``sites``: names and directories."""
    identities: dict[Path, Identity] = {
        directory: load_identity(open_state(directory)) for _, directory in sites
    }
    for (_, here), (name, there) in permutations(sites, 2):
        Peers(here, identities[here].device).put(Paired(identities[there].device, name))


class Pairing:
    """One pairing by code of two relays, whether they run or not."""

    def __init__(self, shower: Path, typer: Path, patience: Patience) -> None:
        """``shower`` and ``typer``: the configuration where the code is shown, and where it is typed."""
        self.code = ""
        self._shower = shower
        self._typer = typer
        self._patience = patience
        self._said: Queue[str] = Queue()
        self._process: subprocess.Popen[str] | None = None

    def show(self) -> str:
        """Run ``pair`` at one site; return the code that it shows."""
        self._process = _start(self._shower)
        Thread(target=self._read, args=(self._process,), daemon=True).start()
        while not self.code:
            self._patience.wait(lambda: not self._said.empty(), "a code", BOUND_S)
            line = self._said.get()
            if line.startswith("code: "):
                self.code = line.removeprefix("code: ")
            elif not line or "error" in line:
                raise RelayError(f"no code is shown: {line}")
        return self.code

    def type(self, *options: str) -> list[str]:
        """Run ``pair CODE`` at the other; return what both said in the end."""
        typer = _start(self._typer, *options, self.code)
        lines = [*_end(typer, self._patience)]
        assert self._process is not None
        shower = self._process
        self._patience.wait(lambda: shower.poll() is not None, "the end of pair", BOUND_S)
        return lines

    def close(self) -> None:
        """End what still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._said.put(line.rstrip())
        self._said.put("")


def _start(config: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [PROGRAM, "pair", "--config", config, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _end(process: "subprocess.Popen[str]", patience: Patience) -> list[str]:
    """Return what a process says until its end; raise RelayError when it fails."""
    with process:
        try:
            patience.wait(lambda: process.poll() is not None, "the end of pair CODE", BOUND_S)
        except BaseException:
            process.kill()
            raise
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
    if process.returncode:
        raise RelayError(" ".join(lines))
    return lines
