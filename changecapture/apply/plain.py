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
from itertools import compress

from changecapture.apply.alike import (
    Alike,
    Prepared,
    Unfit,
    localise_columns,
    name_columns,
    prepare,
)
from changecapture.apply.localise import locate
from changecapture.apply.show import publish_held
from changecapture.apply.work import Work, ends_all
from changecapture.core.change import Entry, Row, Version
from changecapture.core.merge import read_columns
from changecapture.core.spare import Task
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
    """The rows of one table that may be plain: new ones, and known ones with what is known of them."""

    table: SyncedTable
    versions: Mapping[Row, Version]
    new: list[Alike] = field(default_factory=list)
    next: list[Alike] = field(default_factory=list)
    here: dict[str, str] = field(default_factory=dict)
    """The local keys of the known rows, once they are locked."""


def write_plain(store: Store, entries: Sequence[Entry], ready: Task[Prepared] | None = None) -> Plain:
    """Write the rows that are plain, parents first, and log them; ``ready``: the entries, made ready as they
    were received."""
    plain = Plain()
    prepared = _finish(store, entries, ready)
    if not prepared.living or store.mapping is not None or store.has_aliases():
        plain.left += entries
        return plain
    plain.left += prepared.others
    groups = [_sort(store, table, alike, plain) for table, alike in _by_table(store, prepared.alike)]
    for group in groups:
        _hold(store, group, plain)
    for group in groups:
        # Only now: what the application has inserted while others were asked for is seen (R6).
        group.new = _leave(group.new, _find_hidden(store, group.table, group.new), plain)
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


def _finish(store: Store, entries: Sequence[Entry], ready: Task[Prepared] | None) -> Prepared:
    """Return entries made ready; anew where some are known, or an installation has changed a table since."""
    if ready is not None:
        prepared = ready.finish()
        if len(prepared.entries) == len(entries) and prepared.tables is store.tables_by_wire:
            return prepared
    return Task(prepare(store, entries)).finish()


def _by_table(store: Store, alike: Iterable[Alike]) -> list[tuple[SyncedTable, list[Alike]]]:
    """Return the entries by table, parents first."""
    tables: dict[str, list[Alike]] = defaultdict(list)
    for part in alike:
        tables[part.table.name].append(part)
    found = [(parts[0].table, parts) for parts in tables.values()]
    return sorted(found, key=lambda item: store.ranks.get(item[0].name, 0))


def _sort(store: Store, table: SyncedTable, alike: Sequence[Alike], plain: Plain) -> Group:
    """Return the entries that are all that is known of a row, or all that its author had not seen
    (``follows``); leave the others."""
    rows = [row for part in alike for row in part.rows]
    group = Group(table, store.read_versions(rows))
    odd = store.read_parked(rows)
    odd |= {row for _, row, *_ in store.read_open_conflicts(group.versions)}
    if len(set(rows)) < len(rows):
        odd |= {row for row, times in Counter(rows).items() if times > 1}
    for part in alike:
        kinds = [_judge(group.versions.get(row), e) for row, e in zip(part.rows, part.entries, strict=True)]
        if odd:
            kinds = [None if row in odd else kind for row, kind in zip(part.rows, kinds, strict=True)]
        for kind, parts in ((NEW, group.new), (NEXT, group.next)):
            if kind in kinds:
                parts.append(part.where([found == kind for found in kinds]))
        if None in kinds:
            plain.left += (e for e, kind in zip(part.entries, kinds, strict=True) if kind is None)
    return group


NEW, NEXT = "new", "next"


def _judge(version: Version | None, entry: Entry) -> str | None:
    """Return what an entry is to a row of which this is known; None when it needs a closer look."""
    if version is None:
        return None if entry.base_seen else NEW
    if entry.base_seen == version.seen and entry.stamp > version.stamp and version.alive:
        return NEXT
    return None


def _find_hidden(store: Store, table: SyncedTable, alike: Iterable[Alike]) -> set[str]:
    """Return the keys of rows that may be here unknown, or of whose thing something dead is known."""
    entries = [entry for part in alike for entry in part.entries]
    keys = [entry.key for entry in entries]
    hidden: set[str] = set()
    if not table.identity.indexed:  # nothing would refuse a second one
        hidden |= store.find_rows(table, {key: [key] for key in keys})
    kin: Iterable[str] = table.kin
    if table.kind is not None:
        kin = {str(read_columns(entry).get(table.kind)).lower() for entry in entries} & set(kin)
    return hidden | {row.key for row in store.find_dead([Row(name, key) for name in kin for key in keys])}


