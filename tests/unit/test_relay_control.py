"""Commands of a person reach a relay that runs; nothing else on this machine does."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import StringTransport

from relay.control import AGAIN_S, FILE, REQUEST_S, Control
from tests.unit.relay_fake import FakeLog, FakeReactor


class Orders:
    """Takes note of what is ordered."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []

    async def carry_out(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        self.given.append(request)
        yield {"done": "so"}


class Port:
    def getHost(self) -> Any:
        return self

    port = 1


class Reactor(FakeReactor):
    """Keeps what serves a port."""

    def listenTCP(self, port: int, factory: Any, interface: str) -> Port:
        assert interface == "127.0.0.1"
        self.factory = factory
        return Port()


class Transport(StringTransport):
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class Fixture:
    def __init__(self, directory: Path) -> None:
        self.clock, self.orders, self.transport = Reactor(), Orders(), Transport()
        self.log, self.file = FakeLog(), directory / FILE
        orders: Any = self.orders
        Control(directory, orders, reactor=self.clock, log=self.log).start()
        if not self.file.exists():
            return
        self.token = json.loads(self.file.read_text())["token"]
        self.line = self.clock.factory.buildProtocol(None)
        self.line.makeConnection(self.transport)


def test_who_knows_the_token_is_obeyed_and_only_the_owner_can_read_it(tmp_path):
    f = Fixture(tmp_path)
    f.line.dataReceived(json.dumps({"order": "peers", "token": f.token}).encode() + b"\n")
    assert f.orders.given == [{"order": "peers"}]
    assert json.loads(f.transport.value()) == {"done": "so"}
    assert f.file.stat().st_mode & 0o077 == 0 and len(f.token) == 64


@pytest.mark.parametrize(
    "said",
    [
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + b'{"order": "pair"}\n',
        b'{"order": "pair"}\n',
        b'{"order": "pair", "token": ""}\n',
        b'{"order": "pair", "token": "%s"}\n' % (b"0" * 64),
        b'{"order": "pair", "token": null}\n',
        b"[]\n",
        b"[" * 100_000 + b"\n",
        b"\xff\n",
    ],
)
def test_a_page_in_a_browser_and_who_does_not_know_the_token_order_nothing(tmp_path, said):
    f = Fixture(tmp_path)
    f.line.dataReceived(said)
    assert f.transport.aborted and f.orders.given == [] and f.transport.value() == b""


def test_who_says_nothing_is_cut(tmp_path):
    f = Fixture(tmp_path)
    f.clock.advance(REQUEST_S)
    assert f.transport.aborted


def test_a_relay_that_cannot_write_where_it_listens_says_so_once_and_tries_again(tmp_path):
    in_the_way = tmp_path / f"{FILE}.new"
    in_the_way.mkdir()
    f = Fixture(tmp_path)
    f.clock.advance(AGAIN_S)
    assert not f.file.exists()
    ((_, said),) = f.log.lines
    assert "no command reaches this relay yet: cannot write" in said
    in_the_way.rmdir()
    f.clock.advance(AGAIN_S)
    assert json.loads(f.file.read_text())["port"] == Port.port
