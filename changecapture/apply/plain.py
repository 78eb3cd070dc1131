"""Steps 1 to 6 in bulk: rows that need no decision, written column by column.

A row is *plain* when the batch has one entry for it, which says that it lives, and either nothing else is
known of it, here and anywhere, or its author had seen all that is (``follows``); when no key is joined,
nothing of its thing is dead, no conflict about it is open, every row that it refers to is here, and all its
values fit. Nothing can conflict then: the entry is the row, or what changes in it. Whatever is not plain, is
busy or refused, is left to ``show``; a batch that ends the life of any row is left whole. Both ways come to
the same tables, log and versions (tests/property/test_plain.py).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, repeat

from changecapture.apply.alike import Unfit, by_shape, localise_columns, name_columns
from changecapture.apply.localise import locate
from changecapture.apply.show import publish_held
from changecapture.apply.things import LIVES
from changecapture.apply.work import Work, ends_all
from changecapture.core.change import Entry, Row, Version, add_names
from changecapture.core.merge import follows, read_columns
from changecapture.core.table import SyncedTable
from changecapture.errors import DataError, RetryLater
from changecapture.store.interface import Store


@dataclass(slots=True)
class Plain:
    """What became of a batch: entries that are written and logged, those that are left, and rows that have
    to be shown from all their entries: what waited for the written ones, what the application touched."""

    written: list[Entry] = field(default_factory=list)
    left: list[Entry] = field(default_factory=list)
    stirred: set[Row] = field(default_factory=set)


@dataclass(slots=True)
class Group:
    """The rows of one table that may be plain: entries of new ones, and of known ones with what is known."""

    table: SyncedTable
    new: list[Entry] = field(default_factory=list)
    next: list[Entry] = field(default_factory=list)
    versions: Mapping[Row, Version] = field(default_factory=dict)
    here: dict[str, str] = field(default_factory=dict)
    """The local keys of the known rows, once they are locked."""


def write_plain(store: Store, entries: Sequence[Entry]) -> Plain:
    """Write the rows that are plain, parents first, and log them."""
    plain = Plain()
    if not _may_be_plain(store, entries):
        plain.left += entries
        return plain
    groups = [_sort(store, table, group, plain) for table, group in _by_table(store, entries, plain)]
    for group in groups:
        _hold(store, group, plain)
    for group in groups:
        group.new = _write(store, group, group.new, plain, _insert)
    if store.has_captured():
        _leave_touched(store, groups, plain)
    if _brings_absent(store, plain.left):
        for group in groups:
            group.next = _leave(group.next, group.here, plain)
    for group in groups:
        group.next = _write(store, group, group.next, plain, _update)
    _log(store, groups, plain)
    return plain


def _by_table(store: Store, entries: Iterable[Entry], plain: Plain) -> list[tuple[SyncedTable, list[Entry]]]:
    """Return the entries of tables that may have plain rows, parents first; leave the others."""
    tables: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        tables[entry.table].append(entry)
    found: list[tuple[SyncedTable, list[Entry]]] = []
    for wire, group in tables.items():
        table = store.tables_by_wire.get(wire)
        if table is not None and _suits(table):
            found.append((table, group))
        else:
            plain.left += group
    return sorted(found, key=lambda item: store.ranks.get(item[0].name, 0))


def _may_be_plain(store: Store, entries: Iterable[Entry]) -> bool:
    return (
        store.mapping is None and not store.has_aliases() and all(LIVES in entry.columns for entry in entries)
    )


def _suits(table: SyncedTable) -> bool:
    """Return whether rows are named by one text column, and are not looked for by others as well."""
    return table.identity.is_text and not table.natural


def _sort(store: Store, table: SyncedTable, entries: Sequence[Entry], plain: Plain) -> Group:
    """Return the entries that are all that is known of a row, or all that its author had not seen; leave
    the others."""
    rows = list(map(Row, repeat(table.wire), [entry.key for entry in entries]))
    group = Group(table, versions=store.read_versions(rows))
    odd = store.read_parked(rows)
    odd |= {row for _, row, *_ in store.read_open_conflicts(group.versions)}
    if len(set(rows)) < len(rows):
        odd |= {row for row, times in Counter(rows).items() if times > 1}
    for row, entry in zip(rows, entries, strict=True):
        version = group.versions.get(row)
        if row in odd or not follows(version, (entry,)):
            plain.left.append(entry)
        elif version is None:
            group.new.append(entry)
        else:
            (group.next if version.alive else plain.left).append(entry)
    group.new = _leave(group.new, _find_hidden(store, table, group.new), plain)
    return group


def _find_hidden(store: Store, table: SyncedTable, entries: Sequence[Entry]) -> set[str]:
    """Return the keys of rows that may be here unknown, or of whose thing something dead is known."""
    keys = [entry.key for entry in entries]
    hidden: set[str] = set()
    if not table.identity.indexed:  # nothing would refuse a second one
        hidden |= store.find_rows(table, {key: [key] for key in keys})
    kin: Iterable[str] = table.kin
    if table.kind is not None:
        kin = {str(read_columns(entry).get(table.kind)).lower() for entry in entries} & set(kin)
    return hidden | {row.key for row in store.find_dead([Row(name, key) for name in kin for key in keys])}


def _leave(entries: list[Entry], keys: Iterable[str], plain: Plain) -> list[Entry]:
    """Leave the entries with these keys; return the others."""
    unwanted = set(keys)
    if not unwanted:
        return entries
    plain.left += [entry for entry in entries if entry.key in unwanted]
    return [entry for entry in entries if entry.key not in unwanted]


def _hold(store: Store, group: Group, plain: Plain) -> None:
    """Step 1: lock the known rows that are there; leave those that are not, or are busy."""
    keys = [entry.key for entry in group.next]
    if keys:
        group.here = store.hold_rows(group.table, locate(store, group.table, keys))
        group.next = _leave(group.next, keys - group.here.keys(), plain)


def _leave_touched(store: Store, groups: Sequence[Group], plain: Plain) -> None:
    """Step 5: publish what the application did to these rows meanwhile, and leave those rows."""
    works = [Work(group.table, e.row, [e], inserted=True) for group in groups for e in group.new]
    works += [
        Work(group.table, e.row, [e], group.versions[e.row], group.here[e.key])
        for group in groups
        for e in group.next
    ]
    plain.stirred.update(work.row for work in publish_held(store, works))
    for group in groups:
        touched = {row.key for row in plain.stirred if row.table == group.table.wire}
        group.new = _leave(group.new, touched, plain)
        group.next = _leave(group.next, touched, plain)


def _brings_absent(store: Store, entries: Iterable[Entry]) -> bool:
    """Return whether a row may yet have to be inserted: who waits for a key has changed nothing (R8)."""
    rows = {entry.row for entry in entries}
    known = store.read_versions(rows)
    return not all(row in known and known[row].alive for row in rows)


Writer = Callable[[Store, Group, Sequence[str], Sequence[Entry]], list[bool]]
"""Writes rows whose entries have the same columns; returns of each whether what it names is here."""


def _write(store: Store, group: Group, entries: Sequence[Entry], plain: Plain, write: Writer) -> list[Entry]:
    """Write rows, those with the same columns together; return the entries that are written, leave others."""
    written: list[Entry] = []
    for names, alike in by_shape(entries).items():
        try:
            here = write(store, group, names, alike)
        except (Unfit, DataError, RetryLater) as error:
            if ends_all(store, error):
                raise
            plain.left += alike
            continue
        written += compress(alike, here)
        plain.left += (entry for entry, is_here in zip(alike, here, strict=True) if not is_here)
    return written


def _insert(store: Store, group: Group, names: Sequence[str], entries: Sequence[Entry]) -> list[bool]:
    """Step 3: insert rows."""
    columns, here = localise_columns(store, group.table, names, entries)
    columns |= name_columns(store, group.table, [entry.key for entry in entries])
    if any(here):
        part = [column if all(here) else list(compress(column, here)) for column in columns.values()]
        with store.savepoint():
            store.insert_columns(group.table, list(columns), part)
    return here


def _update(store: Store, group: Group, names: Sequence[str], entries: Sequence[Entry]) -> list[bool]:
    """Step 6: change rows. An edge of a tree may close a cycle: that is looked at elsewhere."""
    if not set(names).isdisjoint(group.table.trees):
        raise Unfit
    columns, here = localise_columns(store, group.table, names, entries)
    if columns and any(here):
        local_keys = [group.here[entry.key] for entry in compress(entries, here)]
        part = [column if all(here) else list(compress(column, here)) for column in columns.values()]
        with store.savepoint():
            store.update_columns(group.table, local_keys, list(columns), part)
    return here


def _log(store: Store, groups: Sequence[Group], plain: Plain) -> None:
    """Append what is written, and keep what is known of the rows by it."""
    new = [entry for group in groups for entry in group.new]
    store.append_first(new)
    plain.stirred.update(store.read_waiting_for([entry.row for entry in new]))
    changed = [entry for group in groups for entry in group.next]
    known = {entry.row: group.versions[entry.row] for group in groups for entry in group.next}
    seen = [add_names(known[entry.row].seen, (entry,)) for entry in changed]
    store.append_next(changed, seen)
    store.forget_images(known)
    plain.written = new + changed
