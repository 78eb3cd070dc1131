"""What the relay does seldom: it keeps the log small, a short transaction at a time.

Compaction (``changecapture.compact``) begins an hour after the start and again an hour after its end. After
each step comes a rest, ``REST`` times as long as the step took, so that publishing and exchanging hardly
notice, whatever has piled up.
"""

from twisted.internet.defer import Deferred

from relay.clock import Clock, cancelled, pause
from relay.database import Database
from relay.log import Log
from relay.worker import DatabaseAway

EVERY_S = 3600.0
REST = 10
LEAST_REST_S = 0.2


class Upkeep:
    """One loop over one database, from ``start`` to ``stop``."""

    def __init__(self, database: Database, *, keep: int, clock: Clock, log: Log) -> None:
        """``keep``: microseconds of history that are left alone."""
        self._database = database
        self._keep = keep
        self._clock = clock
        self._log = log
        self._loop: Deferred[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._loop = Deferred.fromCoroutine(self._compact_for_ever())
        self._loop.addErrback(cancelled)

    def stop(self) -> None:
        """End."""
        if self._loop is not None:
            self._loop.cancel()

    async def _compact_for_ever(self) -> None:
        while True:
            await pause(self._clock, EVERY_S)
            removed = 0
            try:
                removed = await self._compact()
            except DatabaseAway:
                continue
            if removed:
                self._log.info(f"gave up {removed} entries of the log that later ones have overtaken")

    async def _compact(self) -> int:
        removed = 0
        while True:
            began = self._clock.seconds()
            step = await self._database.compact(self._keep)
            if step is None:
                return removed
            removed += step.removed
            await pause(self._clock, max(LEAST_REST_S, REST * (self._clock.seconds() - began)))
