"""One of two sites that are compared: what it tells of its rows, and how it takes what it lacks.

``StoreSide`` reads a database; ``changecapture.verify.questions`` and ``relay.verify`` put a network between.
What takes long is done in steps, a page of rows each, so that whoever serves may do something else meanwhile.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from changecapture.apply import drain
from changecapture.apply.localise import locate
from changecapture.core.change import Row
from changecapture.core.hashtree import HashTree, Prefix, hash_place, hash_row
from changecapture.core.merge import merge_entries
from changecapture.core.pages import walk
from changecapture.core.scopes import EVERY, Scopes
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.vector import Vector
from changecapture.errors import PeerError
from changecapture.history import describe_state
from changecapture.identify import find_joined, name_rows
from changecapture.mapping.difference import Difference
from changecapture.mapping.parts import Place
from changecapture.patience import patiently
from changecapture.publish.change import Change
from changecapture.publish.late import read_late
from changecapture.publish.whole import translate
from changecapture.reconcile import same
from changecapture.record.export import merge_records
from changecapture.record.load import Loaded, take_records
from changecapture.record.model import Record
from changecapture.store.sqlstore import SqlStore
from changecapture.verify.mapped import UNLIKE, common_shape, find_unlike, read_common, show_common

PAGE = 1000
SHOWN = "shown"
Shared = Mapping[str, Sequence[str]]
"""The tables that both sites sync, by wire name, with the columns that both have."""
Shape = Mapping[str, Mapping[str, tuple[str, str]]]
"""The tables of a site, by wire name, with the kind and type of each column."""
Step = tuple[int, int]
"""How much is done, of how much."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a side shows of a row, None when it shows none, and why."""

    shown: Mapping[str, Any] | None
    why: str


def travels(store: SqlStore, table: str, column: str) -> bool:
    """Return whether a column is shared: of tables that a mapping brings across those that are in it."""
    lens = store.mapping
    return lens is None or table not in lens.local_tables or Place(table, column) in lens.local_places


