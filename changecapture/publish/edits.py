"""Edits in bulk: a pass in which each change is the one edit of a row that is known, lives and is shown.

Nothing has to be read late then, and what the application wrote is the entry, made canonical column by
column. A pass with anything else in it, an edit of a reference or of a deleted flag too, takes the way of
``coalesce`` and ``append`` as a whole; both ways come to the same (tests/property/test_plain.py).
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from changecapture.author import Author
from changecapture.core import values
from changecapture.core.change import ALIVE, UPDATE, Captured, Row, Version, hash_name
from changecapture.core.clock import next_stamp
from changecapture.core.table import SyncedTable
from changecapture.publish.home import SURELY_FITS
from changecapture.publish.names import is_named_by_text, name_new
from changecapture.publish.refused import find_refusable
from changecapture.store.columns import write_objects
from changecapture.store.interface import Store


class Edit(NamedTuple):
    """An edit to publish: its row, what is known of that, when it was captured, and its columns as they are
    shipped."""

    row: Row
    version: Version
    at: int
    columns: str


def append_edits(store: Store, captured: Sequence[Captured]) -> bool:
    """Append a pass of edits; return False, with nothing written, when a change needs a closer look."""
    if store.mapping is not None or store.has_aliases():
        return False
    groups: dict[int, list[Captured]] = defaultdict(list)
    for item in sorted(captured):
        if item.operation != UPDATE or item.old_key is not None or not item.changed:
            return False
        groups[item.table_id].append(item)
    found: list[tuple[SyncedTable, list[Edit]]] = []
    for table_id, items in groups.items():
        table = store.tables[table_id]
        edits = _read_edits(store, table, items)
        if len(edits) < len(items):
            return False
        found.append((table, edits))
    found.sort(key=lambda item: store.ranks.get(item[0].name, 0))
    _append(store, found)
    return bool(found)


def _read_edits(store: Store, table: SyncedTable, items: Sequence[Captured]) -> list[Edit]:
    """Return the edits, in order; none when one of them is more than that."""
    keys = name_new(table, dict.fromkeys(item.key for item in items))
    if len(keys) < len(items) or table.groups or not is_named_by_text(store, table):
        return []
    wire = table.wire
    rows = [Row(wire, key) for key in keys]
    known = store.read_versions(rows)
    if len(known) < len(rows) or not all(version.alive for version in known.values()):
        return []
    if store.read_parked(rows) or store.read_open_conflicts(rows):
        return []
    columns = _read_columns(store, table, [item.changed or "" for item in items])
    return [
        Edit(row, known[row], item.captured_at, text)
        for row, item, text in zip(rows, items, write_living(columns), strict=False)
    ]


def _read_columns(store: Store, table: SyncedTable, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return what was written, canonical; nothing where that has to be asked for, or may be too large."""
    columns: list[dict[str, Any]] = json.loads(f"[{','.join(texts)}]")
    written = set().union(*columns)
    unclear = {column.wire for column in table.local_references}
    if table.deleted_flag is not None:
        unclear.add(table.deleted_flag.column.lower())
    if store.engine == "mysql":
        unclear |= find_refusable(table)
    if not unclear.isdisjoint(written) or max(map(len, texts)) > SURELY_FITS:
        return []
    for column in table.columns:
        wire = column.wire
        if wire in written and values.needs_canonical(column.kind):
            for item in columns:
                if item.get(wire) is not None:
                    item[wire] = values.canonical(column.kind, item[wire], column.zone)
    return columns


def write_living(columns: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what was written as it is shipped, of rows that live; what has the same names is written
    together."""
    shapes: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, written in enumerate(columns):
        shapes[tuple(written)].append(place)
    texts = [""] * len(columns)
    for names, places in shapes.items():
        values_ = list(zip(*(columns[place].values() for place in places), strict=True))
        for place, text in zip(
            places, write_objects([*names, ALIVE], [*values_, [True] * len(places)]), strict=True
        ):
            texts[place] = text
    return texts


def _append(store: Store, found: Sequence[tuple[SyncedTable, Sequence[Edit]]]) -> None:
    author = Author(store)
    for table, edits in found:
        author.write_many(
            table,
            ((e.row.key, next_stamp(e.at, e.version.stamp), e.version.seen, e.columns) for e in edits),
        )
    hashes = (hash_name(author.origin, author.epoch, entry.number) for entry in author.entries)
    store.append_next(
        author.entries, [entry.base_seen ^ added for entry, added in zip(author.entries, hashes, strict=True)]
    )
    store.forget_images([edit.row for _, edits in found for edit in edits])
    author.keep_names()
    author.claim()
