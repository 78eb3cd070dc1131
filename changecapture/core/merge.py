"""Merge: pure, column by column.

A row is a map from column to a cell: a value and the entry that wrote it. The later entry, by
(stamp, origin, epoch, number), wins each column; nothing else decides, so merging is commutative,
associative and idempotent. Whether the row exists is one more column, ``@alive``. Where several keys are
one row (core.alias) it exists while it does under any of them.

Two entries are concurrent when the author of neither had seen the other. A concurrent value that loses
is a conflict: it is not shown, and kept for a person. A value that its winner's author had seen is
simply older. What an author had seen is told by the context of the entry's pass, less the names that
the entry lists as ``@unseen``.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from changecapture.core.change import ALIVE, FROM, NOTES, UNSEEN, Entry, Name, Version, add_names
from changecapture.core.vector import Vector, covers_name

Contexts = Mapping[tuple[str, int, int], Vector]
"""(origin, epoch, pass) to what the author of that pass had seen, its own entries left out."""


class Cell(NamedTuple):
    """The value of one column of a merged row, and who wrote it."""

    entry: Entry
    value: Any


@dataclass(frozen=True, slots=True)
class Conflict:
    """A concurrent value that lost."""

    column: str
    kept: Cell
    lost: Cell


class Decision(NamedTuple):
    """What merging some entries into a row comes to.

    ``values``: the columns to write, with their values, ``@alive`` left out. ``whole``: whether they are
    all columns that the row has (true when the merge saw every entry). ``version``: what is known of the
    row afterwards.
    """

    values: dict[str, Any]
    alive: bool
    whole: bool
    version: Version
    conflicts: tuple[Conflict, ...] = ()


def read_columns(entry: Entry) -> dict[str, Any]:
    """Return the entry's columns, ours (``@``) included; not to be changed."""
    if entry.parsed is not None:
        return entry.parsed
    columns: dict[str, Any] = json.loads(entry.columns)
    return columns


def merge_entries(entries: Iterable[Entry]) -> dict[str, Cell]:
    """Return the merged row of a set of entries of one row, in any order and with repetitions."""
    merged: dict[str, Cell] = {}
    alive: dict[str, Cell] = {}
    for entry in entries:
        for column, value in read_columns(entry).items():
            if column in NOTES:
                continue
            cells, place = (alive, entry.key) if column == ALIVE else (merged, column)
            cell = cells.get(place)
            if cell is None or cell.entry.order < entry.order:
                cells[place] = Cell(entry, value)
    if alive:
        merged[ALIVE] = max(alive.values(), key=lambda cell: (bool(cell.value), cell.entry.order))
    return merged


def find_overtaken(entries: Sequence[Entry]) -> list[Entry]:
    """Return those of a row's applied entries of whose columns, ``@alive`` included, each has a later one.

    Without them the row merges to the same, with whatever may still come (R16).
    """
    needed = {cell.entry.name for cell in merge_entries(entries).values()}
    return [entry for entry in entries if entry.name not in needed]


def find_words(entries: Iterable[Entry]) -> dict[str, Cell]:
    """Return for each key what was said last of whether the row exists under it."""
    ordered = sorted(entries, key=lambda entry: entry.order)
    return {e.key: Cell(e, read_columns(e)[ALIVE]) for e in ordered if ALIVE in read_columns(e)}


