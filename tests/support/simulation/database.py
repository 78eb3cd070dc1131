"""The relay's database without its threads: each job takes a moment, and may be the last of its process."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred, succeed

from changecapture.compact import Step
from changecapture.greeting import Greeting, Measured
from relay.clock import pause
from relay.connection import DatabaseConnection, DatabaseExchange
from relay.database import Database
from relay.log import Log

if TYPE_CHECKING:
    from tests.support.simulation.host import Host

T = TypeVar("T")
LONGEST_JOB_S = 0.05


class Crash(BaseException):
    """The process is killed: no handler of ours sees it."""


class SimConnection(DatabaseConnection):
    """A connection to a database whose tables nobody changes."""

    def __init__(self, host: "Host") -> None:
        super().__init__(host.site.store)
        self._host = host

    def look_for_drift(self) -> str:
        """See Connection."""
        return ""

    def meet(self, theirs: Greeting, measured: Measured | None) -> list[str]:
        """See Connection."""
        self._host.world.met.add((self._host.origin, theirs.site))
        return super().meet(theirs, measured)

    def compact(self, keep: int) -> Step | None:
        """See Connection; what goes was seen all the same."""
        self._host.world.ledger.remember(self._host.site)
        step = super().compact(keep)
        self._host.world.whole &= step is None or not step.removed
        return step


class SimWorker:
    """Does the jobs of ``relay.database``, each after a moment, without a thread; perhaps it dies of one."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self._connection = SimConnection(host)
        self._idle: tuple[int, Any] = (-1, None)
        """How much had been written when nothing was to be published, and what that came to."""
        self.killed = False

    def call(self, job: Callable[[DatabaseConnection], T], *, first: bool = False) -> Deferred[T]:
        """Run a job; ``first``: it publishes, which is nothing when nothing waits."""
        store = self._host.site.store
        written = store.connection.total_changes
        if first and written == self._idle[0]:
            return succeed(self._idle[1])
        if not first or store.has_captured():
            return Deferred.fromCoroutine(self._work(job))
        outcome = job(self._connection)
        if not outcome:
            self._idle = written, outcome
        return succeed(outcome)

    def tell(self, act: Callable[[DatabaseConnection], None]) -> None:
        """Let the connection know something at once."""
        act(self._connection)

    async def _work(self, job: Callable[[DatabaseConnection], T]) -> T:
        world = self._host.world
        await pause(world.clock, world.rng.uniform(0.0, LONGEST_JOB_S))
        if not self.killed:
            written = self._host.site.store.connection.total_changes
            try:
                with world.ledger.watching(self._host.site), self._host.in_danger():
                    return job(self._connection)
            except Crash:
                self._host.crash()
            finally:
                if self._host.site.store.connection.total_changes != written:
                    world.note_set_aside(self._host)
        never: Deferred[T] = Deferred()
        return await never


class SimDatabase(Database):
    """``relay.database`` with such a worker."""

    def __init__(self, host: "Host", log: Log) -> None:
        clock: Any = host.world.clock
        super().__init__(DatabaseExchange(""), reactor=clock, log=log)
        self.worker = SimWorker(host)
        worker: Any = self.worker
        self._reader = self._writer = worker
