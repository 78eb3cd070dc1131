"""Whole rows, and values as they travel: canonical, references as keys."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from changecapture.core import values
from changecapture.core.change import (
    Row,
)
from changecapture.core.table import SyncedTable
from changecapture.identify import local_reference, name_references, place_keys
from changecapture.publish.change import Change
from changecapture.store.interface import Store


def read_whole(store: Store, rows: Collection[Row]) -> dict[Row, dict[str, Any]]:
    """Return rows as they are now, by wire names, values canonical, references as keys, gone ones not."""
    keys: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        keys[row.table].append(row.key)
    found: dict[Row, dict[str, Any]] = {}
    for wire, wanted in keys.items():
        table = store.tables_by_wire.get(wire)
        if table is not None:
            found.update(_read_table(store, table, wanted))
    return found


def _read_table(
    store: Store, table: SyncedTable, keys: Sequence[str]
) -> Iterator[tuple[Row, dict[str, Any]]]:
    assigned = table.identity.kind == "assigned"
    places = store.read_locators(table, keys) if assigned else place_keys(table, keys)
    dead = None if table.deleted_flag is None else table.deleted_flag.deleted
    late = {
        key: row for key, row in store.read_rows_at(table, places).items() if dead is None or row.flag != dead
    }
    special = [
        Change(table, Row(table.wire, key), "", None, columns=row.values)
        for key, row in late.items()
        if row.values
    ]
    translate(store, special)
    texts = json.loads(f"[{','.join(row.text for row in late.values())}]")
    for (key, row), columns in zip(late.items(), texts, strict=True):
        yield Row(table.wire, key), {**_key_columns(table, key), **columns, **row.values}


def _key_columns(table: SyncedTable, key: str) -> dict[str, Any]:
    """Return the identity columns of a row whose key is in them."""
    identity = table.identity
    if identity.kind == "assigned":
        return {}
    items = json.loads(key) if identity.kind == "composite" else [key]
    return dict(zip((column.wire for column in identity.columns), items, strict=True))


def translate(store: Store, changes: Sequence[Change]) -> None:
    """Make the values canonical and the references keys."""
    tables: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        if change.columns:
            tables[change.table.name].append(change)
    written = {name: set().union(*(change.columns for change in group)) for name, group in tables.items()}
    wanted: dict[tuple[str, str], set[Any]] = defaultdict(set)
    for name, group in tables.items():
        for column in group[0].table.local_references:
            target, wire = local_reference(column.reference), column.wire
            assert target is not None
            if wire in written[name]:
                references = (change.columns.get(wire) for change in group)
                wanted[target].update(value for value in references if value is not None)
    found = name_references(store, store.tables_by_name, wanted)
    for name, group in tables.items():
        for column in group[0].table.columns:
            target, wire = local_reference(column.reference), column.wire
            if wire not in written[name] or (target is None and not values.needs_canonical(column.kind)):
                continue
            known = found.get(target, {}) if target is not None else {}
            for change in group:
                value = change.columns.get(wire)
                if value is None:
                    continue
                if target is not None:
                    change.columns[wire] = known.get(value)
                else:
                    change.columns[wire] = values.canonical(column.kind, value, column.zone)
