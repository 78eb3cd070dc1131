"""The network: calls take their time, are lost, arrive twice; partitions cut lines that are open."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from changecapture.errors import RetryLater
from relay.address import Address
from relay.calls import Calls
from relay.clock import pause

if TYPE_CHECKING:
    from tests.support.simulation.host import Host
    from tests.support.simulation.world import Simulation

T = TypeVar("T")
Pair = frozenset[int]


class Network:
    """The lines between the hosts of a world."""

    def __init__(self, world: "Simulation") -> None:
        self._world = world
        self._cut: set[Pair] = set()
        self._open: dict[int, tuple[Pair, Deferred[Any]]] = {}

    async def travel(self, left: "Host", right: "Host") -> None:
        """Take the time of one way, or fail on it."""
        world = self._world
        await pause(world.clock, world.rng.uniform(0.001, 0.3 if world.happens(0.2) else 0.02))
        if frozenset((left.number, right.number)) in self._cut or world.happens(0.03):
            raise RetryLater("the connection was lost")

    @contextmanager
    def connection(self, left: "Host", right: "Host") -> Iterator[Deferred[Any]]:
        """Give a line, which a partition cuts."""
        line: Deferred[Any] = Deferred()
        self._open[id(line)] = frozenset((left.number, right.number)), line
        try:
            yield line
        finally:
            del self._open[id(line)]

    def part(self) -> None:
        """Cut some of the lines, or join them again."""
        rng, sites = self._world.rng, self._world.sites
        if self._cut and rng.random() < 0.5:
            self.join()
            return
        side = set(rng.sample(range(sites), rng.randrange(1, sites)))
        self.cut({pair for pair in self.all_pairs() if len(side & pair) == 1})

    def all_pairs(self) -> set[Pair]:
        """Return every line."""
        return {frozenset(pair) for pair in combinations(range(self._world.sites), 2)}

    def cut(self, pairs: set[Pair]) -> None:
        """Cut these lines, and no others."""
        self._cut = pairs
        for pair, line in list(self._open.values()):
            if pair in pairs and not line.called:
                line.errback(RetryLater("the connection was lost"))

    def join(self) -> None:
        """Mend all lines."""
        self._cut.clear()


class SimClient:
    """The calls of ``relay.client``, over the network of the world."""

    def __init__(self, host: "Host") -> None:
        self._host = host

    async def identify(self, address: Address) -> str:
        """See Client: a device is called as its site."""
        return await self._call(address, lambda calls: _give(str(address.port)), str)

    async def hello(
        self, address: Address, device: str, greeting: str, name: str, introduction: str
    ) -> tuple[str, str, str]:
        """See Client."""
        own = str(self._host.number)
        return await self._call(address, lambda c: c.hello(own, greeting, name, introduction), tuple)

    async def pull(self, address: Address, device: str, request: str, exchange: str, wait_s: int) -> bytes:
        """See Client."""
        own = str(self._host.number)
        return await self._call(address, lambda calls: calls.pull(own, request, exchange, wait_s), bytes)

    async def push(self, address: Address, device: str, site: str, exchange: str, payload: bytes) -> str:
        """See Client."""
        own = str(self._host.number)
        return await self._call(address, lambda calls: calls.push(own, site, exchange, payload), str)

    async def poke(self, address: Address, device: str, site: str) -> None:
        """See Client."""
        own = str(self._host.number)
        await self._call(address, lambda calls: calls.poke(own, site), bool)

    async def _call(
        self,
        address: Address,
        ask: Callable[[Calls], Coroutine[Deferred[Any], Any, Any]],
        read: Callable[[Any], T],
    ) -> T:
        """Carry a call there and its answer back, or not; now and then it arrives twice."""
        world, there = self._host.world, self._host.world.hosts[address.port]
        await world.network.travel(self._host, there)
        if world.happens(0.03):
            there.serve(ask).addErrback(lambda _: None)
        with world.network.connection(self._host, there) as line:
            _hand_over(there.serve(ask), line)
            answer = await line
        await world.network.travel(there, self._host)
        return read(answer)


async def _give(value: T) -> T:
    return value


def _hand_over(served: Deferred[Any], line: Deferred[Any]) -> None:
    """Give a line what a call came to, unless it was cut before."""

    def give(outcome: Any) -> None:
        if isinstance(getattr(outcome, "value", None), CancelledError):
            # Who was called has ended; a caller that gives up itself is told by its own Deferred.
            outcome = None
            if not line.called:
                line.errback(RetryLater("the connection was lost"))
        if not line.called:
            line.callback(outcome)

    served.addBoth(give)
