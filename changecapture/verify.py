"""Verify: do two sites show the same rows? And where not: which, why, and what mends it.

What is compared is what the tables show, read by us as a late read does, not what the logs say: so a write
that no trigger saw is found too. Each side makes a hash tree of its rows (core.hashtree); they compare
digests, then list the few rows whose digests differ, then these rows themselves. What one engine cannot
show as the other does (a float of 32 bits) is no difference. While applications write, what is on its way
differs.

A row differs because an entry of it is missing at one site: repairing ships the merged row, as a record,
decided column by column as an import is. Or because a table does not show what its own log says: then
only ``reconcile`` may decide, as what the application wrote is not to be lost. Or because it is parked there.
"""

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from changecapture.apply import drain
from changecapture.apply.localise import locate
from changecapture.core.change import Row
from changecapture.core.hashtree import HashTree, Prefix, Side, find_differing, hash_place, hash_row
from changecapture.core.merge import merge_entries
from changecapture.core.table import SyncedTable
from changecapture.history import describe_state
from changecapture.identify import find_joined, name_rows
from changecapture.patience import patiently
from changecapture.publish import Change, read_late, translate
from changecapture.reconcile import same
from changecapture.record.export import merge_record
from changecapture.record.load import Loaded, take_records
from changecapture.record.model import Record
from changecapture.store.sqlstore import SqlStore

PAGE = 1000
SHOWN = "shown"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Differing:
    """A row that differs. ``left``, ``right``: why each side shows what it does. ``columns``: {column: [left,
    right]}; empty when one side does not show the row."""

    table: str
    key: str
    left: str
    right: str
    columns: dict[str, list[Any]]


@dataclass(slots=True)
class Verified:
    """``rows``: shown at the left. ``bytes``: what a link between the two would have carried to find the
    differences. ``apart``: tables or columns that one side alone has. ``repaired``: rows shipped."""

    rows: int = 0
    bytes: int = 0
    in_step: bool = True
    apart: list[str] = field(default_factory=list)
    differences: list[Differing] = field(default_factory=list)
    repaired: int = 0


