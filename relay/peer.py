# mypy: untyped-calls-exclude=twisted
"""A session made live: obeys its commands and hands it what became of them.

One task at a time runs for a peer (``relay.tasks``). Events are taken one after the other: an event that a
command brings about waits for the commands before it.
"""

from collections import deque
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from changecapture.errors import PeerError, RetryLater
from relay import events as states
from relay.address import Address
from relay.clock import Clock, Timer, cancel, cancelled
from relay.log import Log
from relay.messages import GreetAnew
from relay.push import Pusher
from relay.session import Session
from relay.tasks import Tasks
from relay.worker import DatabaseAway

POKE_S = 1.0
DOUBT_S = 10.0
"""Anybody may announce another address of a peer: that breaks off what runs, but not all the time."""


class Peer:
    """What happens at one address."""

    def __init__(self, session: Session, tasks: Tasks, pusher: Pusher, *, clock: Clock, log: Log) -> None:
        self.session = session
        self._tasks = tasks
        self._pusher = pusher
        self._clock = clock
        self._log = log
        self._events: deque[states.Event] = deque()
        self._handling = False
        self._task: Deferred[states.Event] | None = None
        self._timer: Timer | None = None
        self._poking: Deferred[None] | None = None
        self._poked_at = float("-inf")
        self._doubted_at = float("-inf")

    @property
    def address(self) -> Address:
        """Return where this is."""
        return self._tasks.address

    @property
    def announced(self) -> str | None:
        """Return who was announced here, if anyone was."""
        return self._tasks.announced

    @property
    def device(self) -> str | None:
        """Return who is spoken to here, once it is known."""
        return self._tasks.device

    def announce(self, device: str | None) -> None:
        """A device is announced here: another one than before, perhaps."""
        if device is not None and self.announced not in (None, device):
            self._tasks.announced = device
            self.handle(states.Poked())

    def handle(self, event: states.Event) -> None:
        """Give the session an event, after those that wait, and obey."""
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        try:
            while self._events:
                for command in self.session.handle(self._events.popleft(), self._clock.seconds()):
                    self._obey(command)
        finally:
            self._handling = False
        if self.session.state is states.State.STOPPED:
            self._clear()

    def doubt(self) -> None:
        """There is reason to think that this address is dead: let another one try. At most every DOUBT_S."""
        now = self._clock.seconds()
        if now >= self._doubted_at + DOUBT_S:
            self._doubted_at = now
            self.greet_anew()

    def greet_anew(self) -> None:
        """Break off what runs and greet again, in a moment."""
        self._retire()
        self.handle(states.Failed("it is greeted anew", "here"))

    def stop(self) -> None:
        """End whatever runs; when called out of a command, after the commands that follow it."""
        self.handle(states.Stopped())

    def _clear(self) -> None:
        cancel(self._timer)
        self._tasks.drop_ahead()
        for running in (self._task, self._poking):
            if running is not None:
                running.cancel()

    def poke(self) -> None:
        """Tell the peer that there is news here, at most once a second. It need not arrive, but when nobody
        is there to hear it, the poll that we hold is waited for in vain."""
        now = self._clock.seconds()
        if not self.session.leads or self._poking is not None or now < self._poked_at + POKE_S:
            return
        self._poked_at = now
        self._poking = Deferred.fromCoroutine(self._tasks.poke())
        self._poking.addBoth(self._poke_done)

    def _poke_done(self, outcome: Failure | None) -> None:
        self._poking = None
        waiting = self.session.state in (states.State.PULLING, states.State.LISTENING)
        if waiting and outcome is not None and outcome.check(RetryLater):
            self._retire()
            self.handle(self._broken(str(outcome.value), "link"))

    def _obey(self, command: states.Command) -> None:
        match command:
            case states.Greet():
                self._begin(self._tasks.greet(self.session.site))
            case states.Pull(site, wait_s):
                self._begin(self._tasks.pull(site, wait_s))
            case states.Receive(site, payload):
                self._begin(self._tasks.receive(site, payload))
            case states.Sleep(seconds):
                cancel(self._timer)
                self._timer = self._clock.callLater(seconds, self.handle, states.Woken())
            case states.Lead(site):
                self._tasks.lead(site)
                self._pusher.start(site, self._tasks.known)
            case states.Release(site):
                self._pusher.stop()
                self._tasks.release(site)
            case states.Report(text, warning):
                (self._log.warning if warning else self._log.info)(text)

    def _begin(self, work: Coroutine[Deferred[Any], Any, states.Event]) -> None:
        cancel(self._timer)
        task = self._task = Deferred.fromCoroutine(self._guard(work))
        task.addCallbacks(self._end, cancelled, callbackArgs=(task,))

    def _end(self, event: states.Event, task: Deferred[states.Event]) -> None:
        """Give the session what its work ended in; it has moved on from work that was retired."""
        if self._task is task:
            self.handle(event)

    def _retire(self) -> None:
        """Cancel what runs and what was asked for ahead. A call that is cut may end as a failure of its own:
        nobody waits for it now."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        self._tasks.drop_ahead()

    async def _guard(self, work: Coroutine[Deferred[Any], Any, states.Event]) -> states.Event:
        """Return the event that the work ends in; whatever it raises is a Failed."""
        try:
            return await work
        except CancelledError:
            raise
        except DatabaseAway as error:
            return self._broken(str(error), "here")
        except PeerError as error:
            return self._broken(str(error), "peer")
        except GreetAnew as error:
            return states.Failed(str(error), "here")
        except RetryLater as error:
            return self._broken(str(error), "link")
        except Exception:
            self._log.failure(f"a mistake in the relay, with {self.session.label}")
            return states.Failed("a mistake in the relay, see the log", "here")

    def _broken(self, why: str, whose: states.Whose) -> states.Event:
        """Return the event, and note what it ended: once greeted, a pull is under way."""
        if self.session.leads and self.session.site is not None:
            self._tasks.broken(self.session.site, why)
        return states.Failed(why, whose)
