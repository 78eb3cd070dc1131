"""``python -m tests.fault.publisher URL``: publish what waits, for ever; what is killed in the tests."""

import sys
from threading import Event

from changecapture.config import parse_url
from changecapture.errors import RetryLater
from changecapture.publish import publish
from changecapture.store import open_store


def main() -> None:
    """Say when publishing begins, then go on until killed."""
    store = open_store(parse_url(sys.argv[1]))
    print("publishing", flush=True)
    while True:
        try:
            taken = publish(store, 50)
        except RetryLater:  # the one before, killed, holds the lock for a moment yet
            taken = 0
        if not taken:
            Event().wait(0.01)


if __name__ == "__main__":
    main()
