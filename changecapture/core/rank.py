"""Parents before children: the order in which tables are written."""

from collections.abc import Iterable

from changecapture.core.table import SyncedTable


def rank(definitions: Iterable[SyncedTable]) -> dict[str, int]:
    """Return each table's place: after all tables that it refers to, then by name.

    References of a table to itself do not count. In a cycle the next table is the one that waits
    for the fewest tables that it must refer to, then that it may refer to, then by name.
    """
    tables = {table.name: table for table in definitions}
    optional = {name: _targets(table, tables, required=False) for name, table in tables.items()}
    required = {name: _targets(table, tables, required=True) for name, table in tables.items()}
    places: dict[str, int] = {}
    waiting = set(tables)

    def awaited(name: str) -> tuple[int, int, str]:
        return len(required[name] & waiting), len(optional[name] & waiting), name

    while waiting:
        ready = sorted(n for n in waiting if not (optional[n] | required[n]) & waiting)
        for name in ready or [min(waiting, key=awaited)]:
            places[name] = len(places)
            waiting.discard(name)
    return places


def _targets(table: SyncedTable, tables: Iterable[str], *, required: bool) -> set[str]:
    """Return the other tables that rows of this one refer to."""
    columns = {column.name: column for column in (*table.key_columns, *table.columns)}
    references = (column.reference for column in columns.values() if column.reference)
    return {
        reference.table
        for reference in references
        if reference.required is required and reference.table != table.name
    } & set(tables)
