"""Databases on a running server: connect, run SQL, create, copy, drop.

A database is named by its URL, ``postgresql://user:password@host:port/name`` or
``mysql://..`` (MariaDB too), the password percent-encoded. Everything here is autocommit, written
for tests: nothing of the product is imported, so that a fault there cannot hide here.
"""

import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
import pymysql
from psycopg import sql
from pymysql.connections import Connection as MySQLConnection
from pymysql.constants import CLIENT

Dialect = Literal["postgresql", "mysql"]
Row = tuple[Any, ...]


def dialect_of(url: str) -> Dialect:
    """Return the dialect that the scheme of a database URL names; ValueError for another."""
    scheme = urlsplit(url).scheme
    if scheme == "postgresql":
        return "postgresql"
    if scheme == "mysql":
        return "mysql"
    raise ValueError(f"not a URL of a test database: {scheme}://..")


def name_of(url: str) -> str:
    """Return the name of the database that a URL names."""
    return urlsplit(url).path.removeprefix("/")


def with_name(url: str, database: str) -> str:
    """Return the URL with another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path="/" + quote(database)))


def connect_postgresql(url: str) -> psycopg.Connection[Row]:
    """Return an autocommit psycopg connection."""
    return psycopg.connect(url, autocommit=True, connect_timeout=10)


def connect_mysql(url: str, *, local_infile: bool = False) -> "MySQLConnection[Any]":
    """Return an autocommit PyMySQL connection that takes several statements in one call.

    ``local_infile`` allows LOAD DATA LOCAL: the server then may ask for any file of ours.
    """
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=name_of(url) or None,
        charset="utf8mb4",
        autocommit=True,
        client_flag=CLIENT.MULTI_STATEMENTS,
        local_infile=local_infile,
        connect_timeout=10,
        ssl_disabled=True,  # loopback: the driver takes 30 ms to make ready for TLS
    )


def run_script(url: str, script: str) -> None:
    """Run a script of one or many statements in one call, without parameters.

    Only for plain statements: PostgreSQL takes a script as one transaction, and MySQL splits it on
    the server, where the body of a trigger may hold semicolons.
    """
    if dialect_of(url) == "postgresql":
        with connect_postgresql(url) as session:
            session.execute(script)
        return
    with connect_mysql(url) as connection, connection.cursor() as cursor:
        cursor.execute(script)
        while cursor.nextset():  # an error in a later statement is raised by its nextset()
            pass


def fetch(url: str, query: str, parameters: Sequence[Any] | None = None) -> list[Row]:
    """Run one statement on a connection of its own and return its rows ([] when it has none)."""
    with closing(Looker(url)) as looker:
        return looker.fetch(query, parameters)


def list_filled(fetch: Callable[[str], list[Row]], tables: Sequence[str]) -> list[str]:
    """Return those of the tables that hold a row, by one statement; the names as they are written in it."""
    query = " UNION ALL ".join(f"SELECT {n} WHERE EXISTS (SELECT 1 FROM {t})" for n, t in enumerate(tables))
    return [tables[int(n)] for (n,) in fetch(query)] if tables else []


class Looker:
    """Runs statements on one connection; on a new one when the server has ended it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None

    def fetch(self, query: str, parameters: Sequence[Any] | None = None) -> list[Row]:
        """Run one statement, or a script; return the rows of the first ([] when it has none)."""
        if self._connection is not None:
            try:
                return self._ask(query, parameters)
            except (psycopg.OperationalError, pymysql.OperationalError, pymysql.InterfaceError):
                self.close()
        if dialect_of(self._url) == "postgresql":
            self._connection = connect_postgresql(self._url)
            self._connection.prepare_threshold = None  # tables change under it
        else:
            self._connection = connect_mysql(self._url)
        return self._ask(query, parameters)

    def _ask(self, query: str, parameters: Sequence[Any] | None) -> list[Row]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, parameters)
            rows = list(cursor.fetchall()) if cursor.description else []
            while cursor.nextset():  # an error in a later statement is raised by its nextset()
                pass
            return rows

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            with suppress(psycopg.Error, pymysql.MySQLError):
                self._connection.close()
            self._connection = None


class DatabaseServer(ABC):
    """A running server with an administrator's account: makes and drops databases."""

    dialect: ClassVar[Dialect]

    def __init__(self) -> None:
        self.templates: dict[Hashable, str] = {}  # databases to copy from: see schemas.py

    @abstractmethod
    def url(self, database: str) -> str:
        """Return the administrator's URL of a database of this server."""

    @abstractmethod
    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, empty or as a copy of another of this server; return its URL.

        A copy holds everything: rows, triggers, routines. No one may be connected to the template.
        """

    @abstractmethod
    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, whoever is connected to it."""


class PostgresDatabases(DatabaseServer):
    """The databases of a PostgreSQL server."""

    dialect = "postgresql"

    def create_database(self, name: str, template: str | None = None) -> str:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY {}").format(
            sql.Identifier(name),
            sql.Identifier(template or "template1"),
            # measured for Eden on tmpfs: 0.07 s, against 0.28 s through the write-ahead log
            sql.Identifier("file_copy" if template else "wal_log"),
        )
        with connect_postgresql(self.url("postgres")) as connection:
            connection.execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        with connect_postgresql(self.url("postgres")) as connection:
            connection.execute(statement)


def is_mariadb(url: str) -> bool:
    """Return whether a server that speaks MySQL's protocol is MariaDB, not MySQL itself."""
    ((version,),) = fetch(url, "SELECT VERSION()")
    return "MariaDB" in version


class MySQLDatabases(DatabaseServer):
    """The databases of a MySQL or MariaDB server."""

    dialect = "mysql"

    def create_database(self, name: str, template: str | None = None) -> str:
        run_script(self.url(""), f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        if template:
            _copy_mysql(self.url(template), self.url(name))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        run_script(self.url(""), f"DROP DATABASE IF EXISTS `{name}`")


def _copy_mysql(source: str, target: str) -> None:
    """Copy a database as an administrator would: a dump read by the client."""
    dump = run_client(
        "mariadb-dump",
        source,
        ["--routines", "--triggers", "--single-transaction", "--skip-lock-tables", "--hex-blob"],
    )
    run_client("mariadb", target, [], stdin=dump)


def run_client(program: str, url: str, options: list[str], stdin: bytes = b"") -> bytes:
    """Run a MariaDB client program on a database; return what it printed."""
    parts = urlsplit(url)
    with tempfile.TemporaryDirectory() as directory:
        secret = Path(directory, "client.cnf")
        secret.touch(mode=0o600)
        secret.write_text(f'[client]\npassword="{unquote(parts.password or "")}"\n')
        command = [
            program,
            f"--defaults-file={secret}",
            f"--host={parts.hostname}",
            f"--port={parts.port or 3306}",
            f"--user={unquote(parts.username or '')}",
            *options,
            name_of(url),
        ]
        return subprocess.run(command, input=stdin, check=True, stdout=subprocess.PIPE).stdout


class ExistingPostgres(PostgresDatabases):
    """A PostgreSQL server that somebody else started."""

    def __init__(self, admin_url: str) -> None:
        super().__init__()
        self._admin_url = admin_url

    def url(self, database: str) -> str:
        return with_name(self._admin_url, database)


class ExistingMySQL(MySQLDatabases):
    """A MySQL or MariaDB server that somebody else started."""

    def __init__(self, admin_url: str) -> None:
        super().__init__()
        self._admin_url = admin_url

    def url(self, database: str) -> str:
        return with_name(self._admin_url, database)
