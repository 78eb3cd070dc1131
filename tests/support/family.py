"""A small application of hand-made tables, for what Eden's cannot show: hard deletes, required
references with every action, keys made of references, keys of our own."""

from typing import Any

from tests.support.databases import connect_mysql, connect_postgresql, dialect_of

TABLES = """
CREATE TABLE parent (
    id {serial} PRIMARY KEY,
    uuid varchar(64) NOT NULL UNIQUE,
    name varchar(64) UNIQUE,
    note varchar(255),
    boss integer,
    FOREIGN KEY (boss) REFERENCES parent (id) ON DELETE SET NULL
){engine};
CREATE TABLE child (
    id {serial} PRIMARY KEY,
    uuid varchar(64) NOT NULL UNIQUE,
    note varchar(255),
    must integer NOT NULL,
    may integer,
    keep integer,
    FOREIGN KEY (must) REFERENCES parent (id) ON DELETE CASCADE,
    FOREIGN KEY (may) REFERENCES parent (id) ON DELETE SET NULL,
    FOREIGN KEY (keep) REFERENCES parent (id) ON DELETE RESTRICT
){engine};
CREATE TABLE toy (
    id {serial} PRIMARY KEY,
    uuid varchar(64) NOT NULL UNIQUE,
    note varchar(255),
    owner integer NOT NULL,
    FOREIGN KEY (owner) REFERENCES child (id) ON DELETE CASCADE
){engine};
CREATE TABLE link (
    parent_id integer NOT NULL,
    child_id integer NOT NULL,
    note varchar(255),
    PRIMARY KEY (parent_id, child_id),
    FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE,
    FOREIGN KEY (child_id) REFERENCES child (id) ON DELETE CASCADE
){engine};
CREATE TABLE word (
    text varchar(600) PRIMARY KEY,
    note varchar(255)
){engine};
CREATE TABLE line (
    id {serial} PRIMARY KEY,
    note varchar(255)
){engine}
"""


def script(kind: str) -> str:
    """Return what creates the tables on "postgresql", "mariadb" or "memory"."""
    return spell(TABLES, kind)


def spell(tables: str, kind: str) -> str:
    """Return a script with {serial} and {engine} as a kind of database spells them."""
    if kind == "postgresql":
        return tables.format(serial="serial", engine="")
    if kind == "memory":
        # Without AUTOINCREMENT SQLite gives the number of a row that is gone to the next.
        return tables.format(serial="integer", engine="").replace(
            "integer PRIMARY KEY", "integer PRIMARY KEY AUTOINCREMENT"
        )
    return tables.format(serial="integer AUTO_INCREMENT", engine=" ENGINE=InnoDB CHARSET=utf8mb4")


class Family:
    """A connection of the application: autocommit unless it says BEGIN."""

    def __init__(self, database: Any) -> None:
        """``database``: a URL to connect to, or a connection that is open."""
        self.connection = _connect(database) if isinstance(database, str) else database

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def __call__(self, statement: str, *parameters: Any) -> int:
        """Run one statement; return the row count."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return int(cursor.rowcount)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.connection.cursor() as cursor:
            cursor.execute(query, parameters or None)
            return list(cursor.fetchall())

    def add_parent(self, uuid: str, name: str | None = None, boss: str | None = None) -> None:
        """Insert a parent."""
        self(
            "INSERT INTO parent (uuid, name, boss) "
            "VALUES (%s, %s, (SELECT id FROM (SELECT id, uuid FROM parent) AS p WHERE uuid = %s))",
            uuid,
            name,
            boss,
        )

    def add_child(self, uuid: str, must: str, may: str | None = None, keep: str | None = None) -> None:
        """Insert a child of parents."""
        one = "(SELECT id FROM parent WHERE uuid = %s)"
        self(
            f"INSERT INTO child (uuid, must, may, keep) VALUES (%s, {one}, {one}, {one})",
            uuid,
            must,
            may,
            keep,
        )

    def add_toy(self, uuid: str, owner: str) -> None:
        """Insert a toy of a child."""
        self("INSERT INTO toy (uuid, owner) VALUES (%s, (SELECT id FROM child WHERE uuid = %s))", uuid, owner)

    def add_link(self, parent: str, child: str, note: str | None = None) -> None:
        """Insert a link."""
        self(
            "INSERT INTO link (parent_id, child_id, note) VALUES "
            "((SELECT id FROM parent WHERE uuid = %s), (SELECT id FROM child WHERE uuid = %s), %s)",
            parent,
            child,
            note,
        )

    def note(self, table: str, uuid: str, text: str) -> int:
        """Write a row's note."""
        return self(f"UPDATE {table} SET note = %s WHERE uuid = %s", text, uuid)

    def rename(self, table: str, uuid: str, new: str) -> int:
        """Give a row another key."""
        return self(f"UPDATE {table} SET uuid = %s WHERE uuid = %s", new, uuid)

    def refer(self, uuid: str, column: str, parent: str) -> int:
        """Let a column of a child name a parent."""
        return self(
            f"UPDATE child SET {column} = (SELECT id FROM parent WHERE uuid = %s) WHERE uuid = %s",
            parent,
            uuid,
        )

    def delete(self, table: str, uuid: str) -> int:
        """Delete a row."""
        return self(f"DELETE FROM {table} WHERE uuid = %s", uuid)

    def shown(self, table: str) -> dict[str, Any]:
        """Return {uuid: note} of a table."""
        return dict(self.rows(f"SELECT uuid, note FROM {table}"))


def _connect(url: str) -> Any:
    return connect_postgresql(url) if dialect_of(url) == "postgresql" else connect_mysql(url)
