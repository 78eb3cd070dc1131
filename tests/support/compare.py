"""Compares two sites row by row, as a person would: live rows by their keys, references by the rows
that they name, numbers of 32 bits as near as 32 bits are.

It reads the application's tables itself and shares nothing with the product but the installed
definitions, so that a fault in reading or writing cannot hide here. A row that the application's
flag marks as deleted is not shown: it equals an absent one, and a reference to it equals none.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from changecapture.core.table import SyncedColumn, SyncedTable
from tests.support.databases import Looker, Row, dialect_of, list_filled

FLOAT32 = 1e-6
"""How far two numbers may differ where one side keeps 32 bits, MySQL shows six digits of them."""

Rows = dict[str, dict[str, Any]]
"""Key to values by wire name, references as keys."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two sites differ. ``column`` is None when a row is shown at one site only."""

    table: str
    key: str
    column: str | None
    left: Any
    right: Any

    def __str__(self) -> str:
        if self.column is None:
            return f"{self.table} {self.key}: only {'left' if self.left is not None else 'right'}"
        return f"{self.table} {self.key}.{self.column}: {self.left!r:.120} and {self.right!r:.120}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """``rows``: how many rows of each table were compared, by wire name. ``apart``: tables that only one
    of the sites syncs. ``parked``: rows that one of the sites cannot show."""

    rows: dict[str, int]
    differences: tuple[Difference, ...]
    apart: tuple[str, ...]
    parked: int

    @property
    def equal(self) -> bool:
        """Whether both sites show the same rows, and all of them."""
        return not self.differences and not self.parked

    @property
    def total(self) -> int:
        """How many rows were compared."""
        return sum(self.rows.values())


def compare_sites(left: str, right: str) -> Comparison:
    """Compare the databases of two sites, given by their URLs."""
    with closing(Looker(left)) as here, closing(Looker(right)) as there:
        with read_site(left, here) as ours, read_site(right, there) as theirs:
            return compare_readers(ours, theirs)


def compare_readers(ours: "SiteReader", theirs: "SiteReader") -> Comparison:
    """Compare what two readers find."""
    tables = sorted(ours.tables.keys() & theirs.tables.keys())
    differences = [d for name in tables for d in _compare_tables(ours, theirs, name)]
    return Comparison(
        rows={name: len(ours.rows(name).keys() | theirs.rows(name).keys()) for name in tables},
        differences=tuple(differences),
        apart=tuple(sorted(ours.tables.keys() ^ theirs.tables.keys())),
        parked=ours.parked + theirs.parked,
    )


def assert_equal_sites(left: str, right: str) -> Comparison:
    """Fail with the first differences when two sites do not show the same rows; else return the counts."""
    return assert_equal(compare_sites(left, right))


def assert_equal(found: Comparison) -> Comparison:
    """Fail with the first differences, if there are any; else return what was found."""
    shown = "\n".join(str(difference) for difference in found.differences[:20])
    assert found.equal, f"{len(found.differences)} differences, {found.parked} parked rows:\n{shown}"
    return found


@contextmanager
def read_site(url: str, looker: Looker) -> Iterator["SiteReader"]:
    """Give a reader of one site's rows; times are read as UTC meanwhile."""
    zone, prefix, mark = (
        ("TimeZone", "changecapture.", '"')
        if dialect_of(url) == "postgresql"
        else ("time_zone", "changecapture_", "`")
    )
    looker.fetch(f"SET {zone} = '+00:00'")
    yield SiteReader(looker.fetch, prefix, mark)
    looker.fetch(f"SET {zone} = DEFAULT")


