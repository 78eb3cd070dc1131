"""Eight sessions of an application that write at once, and what they know to have committed.

Each writes rows of its own, now with a rollback, now with a savepoint that is given up, now in a
transaction that stays open; all change one row that they share. A row of its own is known by the notes
that were committed, in their order, None for its end. A commit that answered is certain: the server lives.
"""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from threading import Event
from typing import Any

import pymysql

from tests.support.family import Family
from tests.support.patience import Patience

SHARED = "shared"
DEADLOCK = 1213
LONG_S = 2.0
"""How long a long transaction stays open."""

History = dict[str, list[str | None]]
"""{row: its notes as they were committed}; None: it was deleted."""


class Writer:
    """One session, which writes until it is told to stop. ``pause_s``: the longest between two steps."""

    def __init__(self, url: str, name: str, seed: int, pause_s: float) -> None:
        self.committed: History = defaultdict(list)
        self._family = Family(url)
        self._name = name
        self._chance = random.Random(f"{seed} {name}")
        self._pause_s = pause_s
        self._number = 0

    def write(self, stop: Event) -> None:
        """Run transactions until ``stop``; the one that is open then is ended."""
        while not stop.is_set():
            try:
                self._run_transaction(stop)
            except pymysql.OperationalError as error:
                # Inserts and deletes of others stand in each other's gaps: rolled back, as applications know.
                if error.args[0] != DEADLOCK:
                    raise
        self._family.close()

    def _run_transaction(self, stop: Event) -> None:
        written: History = defaultdict(list)
        long = self._chance.random() < 0.02
        self._family("BEGIN")
        for _ in range(self._chance.randint(1, 4)):
            if self._chance.random() < 0.2:
                self._family("SAVEPOINT given_up")
                self._write_row(defaultdict(list), self._live(written))
                self._family("ROLLBACK TO SAVEPOINT given_up")
            else:
                self._write_row(written, self._live(written))
            stop.wait(self._chance.random() * self._pause_s)
        if long:
            stop.wait(LONG_S)
        elif self._chance.random() < 0.5:  # last: whoever holds it keeps all others waiting
            self._family("UPDATE parent SET note = %s WHERE uuid = %s", self._next("note"), SHARED)
        if self._chance.random() < 0.15:
            self._family("ROLLBACK")
            return
        self._family("COMMIT")
        for row, notes in written.items():
            self.committed[row] += notes

    def _live(self, written: History) -> Sequence[str]:
        """Return rows that are there in this transaction."""
        recent = list(self.committed)[-20:] + list(written)
        return [row for row in recent if (written.get(row) or self.committed[row])[-1] is not None]

    def _write_row(self, written: History, live: Sequence[str]) -> None:
        chance = self._chance.random()
        if chance < 0.6 or not live:
            row, note = self._next("row"), self._next("note")
            self._family("INSERT INTO parent (uuid, note) VALUES (%s, %s)", row, note)
            written[row].append(note)
        elif chance < 0.85:
            row, note = self._chance.choice(live), self._next("note")
            self._family("UPDATE parent SET note = %s WHERE uuid = %s", note, row)
            written[row].append(note)
        else:
            row = self._chance.choice(live)
            self._family("DELETE FROM parent WHERE uuid = %s", row)
            written[row].append(None)

    def _next(self, kind: str) -> str:
        self._number += 1
        return f"{kind} {self._number} of {self._name}"


def write_together(
    url: str, seconds: float, seed: int, pause_s: float, *, stop: Event | None = None, sessions: int = 8
) -> History:
    """Let sessions write for so long, or until ``stop``; return what they committed."""
    writers = [Writer(url, f"writer {number}", seed, pause_s) for number in range(sessions)]
    stop = stop or Event()

    def end() -> None:
        stop.wait(seconds)  # a duration, not a condition; a writer that fails ends it
        stop.set()

    def write(writer: Writer) -> None:
        try:
            writer.write(stop)
        finally:
            stop.set()

    Patience().together(end, *(lambda w=w: write(w) for w in writers))
    return {row: notes for writer in writers for row, notes in writer.committed.items() if notes}


def find_faults(committed: History, entries: Sequence[tuple[str, str]]) -> list[str]:
    """Return what is wrong with a log of (key, columns): missed, doubled, out of order, never committed.

    One pass makes one entry of several changes of a row. What it inserted, or wrote twice, is read late,
    with what a later change wrote, which is published in its turn. So a row that was written once has one
    entry; any other has no more entries than changes, none shows less than it was made of, the last the end.
    """
    shown: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for key, text in entries:
        shown[key].append(json.loads(text))
    faults = [f"{row}: never committed" for row in shown.keys() - committed.keys() - {SHARED}]
    for row, notes in committed.items():
        found = [None if not columns["@alive"] else columns["note"] for columns in shown[row]]
        read_late = ["name" in columns for columns in shown[row]]
        newest = {note: place for place, note in enumerate(notes)}
        behind = any(newest.get(note, -1) < place for place, note in enumerate(found))
        if len(notes) == 1 and len(found) != 1:
            faults.append(f"{row}: {len(found)} entries of one change")
        elif behind or len(found) > len(notes) or read_late.count(True) > 1:
            faults.append(f"{row}: {found} of {notes}")
        elif found[-1:] != notes[-1:] and (found or notes[-1] is not None):
            faults.append(f"{row}: ends with {found[-1:]}, not {notes[-1]}")
    return faults
