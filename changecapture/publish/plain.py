"""Rows that are new, published in bulk: a pass in which every change is of a row that nobody has heard of.

Each is read late, whole, and its entry is what the database says of it; there is nothing to merge, to name
or to translate. A pass with anything else in it takes the way of ``coalesce`` and ``append`` as a whole, so
that parents come before children; both ways come to the same (tests/property/test_plain.py).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import NamedTuple

from changecapture.author import Author
from changecapture.core.change import BACKFILL, INSERT, UPDATE, Captured, Row
from changecapture.core.clock import next_stamp
from changecapture.core.table import SyncedTable
from changecapture.publish.append import ALIVE_ONLY, join_objects
from changecapture.publish.home import SURELY_FITS
from changecapture.publish.names import is_named_by_text, name_new
from changecapture.store.interface import Store


class NewRow(NamedTuple):
    """A row to publish: its key, its stamp, what was seen of it, and its columns as they are shipped."""

    key: str
    stamp: int
    base: int
    columns: str


def append_plain(store: Store, captured: Sequence[Captured]) -> bool:
    """Append a pass of new rows; return False, with nothing written, when a change needs a closer look."""
    if store.mapping is not None or store.has_aliases():
        return False
    found: list[tuple[SyncedTable, Sequence[NewRow]]] = []
    for table, times in _gather(store, captured):
        rows = _read_new(store, table, times)
        if len(rows) < len(times):
            return False
        found.append((table, rows))
    if found:
        _append(store, found)
    return bool(found)


def _gather(store: Store, captured: Sequence[Captured]) -> list[tuple[SyncedTable, dict[str, int]]]:
    """Return of each table, parents first, which local keys were captured when; nothing where one of the
    changes may be more than that a row is there."""
    if all(item.operation == UPDATE for item in captured):
        return []
    groups: dict[int, dict[str, int]] = defaultdict(dict)
    for item in captured:
        if item.operation != INSERT and not _is_more_of_it(store.tables[item.table_id], item):
            return []
        times = groups[item.table_id]
        times[item.key] = max(times.get(item.key, 0), item.captured_at)
    tables = [(store.tables[table_id], times) for table_id, times in groups.items()]
    if not all(is_named_by_text(store, table) for table, _ in tables):
        return []
    return sorted(tables, key=lambda item: store.ranks.get(item[0].name, 0))


def _is_more_of_it(table: SyncedTable, item: Captured) -> bool:
    """Return whether a change says no more of a row that is read whole than that it is there."""
    if item.operation == BACKFILL:
        return True
    if item.operation != UPDATE or item.old_key is not None:
        return False
    flag = table.deleted_flag
    return flag is None or f'"{flag.column.lower()}"' not in (item.changed or "")


def _read_new(store: Store, table: SyncedTable, times: Mapping[str, int]) -> list[NewRow]:
    """Return the rows, in order; fewer when one is gone, deleted, known, of a thing that is dead, or cannot
    be named or shipped as it stands."""
    keys = name_new(table, times)
    rows = list(map(Row, repeat(table.wire), keys))
    if len(keys) < len(times) or store.read_versions(rows) or store.read_parked(rows):
        return []
    if store.find_dead([Row(kin, key) for kin in table.kin for key in keys]):
        return []  # they bring back what is one thing with them
    late = store.read_rows(table, list(times))
    dead = None if table.deleted_flag is None else table.deleted_flag.deleted
    return [
        NewRow(key, next_stamp(at, 0), 0, join_objects(ALIVE_ONLY, row.text))
        for (local_key, at), key in zip(times.items(), keys, strict=True)
        if (row := late.get(local_key)) is not None
        and not row.values
        and (dead is None or row.flag != dead)
        and len(row.text) <= SURELY_FITS
    ]


def _append(store: Store, found: Sequence[tuple[SyncedTable, Sequence[NewRow]]]) -> None:
    author = Author(store)
    for table, rows in found:
        author.write_many(table, rows)
    store.append_first(author.entries)
    author.keep_names()
    author.claim()
