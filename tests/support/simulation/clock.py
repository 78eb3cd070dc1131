"""Time that jumps from one alarm to the next."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from twisted.internet.error import AlreadyCalled


class Alarm:
    """A call that is to come; a ``relay.clock.Timer``."""

    __slots__ = ("at", "call", "given")

    def __init__(self, at: float, call: Callable[..., Any], given: tuple[Any, ...]) -> None:
        self.at, self.given = at, given
        self.call: Callable[..., Any] | None = call

    def cancel(self) -> None:
        """Forget it."""
        if self.call is None:
            raise AlreadyCalled
        self.call = None

    def active(self) -> bool:
        """Return whether it is still to come."""
        return self.call is not None

    def reset(self, secondsFromNow: float) -> None:
        """Nothing of the relay that is simulated does this."""
        raise NotImplementedError


class SimClock:
    """A ``relay.clock.Clock`` that goes from one alarm to the next; Twisted's sorts all of them each time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._numbers = count()

    def seconds(self) -> float:
        """Return the time in seconds."""
        return self._now

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> Alarm:
        """Call ``callable`` after ``delay`` seconds."""
        alarm = Alarm(self._now + delay, callable, args)
        heappush(self._alarms, (alarm.at, next(self._numbers), alarm))
        return alarm

    def pass_to(self, until: float) -> None:
        """Let time go by."""
        while self._alarms and self._alarms[0][0] <= until:
            at, _, alarm = heappop(self._alarms)
            self._now = max(self._now, at)
            call, alarm.call = alarm.call, None
            if call is not None:
                call(*alarm.given)
        self._now = until
