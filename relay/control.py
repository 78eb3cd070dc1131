# mypy: untyped-calls-exclude=twisted
"""How a person's commands reach a relay that runs: loopback, with a token that only its owner can read.

A Unix socket would do the same, but Windows' Twisted has none. The relay writes its port and a new token
into the state directory at each start; who can read that file has the key of the site anyway. One
request a connection, a line of JSON; the answer is lines of JSON, the last one with "done" or "error".
When the connection ends, so does what it asked for.
"""

import hmac
import json
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import ServerFactory
from twisted.protocols.basic import LineOnlyReceiver

from changecapture.errors import ChangeCaptureError, ConfigError
from relay.clock import Timer, cancel
from relay.log import Log
from relay.orders import Orders
from relay.trust.state import read_private, write_private

FILE = "control.json"
LINE_LIMIT = 1024 * 1024
"""A question of ``verify`` may carry rows."""
REQUEST_S = 10.0
CONNECT_S = 5.0
AGAIN_S = 10.0
"""Between two tries to write where it listens: a disk that is full keeps no relay from exchanging."""


class Control:
    """The relay's end."""

    def __init__(self, directory: Path, orders: Orders, *, reactor: Any, log: Log) -> None:
        """Nothing is opened before ``start``."""
        self._path = directory / FILE
        self._orders = orders
        self._reactor = reactor
        self._log = log
        self._port: Any = None
        self._token = secrets.token_hex(32)
        self._lines: set[_Line] = set()
        self._again: Timer | None = None

    def start(self) -> None:
        """Listen, and write where and with which token."""
        factory: Any = ServerFactory()
        factory.noisy = False
        factory.buildProtocol = lambda _: _Line(
            self._lines, self._token, self._orders, self._reactor, self._log
        )
        self._port = self._reactor.listenTCP(0, factory, interface="127.0.0.1")
        self._write()

    def _write(self) -> None:
        where = {"port": self._port.getHost().port, "token": self._token}
        try:
            write_private(self._path, json.dumps(where).encode())
        except ConfigError as error:
            if self._again is None:
                self._log.warning(f"no command reaches this relay yet: {error}")
            self._again = self._reactor.callLater(AGAIN_S, self._write)

    async def stop(self) -> None:
        """Hear no more."""
        cancel(self._again)
        if self._port is not None:
            await self._port.stopListening()
        for line in list(self._lines):
            line.transport.abortConnection()


class _Line(LineOnlyReceiver):
    """One connection."""

    transport: Any
    delimiter = b"\n"
    MAX_LENGTH = LINE_LIMIT

    def __init__(self, lines: "set[_Line]", token: str, orders: Orders, clock: Any, log: Log) -> None:
        self._lines = lines
        self._token = token
        self._orders = orders
        self._clock = clock
        self._log = log
        self._working: Deferred[None] | None = None
        self._timer: Any = None

    def connectionMade(self) -> None:
        """Wait for the request, not for ever."""
        self._lines.add(self)
        self._timer = self._clock.callLater(REQUEST_S, self.transport.abortConnection)

    def lineReceived(self, line: bytes) -> None:
        """Take the request, one."""
        if self._working is not None:
            return
        if self._timer.active():
            self._timer.cancel()
        request = self._read(line)
        if request is None:
            self.transport.abortConnection()
            return
        self._working = Deferred.fromCoroutine(self._answer(request))
        self._working.addErrback(lambda failure: failure.trap(CancelledError))

    def connectionLost(self, reason: Any = None) -> None:
        """End what it asked for."""
        self._lines.discard(self)
        if self._timer.active():
            self._timer.cancel()
        if self._working is not None:
            self._working.cancel()

    def _read(self, line: bytes) -> dict[str, Any] | None:
        """Return the request, None for who does not know the token."""
        try:
            request = json.loads(line)
            known = hmac.compare_digest(str(request.pop("token", "")).encode(), self._token.encode())
        except (ValueError, AttributeError, TypeError, RecursionError):
            return None
        return request if known else None

    async def _answer(self, request: dict[str, Any]) -> None:
        try:
            async for said in self._orders.carry_out(request):
                self._send(said)
        except CancelledError:
            raise
        except ChangeCaptureError as error:
            self._send({"error": {"what": error.what, "why": error.why, "mend": error.mend}})
        except Exception:
            self._log.failure("a mistake in the relay, in a command")
            self._send({"error": {"what": "a mistake in the relay", "why": "see its log", "mend": ""}})
        self.transport.loseConnection()

    def _send(self, said: dict[str, Any]) -> None:
        base: Any = self
        base.sendLine(json.dumps(said).encode())


def call(directory: Path, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Ask the relay that runs; yield what it says. Blocks. Raises ConfigError, RelayAway first of all."""
    content = read_private(directory / FILE)
    if content is None:
        raise RelayAway
    where = json.loads(content)
    try:
        line = socket.create_connection(("127.0.0.1", where["port"]), CONNECT_S)
    except OSError as error:
        raise RelayAway from error
    with line:
        line.settimeout(None)
        line.sendall(json.dumps({**request, "token": where["token"]}).encode() + b"\n")
        ended = False
        with line.makefile("rb") as stream:
            for text in stream:
                said = json.loads(text)
                if "error" in said:
                    wrong = said["error"]
                    raise ConfigError(wrong["what"], why=wrong["why"], mend=wrong["mend"])
                ended = "done" in said
                yield said
        if not ended:
            raise ConfigError("the relay has ended before it answered", mend="look into its log")


def answers(directory: Path) -> bool:
    """Return whether a relay listens for this state directory: it has come up. Raises ConfigError."""
    content = read_private(directory / FILE)
    if content is None:
        return False
    try:
        socket.create_connection(("127.0.0.1", json.loads(content)["port"]), CONNECT_S).close()
    except OSError:
        return False
    return True


class RelayAway(Exception):
    """No relay answers for this state directory."""
