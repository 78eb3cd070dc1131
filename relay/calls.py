"""What a paired device may ask of this site: hello, pull, push and poke."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from changecapture.core.scopes import Terms
from changecapture.core.vector import Vector
from changecapture.errors import OutOfStep, PeerError
from changecapture.sync import PullRequest, Received
from relay import messages
from relay.card import Card, read_card
from relay.clock import Clock
from relay.database import Database
from relay.exchange import Answer
from relay.journal import Journal
from relay.pace import Pace
from relay.polls import Outcome, Poll, Polls
from relay.runs import MOST, Runs
from relay.verify import Verifier

LONGEST_HOLD_S = 60


class Bindings(Protocol):
    """Knows which device speaks for which site (``relay.trust.peers``)."""

    @property
    def own(self) -> str:
        """Return this device."""

    def claim(self, device: str, site: str) -> None:
        """Bind a site to a device; raise PeerError when it is another's."""

    def terms(self, device: str) -> Terms:
        """Return what may be exchanged with it."""

    def note_brought(self, device: str, number: int) -> None:
        """It has brought so many parts of vectors that nobody here knew."""


class Manners(Protocol):
    """Knows what to tell of trust when greeting (``relay.trust.hello``)."""

    def write(self, device: str) -> str:
        """Return what a device is told."""

    def read(self, device: str, text: str) -> None:
        """Take what it tells; raise PeerError."""


