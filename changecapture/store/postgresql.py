"""The store on PostgreSQL 13 and later. Twin: mysql.py."""

import re
from base64 import b64decode
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from json import dumps
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.waiting import Wait

from changecapture.catalogue import read_catalogue
from changecapture.config import DatabaseURL, refuse_options
from changecapture.core.catalogue import Catalogue, Engine
from changecapture.core.spare import Spare
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.dialect import postgresql as dialect
from changecapture.errors import DataError, RetryLater
from changecapture.store.columns import ROWS, Column, Spelled, is_constant, write_lines, write_objects
from changecapture.store.log import VERSION_COLUMNS
from changecapture.store.postgresql_errors import map_error
from changecapture.store.session import LOCK_SECONDS, is_ready
from changecapture.store.sqlstore import SqlStore

WRITERS_LOCK = 0x5A4A_4E43_4841_4E47
"""The advisory lock of publish and apply; advisory locks belong to one database."""
RELAY_LOCK = WRITERS_LOCK + 1
"""Shared by a relay's connections: that it is there."""
ROW_WAIT_MS = 200
"""At most a fifth of deadlock_timeout: it is never the application that a deadlock kills."""
DIRECT_TYPES = ("character", "numeric", "timestamp", "time", "interval", "bit")
CONNECT_SECONDS = 10
LIMITS = (
    "('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout', "
    "'idle_session_timeout')"
)
"""Of time; not every version has each."""


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that uses its time."""

    spare: Spare | None = None

    def wait(self, gen: PQGen[RV], *rest: Any, **named: Any) -> RV:
        """Wait as every connection does, once there is nothing else to do."""
        return super().wait(gen if self.spare is None else self._use(gen, self.spare), *rest, **named)

    def _use(self, gen: PQGen[RV], spare: Spare) -> PQGen[RV]:
        """Go through what the driver waits for: each time the server is given time first."""
        try:
            awaited = next(gen)
            while True:
                reads, writes = bool(awaited & Wait.R), bool(awaited & Wait.W)
                while spare and not is_ready(self.pgconn.socket, reads=reads, writes=writes):
                    spare.step()
                awaited = gen.send((yield awaited))
        except StopIteration as end:
            outcome: RV = end.value
            return outcome


VERSION_TYPES = ("varchar", "varchar", "bigint", "varchar", "smallint", "bigint")
"""Of VERSION_COLUMNS."""


class PostgresStore(SqlStore):
    """See interface.py."""

    engine: Engine = "postgresql"
    prefix = dialect.PREFIX
    key_column = "key"
    dialect = dialect
    numbers_transactions = True
    write_lock = "FOR NO KEY UPDATE OF t SKIP LOCKED"
    leave_lock = "FOR UPDATE OF t SKIP LOCKED"
    share_lock = "FOR KEY SHARE OF t SKIP LOCKED"
    transaction_id = "txid_current()"
    connection: psycopg.Connection[tuple[Any, ...]]

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        url: DatabaseURL = self.url
        options = {"connect_timeout": str(CONNECT_SECONDS), "application_name": "changecapture"}
        options.update(url.options)
        options["client_encoding"] = "UTF8"  # whatever a role, a database or PGCLIENTENCODING says
        try:
            connection = _Connection.connect(
                host=url.host,
                port=url.port,
                user=url.user or None,
                password=url.password or None,
                dbname=url.database,
                autocommit=True,
                **options,  # type: ignore[arg-type]
            )
        except (TypeError, psycopg.ProgrammingError) as error:
            raise refuse_options(url, error) from error
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET client_min_messages = warning")
        connection.execute("SET extra_float_digits = 1")
        # Limits that the database sets are meant for the application.
        connection.execute(f"SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN {LIMITS}")
        # A policy that hides rows from us must be an error: a row that cannot be seen would count as gone.
        connection.execute("SET row_security = off")
        # Everything here is found by an index. Tables that grow from nothing have no statistics yet:
        # left alone the planner sorts the whole changelog for each batch, and prepared plans stay bad.
        connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off")
        # What is switched off counts as cost until version 17: each statement would be compiled for 0.3 s.
        connection.execute("SET jit = off")
        connection.prepare_threshold = None
        connection.spare = self.spare
        return connection

    def _map_error(self, error: Exception) -> Exception:
        return map_error(error, self.url)

    def _ends_transaction(self, error: Exception) -> bool:
        return self.connection.closed

    def _take_lock(self) -> bool:
        self.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        try:
            self.query("SELECT pg_advisory_lock(%s)", (WRITERS_LOCK,))
        except RetryLater:
            if self.connection.closed:
                raise
            return False
        self.execute("SET lock_timeout = 0")
        return True

    def _give_lock(self) -> None:
        self.query("SELECT pg_advisory_unlock(%s)", (WRITERS_LOCK,))

    def show_relay(self) -> None:
        """See SqlStore."""
        self.query("SELECT pg_advisory_lock_shared(%s)", (RELAY_LOCK,))

    def sees_relay(self) -> bool:
        """See SqlStore."""
        if not self.query("SELECT pg_try_advisory_lock(%s)", (RELAY_LOCK,))[0][0]:
            return True
        self.query("SELECT pg_advisory_unlock(%s)", (RELAY_LOCK,))
        return False

    def _begin_snapshot(self) -> None:
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")

    def _begin_applying(self) -> None:
        self.execute(
            f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {ROW_WAIT_MS}; "
            "SET LOCAL changecapture.applying = 'on'"
        )

    def _end_applying(self) -> None:
        """Both settings were local to the transaction."""

    def _among(self, expression: str, wanted: Collection[Any], type_: str) -> tuple[str, list[Any]]:
        return f"{expression} = ANY(%s::{type_}[])", [_array(wanted)]

    def _spell(self, rows: Iterable[Sequence[Any]]) -> list[Any]:
        return _write_all(list(zip(*rows, strict=True)))

    def _load_lines(self, table: str, columns: Sequence[str], lines: Sequence[Any]) -> None:
        self._copy(f"{self.prefix}{table} ({', '.join(columns)})", lines)

    def _copy(self, target: str, lines: Sequence[str]) -> None:
        """Raises DataError (value) when the database takes fewer rows than there are."""
        if not lines:
            return
        with self.cursor() as cursor:
            with cursor.copy(f"COPY {target} FROM STDIN".encode()) as copy:
                for start in range(0, len(lines), ROWS):
                    copy.write("".join(lines[start : start + ROWS]).encode())
            _check_taken(cursor.rowcount, len(lines))

    def _upsert(
        self, table: str, keys: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        if not rows:
            return
        names = [*keys, *columns]
        fresh = ", ".join(f"{name} = excluded.{name}" for name in columns)
        self.execute(
            f"INSERT INTO {self.prefix}{table} ({', '.join(names)}) "
            f"SELECT {', '.join(names)} "
            f"FROM json_populate_recordset(NULL::{self.prefix}{table}, %s::json) "
            f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {fresh}",
            (dumps([dict(zip(names, row, strict=True)) for row in rows]),),
        )

    def _raise_versions(self, rows: Sequence[Sequence[Any]]) -> None:
        # An upsert would look at each for a conflict first, and parse the names of its columns again.
        # SELECT hides from the planner how many they are: it would read all versions there are into a hash.
        if rows:
            arrays = ", ".join(f"(SELECT %s::{type_}[])" for type_ in VERSION_TYPES)
            self.execute(
                f"UPDATE {self.prefix}row_version AS v "
                "SET stamp = r.stamp, origin = r.origin, alive = r.alive, seen = r.seen "
                f"FROM unnest({arrays}) AS r({', '.join(VERSION_COLUMNS)}) "
                "WHERE v.table_name = r.table_name AND v.row_key = r.row_key",
                list(map(_array, zip(*rows, strict=True))),
            )

    def read_catalogue(self) -> Catalogue:
        """Return what the database says about the application's tables."""
        return read_catalogue(self.connection, self.engine)

    def read_clock(self) -> int:
        """Return the server's clock, microseconds since 1970 UTC."""
        return int(self.query(f"SELECT {dialect.NOW}")[0][0])

    def _matching(
        self, table: SyncedTable, columns: Sequence[SyncedColumn], wanted: Sequence[Sequence[Any]]
    ) -> tuple[str, list[Any]]:
        if len(columns) == 1:
            name, type_ = self._quote(columns[0].name), columns[0].type
            return f"t.{name} = ANY(%s::{type_}[])", [_array(row[0] for row in wanted)]
        names = ", ".join(f"t.{self._quote(column.name)}" for column in columns)
        declared = ", ".join(f'"{n}" {column.type}' for n, column in enumerate(columns))
        rows = [{str(n): value for n, value in enumerate(row)} for row in wanted]
        return (
            f"({names}) IN (SELECT * FROM json_to_recordset(%s::json) AS r({declared}))",
            [dumps(rows, ensure_ascii=False)],
        )

    def _delete_sql(self, table: SyncedTable, condition: str) -> str:
        return f"DELETE FROM {self._quote(table.name)} AS t WHERE {condition}"

    def _image(self, table: SyncedTable) -> str:
        return "row_to_json(t.*)::text"

    def _microseconds(self, expression: str) -> str:
        return (
            f"CASE WHEN isfinite({expression}) THEN (extract(epoch FROM {expression}) * 1000000)::bigint END"
        )

    def insert_rows(self, table: SyncedTable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; columns that a row leaves out get their default, the flag says live."""
        shapes: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            shapes[tuple(row)].append(row)
        for names, group in shapes.items():
            self.insert_columns(table, names, list(zip(*(row.values() for row in group), strict=True)))

    def spell_rows(self, table: SyncedTable, columns: Sequence[Column]) -> list[str]:
        """Return how rows will be inserted; without the database."""
        return _write_all([*columns, *([value] * len(columns[0]) for value in _constants(table).values())])

    def insert_columns(
        self,
        table: SyncedTable,
        names: Sequence[str],
        columns: Sequence[Column],
        lines: Sequence[Any] | None = None,
    ) -> None:
        """Insert rows that are given column by column, at least one of each; ``lines``: see spell_rows."""
        targets = ", ".join(self._quote(name) for name in (*names, *_constants(table)))
        self._copy(f"{self._quote(table.name)} ({targets})", lines or self.spell_rows(table, columns))

    def _insert_sql(self, table: SyncedTable, names: Sequence[str]) -> str:
        known = _columns(table)
        constants = _constants(table)
        columns = [known[name] for name in names]
        targets = ", ".join(self._quote(n) for n in (*names, *constants))
        values_ = [_read(column) for column in columns]
        values_ += [dialect.literal(value) for value in constants.values()]
        return (
            f"INSERT INTO {self._quote(table.name)} AS t {f'({targets})' if targets else ''} "
            f"SELECT {', '.join(values_)} FROM json_to_recordset(%s::json) "
            f"AS r({_declare(columns) or 'nothing json'})"
        )

    def insert_given(self, table: SyncedTable, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Insert rows of a table whose keys are ours, and keep which row has which key."""
        locator = self.dialect.key_array(table.locator, "t")
        for key, row in rows.items():
            statement = f"{self._insert_sql(table, tuple(row))} RETURNING {locator}"
            places = self.query(statement, (dumps([row], ensure_ascii=False),))
            _check_taken(len(places), 1)
            self.give_key(table, places[0][0], key)

    def update_columns(
        self, table: SyncedTable, local_keys: Sequence[str], names: Sequence[str], columns: Sequence[Column]
    ) -> None:
        """Update rows, given by local key and column by column, at least one of each."""
        known = _columns(table)
        kinds = [known[name] for name in names]
        places = [f"@{n}" for n in range(len(table.locator))]
        declared = ", ".join(
            f'"{place}" {column.type}' for place, column in zip(places, table.locator, strict=True)
        )
        match = " AND ".join(
            f't.{self._quote(column.name)} = r."{place}"'
            for place, column in zip(places, table.locator, strict=True)
        )
        sets = [f"{self._quote(column.name)} = {_read(column)}" for column in kinds]
        locators = zip(*self._locators(table, local_keys), strict=True)
        taken = self.execute(
            f"UPDATE {self._quote(table.name)} AS t SET {', '.join(sets)} "
            f"FROM json_to_recordset(%s::json) AS r({_declare(kinds)}, {declared}) WHERE {match}",
            (f"[{','.join(write_objects([*names, *places], [*columns, *locators]))}]",),
        )
        _check_taken(taken, len(set(local_keys)))


def _write_all(columns: Sequence[Column]) -> list[str]:
    """Return rows that are given column by column as lines of COPY."""
    parts = write_lines(columns, _spell, between="\t", around=("", "\n"))
    return [line for lines in parts for line in lines]


def _check_taken(taken: int, given: int) -> None:
    """Raise DataError when a statement wrote fewer rows than it was given, without an error."""
    if taken < given:
        why = "a trigger of the application leaves rows out without a word"
        raise DataError("the database did not take what was written", reason="value", why=why)


def _array(values: Iterable[Any]) -> str:
    """Return an array literal: the driver's own adaptation of long lists takes five times as long."""
    items = list(values)
    types = set(map(type, items))
    if types == {int}:
        return f"{{{','.join(map(str, items))}}}"
    if types == {str} and _QUOTED.search("".join(items)) is None:
        text = '","'.join(items)
        return f'{{"{text}"}}'
    return f"{{{','.join(map(_array_item, items))}}}"


def _array_item(value: Any) -> str:
    if type(value) is int:
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _spell(column: Column) -> Spelled:
    """Return how canonical values stand in a line of COPY, each to be read by its column's input function."""
    if is_constant(column):
        text = "\\N" if column[0] is None else _copied(column[0]).translate(_COPY_ESCAPES)
        return text.replace("%", "%%"), None
    types = set(map(type, column))
    if types == {int}:
        return "%s", column
    if types == {str}:
        return "%s", column if _is_clean("".join(column)) else [_escape(text) for text in column]
    return "%s", ["\\N" if value is None else _escape(_copied(value)) for value in column]


def _is_clean(text: str) -> bool:
    return not ("\\" in text or "\t" in text or "\n" in text or "\r" in text)


def _escape(text: str) -> str:
    return text if _is_clean(text) else text.translate(_COPY_ESCAPES)


def _copied(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) is dict:
        (coated,) = value.values()
        return f"\\x{b64decode(coated).hex()}"
    return str(value)


_QUOTED = re.compile(r'[\\"]')
_LENGTH = re.compile(r"\(\d+(,\d+)?\)")
_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _constants(table: SyncedTable) -> dict[str, Any]:
    """Return what every inserted row of a table gets beside what travels."""
    constants: dict[str, Any] = dict(table.fill)
    if table.deleted_flag is not None:
        constants[table.deleted_flag.column] = table.deleted_flag.live
    return constants


def _columns(table: SyncedTable) -> dict[str, SyncedColumn]:
    return {column.name: column for column in dialect.captured_columns(table)} | {
        column.name: column for column in table.key_columns
    }


def _declare(columns: Iterable[SyncedColumn]) -> str:
    return ", ".join(f"{dialect.quote(c.name)} {_record_type(c)}" for c in columns)


def _record_type(column: SyncedColumn) -> str:
    """Return the type by which a value is read from JSON: by its input function, which never cuts."""
    if column.kind == "bytes":
        return "json"
    if column.type in dialect.PLAIN_TYPES:
        return column.type
    # A JSON text is no array to the function that reads records.
    return column.type if column.type.startswith(DIRECT_TYPES) and column.type[-1] != "]" else "text"


def _read(column: SyncedColumn) -> str:
    expression = f"r.{dialect.quote(column.name)}"
    if column.kind == "bytes":
        return f"decode({expression}->>'base64', 'base64')"
    if _record_type(column) == "text" and column.type != "text":
        # Without the length in it: a cast cuts without a word, an assignment does not.
        return f"{expression}::{_LENGTH.sub('', column.type)}"
    return expression


__all__ = ["PostgresStore"]
