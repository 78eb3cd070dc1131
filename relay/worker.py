# mypy: untyped-calls-exclude=twisted
"""One thread with one connection to a database, none of it in the reactor.

- A connection whose job failed is closed: whether it was lost or only busy cannot be seen from here.
- A database that cannot be opened is tried again with back-off; meanwhile every job fails at once.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from changecapture.errors import ChangeCaptureError, PeerError, RetryLater
from relay.clock import Reactor, Timer, cancel
from relay.exchange import Connection

T = TypeVar("T")
FIRST_REOPEN_S = 0.5
LONGEST_REOPEN_S = 15.0
STOP_S = 10.0
"""How long a stop waits for the job that runs; what it leaves undone the database rolls back."""


class DatabaseAway(RetryLater):
    """Our own database cannot do it now."""


@dataclass(slots=True, eq=False)
class _Task:
    job: Callable[[Connection], Any]
    done: Deferred[Any]


def _let_go(error: BaseException | None) -> None:
    """Forget through which functions an error came: they hold whole batches, in cycles with what caused it,
    and cycles are collected seldom (``changecapture.memory``)."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


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
            _let_go(error)
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
