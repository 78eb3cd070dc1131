"""The tasks of a peer: to greet it, to pull from it, to receive what it answered, to poke it.

A task ends in an event of the session (``relay.events``), or raises what ``relay.peer`` makes one of. While
a payload is received the next one of a longer answer is asked for; after the last one about a backlog, what
has come since, held for a moment. So two payloads at most are in memory, and neither end waits for the other.
"""

from dataclasses import replace
from math import ceil
from typing import Protocol

from twisted.internet.defer import Deferred

from changecapture.errors import OutOfStep, PeerError, RetryLater
from changecapture.greeting import Greeting, Measured
from changecapture.sync import PullRequest
from relay import events as states
from relay.address import Address
from relay.calls import Manners
from relay.card import Card, read_card
from relay.client import Client
from relay.clock import Clock
from relay.database import Database
from relay.journal import Journal, new_exchange
from relay.load import Load, Timing
from relay.messages import check_site, read_offer
from relay.pulls import Pulls
from relay.runs import Runs
from relay.trust.identity import SHORT
from relay.trust.peers import Peers
from relay.watch import Watch

MORE_S = 1
"""How long a site may hold what is asked for while the last of its backlog is still being received."""


class Leaders(Protocol):
    """Knows over which address each site is spoken to (``relay.roster``)."""

    def taken(self, site: str, address: Address) -> bool:
        """Return whether another address leads."""

    def lead(self, site: str, address: Address) -> None:
        """From now on this one leads."""

    def release(self, site: str, address: Address) -> None:
        """It does no longer."""


