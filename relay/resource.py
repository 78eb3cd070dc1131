# mypy: untyped-calls-exclude=twisted
"""What other relays may call: ``relay.messages`` over HTTP inside TLS, with long polls.

Nothing that arrives may stop or fill the server: bodies are bounded before they are read, only
calls of the exact form are heard, a mistake answers a fault without a traceback, held polls are
bounded and end with their connection. Whether the device may call is asked for each call, not only
when it connects. Web pages cannot call it, under whatever name: a browser has no paired device.
"""

import errno
import socket
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.tcp import Port
from twisted.web import pages
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from changecapture.errors import PeerError, RetryLater
from relay import messages
from relay.address import ANY
from relay.calls import Calls
from relay.clock import cancelled
from relay.door import Door, Step
from relay.log import Log
from relay.meter import Meter
from relay.pace import Pace
from relay.trust.desk import Desk
from relay.trust.identity import Identity
from relay.trust.peers import Peers
from relay.trust.tls import Contexts

IDLE_CONNECTION_S = 600
TRIES = 16
"""Of free ports, until one is free for IPv4 and for IPv6."""


class BoundedRequest(Request):
    """A request whose body is refused unread when it is too long, or of unknown length."""

    _refused = False

    def gotLength(self, length: int | None) -> None:
        """Answer and hang up, or prepare for the body: the head is known."""
        refusal = self.refuse(length)
        self._refused = bool(refusal)
        Request.gotLength(self, 0 if refusal else length)
        if refusal:
            transport: Any = self.channel.transport
            transport.write(b"HTTP/1.1 " + refusal + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.channel.loseConnection()

    def refuse(self, length: int | None) -> bytes:
        """Return the status to refuse a body of that length with, nothing to take it."""
        transport: Any = self.channel.transport
        return b"" if length is not None and length <= transport.limit else b"413 Content Too Large"

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body, unless it was refused."""
        if not self._refused:
            Request.handleContentChunk(self, data)

    def process(self) -> None:
        """Answer, unless it was refused: a short chunked body may be complete already."""
        if not self._refused:
            Request.process(self)


class Api(Resource):
    """All calls, at one path: those of paired devices, and the two that pair."""

    isLeaf = True

    def __init__(self, *, desk: Desk, peers: Peers, pace: Pace, log: Log) -> None:
        """``calls`` is set once there is a site to speak of."""
        Resource.__init__(self)
        self.calls: Calls | None = None
        self._desk = desk
        self._peers = peers
        self._pace = pace
        self._log = log

    def render(self, request: Request) -> int | bytes:
        """Answer a call, now or later."""
        device = _find_device(request)
        refused = 403 if device is None or not self._may_call(device) else _refuse(request)
        if device is None or refused:
            channel = request.channel
            request.setResponseCode(refused)
            request.setHeader("Content-Length", "0")
            request.finish()
            channel.loseConnection()
            return NOT_DONE_YET
        content = request.content
        body = content.read() if content is not None else b""
        answering = Deferred.fromCoroutine(self.answer(device, body))
        gone: Deferred[Any] = request.notifyFinish()
        gone.addErrback(lambda _: answering.cancel())
        answering.addCallbacks(_send, cancelled, callbackArgs=(request,))
        return NOT_DONE_YET

    async def answer(self, device: str, body: bytes) -> bytes:
        """Return the body of the answer to the call in ``body``: its answer or a fault."""
        try:
            call = messages.read_call(body)
            await self._pace.wait(device)
            result = await self._find(device, call.method)(device, *call.parameters)
            return messages.write_answer(result)
        except CancelledError:
            raise
        except PeerError as error:
            return messages.write_fault(messages.WRONG, str(error))
        except messages.GreetAnew as error:
            return messages.write_fault(messages.GREET, str(error))
        except RetryLater:
            return messages.write_fault(messages.BUSY, "it is busy or its database is away")
        except Exception:
            self._log.failure("a mistake in the relay, while it answered a peer")
            return messages.write_fault(messages.BROKEN, "a mistake at this site, see its log")

    def _may_call(self, device: str) -> bool:
        return self._peers.may_greet(device) or self._desk.is_open

    def _find(self, device: str, method: str) -> Any:
        """Return what answers a method, if this device may call it."""
        if method in messages.PAIRING:
            return getattr(self._desk, method)
        if not (self._peers.may_greet if method == "hello" else self._peers.is_paired)(device):
            raise PeerError("this device is not paired")
        if self.calls is None:
            raise RetryLater("there is no site here yet")
        return getattr(self.calls, method)


class _Root(Resource):
    """Has what is put into it and nothing else."""

    def getChild(self, path: bytes, request: Request) -> Any:
        """Return a plain 404."""
        return pages.notFound()


class _QuietSite(Site):
    """Writes no access log: nobody acts on a call every 25 s from each peer."""

    noisy = False
    displayTracebacks = False

    def log(self, request: Any) -> None:
        """Stay silent."""


class _OneFamilyPort(Port):
    """A port that is of IPv6 alone when its address is: some systems would take IPv4's too."""

    def createInternetSocket(self) -> Any:
        """Return the socket."""
        base: Any = super()
        made = base.createInternetSocket()
        if self.addressFamily == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return made


class Server:
    """The calls on a port, with the connections that it has."""

    def __init__(
        self, api: Api, *, identity: Identity, peers: Peers, desk: Desk, meter: Meter, reactor: Any
    ) -> None:
        """Make it; ``listen`` opens the port."""
        make_root: Any = _Root
        root = make_root()
        root.putChild(messages.PATH.removeprefix(b"/"), api)
        quiet: Any = _QuietSite
        site = quiet(root, requestFactory=BoundedRequest, timeout=IDLE_CONNECTION_S, reactor=reactor)
        self.door = Door(
            site, is_paired=peers.may_greet, pairs=lambda: desk.is_open, clock=reactor, meter=meter
        )
        self._step = Step(self.door, Contexts(identity, self.door.accepts), reactor)
        self._reactor = reactor
        self._ports: list[Any] = []

    def listen(self, host: str, port: int) -> int:
        """Open the port; return its number. Raises CannotListenError."""
        if host != ANY:
            return self._listen(host, port)
        for left in reversed(range(TRIES)):
            number = self._listen("0.0.0.0", port)
            if self._listen_ipv6(number, may_fail=left > 0 and port == 0):
                return number
            Deferred.fromCoroutine(self._stop_listening())
        raise AssertionError

    def _listen(self, host: str, port: int) -> int:
        make_port: Any = _OneFamilyPort
        opened = make_port(port, self._step, 50, host, self._reactor)
        opened.startListening()
        self._ports.append(opened)
        number: int = opened.getHost().port
        return number

    def _listen_ipv6(self, port: int, *, may_fail: bool) -> bool:
        """Return whether the port is open for IPv6 too, or this machine has none."""
        try:
            self._listen("::", port)
        except CannotListenError as error:
            if error.socketError.errno != errno.EADDRINUSE:
                return True
            if not may_fail:
                raise
            return False
        except OSError:
            return True
        return True

    async def close(self) -> None:
        """Close the port and every connection."""
        await self._stop_listening()
        self.door.close()

    async def _stop_listening(self) -> None:
        ports, self._ports = self._ports, []
        for port in ports:
            await port.stopListening()


def _find_device(request: Request) -> str | None:
    """Return which device calls; TLS has proved it."""
    transport: Any = request.channel.transport
    device: str | None = transport.device
    return device


def _refuse(request: Request) -> int:
    """Return the HTTP status for a request that no relay sends, 0 for one that may be a call."""
    if request.method != b"POST":
        return 405
    kind = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
    return 0 if kind == "text/xml" else 415


def _send(body: bytes, request: Request) -> None:
    request.setHeader("Content-Type", "text/xml")
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()
