# mypy: untyped-calls-exclude=twisted
"""A session made live: obeys its commands and hands it what became of them.

One task at a time runs for a peer (a greeting, a pull or a receive). Only the next payload of a longer
answer is asked for while one is received: so two payloads at most are in memory, and neither end waits for
the other. Events are taken one after the other: an event that a command brings about waits for the
commands before it.
"""

from collections import deque
from collections.abc import Coroutine
from dataclasses import replace
from math import ceil
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from changecapture.errors import OutOfStep, PeerError, RetryLater
from changecapture.greeting import Measured
from changecapture.sync import PullRequest
from relay import events as states
from relay.address import Address
from relay.calls import Manners
from relay.card import Card, read_card
from relay.client import Client
from relay.clock import Clock, Timer, cancel, cancelled
from relay.database import Database, DatabaseAway
from relay.journal import Journal, new_exchange
from relay.load import Load, Timing
from relay.log import Log
from relay.messages import GreetAnew, check_site, read_offer
from relay.pulls import Pulls
from relay.push import Pusher
from relay.session import Session
from relay.trust.identity import SHORT
from relay.trust.peers import Peers
from relay.watch import Watch

POKE_S = 1.0
DOUBT_S = 10.0
"""Anybody may announce another address of a peer: that breaks off what runs, but not all the time."""


class Leaders(Protocol):
    """Knows over which address each site is spoken to (``relay.roster``)."""

    def taken(self, site: str, address: Address) -> bool:
        """Return whether another address leads."""

    def lead(self, site: str, address: Address) -> None:
        """From now on this one leads."""

    def release(self, site: str, address: Address) -> None:
        """It does no longer."""