def find_last_words(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return of each site the last entry in which it says whether the row exists; what an import says for it
    counts where it has said nothing itself."""
    words = [entry for entry in entries if ALIVE in read_columns(entry)]
    words.sort(key=lambda entry: (not is_hearsay(entry), entry.name))
    return {find_speaker(entry): entry for entry in words}


def find_speaker(entry: Entry) -> str:
    """Return the site whose word an entry is: its origin, or whom an import heard it from."""
    return str(read_columns(entry).get(FROM, entry.origin))


def is_hearsay(entry: Entry) -> bool:
    """Return whether an import says for another site that a row exists."""
    return FROM in read_columns(entry)


def has_seen(author: Entry, other: Entry, contexts: Contexts) -> bool:
    """Return whether the author of the first entry had seen the second when writing it."""
    return has_seen_name(author, other.name, other.scope, contexts)


def has_seen_name(author: Entry, name: Name, scope: str, contexts: Contexts) -> bool:
    """Return whether the author of an entry had seen the entry of a name and scope when writing it."""
    if author.origin == name.origin and author.epoch == name.epoch:
        return name.number <= author.number
    context = contexts.get((author.origin, author.epoch, author.pass_number))
    if context is None or not covers_name(context, name.origin, name.epoch, scope, name.number):
        return False
    return str(name) not in read_columns(author).get(UNSEEN, ())


def find_conflicts(
    entries: Sequence[Entry], fresh: frozenset[tuple[str, int, int]], contexts: Contexts
) -> tuple[Conflict, ...]:
    """Return the values that lost to a concurrent one, where one of the two entries is fresh.

    ``fresh`` names the entries that were not merged before: what was found earlier is not found again.
    A value that a third entry replaced knowingly is no conflict.
    """
    writers: dict[tuple[str, str], list[Cell]] = {}
    for entry in entries:
        for column, value in read_columns(entry).items():
            if column not in NOTES:
                place = column, entry.key if column == ALIVE else ""
                writers.setdefault(place, []).append(Cell(entry, value))
    found: list[Conflict] = []
    for (column, _), cells in writers.items():
        kept = max(cells, key=lambda cell: cell.entry.order)
        latest: dict[tuple[str, int], int] = {}
        for entry, _ in cells:
            latest[entry.origin, entry.epoch] = max(entry.number, latest.get((entry.origin, entry.epoch), 0))
        for lost in cells:
            if lost.value == kept.value:
                continue
            if lost.entry.name not in fresh and kept.entry.name not in fresh:
                continue
            if _is_replaced(lost.entry, cells, latest, contexts):
                continue
            found.append(Conflict(column, kept, lost))
    return tuple(found)


def _is_replaced(
    lost: Entry, cells: Sequence[Cell], latest: Mapping[tuple[str, int], int], contexts: Contexts
) -> bool:
    """Return whether the author of another of the cells had seen an entry; ``latest``: the last number of
    each origin and epoch among them.

    An author has seen all that it wrote before. So of an origin the last entry alone needs a closer look: a
    row that was written thousands of times is merged in a time that grows as its entries do.
    """
    if lost.number < latest[lost.origin, lost.epoch]:
        return True
    return any(
        other.entry.name != lost.name and has_seen(other.entry, lost, contexts) for other in reversed(cells)
    )


def follows(version: Version | None, entries: Sequence[Entry]) -> bool:
    """Return whether each entry was written by an author who had seen all that is merged before it.

    Then all its columns win and nothing can conflict: the fast path.
    """
    seen = 0 if version is None else version.seen
    stamp = 0 if version is None else version.stamp
    for place, entry in enumerate(entries):
        if place:
            seen = add_names(seen, entries[place - 1 : place])
        if entry.base_seen != seen or entry.stamp <= stamp:
            return False
        stamp = entry.stamp
    return True


def extend(version: Version | None, entries: Sequence[Entry]) -> Decision:
    """Return the decision for entries that ``follows`` accepted, oldest first."""
    values = dict(read_columns(entries[0]))
    for entry in entries[1:]:
        values.update(read_columns(entry))
    for note in NOTES:
        values.pop(note, None)
    alive = bool(values.pop(ALIVE, version is not None and version.alive))
    last = entries[-1]
    seen = 0 if version is None else version.seen
    return Decision(
        values=values,
        alive=alive,
        whole=version is None,
        version=Version(last.stamp, last.origin, alive, add_names(seen, entries)),
    )


def find_alive(entries: Iterable[Entry]) -> Cell | None:
    """Return whether a thing exists, from the entries of all its rows: the latest word on it wins."""
    return merge_entries(entries).get(ALIVE)


def settle(
    version: Version | None,
    entries: Sequence[Entry],
    fresh: frozenset[tuple[str, int, int]],
    contexts: Contexts,
    thing: Cell | None = None,
) -> Decision:
    """Return the decision for a row from all its entries; ``fresh`` names the not yet merged ones.

    ``version`` is what was known of the row before; compaction may have taken entries that it counts.
    ``thing`` is ``find_alive`` of all rows that are one thing with this one: it then says for each of
    them whether it exists.
    """
    merged = merge_entries(entries)
    alive = merged.pop(ALIVE, None)
    if thing is not None:
        alive = thing
    last = max(entries, key=lambda entry: entry.order)
    shown = bool(alive.value) if alive is not None else version is not None and version.alive
    seen = 0 if version is None else version.seen
    return Decision(
        values={column: cell.value for column, cell in merged.items()},
        alive=shown,
        whole=True,
        version=Version(
            last.stamp,
            last.origin,
            shown,
            add_names(seen, (entry for entry in entries if entry.name in fresh)),
        ),
        conflicts=find_conflicts(entries, fresh, contexts),
    )


def unite_versions(versions: Iterable[Version]) -> Version:
    """Return what is known of a row that was known under several keys."""
    known = list(versions)
    last = max(known, key=lambda version: (version.stamp, version.origin))
    seen = 0
    for version in known:
        seen ^= version.seen
    return Version(last.stamp, last.origin, any(version.alive for version in known), seen)
