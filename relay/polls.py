"""The pulls of other sites that are held open, and who is told of what.

A held poll was asked with the vector that the asking site had then. What may be said to it depends
on what has happened since:
- news of our own: answer again, with the entries: nobody else can have given them to that site;
- news that we received from a third site: "ask again" (an empty payload), since the asking site may
  have it from there too, and its vector of now says so. In a mesh of n sites this spares the n^2
  payloads per change that answering would cost;
- news that we received from the asking site itself: hold on, but from now on its vector is out of
  date and an answer made with it would echo its own changes: whatever wakes it says "ask again".
One poll a site: a second one means that the first one's connection is gone, and lets it go.
"""

from enum import Enum

from twisted.internet.defer import Deferred

from changecapture.errors import RetryLater
from relay.clock import Clock, Timer, cancel

MAX_POLLS = 256


class Outcome(Enum):
    """Why a poll is held no longer."""

    ANSWER = "answer again with the same request"
    ASK = "let the peer ask again"


class Poll:
    """One pull of one site, from the moment before it is answered first."""

    def __init__(self, site: str) -> None:
        """Begin to listen for news."""
        self.site = site
        self._stale = False
        self._outcome: Outcome | None = None
        self._waiting: Deferred[Outcome] | None = None
        self._timer: Timer | None = None

    def hold(self, seconds: float, clock: Clock) -> Deferred[Outcome]:
        """Return a Deferred with the outcome; at once if something came since it was opened."""
        waiting: Deferred[Outcome] = Deferred(lambda _: cancel(self._timer))
        if self._outcome is not None:
            waiting.callback(self._outcome)
            return waiting
        self._waiting = waiting
        self._timer = clock.callLater(seconds, self.tell, None)
        return waiting

    def tell(self, source: str | None) -> None:
        """Take news from ``source`` (None: our own, or the time is up)."""
        if source == self.site:
            self._stale = True
        elif source is None and not self._stale:
            self._end(Outcome.ANSWER)
        else:
            self._end(Outcome.ASK)

    def let_go(self) -> None:
        """End it now, whatever came."""
        self._end(Outcome.ASK)

    def _end(self, outcome: Outcome) -> None:
        if self._outcome is Outcome.ASK:
            return
        self._outcome = outcome
        cancel(self._timer)
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(outcome)


class Polls:
    """All polls that are open."""

    def __init__(self, limit: int = MAX_POLLS) -> None:
        """Begin with none."""
        self._limit = limit
        self._open: dict[str, Poll] = {}

    def open(self, site: str) -> Poll:
        """Return a new poll of that site and let go of the one before; raise RetryLater if full."""
        before = self._open.get(site)
        if before is None and len(self._open) >= self._limit:
            raise RetryLater("too many sites at once")
        poll = self._open[site] = Poll(site)
        if before is not None:
            # Last: who is let go may look whether the site holds a poll.
            before.let_go()
        return poll

    def close(self, poll: Poll) -> None:
        """Forget a poll that was answered, or whose connection is gone."""
        if self._open.get(poll.site) is poll:
            del self._open[poll.site]

    def holds(self, site: str) -> bool:
        """Return whether that site will hear of news by a poll that it has open."""
        return site in self._open

    def tell(self, source: str | None) -> None:
        """Tell every poll that there is news: our own (None) or received from ``source``."""
        for poll in list(self._open.values()):
            poll.tell(source)

    def let_go(self) -> None:
        """End all of them: the relay stops."""
        for poll in list(self._open.values()):
            poll.let_go()
