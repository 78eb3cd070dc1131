# mypy: untyped-calls-exclude=twisted
"""What other relays may call: ``relay.messages`` over HTTP, with long polls.

Nothing that arrives may stop or fill the server: bodies are bounded before they are read, only
calls of the exact form are heard, a mistake answers a fault without a traceback, held polls are
bounded and end with their connection. Web pages cannot call it: they cannot send ``text/xml`` to
another host without asking first, and their ``Host`` is not this machine.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.protocols.policies import WrappingFactory
from twisted.web import pages
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from changecapture.errors import OutOfStep, PeerError, RetryLater
from changecapture.sync import Received
from relay import messages
from relay.address import is_loopback
from relay.clock import Clock, cancelled
from relay.database import Database
from relay.log import Log
from relay.polls import Outcome, Polls

LONGEST_HOLD_S = 60
IDLE_CONNECTION_S = 600


class BoundedRequest(Request):
    """A request whose body is refused unread when it is too long, or of unknown length."""

    limit = messages.BODY_LIMIT
    _refused = False

    def gotLength(self, length: int | None) -> None:
        """Answer 413 and hang up, or prepare for the body."""
        if length is not None and length <= self.limit:
            Request.gotLength(self, length)
            return
        Request.gotLength(self, 0)
        self._refused = True
        transport: Any = self.channel.transport
        transport.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.channel.loseConnection()

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body, unless it was refused."""
        if not self._refused:
            Request.handleContentChunk(self, data)

    def process(self) -> None:
        """Answer, unless it was refused: a short chunked body may be complete already."""
        if not self._refused:
            Request.process(self)


class Api(Resource):
    """The methods, one ``_name`` each, at one path."""

    isLeaf = True

    def __init__(
        self,
        *,
        database: Database,
        polls: Polls,
        name: str,
        heard: Callable[[str], None],
        pulled: Callable[[str], bool],
        received: Callable[[str, Received], None],
        clock: Clock,
        log: Log,
    ) -> None:
        """``name`` is this site's, for people; ``heard`` is told the site that called us, ``received`` what
        it pushed; ``pulled`` tells whether we pull from that site ourselves."""
        Resource.__init__(self)
        self._database = database
        self._polls = polls
        self._name = name
        self._heard = heard
        self._pulled = pulled
        self._received = received
        self._clock = clock
        self._log = log

    def render(self, request: Request) -> int | bytes:
        """Answer a call, now or later."""
        refused = _refuse(request)
        if refused:
            request.setResponseCode(refused)
            return b""
        content = request.content
        body = content.read() if content is not None else b""
        answering = Deferred.fromCoroutine(self.answer(body))
        gone: Deferred[Any] = request.notifyFinish()
        gone.addErrback(lambda _: answering.cancel())
        answering.addCallbacks(_send, cancelled, callbackArgs=(request,))
        return NOT_DONE_YET

    async def answer(self, body: bytes) -> bytes:
        """Return the body of the answer to the call in ``body``: its answer or a fault."""
        try:
            call = messages.read_call(body)
            result = await getattr(self, f"_{call.method}")(*call.parameters)
            return messages.write_answer(result)
        except CancelledError:
            raise
        except PeerError as error:
            return messages.write_fault(messages.WRONG, str(error))
        except RetryLater:
            return messages.write_fault(messages.BUSY, "it is busy or its database is away")
        except Exception:
            self._log.failure("a mistake in the relay, while it answered a peer")
            return messages.write_fault(messages.BROKEN, "a mistake at this site, see its log")

    async def _hello(self, greeting: str, name: str) -> list[str]:
        theirs = self._database.exchange.read_greeting(greeting)
        await self._database.meet(theirs)
        own = await self._database.greet(theirs.site)
        if theirs.site != own.site:
            self._heard(messages.check_site(theirs.site))
        return [own.to_json(), self._name]

    async def _poke(self, site: str) -> bool:
        self._heard(messages.check_site(site))
        return True

    async def _push(self, site: str, payload: bytes) -> str:
        if self._pulled(messages.check_site(site)):
            return ""
        if payload:
            try:
                self._received(site, await self._database.receive(site, payload))
            except OutOfStep:
                # It came twice, or we pulled meanwhile: the answer says where to go on.
                pass
        return (await self._database.next_request(site)).to_json()

    async def _pull(self, text: str, wait_s: int) -> bytes:
        request = self._database.exchange.read_request(text)
        poll = self._polls.open(messages.check_site(request.site))
        try:
            answer = await self._database.answer(request)
            if answer.entries or not answer.last or wait_s <= 0:
                return answer.payload
            # Not kept while the poll is held: there may be many.
            del answer
            outcome = await poll.hold(min(wait_s, LONGEST_HOLD_S), self._clock)
            if outcome is Outcome.ASK:
                return b""
            return (await self._database.answer(request)).payload
        finally:
            self._polls.close(poll)


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


class Server:
    """The resource on a port, with the connections that it has."""

    def __init__(self, api: Api, reactor: Any) -> None:
        """Make it; ``listen`` opens the port."""
        make_root: Any = _Root
        root = make_root()
        root.putChild(messages.PATH.removeprefix(b"/"), api)
        quiet: Any = _QuietSite
        site = quiet(root, requestFactory=BoundedRequest, timeout=IDLE_CONNECTION_S, reactor=reactor)
        self._factory = WrappingFactory(site)
        self._factory.noisy = False
        self._reactor = reactor
        self._port: Any = None

    def listen(self, host: str, port: int) -> int:
        """Open the port; return its number. Raises CannotListenError."""
        self._port = self._reactor.listenTCP(port, self._factory, interface=host)
        number: int = self._port.getHost().port
        return number

    async def close(self) -> None:
        """Close the port and every connection."""
        if self._port is not None:
            port, self._port = self._port, None
            await port.stopListening()
        for connection in list(self._factory.protocols):
            connection.transport.abortConnection()


def _refuse(request: Request) -> int:
    """Return the HTTP status for a request that no relay sends, 0 for one that may be a call."""
    if request.method != b"POST":
        return 405
    host = (request.getHeader("host") or "").rpartition(":")[0]
    if not is_loopback(host):
        return 403
    kind = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
    return 0 if kind == "text/xml" else 415


def _send(body: bytes, request: Request) -> None:
    request.setHeader("Content-Type", "text/xml")
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()
