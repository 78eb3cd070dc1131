"""Five whole sites with real relays, on a clock and a network that are not: one seed, one course of events.

What is real: the stores' log, publish, merge, apply and sync on a database in memory, and of the relay its
sessions, peers, roster, polls, pushes, paces and loops. What is not: time (a Twisted ``Clock`` that jumps
to the next event), the network (delays, partitions, lost and doubled calls), the threads of the database
and the processes (a crash comes before any statement; nothing of the relay survives, the transaction is
rolled back). The application writes at random, its clock is wrong.

A run is ``Simulation(seed).run()``: some seconds of trouble, then peace until nothing moves any more.
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import combinations, count
from random import Random
from traceback import format_exc
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import AlreadyCalled

from changecapture.core.codec import PROTOCOL
from changecapture.core.scopes import Terms
from changecapture.errors import DataError, RetryLater
from relay.address import Address
from relay.calls import Calls
from relay.card import Card
from relay.clock import pause
from relay.database import Database
from relay.exchange import DatabaseConnection, DatabaseExchange
from relay.load import Timing
from relay.pace import Pace
from relay.peer import Peer
from relay.polls import Polls
from relay.pulls import Pulls
from relay.push import Pusher
from relay.roster import Roster
from relay.session import Session
from relay.watch import Watch
from tests.support import family
from tests.support.compare import compare_readers
from tests.support.journal import FakeJournal
from tests.support.ledger import Ledger
from tests.support.memory import MemorySite
from tests.support.sites import assert_sound_log

T = TypeVar("T")
BEGIN = 1_700_000_000_000_000
TROUBLE_S = 5.0
TROUBLES_PER_S = 12.0
LONGEST_JOB_S = 0.05
PEACE_S = 600.0
"""More than the longest back-off and a few rounds take."""
STILL_S = 12.0
"""So long must nothing have moved: parked rows are tried again every 5 s, by a look every 5 s."""
HOUR = 3_600_000_000


class Alarm:
    """A call that is to come; a ``relay.clock.Timer``."""

    __slots__ = ("at", "call", "given")

    def __init__(self, at: float, call: Callable[..., Any], given: tuple[Any, ...]) -> None:
        self.at, self.given = at, given
        self.call: Callable[..., Any] | None = call

    def cancel(self) -> None:
        """Forget it."""
        if self.call is None:
            raise AlreadyCalled
        self.call = None

    def active(self) -> bool:
        """Return whether it is still to come."""
        return self.call is not None

    def reset(self, secondsFromNow: float) -> None:
        """Nothing of the relay that is simulated does this."""
        raise NotImplementedError


class SimClock:
    """A ``relay.clock.Clock`` that goes from one alarm to the next; Twisted's sorts all of them each time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._numbers = count()

    def seconds(self) -> float:
        """Return the time in seconds."""
        return self._now

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> Alarm:
        """Call ``callable`` after ``delay`` seconds."""
        alarm = Alarm(self._now + delay, callable, args)
        heappush(self._alarms, (alarm.at, next(self._numbers), alarm))
        return alarm

    def pass_to(self, until: float) -> None:
        """Let time go by."""
        while self._alarms and self._alarms[0][0] <= until:
            at, _, alarm = heappop(self._alarms)
            self._now = max(self._now, at)
            call, alarm.call = alarm.call, None
            if call is not None:
                call(*alarm.given)
        self._now = until


class Crash(BaseException):
    """The process is killed: no handler of ours sees it."""


class Silent:
    """A log that keeps the mistakes only."""

    def __init__(self, mistakes: list[str]) -> None:
        self._mistakes = mistakes

    def info(self, text: str) -> None:
        """Forget it."""

    def warning(self, text: str) -> None:
        """Forget it."""

    def failure(self, text: str) -> None:
        """Keep it: there must be none."""
        self._mistakes.append(f"{text}: {format_exc()}")


