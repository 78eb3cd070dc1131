# mypy: untyped-calls-exclude=twisted
"""The relay's way to its database: two threads, one connection each, none of it in the reactor.

- The *writer* publishes, receives and retries; the *reader* greets, asks, answers and keeps the journal:
  a peer that reads a long backlog does not hold up what is written here, and the reverse.
- Publishing goes first whenever the last job was not a publish: neither the changes of this site
  nor those of its peers can starve the other.
- A connection whose job failed is closed: whether it was lost or only busy cannot be seen from
  here. A database that cannot be opened is tried again with back-off; meanwhile every job fails at
  once.
- What fails for reasons of our own database raises ``DatabaseAway``, so that nobody blames the
  peer.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.python.failure import Failure

from changecapture.compact import Step
from changecapture.core.scopes import Scopes, Terms
from changecapture.core.vector import Vector
from changecapture.errors import ChangeCaptureError, PeerError, RetryLater, Unwritable
from changecapture.greeting import Greeting, Measured
from changecapture.status import Status
from changecapture.store.records import Instance
from changecapture.sync import PullRequest, Received
from relay.clock import Reactor, Timer, cancel
from relay.exchange import Answer, Connection, Exchange
from relay.journal import Ended, Stepped
from relay.log import Log
from relay.runs import new_run

T = TypeVar("T")
FIRST_REOPEN_S = 0.5
LONGEST_REOPEN_S = 15.0
STOP_S = 10.0
"""How long a stop waits for the job that runs; what it leaves undone the database rolls back."""
REPEATED = ("publish", "receive", "retry")
"""Verbs that are tried again until they succeed: what keeps one of them from it is over when it does."""
AGAIN_S = 3600.0
"""What a person should know of others is said again after so long, when it still holds."""


class DatabaseAway(RetryLater):
    """Our own database cannot do it now."""


@dataclass(slots=True, eq=False)
class _Task:
    job: Callable[[Connection], Any]
    done: Deferred[Any]


class Worker:
    """One thread with one connection, which it opens when there is work and none is open."""

    def __init__(self, name: str, open_connection: Callable[[], Connection], reactor: Reactor) -> None:
        """Make it; ``start`` starts the thread."""
        self._open = open_connection
        self._reactor = reactor
        self._first: deque[_Task] = deque()
        self._rest: deque[_Task] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._connection: Connection | None = None
        self._failures = 0
        self._reopen_at = 0.0
        self._away = DatabaseAway("it was not opened yet")
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._ended: Deferred[None] = Deferred()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, within: float = STOP_S) -> Deferred[None]:
        """Finish the job that runs, fail the others; fire at its end, or when time is up."""
        timer: Timer = self._reactor.callLater(within, self._end)
        self._ended.addBoth(lambda _: cancel(timer))
        with self._changed:
            self._stopping = True
            left = [*self._first, *self._rest]
            self._first.clear()
            self._rest.clear()
            self._changed.notify()
        for task in left:
            self._deliver(task, Failure(DatabaseAway("the relay stops")))
        return self._ended

    def call(self, job: Callable[[Connection], T], *, first: bool = False) -> Deferred[T]:
        """Run a job in the thread; ``first``: before the others, but never twice in a row so."""
        task = _Task(job, Deferred(self._drop))
        with self._changed:
            if not self._stopping:
                (self._first if first else self._rest).append(task)
                self._changed.notify()
                return task.done
        task.done.errback(DatabaseAway("the relay stops"))
        return task.done

    def tell(self, act: Callable[[Connection], None]) -> None:
        """Let the connection know something at once, whatever runs in it; nothing where none is open."""
        connection = self._connection
        if connection is not None:
            act(connection)

    def _drop(self, done: Deferred[Any]) -> None:
        """Forget a job that was cancelled before it ran; one that runs goes on, unheard."""
        with self._changed:
            for queue in (self._first, self._rest):
                for task in queue:
                    if task.done is done:
                        queue.remove(task)
                        return

    def _run(self) -> None:
        went_first = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._first or self._rest or self._stopping)
                if self._stopping:
                    break
                went_first = bool(self._first) and not (went_first and self._rest)
                task = (self._first if went_first else self._rest).popleft()
            self._connection = self._do(task, self._connection)
            del task
        if self._connection is not None:
            self._connection.close()
        self._reactor.callFromThread(self._end)

    def _do(self, task: _Task, connection: Connection | None) -> Connection | None:
        """Do one job; return the connection to go on with."""
        outcome: Any
        try:
            connection = connection or self._connect()
            outcome = task.job(connection)
        except Exception as error:
            outcome = Failure()
            outcome.cleanFailure()
            if connection is not None and not isinstance(error, PeerError):
                connection.close()
                connection = None
        self._reactor.callFromThread(self._deliver, task, outcome)
        return connection

    def _connect(self) -> Connection:
        now = self._reactor.seconds()
        if now < self._reopen_at:
            raise self._away
        try:
            connection = self._open()
        except ChangeCaptureError as error:
            self._reopen_at = now + min(LONGEST_REOPEN_S, FIRST_REOPEN_S * 2 ** min(self._failures, 9))
            self._failures += 1
            self._away = DatabaseAway(error.what, why=error.why, mend=error.mend)
            raise self._away from error
        self._failures = 0
        return connection

    @staticmethod
    def _deliver(task: _Task, outcome: Any) -> None:
        if not task.done.called:
            task.done.callback(outcome)

    def _end(self) -> None:
        if not self._ended.called:
            self._ended.callback(None)


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

    async def next_request(self, peer: str, terms: Terms) -> PullRequest:
        """See Connection.next_request."""
        # By the writer: after what is being received, which its vector then says. Asked before, a peer would
        # send what is here a moment later.
        request = await self._do("next_request", self._writer.call(lambda c: c.next_request(peer, terms)))
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
