"""Records that nobody here has heard of, shown in bulk: at a site with a mapping, most of a first load.

A record is *new* when each common row of it has one entry, which says that it lives and was written by who
knew of no other, and neither the log, nor what waits, nor a table of the application has any of it. Nothing
can conflict then, nothing is to be locked, and the entries are the rows. Whatever is not new, or turns out to
be here after all, is left to ``Crossing``; both ways come to the same.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from changecapture.apply.mapped_write import SHOWN
from changecapture.apply.work import BUSY, Work
from changecapture.apply.write import insert_absent
from changecapture.bridge import (
    Subject,
    as_shown,
    common_rows,
    find_subjects,
    hanging,
    leave_spoilt,
    read_widths,
)
from changecapture.core.change import ALIVE, Entry, Row
from changecapture.core.merge import Decision, read_columns
from changecapture.mapping.difference import read_new_parts
from changecapture.mapping.lens import fill, local_key, put
from changecapture.mapping.model import Lens
from changecapture.store.interface import Store


class _Here(Exception):
    """The application has a row after all."""


def write_new(store: Store, lens: Lens, entries: Sequence[Entry]) -> tuple[list[Entry], list[Work]]:
    """Show and log the records that are new; return their entries, and the rows of the application."""
    subjects, hung = _find_new(store, lens, entries)
    if not subjects:
        return [], []
    own = {row for rows in subjects.values() for row in rows}
    fresh = {row: entry for entry in entries if (row := entry.row) in own}
    works, shortened = _put_new(store, lens, subjects, fresh)
    try:
        with store.savepoint():
            insert_absent(store, works)
            if any(_is_here(work) for work in works):
                raise _Here
    except _Here:
        return [], []
    store.write_shortened([work.row for work in works], shortened)
    store.write_mapped({row: key for row, key in hung.items() if row in own})
    store.append_first(list(fresh.values()))
    return list(fresh.values()), works


def _is_here(work: Work) -> bool:
    busy = work.parked is not None and work.parked.reason == BUSY
    return busy or (work.local_key is not None and not work.inserted)


def _find_new(
    store: Store, lens: Lens, entries: Sequence[Entry]
) -> tuple[dict[Subject, list[Row]], dict[Row, str]]:
    """Return the records that are new, with their common rows, and which record each of those hangs on."""
    none: tuple[dict[Subject, list[Row]], dict[Row, str]] = {}, {}
    if store.has_aliases():
        return none
    first: dict[Row, Entry] = {}
    odd: set[Row] = set()
    for entry in entries:
        row = entry.row
        if row in first or entry.base_seen or read_columns(entry).get(ALIVE) is not True:
            odd.add(row)
        first[row] = entry
    if len(odd) == len(first):
        return none
    hung = hanging(lens, ((row, read_columns(entry)) for row, entry in first.items()))
    subjects = find_subjects(lens, {row: {hung[row]} if row in hung else set() for row in first})
    rows = {s: _rows_of(lens, s, own) for s, own in subjects.items()}
    everything = {row for own in rows.values() for row in own}
    odd |= store.read_versions(everything).keys() | store.read_parked(everything)
    # Super rows are those of records of several kinds, of which one has a root.
    heard = first.keys() | odd
    subjects = {s: own for s, own in subjects.items() if not _is_nothing(lens, s, heard)}
    homeless = first.keys() - {row for own in subjects.values() for row in own}
    known = {key for key, mapped in store.read_mapped({s.key for s in subjects}).items() if mapped}
    # A record has rows of others: what is odd in one of them is so in all that share a row with it.
    spoilt = {
        s
        for s in subjects
        if s.key in known or not odd.isdisjoint(rows[s]) or lens.records[s.kind].root.parent
    }
    sound = leave_spoilt(subjects, spoilt, odd | homeless)
    return {subject: subjects[subject] for subject in sound}, hung


def _rows_of(lens: Lens, subject: Subject, own: Iterable[Row]) -> list[Row]:
    return common_rows(lens.records[subject.kind], subject.key, own)


def _is_nothing(lens: Lens, subject: Subject, heard: Collection[Row]) -> bool:
    """Return whether nothing was heard of the row that a record stands or falls with."""
    root = lens.records[subject.kind].root
    return not root.parent and Row(root.table, subject.key) not in heard


def _put_new(
    store: Store, lens: Lens, subjects: Mapping[Subject, Sequence[Row]], entries: Mapping[Row, Entry]
) -> tuple[list[Work], dict[tuple[Row, str], str]]:
    """Return the rows of the application that show these records, and what is cut short there."""
    widths = read_widths(store, lens)
    works: dict[Row, Work] = {}
    shortened: dict[tuple[Row, str], str] = {}
    for (kind, key), own in subjects.items():
        record = lens.records[kind]
        whole = put(record, read_new_parts(record, key, [entries[row] for row in own]))
        shown = as_shown(widths, record, whole)
        for part in record.local:
            columns, full = shown[part.name], whole[part.name]
            table = store.tables_by_wire.get(part.table)
            if columns is None or full is None or table is None:
                continue
            row = Row(part.table, local_key(part, key))
            if columns is not full:
                shortened.update(((row, c), full[c]) for c, v in columns.items() if full[c] != v)
            values = fill(part, key, columns)
            works[row] = Work(table, row, decision=Decision(values, True, True, SHOWN))
    return list(works.values()), shortened
