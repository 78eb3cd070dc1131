"""Trees: after the rows are written and logged, the latest edge of each cycle is emptied (core.tree).

The emptied edge waits, so a retry writes it anew and looks again: it is shown once the cycle is broken.
An edge that is written with its row cannot close a cycle alone: its row was unknown to everyone.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from changecapture.apply.work import BUSY, Parked, Waiting, Work, by_table
from changecapture.apply.write import hold_present
from changecapture.core.change import Entry, Row
from changecapture.core.merge import Cell, Conflict, merge_entries
from changecapture.core.table import SyncedTable
from changecapture.core.tree import Edge, find_latest
from changecapture.mapping.model import Lens
from changecapture.store.interface import Store

LONGEST = 1000
"""Edges from a leaf to a root; what is longer is not looked at."""


class Tree(NamedTuple):
    """A column of a table, by its wire name, that names the row above, and where the log has it."""

    table: SyncedTable
    wire: str
    log_table: str
    log_column: str


def prune_trees(store: Store, shown: Sequence[Work]) -> None:
    """Empty the latest edge of every cycle that these rows, which are logged by now, may have closed."""
    for table, group in by_table(work for work in shown if work.table.trees and _may_close(work)):
        fresh = {entry.name for work in group for entry in work.fresh}
        for wire in table.trees:
            _prune(store, Tree(table, wire, table.wire, wire), group, fresh)


def prune_mapped(store: Store, lens: Lens, shown: Sequence[Work], fresh: Iterable[Entry]) -> None:
    """Do the same with the application's rows of records; ``fresh``: the entries that came."""
    names = {entry.name for entry in fresh}
    for table, group in by_table(work for work in shown if work.table.trees and work.parked is None):
        for wire in table.trees:
            for kind, part in lens.owners[table.wire]:
                record = lens.records[kind]
                column = record.travels_as(part.name, wire)
                if column is not None and part is record.anchor and not record.root.parent:
                    _prune(store, Tree(table, wire, record.root.table, column), group, names)


def _may_close(work: Work) -> bool:
    return work.parked is None and (work.again or work.version is not None or len(work.fresh) > 1)


def _prune(store: Store, tree: Tree, works: Iterable[Work], fresh: Collection[object]) -> None:
    table, wire = tree.table, tree.wire
    keys = {w.row.key for w in works if w.decision and w.decision.values.get(wire) is not None}
    edges = _read_edges(store, tree, keys)
    cut = find_latest(edges, keys)
    latest = {key: Work(table, Row(table.wire, key)) for key in cut}
    hold_present(store, list(latest.values()))
    column = next(c.name for c in table.columns if c.wire == wire)
    for key, work in latest.items():
        if work.parked is not None:
            store.write_parked({work.row: Parked(BUSY, "the application holds a row of a cycle")})
            continue
        if work.local_key is not None:
            store.update_rows(table, [(work.local_key, {column: None})])
        store.add_waiting({work.row: [Waiting(wire, tree.log_table, edges[key].parent)]})
        if _is_found_now(fresh, edges, key):
            kept = Cell(cut[key].cell.entry, None)
            lost = Conflict(tree.log_column, kept, edges[key].cell)
            store.write_conflicts([(Row(tree.log_table, key), lost)])


def _is_found_now(fresh: Collection[object], edges: dict[str, Edge], key: str) -> bool:
    """Return whether an edge of the cycle came just now: a retry finds no conflict anew."""
    last, names = key, {edges[key].cell.entry.name}
    while edges[last].parent != key:
        last = edges[last].parent
        names.add(edges[last].cell.entry.name)
    return not names.isdisjoint(fresh)


def _read_edges(store: Store, tree: Tree, keys: Iterable[str]) -> dict[str, Edge]:
    """Return the merged edges of living rows, from these upwards."""
    edges: dict[str, Edge] = {}
    front = set(keys)
    for _ in range(LONGEST):
        rows = [Row(tree.log_table, key) for key in sorted(front)]
        if not rows:
            break
        versions = store.read_versions(rows)
        logged = store.read_row_entries([row for row in rows if row in versions and versions[row].alive])
        found: set[str] = set()
        for row, entries in logged.items():
            cell = merge_entries(entry for entry, _ in entries).get(tree.log_column)
            if cell is not None and isinstance(cell.value, str):
                edges[row.key] = Edge(cell.value, cell)
                found.add(cell.value)
        front = found - edges.keys()
    return edges
