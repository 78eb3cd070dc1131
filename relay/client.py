# mypy: untyped-calls-exclude=twisted
"""Calls to other relays: one kept connection each, bounded in time and size.

Not ``xmlrpc.Proxy``: that opens a connection per call, which over GPRS costs more than the call.
Time is bounded by what is left of progress, not by the whole: an answer must begin within
``ANSWER_S`` of the last piece of the call (after the time that we allowed the peer to hold it) and
then no two pieces may lie more than ``SILENCE_S`` apart, so that a slow link may take minutes for a
payload and a deaf one may not. A greeting or a poke is small: a peer that does not answer it within
``SHORT_S`` is not there.

Raises PeerError when the peer answers what it must not, RetryLater for everything else.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    FileBodyProducer,
    HTTPConnectionPool,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers

from changecapture.errors import PeerError, RetryLater
from relay import messages
from relay.address import Address
from relay.clock import Clock, Timer, cancel

CONNECT_S = 10.0
ANSWER_S = 60.0
SHORT_S = 20.0
SILENCE_S = 30.0
KEEP_S = 240
"""How long an idle connection is kept; below the server's own limit (``relay.resource``)."""
CONNECTIONS = 2
"""To one peer: the pull that it holds, and another call beside it."""


class Client:
    """The methods of ``relay.messages``, as coroutines."""

    def __init__(self, reactor: Any, body_limit: int = messages.BODY_LIMIT) -> None:
        """Make it; connections are made when needed."""
        self._clock: Clock = reactor
        self._body_limit = body_limit
        self._pool: Any = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = CONNECTIONS
        self._pool.cachedConnectionTimeout = KEEP_S
        self._agent = Agent(reactor, connectTimeout=CONNECT_S, pool=self._pool)

    async def hello(self, address: Address, greeting: str, name: str) -> tuple[str, str]:
        """Return the greeting (JSON) and the name of the site at that address."""
        return messages.read_greeting(await self._call(address, SHORT_S, "hello", greeting, name))

    async def pull(self, address: Address, request: str, wait_s: int) -> bytes:
        """Return a payload; empty when the peer has news but wants to be asked again."""
        return messages.read_payload(await self._call(address, wait_s + ANSWER_S, "pull", request, wait_s))

    async def push(self, address: Address, site: str, payload: bytes) -> str:
        """Carry a payload (or nothing) there; return what the peer lacks then, as its request (JSON)."""
        return messages.read_wants(await self._call(address, ANSWER_S, "push", site, payload))

    async def poke(self, address: Address, site: str) -> None:
        """Tell the peer that there is news here."""
        messages.read_done(await self._call(address, SHORT_S, "poke", site))

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._pool.closeCachedConnections()

    async def _call(self, address: Address, within_s: float, method: str, *parameters: Any) -> bytes:
        upload = Upload(messages.write_call(method, *parameters))
        body: Any = FileBodyProducer(upload)
        headers = Headers({b"Content-Type": [b"text/xml"]})
        url = b"http://" + str(address).encode() + messages.PATH
        answering = self._agent.request(b"POST", url, headers, body)
        timer: Timer = self._clock.callLater(within_s, answering.cancel)
        upload.taken = lambda: timer.reset(within_s) if timer.active() else None
        try:
            response: Any = await answering
        except Exception as error:
            if not timer.active():
                raise RetryLater("no answer in time") from error
            raise _link_error(error) from error
        finally:
            cancel(timer)
        collected = Body(self._body_limit, self._clock)
        response.deliverBody(collected)
        content = await collected.done
        if response.code != 200:
            raise PeerError(f"HTTP status {response.code}")
        return content


class Upload(BytesIO):
    """The body of a call; ``taken`` is called whenever a piece of it is wanted: the link moves."""

    taken: Callable[[], None] = staticmethod(lambda: None)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next piece."""
        self.taken()
        return super().read(size)


class Body(Protocol):
    """Collects an answer, up to a limit and while something arrives."""

    def __init__(self, limit: int, clock: Clock) -> None:
        """Begin to wait for the first piece."""
        self.done: Deferred[bytes] = Deferred(self._cancelled)
        self._limit = limit
        self._clock = clock
        self._pieces: list[bytes] = []
        self._size = 0
        self._timer: Timer = clock.callLater(SILENCE_S, self._silent)

    def dataReceived(self, data: bytes) -> None:
        """Take a piece."""
        self._size += len(data)
        if self._size > self._limit:
            self._fail(PeerError(f"an answer of more than {self._limit} bytes"))
            return
        self._pieces.append(data)
        cancel(self._timer)
        self._timer = self._clock.callLater(SILENCE_S, self._silent)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        """Take the end: of the answer, or of the connection."""
        cancel(self._timer)
        if self.done.called:
            return
        # This and its Deferred know each other: what it keeps, it keeps until cycles are collected.
        pieces, self._pieces = self._pieces, []
        if reason.check(ResponseDone):
            self.done.callback(b"".join(pieces))
        else:
            self.done.errback(_link_error(reason.value or ConnectionDone()))

    def _silent(self) -> None:
        self._fail(RetryLater("the answer stopped halfway"))

    def _cancelled(self, _: Deferred[bytes]) -> None:
        self._fail(CancelledError())

    def _fail(self, error: Exception) -> None:
        cancel(self._timer)
        self._pieces.clear()
        if not self.done.called:
            self.done.errback(error)
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()


def _link_error(error: BaseException) -> Exception:
    """Return what a person can read of an error of the connection."""
    if isinstance(error, ResponseNeverReceived | ResponseFailed) and error.reasons:
        causes = [reason.value for reason in error.reasons if reason.value is not None]
        # Whoever was cancelled must not take it for a bad link and go on.
        cancelled = [cause for cause in causes if isinstance(cause, CancelledError)]
        error = (cancelled or causes or [error])[0]
    if isinstance(error, CancelledError):
        return error
    if isinstance(error, ConnectionLost | ConnectionDone):
        return RetryLater("the connection was lost")
    if isinstance(error, ConnectError):
        return RetryLater((type(error).__doc__ or str(error)).strip().rstrip("."))
    return RetryLater(messages.clean(str(error) or type(error).__name__, 200))
