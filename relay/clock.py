# mypy: untyped-calls-exclude=twisted
"""The part of a Twisted reactor that tells the time: an argument everywhere, so that tests own it.

Twisted's own interfaces (zope) cannot be checked by mypy without a plugin; these protocols can.
``twisted.internet.task.Clock`` is a ``Clock``, a running reactor is a ``Reactor``.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.python.failure import Failure


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Forget it."""

    def active(self) -> bool:
        """Return whether it is still to come."""

    def reset(self, secondsFromNow: float) -> None:
        """Let it come so many seconds from now."""


class Clock(Protocol):
    """Seconds that only grow, and calls in the future."""

    def seconds(self) -> float:
        """Return the time in seconds."""

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> Any:
        """Call ``callable`` after ``delay`` seconds; return a Timer."""


class Reactor(Clock, Protocol):
    """A clock that threads can reach."""

    def callFromThread(self, callable: Callable[..., Any], *args: Any) -> Any:
        """Call ``callable`` in the reactor's thread, soon."""


def pause(clock: Clock, seconds: float) -> Deferred[None]:
    """Return a Deferred that fires after so many seconds; cancelling it cancels the timer."""

    def forget(_: Deferred[None]) -> None:
        cancel(timer)

    waiting: Deferred[None] = Deferred(forget)
    timer: Timer = clock.callLater(seconds, waiting.callback, None)
    return waiting


def cancel(timer: Timer | None) -> None:
    """Cancel a timer that may have fired, or been cancelled, already."""
    if timer is not None:
        try:
            timer.cancel()
        except (AlreadyCalled, AlreadyCancelled):
            pass


def cancelled(failure: Failure) -> None:
    """Take the end of what was cancelled on purpose; anything else goes on as a failure."""
    failure.trap(CancelledError)
