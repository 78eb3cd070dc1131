"""Several captured changes of one row become one: it carries every column that any of them wrote (R17)."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from changecapture.core import values
from changecapture.core.change import (
    BACKFILL,
    CHANGING,
    DELETE,
    GOING,
    INSERT,
    UPDATE,
    Captured,
    Row,
)
from changecapture.identify import name_rows
from changecapture.publish.change import Change, is_deleted
from changecapture.publish.refused import find_refusable, take_back
from changecapture.publish.rekeyed import left_behind, referring, renamed
from changecapture.store.interface import Store


def coalesce(store: Store, captured: Sequence[Captured], every: Sequence[Captured]) -> dict[Row, Change]:
    """Return the changes of a pass by row; ``every``: what it took, also of tables that a mapping has."""
    taken = take_back(store, captured)
    captured = taken.captured
    keys = _name_captured(store, captured)
    wires = {table_id: store.tables[table_id].wire for table_id in keys}
    rows = {
        Row(wires[item.table_id], key)
        for item in captured
        for key in (keys[item.table_id][item.key], keys[item.table_id].get(item.old_key or ""))
        if key is not None
    }
    versions = store.read_versions(rows)
    ignoring = store.engine == "mysql"
    refusable = {id_: find_refusable(store.tables[id_]) if ignoring else set() for id_ in keys}
    changes: dict[Row, Change] = {}
    again: list[Change] = []

    def change_of(table_id: int, local_key: str, key: str) -> Change:
        row = Row(wires[table_id], key)
        change = changes.get(row)
        if change is None:
            change = changes[row] = Change(store.tables[table_id], row, local_key, versions.get(row))
        change.local_key = local_key
        return change

    for item in sorted(captured):
        table = store.tables[item.table_id]
        named = keys[item.table_id]
        change = change_of(item.table_id, item.key, named[item.key])
        change.captured_at = max(change.captured_at, item.captured_at)
        if item.old_key is not None and named[item.old_key] != named[item.key]:
            left = change_of(item.table_id, item.old_key, named[item.old_key])
            left.captured_at = max(left.captured_at, item.captured_at)
            # MySQL fires its triggers for UPDATE IGNORE too, when the row is left as it was.
            left.announced = left.announced or {}
            change.whole, change.alive = True, True
            again += referring(store, table, item.key, named[item.key])
            for other in renamed(store, table, item.key, named[item.old_key]):
                found = changes.setdefault(other.row, other)
                found.captured_at = max(found.captured_at, item.captured_at)
                if (
                    other.alive
                ):  # it is here now: it may be by a name that another, or it, has left in this pass
                    found.local_key, found.whole, found.alive = other.local_key, True, True
                    again += referring(store, other.table, other.local_key, other.row.key)
        else:
            columns: dict[str, Any] = json.loads(item.changed) if item.changed else {}
            if item.operation == UPDATE:
                change.twice |= change.columns.keys() & columns.keys()
                if item.id in taken.refused or not refusable[item.table_id].isdisjoint(columns):
                    change.doubted |= columns.keys()
            _add(change, item, columns)
    for other in again:
        _refer(changes.setdefault(other.row, other), json.loads(other.late))
    for left in left_behind(store, every):
        changes.setdefault(left.row, left)
    return changes


def _refer(change: Change, named: dict[str, str]) -> None:
    """Let a change name by their new keys what its row refers to; whoever has not the row needs all of it."""
    change.whole = change.whole or change.version is None
    change.columns = {name: value for name, value in change.columns.items() if name not in named}
    change.twice -= named.keys()
    change.doubted -= named.keys()
    change.late = values.dump({**json.loads(change.late), **named})


def _name_captured(store: Store, captured: Sequence[Captured]) -> dict[int, dict[str, str]]:
    local_keys: dict[int, dict[str, None]] = defaultdict(dict)
    for item in captured:
        local_keys[item.table_id][item.key] = None
        if item.old_key is not None:
            local_keys[item.table_id][item.old_key] = None
    return {
        table_id: name_rows(store, store.tables[table_id], wanted) for table_id, wanted in local_keys.items()
    }


def _add(change: Change, item: Captured, columns: dict[str, Any]) -> None:
    if item.operation == BACKFILL and change.version is not None:
        return
    if item.operation == DELETE:
        change.alive, change.image = False, item.image
    elif item.operation in (INSERT, BACKFILL):
        change.whole, change.alive = True, True
    elif item.operation in (GOING, CHANGING):
        change.announced = {**(change.announced or {}), **columns}
        change.image = item.image or change.image
        change.whole = change.whole or (change.version is None and bool(change.announced))
    else:
        _add_update(change, columns)
        # Nobody has published the row before: a peer needs all of it.
        change.whole = change.whole or change.version is None


def _add_update(change: Change, columns: dict[str, Any]) -> None:
    flag = change.table.deleted_flag
    if flag is not None and flag.column.lower() in columns:
        if columns.pop(flag.column.lower()) == flag.deleted:
            # What else a soft delete nulls is not a change of the row (R3).
            change.alive = False
            return
        if is_deleted(change):
            change.whole, change.alive = True, True
    change.columns.update(columns)
    if not is_deleted(change):
        change.alive = True
