"""The pulls of other sites that are held open, and who is told of what.

A held poll was asked with the vector that the asking site had then. What may be said to it depends
on what has happened since:
- news of our own: answer again, with the entries: nobody else can have given them to that site;
- news that we received from a third site: an offer, since the asking site may have it from there too. In a
  mesh of n sites this spares the n^2 payloads per change that answering would cost;
- news that we received from the asking site itself: hold on, but from now on its vector is out of
  date and an answer made with it would echo its own changes.
Own news after either of the others: "ask again at once", with the vector of now.

A site that had the news of third sites already when we told it, is told of the next ones later, up to
``LONGEST_WAIT_S``; one that lacked them is told at once again. So in a mesh, where each has a change from its
author, nearly nothing else is said; in a chain or a star, where we are the only way, nobody waits.

One poll a site: a second one means that the first one's connection is gone, and lets it go.
"""

from enum import Enum

from twisted.internet.defer import Deferred

from changecapture.errors import RetryLater
from relay.clock import Clock, Timer, cancel

MAX_POLLS = 256
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0
BETWEEN_S = 2.0
"""How long after a poll the next one of the same site is expected, by whoever would call it."""


class Outcome(Enum):
    """Why a poll is held no longer."""

    ANSWER = "answer again with the same request"
    OFFER = "offer what is here of third sites"
    ASK = "let the peer ask again, in a moment"
    ASK_NOW = "let the peer ask again at once"


class Poll:
    """One pull of one site, from the moment before it is answered first."""

    def __init__(self, site: str, clock: Clock, *, wait_s: float = 0.0, told: bool = False) -> None:
        """Begin to listen for news. ``wait_s``: before the site is told of a third one's; ``told``: whether
        it was, by the poll before."""
        self.site = site
        self.told = told
        self.tells = False
        """Whether it ends because of a third site's news."""
        self._clock = clock
        self._wait_s = wait_s
        self._stale = self._own = self._ended = False
        self._waiting: Deferred[Outcome] | None = None
        self._up: Timer | None = None
        self._telling: Timer | None = None

    def hold(self, seconds: float) -> Deferred[Outcome]:
        """Return a Deferred with the outcome; at once if something came since it was opened."""
        self._waiting = Deferred(lambda _: self.close())
        if self._ended:
            return self._fire()
        waiting = self._waiting
        self._up = self._clock.callLater(seconds, self.tell, None)
        return waiting

    def tell(self, source: str | None) -> None:
        """Take news from ``source`` (None: our own, or the time is up)."""
        if source == self.site:
            self._stale = True
        elif source is None:
            self._own = True
            self.let_go()
        elif not self._wait_s:
            self._tell_third()
        elif self._telling is None:
            self._telling = self._clock.callLater(self._wait_s, self._tell_third)

    def offered(self) -> None:
        """The site knows of third ones' news here, and waits for them from elsewhere: an answer made with its
        vector of now would bring them."""
        self._stale = self.tells = True

    def let_go(self) -> None:
        """End it now, whatever came."""
        self._ended = True
        if self._waiting is not None and not self._waiting.called:
            self._fire()

    def close(self) -> None:
        """Forget what is to come."""
        cancel(self._up)
        cancel(self._telling)

    def _tell_third(self) -> None:
        self.tells = True
        self.let_go()

    def _fire(self) -> Deferred[Outcome]:
        self.close()
        waiting, self._waiting = self._waiting, None
        assert waiting is not None
        waiting.callback(self._outcome())
        return waiting

    def _outcome(self) -> Outcome:
        if not self._own:
            return Outcome.OFFER if self.tells else Outcome.ASK
        old = self._stale or self.tells or self._telling is not None
        return Outcome.ASK_NOW if old else Outcome.ANSWER


class Polls:
    """All polls that are open."""

    def __init__(self, clock: Clock, limit: int = MAX_POLLS) -> None:
        """Begin with none."""
        self._clock = clock
        self._limit = limit
        self._open: dict[str, Poll] = {}
        self._closed_at: dict[str, float] = {}
        self._told: set[str] = set()
        self._waits: dict[str, float] = {}
        """How long each site is spared the news of third sites."""

    def open(self, site: str) -> Poll:
        """Return a new poll of that site and let go of the one before; raise RetryLater if full."""
        before = self._open.get(site)
        if before is None and len(self._open) >= self._limit:
            raise RetryLater("too many sites at once")
        poll = self._open[site] = Poll(
            site, self._clock, wait_s=self._waits.get(site, 0.0), told=site in self._told
        )
        self._told.discard(site)
        if before is not None:
            # Last: who is let go may look whether the site holds a poll.
            before.let_go()
        return poll

    def close(self, poll: Poll) -> None:
        """Forget a poll that was answered, or whose connection is gone."""
        poll.close()
        if self._open.get(poll.site) is poll:
            del self._open[poll.site]
            self._closed_at[poll.site] = self._clock.seconds()
            if poll.tells:
                self._told.add(poll.site)

    def answered(self, poll: Poll, entries: int) -> None:
        """Learn from what a poll that followed our word about a third site's news was answered first."""
        if not poll.told:
            return
        poll.told = False
        wait = self._waits.get(poll.site, 0.0)
        self._waits[poll.site] = 0.0 if entries else min(LONGEST_WAIT_S, max(FIRST_WAIT_S, 2 * wait))

    def holds(self, site: str) -> bool:
        """Return whether that site will hear of news by a poll that it has open."""
        return site in self._open

    def hears(self, site: str) -> bool:
        """Return whether it holds one, or comes for the next in a moment."""
        return self.holds(site) or self._closed_at.get(site, -BETWEEN_S) + BETWEEN_S > self._clock.seconds()

    def tell(self, source: str | None) -> None:
        """Tell every poll that there is news: our own (None) or received from ``source``."""
        for poll in list(self._open.values()):
            poll.tell(source)

    def let_go(self) -> None:
        """End all of them: the relay stops."""
        for poll in list(self._open.values()):
            poll.let_go()
