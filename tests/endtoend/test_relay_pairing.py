"""Pairing as two people do it, by the commands: with relays that run and without, on 127.0.0.1."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endtoend.test_relay_process import Process
from tests.support.pairing import Pairing
from tests.support.patience import Patience
from tests.support.relays import CONFIG, PROGRAM, RelayError

BOUND_S = 60.0
SERVICE = f"_sahana-{os.getpid() % 10**8}._tcp.local."


class Sites:
    """Two sites, a and b, by their configurations; their relays have a site in memory."""

    def __init__(self, directory: Path) -> None:
        self.processes: list[Process] = []
        self.pairings: list[Pairing] = []
        self.config = {letter: directory / f"{letter}.toml" for letter in "ab"}
        for letter, path in self.config.items():
            path.write_text(CONFIG.format(name=f"camp {letter}", service=SERVICE))

    def start(self, letter: str) -> Process:
        """Start the relay of a site."""
        state = self.config[letter].with_suffix(".state")
        process = Process("-m", "tests.endtoend.relay_site", letter, SERVICE, str(state))
        self.processes.append(process)
        process.wait_for("this is camp")
        return process

    def pairing(self) -> Pairing:
        """Return a pairing: a shows, b types."""
        self.pairings.append(Pairing(self.config["a"], self.config["b"], Patience()))
        return self.pairings[-1]

    def run(self, letter: str, *command: str) -> str:
        """Run a command of a site; return what it says, its error if it fails."""
        ended = subprocess.run(
            [PROGRAM, command[0], "--config", self.config[letter], *command[1:]],
            env={**os.environ, "CHANGECAPTURE_URL": "postgresql://u:p@127.0.0.1:1/d"},
            capture_output=True,
            text=True,
            timeout=BOUND_S,
        )
        assert ended.returncode in (0, 2), ended
        assert (ended.returncode == 0) == (ended.stderr == ""), ended
        return ended.stdout + ended.stderr


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Sites]:
    made = Sites(tmp_path)
    yield made
    for pairing in made.pairings:
        pairing.close()
    for process in made.processes:
        process.end(9)


def test_two_machines_without_relays_are_paired_and_their_relays_then_exchange(sites: Sites):
    pairing = sites.pairing()
    pairing.show()
    assert any("paired with camp a" in line for line in pairing.type())
    assert "camp b (device" in sites.run("a", "peers")
    one, other = sites.start("a"), sites.start("b")
    one.wait_for("has: from a, from b")
    other.wait_for("has: from a, from b")


def test_relays_that_run_are_paired_and_exchange_until_they_are_unpaired(sites: Sites):
    one, other = sites.start("a"), sites.start("b")
    pairing = sites.pairing()
    pairing.show()
    pairing.type()
    one.wait_for("has: from a, from b")
    other.wait_for("has: from a, from b")
    assert "camp a (device" in sites.run("b", "peers")
    assert "unpaired: camp b" in sites.run("a", "unpair", "camp b")
    other.wait_for("cannot reach camp a")
    said = sites.run("a", "peers")
    assert "no site is paired" in said and "within reach, not paired, not spoken to:" in said


@pytest.mark.long
def test_a_wrong_code_is_one_line_at_both_ends_and_pairs_nobody(sites: Sites):
    pairing = sites.pairing()
    number = pairing.show().split("-")[0]
    pairing.code = f"{number}-acorn-acorn-acorn"
    with pytest.raises(RelayError, match="the code was wrong, or somebody stands between"):
        pairing.type()
    assert "no site is paired" in sites.run("a", "peers") and "no site is paired" in sites.run("b", "peers")


@pytest.mark.long
def test_what_is_no_code_and_who_is_no_peer_are_one_line(sites: Sites):
    assert "that is not a pairing code" in sites.run("a", "pair", "42-river")
    assert "no peer is called 'nobody'" in sites.run("a", "unpair", "nobody")


def test_a_state_directory_that_others_may_read_stops_every_command(sites: Sites):
    sites.run("a", "peers")
    sites.config["a"].with_suffix(".state").chmod(0o755)
    for command in ("run", "peers", "pair"):
        assert "other users may reach" in sites.run("a", command)


@pytest.mark.long
def test_a_control_file_of_a_relay_that_is_gone_is_no_obstacle(sites: Sites):
    sites.start("a").end(9)
    assert "no site is paired" in sites.run("a", "peers")
