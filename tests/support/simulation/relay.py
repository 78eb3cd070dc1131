"""The parts of a relay, put together as ``relay.service`` does."""

from traceback import format_exc
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from changecapture.core.codec import PROTOCOL
from changecapture.core.scopes import Terms
from relay.address import Address
from relay.calls import Calls
from relay.card import Card
from relay.load import Timing
from relay.pace import Pace
from relay.peer import Peer
from relay.polls import Polls
from relay.pulls import Pulls
from relay.push import Pusher
from relay.roster import Roster
from relay.session import Session
from relay.tasks import Tasks
from relay.watch import Watch
from tests.support.journal import FakeJournal
from tests.support.simulation.database import SimDatabase
from tests.support.simulation.network import SimClient

if TYPE_CHECKING:
    from tests.support.simulation.host import Host


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

    def note_brought(self, device: str, number: int) -> None:
        """Count nothing."""

    def write(self, device: str) -> str:
        """Return nothing to tell."""
        return ""

    def read(self, device: str, text: str) -> None:
        """Hear nothing."""


class Relay:
    """One run of a relay, from its start to its end."""

    def __init__(self, host: "Host") -> None:
        world, rng = host.world, host.world.rng
        self._host = host
        self.serving: list[Deferred[Any]] = []
        self._log = Silent(world.mistakes)
        self.database = database = SimDatabase(host, self._log)
        self.client: Any = SimClient(host)
        self.polls = Polls(world.clock)
        self.pulls = Pulls(world.clock, lambda site: self.roster.leads(site))
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
        timing = Timing(backlog=2)
        site = self._host.site.store.read_site()
        session = Session(str(address), own_site=site.origin, protocol=PROTOCOL, rng=world.rng)
        peers: Any = Everyone(str(self._host.number))
        common: dict[str, Any] = {
            "own_site": origin,
            "peers": peers,
            "client": self.client,
            "database": self.database,
            "timing": timing,
            "journal": self.journal,
            "clock": world.clock,
        }
        tasks = Tasks(
            address,
            card=Card(origin),
            device=device,
            manners=peers,
            watch=self.watch,
            pulls=self.pulls,
            leaders=roster,
            **common,
        )
        pusher = Pusher(address, polls=self.polls, rng=world.rng, log=self._log, **common)
        return Peer(session, tasks, pusher, clock=world.clock, log=self._log)

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

    async def compact(self) -> None:
        """Do what ``relay.upkeep`` does once an hour, keeping no history."""
        while await self.database.compact(0) is not None:
            pass
