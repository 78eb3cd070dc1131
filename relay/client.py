# mypy: untyped-calls-exclude=twisted
"""Calls to other relays: one kept connection each, bounded in time and size.

Not ``xmlrpc.Proxy``: that opens a connection per call, which over GPRS costs more than the call.
Time is bounded by what is left of progress, not by the whole: an answer must begin within
``ANSWER_S`` of the last piece of the call, or ``SHORT_S`` after the time that we allow the peer to hold it;
then each ``SILENCE_S`` must bring ``PIECE_BYTES`` of it, or its end: so a slow link may take minutes for a
payload, and who sends a byte a second may not. A greeting or a poke is small: a peer that does not answer it
within ``SHORT_S`` is not there.

Each connection is to one device: TLS pins it (``relay.trust.tls``), each call asks first whether that
device is still paired, and what is kept of an unpaired one is closed.

Raises PeerError when the peer answers what it must not, RetryLater for everything else.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    FileBodyProducer,
    HTTPConnectionPool,
)
from twisted.web.http_headers import Headers

from changecapture.errors import PeerError, RetryLater
from relay import messages
from relay.address import Address
from relay.clock import Clock, Timer, cancel
from relay.meter import CountedEndpoint, Meter, Wire
from relay.transfer import REFUSED, Body, Upload, link_error
from relay.trust.identity import SHORT, Identity
from relay.trust.tls import Contexts

CONNECT_S = 10.0
ANSWER_S = 60.0
SHORT_S = 20.0
KEEP_S = 240
"""How long an idle connection is kept; below the server's own limit (``relay.resource``)."""
CONNECTIONS = 2
"""To one peer: the pull that it holds, and another call beside it."""