class Everyone:
    """All devices are paired, on any terms, and have nothing to tell; a device is called as its site."""

    def __init__(self, own: str) -> None:
        self.own = own

    def is_paired(self, device: str) -> bool:
        """Return True."""
        return True

    def claim(self, device: str, site: str) -> None:
        """Bind nothing."""

    def terms(self, device: str) -> Terms:
        """Return that everything may be exchanged."""
        return Terms()

    def write(self, device: str) -> str:
        """Return nothing to tell."""
        return ""

    def read(self, device: str, text: str) -> None:
        """Hear nothing."""


class SimConnection(DatabaseConnection):
    """A connection to a database whose tables nobody changes."""

    def look_for_drift(self) -> str:
        """See Connection."""
        return ""


class SimWorker:
    """Does the jobs of ``relay.database``, each after a moment, without a thread; perhaps it dies of one."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self._connection = SimConnection(host.site.store)

    def call(self, job: Callable[[DatabaseConnection], T], *, first: bool = False) -> Deferred[T]:
        """Run a job; ``first``: it publishes, which is nothing when nothing waits."""
        if first and not self._host.site.store.has_captured():
            return succeed(job(self._connection))
        return Deferred.fromCoroutine(self._work(job))

    async def _work(self, job: Callable[[DatabaseConnection], T]) -> T:
        world = self._host.world
        await pause(world.clock, world.rng.uniform(0.0, LONGEST_JOB_S))
        try:
            with world.ledger.watching(self._host.site), self._host.in_danger():
                return job(self._connection)
        except Crash:
            self._host.crash()
            never: Deferred[T] = Deferred()
            return await never


class SimDatabase(Database):
    """``relay.database`` with such workers."""

    def __init__(self, host: "Host", log: Silent) -> None:
        no_reactor: Any = None
        super().__init__(DatabaseExchange(""), reactor=no_reactor, log=log)
        worker: Any = SimWorker(host)
        self._reader = self._writer = worker


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
        await world.travel(self._host, there)
        if world.happens(0.03):
            there.serve(ask).addErrback(lambda _: None)
        with world.connection(self._host, there) as line:
            hand_over(there.serve(ask), line)
            answer = await line
        await world.travel(there, self._host)
        return read(answer)


async def _give(value: T) -> T:
    return value


class Host:
    """A site with its relay, which may be down."""

    def __init__(self, world: "Simulation", number: int) -> None:
        self.world, self.number = world, number
        self.origin = f"{number:x}" * 32
        self.skew = 0
        self.neighbours: list[int] = []
        self.site = MemorySite(family.script("memory"), "generic", self._read_clock, self.origin)
        self.relay: Relay | None = None

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
        """Start the relay, unless it runs."""
        if self.relay is None:
            self.relay = Relay(self)

    def crash(self) -> None:
        """Kill the relay; somebody starts it again."""
        relay, self.relay = self.relay, None
        if relay is not None:
            # Not from within its own code.
            self.world.clock.callLater(0, relay.end)
            self.world.clock.callLater(self.world.rng.uniform(0.1, 3.0), self.start)


class Relay:
    """The parts of a relay, put together as ``relay.service`` does."""

    def __init__(self, host: Host) -> None:
        world, rng = host.world, host.world.rng
        self._host = host
        self.serving: list[Deferred[Any]] = []
        self._log = Silent(world.mistakes)
        self.database = database = SimDatabase(host, self._log)
        self.client: Any = SimClient(host)
        self.polls = Polls(world.clock)
        self.pulls = Pulls(world.clock)
        journal: Any = FakeJournal()
        self.journal = journal
        self.watch = Watch(database, news=self._news, clock=world.clock, rng=rng, log=self._log)
        self.roster = Roster(self._make_peer, hears=self.polls.hears, log=self._log)
        self.calls = Calls(
            database=database,
            polls=self.polls,
            pace=Pace(world.clock),
            bindings=Everyone(""),
            manners=Everyone(""),
            card=Card(host.origin),
            heard=self.roster.poked,
            pulled=self.roster.leads,
            received=self.watch.received,
            journal=journal,
            clock=world.clock,
        )
        self.watch.start()
        self.roster.announce("configuration", [Address("127.0.0.1", n) for n in host.neighbours])

    def _make_peer(self, roster: Roster, address: Address, device: str | None) -> Peer:
        world, origin = self._host.world, self._host.origin
        timing = Timing()
        common: dict[str, Any] = {
            "timing": timing,
            "journal": self.journal,
            "clock": world.clock,
            "log": self._log,
        }
        site = self._host.site.store.read_site()
        session = Session(str(address), own_site=site.origin, protocol=PROTOCOL, rng=world.rng)
        peers: Any = Everyone(str(self._host.number))
        pusher = Pusher(
            address,
            own_site=origin,
            peers=peers,
            client=self.client,
            database=self.database,
            polls=self.polls,
            rng=world.rng,
            **common,
        )
        return Peer(
            address,
            session,
            card=Card(origin),
            own_site=origin,
            device=device,
            peers=peers,
            manners=peers,
            client=self.client,
            database=self.database,
            watch=self.watch,
            pusher=pusher,
            pulls=self.pulls,
            leaders=roster,
            **common,
        )

    def _news(self, source: str | None) -> None:
        self.polls.tell(source)
        self.roster.news(source)

    def end(self) -> None:
        """Forget everything."""
        self.watch.stop()
        self.roster.stop()
        self.polls.let_go()
        for served in self.serving:
            served.addErrback(lambda _: None)
            served.cancel()


@dataclass
class Simulation:
    """The world of one seed."""

    seed: int
    sites: int = 5
    clock: SimClock = field(default_factory=SimClock)
    ledger: Ledger = field(default_factory=Ledger)
    mistakes: list[str] = field(default_factory=list)
    """What the relays' code took for a mistake of its own."""
    peaceful: bool = False

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.cut: set[frozenset[int]] = set()
        self._lines: dict[int, tuple[frozenset[int], Deferred[Any]]] = {}
        self.hosts = [Host(self, number) for number in range(self.sites)]
        self._connect()
        for host in self.hosts:
            host.skew = self.rng.choice((0, 0, 1, -1, 24 * 365)) * self.rng.randrange(HOUR)

    def _connect(self) -> None:
        """Let everybody be reachable by some way, and some by several."""
        for number in range(1, self.sites):
            self._introduce(number, self.rng.randrange(number))
        for left, right in combinations(range(self.sites), 2):
            if self.rng.random() < 0.3:
                self._introduce(left, right)

    def _introduce(self, left: int, right: int) -> None:
        """One of them may be unable to call the other: it is pushed to."""
        ways = self.rng.choice(("both", "both", "left", "right"))
        if ways != "right" and right not in self.hosts[left].neighbours:
            self.hosts[left].neighbours.append(right)
        if ways != "left" and left not in self.hosts[right].neighbours:
            self.hosts[right].neighbours.append(left)

    # The network
    def happens(self, chance: float) -> bool:
        """Return whether a piece of trouble comes now."""
        return not self.peaceful and self.rng.random() < chance

    async def travel(self, left: Host, right: Host) -> None:
        """Take the time of one way, or fail on it."""
        await pause(self.clock, self.rng.uniform(0.001, 0.3 if self.happens(0.2) else 0.02))
        if frozenset((left.number, right.number)) in self.cut or self.happens(0.03):
            raise RetryLater("the connection was lost")

    @contextmanager
    def connection(self, left: Host, right: Host) -> Iterator[Deferred[Any]]:
        """Give a line, which a partition cuts."""
        line: Deferred[Any] = Deferred()
        self._lines[id(line)] = frozenset((left.number, right.number)), line
        try:
            yield line
        finally:
            del self._lines[id(line)]

    def _part(self) -> None:
        """Cut some of the lines, or join them again."""
        if self.cut and self.rng.random() < 0.5:
            self.cut.clear()
        elif not self.peaceful:
            side = set(self.rng.sample(range(self.sites), self.rng.randrange(1, self.sites)))
            self.cut = {
                frozenset(pair) for pair in combinations(range(self.sites), 2) if len(side & set(pair)) == 1
            }
            for pair, line in list(self._lines.values()):
                if pair in self.cut and not line.called:
                    line.errback(RetryLater("the connection was lost"))

    # The course of events
    def run(self) -> None:
        """Trouble, then peace; then everything must be well."""
        run = self.hosts[0].site.family
        for parent in "pq":
            run.add_parent(parent)
        run.add_child("c", "p", may="q")
        for host in self.hosts:
            host.start()
        while self.clock.seconds() < TROUBLE_S:
            self.clock.pass_to(self.clock.seconds() + self.rng.expovariate(TROUBLES_PER_S))
            self._trouble()
        self.peaceful = True
        self.cut.clear()
        for host in self.hosts:
            host.start()
        self._settle()
        self.check()

    def close(self) -> None:
        """Let go of the databases: what they hold, collecting garbage does not find."""
        for host in self.hosts:
            host.site.close()

    def _trouble(self) -> None:
        host = self.rng.choice(self.hosts)
        kind = self.rng.random()
        if kind < 0.75:
            write(self.rng, host.site)
        elif kind < 0.85:
            self._part()
        elif kind < 0.95:
            host.crash()
        else:
            host.skew += self.rng.randrange(-HOUR, HOUR)

    def _settle(self) -> None:
        """Wait until all hold the same and nothing has moved for a while."""
        end = self.clock.seconds() + PEACE_S
        before: object = None
        while self.clock.seconds() < end:
            self.clock.pass_to(self.clock.seconds() + STILL_S)
            state = [(dict(h.site.store.read_vector()), h.site.store.last_position()) for h in self.hosts]
            waits = any(h.site.store.has_captured() for h in self.hosts)
            if state == before and not waits and all(vector == state[0][0] for vector, _ in state):
                return
            before = state
        raise AssertionError(f"it does not come to rest: {[vector for vector, _ in state]}")

    def check(self) -> None:
        """Fail unless every site shows, keeps and knows what it must."""
        assert self.mistakes == []
        first = self.hosts[0].site
        for host in self.hosts:
            host.site.store.load_tables()
            assert host.site.parked() == first.parked()
            assert set(host.site.parked().values()) <= {"reference"}
            assert host.site.store.query("PRAGMA foreign_key_check") == []
            assert_sound_log(host.site)
            self.ledger.check(host.site)
        for host in self.hosts[1:]:
            with first.reader() as ours, host.site.reader() as theirs:
                assert compare_readers(ours, theirs).differences == ()


