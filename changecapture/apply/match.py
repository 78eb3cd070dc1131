"""The same row seeded at two sites: recognised by the natural key that the profile names, and joined.

A row is looked for before it is inserted, and when a unique index refuses it. Two rows that one site wrote
side by side are two to that site, whatever they say; they are never joined unasked. A site has given up the
one if it has deleted it, or had seen it deleted when it wrote of the other. Two lives of a site of which
neither knew what the other wrote (``lives``) are as two sites.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from changecapture.apply.aliases import note_joined, publish_aliases
from changecapture.apply.work import Parked, Work
from changecapture.core.alias import make_alias
from changecapture.core.change import ALIVE, Entry, Row
from changecapture.core.merge import (
    Contexts,
    find_last_words,
    find_speaker,
    has_seen,
    is_hearsay,
    merge_entries,
    read_columns,
)
from changecapture.core.table import SyncedTable
from changecapture.identify import find_joined, name_rows
from changecapture.store.interface import Store

UNIQUE = "unique"
MATCH = "match"
"""Why a row is parked until it is joined, a moment later."""


def match_rows(
    store: Store,
    table: SyncedTable,
    works: Sequence[Work],
    rows: Mapping[Row, Mapping[str, Any]],
    batch: Iterable[Work],
) -> None:
    """Find for each row, given as it would be written here, the one that is here and is the same.

    ``batch``: all rows at hand, whose entries are not in the log yet.
    """
    if not table.natural:
        return
    columns = [column for name in table.natural for column in table.columns if column.name == name]
    wires = {column.wire for column in columns}
    wanted = {
        work.row.key: [rows[work.row].get(column.name) for column in columns]
        for work in works
        if wires.isdisjoint(item.column for item in work.waiting)
    }
    alike = store.read_alike(table, columns, wanted)
    keys = name_rows(store, table, [text for texts in alike.values() for text in texts])
    others = {own: sorted({keys[text] for text in texts} - {own}) for own, texts in alike.items()}
    concerned = [work for work in works if others.get(work.row.key)]
    if not concerned:
        return
    entries = _read_entries(store, table, concerned, others, batch)
    for work in concerned:
        for key in others[work.row.key]:
            if not _are_side_by_side(store, entries[work.row.key], entries[key]):
                work.match = Row(table.wire, key)
                work.parked = Parked(MATCH, f"is {key}")
                break


def name_blockers(
    store: Store, table: SyncedTable, rows: Mapping[Row, Mapping[str, Any]]
) -> dict[Row, list[str]]:
    """Return the keys of the rows here that have a unique value which one of these rows would take."""
    found: dict[Row, set[str]] = {}
    for index in table.uniques:
        columns = [column for name in index for column in table.columns if column.name == name]
        wanted = {row.key: [values.get(column.name) for column in columns] for row, values in rows.items()}
        whole = {key: values for key, values in wanted.items() if None not in values}
        alike = store.read_alike(table, columns, whole, live=False)
        keys = name_rows(store, table, [text for texts in alike.values() for text in texts])
        for key, texts in alike.items():
            found.setdefault(Row(table.wire, key), set()).update(keys[text] for text in texts)
    return {row: sorted(keys - {row.key}) for row, keys in found.items() if keys - {row.key}}


def park_clashing(
    store: Store, table: SyncedTable, works: Iterable[Work], rows: Mapping[Row, Mapping[str, Any]]
) -> None:
    """Say of each row that a unique index has refused which row has its place, and join it if it is that."""
    clashing = [work for work in works if work.parked is not None and work.parked.reason == UNIQUE]
    if not clashing:
        return
    match_rows(store, table, clashing, rows, clashing)
    left = {work.row: rows[work.row] for work in clashing if work.match is None}
    blockers = name_blockers(store, table, left)
    for work in clashing:
        if work.row in blockers and work.parked is not None:
            others = ", ".join(blockers[work.row])
            work.parked = Parked(UNIQUE, f"{others} has its place: {work.parked.detail}")


def _read_entries(
    store: Store,
    table: SyncedTable,
    works: Iterable[Work],
    others: Mapping[str, Sequence[str]],
    batch: Iterable[Work],
) -> dict[str, list[Entry]]:
    """Return what is known of the row of a key, and of those that are like it."""
    keys = {key for work in works for key in (work.row.key, *others[work.row.key])}
    entries: dict[str, list[Entry]] = {key: [] for key in keys}
    for row, logged in store.read_row_entries([Row(table.wire, key) for key in keys]).items():
        entries[row.key] += [entry for entry, _ in logged]
    for work in batch:
        if work.table is table and work.row.key in entries:
            entries[work.row.key] += work.fresh
    return entries


def _are_side_by_side(store: Store, one: Sequence[Entry], other: Sequence[Entry]) -> bool:
    """Return whether a site wrote both rows and has given up neither."""
    last, last_other = _find_living(one), _find_living(other)
    both = last.keys() & last_other.keys()
    if not both:
        return False
    contexts = store.read_contexts(
        {(e.origin, e.epoch, e.pass_number) for e in (*one, *other) if e.origin in both}
    )
    return any(
        _knew_both(origin, one, other, contexts)
        and not _is_given_up(last[origin], one, other, contexts)
        and not _is_given_up(last_other[origin], other, one, contexts)
        for origin in both
    )


def _knew_both(origin: str, one: Iterable[Entry], other: Iterable[Entry], contexts: Contexts) -> bool:
    """Return whether a site wrote both rows in one life, knowing of the one when it wrote of the other; so it
    may have where what it said first of either is given up by compaction, or was heard by an import."""
    words = [
        sorted((e for e in entries if find_speaker(e) == origin), key=lambda e: e.name)
        for entries in (one, other)
    ]
    if any(said[0].base_seen or any(map(is_hearsay, said)) for said in words):
        return True
    return any(has_seen(a, b, contexts) or has_seen(b, a, contexts) for a in words[0] for b in words[1])


def _find_living(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return of each site that said last, of what it said of the row, that it lives, that entry."""
    return {origin: entry for origin, entry in find_last_words(entries).items() if read_columns(entry)[ALIVE]}


