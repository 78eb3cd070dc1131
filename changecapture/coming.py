"""A payload that is going to be received: what can be known of it before, in spare time (core/spare.py).

Its entries are read; then each of its parts, a transaction of its own, is made ready to be applied.
"""

from collections.abc import Sequence
from typing import NamedTuple

from changecapture.apply import Prepared, prepare
from changecapture.core.change import Entry
from changecapture.core.codec import Batch, decode_steps
from changecapture.core.spare import Task
from changecapture.store.interface import Store

APPLY_ENTRIES = 2000
"""Entries that one apply transaction takes: it must stay below 200 ms or so."""


class Part(NamedTuple):
    """Entries that are applied together, and what makes them ready."""

    entries: Sequence[Entry]
    ready: Task[Prepared]


class Coming:
    """A payload, and how far it has been worked at."""

    def __init__(self, store: Store, payload: bytes) -> None:
        """Nothing is done yet."""
        self._store = store
        self._read = Task(decode_steps(payload))
        self._parts: list[Part] | None = None

    def step(self) -> bool:
        """Do a step; return False when nothing is left to do, or it is malformed."""
        if self._read.step():
            return True
        if self._parts is None and not self._read.failed:
            self._parts = divide(self._store, self._read.finish().entries)
        return any(part.ready.step() for part in self._parts or ())

    def read(self) -> Batch:
        """Return the batch; raise PeerError when it is malformed."""
        return self._read.finish()

    def divide(self, entries: Sequence[Entry]) -> list[Part]:
        """Return the parts of these entries, as far as they have been made ready."""
        if self._parts is not None and entries is self._read.finish().entries:
            return self._parts
        return divide(self._store, entries)


def divide(store: Store, entries: Sequence[Entry]) -> list[Part]:
    """Return the parts of a batch, at least one; none is ready yet."""
    parts = [entries[i : i + APPLY_ENTRIES] for i in range(0, len(entries), APPLY_ENTRIES)] or [()]
    return [Part(part, Task(prepare(store, part))) for part in parts]