class Client:
    """The methods of ``relay.messages``, as coroutines."""

    def __init__(
        self,
        reactor: Any,
        *,
        identity: Identity,
        is_paired: Callable[[str], bool],
        meter: Meter,
        body_limit: int = messages.BODY_LIMIT,
    ) -> None:
        """``identity`` is this device's; ``is_paired`` tells whom it may speak with; ``meter`` counts."""
        self._reactor = reactor
        self._clock: Clock = reactor
        self._identity = identity
        self._is_paired = is_paired
        self._meter = meter
        self._body_limit = body_limit
        self._lines: dict[str, _Line] = {}

    async def identify(self, address: Address) -> str:
        """Return which device answers at an address; it is told nothing, not even who asks."""
        seen: list[str] = []

        def look(device: str) -> bool:
            seen.append(device)
            return False

        endpoint = _endpoint(self._reactor, address, Contexts(self._identity, look), Wire())
        ended: Deferred[None] = Deferred()
        timer: Timer = self._clock.callLater(CONNECT_S, ended.cancel)
        connection: Any = None
        try:
            connection = await endpoint.connect(Factory.forProtocol(lambda: _Glance(ended)))
            await ended
        except CancelledError:
            if timer.active():
                raise
            raise RetryLater("no answer in time") from None
        except Exception as error:
            raise link_error(error) from error
        finally:
            cancel(timer)
            if connection is not None and not connection.lost:
                connection.transport.abortConnection()
        if not seen:
            raise RetryLater("what answers there is no relay")
        return seen[0]

    async def hello(
        self, address: Address, device: str, greeting: str, card: str, introduction: str
    ) -> tuple[str, str, str]:
        """Return greeting, card (both JSON) and introduction of the device at that address."""
        body = await self._call(address, device, SHORT_S, "hello", greeting, card, introduction)
        return messages.read_greeting(body)

    async def pull(self, address: Address, device: str, request: str, exchange: str, wait_s: int) -> bytes:
        """Return a payload; empty when the peer has news but wants to be asked again."""
        # A connection that was forgotten on the way is silent like a poll that is held: not for longer.
        within_s = wait_s + SHORT_S if wait_s else ANSWER_S
        body = await self._call(address, device, within_s, "pull", request, exchange, wait_s)
        return messages.read_payload(body)

    async def push(self, address: Address, device: str, site: str, exchange: str, payload: bytes) -> str:
        """Carry a payload (or nothing) there; return what the peer lacks then, as its request (JSON)."""
        body = await self._call(address, device, ANSWER_S, "push", site, exchange, payload)
        return messages.read_wants(body)

    async def poke(self, address: Address, device: str, site: str) -> None:
        """Tell the peer that there is news here."""
        messages.read_done(await self._call(address, device, SHORT_S, "poke", site))

    async def verify(self, address: Address, device: str, question: str) -> str:
        """Return what the peer answers to a question about what it shows."""
        return messages.read_told(await self._call(address, device, ANSWER_S, "verify", question))

    async def pair(self, address: Address, device: str, message: str, name: str) -> tuple[str, str, str]:
        """Return message, name and proof of a device that shows a code: of one that is not paired yet."""
        return messages.read_guess(await self._call(address, device, SHORT_S, "pair", message, name))

    async def confirm(self, address: Address, device: str, proof: str) -> bool:
        """Return whether that device has paired this one."""
        return messages.read_done(await self._call(address, device, SHORT_S, "confirm", proof))

    async def close(self) -> None:
        """Close the connections that are kept."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            await line.close()

    def forget(self, device: str) -> None:
        """Close the connections to a device."""
        line = self._lines.pop(device, None)
        if line is not None:
            Deferred.fromCoroutine(line.close())

    async def _call(
        self, address: Address, device: str, within_s: float, method: str, *parameters: Any
    ) -> bytes:
        if not self._is_paired(device) and method not in messages.PAIRING:
            raise PeerError(f"device {device[:SHORT]} is not paired")
        line = self._lines.get(device)
        if line is None:
            line = self._lines[device] = _Line(self._reactor, self._identity, device, self._meter.of(device))
        upload = Upload(messages.write_call(method, *parameters))
        body: Any = FileBodyProducer(upload)
        headers = Headers({b"Content-Type": [b"text/xml"]})
        url = b"https://" + str(address).encode() + messages.PATH
        answering = line.agent.request(b"POST", url, headers, body)
        timer: Timer = self._clock.callLater(within_s, answering.cancel)
        upload.taken = lambda: timer.reset(within_s) if timer.active() else None
        try:
            response: Any = await answering
        except Exception as error:
            if not timer.active():
                raise RetryLater("no answer in time") from error
            raise link_error(error) from error
        finally:
            cancel(timer)
        collected = Body(self._body_limit, self._clock)
        response.deliverBody(collected)
        content = await collected.done
        if response.code == 403:
            raise RetryLater(REFUSED)
        if response.code != 200:
            raise PeerError(f"HTTP status {response.code}")
        return content


class _Line:
    """The connections to one device, whatever its addresses are."""

    def __init__(self, reactor: Any, identity: Identity, device: str, wire: Wire) -> None:
        self._reactor = reactor
        self._wire = wire
        self._contexts = Contexts(identity, lambda other: other == device)
        self._pool: Any = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = CONNECTIONS
        self._pool.cachedConnectionTimeout = KEEP_S
        factory: Any = self
        self.agent = Agent.usingEndpointFactory(reactor, factory, self._pool)

    def endpointForURI(self, uri: Any) -> Any:
        """Return where the agent connects to."""
        return _endpoint(self._reactor, Address(uri.host.decode(), uri.port), self._contexts, self._wire)

    async def close(self) -> None:
        """Close those that are kept."""
        await self._pool.closeCachedConnections()


class _Glance(Protocol):
    """Waits for the end of a connection."""

    def __init__(self, ended: "Deferred[None]") -> None:
        self.lost = False
        self._ended = ended

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        """Take it."""
        self.lost = True
        if not self._ended.called:
            self._ended.callback(None)


def _endpoint(reactor: Any, address: Address, contexts: Contexts, wire: Wire) -> Any:
    creator: Any = contexts
    # HostnameEndpoint forgets which link an address of IPv6 is on (fe80::1%eth0).
    make: Any = TCP6ClientEndpoint if ":" in address.host else HostnameEndpoint
    counted: Any = CountedEndpoint(make(reactor, address.host, address.port, CONNECT_S), wire)
    return wrapClientTLS(creator, counted)
