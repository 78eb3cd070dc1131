"""A publisher in a process of its own, to be killed.

Processes are forked from one that has imported what they need: starting an interpreter takes a second, in
which nobody publishes.
"""

import multiprocessing
import random
from multiprocessing.synchronize import Event as EventClass
from threading import Event

from changecapture.config import parse_url
from changecapture.errors import RetryLater
from changecapture.publish import publish
from changecapture.store import open_store
from tests.support.patience import BOUND_S

NEEDED = ("publish", "store.postgresql", "store.mysql")
LIMIT = 50
"""Changes in a pass: small, so that transactions are taken by several."""


def publish_forever(url: str, begun: EventClass) -> None:
    """Publish what waits, until killed."""
    store = open_store(parse_url(url))
    begun.set()
    while True:
        try:
            taken = publish(store, LIMIT)
        except RetryLater:  # another publishes, or the one before, killed, still holds the lock
            taken = 0
        if not taken:
            Event().wait(0.01)


def publish_and_kill(url: str, chance: random.Random, stop: Event) -> int:
    """Run publishers, one after the other, each killed (-9) a moment after it began; return how many."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"changecapture.{name}" for name in NEEDED])
    killed = 0
    while not stop.is_set():
        begun = context.Event()
        process = context.Process(target=publish_forever, args=(url, begun), daemon=True)
        process.start()
        assert begun.wait(BOUND_S), "a publisher does not begin"
        stop.wait(chance.uniform(0.0, 0.4))
        process.kill()
        process.join()
        killed += 1
    return killed
