"""What a record means at a site: pure, column by column, as the merge would decide (core.merge).

Each value of a record has the stamp with which it was exported. What the site holds already is not written
again; a later value is written, with its stamp; an earlier one that the site never had is written too,
loses, and is kept as a conflict. A value that differs from the one of the very stamp and entry that it
names was edited in the file: it counts as one microsecond later, so it wins over what it was made from, and
loses to what was written since. A value without a stamp is a person's word of now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from changecapture.core.change import ALIVE, Entry
from changecapture.core.clock import LATEST_STAMP, next_stamp
from changecapture.core.merge import Cell, find_words, merge_entries, read_columns
from changecapture.core.vector import Vector, covers_name
from changecapture.record.model import Record, show_stamp

DAY = 86_400_000_000
"""Microseconds: no stamp that a person writes is further ahead of this site's clock."""


@dataclass(slots=True)
class Decided:
    """``writes``: what is to be written, by stamp. ``lost``: what that replaces without its author having
    seen it. ``older``: how many of the values lose to what is here."""

    writes: dict[int, dict[str, Any]] = field(default_factory=dict)
    lost: dict[str, Cell] = field(default_factory=dict)
    older: int = 0

    def write(self, stamp: int, column: str, value: Any) -> None:
        """Note a value to be written."""
        self.writes.setdefault(stamp, {})[column] = value

    def drop_older(self, entries: Sequence[Entry]) -> None:
        """Leave out what would lose to what is here."""
        merged = merge_entries(entries)
        self.older = 0
        for stamp, columns in list(self.writes.items()):
            kept = {n: v for n, v in columns.items() if n not in merged or merged[n].entry.stamp < stamp}
            self.writes[stamp] = kept
            if not kept:
                del self.writes[stamp]


def decide(
    record: Record, entries: Sequence[Entry], held: Vector, seen: Vector, scope: str, now: int
) -> Decided:
    """Return what is to be written of a record.

    ``entries``: all that is here of its row, under whichever of its keys: that the row exists is said of one,
    that it does not of all that the record names. ``held``: this site's vector; ``seen``: what the file's
    site held. Raises ValueError for a stamp that is no time of now or before: it would win over all that
    comes.
    """
    merged, words = merge_entries(entries), find_words(entries)
    keys = [record.key]
    if not record.alive:
        keys = [key for key in record.keys if key in words and words[key].value] or record.keys
    own = [words[key] for key in keys if key in words]
    said: dict[str, list[tuple[int, Any]]] = {}
    named: dict[tuple[str, int, int], Mapping[str, Any]] = {}
    for entry in entries:
        columns = read_columns(entry)
        named[entry.name] = columns
        for column, value in columns.items():
            if column == ALIVE and entry.key not in keys:
                continue
            said.setdefault(column, []).append((entry.stamp, value))
    ahead = now + DAY
    latest = max((entry.stamp for entry in entries), default=0)
    found = Decided()
    for column, value in record.cells.items():
        stamp, name = record.find_written(column)
        cell = merged.get(column)
        if column == ALIVE:
            cell = max(own, key=lambda word: word.entry.order, default=None)
        if stamp is None:
            if cell is None or cell.value != value:
                found.write(next_stamp(now, latest), column, value)
            continue
        if any(value == known and at in (stamp, stamp + 1) for at, known in said.get(column, ())):
            continue  # it is here
        edited = False
        if name is not None and covers_name(held, name.origin, name.epoch, scope, name.number):
            if name not in named:
                continue  # it was here, and was overtaken long ago
            edited = True
        edited = edited or (cell is not None and cell.entry.stamp == stamp)
        stamp += edited
        if stamp > LATEST_STAMP or (name is None and stamp > ahead):
            raise ValueError(
                f"{column} is of {show_stamp(stamp - edited)}: nothing later could be written after it"
            )
        found.write(stamp, column, value)
        if cell is None or cell.value == value:
            continue
        if cell.entry.stamp >= stamp:
            found.older += 1
        elif not edited and not _was_seen(cell.entry, seen):
            found.lost[column] = cell
    return found


def _was_seen(entry: Entry, seen: Vector) -> bool:
    return covers_name(seen, entry.origin, entry.epoch, entry.scope, entry.number)