class CountedSide:
    """A side whose answers and questions are counted in bytes, as a link would carry them."""

    def __init__(self, side: Side) -> None:
        """Count for this side."""
        self._side = side
        self.bytes = 0

    def ask_nodes(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """See Side. A question names the nodes, an answer has a count and a digest for each."""
        found = self._side.ask_nodes(prefixes)
        self.bytes += len(_pack_nodes(prefixes)) + sum(len(struct.pack(">IQ", *pair)) for pair in found)
        return found

    def ask_rows(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """See Side."""
        found = self._side.ask_rows(prefixes)
        self.bytes += len(_pack_nodes(prefixes)) + sum(len(struct.pack(">QQ", *pair)) for pair in found)
        return found


def _pack_nodes(prefixes: Sequence[Prefix]) -> bytes:
    return b"".join(struct.pack(">BQ", *prefix) for prefix in prefixes)


def verify(
    left: SqlStore, right: SqlStore, *, repair: bool = False, progress: Progress | None = None
) -> Verified:
    """Compare what two sites show, and ship the rows that one of them lacks if told to."""
    found = Verified()
    for store in (left, right):
        patiently(partial(drain, store))
    found.in_step = left.read_vector() == right.read_vector()
    shared, found.apart = find_shared(left, right)
    trees = [
        read_tree(store, shared, partial(_report, progress, side))
        for store, side in ((left, "left"), (right, "right"))
    ]
    counted = CountedSide(trees[1])
    places = set(find_differing(trees[0], counted))
    found.rows = sum(count for count, _ in trees[0].ask_nodes([(0, 0)]))
    rows = sorted(find_rows(left, shared, places) | find_rows(right, shared, places)) if places else []
    found.bytes = counted.bytes + 32
    for differing in compare_rows(left, right, shared, rows):
        found.bytes += len(json.dumps([differing.key, differing.columns]))
        found.differences.append(differing)
    if repair and found.differences:
        found.repaired = ship_rows(left, right, [Row(d.table, d.key) for d in found.differences])
        found.differences = list(compare_rows(left, right, shared, rows))
    return found


def _report(progress: Progress | None, side: str, done: int, total: int) -> None:
    if progress is not None:
        progress(f"tables read at the {side}", done, total)


Shared = dict[str, tuple[str, ...]]
"""The tables that both sites sync, by wire name, with the columns that both have."""


def find_shared(left: SqlStore, right: SqlStore) -> tuple[Shared, list[str]]:
    """Return what both sites sync, and what one alone does."""
    ours, theirs = left.tables_by_wire, right.tables_by_wire
    apart: list[str] = [*sorted(ours.keys() ^ theirs.keys())]
    shared: Shared = {}
    for wire in sorted(ours.keys() & theirs.keys()):
        mine, yours = ({c.wire for c in tables[wire].columns} for tables in (ours, theirs))
        shared[wire] = tuple(sorted(mine & yours))
        apart += [f"{wire}.{name}" for name in sorted(mine ^ yours)]
    return shared, apart


def read_tree(store: SqlStore, shared: Shared, report: Callable[[int, int], None]) -> HashTree:
    """Return the hash tree of all that a site shows."""
    tree = HashTree()
    for done, (wire, columns) in enumerate(shared.items()):
        report(done, len(shared))
        table = store.tables_by_wire[wire]
        kinds = {column.wire: column.kind for column in table.columns}
        for key, shown in read_shown(store, table):
            text = json.dumps([_plain(kinds[name], shown.get(name)) for name in columns])
            tree.add(hash_place(wire, key), hash_row(wire, key, text))
    report(len(shared), len(shared))
    return tree


def _plain(kind: str, value: Any) -> Any:
    """Return what of a value every engine shows alike: five digits of 32 bits, no spaces that fill a char."""
    if isinstance(value, str) and kind == "text":
        return value.rstrip(" ")
    if isinstance(value, str) and kind == "json":
        try:
            return json.dumps(json.loads(value), sort_keys=True)
        except ValueError:
            return value
    return f"{value:.5g}" if kind == "float32" and isinstance(value, int | float) else value


def read_shown(store: SqlStore, table: SyncedTable) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (key, values by wire name) of the rows that a table shows."""
    after: str | None = None
    while texts := store.read_local_keys_after(table, after, PAGE):
        after = texts[-1]
        keys = name_rows(store, table, texts)
        yield from _read_shown(store, table, {keys[text]: text for text in texts})


def _read_shown(
    store: SqlStore, table: SyncedTable, local: dict[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    changes = [
        Change(table, Row(table.wire, key), text, None, whole=True, alive=True) for key, text in local.items()
    ]
    read_late(store, changes)
    shown = [change for change in changes if change.alive]
    translate(store, shown)
    for change in shown:
        yield change.row.key, {**json.loads(change.late), **change.columns}


def find_rows(store: SqlStore, shared: Shared, places: set[int]) -> set[Row]:
    """Return the rows that belong at some of the places, among those that a site shows."""
    found: set[Row] = set()
    for wire in shared:
        table = store.tables_by_wire[wire]
        after: str | None = None
        while texts := store.read_local_keys_after(table, after, PAGE):
            after = texts[-1]
            keys = name_rows(store, table, texts).values()
            found.update(Row(wire, key) for key in keys if hash_place(wire, key) in places)
    return found


def compare_rows(left: SqlStore, right: SqlStore, shared: Shared, rows: Sequence[Row]) -> Iterator[Differing]:
    """Yield those of the rows that differ, with why."""
    for row in rows:
        ours, theirs = _read_row(left, row), _read_row(right, row)
        columns: dict[str, list[Any]] = {}
        if ours is not None and theirs is not None:
            kinds = {c.wire: (c.kind, c.type) for c in left.tables_by_wire[row.table].columns}
            other = {c.wire: (c.kind, c.type) for c in right.tables_by_wire[row.table].columns}
            columns = {
                name: [ours.get(name), theirs.get(name)]
                for name in shared[row.table]
                if not same(*kinds[name], ours.get(name), theirs.get(name))
                and not same(*other[name], theirs.get(name), ours.get(name))
            }
            if not columns:
                continue
        elif ours is None and theirs is None:
            continue
        yield Differing(*row, _explain(left, row, ours), _explain(right, row, theirs), columns)


def _read_row(store: SqlStore, row: Row) -> dict[str, Any] | None:
    """Return what a site shows of a row, None when it shows none."""
    table = store.tables_by_wire[row.table]
    with store.snapshot():
        places = locate(store, table, [row.key], lock=False)
        local = store.locate_rows(table, places)
        return dict(_read_shown(store, table, local)).get(row.key)


def _explain(store: SqlStore, row: Row, shown: dict[str, Any] | None) -> str:
    """Return why a site shows of a row what it shows."""
    entries = [entry for entry, _ in store.read_row_entries([row]).get(row, ())]
    if not entries:
        return "unknown here" if shown is None else "written unseen: run changecapture reconcile"
    state = describe_state(store, row)
    if not state.startswith(SHOWN):
        return state if shown is None else f"{state} in the log, but here: run changecapture reconcile"
    if shown is None:
        return "in the log, but gone: run changecapture reconcile"
    merged = merge_entries(entries)
    waiting = store.read_waiting([row]).get(row, set())
    for column in store.tables_by_wire[row.table].columns:
        name = column.wire
        logged = merged[name].value if name in merged else None
        if name not in waiting and not same(column.kind, column.type, logged, shown.get(name)):
            return f"{name} is not what the log says: run changecapture reconcile"
    return state


def ship_rows(left: SqlStore, right: SqlStore, rows: Sequence[Row]) -> int:
    """Make each site know what the other has merged of some rows; return how many were written anywhere."""
    written: set[Row] = set()
    records = [_merge_rows(store, rows) for store in (left, right)]
    seen = [store.read_vector() for store in (left, right)]
    for store, given, vector in ((right, records[0], seen[0]), (left, records[1], seen[1])):
        loaded = Loaded()
        for start in range(0, len(given), PAGE):
            part = given[start : start + PAGE]
            places: dict[Row, str] = {}
            patiently(partial(take_records, store, part, vector, loaded, places, lost=False))
            written |= places.keys()
    return len(written)


def _merge_rows(store: SqlStore, rows: Sequence[Row]) -> list[Record]:
    names = find_joined(store, rows)
    logged = store.read_row_entries({names.get(row, row) for row in rows})
    found = (merge_record(row, [entry for entry, _ in entries]) for row, entries in logged.items())
    return [record for record in found if record is not None]
