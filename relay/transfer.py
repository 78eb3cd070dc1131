# mypy: untyped-calls-exclude=twisted
"""A call's body on its way out, its answer on its way in, and what a person can read of a link that broke."""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone

from changecapture.errors import PeerError, RetryLater
from relay import messages
from relay.clock import Clock, Timer, cancel

SILENCE_S = 30.0
PIECE_BYTES = 1024
REFUSED = "it does not let this site in: pair them again"
UNPINNED = "another device answers there"


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
        self._size = self._heard = 0
        self._timer: Timer = clock.callLater(SILENCE_S, self._silent)

    def dataReceived(self, data: bytes) -> None:
        """Take a piece."""
        self._size += len(data)
        if self._size > self._limit:
            self._fail(PeerError(f"an answer of more than {self._limit} bytes"))
            return
        self._pieces.append(data)
        if self._size >= self._heard + PIECE_BYTES:
            self._heard = self._size
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
            self.done.errback(link_error(reason.value or ConnectionDone()))

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


def link_error(error: BaseException) -> Exception:
    """Return what a person can read of an error of the connection."""
    causes = list(_find_causes(error))
    # Whoever was cancelled must not take it for a bad link and go on.
    cancelled = [cause for cause in causes if isinstance(cause, CancelledError)]
    error = (cancelled or causes)[0]
    if isinstance(error, CancelledError):
        return error
    if isinstance(error, SSL.Error):
        return RetryLater(_tls_reason(error))
    if isinstance(error, ConnectionLost | ConnectionDone):
        return RetryLater("the connection was lost")
    if isinstance(error, ConnectError):
        return RetryLater((type(error).__doc__ or str(error)).strip().rstrip("."))
    return RetryLater(messages.clean(str(error) or type(error).__name__, 200))


def _find_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what Twisted has wrapped, once for each part of a request that failed of it."""
    reasons = [reason.value for reason in getattr(error, "reasons", None) or ()]
    for reason in reasons:
        yield from _find_causes(reason)
    if not reasons:
        yield error


def _tls_reason(error: SSL.Error) -> str:
    """Return what a broken handshake means: either end may have refused the other's device."""
    reasons = str(error)
    if "certificate verify failed" in reasons:
        return UNPINNED
    if "alert" in reasons or "tlsv1" in reasons:
        return REFUSED
    return "what answers there is no relay"
