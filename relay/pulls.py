"""Which pulls are under way, and what is heard of: so that no two neighbours are asked for the same.

Who is greeted says what it holds, and so does who has news of a third site (an *offer*). While another site
brings some of that, or its author is spoken to, whose own answer is on its way, it is not asked: it would
send it a second time. Nobody is waited for longer than that is worth: an author for ``AUTHOR_S`` after the
offer; not a pull that has brought nothing for ``STALL_S``, or that takes longer than ``LONG_S`` at its pace.
"""

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from changecapture.core.vector import Component, Vector
from relay.clock import Clock, cancel

AUTHOR_S = 3.0
STALL_S = 5.0
LONG_S = 20.0
LOOK_S = 1.0


@dataclass(slots=True)
class _Pull:
    """``holds``: what the site had when it was greeted; ``left``: positions of its log still to come."""

    holds: Vector
    began: float | None = None
    moved: float = 0.0
    first: int | None = None
    left: int = 0

    def brings_soon(self, now: float) -> bool:
        """Return whether it is under way and worth waiting for."""
        if self.began is None or now > self.moved + STALL_S:
            return False
        if self.first is None:
            return True
        pace = (self.first - self.left) / max(now - self.began, 1e-6)
        return self.left <= pace * LONG_S


@dataclass(slots=True)
class _Offer:
    """Entries of one origin that a site has and this one lacks: ``first`` was heard of at ``since``, ``last``
    lately."""

    first: int
    last: int
    since: float


class Pulls:
    """The pulls of one site, by the site that is pulled from."""

    def __init__(self, clock: Clock, leads: Callable[[str], bool] = lambda _: False) -> None:
        """None is under way. ``leads`` tells whether a site is spoken to."""
        self._clock = clock
        self._leads = leads
        self._pulls: dict[str, _Pull] = {}
        self._offers: dict[str, dict[Component, _Offer]] = {}
        self._waiting: list[Deferred[None]] = []
        self.ends = 0
        """How many have come to their end: a vector of before is out of date."""

    def greeted(self, site: str, holds: Vector) -> None:
        """A site is going to be pulled from."""
        self._pulls[site] = _Pull(holds)

    def offered(self, site: str, holds: Vector) -> None:
        """A site that is listened to has this of third sites."""
        offers = self._offers.setdefault(site, {})
        for part, number in holds.items():
            known = offers.get(part)
            if known is None:
                offers[part] = _Offer(number, number, self._clock.seconds())
            else:
                known.last = max(known.last, number)

    def weigh(self, site: str, own: Vector) -> tuple[Vector, float]:
        """Return what a site has offered and is lacked here, and for how many seconds others may still bring
        it; with 0.0 the site's own pull begins."""
        now = self._clock.seconds()
        offers = self._offers.get(site, {})
        for part, offer in list(offers.items()):
            held = own.get(part, 0)
            if held >= offer.last:
                del offers[part]
            elif held >= offer.first:
                offer.first, offer.since = offer.last, now
        lacked = {part: offer.last for part, offer in offers.items()}
        left = min((self._expect(site, part, offer, own, now) for part, offer in offers.items()), default=0.0)
        if lacked and not left:
            self._pulls[site] = _Pull(lacked, began=now, moved=now)
            del self._offers[site]
        return lacked, left

    async def wait(self, site: str, own: Vector) -> bool:
        """Begin a pull and return False; or wait a while and return True: look again, with today's vector."""
        pull = self._pulls.get(site)
        if pull is None or pull.began is not None:
            return False
        now = self._clock.seconds()
        if any(self._overlap(pull, other, own, now) for name, other in self._pulls.items() if name != site):
            await self._next_change()
            return True
        pull.began = pull.moved = now
        return False

    def moved(self, site: str, left: int, total: int) -> None:
        """A payload is here: so many positions are left, of so many that were to come with and after it."""
        pull = self._pulls.get(site)
        if pull is not None:
            pull.moved, pull.left = self._clock.seconds(), left
            pull.first = total if pull.first is None else pull.first

    def ended(self, site: str) -> None:
        """It has come to its end, or was given up."""
        if self._pulls.pop(site, None) is not None:
            self.ends += 1
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                waiter.callback(None)

    def forget(self, site: str) -> None:
        """It is spoken to no longer."""
        self._offers.pop(site, None)
        self.ended(site)

    def _expect(self, site: str, part: Component, offer: _Offer, own: Vector, now: float) -> float:
        """Return for how many seconds another site than the one that offers a part may still bring it."""
        others = (other for name, other in self._pulls.items() if name != site)
        if any(other.brings_soon(now) and other.holds.get(part, 0) > own.get(part, 0) for other in others):
            return STALL_S
        author = part[0]
        if author != site and self._leads(author):
            return max(0.0, offer.since + AUTHOR_S - now)
        return 0.0

    @staticmethod
    def _overlap(pull: _Pull, other: _Pull, own: Vector, now: float) -> bool:
        """Return whether another pull brings some of what this one would."""
        return other.brings_soon(now) and any(
            min(number, other.holds.get(name, 0)) > own.get(name, 0) for name, number in pull.holds.items()
        )

    def _next_change(self) -> Deferred[None]:
        """Return what fires when a pull ends, or after a while."""

        def forget(waiter: "Deferred[None]") -> None:
            cancel(timer)
            if waiter in self._waiting:
                self._waiting.remove(waiter)

        waiter: Deferred[None] = Deferred(forget)
        self._waiting.append(waiter)

        def look() -> None:
            forget(waiter)
            waiter.callback(None)

        timer = self._clock.callLater(LOOK_S, look)
        waiter.addCallback(lambda _: cancel(timer))
        return waiter
