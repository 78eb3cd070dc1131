"""Two machines on a network of their own: Linux network namespaces joined by a cable (veth).

Needs root and iproute2. What runs within reaches the other machine and nothing else.
"""

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from threading import Thread

CLONE_NEWNET = 0x40000000
_numbers = count(1)


class NetworkError(Exception):
    """The network could not be made or changed."""


class Machine:
    """One namespace, with one interface beside lo."""

    INTERFACE = "eth0"

    def __init__(self, name: str) -> None:
        """``name`` is the namespace's; ``LocalNetwork`` makes it."""
        self.name = name

    @property
    def within(self) -> tuple[str, ...]:
        """Return what is put before a command to run it here."""
        return ("ip", "netns", "exec", self.name)

    def ip(self, *arguments: str) -> None:
        """Run ``ip`` here."""
        run_ip("-n", self.name, *arguments)

    def connect(self, address: str) -> None:
        """Take an address and pull the interface up."""
        self.ip("address", "add", f"{address}/24", "dev", self.INTERFACE)
        self.ip("link", "set", self.INTERFACE, "up")
        # As a router would be: else what is sent to all groups has no way out.
        self.ip("route", "replace", "224.0.0.0/4", "dev", self.INTERFACE)

    def move(self, old: str, new: str) -> None:
        """Change the address, as a new lease does."""
        self.ip("address", "del", f"{old}/24", "dev", self.INTERFACE)
        self.connect(new)

    def down(self) -> None:
        """Pull the interface down."""
        self.ip("link", "set", self.INTERFACE, "down")

    def forget_ipv6(self) -> None:
        """Have addresses of IPv4 alone."""
        _run(*self.within, "sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1")

    def slow(self, kilobits: int) -> None:
        """Send no more than so much a second."""
        bound = f"rate {kilobits}kbit burst 8kb latency 400ms"
        _run("tc", "-n", self.name, "qdisc", "add", "dev", self.INTERFACE, "root", "tbf", *bound.split())

    def listen(self, port: int) -> socket.socket:
        """Return a socket that listens here on 127.0.0.1, and is read by whoever has it."""
        made: list[socket.socket] = []

        def enter() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/var/run/netns/{self.name}") as namespace:
                if libc.setns(namespace.fileno(), CLONE_NEWNET) == 0:
                    made.append(socket.create_server(("127.0.0.1", port), backlog=64))

        # Of a thread of its own: it does not come back.
        thread = Thread(target=enter)
        thread.start()
        thread.join()
        if not made:
            raise NetworkError(f"{self.name} cannot be entered")
        return made[0]

    def sent(self) -> int:
        """Return how many bytes its interface has sent."""
        path = f"/sys/class/net/{self.INTERFACE}/statistics/tx_bytes"
        ended = subprocess.run([*self.within, "cat", path], capture_output=True, text=True, check=True)
        return int(ended.stdout)


def why_no_namespaces() -> str:
    """Return why there can be no namespaces here, '' when there can be."""
    if shutil.which("ip") is None:
        return "there is no `ip`: apt-get install iproute2"
    if os.geteuid() != 0:
        return "network namespaces take root"
    try:
        with _namespace(f"cc{os.getpid()}try"):
            return ""
    except NetworkError as error:
        return f"network namespaces are not allowed here: {error}"


@contextmanager
def local_network() -> Iterator[tuple[Machine, Machine]]:
    """Give two machines that are joined, their interfaces still down and without addresses."""
    number = next(_numbers)
    names = [f"cc{os.getpid()}n{number}{side}" for side in "ab"]
    with _namespace(names[0]), _namespace(names[1]):
        eth = Machine.INTERFACE
        run_ip("link", "add", eth, "netns", names[0], "type", "veth", "peer", "name", eth, "netns", names[1])
        machines = Machine(names[0]), Machine(names[1])
        for machine in machines:
            machine.ip("link", "set", "lo", "up")
        yield machines


@contextmanager
def _namespace(name: str) -> Iterator[None]:
    run_ip("netns", "add", name)
    try:
        yield
    finally:
        run_ip("netns", "del", name)


def run_ip(*arguments: str) -> None:
    """Run ``ip``; raise NetworkError."""
    _run("ip", *arguments)


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        raise NetworkError(f"{' '.join(command)}: {ended.stderr.strip()}")
