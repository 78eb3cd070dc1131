# mypy: untyped-calls-exclude=twisted
"""How many bytes go over the wire, to and from each device, since the relay began.

All that TCP carries: calls and answers with their heads, TLS, handshakes; so what a mobile network asks money
for, but for the heads of IP and TCP. A connection that was made to us is counted for its device once that has
proved who it is; who never does is counted for nobody.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory


@dataclass(slots=True)
class Wire:
    """What went to a device and came from it, in bytes, and over how many connections."""

    sent: int = 0
    received: int = 0
    connections: int = 0


def tell_size(size: int) -> str:
    """Return a number of bytes as people read it."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (1000, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


class Meter:
    """The counts of all devices."""

    def __init__(self) -> None:
        """Nothing has been said."""
        self._wires: defaultdict[str, Wire] = defaultdict(Wire)

    def of(self, device: str) -> Wire:
        """Return the counts of a device: they go on counting."""
        return self._wires[device]


class Metered(ProtocolWrapper):
    """A connection that is counted, below TLS."""

    def __init__(self, factory: Any, wrapped: Any) -> None:
        """It is counted for whom the factory says; ``bind`` may say it later."""
        ProtocolWrapper.__init__(self, factory, wrapped)
        self._wire: Wire = factory.wire
        self._wire.connections += 1

    def bind(self, wire: Wire) -> None:
        """It is of a device, known now: count there what there was, and what comes."""
        before, self._wire = self._wire, wire
        wire.sent += before.sent
        wire.received += before.received
        wire.connections += before.connections

    def write(self, data: bytes) -> None:
        """Count what goes out."""
        self._wire.sent += len(data)
        ProtocolWrapper.write(self, data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Count what goes out."""
        self.write(b"".join(data))

    def dataReceived(self, data: bytes) -> None:
        """Count what comes in."""
        self._wire.received += len(data)
        ProtocolWrapper.dataReceived(self, data)


class _Counting(WrappingFactory[Metered]):
    """Makes counted connections of another factory's."""

    protocol = Metered
    noisy = False

    def __init__(self, inner: Any, wire: Wire) -> None:
        base: Any = super()
        base.__init__(inner)
        self.wire = wire


def count_protocol(made: Any) -> Any:
    """Return what serves a connection, counted for nobody yet; None stays None."""
    if made is None:
        return None
    factory: Any = _Counting(Factory(), Wire())
    return Metered(factory, made)


class CountedEndpoint:
    """An endpoint whose connections are counted for one device."""

    def __init__(self, endpoint: Any, wire: Wire) -> None:
        """``endpoint`` makes them."""
        self._endpoint = endpoint
        self._wire = wire

    def connect(self, factory: Any) -> "Deferred[Any]":
        """Return what the factory made, once it is connected."""
        counting: Any = _Counting
        connected: Deferred[Any] = self._endpoint.connect(counting(factory, self._wire))
        return connected.addCallback(lambda counted: counted.wrappedProtocol)
