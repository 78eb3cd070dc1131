"""The store on MariaDB 10.6 and later, and MySQL. Twin: postgresql.py.

Run on MariaDB 10.11 and MySQL 9.7. Where the two differ the line says so.
"""

import re
import sys
from base64 import b64decode
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import compress
from math import prod
from socket import socket
from ssl import SSLContext
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from changecapture.catalogue import read_catalogue
from changecapture.config import DatabaseURL, refuse_options
from changecapture.core.catalogue import Catalogue, Engine
from changecapture.core.change import Captured, Entry, Row, Version
from changecapture.core.codec import KEY_LENGTH
from changecapture.core.spare import Spare
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.values import dump
from changecapture.dialect import mysql as dialect
from changecapture.errors import ConfigError, DataError, DriftError, RetryLater
from changecapture.store.columns import Column
from changecapture.store.literals import (
    Long,
    Many,
    Records,
    measure,
    spell_coated,
    spell_long,
    spell_many,
    spell_records,
    write_columns,
    write_records,
)
from changecapture.store.log import ENTRY_HEAD
from changecapture.store.mysql_errors import PACKET, TLS, TOO_LARGE, ends_transaction, map_error
from changecapture.store.session import LOCK_SECONDS, is_ready
from changecapture.store.sqlstore import SqlStore

CONNECT_SECONDS = 10
WAIT_SECONDS = 10
"""For what others hold, except while applying: ALTER TABLE meets InnoDB's own statistics thread."""
STATEMENT_CHARACTERS = 500_000
"""Of records that one statement carries: servers take 16 MB (max_allowed_packet), old ones 1 MB."""
ROOM = 1024
"""Bytes of a packet that are no statement, generously."""
SHORT_VALUE = 4_000
"""Characters. Rows with longer values are updated one by one."""
TINY_VALUE = 63
"""The same where a column is a tinytext or tinyblob."""
COAT = re.compile(r'(?<=:)\{"(?:base64|geometry)":"[^"]*"\}')
"""Bytes as they travel, the value of a column: a row whose only column is named so begins alike."""
TOO_LONG = 1301
"""The warning that an answer was cut."""
WHOLE = "SELECT `state` FROM changecapture"
"""Asked in every transaction: see ``_check_whole``."""


FILES = ("ssl_ca", "ssl_cert", "ssl_key")
WORDS = {"true": True, "false": False}


def read_options(url: DatabaseURL) -> dict[str, Any]:
    """Return what the URL has for the driver: who names an authority is told when the server has another."""
    options: dict[str, Any] = {
        name: int(text) if text.isdigit() else WORDS.get(text.lower(), text) for name, text in url.options
    }
    return {"ssl_verify_cert": True, **options} if "ssl_ca" in options else options


class _Connection(pymysql.connections.Connection):
    """A connection that uses its time."""

    def __init__(self, spare: Spare, **options: Any) -> None:
        self._spare = spare
        self._sock: socket
        self.largest = sys.maxsize
        super().__init__(**options)

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        while self._spare and not is_ready(self._sock.fileno(), reads=True):
            self._spare.step()
        return super()._read_query_result(unbuffered)  # type: ignore[misc]

    def _execute_command(self, command: int, sql: Any) -> None:
        # As it is sent, with all that was quoted: the server would close the connection, and not say why.
        if len(sql) + ROOM > self.largest:
            why = f"it takes {len(sql)} bytes, max_allowed_packet is {self.largest}"
            raise pymysql.OperationalError(TOO_LARGE, why)
        super()._execute_command(command, sql)  # type: ignore[misc]

    def _create_ssl_ctx(self, sslp: Any) -> SSLContext:
        return super()._create_ssl_ctx(sslp) if sslp else _share_tls()  # type: ignore[misc]


@cache
def _share_tls() -> SSLContext:
    """Return what connections use that ask nothing of TLS: the driver takes 30 ms to make it, each time."""
    context: SSLContext = pymysql.connections.Connection(defer_connect=True).ctx  # type: ignore[attr-defined]
    return context


