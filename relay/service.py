# mypy: untyped-calls-exclude=twisted
"""The relay of one database, built from a configuration, as a Twisted service.

It comes up whatever is missing. The port is opened first, so that a wrong configuration is seen at
once; then it waits for the database, which alone knows who this site is; only then does it speak
to others.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from changecapture.compact import DAY
from changecapture.errors import ConfigError
from changecapture.greeting import Greeting
from changecapture.status import Status
from changecapture.sync import Received
from relay.address import Address
from relay.calls import Calls
from relay.clients import Clients
from relay.clock import Reactor, pause
from relay.config import RelayConfig
from relay.control import Control
from relay.database import Database
from relay.discovery import Network
from relay.exchange import Exchange
from relay.journal import Journal, Key, Traffic
from relay.load import Timing
from relay.log import Log, NamedLog
from relay.meter import Wire
from relay.node import Node
from relay.orders import Orders
from relay.peer import Peer
from relay.polls import Polls
from relay.pulls import Pulls
from relay.push import Pusher
from relay.roster import Roster
from relay.session import MAX_WAIT_HERE_S, Session, back_off, describe
from relay.tasks import Tasks
from relay.trust.identity import SHORT
from relay.trust.peers import Paired, has_other_terms, is_other_list
from relay.upkeep import Upkeep
from relay.verify import Verifier
from relay.watch import Watch
from relay.worker import DatabaseAway


class SiteService(Service):
    """One site: its database and its peers, on the node that it makes for itself."""

    def __init__(
        self,
        config: RelayConfig,
        exchange: Exchange,
        *,
        reactor: Any,
        rng: Random,
        log: Log,
        network: Network | None = None,
        timing: Timing | None = None,
        program: dict[str, str] | None = None,
    ) -> None:
        """Make the parts; nothing is opened before ``startService``. ``program``: the names of the sites of
        this relay by their ids, as far as they are known."""
        self.name: str = config.name
        self.site: str | None = None
        """The id of this site, once the database has told it."""
        self._config = config
        self._reactor: Reactor = reactor
        self._rng = rng
        self._log = log
        self._timing = timing or Timing()
        self._program = program if program is not None else {}
        self._polls = Polls(reactor)
        self._pulls = Pulls(reactor, self._pulled)
        self._roster: Roster | None = None
        self._meeting: Deferred[None] | None = None
        self._ending: Deferred[None] | None = None
        self.node = Node(config, reactor=reactor, rng=rng, log=log, network=network)
        self.orders = Orders(self.node, self._modules, self._ask)
        self._control = Control(config.state, self.orders, reactor=reactor, log=log)
        self._database = Database(exchange, reactor=reactor, log=log)
        self._clients = (
            Clients(
                config.clients,
                tokens=self.node.tokens,
                database=self._database,
                identity=self.node.identity,
                reactor=reactor,
                log=log,
            )
            if config.clients is not None
            else None
        )
        self._journal = Journal(self._database.write_journal, reactor)
        self._watch = Watch(self._database, news=self._news, clock=reactor, rng=rng, log=log)
        self._upkeep = Upkeep(self._database, keep=config.history_days * DAY, clock=reactor, log=log)
        self._calls = self.node.api.calls = Calls(
            database=self._database,
            polls=self._polls,
            pace=self.node.pace,
            bindings=self.node.peers,
            manners=self.node.hello,
            card=config.card,
            heard=self._heard,
            pulled=self._pulled,
            received=self._received,
            journal=self._journal,
            clock=reactor,
            runs=self.node.runs,
        )
        self._verifier = self._calls.verifier = Verifier(config, reactor)
        self.node.peers.on_change(self._changed)

    def speaking(self) -> set[str]:
        """Return the ids of the sites that are spoken to now."""
        return self._roster.sites() if self._roster is not None else set()

    @property
    def away(self) -> str:
        """Return what keeps the database from being used, "" while nothing does."""
        return self._database.away if self.site else self._database.away or "it was not reached yet"

    @property
    def traffic(self) -> Mapping[Key, Traffic]:
        """Return what was exchanged with whom since the start."""
        return self._journal.traffic

    @property
    def wires(self) -> Mapping[tuple[str, str], Wire]:
        """Return what went over the wire, to and from each paired device, since the start."""
        return {
            (peer.device[:SHORT], peer.name): self.node.meter.of(peer.device)
            for peer in self.node.peers.all()
        }

    async def read_status(self) -> Status | None:
        """Return how the site stands, None while its database is away."""
        try:
            return await self._database.read_status()
        except DatabaseAway:
            return None

    @property
    def port(self) -> int:
        """Return the port that it listens on, once started."""
        return self.node.port

    def startService(self) -> None:
        """Open the port and begin; raise ConfigError when the port cannot be had."""
        self.node.start()
        if self._clients is not None:
            self._clients.start()
        self._control.start()
        Service.startService(self)
        self._database.start()
        self._watch.start()
        self._upkeep.start()
        self._meeting = Deferred.fromCoroutine(self._meet())
        self._meeting.addErrback(self._meeting_failed)

    def stopService(self) -> Deferred[None]:
        """End everything, peers first, within bounds; fire when it has ended."""
        Service.stopService(self)
        return self._end()

    def _end(self) -> Deferred[None]:
        if self._ending is None:
            self._ending = Deferred.fromCoroutine(self._stop())
        return self._ending

    async def _stop(self) -> None:
        if self._meeting is not None:
            self._meeting.cancel()
        self._watch.stop()
        self._upkeep.stop()
        if self._roster is not None:
            self._roster.stop()
        self._polls.let_go()
        await self._control.stop()
        if self._clients is not None:
            await self._clients.stop()
        await self.node.stop()
        await self._journal.stop()
        await self._verifier.stop()
        await self._database.stop()

    async def _meet(self) -> None:
        """Learn who this site is, then look for others."""
        greeting = await self._first_greeting()
        self.site = greeting.site
        self._log.info(f"this is {self._config.name}, site {self.site}")
        other = self._program.setdefault(self.site, self.name)
        if other != self.name:
            self._log.warning(
                f"{self.name} is stopped: it is the same site as {other}, whose database it is under another "
                "spelling, or a copy of it (take one [[database]] away; a copy: changecapture site renew)"
            )
            self._reactor.callLater(0, self._end)
            return
        self._roster = Roster(
            lambda roster, address, device: self._make_peer(roster, address, device, greeting),
            hears=self._polls.hears,
            log=self._log,
        )
        self._roster.announce("configuration", self._config.peers)
        self.node.neighbours.attach(self._roster)
        self.node.moved = self._roster.moved

    async def _first_greeting(self) -> Greeting:
        failures = 0
        while True:
            try:
                return await self._database.greet()
            except DatabaseAway:
                await pause(self._reactor, back_off(failures, MAX_WAIT_HERE_S, self._rng))
                failures += 1

    def _meeting_failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self._log.warning(f"other sites are not looked for: {failure.getErrorMessage()}")

    def _make_peer(self, roster: Roster, address: Address, device: str | None, own: Greeting) -> Peer:
        session = Session(str(address), own_site=own.site, protocol=own.protocol, rng=self._rng)
        known = self.node.peers.get(device or "")
        if known is not None and known.sites:
            session.site = known.sites[-1]
        tasks = Tasks(
            address,
            card=self._config.card,
            own_site=own.site,
            device=device,
            peers=self.node.peers,
            manners=self.node.hello,
            client=self.node.client,
            database=self._database,
            watch=self._watch,
            pulls=self._pulls,
            journal=self._journal,
            leaders=roster,
            timing=self._timing,
            clock=self._reactor,
            runs=self.node.runs,
        )
        pusher = Pusher(
            address,
            own_site=own.site,
            peers=self.node.peers,
            client=self.node.client,
            database=self._database,
            polls=self._polls,
            journal=self._journal,
            timing=self._timing,
            clock=self._reactor,
            rng=self._rng,
            log=self._log,
        )
        return Peer(session, tasks, pusher, clock=self._reactor, log=self._log)

    def _modules(self) -> Awaitable[list[str]]:
        return Deferred.fromCoroutine(self._database.modules())

    async def _ask(self, peer: Paired, question: str) -> str:
        """Carry a question to a peer that is spoken to."""
        address = self._roster.find(peer.device) if self._roster is not None else None
        if address is None:
            raise ConfigError(
                f"{peer.label} is not spoken to at the moment",
                mend="look at its relay and the link; where it can only call us, run this command there",
            )
        return await self.node.client.verify(address, peer.device, question)

    def _news(self, source: str | None) -> None:
        self._polls.tell(source)
        if self._roster is not None:
            self._roster.news(source)

    def _changed(self, before: Paired | None, after: Paired | None) -> None:
        """A device was paired, changed or unpaired."""
        if before is None or after is None:
            changed = before or after
            assert changed is not None
            if self._roster is not None:
                self._roster.changed(changed.device, paired=after is not None)
        elif has_other_terms(before, after):
            self._greet_anew(after.device)
        if is_other_list(before, after):
            self._greet_anew()

    def _greet_anew(self, device: str | None = None) -> None:
        """Tell a device, or all, what is new: those that we call, and those that call us."""
        self._calls.greet_anew(device)
        if self._roster is not None:
            self._roster.greet_anew(device)

    def _pulled(self, site: str) -> bool:
        return self._roster is not None and self._roster.leads(site)

    def _received(self, site: str, received: Received) -> None:
        if received.entries:
            source = self.node.peers.name_site(site)
            self._log.info(describe(source, received.entries, received.applied, received.parked))
        self._watch.received(site, received)

    def _heard(self, site: str) -> None:
        if self._roster is not None:
            self._roster.poked(site)


def make_service(
    sites: Sequence[RelayConfig],
    open_exchange: Callable[[RelayConfig], Exchange],
    *,
    reactor: Any,
    log: Log,
) -> MultiService:
    """Return the whole relay: one child per database."""
    relay = MultiService()
    program: dict[str, str] = {}
    for config in sites:
        named = NamedLog(config.name, log) if len(sites) > 1 else log
        site = SiteService(
            config, open_exchange(config), reactor=reactor, rng=Random(), log=named, program=program
        )
        Service.setServiceParent(site, relay)
    return relay