class Calls:
    """The calls, by name; ``device`` is who calls, as TLS has proved."""

    def __init__(
        self,
        *,
        database: Database,
        polls: Polls,
        pace: Pace,
        bindings: Bindings,
        manners: Manners,
        card: Card,
        heard: Callable[[str], None],
        pulled: Callable[[str], bool],
        received: Callable[[str, Received], None],
        journal: Journal,
        clock: Clock,
        runs: Runs | None = None,
    ) -> None:
        """``card`` is this site's, for people; ``heard`` is told the site that called us, ``received`` what
        it pushed; ``pulled`` tells whether we pull from that site ourselves; ``runs``: of all devices, if
        they are told by others too."""
        self._database = database
        self._polls = polls
        self._pace = pace
        self._bindings = bindings
        self._manners = manners
        self._card = card.to_json()
        self._heard = heard
        self._pulled = pulled
        self._received = received
        self._journal = journal
        self._clock = clock
        self._runs = runs or Runs(clock)
        self._greeted: dict[str, list[str]] = {}
        """Devices that have greeted, each with the runs that did."""
        self.verifier: Verifier | None = None

    def greet_anew(self, device: str | None = None) -> None:
        """Answer a device, or all, nothing more before it has greeted: there is something new to tell."""
        self._greeted = {d: runs for d, runs in self._greeted.items() if device not in (None, d)}
        self._polls.let_go()

    async def hello(self, device: str, greeting: str, card: str, manners: str) -> list[str]:
        """Exchange greetings."""
        theirs = self._database.exchange.read_greeting(greeting)
        told = read_card(card)
        if device == self._bindings.own:
            return await self._greet_own(theirs.run)
        self._runs.heard(device, theirs.run)
        await self._pace.turn(device, self._database.meet(theirs))
        if self._runs.are_beside(device):
            await self._pace.turn(device, self._database.note_copy(theirs.site))
        own = await self._pace.turn(device, self._database.greet(theirs.site))
        site = self._bound(device, theirs.site, own.site)
        self._manners.read(device, manners)
        known = [run for run in self._greeted.get(device, []) if run != theirs.run]
        self._greeted[device] = [*known, theirs.run][-MOST:]
        self._journal.met(site, told, theirs.shape)
        self._heard(site)
        return [own.to_json(), self._card, self._manners.write(device)]

    async def _greet_own(self, run: str) -> list[str]:
        """Answer who has our own key: this program itself, or that of a copy of this machine."""
        own = await self._database.greet()
        if run != self._database.run:
            self._runs.saw_copy(self._bindings.own)
            await self._database.note_copy(own.site)
        return [replace(own, vector="{}", digests="{}").to_json(), self._card, ""]

    async def poke(self, device: str, site: str) -> bool:
        """Hear that a site has news."""
        self._heard(self._met(device, site))
        return True

    async def push(self, device: str, site: str, exchange: str, payload: bytes) -> str:
        """Take what a site brings; tell what we lack then."""
        messages.check_exchange(exchange)
        if self._pulled(self._met(device, site)):
            return ""
        if payload:
            try:
                await self._take(device, site, exchange, payload)
            except OutOfStep:
                # It came twice, or we pulled meanwhile: the answer says where to go on.
                pass
        terms = self._bindings.terms(device)
        return (await self._pace.turn(device, self._database.next_request(site, terms))).to_json()

    async def _take(self, device: str, site: str, exchange: str, payload: bytes) -> None:
        began = self._clock.seconds()
        try:
            received = await self._pace.turn(
                device, self._database.receive(site, payload, self._bindings.terms(device))
            )
        except PeerError as error:
            self._journal.broken(exchange, site, "in", str(error))
            raise
        self._bindings.note_brought(device, received.brought)
        self._journal.received(exchange, site, received, size=len(payload), began=began)
        self._received(site, received)

    async def pull(self, device: str, text: str, exchange: str, wait_s: int) -> bytes:
        """Answer with what a site lacks; hold the answer until there is something."""
        messages.check_exchange(exchange)
        request = self._database.exchange.read_request(text)
        self._runs.heard(device, request.run)
        if self._runs.is_due(device):
            self.greet_anew(device)
        poll = self._polls.open(self._met(device, request.site, request.run))
        try:
            said = await self._answer_at_once(device, request, exchange, poll, wait_s)
            if said is None:
                outcome = await poll.hold(min(wait_s, LONGEST_HOLD_S))
                said = await self._answer_later(device, request, exchange, outcome)
            return said
        finally:
            self._polls.close(poll)

    async def verify(self, device: str, question: str) -> str:
        """Answer a question about what is shown here."""
        if self.verifier is None:
            raise PeerError("this site answers no questions")
        return await self._pace.turn(
            device, self.verifier.answer(device, question, self._bindings.terms(device))
        )

    async def _answer_at_once(
        self, device: str, request: PullRequest, exchange: str, poll: Poll, wait_s: int
    ) -> bytes | None:
        """Return what there is to say now, None when the poll is to be held until there is something."""
        began = self._clock.seconds()
        answer = await self._answer(device, request)
        offer = self._write_offer(answer.offer) if wait_s > 0 and answer.third else None
        if offer is not None:
            poll.offered()
            return offer if answer.offer else None
        self._polls.answered(poll, answer.entries)
        if answer.entries or not answer.last or wait_s <= 0:
            return self._ship(answer, request.site, exchange, began)
        return None

    async def _answer_later(
        self, device: str, request: PullRequest, exchange: str, outcome: Outcome
    ) -> bytes:
        """Return what there is to say when a poll is held no longer."""
        if outcome in (Outcome.ASK, Outcome.ASK_NOW):
            return messages.ASK if outcome is Outcome.ASK else messages.ASK_NOW
        if outcome is Outcome.OFFER:
            unheard = await self._pace.turn(device, self._database.offer(request))
            return (self._write_offer(unheard) if unheard else None) or messages.ASK
        began = self._clock.seconds()
        return self._ship(await self._answer(device, request), request.site, exchange, began)

    def _write_offer(self, vector: Vector) -> bytes | None:
        return messages.write_offer(self._database.exchange.write_vector(vector))

    async def _answer(self, device: str, request: PullRequest) -> Answer:
        answer = await self._pace.turn(device, self._database.answer(request, self._bindings.terms(device)))
        if answer.last and not answer.entries and not answer.raises:
            self._journal.in_step(request.site, "out", answer.end)
        return answer

    def _ship(self, answer: Answer, site: str, exchange: str, began: float) -> bytes:
        """Return an answer's payload, and note that it goes out."""
        self._journal.note(
            exchange,
            site,
            "out",
            entries=answer.entries,
            size=len(answer.payload),
            began=began,
            last=answer.last,
        )
        return answer.payload

    def _met(self, device: str, site: str, run: str | None = None) -> str:
        """Return the site that a device speaks for; raise GreetAnew when it, or that run of it, has not
        greeted yet."""
        if device not in self._greeted or run not in (None, *self._greeted[device]):
            raise messages.GreetAnew("greet first")
        return self._bound(device, site)

    def _bound(self, device: str, site: str, own: str = "") -> str:
        """Return the site that a device speaks for; raise PeerError when it may not."""
        if messages.check_site(site) == own:
            raise PeerError("that is this site itself", why="its database was copied, or somebody lies")
        self._bindings.claim(device, site)
        return site