class SiteReader:
    """The rows that one site shows, read once for each table."""

    def __init__(self, fetch: Callable[[str], list[Row]], prefix: str, mark: str) -> None:
        self._fetch = fetch
        self._mark = mark
        found = fetch(f"SELECT definition FROM {prefix}synced_table WHERE active = 1")
        definitions = [SyncedTable.from_json(text) for (text,) in found]
        self.tables: dict[str, SyncedTable] = {table.wire: table for table in definitions}
        self.parked = int(fetch(f"SELECT count(*) FROM {prefix}parked")[0][0])
        self._filled = set(list_filled(fetch, [self._spell(table) for table in definitions]))
        self._targets = _find_targets(definitions)
        self._given: dict[str, dict[str, str]] = defaultdict(dict)
        for name, locator, key in fetch(f"SELECT table_name, locator, row_key FROM {prefix}local_key"):
            self._given[name][locator] = key
        self._raw: dict[str, list[dict[str, Any]]] = {}
        self._keys: dict[str, list[str]] = {}
        self._rows: dict[str, Rows] = {}

    def rows(self, wire: str) -> Rows:
        """Return what a table shows."""
        if wire not in self._rows:
            table = self.tables[wire]
            keys = self.keys(wire)
            self._rows[wire] = {
                key: {column.wire: self._value(column, row[column.name]) for column in table.columns}
                for key, row in zip(keys, self._read(wire), strict=True)
            }
        return self._rows[wire]

    def keys(self, wire: str) -> list[str]:
        """Return the key of each row that a table shows, in the order of ``_read``."""
        if wire not in self._keys:
            table = self.tables[wire]
            given = self._given[wire]
            self._keys[wire] = [self._key(table, row, given) for row in self._read(wire)]
        return self._keys[wire]

    def _key(self, table: SyncedTable, row: Mapping[str, Any], given: Mapping[str, str]) -> str:
        identity = table.identity
        if identity.kind == "composite":
            parts = [self._value(column, row[column.name]) for column in identity.columns]
            return json.dumps(parts, ensure_ascii=False, separators=(",", ":"), default=str)
        if identity.kind != "assigned":
            value = row[identity.columns[0].name]
            if value is not None and str(value) not in identity.missing:
                return str(value)
        place = [row[column.name] for column in table.locator]
        return given.get(
            json.dumps(place, ensure_ascii=False, separators=(",", ":"), default=str), f"nameless {place}"
        )

    def _value(self, column: SyncedColumn, value: Any) -> Any:
        reference = column.reference
        if reference is None or reference.by_key or value is None:
            return value
        names = self._names(reference.table.lower(), reference.target_column)
        return names.get(value)

    def _names(self, wire: str, column: str) -> dict[Any, str]:
        return {row[column]: key for row, key in zip(self._read(wire), self.keys(wire), strict=True)}

    def _read(self, wire: str) -> list[dict[str, Any]]:
        """Return the raw rows of a table, those flagged as deleted left out."""
        if self._spell(self.tables[wire]) not in self._filled:
            return []
        if wire not in self._raw:
            table = self.tables[wire]
            flag = table.deleted_flag
            columns = {c.name: c for c in (*table.key_columns, *table.columns)}
            names = list(dict.fromkeys([*columns, *self._targets[wire], *([flag.column] if flag else [])]))
            quoted = ", ".join(self._quote(name, columns.get(name)) for name in names)
            found = self._fetch(f"SELECT {quoted} FROM {self._spell(table)}")
            self._raw[wire] = [
                {name: _plain(columns.get(name), value) for name, value in zip(names, row, strict=True)}
                for row in found
                if flag is None or row[names.index(flag.column)] != flag.deleted
            ]
        return self._raw[wire]

    def _spell(self, table: SyncedTable) -> str:
        return f"{self._mark}{table.name}{self._mark}"

    def _quote(self, name: str, column: SyncedColumn | None) -> str:
        quoted = f"{self._mark}{name}{self._mark}"
        # PostgreSQL's driver would parse JSON: a text in it could not be told from the text of it.
        return f"{quoted}::text" if self._mark == '"' and column and column.kind == "json" else quoted


def _find_targets(tables: list[SyncedTable]) -> dict[str, list[str]]:
    """Return the columns of each table that references name."""
    found: dict[str, list[str]] = defaultdict(list)
    for table in tables:
        for column in (*table.key_columns, *table.columns):
            if column.reference is not None:
                found[column.reference.table.lower()].append(column.reference.target_column)
    return found


def _compare_tables(left: SiteReader, right: SiteReader, wire: str) -> Iterator[Difference]:
    ours, theirs = left.rows(wire), right.rows(wire)
    kinds = [{c.wire: c.kind for c in site.tables[wire].columns} for site in (left, right)]
    shared = kinds[0].keys() & kinds[1].keys()
    for key in sorted(ours.keys() | theirs.keys()):
        if key not in ours or key not in theirs:
            yield Difference(wire, key, None, ours.get(key), theirs.get(key))
            continue
        for column in sorted(shared):
            here, there = ours[key][column], theirs[key][column]
            if not equal({kind[column] for kind in kinds}, here, there):
                yield Difference(wire, key, column, here, there)
    for site in (left, right):
        for key, count in Counter(site.keys(wire)).items():
            if count > 1:
                yield Difference(wire, key, None, f"{count} times", None)


def equal(kinds: set[str], left: Any, right: Any) -> bool:
    """Return whether two values are the same, each as a column of one of the kinds keeps it."""
    if left is None or right is None:
        return left is right
    if "json" in kinds:
        return bool(json.loads(left) == json.loads(right))
    if "float32" in kinds:
        return math.isclose(left, right, rel_tol=FLOAT32 * 5)
    return bool(left == right)


def _plain(column: SyncedColumn | None, value: Any) -> Any:
    """Return a driver's value in one form for both engines."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        return value.normalize()
    if isinstance(value, timedelta):
        return (datetime.min + value).time()
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and column is not None and column.type.startswith("character("):
        return value.rstrip(" ")
    return value
