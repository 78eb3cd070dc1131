"""The store in memory: the verified fake that thousands of simulated sites run on.

SQLite, from Python's own library, with the log and the shelf of the real stores: what they keep and ask is
the same SQL. What is its own are the application's rows, the capture triggers and the errors; one contract
suite holds it to what PostgreSQL and MariaDB do (tests/database/test_store_contract.py).

There is one connection, the application's too: what is to run beside a transaction of ours says so
(``application``), and rows that the application is to hold stand in ``busy``. The clock is an argument.
``before`` is called with each statement: what it raises is a crash at that place. The whole database is a
value: ``dump``, ``restore``.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from typing import Any

from changecapture.catalogue.memory import read_catalogue
from changecapture.config import DatabaseURL
from changecapture.core.catalogue import Catalogue, Engine
from changecapture.core.change import Row
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.values import dump
from changecapture.dialect import memory as dialect
from changecapture.errors import DataError, DriftError
from changecapture.store.columns import Column
from changecapture.store.sqlstore import SqlStore

PLACE = DatabaseURL("memory", "", 0, "", "", "memory")
UNIQUE = ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID")
STATEMENTS = 2000
"""Compiled statements that a connection keeps."""


def ignore_statement(sql: str) -> None:
    """Let every statement pass."""


class MemoryStore(SqlStore):
    """See interface.py. An empty database; ``restore`` gives it one that was made before."""

    engine: Engine = "memory"
    prefix = dialect.PREFIX
    key_column = "key"
    dialect = dialect
    numbers_transactions = True
    write_lock = leave_lock = share_lock = ""
    transaction_id = dialect.TRANSACTION
    connection: sqlite3.Connection

    def __init__(self, clock: Callable[[], int]) -> None:
        """``clock`` tells microseconds since 1970 UTC."""
        self._clock = clock
        self._capturing = True
        self._transactions = count(1)
        self._transaction_now = next(self._transactions)
        self.busy: set[Row] = set()
        self.before: Callable[[str], None] = ignore_statement
        super().__init__(PLACE)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
        )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.create_function("changecapture_capturing", 0, lambda: self._capturing)
        connection.create_function("changecapture_transaction", 0, lambda: self._transaction_now)
        connection.create_function("changecapture_now", 0, self._clock)
        return connection

    @contextmanager
    def application(self) -> Iterator[None]:
        """Let the application commit a transaction of its own, be it in the middle of one of ours."""
        ours = self._capturing, self._transaction_now
        self._capturing, self._transaction_now = True, next(self._transactions)
        try:
            yield
        finally:
            self._capturing, self._transaction_now = ours

    def dump(self) -> bytes:
        """Return the whole database."""
        return self.connection.serialize()

    def restore(self, data: bytes) -> None:
        """Become a database that was dumped."""
        self.connection.deserialize(data)

    def _map_error(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        if isinstance(error, sqlite3.IntegrityError):
            name = getattr(error, "sqlite_errorname", "")
            if name in UNIQUE:
                return DataError("a unique value is taken", reason="unique", why=str(error))
            if "FOREIGN KEY" in str(error):
                return DataError("a foreign key refuses", reason="foreign key", why=str(error))
            return DataError("a value does not fit", reason="value", why=str(error))
        if "no such" in str(error) or "has no column" in str(error):
            return DriftError("the database is not as installed", why=str(error))
        return error

    # Statements
    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> int:
        """Run a statement; return how many rows it touched."""
        if sql == "ROLLBACK" and not self.connection.in_transaction:
            return 0  # nothing has begun: the servers take that
        return self._run(sql, parameters).rowcount

    def query(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a query; return its rows."""
        return self._run(sql, parameters).fetchall()

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""
        for row in rows:
            self._run(sql, row)

    def _run(self, sql: str, parameters: Sequence[Any] | None = None) -> sqlite3.Cursor:
        self.before(sql)
        if not self.connection.in_transaction:
            self._transaction_now = next(self._transactions)
        try:
            if parameters is None:
                return self.connection.execute(sql)
            return self.connection.execute(_template(sql), parameters)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    # Transactions
    def _take_lock(self) -> bool:
        return True

    def _give_lock(self) -> None:
        """Nobody else is here."""

    def _begin_snapshot(self) -> None:
        self.execute("BEGIN")

    def _begin_applying(self) -> None:
        self.execute("BEGIN")
        self._capturing = False

    def _end_applying(self) -> None:
        self._capturing = True

    # The tables of ours
    def _among(self, expression: str, wanted: Collection[Any], type_: str) -> tuple[str, list[Any]]:
        return f"{expression} IN ({', '.join(['%s'] * len(wanted))})", list(wanted)

    def _spell(self, rows: Iterable[Sequence[Any]]) -> list[Any]:
        return list(rows)

    def _load_lines(self, table: str, columns: Sequence[str], lines: Sequence[Any]) -> None:
        places = ", ".join(["%s"] * len(columns))
        self.execute_many(f"INSERT INTO {self.prefix}{table} ({', '.join(columns)}) VALUES ({places})", lines)

    def _upsert(
        self, table: str, keys: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        places = ", ".join(["%s"] * (len(keys) + len(columns)))
        fresh = ", ".join(f"{name} = excluded.{name}" for name in columns)
        self.execute_many(
            f"INSERT INTO {self.prefix}{table} ({', '.join([*keys, *columns])}) VALUES ({places}) "
            f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {fresh}",
            rows,
        )

    def read_catalogue(self) -> Catalogue:
        """Return what the database says about the application's tables."""
        return read_catalogue(self.query, self.prefix)

    def read_clock(self) -> int:
        """Return the clock that was given."""
        return self._clock()

    # The application's rows
    def hold_rows(
        self, table: SyncedTable, places: Mapping[str, Sequence[Any]], *, leaving: bool = False
    ) -> dict[str, str]:
        """Lock rows for writing, busy ones left out; return {key: local key}."""
        return super().hold_rows(table, self._free(table, places), leaving=leaving)

    def refer_rows(
        self, table: SyncedTable, column: str, places: Mapping[str, Sequence[Any]], *, lock: bool = True
    ) -> dict[str, Any]:
        """Lock rows against deletion; return {key: value of the column}, busy ones left out."""
        free = self._free(table, places) if lock else places
        return super().refer_rows(table, column, free, lock=lock)

    def _free(self, table: SyncedTable, places: Mapping[str, Sequence[Any]]) -> Mapping[str, Sequence[Any]]:
        if not self.busy:
            return places
        return {key: place for key, place in places.items() if Row(table.wire, key) not in self.busy}

    def _matching(
        self, table: SyncedTable, columns: Sequence[SyncedColumn], wanted: Sequence[Sequence[Any]]
    ) -> tuple[str, list[Any]]:
        names = ", ".join(f"t.{self._quote(column.name)}" for column in columns)
        if len(columns) == 1:
            return self._among(names, [row[0] for row in wanted], "")
        group = f"({', '.join(['%s'] * len(columns))})"
        values = ", ".join([group] * len(wanted))
        return f"({names}) IN (VALUES {values})", [value for row in wanted for value in row]

    def _delete_sql(self, table: SyncedTable, condition: str) -> str:
        return f"DELETE FROM {self._quote(table.name)} AS t WHERE {condition}"

    def _image(self, table: SyncedTable) -> str:
        return dialect.row_object(dialect.history_columns(table), "t")

    def _microseconds(self, expression: str) -> str:
        return f"1000000 * strftime('%s', {expression})"

    def insert_rows(self, table: SyncedTable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; columns that a row leaves out get their default, the flag says live."""
        for row in rows:
            self._insert_row(table, row)

    def insert_columns(
        self,
        table: SyncedTable,
        names: Sequence[str],
        columns: Sequence[Column],
        lines: Sequence[Any] | None = None,
    ) -> None:
        """Insert rows that are given column by column, at least one of each; ``lines``: see spell_rows."""
        self.insert_rows(table, [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)])

    def insert_given(self, table: SyncedTable, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Insert rows of a table whose keys are ours, and keep which row has which key."""
        for key, row in rows.items():
            number = self._insert_row(table, row)
            self.give_key(table, dump([row.get(column.name, number) for column in table.locator]), key)

    def _insert_row(self, table: SyncedTable, row: Mapping[str, Any]) -> int | None:
        values = {**row, **dict(table.fill)}
        if table.deleted_flag is not None:
            values[table.deleted_flag.column] = table.deleted_flag.live
        names, places = ", ".join(map(self._quote, values)), ", ".join(["%s"] * len(values))
        given = f"({names}) VALUES ({places})" if values else "DEFAULT VALUES"
        return self._run(f"INSERT INTO {self._quote(table.name)} {given}", list(values.values())).lastrowid

    def update_columns(
        self, table: SyncedTable, local_keys: Sequence[str], names: Sequence[str], columns: Sequence[Column]
    ) -> None:
        """Update rows, given by local key and column by column, at least one of each."""
        sets = ", ".join(f"{self._quote(name)} = %s" for name in names)
        match = " AND ".join(f"{self._quote(column.name)} = %s" for column in table.locator)
        locators = zip(*self._locators(table, local_keys), strict=True)
        self.execute_many(
            f"UPDATE {self._quote(table.name)} SET {sets} WHERE {match}",
            list(zip(*columns, *locators, strict=True)),
        )


@lru_cache(maxsize=10_000)
def _template(sql: str) -> str:
    return sql.replace("%s", "?")


__all__ = ["MemoryStore"]
