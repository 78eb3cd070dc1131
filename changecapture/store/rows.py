"""The application's rows, as a store reads and writes them. See interface.py for the words used."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from types import ModuleType
from typing import Any

from changecapture.core.change import BACKFILL, Row, Version
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.values import dump
from changecapture.core.zones import local_to_utc
from changecapture.errors import DataError
from changecapture.store.bulk import CHUNK
from changecapture.store.records import LateRow
from changecapture.store.upkeep import UpkeepStore

DAY = 86_400_000_000
"""Microseconds: no clock on a wall is as far ahead of UTC."""


class RowStore(UpkeepStore):
    """The part of a store that reads and writes the application's tables."""

    dialect: ModuleType
    """changecapture.dialect.postgresql or .mysql"""
    write_lock: str
    """What a SELECT ends with that locks rows for writing and leaves busy ones out."""
    leave_lock: str
    """The same for rows that will be deleted."""
    share_lock: str
    """What a SELECT ends with that locks rows against deletion and leaves busy ones out."""
    lock_prefix = ""
    """What such a SELECT begins with."""

    def _matching(
        self, table: SyncedTable, columns: Sequence[SyncedColumn], wanted: Sequence[Sequence[Any]]
    ) -> tuple[str, list[Any]]:
        """Return a condition, and its parameters: the columns of ``t`` equal one of the values."""
        raise NotImplementedError

    def _adapt(self, column: SyncedColumn | None, value: Any) -> Any:
        """Return a canonical value as a parameter for a column of that kind."""
        return value

    def _read_text(self, text: str) -> str:
        """Return a row's JSON text in the form that travels."""
        return text

    # Reading
    def read_rows(self, table: SyncedTable, local_keys: Sequence[str]) -> dict[str, LateRow]:
        """Return the rows as they are now, by local key, gone ones left out."""
        asked, joins, take = self._ask_late(table)
        rows = self._select_local(table, local_keys, ", ".join(asked), joins)
        return {local_key: take(*late) for local_key, *late in rows}

    def read_rows_at(self, table: SyncedTable, places: Mapping[str, Sequence[Any]]) -> dict[str, LateRow]:
        """Return the rows at these places as they are now: {key: row}."""
        asked, joins, take = self._ask_late(table)
        found: dict[str, LateRow] = {}
        for key, *late in self._select_places(table, places, asked, "", joins):
            found[key] = take(*late)
        return found

    def _ask_late(self, table: SyncedTable) -> tuple[list[str], str, Callable[..., LateRow]]:
        """Return what to select of rows ``t``, what to join, and what makes a late row of each answer.

        A reference to a row that has a key in one column of its own is named by the database at once.
        """
        named: dict[str, tuple[SyncedColumn, str]] = {}
        joins: list[str] = []
        for column in table.local_references:
            key = self._own_key(column)
            if key is not None and column.reference is not None:
                alias = f"k{len(joins)}"
                named[column.name] = key, alias
                missing = self.tables_by_name[column.reference.table].identity.missing
                joins.append(self.dialect.join_key(column.reference, key, missing, column, alias))
        special = [c for c in table.columns if not self._is_plain(c) and c.name not in named]
        plain = [c for c in table.columns if self._is_plain(c) or c.name in named]
        flag = table.deleted_flag
        asked = [
            self.dialect.row_object(plain, "t", named),
            "NULL" if flag is None else f"t.{self._quote(flag.column)}",
            self._nameless(table, named),
            *(self._local_value(column) for column in special),
        ]
        wires = [column.wire for column in special]
        texts = [column.wire for column in special if not _is_local(column)]

        def take(text: str, marked: str | None, nameless: str | None, *rest: Any) -> LateRow:
            text = self._read_text(text)
            values = dict(zip(wires, rest, strict=True))
            for wire in texts:
                values[wire] = json.loads(values[wire])
            if nameless is not None:
                late = json.loads(text)
                values.update((wire, v) for wire, v in json.loads(nameless).items() if late[wire] is None)
                text = dump({wire: value for wire, value in late.items() if wire not in values})
            return LateRow(text, marked, values)

        return asked, " ".join(joins), take

    def _own_key(self, column: SyncedColumn) -> SyncedColumn | None:
        """Return the column that has the key of the row that a column refers to, if it is in one."""
        assert column.reference is not None
        target = self.tables_by_name.get(column.reference.table)
        if target is None or target.identity.kind not in ("uuid", "natural"):
            return None
        key = target.identity.columns[0]
        return key if key.kind == "text" else None

    def _is_plain(self, column: SyncedColumn) -> bool:
        """Return whether the database alone can make the canonical value of a column."""
        return not _is_local(column) and bool(self.dialect.is_native(column))

    def _nameless(self, table: SyncedTable, named: Mapping[str, tuple[SyncedColumn, str]]) -> str:
        """Return an expression: NULL, or the JSON object of the references when one has no key."""
        if not named:
            return "NULL"
        columns = [column for column in table.columns if column.name in named]
        unnamed = " OR ".join(
            f"(t.{self._quote(c.name)} IS NOT NULL AND "
            f"{named[c.name][1]}.{self._quote(named[c.name][0].name)} IS NULL)"
            for c in columns
        )
        return f"CASE WHEN {unnamed} THEN {self.dialect.row_object(columns, 't')} END"

    def _local_value(self, column: SyncedColumn) -> str:
        """Return an expression: a value that is translated here, a local one as the drivers give it, else
        its JSON text."""
        expression = f"t.{self._quote(column.name)}"
        encode = self.dialect.plain_text if _is_local(column) else self.dialect.encode_json
        text: str = encode(column, expression)
        return text

    def read_local_keys(self, table: SyncedTable, column: str, wanted: Collection[Any]) -> dict[Any, str]:
        """Return {value of the column: local key} of the rows that have one of the values."""
        own = _column(table, column)
        found: dict[Any, str] = {}
        for part in _parts(list(wanted)):
            condition, parameters = self._matching(table, [own], [[value] for value in part])
            rows = self.query(
                f"SELECT t.{self._quote(column)}, {self._key(table)} "
                f"FROM {self._quote(table.name)} AS t WHERE {condition}",
                parameters,
            )
            found.update(dict(rows))
        return found

    def read_local_keys_after(self, table: SyncedTable, after: str | None, limit: int) -> list[str]:
        """Return the local keys of the next rows, in the order of the locator, after a local key."""
        names = ", ".join(f"t.{self._quote(column.name)}" for column in table.locator)
        condition, parameters = "", []
        if after is not None:
            places = ", ".join(["%s"] * len(table.locator))
            condition = f"WHERE ({names}) > ({places})"
            parameters = [
                self._adapt(column, value)
                for column, value in zip(table.locator, json.loads(after), strict=False)
            ]
        rows = self.query(
            f"SELECT {self._key(table)} FROM {self._quote(table.name)} AS t {condition} "
            f"ORDER BY {names} LIMIT {limit}",
            parameters,
        )
        return [text for (text,) in rows]

    def read_referring(
        self, table: SyncedTable, column: SyncedColumn, target: SyncedTable, local_key: str
    ) -> list[str]:
        """Return the local keys of the rows whose column refers to the target's row."""
        assert column.reference is not None
        condition, parameters = self._matching(
            target, target.locator, [json.loads(local_key)[: len(target.locator)]]
        )
        rows = self.query(
            f"SELECT {self._key(table, 'c')} FROM {self._quote(table.name)} AS c "
            f"JOIN {self._quote(target.name)} AS t "
            f"ON c.{self._quote(column.name)} = t.{self._quote(column.reference.target_column)} "
            f"WHERE {condition}",
            parameters,
        )
        return [text for (text,) in rows]

    def read_values(self, table: SyncedTable, column: str, local_keys: Sequence[str]) -> dict[str, Any]:
        """Return {local key: value of the column}."""
        return dict(self._select_local(table, local_keys, f"t.{self._quote(column)}"))

    def read_alike(
        self,
        table: SyncedTable,
        columns: Sequence[SyncedColumn],
        wanted: Mapping[str, Sequence[Any]],
        *,
        live: bool = True,
    ) -> dict[str, list[str]]:
        """Return the local keys of the rows whose columns have the values: {key: values} to {key: local
        keys}. NULL is like NULL. ``live``: without those that the application's flag says are deleted."""
        shapes: dict[tuple[bool, ...], dict[str, Sequence[Any]]] = defaultdict(dict)
        for key, values in wanted.items():
            shapes[tuple(value is None for value in values)][key] = values
        found: dict[str, list[str]] = defaultdict(list)
        flag = table.deleted_flag
        for shape, group in shapes.items():
            given = [column for column, absent in zip(columns, shape, strict=True) if not absent]
            if not given:
                continue
            conditions = [
                f"t.{self._quote(column.name)} IS NULL"
                for column, absent in zip(columns, shape, strict=True)
                if absent
            ]
            if flag is not None and live:
                name, value = f"t.{self._quote(flag.column)}", self.dialect.literal(flag.deleted)
                conditions.append(f"({name} IS NULL OR {name} <> {value})")
            for key, values in group.items():
                place = [value for value in values if value is not None]
                condition, parameters = self._matching(table, given, [place])
                rows = self._query_held(
                    f"SELECT {self._key(table)} FROM {self._quote(table.name)} AS t "
                    f"WHERE {' AND '.join([condition, *conditions])}",
                    parameters,
                )
                found[key].extend(text for (text,) in rows or ())
        return found

    def read_locators(self, table: SyncedTable, keys: Collection[str]) -> dict[str, list[Any]]:
        """Return {key: locator values} of rows that were given a key."""
        found = self._assigned(table, "row_key", keys, "locator")
        return {key: json.loads(locator) for key, locator in found.items()}

    # Locking
    def hold_rows(
        self, table: SyncedTable, places: Mapping[str, Sequence[Any]], *, leaving: bool = False
    ) -> dict[str, str]:
        """Lock rows for writing, busy ones left out; return {key: local key}."""
        lock = self.leave_lock if leaving else self.write_lock
        return dict(self._select_places(table, places, [self._key(table)], lock))

    def find_local_keys(self, table: SyncedTable, places: Mapping[str, Sequence[Any]]) -> dict[str, str]:
        """Return {key: local key} of the rows that are there, locked or not."""
        return dict(self._select_places(table, places, [self._key(table)], ""))

    def find_rows(self, table: SyncedTable, places: Mapping[str, Sequence[Any]]) -> set[str]:
        """Return the keys of the rows that are there, locked or not."""
        return {key for key, _ in self._select_places(table, places, ["1"], "")}

    def refer_rows(
        self, table: SyncedTable, column: str, places: Mapping[str, Sequence[Any]], *, lock: bool = True
    ) -> dict[str, Any]:
        """Lock rows against deletion, unless told not to; return {key: value of the column}, busy ones left
        out."""
        value = f"t.{self._quote(column)}"
        return dict(self._select_places(table, places, [value], self.share_lock if lock else ""))

    # Writing
    def delete_rows(self, table: SyncedTable, local_keys: Sequence[str | None]) -> None:
        """Delete rows by local key; raise DataError when one of them stays, without an error."""
        for part in _parts([key for key in local_keys if key is not None]):
            condition, parameters = self._matching(table, table.locator, self._locators(table, part))
            taken = self.execute(self._delete_sql(table, condition), parameters)
            left = f"SELECT 1 FROM {self._quote(table.name)} AS t WHERE {condition} LIMIT 1"
            if taken < len(part) and self.query(left, parameters):
                why = "a trigger or a rule of the application keeps rows from being deleted"
                raise DataError("the database did not delete what it was told to", reason="value", why=why)

    def _delete_sql(self, table: SyncedTable, condition: str) -> str:
        raise NotImplementedError

    def _image(self, table: SyncedTable) -> str:
        """Return an expression that is the full row, as a delete trigger keeps it."""
        raise NotImplementedError

    def keep_image(self, table: SyncedTable, row: Row, local_key: str | None, version: Version) -> None:
        """Keep the image of a row that is about to be deleted."""
        if local_key is None:
            return
        for _, image in self._select_local(table, [local_key], self._image(table)):
            self.write_images({row: image}, (), version.origin)

    def capture_rows(self, table: SyncedTable, local_keys: Sequence[str]) -> None:
        """Capture rows as they are, as backfill.

        They are as old as the profile's modified column says, but no younger than now, else as old as can
        be. Read first, then written: MySQL's INSERT .. SELECT waits for each row that the application holds.
        """
        table_id = next(id_ for id_, other in self.tables.items() if other.name == table.name)
        age = "0"
        if table.modified is not None:
            age = f"coalesce({self._microseconds(f't.{self._quote(table.modified)}')}, 0)"
        rows = self._select_local(table, local_keys, f"{self.transaction_id}, {age}")
        columns = ("table_id", "operation", self.key_column, "transaction_id", "captured_at")
        now = self.read_clock()
        self._load(
            "captured",
            columns,
            (
                (table_id, BACKFILL, key, transaction, _when_made(table, shown, now))
                for key, transaction, shown in rows
            ),
        )

    transaction_id: str
    """An expression: the transaction that is open."""

    def _microseconds(self, expression: str) -> str:
        """Return an expression: a UTC datetime as microseconds since 1970."""
        raise NotImplementedError

    def move_references(self, table: str, column: str, old: Any, new: Any) -> None:
        """Make the rows of any table of the database that refer to one row refer to another."""
        name = self._quote(column)
        self.execute(f"UPDATE {self._quote(table)} SET {name} = %s WHERE {name} = %s", (new, old))

    # Helpers
    def _quote(self, name: str) -> str:
        text: str = self.dialect.quote(name)
        return text

    def _key(self, table: SyncedTable, alias: str = "t") -> str:
        text: str = self.dialect.key_array(table.key_columns, alias)
        return text

    def _locators(self, table: SyncedTable, local_keys: Iterable[str]) -> list[list[Any]]:
        width = len(table.locator)
        return [items[:width] for items in json.loads(f"[{','.join(local_keys)}]")]

    def _select_local(
        self, table: SyncedTable, local_keys: Sequence[str], expressions: str, joins: str = ""
    ) -> Iterator[tuple[Any, ...]]:
        """Yield (local key, *values of the expressions) of the rows whose local key is one of these."""
        wanted = set(local_keys)
        for part in _parts(local_keys):
            condition, parameters = self._matching(table, table.locator, self._locators(table, part))
            rows = self.query(
                f"SELECT {self._key(table)}, {expressions} FROM {self._quote(table.name)} AS t "
                f"{joins} WHERE {condition}",
                parameters,
            )
            yield from (row for row in rows if row[0] in wanted)

    def _select_places(
        self,
        table: SyncedTable,
        places: Mapping[str, Sequence[Any]],
        asked: Sequence[str],
        lock: str,
        joins: str = "",
    ) -> Iterator[tuple[Any, ...]]:
        """Yield (key, *values of the expressions) of the rows at these places; keys compare as bytes."""
        if table.identity.kind == "assigned":
            yield from self._select_at(table, table.locator, places, asked, lock, joins)
            return
        found: set[str] = set()
        for row in self._select_at(table, table.identity.columns, places, asked, lock, joins):
            found.add(row[0])
            yield row
        if table.identity.kind == "uuid" and len(found) < len(places):
            yield from self._select_given(table, places.keys() - found, asked, lock, joins)

    def _select_given(
        self, table: SyncedTable, keys: Collection[str], asked: Sequence[str], lock: str, joins: str
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the same of the rows that have no uuid of their own, and so were given their key."""
        locators = self.read_locators(table, keys)
        if not locators:
            return
        own = self._quote(table.identity.columns[0].name)
        missing = ", ".join(map(self.dialect.literal, table.identity.missing)) or "NULL"
        nameless = f"CASE WHEN t.{own} IS NULL OR t.{own} IN ({missing}) THEN {asked[0]} END"
        found = dict(self._select_at(table, table.locator, locators, [nameless], ""))
        there = {key: locators[key] for key, value in found.items() if value is not None}
        yield from self._select_at(table, table.locator, there, asked, lock, joins)

    def _select_at(
        self,
        table: SyncedTable,
        columns: Sequence[SyncedColumn],
        places: Mapping[str, Sequence[Any]],
        asked: Sequence[str],
        lock: str,
        joins: str = "",
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the same of the rows whose columns have the values of a place."""
        single = len(columns) == 1
        names = {_place(place): key for key, place in places.items()}
        place_text = self.dialect.key_array(columns, "t")
        if single:
            place_text = self.dialect.plain_text(columns[0], f"t.{self._quote(columns[0].name)}")
        select = (
            f"{self.lock_prefix if lock else ''}SELECT {place_text}, {', '.join(asked)} "
            f"FROM {self._quote(table.name)} AS t {joins} WHERE"
        )
        for part in _parts(list(places.values())):
            for text, *values in self._select_matching(table, columns, part, select, lock):
                key = names.get(str(text) if single else dump(json.loads(text)))
                if key is not None:
                    yield key, *values

    def _select_matching(
        self,
        table: SyncedTable,
        columns: Sequence[SyncedColumn],
        wanted: Sequence[Sequence[Any]],
        select: str,
        lock: str,
    ) -> list[tuple[Any, ...]]:
        """Return the rows at these places; a place that no such column can hold has no row."""
        condition, parameters = self._matching(table, columns, wanted)
        found = self._query_held(f"{select} {condition} {lock}", parameters)
        if found is not None:
            return found
        if len(wanted) == 1:
            return []
        half = len(wanted) // 2
        parts = (wanted[:half], wanted[half:])
        return [row for part in parts for row in self._select_matching(table, columns, part, select, lock)]

    def _query_held(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]] | None:
        """Return the rows of a query; None where it compares a column with what no such column can hold."""
        try:
            with self.savepoint() if self.in_transaction() else nullcontext():
                return self.query(sql, parameters)
        except DataError:
            return None


def _place(values: Sequence[Any]) -> str:
    """Return a text that stands for a place, the same as the database's answer comes to."""
    return str(values[0]) if len(values) == 1 else dump(list(values))


def _when_made(table: SyncedTable, shown: int, now: int) -> int:
    """Return when a row was made, from what its modified column shows, in microseconds since 1970."""
    made = min(max(int(shown), 0), now + DAY)
    if made and table.modified_zone is not None:
        made = local_to_utc(table.modified_zone, made)
    return min(made, now)


def _is_local(column: SyncedColumn) -> bool:
    """Return whether a column refers to a row by a local value."""
    return column.reference is not None and not column.reference.by_key


def _column(table: SyncedTable, name: str) -> SyncedColumn:
    for column in (*table.key_columns, *table.columns):
        if column.name == name:
            return column
    return SyncedColumn(name, "integer", "integer", True)


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
