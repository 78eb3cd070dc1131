"""Rows that are published because another row has got another key (R20)."""

import json
from collections.abc import Iterable

from changecapture.core import values
from changecapture.core.change import (
    DELETE,
    Captured,
    Row,
)
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.identify import local_reference, name_former, name_rows
from changecapture.publish.change import Change
from changecapture.store.interface import Store


def referring(store: Store, table: SyncedTable, local_key: str, key: str) -> Iterable[Change]:
    """Yield the rows that refer by a local value to a row whose key has changed, each with the column that
    does and names it by its new key; nobody has written the others, nor said that the row exists (R20)."""
    for other in store.tables.values():
        for column in other.local_references:
            if column.reference is not None and column.reference.table == table.name:
                renamed = values.dump({column.wire: key})
                for text, row in _find_referring(store, other, column, table, local_key):
                    yield Change(other, row, text, store.read_versions([row]).get(row), late=renamed)


def renamed(store: Store, table: SyncedTable, local_key: str, old_key: str) -> Iterable[Change]:
    """Yield the rows whose own key names a row whose key has changed, and those whose key names one of them
    in turn: gone by the old name, here by the new one."""
    for other in store.tables.values():
        for place, column in enumerate(other.identity.columns):
            target = local_reference(column.reference)
            if target is None or target[0] != table.name:
                continue
            for text, row in _find_referring(store, other, column, table, local_key):
                parts = json.loads(row.key)
                parts[place] = old_key
                left = Row(other.wire, values.dump(parts))
                versions = store.read_versions([row, left])
                yield Change(other, left, text, versions.get(left), alive=False)
                yield Change(other, row, text, versions.get(row), whole=True, alive=True)
                yield from renamed(store, other, text, left.key)


def left_behind(store: Store, captured: Iterable[Captured]) -> Iterable[Change]:
    """Yield the rows that are gone and whose key names a row that has got another one meanwhile: they are
    gone by the name that they were published under as well (R20)."""
    gone: dict[str, int] = {}
    renamed: dict[str, int] = {}
    for item in captured:
        if item.operation == DELETE:
            gone[store.tables[item.table_id].name] = item.captured_at
        elif item.old_key is not None:
            renamed[store.tables[item.table_id].name] = item.captured_at
    for table in store.tables.values() if gone or renamed else ():
        parts = _find_parts(store, table) if table.identity.kind == "composite" else set()
        at = max([renamed.get(name, 0) for name in parts] + [gone.get(table.name, 0)])
        if not parts or not at:
            continue
        former = name_former(store, table, store.read_departed(table))
        versions = store.read_versions({Row(table.wire, key) for keys in former.values() for key in keys})
        for row, version in versions.items():
            if version.alive:
                yield Change(table, row, "", version, alive=False, captured_at=at)


def _find_parts(store: Store, table: SyncedTable) -> set[str]:
    """Return the tables whose rows name those of a table, and those whose rows name these in turn."""
    parts: set[str] = set()
    waiting: list[SyncedTable | None] = [table]
    while waiting:
        made = waiting.pop()
        columns = made.identity.columns if made is not None else ()
        found = {target[0] for column in columns if (target := local_reference(column.reference))}
        waiting += [store.tables_by_name.get(name) for name in found - parts]
        parts |= found
    return parts


def _find_referring(
    store: Store, other: SyncedTable, column: SyncedColumn, table: SyncedTable, local_key: str
) -> Iterable[tuple[str, Row]]:
    """Yield (local key, row) of the rows whose column refers to a row of a table."""
    texts = store.read_referring(other, column, table, local_key)
    for text, key in name_rows(store, other, texts).items():
        yield text, Row(other.wire, key)
