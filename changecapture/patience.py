"""Patience: a command tries again what was busy for a moment; a relay comes again by itself.

An apply transaction waits for nothing that others hold, so that nobody waits for it. What it then cannot
do it may be able to do at once: a lock of InnoDB's own threads, a deadlock that it lost.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from changecapture.errors import Gone, RetryLater

PATIENCE_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.05

T = TypeVar("T")


def patiently(
    action: Callable[[], T],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return what an action returns, trying again while it raises RetryLater, within bounds.

    A lost connection stays lost: Gone is raised at once.
    """
    until, pause = clock() + PATIENCE_SECONDS, FIRST_PAUSE_SECONDS
    while True:
        try:
            return action()
        except Gone:
            raise
        except RetryLater:
            if clock() + pause > until:
                raise
        sleep(pause)
        pause *= 2
