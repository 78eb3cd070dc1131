"""A site with its relay, which is killed and started again; its database, which is put back or copied."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet.defer import Deferred

from changecapture.core.vector import Vector
from changecapture.epochs import renew
from changecapture.errors import RetryLater
from relay.calls import Calls
from tests.support import family
from tests.support.memory import KeptMemo, MemorySite
from tests.support.simulation.database import Crash
from tests.support.simulation.relay import Relay

if TYPE_CHECKING:
    from tests.support.simulation.world import Simulation

BEGIN = 1_700_000_000_000_000


class State(NamedTuple):
    """What is looked at to see whether anything moves."""

    vector: Vector
    position: int
    waits: bool


class Host:
    """A site with its relay, which may be down."""

    def __init__(self, world: "Simulation", number: int) -> None:
        self.world, self.number = world, number
        self.origin = f"{number:x}" * 32
        self.skew = 0
        self.neighbours: list[int] = []
        self.site = MemorySite(family.script("memory"), "generic", self._read_clock, self.origin)
        self.memo = KeptMemo()
        self.relay: Relay | None = None
        self.lives = 1
        """One that gave names in several lives is not replaced: nobody could tell what it meant by them."""
        self._backup: bytes | None = None

    def _read_clock(self) -> int:
        return BEGIN + self.skew + int(self.world.clock.seconds() * 1_000_000)

    @contextmanager
    def in_danger(self) -> Iterator[None]:
        """Perhaps crash before one of the statements."""
        if not self.world.happens(0.02):
            yield
            return
        left = [self.world.rng.randrange(60)]

        def before(sql: str) -> None:
            left[0] -= 1
            if left[0] == 0:
                self.site.store.before = lambda _: None
                raise Crash

        self.site.store.before = before
        try:
            yield
        finally:
            self.site.store.before = lambda _: None

    def serve(self, ask: Callable[[Calls], Coroutine[Deferred[Any], Any, Any]]) -> Deferred[Any]:
        """Answer a call."""
        if self.relay is None:
            refused: Deferred[Any] = Deferred()
            refused.errback(RetryLater("connection refused"))
            return refused
        served = Deferred.fromCoroutine(ask(self.relay.calls))
        self.relay.serving.append(served)
        return served

    def start(self) -> None:
        """Start the relay, unless it runs; it reads the memo anew."""
        if self.relay is None:
            self.site.store.memo = self.memo = self.memo.reread()
            self.relay = Relay(self)

    def crash(self) -> None:
        """Kill the relay; somebody starts it again."""
        relay, self.relay = self.relay, None
        if relay is not None:
            relay.database.worker.killed = True
            # Not from within its own code.
            self.world.clock.callLater(0, relay.end)
            self.world.clock.callLater(self.world.rng.uniform(0.1, 3.0), self.start)

    def state(self) -> State:
        """Return how it stands."""
        store = self.site.store
        return State(store.read_vector(), store.last_position(), store.has_captured())

    def something_waits(self) -> bool:
        """Return whether rows are parked, or references are NULL until their rows are shown."""
        return self.site.fetch(
            "SELECT EXISTS (SELECT 1 FROM {p}parked) OR EXISTS (SELECT 1 FROM {p}waiting)"
        ) == [(1,)]

    @property
    def has_backup(self) -> bool:
        """Whether there is one to be put back."""
        return self._backup is not None

    def back_up(self) -> None:
        """Keep the database as it is now, unless an older state is kept: much is to be lost."""
        self._backup = self._backup or self.site.store.dump()

    def restore_backup(self, *, remembered: bool) -> None:
        """Put the backup in the place of the database; the memo may be lost with it."""
        assert self._backup is not None
        self.crash()
        self.lives += 1
        self.site.restore(self._backup)
        self.memo = self.memo if remembered else KeptMemo()

    def copy_from(self, source: "Host", origin: str) -> None:
        """Be lost, and set up anew from a copy of another's database, which is made a site of its own."""
        self.crash()
        self.site.restore(source.site.store.dump())
        self.site.store.memo = self.memo = KeptMemo()
        self.origin = renew(self.site.store, origin)
        self._backup = None
