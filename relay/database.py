# mypy: untyped-calls-exclude=twisted
"""The relay's way to its database: two workers (``relay.worker``), one connection each.

- The *writer* publishes, receives and retries; the *reader* greets, asks, answers and keeps the journal:
  a peer that reads a long backlog does not hold up what is written here, and the reverse.
- Publishing goes first whenever the last job was not a publish: neither the changes of this site
  nor those of its peers can starve the other.
- What fails for reasons of our own database raises ``DatabaseAway``, so that nobody blames the
  peer.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredList

from changecapture.compact import Step
from changecapture.core.scopes import Scopes, Terms
from changecapture.core.vector import Vector
from changecapture.errors import ChangeCaptureError, PeerError, RetryLater, Unwritable
from changecapture.greeting import Greeting, Measured
from changecapture.status import Status
from changecapture.store.records import Instance
from changecapture.sync import PullRequest, Received
from relay.clock import Reactor
from relay.exchange import Answer, Exchange
from relay.journal import Ended, Stepped
from relay.log import Log
from relay.runs import new_run
from relay.worker import DatabaseAway, Worker

T = TypeVar("T")
REPEATED = ("publish", "receive", "retry")
"""Verbs that are tried again until they succeed: what keeps one of them from it is over when it does."""
AGAIN_S = 3600.0
"""What a person should know of others is said again after so long, when it still holds."""


class Database:
    """The verbs of one database, as coroutines for the reactor's thread."""

    def __init__(self, exchange: Exchange, *, reactor: Reactor, log: Log) -> None:
        """Make it; nothing is opened before the first verb."""
        self.exchange = exchange
        self._writer = Worker("database writer", exchange.open, reactor)
        self._reader = Worker("database reader", exchange.open, reactor)
        self.run = new_run()
        """What this run of the relay is called (``relay.runs``)."""
        self._reactor = reactor
        self._log = log
        self._said: dict[str, float] = {}
        self._told = ""
        self._refused = ""
        """Which verb the database cannot do now, though it does others; "" when it can."""

    @property
    def away(self) -> str:
        """Return what keeps the database from being used, "" while nothing does."""
        return self._told

    def start(self) -> None:
        """Start both threads."""
        self._writer.start()
        self._reader.start()

    async def stop(self) -> None:
        """Let what runs finish, within bounds, and close both connections."""
        await DeferredList([self._writer.stop(), self._reader.stop()])

    async def publish(self) -> int:
        """See Connection.publish."""
        return await self._do("publish", self._writer.call(lambda c: c.publish(), first=True))

    async def receive(self, peer: str, payload: bytes, terms: Terms) -> Received:
        """See Connection.receive."""
        return await self._do("receive", self._writer.call(lambda c: c.receive(peer, payload, terms)))

    def expect(self, payload: bytes) -> None:
        """See Connection.expect."""
        self._writer.tell(lambda c: c.expect(payload))

    async def retry(self) -> int:
        """See Connection.retry."""
        return await self._do("retry", self._writer.call(lambda c: c.retry()))

    async def compact(self, keep: int) -> Step | None:
        """See Connection.compact."""
        return await self._do("compact", self._writer.call(lambda c: c.compact(keep)))

    async def greet(self, to: str = "") -> Greeting:
        """See Connection.greet."""
        greeting = await self._do("greet", self._reader.call(lambda c: c.greet(to)))
        return replace(greeting, run=self.run)

    async def meet(self, theirs: Greeting, measured: Measured | None = None) -> None:
        """See Connection.meet; what a person should know is logged."""
        for line in await self._do("meet", self._writer.call(lambda c: c.meet(theirs, measured))):
            self._warn(line)

    async def note_copy(self, whose: str) -> None:
        """See Connection.note_copy; what a person should know is logged."""
        self._warn(await self._do("note_copy", self._writer.call(lambda c: c.note_copy(whose))))

    async def look_for_drift(self) -> str:
        """See Connection.look_for_drift."""
        return await self._do("look_for_drift", self._reader.call(lambda c: c.look_for_drift()))

    async def next_request(self, peer: str, terms: Terms, *, beside: bool = False) -> PullRequest:
        """See Connection.next_request; ``beside``: what is being received is not waited for."""
        # By the writer: after what is being received, which its vector then says. Asked before, a peer would
        # send what is here a moment later.
        worker = self._reader if beside else self._writer
        request = await self._do("next_request", worker.call(lambda c: c.next_request(peer, terms)))
        return replace(request, run=self.run)

    async def answer(self, request: PullRequest, terms: Terms) -> Answer:
        """See Connection.answer."""
        return await self._do("answer", self._reader.call(lambda c: c.answer(request, terms)))

    async def offer(self, request: PullRequest) -> Vector:
        """See Connection.offer."""
        return await self._do("offer", self._reader.call(lambda c: c.offer(request)))

    async def read_status(self) -> Status:
        """See Connection.read_status."""
        return await self._do("read_status", self._reader.call(lambda c: c.read_status()))

    async def get_changes(self, client: str, since: str, send: Scopes, limit: int) -> dict[str, Any]:
        """See Connection.get_changes."""
        return await self._do(
            "get_changes", self._reader.call(lambda c: c.get_changes(client, since, send, limit))
        )

    async def put_changes(
        self, client: str, changes: Sequence[Any], since: str, accept: Scopes
    ) -> dict[str, Any]:
        """See Connection.put_changes."""
        return await self._do(
            "put_changes", self._writer.call(lambda c: c.put_changes(client, changes, since, accept))
        )

    async def modules(self) -> list[str]:
        """See Connection.modules."""
        return await self._do("modules", self._reader.call(lambda c: c.modules()))

    async def write_journal(
        self, ended: Sequence[Ended], met: Sequence[Instance], steps: Sequence[Stepped]
    ) -> None:
        """See Connection.write_journal."""
        await self._do("write_journal", self._reader.call(lambda c: c.write_journal(ended, met, steps)))

    async def _do(self, verb: str, done: Deferred[T]) -> T:
        """Wait for a job; raise PeerError, or DatabaseAway for everything that is ours.

        What could not be written is only known to be possible again when the same verb has succeeded: others
        may have had nothing to write.
        """
        try:
            outcome = await done
        except DatabaseAway as error:
            self._tell("warning", f"waiting for the database: {error}", error.what)
            raise
        except Unwritable as error:
            self._refused = verb
            self._tell("warning", f"waiting for the database: {error}", error.what)
            raise DatabaseAway(str(error)) from error
        except (PeerError, CancelledError):
            raise
        except RetryLater as error:
            raise DatabaseAway(str(error)) from error
        except ChangeCaptureError as error:
            if verb in REPEATED:
                self._refused = verb
            self._tell("warning", f"the database: {error}")
            raise DatabaseAway(str(error)) from error
        except Exception as error:
            if self._told != repr(error):
                self._told = repr(error)
                self._log.failure("a mistake in changecapture")
            raise DatabaseAway("a mistake in changecapture, see the log") from error
        if self._told and self._refused in ("", verb):
            await self._come_back()
        return outcome

    async def _come_back(self) -> None:
        """Say that the database is back, or what is not finished in it."""
        try:
            unfinished = await self._reader.call(lambda c: c.find_unfinished())
        except ChangeCaptureError:
            return
        if unfinished:
            self._tell("warning", f"the database: {unfinished}")
        elif self._told:
            self._log.info("the database is back")
            self._told = self._refused = ""

    def _warn(self, line: str) -> None:
        """Say what a person should know of others, unless it was said lately."""
        now = self._reactor.seconds()
        self._said = {text: at for text, at in self._said.items() if now < at + AGAIN_S}
        if line not in self._said:
            self._said[line] = now
            self._log.warning(line)

    def _tell(self, level: Literal["info", "warning"], text: str, about: str = "") -> None:
        """Say it once, until something else is to be said; ``about``: what it is, however it is worded."""
        if (about or text) != self._told:
            self._told = about or text
            getattr(self._log, level)(text)