def hand_over(served: Deferred[Any], line: Deferred[Any]) -> None:
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


def write(rng: Random, site: MemorySite) -> None:
    """Let the application do something; what its database refuses it does not do."""
    run = site.family
    parent, other, child = rng.choice("pqr"), rng.choice("pqr"), rng.choice("cd")
    text = rng.choice(("x", "y", "", None))
    one = f"(SELECT id FROM parent WHERE uuid = '{parent}')"
    actions: tuple[Callable[[], object], ...] = (
        lambda: run.add_parent(parent, boss=other),
        lambda: run.add_parent(parent),
        lambda: run.add_child(child, parent, may=other, keep=rng.choice((None, other))),
        lambda: run.add_toy(f"toy of {child}", child),
        lambda: run.add_link(parent, child, text),
        lambda: run.note("parent", parent, text or ""),
        lambda: run.note("child", child, text or ""),
        lambda: run(f"UPDATE child SET must = {one} WHERE uuid = %s", child),
        lambda: run(f"UPDATE child SET may = {one}, note = %s WHERE uuid = %s", text, child),
        lambda: run(f"UPDATE parent SET boss = {one} WHERE uuid = %s", other),
        lambda: run("UPDATE link SET note = %s", text),
        lambda: run.delete("parent", parent),
        lambda: run.delete("child", child),
        lambda: run(f"UPDATE parent SET uuid = '{parent}' WHERE uuid = %s", other),
    )
    with suppress(DataError):
        rng.choice(actions)()