class Tasks:
    """What is done with whoever is at one address."""

    def __init__(
        self,
        address: Address,
        *,
        card: Card,
        own_site: str,
        device: str | None,
        peers: Peers,
        manners: Manners,
        client: Client,
        database: Database,
        watch: Watch,
        pulls: Pulls,
        journal: Journal,
        leaders: Leaders,
        timing: Timing,
        clock: Clock,
        runs: Runs | None = None,
    ) -> None:
        """``card`` and ``own_site`` are this site's; ``device`` is who was announced here, if anyone was;
        ``runs``: of all devices, if they are told by others too."""
        self.address = address
        self.announced = device
        self.device = device
        """Who is spoken to here, once it is known."""
        self._card = card
        self._own_site = own_site
        self._peers = peers
        self._manners = manners
        self._client = client
        self._database = database
        self._watch = watch
        self._pulls = pulls
        self._ends = 0
        """Pulls that had ended when the present request was made."""
        self._journal = journal
        self._exchange = new_exchange()
        """What the present pull is called in both journals."""
        self._leaders = leaders
        self._clock = clock
        self._request: PullRequest | None = None
        """What was asked for last."""
        self._ahead: Deferred[bytes] | None = None
        """The payload after the one that is being received."""
        self._load = Load(timing.aim_s)
        self._backlog = timing.backlog
        self._runs = runs or Runs(clock)

    @property
    def known(self) -> str:
        """Return the device that was greeted."""
        assert self.device is not None
        return self.device

    async def poke(self) -> None:
        """Tell the peer that there is news here."""
        await self._client.poke(self.address, self.known, self._own_site)

    async def greet(self, known: str | None) -> states.Event:
        """Greet whoever is here; ``known`` is the site that was, if any was."""
        if known is not None and self._leaders.taken(known, self.address):
            return states.Taken(known)
        own = await self._database.greet(known or "")
        device = self.device = self.announced or await self._find_device()
        if device == self._peers.own:
            return await self._greet_own(own)
        if not self._peers.is_paired(device):
            return states.Stranger(device[:SHORT])
        manners = self._manners.write(device)
        began = self._clock.seconds()
        try:
            text, lines, told = await self._client.hello(
                self.address, device, own.to_json(), self._card.to_json(), manners
            )
        except RetryLater:
            # Perhaps another device is there now: to be looked at first, next time.
            self.device = None
            raise
        took = int((self._clock.seconds() - began) * 1_000_000)
        greeting = self._database.exchange.read_greeting(text)
        site = check_site(greeting.site)
        await self._database.meet(greeting, Measured(own.clock, took))
        self._runs.heard(device, greeting.run, began)
        if self._runs.are_beside(device):
            await self._database.note_copy(site)
        if site != own.site:
            self._peers.claim(device, site)
            self._manners.read(device, told)
        if self._leaders.taken(site, self.address):
            return states.Taken(site)
        card = read_card(lines)
        self._journal.met(site, card, greeting.shape)
        self._pulls.greeted(site, self._database.exchange.read_vector(greeting.vector))
        return states.Greeted(site, card.name, greeting.protocol, alike=greeting.shape == own.shape)

    async def _greet_own(self, own: Greeting) -> states.Event:
        """Greet who has our own key: this program itself, or that of a copy of this machine."""
        bare = replace(own, vector="{}", digests="{}").to_json()
        try:
            text, _, _ = await self._client.hello(
                self.address, self._peers.own, bare, self._card.to_json(), ""
            )
            run = self._database.exchange.read_greeting(text).run
        except (PeerError, RetryLater):
            run = own.run  # it is of an earlier version, or does not know yet who it is: to be asked again
        copied = run != own.run
        if copied:
            self._runs.saw_copy(self._peers.own)
            await self._database.note_copy(own.site)
        return states.Greeted(own.site, self._card.name, own.protocol, copied=copied)

    async def _find_device(self) -> str:
        """Return who was here last if it is to be spoken to, else who is here now."""
        if self.device is not None and self._peers.is_paired(self.device):
            return self.device
        return await self._client.identify(self.address)

    async def pull(self, site: str, wait_s: int) -> states.Event:
        """Ask the site for what this one lacks, to be held up to ``wait_s`` seconds until there is some."""
        ahead, self._ahead = self._ahead, None
        payload = await (self._ask_anew(site, wait_s) if ahead is None else ahead)
        offer = read_offer(payload)
        if offer is not None:
            self._pulls.offered(site, self._database.exchange.read_vector(offer))
        return states.Answered(payload)

    async def _ask_anew(self, site: str, wait_s: int) -> bytes:
        request = await self._next_request(site)
        while await self._pulls.wait(site, self._database.exchange.read_vector(request.vector)):
            request = await self._next_request(site)
        if wait_s:
            request, wait_s = self._weigh(site, request, wait_s)
        self._request = replace(request, size=self._load.size)
        return await self._ask(self._request, wait_s)

    def _weigh(self, site: str, request: PullRequest, wait_s: int) -> tuple[PullRequest, int]:
        """Return what to ask a site that has news of third sites, and how long it may hold that: not at all
        when nobody else is expected to bring them."""
        exchange = self._database.exchange
        lacked, left = self._pulls.weigh(site, exchange.read_vector(request.vector))
        if not lacked:
            return request, wait_s
        return replace(request, heard=exchange.write_vector(lacked)), min(wait_s, ceil(left))

    async def _next_request(self, site: str, *, beside: bool = False) -> PullRequest:
        self._ends = self._pulls.ends
        return await self._database.next_request(site, self._peers.terms(self.known), beside=beside)

    async def _ask(self, request: PullRequest, wait_s: int) -> bytes:
        """Return the answer, and learn from it how much the next should carry."""
        began = self._clock.seconds()
        try:
            payload = await self._client.pull(
                self.address, self.known, request.to_json(), self._exchange, wait_s
            )
        except RetryLater:
            self._load.failed()
            raise
        if not wait_s:
            full = self._database.exchange.follow_request(request, payload) is not None
            self._load.took(self._clock.seconds() - began, full=full)
        return payload

    async def receive(self, site: str, payload: bytes) -> states.Event:
        """Take in a payload of the site."""
        exchange, began = self._exchange, self._clock.seconds()
        self._look_ahead(site, payload)
        try:
            received = await self._database.receive(site, payload, self._peers.terms(self.known))
        except OutOfStep:
            # A push of the same site came between: ask anew, from where we stand now.
            self.drop_ahead()
            self._exchange = exchange
            return states.Received(0, 0, 0, last=False)
        except BaseException:
            self.drop_ahead()
            self._exchange = exchange
            raise
        self._peers.note_brought(self.known, received.brought)
        self._journal.received(exchange, site, received, size=len(payload), began=began)
        if received.last:
            self._exchange = new_exchange() if self._exchange == exchange else self._exchange
            self._pulls.ended(site)
        self._watch.received(site, received)
        return states.Received(received.entries, received.applied, received.parked, received.last)

    def _look_ahead(self, site: str, payload: bytes) -> None:
        """Ask for what follows a payload; but anew, where another site's answer has come to its end since."""
        assert self._request is not None
        before = self._request
        self._request = self._database.exchange.follow_request(before, payload)
        if self._request is None:
            if self._follow_backlog(before, payload) is not None:
                self._exchange = new_exchange()
                self._ahead = Deferred.fromCoroutine(self._ask_on(site, payload))
            return
        end = self._request.end
        self._pulls.moved(site, end - self._request.after, end - (before.after if before.end else 0))
        if self._ends == self._pulls.ends:
            self._request = replace(self._request, size=self._load.size)
            self._ahead = Deferred.fromCoroutine(self._ask_ahead(self._request))

    async def _ask_ahead(self, request: PullRequest, wait_s: int = 0) -> bytes:
        payload = await self._ask(request, wait_s)
        self._database.expect(payload)
        return payload

    async def _ask_on(self, site: str, payload: bytes) -> bytes:
        """Ask for what has come since the last payload about a backlog."""
        request = await self._next_request(site, beside=True)
        following = self._follow_backlog(request, payload)
        self._request = replace(following or request, size=self._load.size)
        return await self._ask_ahead(self._request, MORE_S)

    def _follow_backlog(self, request: PullRequest, payload: bytes) -> PullRequest | None:
        return self._database.exchange.follow_backlog(request, payload, self._backlog)

    def drop_ahead(self) -> None:
        """Wait no longer for what was asked for ahead."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.addErrback(lambda _: None)
            ahead.cancel()

    def broken(self, site: str, why: str) -> None:
        """Note in the journal that the present pull ended in this."""
        self._journal.broken(self._exchange, site, "in", why)
        self._exchange = new_exchange()

    def lead(self, site: str) -> None:
        """The site is spoken to over this address."""
        self._leaders.lead(site, self.address)

    def release(self, site: str) -> None:
        """It is no longer."""
        self._pulls.forget(site)
        self._leaders.release(site, self.address)
