"""Rows that cannot be shown, each beside the one that has its place."""

from dataclasses import dataclass
from typing import Any

from changecapture.apply import find_blocking
from changecapture.core.change import Row
from changecapture.review import find_parked, read_parked_rows
from changecapture.store.review import ParkedRow
from changecapture.store.sqlstore import SqlStore
from relay.page.views.labels import SHOWN_LIMIT, label_rows, read_values


@dataclass(frozen=True, slots=True)
class Pair:
    """A column of a parked row beside that of the row which has its place."""

    column: str
    parked: Any
    shown: Any


@dataclass(frozen=True, slots=True)
class ParkedView:
    """A parked row; ``blocking``: keys of the rows that have its place."""

    parked: ParkedRow
    label: str
    blocking: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()


def view_parked(store: SqlStore) -> list[ParkedView]:
    """Return the first parked rows, each beside the row that has its place, where one has."""
    found = read_parked_rows(store)[:SHOWN_LIMIT]
    labels = label_rows(store, [Row(parked.table, parked.key) for parked in found])
    return [_view_parked(store, parked, labels.get(Row(parked.table, parked.key), "")) for parked in found]


def _view_parked(store: SqlStore, parked: ParkedRow, label: str) -> ParkedView:
    row = Row(parked.table, parked.key)
    if row.table not in store.tables_by_wire:
        return ParkedView(parked, label)
    blocking = sorted(find_blocking(store, row))
    mine: dict[str, Any] = {}
    for entry in find_parked(store, row)[1]:
        mine |= entry["columns"]
    values = read_values(store, [row, *(Row(row.table, key) for key in blocking[:1])])
    mine = {**values.get(row, {}), **mine}
    shown = values.get(Row(row.table, blocking[0]), {}) if blocking else {}
    columns = [column for column in sorted({*mine, *shown}) if not column.startswith("@")]
    pairs = (Pair(column, mine.get(column), shown.get(column)) for column in columns)
    return ParkedView(
        parked, label, tuple(blocking), tuple(p for p in pairs if (p.parked, p.shown) != (None,) * 2)
    )
