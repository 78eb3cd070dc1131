"""Attacks on a relay that runs, over its network: what they cost it, and that it serves the others meanwhile.

The honest are another relay, which is paired, and a program with a token; the attackers are paired devices, a
program with a token, and somebody without anything who comes from another address of this machine.
"""

import json
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest

from relay import messages
from relay.door import MAX_UNKNOWN_PER_HOST
from relay.trust.identity import Identity, load_identity
from relay.trust.peers import Paired, Peers
from relay.trust.state import open_state
from tests.database.test_clients import Served, parent
from tests.support.pairing import pair_all
from tests.support.patience import Patience
from tests.support.relays import Relay
from tests.unit.relay_fake import new_identity, write_pem

BOUND_S = 60.0
STRANGER = "127.0.0.66"
MOST_GROWTH, MOST_LATER = 40 * 1024, 24 * 1024
"""KiB that a relay may grow by under any number of calls: in all, and once it has had a quarter of them."""
HEAD = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n%sContent-Length: %d\r\n\r\n"
AT_ONCE = 25
"""Calls that are sent before the answers to them are read."""


class Camp:
    """A relay under attack, and one that is honest."""

    def __init__(self, sites: Any, directory: Path, devices: int) -> None:
        self.here, self.there = sites
        self.patience = Patience()
        timing = {"relay.clients.HANDSHAKE_S": 2.0}
        self.relay = Relay("camp", self.here.url, directory, timing=timing)
        self.friend = Relay("friend", self.there.url, directory)
        pair_all(self.relay, self.friend)
        self.evil = [new_identity() for _ in range(devices)]
        own = load_identity(open_state(self.relay.state)).device
        peers = Peers(self.relay.state, own)
        for number, identity in enumerate(self.evil):
            peers.put(Paired(identity.device, f"evil {number}"))
        self.numbers = iter(range(10**6))

    def start(self) -> None:
        self.service = Served(self.relay)
        self.friend.start()
        self.serves_others()

    def close(self) -> None:
        self.relay.stop()
        self.friend.stop()

    def serves_others(self) -> None:
        """Check that what each of the honest writes arrives, and a program is answered."""
        key = f"p{next(self.numbers)}"
        self.there.family.add_parent(f"there {key}")
        self.here.family.add_parent(f"here {key}")
        assert self.service.ask("sync.put_changes", "u-1", [parent(f"put {key}")])["result"]["shown"] == 1

        def arrived() -> bool:
            here, there = self.here.family.shown("parent"), self.there.family.shown("parent")
            return f"there {key}" in here and {f"here {key}", f"put {key}"} <= set(there)

        self.patience.wait(arrived, f"what is called {key}", BOUND_S, 0.1)

    @property
    def memory(self) -> int:
        """Return what the relay holds of the machine's memory, in KiB."""
        status = Path(f"/proc/{self.relay.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def connect(self, identity: Identity) -> ssl.SSLSocket:
        """Return a connection of a device, once it was answered there."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with NamedTemporaryFile() as pem:
            pem.write(write_pem(identity))
            pem.flush()
            context.load_cert_chain(pem.name)
        made = context.wrap_socket(socket.create_connection(("127.0.0.1", self.relay.port), BOUND_S))
        assert flood(made, tiny_calls(b"RPC2", b"", b""), AT_ONCE) == AT_ONCE
        return made


def flood(connection: socket.socket, calls: list[bytes], count: int) -> int:
    """Make so many calls; return how many were answered."""
    answered = 0
    connection.settimeout(BOUND_S)
    with connection.makefile("rb") as answers:
        while answered < count:
            connection.sendall(b"".join(calls[(answered + n) % len(calls)] for n in range(AT_ONCE)))
            for _ in range(AT_ONCE):
                length = 0
                while (line := answers.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                if len(answers.read(length)) < length or not line:
                    return answered
                answered += 1
    return answered


def tiny_calls(page: bytes, headers: bytes, *bodies: bytes) -> list[bytes]:
    return [HEAD % (page, headers, len(body)) + body for body in bodies]


@pytest.fixture
def camp(new_site, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Camp]:
    sites = new_site("mariadb", "family"), new_site("postgresql", "family")
    with ExitStack() as stack:
        made = Camp(sites, tmp_path, getattr(request, "param", (1, 0))[0])
        stack.callback(made.close)
        made.start()
        yield made


@pytest.mark.parametrize(
    "camp, calls",
    [((2, 0), 300), pytest.param((40, 0), 2500, marks=pytest.mark.long)],
    indirect=["camp"],
    ids=["some", "a hundred thousand"],
)
def test_tiny_calls_without_end_cost_no_memory_and_hold_up_nobody(camp: Camp, calls: int):
    """By paired devices and by a program with a token."""
    words = (b"", b"<", messages.write_call("poke", "e" * 32), messages.write_call("poke", "x"))
    from_devices = tiny_calls(b"RPC2", b"", *words, messages.write_call("pull", "{}", "5" * 32, 1))
    token = f"Authorization: Bearer {camp.service.order('add', 'evil').split()[1]}\r\n".encode()
    asks = [
        json.dumps({"method": m, "params": p}).encode() for m, p in (("x", []), ("sync.get_changes", ["u"]))
    ]
    from_token = tiny_calls(b"jsonrpc", token, b"[]", *asks)
    program = socket.create_connection(("127.0.0.1", camp.service.port), BOUND_S)
    with ThreadPoolExecutor(len(camp.evil) + 1) as threads, ExitStack() as stack:
        attacks = [stack.enter_context(camp.connect(identity)) for identity in camp.evil]
        stack.enter_context(program)
        before = camp.memory
        going = [threads.submit(flood, attack, from_devices, calls) for attack in attacks]
        going.append(threads.submit(flood, program, from_token, calls))
        held = [before]
        while not all(call.done() for call in going):
            camp.serves_others()
            held.append(camp.memory)
        answered = [call.result() for call in going]
    flat = max(held) - held[len(held) // 4]
    print(f"{sum(answered)} calls, the relay grew by {max(held) - before} KiB, {flat} after a quarter")
    assert min(answered) >= calls
    assert max(held) - before <= MOST_GROWTH and flat <= MOST_LATER
    assert not camp.relay.said("mistake")


def test_connections_that_say_nothing_or_half_a_request_leave_room_and_are_cut(camp: Camp):
    starts = [b"", b"POST /jsonrpc HT", b"POST /jsonrpc HTTP/1.1\r\nContent-Length: 9000000\r\nX: "]
    with ExitStack() as stack:
        held = []
        for number in range(3 * MAX_UNKNOWN_PER_HOST):
            held.append(
                stack.enter_context(
                    socket.create_connection(("127.0.0.1", camp.service.port), BOUND_S, (STRANGER, 0))
                )
            )
            try:
                held[-1].sendall(starts[number % len(starts)])
            except OSError:
                pass  # one too many of that host
        camp.serves_others()
        for connection in held:
            try:
                assert connection.recv(1) == b""
            except OSError:
                pass
    camp.serves_others()


def test_a_body_without_a_token_is_not_read(camp: Camp):
    with socket.create_connection(("127.0.0.1", camp.service.port), BOUND_S, (STRANGER, 0)) as connection:
        connection.sendall(HEAD % (b"jsonrpc", b"Authorization: Bearer x\r\n", 8_000_000))
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")
        assert connection.recv(65536) == b""
    camp.serves_others()
