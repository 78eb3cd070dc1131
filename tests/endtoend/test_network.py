"""Two machines on a network: they find each other, are paired, and stay in step whatever the network does.

In network namespaces, where those are allowed; else finding and pairing are shown on loopback, and what
needs a second network is skipped with the reason (see the fixtures).
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.endtoend.test_relay_process import Process
from tests.support.network import Machine, local_network, why_no_namespaces
from tests.support.pairing import pair_states
from tests.support.relays import PROGRAM

BOUND_S = 60.0
SERVICE = "_sahana-net._tcp.local."
HERE, THERE, ELSEWHERE = "10.77.0.1", "10.77.0.2", "10.77.0.9"
CONFIG = (
    '[site]\nname = "camp {letter}"\n[database]\nurl = "mysql://h/d"\n[discovery]\nservice = "{service}"\n'
)


@dataclass
class Network:
    """Two machines, a and b, each with a site in memory and a configuration."""

    directory: Path
    machines: tuple[Machine, Machine] | None
    """None: this machine is both, on loopback."""
    processes: list[Process] = field(default_factory=list)

    def within(self, letter: str) -> tuple[str, ...]:
        return () if self.machines is None else self.machines["ab".index(letter)].within

    def config(self, letter: str) -> Path:
        path = self.directory / f"{letter}.toml"
        listen = "" if self.machines else '[listen]\nhost = "127.0.0.1"\nport = 0\n'
        path.write_text(CONFIG.format(letter=letter, service=SERVICE) + listen)
        return path

    def state(self, letter: str) -> Path:
        return self.directory / f"{letter}.state"

    def start(self, letter: str) -> Process:
        host = "127.0.0.1" if self.machines is None else "*"
        arguments = ("-m", "tests.endtoend.relay_site", letter, SERVICE, str(self.state(letter)), host)
        self.processes.append(Process(*arguments, within=self.within(letter)))
        self.processes[-1].wait_for("this is camp")
        return self.processes[-1]

    def pair(self) -> None:
        """Let the sites trust each other before they start."""
        pair_states(*((f"camp {letter}", self.state(letter)) for letter in "ab"))

    def run(self, letter: str, *command: str) -> str:
        """Run a command of a site's relay; return what it says."""
        ended = subprocess.run(
            [*self.within(letter), PROGRAM, command[0], "--config", self.config(letter), *command[1:]],
            capture_output=True,
            text=True,
            timeout=BOUND_S,
        )
        assert ended.returncode == 0, ended
        return ended.stdout

    def show_code(self, letter: str) -> tuple["subprocess.Popen[str]", str]:
        """Run ``pair`` at a site; return the process and the code that it shows."""
        showing = subprocess.Popen(
            [*self.within(letter), PROGRAM, "pair", "--config", self.config(letter)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert showing.stdout is not None
        return showing, showing.stdout.readline().removeprefix("code: ").strip()

    def close(self) -> None:
        for process in self.processes:
            process.end(9)


@pytest.fixture
def network(tmp_path: Path, record_property) -> Iterator[Network]:
    """Two machines in namespaces, connected; on loopback where there can be none, which is recorded."""
    why = why_no_namespaces()
    record_property("network", why or "namespaces")
    if why:
        print(f"on loopback: {why}")
        made = Network(tmp_path, None)
        yield made
        made.close()
        return
    with local_network() as machines:
        for machine, address in zip(machines, (HERE, THERE), strict=True):
            machine.connect(address)
        made = Network(tmp_path, machines)
        yield made
        made.close()


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Network]:
    """Two machines in namespaces that nobody has connected yet."""
    if why := why_no_namespaces():
        pytest.skip(f"a network that changes needs namespaces; {why}")
    with local_network() as machines:
        made = Network(tmp_path, machines)
        made.pair()
        yield made
        made.close()


def test_two_machines_find_each_other_are_paired_and_come_into_step(network: Network):
    one, other = network.start("a"), network.start("b")
    showing, code = network.show_code("a")
    with showing:
        assert "paired with camp a" in network.run("b", "pair", code)
        assert showing.wait(BOUND_S) == 0
    one.wait_for("has: from a, from b")
    other.wait_for("has: from a, from b")
    if network.machines is not None:
        assert f"at {THERE}:" in network.run("a", "peers")


@pytest.mark.long
def test_who_starts_without_a_network_is_found_once_there_is_one(cable: Network):
    assert cable.machines is not None
    one, other = cable.start("a"), cable.start("b")
    for machine, address in zip(cable.machines, (HERE, THERE), strict=True):
        machine.connect(address)
    one.wait_for("has: from a, from b")
    other.wait_for("has: from a, from b")


@pytest.mark.long
def test_who_gets_another_address_is_found_again_and_spoken_to_at_once(cable: Network):
    assert cable.machines is not None
    for machine, address in zip(cable.machines, (HERE, THERE), strict=True):
        machine.connect(address)
    one, other = cable.start("a"), cable.start("b")
    one.wait_for("has: from a, from b")
    other.wait_for("has: from a, from b")
    cable.machines[0].move(HERE, ELSEWHERE)
    one.write("moved")
    other.write("stayed")
    other.wait_for("has: from a, from b, moved, stayed")
    one.wait_for("has: from a, from b, moved, stayed")


@pytest.mark.long
def test_an_interface_that_was_down_for_a_moment_costs_nothing(cable: Network):
    assert cable.machines is not None
    for machine, address in zip(cable.machines, (HERE, THERE), strict=True):
        machine.connect(address)
    one, other = cable.start("a"), cable.start("b")
    other.wait_for("has: from a, from b")
    cable.machines[0].down()
    one.write("meanwhile")
    one.wait_for("meanwhile")
    cable.machines[0].ip("link", "set", Machine.INTERFACE, "up")
    other.wait_for("meanwhile")


@pytest.mark.long
def test_who_has_ipv6_of_one_link_alone_is_found(cable: Network):
    assert cable.machines is not None
    for machine in cable.machines:
        machine.ip("link", "set", Machine.INTERFACE, "up")
    one, other = cable.start("a"), cable.start("b")
    one.wait_for("has: from a, from b")
    other.wait_for("has: from a, from b")
