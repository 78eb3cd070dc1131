# mypy: untyped-calls-exclude=twisted
"""Who is let in: connections are counted before TLS, and cut early when no paired device is behind them.

Whoever can reach the port can open connections and begin handshakes; that must cost us little and the
others nothing. A connection is *unknown* until its device has shown itself to be paired: there are
few of those, few from one host, and none lives long. A paired device has few connections too; one
too many ends its oldest, which may be half open for ever.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from relay import messages
from relay.address import find_network
from relay.clock import Clock, Timer, cancel
from relay.meter import Meter, Metered, count_protocol
from relay.trust.tls import peer_device

HANDSHAKE_S = 15.0
"""A handshake over a satellite takes two seconds."""
PAIRING_S = 30.0
"""The life of a connection that may only pair."""
MAX_UNKNOWN = 64
MAX_UNKNOWN_PER_HOST = 16
"""Sites behind one NAT share a host; all of a /64 of IPv6 are one."""
MAX_PER_DEVICE = 8


@implementer(IHandshakeListener)
class Guest(ProtocolWrapper):
    """A connection, inside TLS. What serves it reads ``device`` and ``limit``."""

    factory: Any

    def __init__(self, factory: Any, wrapped: Any) -> None:
        """Nobody is known yet."""
        ProtocolWrapper.__init__(self, factory, wrapped)
        self.device: str | None = None
        self.limit = messages.STRANGER_LIMIT
        self.network = ""
        self.timer: Timer | None = None

    def makeConnection(self, transport: Any) -> None:
        """Begin the handshake, within bounds."""
        base: Any = super()
        base.makeConnection(transport)
        self.factory.begin(self)

    def handshakeCompleted(self) -> None:
        """Learn who it is."""
        self.factory.met(self)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        """Forget it."""
        self.factory.end(self)
        base: Any = super()
        base.connectionLost(reason)

    def cut(self) -> None:
        """End it without a word."""
        self.transport.abortConnection()  # type: ignore[union-attr]


class Door(WrappingFactory[Guest]):
    """All connections of a port."""

    protocol = Guest
    noisy = False
    most = MAX_PER_DEVICE

    def __init__(
        self,
        site: Any,
        *,
        is_paired: Callable[[str], bool],
        pairs: Callable[[], bool],
        clock: Clock,
        handshake_s: float = HANDSHAKE_S,
        meter: Meter | None = None,
    ) -> None:
        """``site`` serves who is let in; ``pairs``: whether a code is shown now; ``handshake_s``: how long a
        connection may take to show who is behind it; ``meter`` counts what paired devices say."""
        base: Any = super()
        base.__init__(site)
        self._is_paired = is_paired
        self._pairs = pairs
        self._clock = clock
        self._handshake_s = handshake_s
        self.meter = meter
        self._unknown: dict[str, list[Guest]] = {}
        self._known: dict[str, list[Guest]] = {}

    def accepts(self, device: str) -> bool:
        """Return whether a handshake with a device may go on."""
        return self._is_paired(device) or self._pairs()

    def make_room(self, host: str) -> None:
        """Let one more come from a host. Where that is too many, who has been unknown for longest is cut: of
        its own network, else of the one that has most; a handshake that goes on has come lately."""
        own = self._unknown.get(find_network(host), [])
        if len(own) >= MAX_UNKNOWN_PER_HOST:
            self._turn_out(own[0])
        elif self.count_unknown() >= MAX_UNKNOWN:
            self._turn_out(max(self._unknown.values(), key=len)[0])

    def count_unknown(self) -> int:
        """Return how many connections there are of which it is not known who they are."""
        return sum(map(len, self._unknown.values()))

    def begin(self, guest: Guest) -> None:
        """A connection begins."""
        connection: Any = guest
        guest.network = find_network(connection.getPeer().host)
        self._unknown.setdefault(guest.network, []).append(guest)
        guest.timer = self._clock.callLater(self._handshake_s, guest.cut)

    def met(self, guest: Guest) -> None:
        """TLS is made."""
        self.know(guest, peer_device(guest.transport))

    def know(self, guest: Guest, device: str | None) -> None:
        """Its device has proved who it is."""
        cancel(guest.timer)
        if device is None or not guest.network or not self.accepts(device):
            guest.cut()
            return
        if not self._is_paired(device):
            guest.device = device
            guest.timer = self._clock.callLater(PAIRING_S, guest.cut)
            return
        self._forget_unknown(guest)
        guest.device, guest.limit = device, messages.BODY_LIMIT
        self._count(guest, device)
        guests = self._known.setdefault(device, [])
        guests.append(guest)
        if len(guests) > self.most:
            guests[0].cut()

    def end(self, guest: Guest) -> None:
        """A connection is gone."""
        cancel(guest.timer)
        if guest in self._known.get(guest.device or "", []):
            self._known[str(guest.device)].remove(guest)
        elif guest.network:
            self._forget_unknown(guest)
        if not self._known.get(guest.device or "", True):
            del self._known[str(guest.device)]

    def forget(self, device: str) -> None:
        """End the connections of a device that is no longer paired."""
        for guest in list(self.protocols):
            if guest.device == device:
                guest.cut()

    def count(self, device: str) -> int:
        """Return how many connections a paired device has."""
        return len(self._known.get(device, ()))

    def close(self) -> None:
        """End all."""
        for guest in list(self.protocols):
            guest.cut()

    def _count(self, guest: Guest, device: str) -> None:
        """Count a connection for its device, from its beginning."""
        tls: Any = guest.transport
        if self.meter is not None and isinstance(tls.transport, Metered):
            tls.transport.bind(self.meter.of(device))

    def _turn_out(self, guest: Guest) -> None:
        self._forget_unknown(guest)
        guest.cut()

    def _forget_unknown(self, guest: Guest) -> None:
        others = self._unknown[guest.network]
        others.remove(guest)
        if not others:
            del self._unknown[guest.network]
        guest.network = ""


class Step(Factory):
    """Before the door: makes room for those that come."""

    noisy = False

    def __init__(self, door: Door, contexts: Any, reactor: Any) -> None:
        """``contexts``: of TLS, None to speak without."""
        inside: Any = door
        self._door = door
        self._inside = inside if contexts is None else TLSMemoryBIOFactory(contexts, False, inside, reactor)
        self._inside.noisy = False

    def buildProtocol(self, address: Any) -> Any:
        """Return what serves a connection."""
        self._door.make_room(address.host)
        made = self._inside.buildProtocol(address)
        return made if self._door.meter is None else count_protocol(made)

    def doStart(self) -> None:
        """A port opens."""
        self._inside.doStart()

    def doStop(self) -> None:
        """A port closes."""
        self._inside.doStop()
