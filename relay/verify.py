# mypy: untyped-calls-exclude=twisted
"""A peer compares what it shows with what this site shows: one at a time, over a connection of its own.

Only tables are spoken of that both may have of each other (``limit``): what is held back at either end would
always differ. Questions are bounded in time (``changecapture.verify.questions``), and what was made for them
is let go when no more come.
"""

from typing import Any

from changecapture.core.scopes import Scopes, Terms
from changecapture.errors import PeerError, RetryLater
from changecapture.store.sqlstore import SqlStore
from changecapture.verify.questions import Respondent
from changecapture.verify.side import StoreSide
from relay.clock import Reactor, Timer, cancel
from relay.config import RelayConfig
from relay.connection import open_site
from relay.worker import DatabaseAway, Worker

IDLE_S = 300.0
LONGEST_S = 1800.0
"""A comparison as a whole."""


class Verifier:
    """Answers the questions of one device at a time."""

    def __init__(self, config: RelayConfig, reactor: Reactor) -> None:
        """The database is opened when somebody asks."""
        opener: Any = lambda: open_site(config)  # noqa: E731
        self._worker = Worker(f"verify of {config.name}", opener, reactor)
        self._reactor = reactor
        self._device, self._scopes = "", Scopes(but=False)
        self._store: SqlStore | None = None
        self._respondent: Respondent | None = None
        self._timer: Timer | None = None
        self._since = 0.0
        self._started = False

    async def answer(self, device: str, text: str, terms: Terms) -> str:
        """Answer a question of a device; raise PeerError, and RetryLater while another one asks."""
        now = self._reactor.seconds()
        if self._device and now - self._since > LONGEST_S:
            self._forget()
        if self._device not in ("", device):
            raise RetryLater("another site compares at the moment")
        if not self._started:
            self._worker.start()
            self._started = True
        if not self._device:
            self._device, self._since = device, now
        cancel(self._timer)
        self._timer = self._reactor.callLater(IDLE_S, self._forget)
        scopes = terms.send & terms.accept
        job: Any = lambda store: self._answer(store, text, scopes)  # noqa: E731
        try:
            done: str = await self._worker.call(job)
        except (PeerError, DatabaseAway):
            raise
        except RetryLater as error:
            raise DatabaseAway(str(error)) from error
        return done

    async def stop(self) -> None:
        """End; what runs is waited for."""
        cancel(self._timer)
        if self._started:
            await self._worker.stop()

    def _answer(self, store: SqlStore, text: str, scopes: Scopes) -> str:
        """In the thread."""
        if self._respondent is None or (store, scopes) != (self._store, self._scopes):
            self._store, self._scopes = store, scopes
            self._respondent = Respondent(StoreSide(store, scopes))
        return self._respondent.answer(text)

    def _forget(self) -> None:
        self._device, self._store, self._respondent = "", None, None
