"""Waiting for a condition, with a bound; and the one place where an end that was asked for is noticed.

Signals only set a flag here: nothing is interrupted half way, so nothing is left half started.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event
from typing import TypeVar

T = TypeVar("T")

BOUND_S = 30.0
LOOK_S = 0.002
"""Between two looks, unless told: what is measured with it is at most so much too long."""


class Late(Exception):
    """What was waited for did not happen in time."""


class Stopped(Exception):
    """Somebody asked for the end."""


class Patience:
    """Waits, until ``stop``."""

    def __init__(self) -> None:
        self._end = Event()

    def stop(self) -> None:
        """Let every wait, now and later, raise Stopped."""
        self._end.set()

    def wait(
        self, condition: Callable[[], T], what: str, bound_s: float = BOUND_S, look_s: float = LOOK_S
    ) -> T:
        """Return the first true answer of a condition; raise Late when the bound passes before."""
        deadline = time.monotonic() + bound_s
        while True:
            answer = condition()
            if answer:
                return answer
            if self._end.wait(look_s):
                raise Stopped
            if time.monotonic() > deadline:
                raise Late(f"waited {bound_s:g} s in vain: {what}")

    def together(self, *jobs: Callable[[], object]) -> None:
        """Do jobs side by side; return when all have ended, raise what the first failed one raised."""
        with ThreadPoolExecutor(len(jobs)) as threads:
            futures: list[Future[object]] = [threads.submit(job) for job in jobs]
            wait(futures)
        for future in futures:
            future.result()
        if self._end.is_set():
            raise Stopped
