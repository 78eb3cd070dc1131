"""What the relay does unasked: publish what the application wrote, try parked rows again, look for drift.

Publishing polls: a notification out of the application's transaction would halve its throughput,
and MySQL has none. The rate follows what happens: ``ACTIVE_S`` while there is traffic, towards
``IDLE_S`` as the quiet lasts (a fiftieth of it), so the first change after a quiet time is
published after 100 ms on average. Parked rows are tried again every ``RETRY_S`` while there are
some, less and less often when nothing else happens that could help them. The application's tables are
compared with what was installed at start and every ``DRIFT_S``: reading a catalogue of 460 tables takes the
server half a second.

Whoever waits for news (``relay.polls``, the sessions) is told through ``news``: None for what this
site's application wrote, else the site that it was received from.
"""

from collections.abc import Callable
from random import Random

from twisted.internet.defer import Deferred

from changecapture.sync import Received
from relay.clock import Clock, cancelled, pause
from relay.database import Database
from relay.log import Log
from relay.session import MAX_WAIT_HERE_S, back_off
from relay.worker import DatabaseAway

ACTIVE_S = 0.05
IDLE_S = 0.2
QUIET_FACTOR = 50
MANY = 100
"""A publish of so many changes is followed by the next at once: there is a backlog."""
RETRY_S = 5.0
LONGEST_RETRY_S = 60.0
DRIFT_S = 600.0


def interval(quiet_s: float) -> float:
    """Return the seconds between two looks after so many seconds without any traffic."""
    return min(IDLE_S, max(ACTIVE_S, quiet_s / QUIET_FACTOR))


class Watch:
    """Three loops over one database, from ``start`` to ``stop``."""

    def __init__(
        self,
        database: Database,
        *,
        news: Callable[[str | None], None],
        clock: Clock,
        rng: Random,
        log: Log,
    ) -> None:
        """Make it; nothing is looked at before ``start``."""
        self._database = database
        self._news = news
        self._clock = clock
        self._rng = rng
        self._log = log
        self._active_at = clock.seconds()
        self._parked: int | None = None
        """How many rows are parked; None: not known."""
        self._retry_wait = RETRY_S
        self._retry_at = 0.0
        self._loops: list[Deferred[None]] = []

    def start(self) -> None:
        """Begin the loops."""
        for loop in (self._publish_for_ever, self._retry_for_ever, self._look_for_drift_for_ever):
            running = Deferred.fromCoroutine(loop())
            running.addErrback(cancelled)
            self._loops.append(running)

    def stop(self) -> None:
        """End them."""
        for loop in self._loops:
            loop.cancel()
        self._loops.clear()

    def received(self, peer: str, received: Received) -> None:
        """Take note of a payload that a session has received."""
        if not received.entries:
            return
        if received.parked and not self._parked:
            self._parked = None
        self._stir()
        self._news(peer)

    def _stir(self) -> None:
        """Something happened: look often, and soon at what is parked."""
        self._active_at = self._clock.seconds()
        self._retry_wait = RETRY_S
        self._retry_at = min(self._retry_at, self._active_at + RETRY_S)

    async def _publish_for_ever(self) -> None:
        failures = 0
        while True:
            try:
                published = await self._database.publish()
            except DatabaseAway:
                await pause(self._clock, back_off(failures, MAX_WAIT_HERE_S, self._rng))
                failures += 1
                continue
            failures = 0
            if published:
                # What waited for a row that the application wrote can be shown now.
                self._parked = self._parked or None
                self._stir()
                self._news(None)
            if published < MANY:
                await pause(self._clock, interval(self._clock.seconds() - self._active_at))

    async def _retry_for_ever(self) -> None:
        while True:
            if self._parked != 0 and self._clock.seconds() >= self._retry_at:
                await self._retry()
            await pause(self._clock, RETRY_S)

    async def _retry(self) -> None:
        before = self._parked
        try:
            self._parked = await self._database.retry()
        except DatabaseAway:
            return
        if self._parked != (before or 0):
            left = f"{self._parked} that cannot be shown here yet" if self._parked else "0, all are shown now"
            self._log.info(f"parked: {left}")
        self._retry_at = self._clock.seconds() + self._retry_wait
        self._retry_wait = min(LONGEST_RETRY_S, self._retry_wait * 2)

    async def _look_for_drift_for_ever(self) -> None:
        failures, told = 0, ""
        while True:
            try:
                drift = await self._database.look_for_drift()
            except DatabaseAway:
                await pause(self._clock, back_off(failures, MAX_WAIT_HERE_S, self._rng))
                failures += 1
                continue
            failures = 0
            if drift != told:
                self._log.warning(f"drift: {drift}") if drift else self._log.info("drift: mended")
                told = drift
            await pause(self._clock, DRIFT_S)
