"""Which pulls are under way, so that no two neighbours are asked for the same.

Who is greeted says what it holds. While another site brings some of that, it is not asked yet: it would send
it a second time. What was brought is in the vector that it is asked with afterwards. Nobody is waited for
longer than that is worth: a pull that has brought nothing for ``STALL_S``, or that will take longer than
``LONG_S`` at its pace, holds up no other one. Vectors are compared, never looked into.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from relay.clock import Clock, cancel

Vector = Mapping[Any, int]
STALL_S = 5.0
LONG_S = 20.0
LOOK_S = 1.0


@dataclass(slots=True)
class _Pull:
    """``holds``: what the site had when it was greeted; ``left``: positions of its log still to come."""

    holds: Vector
    began: float | None = None
    moved: float = 0.0
    first: int | None = None
    left: int = 0

    def brings_soon(self, now: float) -> bool:
        """Return whether it is under way and worth waiting for."""
        if self.began is None or now > self.moved + STALL_S:
            return False
        if self.first is None:
            return True
        pace = (self.first - self.left) / max(now - self.began, 1e-6)
        return self.left <= pace * LONG_S


class Pulls:
    """The pulls of one site, by the site that is pulled from."""

    def __init__(self, clock: Clock) -> None:
        """None is under way."""
        self._clock = clock
        self._pulls: dict[str, _Pull] = {}
        self._waiting: list[Deferred[None]] = []
        self.ends = 0
        """How many have come to their end: a vector of before is out of date."""

    def greeted(self, site: str, holds: Vector) -> None:
        """A site is going to be pulled from."""
        self._pulls[site] = _Pull(holds)

    async def wait(self, site: str, own: Vector) -> bool:
        """Begin a pull and return False; or wait a while and return True: look again, with today's vector."""
        pull = self._pulls.get(site)
        if pull is None or pull.began is not None:
            return False
        now = self._clock.seconds()
        if any(self._overlap(pull, other, own, now) for name, other in self._pulls.items() if name != site):
            await self._next_change()
            return True
        pull.began = pull.moved = now
        return False

    def moved(self, site: str, left: int, total: int) -> None:
        """A payload is here: so many positions are left, of so many that were to come with and after it."""
        pull = self._pulls.get(site)
        if pull is not None:
            pull.moved, pull.left = self._clock.seconds(), left
            pull.first = total if pull.first is None else pull.first

    def ended(self, site: str) -> None:
        """It has come to its end, or was given up."""
        if self._pulls.pop(site, None) is not None:
            self.ends += 1
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                waiter.callback(None)

    @staticmethod
    def _overlap(pull: _Pull, other: _Pull, own: Vector, now: float) -> bool:
        """Return whether another pull brings some of what this one would."""
        return other.brings_soon(now) and any(
            min(number, other.holds.get(name, 0)) > own.get(name, 0) for name, number in pull.holds.items()
        )

    def _next_change(self) -> Deferred[None]:
        """Return what fires when a pull ends, or after a while."""

        def forget(waiter: "Deferred[None]") -> None:
            cancel(timer)
            if waiter in self._waiting:
                self._waiting.remove(waiter)

        waiter: Deferred[None] = Deferred(forget)
        self._waiting.append(waiter)

        def look() -> None:
            forget(waiter)
            waiter.callback(None)

        timer = self._clock.callLater(LOOK_S, look)
        waiter.addCallback(lambda _: cancel(timer))
        return waiter
