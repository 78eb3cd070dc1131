"""A site with a mapping, compared with one that has the common tables: people, as Eden's rows of them.

What such a site shows of a common row is what its log says, and what its own tables say otherwise (``get``):
the same difference that ``reconcile`` would publish. Columns that only sites with the mapping understand are
not compared here; between two of these the application's own tables are.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from changecapture.anchors import read_anchors
from changecapture.bridge import find_changes
from changecapture.core.change import ALIVE, Row
from changecapture.core.merge import merge_entries
from changecapture.core.pages import KEY, walk
from changecapture.core.scopes import Scopes
from changecapture.mapping.difference import Difference
from changecapture.publish.whole import read_whole
from changecapture.store.sqlstore import SqlStore

COMMON = ("text", "common")
"""Stands for the kind and type of a column of a common table: the other site knows them."""
PAGE = 1000
UNLIKE = "its rows here are not what the log says: run changecapture reconcile"


def common_shape(store: SqlStore, scopes: Scopes) -> dict[str, dict[str, tuple[str, str]]]:
    """Return the common tables of a mapping, with the columns that it covers; nothing without one."""
    lens = store.mapping
    found: dict[str, dict[str, tuple[str, str]]] = {}
    if lens is None:
        return found
    for record in lens.records:
        for pair in record.pairs:
            for place in (*pair.own, *pair.copies):
                if not place.column.startswith(f"{lens.title}_"):
                    found.setdefault(record.tables[place.part], {})[place.column] = COMMON
        for part in record.common:
            columns = found.setdefault(part.table, {})
            columns.update(dict.fromkeys([*part.parent, *dict(part.match)], COMMON))
    return {name: columns for name, columns in found.items() if lens.common_tables[name] in scopes}


def find_unlike(store: SqlStore) -> dict[Row, Difference]:
    """Return what the application's tables say otherwise than the log, by common row. Nothing is written."""
    lens = store.mapping
    found: dict[Row, Difference] = {}
    if lens is None:
        return found
    anchors = {record.anchor.table for record in lens.records} & store.tables_by_wire.keys()
    for rows in (
        rows for wire in sorted(anchors) for rows in read_anchors(store, store.tables_by_wire[wire], PAGE)
    ):
        crossed = find_changes(store, lens, dict.fromkeys(rows, store.read_clock()), read_whole, whole=True)
        found.update((item.difference.row, item.difference) for item in crossed)
    return found


def read_living(store: SqlStore, table: str) -> Iterator[list[Row]]:
    """Yield pages of the rows of a table that live in the log."""
    yield from walk(partial(store.read_alive_after, table), KEY, "", PAGE)


def read_common(
    store: SqlStore, table: str, unlike: Mapping[Row, Difference]
) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Yield pages of (key, columns) of the common rows of a table that a site shows."""
    for rows in read_living(store, table):
        yield [
            (row.key, shown) for row, shown in show_common(store, rows, unlike).items() if shown is not None
        ]
    new = [row for row, found in unlike.items() if row.table == table and found.alive]
    if new:
        known = store.read_versions(new)
        dead = [row for row in new if row not in known or not known[row].alive]
        shown = show_common(store, dead, unlike)
        yield [(row.key, columns) for row, columns in shown.items() if columns is not None]


def show_common(
    store: SqlStore, rows: Iterable[Row], unlike: Mapping[Row, Difference]
) -> dict[Row, dict[str, Any] | None]:
    """Return what a site shows of common rows, None of one that it does not show."""
    wanted = list(rows)
    logged, versions = store.read_row_entries(wanted), store.read_versions(wanted)
    found: dict[Row, dict[str, Any] | None] = {}
    for row in wanted:
        merged = merge_entries(entry for entry, applied in logged.get(row, ()) if applied)
        columns = {name: cell.value for name, cell in merged.items() if name != ALIVE}
        alive = row in versions and versions[row].alive
        difference = unlike.get(row)
        if difference is not None:
            columns |= difference.columns
            alive = alive if difference.alive is None else difference.alive
        found[row] = columns if alive else None
    return found
