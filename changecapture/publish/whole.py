"""Whole rows, and values as they travel: canonical, references as keys."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from changecapture.core import values
from changecapture.core.change import (
    Row,
)
from changecapture.identify import local_reference, name_references, place_keys
from changecapture.publish.change import Change
from changecapture.publish.late import read_late
from changecapture.store.interface import Store


def read_whole(store: Store, rows: Collection[Row]) -> dict[Row, dict[str, Any]]:
    """Return rows as they are now, by wire names, values canonical, references as keys, gone ones not."""
    keys: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        keys[row.table].append(row.key)
    changes: list[Change] = []
    for wire, wanted in keys.items():
        table = store.tables_by_wire.get(wire)
        if table is None:
            continue
        assigned = table.identity.kind == "assigned"
        places = store.read_locators(table, wanted) if assigned else place_keys(table, wanted)
        for key, local_key in store.find_local_keys(table, places).items():
            changes.append(Change(table, Row(wire, key), local_key, None, whole=True))
    read_late(store, changes)
    here = [change for change in changes if change.alive]
    translate(store, here)
    return {
        change.row: {
            **_key_columns(change),
            **json.loads(change.late),
            **change.columns,
        }
        for change in here
    }


def _key_columns(change: Change) -> dict[str, Any]:
    """Return the identity columns of a row whose key is in them."""
    identity = change.table.identity
    if identity.kind == "assigned":
        return {}
    items = json.loads(change.row.key) if identity.kind == "composite" else [change.row.key]
    return dict(zip((column.wire for column in identity.columns), items, strict=True))


def translate(store: Store, changes: Sequence[Change]) -> None:
    """Make the values canonical and the references keys."""
    tables: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        if change.columns:
            tables[change.table.name].append(change)
    wanted: dict[tuple[str, str], set[Any]] = defaultdict(set)
    for group in tables.values():
        for column in group[0].table.local_references:
            target = local_reference(column.reference)
            assert target is not None
            references = (change.columns.get(column.wire) for change in group)
            wanted[target].update(value for value in references if value is not None)
    found = name_references(store, store.tables_by_name, wanted)
    for group in tables.values():
        for column in group[0].table.columns:
            target = local_reference(column.reference)
            if target is not None:
                known = found.get(target, {})
                for change in group:
                    value = change.columns.get(column.wire)
                    if value is not None:
                        change.columns[column.wire] = known.get(value)
            elif values.needs_canonical(column.kind):
                for change in group:
                    value = change.columns.get(column.wire)
                    if value is not None:
                        change.columns[column.wire] = values.canonical(column.kind, value, column.zone)
