"""How fast one peer may call: beyond it, it waits, the others do not.

A peer has bursts (it catches up, it greets after an outage); what it must not do is call for ever as
fast as it can. Its calls for the database take turns, so that however many it makes, one of them at
most stands in the queue before those of others.
"""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock

from relay.clock import Clock, pause

T = TypeVar("T")
RATE = 50.0
"""Calls a second."""
BURST = 200
"""Calls that may come at once after a quiet time."""


class Pace:
    """The calls of all peers, by device."""

    def __init__(self, clock: Clock) -> None:
        """Nobody has called yet."""
        self._clock = clock
        self._paid_until: dict[str, float] = {}
        self._turns: dict[str, DeferredLock] = {}

    async def wait(self, device: str) -> None:
        """Wait until this device may call."""
        now = self._clock.seconds()
        paid = max(self._paid_until.get(device, 0.0), now) + 1 / RATE
        self._paid_until[device] = paid
        early = paid - BURST / RATE - now
        if early > 1e-6:
            await pause(self._clock, early)

    async def turn(self, device: str, work: Coroutine[Deferred[Any], Any, T]) -> T:
        """Do work for a device, after what is done for it already."""
        lock = self._turns.setdefault(device, DeferredLock())
        try:
            await lock.acquire()
        except BaseException:
            work.close()
            raise
        try:
            return await work
        finally:
            lock.release()

    def forget(self, device: str) -> None:
        """The device is no longer paired."""
        self._paid_until.pop(device, None)
        lock = self._turns.get(device)
        if lock is not None and not lock.locked:
            del self._turns[device]
