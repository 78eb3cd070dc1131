"""Changes of mapped tables become changes of common rows (bridge)."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from changecapture.author import Author
from changecapture.bridge import Crossed, Edit, common_table, find_changes, find_edits, keep_crossed
from changecapture.core.change import DELETE, INSERT, UPDATE, Captured, Row, add_names
from changecapture.core.clock import next_stamp
from changecapture.identify import name_rows
from changecapture.mapping.lens import NOTHING
from changecapture.mapping.model import Lens
from changecapture.publish.change import Change
from changecapture.publish.edits import write_living
from changecapture.publish.home import LARGEST_ROW, measure, refuse_keys
from changecapture.publish.refused import find_refusable
from changecapture.publish.whole import read_whole
from changecapture.store.interface import Store


def cross(store: Store, lens: Lens, captured: Sequence[Captured]) -> list[Change]:
    """Return the changes of common rows that captured changes of mapped tables come to (bridge).

    A change of a row makes its record dirty, and that of the key which it had, no more.
    """
    times: dict[int, dict[str, int]] = defaultdict(dict)
    for item in captured:
        known = times[item.table_id]
        for local_key in (item.key, item.old_key or item.key):
            known[local_key] = max(known.get(local_key, 0), item.captured_at)
    came_or_went = {(i.table_id, i.key) for i in captured if i.operation in (INSERT, DELETE)}
    edited = _find_edited(store, captured)
    dirty: dict[Row, int] = {}
    edits: dict[Row, Edit] = {}
    made: set[Row] = set()
    for table_id, group in times.items():
        table = store.tables[table_id]
        for local_key, key in name_rows(store, table, group).items():
            row = Row(table.wire, key)
            dirty[row] = max(dirty.get(row, 0), group[local_key])
            if (table_id, local_key) in came_or_went:
                made.add(row)
            elif (table_id, local_key) in edited:
                edits[row] = Edit(dirty[row], edited[table_id, local_key])
    for row in refuse_keys(store, dirty):
        del dirty[row]
        made.discard(row)
        edits.pop(row, None)
    plain, left = find_edits(store, lens, edits, dirty.keys() - edits.keys(), read_whole)
    dirty = {row: at for row, at in dirty.items() if row not in edits or row in left}
    changed = _find_changed(store, captured, dirty.keys() - made)
    found = find_changes(store, lens, dirty, read_whole, made=made, changed=changed) if dirty else []
    every = [*plain, *found]
    keep_crossed(store, lens, every, made)
    return changes_of(every)


def _find_changed(store: Store, captured: Sequence[Captured], rows: Collection[Row]) -> dict[Row, set[str]]:
    """Return the columns that were changed of rows, among these, that are parked or wait: the others show
    nothing yet."""
    parked = store.read_parked(rows) | store.read_waiting(rows).keys()
    found: dict[Row, set[str]] = defaultdict(set)
    for item in captured if parked else ():
        if item.operation == UPDATE and item.changed:
            table = store.tables[item.table_id]
            for key in name_rows(store, table, [item.key]).values():
                if Row(table.wire, key) in parked:
                    found[Row(table.wire, key)].update(json.loads(item.changed))
    return found


def _find_edited(store: Store, captured: Sequence[Captured]) -> dict[tuple[int, str], frozenset[str]]:
    """Return {(table, local key): columns} of rows that were edited once, and to values that are there."""
    times = Counter((item.table_id, key) for item in captured for key in (item.key, item.old_key or item.key))
    ignoring = store.engine == "mysql"
    unclear = {id_: find_refusable(store.tables[id_]) if ignoring else set() for id_, _ in times}
    found: dict[tuple[int, str], frozenset[str]] = {}
    for item in captured:
        # An item counts twice: for its key, and for the one that it had.
        once = times[item.table_id, item.key] == 2 and item.old_key is None
        if once and item.operation == UPDATE and item.changed:
            columns: dict[str, Any] = json.loads(item.changed)
            empty = any(value in NOTHING for value in columns.values())
            if not empty and unclear[item.table_id].isdisjoint(columns):
                found[item.table_id, item.key] = frozenset(columns)
    return found


def split_crossing(
    store: Store, captured: Sequence[Captured]
) -> tuple[Sequence[Captured], Sequence[Captured]]:
    """Return the captured changes of tables that are on the wire themselves, and those of mapped ones."""
    if store.mapping is None:
        return captured, ()
    mapped = {id_ for id_, table in store.tables.items() if table.wire in store.mapping.local_tables}
    return (
        [item for item in captured if item.table_id not in mapped],
        [item for item in captured if item.table_id in mapped],
    )


def changes_of(found: Iterable[Crossed]) -> list[Change]:
    """Return what an application did to common rows as changes of this pass."""
    return [
        Change(
            common_table(item.part.table, item.part.scope),
            item.row,
            "",
            version,
            alive=item.alive,
            columns=item.columns,
            captured_at=at,
        )
        for _, item, at, version, _ in found
    ]


def append_crossed(store: Store, changes: Sequence[Change]) -> bool:
    """Append a pass of common rows that are new, or live and go on living, at once; return False, with
    nothing written, when one needs a closer look (``append``)."""
    rows = [change.row for change in changes]
    known = [change.row for change in changes if change.version is not None]
    if store.has_aliases() or len(set(rows)) < len(rows) or not all(map(_is_plain, changes)):
        return False
    if store.read_parked(rows) or store.read_open_conflicts(known):
        return False
    author = Author(store)
    texts = write_living([change.columns for change in changes])
    author.write_first(
        (c.row, c.table.scope, next_stamp(c.captured_at, 0), text)
        for c, text in zip(changes, texts, strict=True)
        if c.version is None
    )
    new = len(author.entries)
    seen: list[int] = []
    for change, text in zip(changes, texts, strict=True):
        if (version := change.version) is not None:
            stamp = next_stamp(change.captured_at, version.stamp)
            made = author.write(change.row, change.table.scope, text, stamp=stamp, base=version.seen)
            seen.append(add_names(version.seen, made))
    if new:
        store.append_first(author.entries[:new])
    if known:
        store.append_next(author.entries[new:], seen)
    if rows:
        author.keep_names()
        author.claim()
    return True


def _is_plain(change: Change) -> bool:
    """Return whether a row begins, or goes on, living, and what is said of it can travel."""
    lives = change.alive and (change.version is None or change.version.alive)
    return bool(lives) and measure("", change.columns) <= LARGEST_ROW