def _is_given_up(last: Entry, entries: Sequence[Entry], other: Iterable[Entry], contexts: Contexts) -> bool:
    """Return whether the author of a row's entry had seen it deleted when it later wrote of the other. What
    a site had seen of whose words an import heard is not known."""
    if is_hearsay(last):
        return False
    for word in other:
        if word.origin == last.origin and word.name > last.name and not is_hearsay(word):
            alive = merge_entries(entry for entry in entries if has_seen(word, entry, contexts)).get(ALIVE)
            if alive is not None and not alive.value:
                return True
    return False


def join_matches(store: Store, everything: dict[Row, Work], works: Iterable[Work]) -> list[Work]:
    """Join the rows that were found to be the same; return the joined ones, to be shown anew.

    ``everything`` are all rows of the transaction so far; those that are joined leave it.
    """
    aliases = {
        make_alias(work.row.table, work.row.key, work.match.key) for work in works if work.match is not None
    }
    if not aliases:
        return []
    joined = publish_aliases(store, aliases)
    return regroup(store, everything, joined | note_joined(store, everything))


def regroup(store: Store, everything: dict[Row, Work], joined: Iterable[Row]) -> list[Work]:
    """Return the work of rows that have been joined, with what this transaction brought for their parts."""
    names = find_joined(store, everything)
    parts: dict[Row, list[Work]] = {row: [] for row in joined if row.table in store.tables_by_wire}
    for row in list(everything):
        name = names.get(row, row)
        if name in parts:
            parts[name].append(everything.pop(row))
    regrouped = []
    for name, found in parts.items():
        log_merged(store, [part for part in found if part.parked is None])
        fresh = [entry for part in found for entry in part.fresh]
        regrouped.append(Work(store.tables_by_wire[name.table], name, fresh, again=True))
    return regrouped


def log_merged(store: Store, works: Iterable[Work]) -> None:
    """Append what has been merged into rows that are about to be merged once more."""
    for work in works:
        store.append_entries(work.fresh, applied=True)
        work.fresh = []