class Peer:
    """What happens at one address."""

    def __init__(
        self,
        address: Address,
        session: Session,
        *,
        card: Card,
        own_site: str,
        device: str | None,
        peers: Peers,
        manners: Manners,
        client: Client,
        database: Database,
        watch: Watch,
        pusher: Pusher,
        pulls: Pulls,
        journal: Journal,
        leaders: Leaders,
        timing: Timing,
        clock: Clock,
        log: Log,
    ) -> None:
        """``card`` and ``own_site`` are this site's; ``device`` is who was announced here, if anyone was."""
        self.address = address
        self.announced = device
        self.device = device
        """Who is spoken to here, once it is known."""
        self.session = session
        self._card = card
        self._own_site = own_site
        self._peers = peers
        self._manners = manners
        self._client = client
        self._database = database
        self._watch = watch
        self._pusher = pusher
        self._pulls = pulls
        self._ends = 0
        """Pulls that had ended when the present request was made."""
        self._journal = journal
        self._exchange = new_exchange()
        """What the present pull is called in both journals."""
        self._leaders = leaders
        self._clock = clock
        self._log = log
        self._events: deque[states.Event] = deque()
        self._handling = False
        self._task: Deferred[states.Event] | None = None
        self._request: PullRequest | None = None
        """What was asked for last."""
        self._ahead: Deferred[bytes] | None = None
        """The payload after the one that is being received."""
        self._timer: Timer | None = None
        self._load = Load(timing.aim_s)
        self._poking: Deferred[None] | None = None
        self._poked_at = float("-inf")
        self._doubted_at = float("-inf")

    @property
    def _known(self) -> str:
        """Return the device that was greeted."""
        assert self.device is not None
        return self.device

    def handle(self, event: states.Event) -> None:
        """Give the session an event, after those that wait, and obey."""
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        try:
            while self._events:
                for command in self.session.handle(self._events.popleft(), self._clock.seconds()):
                    self._obey(command)
        finally:
            self._handling = False
        if self.session.state is states.State.STOPPED:
            self._clear()

    def doubt(self) -> None:
        """There is reason to think that this address is dead: let another one try. At most every DOUBT_S."""
        now = self._clock.seconds()
        if now >= self._doubted_at + DOUBT_S:
            self._doubted_at = now
            self.greet_anew()

    def greet_anew(self) -> None:
        """Break off what runs and greet again, in a moment."""
        self._retire()
        self.handle(states.Failed("it is greeted anew", "here"))

    def stop(self) -> None:
        """End whatever runs; when called out of a command, after the commands that follow it."""
        self.handle(states.Stopped())

    def _clear(self) -> None:
        cancel(self._timer)
        self._drop_ahead()
        for running in (self._task, self._poking):
            if running is not None:
                running.cancel()

    def poke(self) -> None:
        """Tell the peer that there is news here, at most once a second. It need not arrive, but when nobody
        is there to hear it, the poll that we hold is waited for in vain."""
        now = self._clock.seconds()
        if not self.session.leads or self._poking is not None or now < self._poked_at + POKE_S:
            return
        self._poked_at = now
        self._poking = Deferred.fromCoroutine(self._client.poke(self.address, self._known, self._own_site))
        self._poking.addBoth(self._poke_done)

    def _poke_done(self, outcome: Failure | None) -> None:
        self._poking = None
        waiting = self.session.state in (states.State.PULLING, states.State.LISTENING)
        if waiting and outcome is not None and outcome.check(RetryLater):
            self._retire()
            self.handle(self._broken(str(outcome.value), "link"))

    def _obey(self, command: states.Command) -> None:
        match command:
            case states.Greet():
                self._begin(self._greet())
            case states.Pull(site, wait_s):
                self._begin(self._pull(site, wait_s))
            case states.Receive(site, payload):
                self._begin(self._receive(site, payload))
            case states.Sleep(seconds):
                cancel(self._timer)
                self._timer = self._clock.callLater(seconds, self.handle, states.Woken())
            case states.Lead(site):
                self._leaders.lead(site, self.address)
                self._pusher.start(site, self._known)
            case states.Release(site):
                self._pusher.stop()
                self._pulls.forget(site)
                self._leaders.release(site, self.address)
            case states.Report(text, warning):
                (self._log.warning if warning else self._log.info)(text)

    def _begin(self, work: Coroutine[Deferred[Any], Any, states.Event]) -> None:
        cancel(self._timer)
        task = self._task = Deferred.fromCoroutine(self._guard(work))
        task.addCallbacks(self._end, cancelled, callbackArgs=(task,))

    def _end(self, event: states.Event, task: Deferred[states.Event]) -> None:
        """Give the session what its work ended in; it has moved on from work that was retired."""
        if self._task is task:
            self.handle(event)

    def _retire(self) -> None:
        """Cancel what runs and what was asked for ahead. A call that is cut may end as a failure of its own:
        nobody waits for it now."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        self._drop_ahead()

    async def _guard(self, work: Coroutine[Deferred[Any], Any, states.Event]) -> states.Event:
        """Return the event that the work ends in; whatever it raises is a Failed."""
        try:
            return await work
        except CancelledError:
            raise
        except DatabaseAway as error:
            return self._broken(str(error), "here")
        except PeerError as error:
            return self._broken(str(error), "peer")
        except GreetAnew as error:
            return states.Failed(str(error), "here")
        except RetryLater as error:
            return self._broken(str(error), "link")
        except Exception:
            self._log.failure(f"a mistake in the relay, with {self.session.label}")
            return states.Failed("a mistake in the relay, see the log", "here")

    def _broken(self, why: str, whose: states.Whose) -> states.Event:
        """Return the event, and note in the journal what it ended: once greeted, a pull is under way."""
        if self.session.leads and self.session.site is not None:
            self._journal.broken(self._exchange, self.session.site, "in", why)
            self._exchange = new_exchange()
        return states.Failed(why, whose)

    async def _greet(self) -> states.Event:
        known = self.session.site
        if known is not None and self._leaders.taken(known, self.address):
            return states.Taken(known)
        own = await self._database.greet(known or "")
        device = self.device = self.announced or await self._find_device()
        if device == self._peers.own:
            return states.Greeted(own.site, self._card.name, own.protocol)
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
        if site != own.site:
            self._peers.claim(device, site)
            self._manners.read(device, told)
        if self._leaders.taken(site, self.address):
            return states.Taken(site)
        card = read_card(lines)
        self._journal.met(site, card, greeting.shape)
        self._pulls.greeted(site, self._database.exchange.read_vector(greeting.vector))
        return states.Greeted(site, card.name, greeting.protocol, alike=greeting.shape == own.shape)

    async def _find_device(self) -> str:
        """Return who was here last if it is to be spoken to, else who is here now."""
        if self.device is not None and self._peers.is_paired(self.device):
            return self.device
        return await self._client.identify(self.address)

    async def _pull(self, site: str, wait_s: int) -> states.Event:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return states.Answered(await ahead)
        request = await self._next_request(site)
        while await self._pulls.wait(site, self._database.exchange.read_vector(request.vector)):
            request = await self._next_request(site)
        if wait_s:
            request, wait_s = self._weigh(site, request, wait_s)
        self._request = replace(request, size=self._load.size)
        payload = await self._ask(self._request, wait_s)
        offer = read_offer(payload)
        if offer is not None:
            self._pulls.offered(site, self._database.exchange.read_vector(offer))
        return states.Answered(payload)

    def _weigh(self, site: str, request: PullRequest, wait_s: int) -> tuple[PullRequest, int]:
        """Return what to ask a site that has news of third sites, and how long it may hold that: not at all
        when nobody else is expected to bring them."""
        exchange = self._database.exchange
        lacked, left = self._pulls.weigh(site, exchange.read_vector(request.vector))
        if not lacked:
            return request, wait_s
        return replace(request, heard=exchange.write_vector(lacked)), min(wait_s, ceil(left))

    async def _next_request(self, site: str) -> PullRequest:
        self._ends = self._pulls.ends
        return await self._database.next_request(site, self._peers.terms(self._known))

    async def _ask(self, request: PullRequest, wait_s: int) -> bytes:
        """Return the answer, and learn from it how much the next should carry."""
        began = self._clock.seconds()
        try:
            payload = await self._client.pull(
                self.address, self._known, request.to_json(), self._exchange, wait_s
            )
        except RetryLater:
            self._load.failed()
            raise
        if not wait_s:
            full = self._database.exchange.follow_request(request, payload) is not None
            self._load.took(self._clock.seconds() - began, full=full)
        return payload

    async def _receive(self, site: str, payload: bytes) -> states.Event:
        self._look_ahead(site, payload)
        began = self._clock.seconds()
        try:
            received = await self._database.receive(site, payload, self._peers.terms(self._known))
        except OutOfStep:
            # A push of the same site came between: ask anew, from where we stand now.
            self._drop_ahead()
            return states.Received(0, 0, 0, last=False)
        except BaseException:
            self._drop_ahead()
            raise
        self._peers.note_brought(self._known, received.brought)
        self._journal.note(
            self._exchange,
            site,
            "in",
            entries=received.carried,
            size=len(payload),
            began=began,
            last=received.last,
        )
        if received.last:
            self._journal.in_step(site, "in")
            self._exchange = new_exchange()
            self._pulls.ended(site)
        self._watch.received(site, received)
        return states.Received(received.entries, received.applied, received.parked, received.last)

    def _look_ahead(self, site: str, payload: bytes) -> None:
        """Ask for what follows a payload; but anew, where another site's answer has come to its end since."""
        assert self._request is not None
        before = self._request
        self._request = self._database.exchange.follow_request(before, payload)
        if self._request is None:
            return
        end = self._request.end
        self._pulls.moved(site, end - self._request.after, end - (before.after if before.end else 0))
        if self._ends == self._pulls.ends:
            self._request = replace(self._request, size=self._load.size)
            self._ahead = Deferred.fromCoroutine(self._ask_ahead(self._request))

    async def _ask_ahead(self, request: PullRequest) -> bytes:
        payload = await self._ask(request, 0)
        self._database.expect(payload)
        return payload

    def _drop_ahead(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.addErrback(lambda _: None)
            ahead.cancel()
