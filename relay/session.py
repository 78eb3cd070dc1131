"""One address at which a peer may be, as a table of states: events in, commands out.

Nothing here does anything: no network, no database, no clock (``now``, in seconds, comes with each
event) and no chance of its own (``rng`` is an argument). ``relay.peer`` obeys the commands and
reports what became of them.

    idle -> greeting -> pulling <-> applying <-> listening
               |  \\         \\_________|___________/
               |   \\                  failed
               |    refused            |
          standing_by             backing_off  -> greeting

- A round: ask for what we lack, apply it, again until the peer has no more; then *listen*, which
  is the same call held open by the peer until it has news.
- One site may have several addresses (IPv4, IPv6, an old one still announced). The site is spoken
  to over one of them, the leader; the others stand by until the leader fails.
- Any failure backs off, doubling, with jitter, and begins again by a greeting: the peer may have
  become another one. Only an exchange that worked makes the next back-off short again.
- A peer cannot make us busy: empty answers in a row are paused (``pausing``, then it listens again),
  and ``Poked`` never shortens a wait below ``MIN_WAIT_S``.
- What a person should know is reported when it changes, not each time that it is so.
"""

from collections.abc import Callable
from random import Random
from typing import ClassVar

from relay.events import (
    Answered,
    Commands,
    Event,
    Failed,
    Greet,
    Greeted,
    Lead,
    Poked,
    Pull,
    Receive,
    Received,
    Release,
    Report,
    Sleep,
    Started,
    State,
    Stopped,
    Stranger,
    Taken,
    Woken,
)
from relay.messages import ASK, ASK_NOW, OFFER

LISTEN_S = 25
"""How long a peer may hold a pull: the strictest routers forget a silent connection after 30 s."""
MIN_WAIT_S = 1.0
MAX_WAIT_S = 60.0
MAX_WAIT_HERE_S = 10.0
"""Our own database: it costs nobody anything to look again soon."""
REFUSED_S = 120.0
QUICK_S = 1.0
ASK_S = 0.1
"""Between "ask again in a moment" and our asking, once to three times."""
MAX_QUICK = 8
"""After so many empty answers in a row, each in less than QUICK_S, we pause."""
MAX_EMPTY = 1000
"""The same for answers that are empty but not the last: the peer skips what we already have."""

LIKE = "the same tables and columns now"
UNLIKE = "other tables or columns: what a site lacks it forwards, and cannot show"


def back_off(failures: int, longest: float, rng: Random) -> float:
    """Return the seconds to wait after so many failures: doubling, the upper half at random."""
    full = min(longest, MIN_WAIT_S * 2.0 ** min(failures, 30))
    return max(MIN_WAIT_S, full * rng.uniform(0.5, 1.0))


def describe(source: str, entries: int, applied: int, parked: int) -> str:
    """Return the line that tells a person what came of a payload."""
    noun = "change" if entries == 1 else "changes"
    return f"received {entries} {noun} from {source} (applied {applied}, parked {parked})"