class MySQLStore(SqlStore):
    """See interface.py."""

    engine: Engine = "mysql"
    prefix = dialect.PREFIX
    key_column = "`key`"
    dialect = dialect
    numbers_transactions = False
    write_lock = "FOR UPDATE SKIP LOCKED"
    leave_lock = write_lock
    share_lock = "LOCK IN SHARE MODE SKIP LOCKED"
    transaction_id = "CONNECTION_ID()"
    connection: "pymysql.connections.Connection[Any]"

    def _connect(self) -> "pymysql.connections.Connection[Any]":
        url: DatabaseURL = self.url
        options = {"connect_timeout": CONNECT_SECONDS, **read_options(url)}
        try:
            connection = _Connection(
                self.spare,
                host=url.host,
                port=url.port,
                user=url.user or None,
                password=url.password,
                database=url.database,
                charset="utf8mb4",
                autocommit=True,
                client_flag=CLIENT.FOUND_ROWS,
                **options,
            )
        except (TypeError, AttributeError) as error:
            raise refuse_options(url, error) from error
        except OSError as error:  # the driver's own names each failure of the network
            named = [text for name, text in url.options if name in FILES]
            raise ConfigError(
                f"no TLS with {url.host}", why=f"one of {', '.join(named)} cannot be used: {error}", mend=TLS
            ) from error
        connection.encoders[Long] = spell_long  # type: ignore[assignment]
        connection.encoders[Many] = spell_many  # type: ignore[assignment]
        connection.encoders[Records] = spell_records  # type: ignore[assignment]
        connection.encoders[dict] = spell_coated
        with connection.cursor() as cursor:
            cursor.execute("SELECT version(), @@max_allowed_packet, @@innodb_rollback_on_timeout")
            ((version, self._largest, self._ends_on_timeout),) = cursor.fetchall()
            connection.largest = self._largest
            self.mariadb = "mariadb" in version.lower()
        if self.mariadb:
            # SKIP LOCKED fails with error 1180 when a row is locked and the timeout is 0.
            self.lock_prefix = "SET STATEMENT innodb_lock_wait_timeout = 1 FOR "
            limit = "max_statement_time"
        else:
            # mysql 8 only, not run: LOCK IN SHARE MODE takes no SKIP LOCKED there.
            self.share_lock = "FOR SHARE SKIP LOCKED"
            limit = "max_execution_time"
        with connection.cursor() as cursor:
            # What is set for everybody is meant for people and the application: it would cut our answers.
            cursor.execute(
                f"SET SESSION sql_mode = '{dialect.SQL_MODE}', time_zone = '+00:00', "
                f"innodb_lock_wait_timeout = {WAIT_SECONDS}, lock_wait_timeout = {WAIT_SECONDS}, "
                f"collation_connection = utf8mb4_bin, {limit} = 0, sql_select_limit = {2**64 - 1}, "
                "sql_safe_updates = 0, sql_big_selects = 1, completion_type = 'NO_CHAIN', "
                "foreign_key_checks = 1, unique_checks = 1"
            )
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        return connection

    def _map_error(self, error: Exception) -> Exception:
        return map_error(error, self.url)

    def _check_answer(self, cursor: Any) -> None:
        # A function whose text is longer than max_allowed_packet comes to NULL, with a warning.
        if cursor.warning_count:
            cursor.execute("SHOW WARNINGS")
            for _, code, text in cursor.fetchall():
                if code == TOO_LONG:
                    mend = "raise max_allowed_packet, then: changecapture reconcile URL"
                    raise DataError(
                        "a row is longer than the server reads", reason="large", why=text, mend=mend
                    )

    def _ends_transaction(self, error: Exception) -> bool:
        return ends_transaction(error, on_timeout=self._ends_on_timeout)

    def _lock_name(self, of: str = "changecapture") -> str:
        return f"{of}:{self.url.database}"[:64]

    def _take_lock(self) -> bool:
        return bool(self.query("SELECT GET_LOCK(%s, %s)", (self._lock_name(), LOCK_SECONDS))[0][0])

    def _give_lock(self) -> None:
        self.query("SELECT RELEASE_LOCK(%s)", (self._lock_name(),))

    def show_relay(self) -> None:
        """See SqlStore. Of a relay's connections one has the lock."""
        self.query("SELECT GET_LOCK(%s, 0)", (self._lock_name("changecapture relay"),))

    def sees_relay(self) -> bool:
        """See SqlStore."""
        holder = self.query("SELECT IS_USED_LOCK(%s)", (self._lock_name("changecapture relay"),))[0][0]
        return holder is not None

    def _begin_snapshot(self) -> None:
        self.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        self.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        self._check_whole()

    def _begin_applying(self) -> None:
        self._found_places: dict[str, tuple[str, dict[str, str]]] = {}
        wait = 0 if self.mariadb else 1
        self.execute(f"SET @changecapture_applying = 1, SESSION innodb_lock_wait_timeout = {wait}")
        self.execute("START TRANSACTION")
        self._check_whole()

    def _check_whole(self) -> None:
        """Raise RetryLater while a dump is being put back (triggers/mysql/schema.sql).

        One that begins now waits for the end of the transaction before it comes to any table of ours.
        """
        try:
            found = self.query(WHOLE)
        except DriftError as error:
            self.check_revision()
            raise self._not_installed() from error
        if found != [("whole",)]:
            raise RetryLater(
                "a backup is being put back",
                why="the view changecapture, which a dump brings last, is not there yet",
                mend="nothing while that goes on; else: changecapture install URL",
            )

    def _end_applying(self) -> None:
        self.execute(f"SET @changecapture_applying = NULL, SESSION innodb_lock_wait_timeout = {WAIT_SECONDS}")

    def _among(self, expression: str, wanted: Collection[Any], type_: str) -> tuple[str, list[Any]]:
        if not wanted:
            return "FALSE", []
        return f"{expression} IN %s", [Many(wanted)]

    def _spell(self, rows: Iterable[Sequence[Any]]) -> list[Any]:
        return list(write_records(rows))

    def _load_lines(self, table: str, columns: Sequence[str], lines: Sequence[Any]) -> None:
        try:
            self._insert(f"INSERT INTO {self.prefix}{table} ({', '.join(columns)}) VALUES", lines)
        except DataError as error:
            if error.reason != "large":
                raise
            # A row of the application's can be parked; what the log cannot hold would be lost.
            raise ConfigError(f"{self.url} cannot keep a change", why=error.why, mend=PACKET) from error

    def _insert(self, beginning: str, records: Iterable[str], ending: str = "") -> None:
        """Send records as SQL text, as many with each statement as it holds.

        The driver's own way, a call for each value, takes longer than the server.
        """
        most = min(STATEMENT_CHARACTERS, self._largest // 8)
        part: list[str] = []
        size = 0
        for text in records:
            if part and size + len(text) > most:
                self.execute(f"{beginning} {','.join(part)} {ending}")
                part, size = [], 0
            part.append(text)
            size += len(text)
        if part:
            self.execute(f"{beginning} {','.join(part)} {ending}")

    def _upsert(
        self, table: str, keys: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        names = [*keys, *columns]
        fresh = ", ".join(f"{name} = VALUES({name})" for name in columns)
        self._insert(
            f"INSERT INTO {self.prefix}{table} ({', '.join(names)}) VALUES",
            write_records(rows),
            f"ON DUPLICATE KEY UPDATE {fresh}",
        )

    def _select_captured(self, which: str, parameters: Sequence[Any]) -> list[Captured]:
        """Return captured changes, the short fields as one text: see read_entries."""
        rows = self.query(
            "SELECT CONCAT_WS('\\0', id, table_id, operation, transaction_id, captured_at), `key`, old_key, "
            f"changed, image FROM {self.prefix}captured {which}",
            parameters,
        )
        return [_read_captured(*row) for row in rows]

    def read_versions(self, rows: Collection[Row]) -> dict[Row, Version]:
        """Return what is known of the rows, each as one text: see read_entries."""
        select = (
            "SELECT CONCAT_WS('\\0', table_name, row_key, stamp, origin, alive, seen) "
            f"FROM {self.prefix}row_version WHERE"
        )
        return dict(_read_version(text) for (text,) in self._of_rows(select, rows))

    def _packed(self, columns: Sequence[str]) -> str:
        """Return columns as one text: see read_entries."""
        return f"CONCAT_WS('\\0', {', '.join(columns)})"

    def _unpack(self, row: Sequence[Any]) -> Sequence[Any]:
        """Return the values of columns that were selected as one text."""
        text: str = row[0]
        return text.split("\0")

    def _select_keys(
        self, statement: str, names: tuple[str, str], table: str, keys: Sequence[str]
    ) -> tuple[str, list[Any]]:
        # A join looks up each key; IN (..) is read as ranges, which takes the server twice as long.
        select, _, rest = statement.partition(" FROM ")
        wanted = f"varchar({KEY_LENGTH}) CHARACTER SET utf8mb4 COLLATE {dialect.KEYS_COLLATION}"
        return (
            f"{select} FROM JSON_TABLE(%s, '$[*]' COLUMNS (wanted {wanted} PATH '$')) AS w "
            f"STRAIGHT_JOIN {rest} {names[0]} = %s AND {names[1]} = w.wanted",
            [Long(dump(keys)), table],
        )

    def _delete_captured(self, ids: Sequence[int]) -> int:
        first, last = min(ids), max(ids)
        if last - first + 1 == len(ids):
            # Nobody else's lies between. The last is named: a range locks the row that comes after it, too.
            captured = f"DELETE FROM {self.prefix}captured WHERE"
            before = self.execute(f"{captured} id >= %s AND id < %s", (first, last))
            return before + self.execute(f"{captured} id = %s", (last,))
        # IN (..) is read as ranges, and after each the next row is locked too, which may be one that the
        # application has not committed; a join looks up each id and nothing else.
        return self.execute(
            "DELETE c FROM JSON_TABLE(%s, '$[*]' COLUMNS (id bigint PATH '$')) AS w "
            f"STRAIGHT_JOIN {self.prefix}captured AS c ON c.id = w.id",
            (Long(dump(list(ids))),),
        )

    def read_entries(self, after: int, end: int, limit: int) -> list[tuple[int, Entry]]:
        """Return (position, entry) with after < position <= end, in order.

        The short fields come as one text: the driver needs as long for each column as for a row. None of
        them holds a NUL (core/wire.py).
        """
        rows = self.query(
            f"SELECT CONCAT_WS('\\0', position, {ENTRY_HEAD}), columns FROM {self.prefix}changelog "
            f"WHERE position > %s AND position <= %s ORDER BY position LIMIT {limit}",
            (after, end),
        )
        return [_read_entry(*row) for row in rows]

    def read_catalogue(self) -> Catalogue:
        """Return what the database says about the application's tables."""
        return read_catalogue(self.connection, self.engine)

    def read_clock(self) -> int:
        """Return the server's clock, microseconds since 1970 UTC."""
        return int(self.query(f"SELECT {dialect.NOW}")[0][0])

    def _matching(
        self, table: SyncedTable, columns: Sequence[SyncedColumn], wanted: Sequence[Sequence[Any]]
    ) -> tuple[str, list[Any]]:
        names = [f"t.{self._quote(column.name)}" for column in columns]
        if len(columns) == 1:
            return self._among(names[0], [self._adapt(columns[0], row[0]) for row in wanted], "")
        rows = [tuple(self._adapt(c, v) for c, v in zip(columns, row, strict=True)) for row in wanted]
        every = [dict.fromkeys(values) for values in zip(*rows, strict=True)] if len(rows) > 1 else []
        if every and len(set(rows)) == prod(map(len, every)):
            # Some persons, and for each the same kinds of contacts: so each value is read once.
            return " AND ".join(f"{name} IN %s" for name in names), [Many(values) for values in every]
        return f"({', '.join(names)}) IN %s", [Records(rows)]

    def _read_text(self, text: str) -> str:
        return _join_lines(text)

    def _adapt(self, column: SyncedColumn | None, value: Any) -> Any:
        if isinstance(value, Mapping):
            return b64decode(next(iter(value.values())))
        return value

    def _delete_sql(self, table: SyncedTable, condition: str) -> str:
        return f"DELETE t FROM {self._quote(table.name)} AS t WHERE {condition}"

    def _image(self, table: SyncedTable) -> str:
        return dialect.row_object(dialect.history_columns(table), "t")

    def _microseconds(self, expression: str) -> str:
        return f"TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {expression})"

    def insert_rows(self, table: SyncedTable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; columns that a row leaves out get their default, the flag says live."""
        shapes: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            shapes[tuple(row)].append(row)
        for names, group in shapes.items():
            values = [row.values() for row in group]
            columns = list(zip(*values, strict=True))
            self._insert_lines(table, names, _write_filled(table, columns, len(group)))

    def spell_rows(self, table: SyncedTable, columns: Sequence[Column]) -> list[str]:
        """Return how rows will be inserted; without the database."""
        return _write_filled(table, columns, len(columns[0]))

    def insert_columns(
        self,
        table: SyncedTable,
        names: Sequence[str],
        columns: Sequence[Column],
        lines: Sequence[Any] | None = None,
    ) -> None:
        """Insert rows that are given column by column, at least one of each; ``lines``: see spell_rows."""
        self._insert_lines(table, names, lines or self.spell_rows(table, columns))

    def _insert_lines(self, table: SyncedTable, names: Sequence[str], lines: Iterable[str]) -> None:
        targets = ", ".join(self._quote(name) for name in (*names, *_constants(table)))
        self._insert(f"INSERT INTO {self._quote(table.name)} ({targets}) VALUES", lines)

    def insert_given(self, table: SyncedTable, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Insert rows of a table whose keys are ours, and keep which row has which key."""
        for key, row in rows.items():
            self.insert_rows(table, [row])
            ((number,),) = self.query("SELECT LAST_INSERT_ID()")
            self.give_key(table, dump([row.get(column.name, number) for column in table.locator]), key)

    def update_columns(
        self, table: SyncedTable, local_keys: Sequence[str], names: Sequence[str], columns: Sequence[Column]
    ) -> None:
        """Update rows, given by local key and column by column, at least one of each."""
        known = _columns(table)
        kinds = [known[name] for name in names]
        locators = list(zip(*self._locators(table, local_keys), strict=True))
        # ON UPDATE CURRENT_TIMESTAMP columns move unless they are named.
        kept = [self._quote(name) for name in table.touch if name not in names]
        tiny = any(c.type.startswith("tiny") for c in kinds if c.kind != "integer")
        limit = TINY_VALUE if tiny else SHORT_VALUE
        sizes = [max(map(measure, row)) for row in zip(*columns, strict=True)]
        short = [size <= limit for size in sizes]
        if not all(short):
            for place, is_short in enumerate(short):
                if not is_short:
                    values = [column[place] for column in columns]
                    self._update_row(table, [part[place] for part in locators], kinds, values, kept)
            locators = [tuple(compress(part, short)) for part in locators]
            columns = [list(compress(column, short)) for column in columns]
        if any(short):
            self._update_short(table, locators, kinds, columns, kept)

    def _update_row(
        self,
        table: SyncedTable,
        locator: Sequence[Any],
        columns: Sequence[SyncedColumn],
        values: Sequence[Any],
        kept: Iterable[str],
    ) -> None:
        sets = [f"t.{self._quote(c.name)} = %s" for c in columns]
        sets += [f"t.{name} = t.{name}" for name in kept]
        condition, parameters = self._matching(table, table.locator, [locator])
        self.execute(
            f"UPDATE {self._quote(table.name)} AS t SET {', '.join(sets)} WHERE {condition}",
            [*values, *parameters],
        )

    def _update_short(
        self,
        table: SyncedTable,
        locators: Sequence[Column],
        kinds: Sequence[SyncedColumn],
        columns: Sequence[Column],
        kept: Iterable[str],
    ) -> None:
        """Update rows, given column by column, with as few statements as hold them.

        A join looks up each row and locks no other; IN (..) is read as ranges. The server cuts the long
        values of such a join, unasked: those are not for here.
        """
        places = [f"p{n}" for n in range(len(table.locator))]
        values_ = [f"v{n}" for n in range(len(kinds))]
        sets = [f"t.{self._quote(c.name)} = r.{v}" for c, v in zip(kinds, values_, strict=True)]
        sets += [f"t.{name} = t.{name}" for name in kept]
        indexes, collations = self._find_place(table)
        match = " AND ".join(
            f"t.{self._quote(c.name)} = {collations.get(c.name, '{}').format(f'r.{place}')}"
            for c, place in zip(table.locator, places, strict=True)
        )
        row_word = "" if self.mariadb else "ROW"  # mysql 8 only, not run
        self._insert(
            f"UPDATE (WITH r ({', '.join([*places, *values_])}) AS (VALUES",
            (row_word + text for text in write_columns([*locators, *columns])),
            f") SELECT * FROM r) AS r STRAIGHT_JOIN {self._quote(table.name)} AS t {indexes} ON {match} "
            f"SET {', '.join(sets)}",
        )

    def _find_place(self, table: SyncedTable) -> tuple[str, dict[str, str]]:
        """Return the hint by which rows are found by their locator, and for each text column of it what
        makes a value compare as the column does: unlike a literal, a column of values brings a collation."""
        if table.name not in self._found_places:
            name = (table.name,)
            indexes = self.query(
                "SELECT index_name, column_name FROM information_schema.statistics "
                "WHERE table_schema = DATABASE() AND table_name = %s AND seq_in_index = 1 AND non_unique = 0",
                name,
            )
            texts = self.query(
                "SELECT column_name, character_set_name, collation_name FROM information_schema.columns "
                "WHERE table_schema = DATABASE() AND table_name = %s AND collation_name IS NOT NULL",
                name,
            )
            usable = [self._quote(index) for index, column in indexes if column == table.locator[0].name]
            self._found_places[table.name] = (
                f"FORCE INDEX ({', '.join(usable)})" if usable else "",
                {c: f"CONVERT({{}} USING {charset}) COLLATE {collation}" for c, charset, collation in texts},
            )
        return self._found_places[table.name]


def _read_captured(
    head: str, key: str, old_key: str | None, changed: str | None, image: str | None
) -> Captured:
    id_, table_id, operation, transaction, at = head.split("\0")
    if changed is not None:
        changed = _join_lines(changed)
    return Captured(
        int(id_), int(table_id), operation, key, old_key, changed, image, int(transaction), int(at)
    )


def _join_lines(text: str) -> str:
    """Return a JSON text with each base64 in one line (``dialect.mysql.LONG``). In what an application
    wrote nothing is like one: the quotes in its texts are escaped."""
    if len(text) < dialect.LONG:
        return text
    return COAT.sub(lambda found: found[0].replace("\\n", ""), text)


def _read_entry(head: str, columns: str) -> tuple[int, Entry]:
    position, origin, epoch, number, pass_, stamp, seen, scope, table, key = head.split("\0")
    numbers = int(epoch), int(number), int(pass_), int(stamp), int(seen)
    return int(position), Entry(origin, *numbers, scope, table, key, columns)


def _read_version(text: str) -> tuple[Row, Version]:
    table, key, stamp, origin, alive, seen = text.split("\0")
    return Row(table, key), Version(int(stamp), origin, alive == "1", int(seen))


def _constants(table: SyncedTable) -> dict[str, str]:
    """Return what every inserted row of a table gets beside what travels."""
    constants = dict(table.fill)
    if table.deleted_flag is not None:
        constants[table.deleted_flag.column] = table.deleted_flag.live
    return constants


def _write_filled(table: SyncedTable, columns: Sequence[Column], count: int) -> list[str]:
    filled = [*columns, *([value] * count for value in _constants(table).values())]
    return list(write_columns(filled)) if filled else ["()"] * count


def _columns(table: SyncedTable) -> dict[str, SyncedColumn]:
    return {column.name: column for column in dialect.captured_columns(table)} | {
        column.name: column for column in table.key_columns
    }


__all__ = ["MySQLStore"]