class Side(Protocol):
    """One of the two."""

    def begin(self) -> tuple[Vector, Shape]:
        """Bring the log up to date; return what is held, and the tables."""

    def read(self, shared: Shared) -> Iterator[Step]:
        """Make the hash tree of all that is shown."""

    def ask_nodes(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """Return (rows, digest) of nodes of the tree."""

    def ask_rows(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """Return (place, content) of the rows below nodes."""

    def find(self, shared: Shared, places: set[int], found: set[Row]) -> Iterator[Step]:
        """Add the rows that belong at some of the places to ``found``."""

    def tell(self, rows: Sequence[Row]) -> list[Told]:
        """Return what is shown of rows."""

    def merged(self, rows: Sequence[Row]) -> tuple[Vector, list[Record]]:
        """Return what the log says of rows, and what is held."""

    def take(self, records: Sequence[Record], seen: Vector) -> set[Row]:
        """Take what another side, that holds ``seen``, says of rows; return those that were written."""


class StoreSide:
    """The database of a site. ``scopes``: the only modules that are spoken of."""

    def __init__(self, store: SqlStore, scopes: Scopes = EVERY) -> None:
        """Nothing is read before ``begin``."""
        self._store, self._scopes = store, scopes
        self._tree = HashTree()
        self._unlike: dict[Row, Difference] = {}

    def begin(self) -> tuple[Vector, Shape]:
        """See Side."""
        patiently(partial(drain, self._store))
        shape = {
            wire: {c.wire: (c.kind, c.type) for c in table.columns if travels(self._store, wire, c.wire)}
            for wire, table in self._store.tables_by_wire.items()
            if table.scope in self._scopes
        }
        shape.update(common_shape(self._store, self._scopes))
        return self._scopes.of(self._store.read_vector()), shape

    def read(self, shared: Shared) -> Iterator[Step]:
        """See Side."""
        tree = self._tree = HashTree()
        if any(self._is_common(wire) for wire in shared):
            with self._store.snapshot():
                self._unlike = find_unlike(self._store)
        for done, (wire, columns) in enumerate(shared.items()):
            self._check(wire)
            kinds = {c.wire: c.kind for c in self._columns(wire)}
            for page in self._pages(wire):
                for key, shown in page:
                    text = json.dumps([_plain(kinds.get(name, "text"), shown.get(name)) for name in columns])
                    tree.add(hash_place(wire, key), hash_row(wire, key, text))
                yield done, len(shared)
        yield len(shared), len(shared)

    def _columns(self, wire: str) -> Sequence[SyncedColumn]:
        return () if self._is_common(wire) else self._store.tables_by_wire[wire].columns

    def _pages(self, wire: str) -> Iterator[list[tuple[str, dict[str, Any]]]]:
        if self._is_common(wire):
            return read_common(self._store, wire, self._unlike)
        return _read_pages(self._store, self._store.tables_by_wire[wire])

    def _is_common(self, wire: str) -> bool:
        """Return whether a table is one that a mapping shows as others."""
        return self._store.mapping is not None and wire in self._store.mapping.common_tables

    def ask_nodes(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """See Side."""
        return self._tree.ask_nodes(prefixes)

    def ask_rows(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """See Side."""
        return self._tree.ask_rows(prefixes)

    def find(self, shared: Shared, places: set[int], found: set[Row]) -> Iterator[Step]:
        """See Side."""
        for done, wire in enumerate(shared):
            self._check(wire)
            if self._is_common(wire):
                for page in self._pages(wire):
                    found.update(Row(wire, key) for key, _ in page if hash_place(wire, key) in places)
                    yield done, len(shared)
                continue
            table = self._store.tables_by_wire[wire]
            for texts in walk(partial(self._store.read_local_keys_after, table), str, None, PAGE):
                keys = name_rows(self._store, table, texts).values()
                found.update(Row(table.wire, key) for key in keys if hash_place(table.wire, key) in places)
                yield done, len(shared)
        yield len(shared), len(shared)

    def tell(self, rows: Sequence[Row]) -> list[Told]:
        """See Side."""
        told = []
        for row in rows:
            self._check(row.table)
            if self._is_common(row.table):
                told.append(self._tell_common(row))
                continue
            shown = _read_row(self._store, row)
            told.append(Told(shown, _explain(self._store, row, shown)))
        return told

    def _tell_common(self, row: Row) -> Told:
        shown = show_common(self._store, [row], self._unlike)[row]
        if row in self._unlike:
            return Told(shown, UNLIKE)
        known = bool(self._store.read_row_entries([row]))
        return Told(shown, describe_state(self._store, row) if known else "unknown here")

    def merged(self, rows: Sequence[Row]) -> tuple[Vector, list[Record]]:
        """See Side."""
        for row in rows:
            self._check(row.table)
        return self._store.read_vector(), _merge_rows(self._store, rows)

    def take(self, records: Sequence[Record], seen: Vector) -> set[Row]:
        """See Side."""
        for record in records:
            self._check(record.table)
        # What a mapping shows comes by exchanging entries, or is for reconcile: there is no table to repair.
        records = [record for record in records if not self._is_common(record.table)]
        written: set[Row] = set()
        for start in range(0, len(records), PAGE):
            places: dict[Row, str] = {}
            part = records[start : start + PAGE]
            patiently(partial(take_records, self._store, part, seen, Loaded(), places, lost=False))
            written |= places.keys()
        return written

    def _check(self, wire: str) -> None:
        """Raise PeerError unless the table may be spoken of."""
        table, lens = self._store.tables_by_wire.get(wire), self._store.mapping
        scope = None if table is None else table.scope
        if scope is None and lens is not None:
            scope = lens.common_tables.get(wire)
        if scope is None or scope not in self._scopes:
            raise PeerError(f"{wire!r:.80} is no table that may be compared here")


def _read_pages(store: SqlStore, table: SyncedTable) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Yield pages of (key, values by wire name) of the rows that a table shows."""
    for texts in walk(partial(store.read_local_keys_after, table), str, None, PAGE):
        keys = name_rows(store, table, texts)
        yield list(_read_shown(store, table, {keys[text]: text for text in texts}))


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


def _merge_rows(store: SqlStore, rows: Sequence[Row]) -> list[Record]:
    names = find_joined(store, rows)
    return merge_records(store, sorted({names.get(row, row) for row in rows}))
