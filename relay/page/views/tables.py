"""The synced tables with their counts.

To count rows is to read the whole index of what is known of rows: it is done when nobody has for a while,
and the page says when that was. Parked rows and conflicts are few, and counted each time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from changecapture.store.sqlstore import SqlStore

FRESH_US = 600_000_000


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows alive and deleted, by table, and when they were counted."""

    at: int
    rows: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class TableView:
    """A table: rows that the changelog knows, alive or deleted, parked rows, conflicts."""

    name: str
    module: str
    alive: int = 0
    deleted: int = 0
    parked: int = 0
    conflicts: int = 0


def count_rows(store: SqlStore, before: Counted | None) -> Counted:
    """Return the counts of a while ago, or new ones."""
    now = store.read_clock()
    if before is not None and 0 <= now - before.at < FRESH_US:
        return before
    return Counted(now, store.count_rows())


def view_tables(store: SqlStore, counted: Counted) -> list[TableView]:
    """Return the synced tables."""
    store.load_tables()
    parked, conflicts = store.count_parked_by_table(), store.count_conflicts_by_table()
    return [
        TableView(
            table.name,
            table.scope,
            *counted.rows.get(wire, (0, 0)),
            parked.get(wire, 0),
            conflicts.get(wire, 0),
        )
        for wire, table in sorted(store.tables_by_wire.items())
    ]