class Session:
    """The state of one address. ``handle`` is its only verb."""

    def __init__(self, address: str, *, own_site: str, protocol: int, rng: Random) -> None:
        """Begin idle. ``own_site`` and ``protocol`` are ours; ``address`` is for people."""
        self.state = State.IDLE
        self.site: str | None = None
        """The site that answered here last, whether or not we lead it."""
        self.leads = False
        self._address = address
        self._name = ""
        self._own_site = own_site
        self._protocol = protocol
        self._rng = rng
        self._failures = 0
        self._quick = 0
        self._asked_at = 0.0
        self._slept_at = 0.0
        self._wake_at = 0.0
        self._alike = True
        self._told = ""
        """What was last reported about the health of this address."""

    def handle(self, event: Event, now: float) -> Commands:
        """Take an event; return the commands that follow from it.

        Raises RuntimeError for an event that cannot happen in this state: the caller's mistake.
        """
        if self.state is State.STOPPED:
            return ()
        row = self._TABLE.get((self.state, type(event))) or self._ALWAYS.get(type(event))
        if row is None:
            raise RuntimeError(f"{type(event).__name__} while {self.state.value}")
        return row(self, event, now)

    @property
    def label(self) -> str:
        """Return what a person calls the peer: its name and address, or the address alone."""
        return f"{self._name} ({self._address})" if self._name else self._address

    def _greet(self, _: Event, now: float) -> Commands:
        self.state = State.GREETING
        return (Greet(),)

    def _greeted(self, event: Greeted, now: float) -> Commands:
        self.site, self._name = event.site, event.name
        if event.copied:
            return self._refuse(
                f"a copy of this machine answers at {self._address}: "
                "run changecapture site renew in one of the two, and start its relay again",
                now,
            )
        if event.site == self._own_site:
            return self._refuse(f"{self._address} is this site itself: not a peer", now)
        if event.protocol != self._protocol:
            return self._refuse(
                f"{self.label} speaks protocol {event.protocol}, this site {self._protocol}: "
                "the older one needs an upgrade",
                now,
            )
        self.leads = True
        reports: Commands = ()
        if event.alike is not self._alike:
            self._alike = event.alike
            reports = (Report(f"{self.label} has {LIKE if event.alike else UNLIKE}"),)
        return (*reports, Lead(event.site), self._pull(0, now))

    def _refuse(self, why: str, now: float) -> Commands:
        self.state = State.REFUSED
        return (*self._tell(why, warning=True), self._sleep(REFUSED_S, now))

    def _taken(self, event: Taken, now: float) -> Commands:
        self.state, self.site = State.STANDING_BY, event.site
        return ()

    def _stranger(self, event: Stranger, now: float) -> Commands:
        self.state = State.UNPAIRED
        told = self._tell(f"{self._address} is device {event.device}, not paired: it is not spoken to")
        return (*told, self._sleep(REFUSED_S, now))

    def _answered(self, event: Answered, now: float) -> Commands:
        assert self.site is not None
        if event.payload in (ASK, ASK_NOW) or event.payload.startswith(OFFER):
            return self._ask_anew(event.payload != ASK, now)
        self.state = State.APPLYING
        return (Receive(self.site, event.payload),)

    def _received(self, event: Received, now: float) -> Commands:
        self._failures = 0
        reports: Commands = ()
        if event.entries:
            source = self._name or self._address
            reports = (Report(describe(source, event.entries, event.applied, event.parked)),)
        if event.last:
            reports += self._tell(f"up to date with {self.label}")
        return reports + self._next(event.last, progress=event.entries > 0, now=now)

    def _ask_anew(self, at_once: bool, now: float) -> Commands:
        """Ask again, at once or in a moment; who says so all the time is asked once a second."""
        self._quick = self._quick + 1 if now - self._asked_at < QUICK_S else 0
        if at_once and self._quick <= MAX_QUICK:
            return (self._pull(LISTEN_S, now),)
        self.state = State.PAUSING
        pause = ASK_S * self._rng.uniform(1.0, 3.0)
        return (self._sleep(MIN_WAIT_S if self._quick > MAX_QUICK else pause, now),)

    def _next(self, last: bool, *, progress: bool, now: float) -> Commands:
        """Return the next pull of the round, or a pause when the peer only keeps us running."""
        quick = not progress and now - self._asked_at < QUICK_S
        self._quick = self._quick + 1 if quick else 0
        if self._quick > (MAX_QUICK if last else MAX_EMPTY):
            self.state = State.PAUSING
            return (self._sleep(MIN_WAIT_S, now),)
        return (self._pull(LISTEN_S if last else 0, now),)

    def _pull(self, wait_s: int, now: float) -> Pull:
        assert self.site is not None
        self.state = State.LISTENING if wait_s else State.PULLING
        self._asked_at = now
        return Pull(self.site, wait_s)

    def _resume(self, _: Event, now: float) -> Commands:
        return (self._pull(LISTEN_S, now),)

    def _failed(self, event: Failed, now: float) -> Commands:
        release = self._release()
        self.state = State.BACKING_OFF
        longest = MAX_WAIT_HERE_S if event.whose == "here" else MAX_WAIT_S
        seconds = back_off(self._failures, longest, self._rng)
        self._failures += 1
        reports: Commands = ()
        if event.whose == "peer":
            reports = self._tell(f"{self.label} answers wrongly: {event.why}", warning=True)
        elif event.whose == "link":
            reports = self._tell(f"cannot reach {self.label}: {event.why}", warning=True)
        return (*release, *reports, self._sleep(seconds, now))

    def _poked_asleep(self, event: Event, now: float) -> Commands:
        earliest = self._slept_at + MIN_WAIT_S
        if now >= earliest:
            return self._greet(event, now)
        if earliest >= self._wake_at:
            return ()
        self._wake_at = earliest
        return (Sleep(earliest - now),)

    def _ignored(self, _: Event, now: float) -> Commands:
        return ()

    def _stopped(self, _: Event, now: float) -> Commands:
        release = self._release()
        self.state = State.STOPPED
        return release

    def _release(self) -> Commands:
        if not self.leads or self.site is None:
            return ()
        self.leads = False
        return (Release(self.site),)

    def _sleep(self, seconds: float, now: float) -> Sleep:
        self._slept_at, self._wake_at = now, now + seconds
        return Sleep(seconds)

    def _tell(self, text: str, *, warning: bool = False) -> Commands:
        if text == self._told:
            return ()
        self._told = text
        return (Report(text, warning),)

    _TABLE: ClassVar[dict[tuple[State, type[Event]], Callable[..., Commands]]] = {
        (State.IDLE, Started): _greet,
        (State.GREETING, Greeted): _greeted,
        (State.GREETING, Taken): _taken,
        (State.GREETING, Stranger): _stranger,
        (State.GREETING, Failed): _failed,
        (State.PULLING, Answered): _answered,
        (State.PULLING, Failed): _failed,
        (State.LISTENING, Answered): _answered,
        (State.LISTENING, Failed): _failed,
        (State.APPLYING, Received): _received,
        (State.APPLYING, Failed): _failed,
        (State.PAUSING, Woken): _resume,
        (State.PAUSING, Failed): _failed,
        (State.BACKING_OFF, Woken): _greet,
        (State.BACKING_OFF, Poked): _poked_asleep,
        (State.STANDING_BY, Poked): _greet,
        (State.REFUSED, Woken): _greet,
        (State.UNPAIRED, Woken): _greet,
        (State.UNPAIRED, Poked): _poked_asleep,
    }
    _ALWAYS: ClassVar[dict[type[Event], Callable[..., Commands]]] = {
        Poked: _ignored,
        Stopped: _stopped,
    }