def _leave(alike: list[Alike], keys: Iterable[str], plain: Plain) -> list[Alike]:
    """Leave the entries with these keys; return the others, no empty ones among them."""
    unwanted = set(keys)
    if not unwanted:
        return alike
    parts = [_divide(part, [entry.key not in unwanted for entry in part.entries], plain) for part in alike]
    return [part for part in parts if part.entries]


def _divide(part: Alike, wanted: Sequence[bool], plain: Plain) -> Alike:
    """Leave the entries that are not wanted; return the others."""
    plain.left += (e for e, is_wanted in zip(part.entries, wanted, strict=True) if not is_wanted)
    return part.where(wanted)


def _hold(store: Store, group: Group, plain: Plain) -> None:
    """Step 1: lock the known rows that are there; leave those that are not, or are busy."""
    keys = [entry.key for part in group.next for entry in part.entries]
    if keys:
        group.here = store.hold_rows(group.table, locate(store, group.table, keys))
        group.next = _leave(group.next, keys - group.here.keys(), plain)


def _leave_touched(store: Store, groups: Sequence[Group], plain: Plain) -> None:
    """Step 5: publish what the application did to these rows meanwhile, and leave those rows."""
    works = [Work(group.table, e.row, [e], inserted=True) for group in groups for e in _entries(group.new)]
    works += [
        Work(group.table, e.row, [e], group.versions[e.row], group.here[e.key])
        for group in groups
        for e in _entries(group.next)
    ]
    plain.stirred.update(work.row for work in publish_held(store, works))
    for group in groups:
        touched = {row.key for row in plain.stirred if row.table == group.table.wire}
        group.new = _leave(group.new, touched, plain)
        group.next = _leave(group.next, touched, plain)


def _entries(alike: Iterable[Alike]) -> list[Entry]:
    return [entry for part in alike for entry in part.entries]


def _brings_absent(store: Store, entries: Iterable[Entry]) -> bool:
    """Return whether a row may yet have to be inserted: who waits for a key has changed nothing (R8)."""
    rows = {entry.row for entry in entries}
    known = store.read_versions(rows)
    return not all(row in known and known[row].alive for row in rows)


Writer = Callable[[Store, Group, Alike], list[bool]]
"""Writes rows; returns of each whether what it names is here."""


def _write(store: Store, group: Group, alike: Iterable[Alike], plain: Plain, write: Writer) -> list[Alike]:
    """Write rows, those with the same columns together; return what is written, leave others."""
    written: list[Alike] = []
    for part in alike:
        try:
            here = write(store, group, part)
        except (Unfit, DataError, RetryLater) as error:
            if ends_all(store, error):
                raise
            plain.left += part.entries
            continue
        written.append(_divide(part, here, plain))
    return written


def _insert(store: Store, group: Group, alike: Alike) -> list[bool]:
    """Step 3: insert rows."""
    columns, here = localise_columns(store, alike)
    columns |= name_columns(store, group.table, [entry.key for entry in alike.entries])
    if any(here):
        part = [column if all(here) else list(compress(column, here)) for column in columns.values()]
        with store.savepoint():
            store.insert_columns(group.table, list(columns), part, alike.lines if all(here) else None)
    return here


def _update(store: Store, group: Group, alike: Alike) -> list[bool]:
    """Step 6: change rows. An edge of a tree may close a cycle: that is looked at elsewhere."""
    if not set(alike.names).isdisjoint(group.table.trees):
        raise Unfit
    columns, here = localise_columns(store, alike)
    if columns and any(here):
        local_keys = [group.here[entry.key] for entry in compress(alike.entries, here)]
        part = [column if all(here) else list(compress(column, here)) for column in columns.values()]
        with store.savepoint():
            store.update_columns(group.table, local_keys, list(columns), part)
    return here


def _log(store: Store, groups: Sequence[Group], plain: Plain) -> None:
    """Append what is written, and keep what is known of the rows by it."""
    new = [part for group in groups for part in group.new]
    store.append_first(_entries(new), [seen for part in new for seen in part.hashes])
    plain.stirred.update(store.read_waiting_for([row for part in new for row in part.rows]))
    changed = [part for group in groups for part in group.next]
    known = {row: group.versions[row] for group in groups for part in group.next for row in part.rows}
    hashes = (seen for part in changed for seen in part.hashes)
    seen = [version.seen ^ added for version, added in zip(known.values(), hashes, strict=True)]
    store.append_next(_entries(changed), seen)
    store.forget_images(known)
    plain.written = _entries(new) + _entries(changed)
