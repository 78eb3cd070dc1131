# mypy: untyped-calls-exclude=twisted
"""What is exchanged with whom: followed from call to call, and written down when it has ended.

An exchange is a pull or a push from its beginning to the payload that has no more, under the uuid that its
caller gave it; the other end writes it down under the same one. One with a peer in a direction is under way
at a time: a new one ends the one before it. What carried nothing and did not fail is forgotten.

Nothing waits for it: what has ended is written together, a moment later, and lost if the relay is killed
before that.
"""

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from twisted.internet.defer import Deferred

from changecapture.errors import RetryLater
from changecapture.store.records import DONE, Direction, Instance
from changecapture.sync import Received
from relay.card import Card
from relay.clock import Clock, Timer, cancel, cancelled
from relay.messages import clean

WRITE_S = 1.0
STEP_S = 30.0
"""How often it is written down that nothing has changed: who is in step still is."""
STALE_S = 120.0
"""After so long without a call the other end is taken to have given up."""
SHAPE_LIMIT = 64
MOST = 1000
"""What is kept while the database is away."""
CUT = "cut: it did not come to its end"


@dataclass(frozen=True, slots=True)
class Ended:
    """An exchange that has ended: as ``store.records.Exchanged``, but how many seconds ago."""

    exchange: str
    peer: str
    direction: Direction
    entries: int
    bytes: int
    started_ago: float
    ended_ago: float
    outcome: str


@dataclass(frozen=True, slots=True)
class Stepped:
    """That a peer was in step: as ``store.records.InStep``, but how many seconds ago."""

    peer: str
    direction: Direction
    ago: float
    position: int


@dataclass(slots=True)
class Traffic:
    """What was exchanged with a peer in one direction since the start."""

    entries: int = 0
    bytes: int = 0
    failures: int = 0


@dataclass(slots=True)
class _Exchange:
    exchange: str
    started: float
    ended: float
    entries: int = 0
    bytes: int = 0
    outcome: str = CUT


Write = Callable[[Sequence[Ended], Sequence[Instance], Sequence[Stepped]], Awaitable[None]]
Key = tuple[str, Direction]


def new_exchange() -> str:
    """Return a uuid for an exchange, as it travels."""
    return uuid4().hex


class Journal:
    """The exchanges of one site."""

    def __init__(self, write: Write, clock: Clock) -> None:
        """``write`` writes down what has ended, and who was met; it may raise RetryLater and is then asked
        again."""
        self._write = write
        self._clock = clock
        self.traffic: defaultdict[Key, Traffic] = defaultdict(Traffic)
        self._open: dict[Key, _Exchange] = {}
        self._ended: deque[tuple[Key, _Exchange]] = deque(maxlen=MOST)
        self._met: dict[str, Instance] = {}
        self._known: dict[str, Instance] = {}
        """What peers said of themselves: to be written, and written."""
        self._steps: dict[Key, tuple[float, int]] = {}
        self._stepped: dict[Key, tuple[float, int]] = {}
        """Who is in step, when it was seen, and up to which position: to be written, and written."""
        self._timer: Timer | None = None
        self._soon = self._stopped = False
        self._writing: Deferred[None] | None = None

    def note(
        self,
        exchange: str,
        peer: str,
        direction: Direction,
        *,
        entries: int,
        size: int,
        began: float,
        last: bool,
    ) -> None:
        """A payload of ``size`` bytes was received and is durable, or was sent; ``began``: its time."""
        key = (peer, direction)
        current = self._open.get(key)
        if current is None or current.exchange != exchange:
            self._end(key)
            current = self._open[key] = _Exchange(exchange, began, began)
        current.entries += entries
        current.bytes += size
        self.traffic[key].entries += entries
        self.traffic[key].bytes += size
        current.ended = self._clock.seconds()
        if last:
            current.outcome = DONE
            self._end(key)
        self._wind()

    def received(self, exchange: str, peer: str, received: Received, *, size: int, began: float) -> None:
        """A payload of ``size`` bytes was received and is durable; with the last one this site has all that
        the peer has."""
        last = received.last
        self.note(exchange, peer, "in", entries=received.carried, size=size, began=began, last=last)
        if last:
            self.in_step(peer, "in")

    def broken(self, exchange: str, peer: str, direction: Direction, why: str) -> None:
        """An exchange failed."""
        key, now = (peer, direction), self._clock.seconds()
        current = self._open.get(key)
        if current is None or current.exchange != exchange:
            self._end(key)
            current = self._open[key] = _Exchange(exchange, now, now)
        current.ended, current.outcome = now, why
        self.traffic[key].failures += 1
        self._end(key)
        self._wind()

    def met(self, site: str, card: Card, shape: str) -> None:
        """A peer said this of itself."""
        instance = Instance(site, card.name, card.owner, card.contact, card.url, clean(shape, SHAPE_LIMIT))
        if self._known.get(site) != instance:
            self._met[site] = instance
            self._wind()

    def in_step(self, peer: str, direction: Direction, position: int = 0) -> None:
        """A peer had all that is sent to it, up to a position of the log here ("out"), or we all of its."""
        key, now = (peer, direction), self._clock.seconds()
        before = self._stepped.get(key)
        if before is None or before[1] != position or now - before[0] >= STEP_S:
            self._steps[key] = now, position
            self._wind()

    async def stop(self) -> None:
        """Write down what there is, if that works at once; what is noted later is forgotten."""
        self._stopped = True
        cancel(self._timer)
        for key in list(self._open):
            self._end(key)
        await self._write_down()

    def _end(self, key: Key) -> None:
        ended = self._open.pop(key, None)
        if ended is not None and (ended.entries or ended.outcome != DONE):
            self._ended.append((key, ended))

    def _wind(self) -> None:
        """Come back when there is something to do: soon when an exchange has ended."""
        soon = bool(self._ended or self._met or self._steps)
        if self._timer is not None and soon and not self._soon:
            cancel(self._timer)
            self._timer = None
        if self._timer is None and (self._open or soon) and not self._stopped:
            self._soon = soon
            self._timer = self._clock.callLater(WRITE_S if soon else STALE_S, self._look)

    def _look(self) -> None:
        self._timer = None
        stale = self._clock.seconds() - STALE_S
        for key in [key for key, exchange in self._open.items() if exchange.ended <= stale]:
            self._end(key)
        if (self._ended or self._met or self._steps) and self._writing is None:
            self._writing = Deferred.fromCoroutine(self._write_down())
            self._writing.addErrback(cancelled)
            self._writing.addCallback(self._written)
        else:
            self._wind()

    def _written(self, _: None) -> None:
        self._writing = None
        self._wind()

    async def _write_down(self) -> None:
        batch, met, steps = list(self._ended), dict(self._met), dict(self._steps)
        if not batch and not met and not steps:
            return
        self._ended.clear()
        self._met.clear()
        self._steps.clear()
        now = self._clock.seconds()
        ended = [
            Ended(e.exchange, *key, e.entries, e.bytes, now - e.started, now - e.ended, e.outcome)
            for key, e in batch
        ]
        stepped = [Stepped(*key, now - at, position) for key, (at, position) in steps.items()]
        try:
            await self._write(ended, list(met.values()), stepped)
        except RetryLater:
            self._ended.extendleft(reversed(batch))
            self._met = met | self._met
            self._steps = steps | self._steps
        else:
            self._known |= met
            self._stepped |= steps
