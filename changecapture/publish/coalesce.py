"""Several captured changes of one row become one: it carries every column that any of them wrote (R17)."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
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
    gathered = _Gathered(store, taken.captured, taken.refused)
    for item in sorted(taken.captured):
        gathered.add(item)
    gathered.add_referring()
    for left in left_behind(store, every):
        gathered.changes.setdefault(left.row, left)
    return gathered.changes


class _Gathered:
    """The changes of a pass, as far as what was captured has been read, in the order of its ids."""

    def __init__(self, store: Store, captured: Sequence[Captured], refused: Collection[int]) -> None:
        """``refused``: ids of what MySQL announced and then did not do."""
        self.changes: dict[Row, Change] = {}
        self._store = store
        self._refused = refused
        self._keys = _name_captured(store, captured)
        self._versions = store.read_versions(self._list_rows(captured))
        ignoring = store.engine == "mysql"
        self._refusable = {
            id_: find_refusable(store.tables[id_]) if ignoring else set() for id_ in self._keys
        }
        self._again: list[Change] = []
        """Rows that refer to one that has got another key."""

    def _list_rows(self, captured: Sequence[Captured]) -> set[Row]:
        rows: set[Row] = set()
        for item in captured:
            wire, named = self._store.tables[item.table_id].wire, self._keys[item.table_id]
            rows |= {Row(wire, named[key]) for key in (item.key, item.old_key) if key in named}
        return rows

    def add(self, item: Captured) -> None:
        """Add what was captured to the change of its row."""
        named = self._keys[item.table_id]
        change = self._change_of(item, item.key)
        if item.old_key is not None and named[item.old_key] != named[item.key]:
            self._rename(item, change)
            return
        columns: dict[str, Any] = json.loads(item.changed) if item.changed else {}
        if item.operation == UPDATE:
            change.twice |= change.columns.keys() & columns.keys()
            if item.id in self._refused or not self._refusable[item.table_id].isdisjoint(columns):
                change.doubted |= columns.keys()
        _add(change, item, columns)

    def _change_of(self, item: Captured, local_key: str) -> Change:
        table = self._store.tables[item.table_id]
        row = Row(table.wire, self._keys[item.table_id][local_key])
        change = self.changes.get(row)
        if change is None:
            change = self.changes[row] = Change(table, row, local_key, self._versions.get(row))
        change.local_key = local_key
        change.captured_at = max(change.captured_at, item.captured_at)
        return change

    def _rename(self, item: Captured, change: Change) -> None:
        """The row has got another key: it is gone by the old one, here by the new one, and so is whatever is
        named through it (R20)."""
        assert item.old_key is not None
        store, table, named = self._store, change.table, self._keys[item.table_id]
        left = self._change_of(item, item.old_key)
        # MySQL fires its triggers for UPDATE IGNORE too, when the row is left as it was.
        left.announced = left.announced or {}
        change.whole, change.alive = True, True
        self._again += referring(store, table, item.key, named[item.key])
        for other in renamed(store, table, item.key, named[item.old_key]):
            found = self.changes.setdefault(other.row, other)
            found.captured_at = max(found.captured_at, item.captured_at)
            if other.alive:  # it is here now, perhaps by a name that it or another has left in this pass
                found.local_key, found.whole, found.alive = other.local_key, True, True
                self._again += referring(store, other.table, other.local_key, other.row.key)

    def add_referring(self) -> None:
        """Add the rows that refer to one that has got another key, as they are now."""
        for other in self._again:
            _refer(self.changes.setdefault(other.row, other), json.loads(other.late))


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
