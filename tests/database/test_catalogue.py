"""Reading the catalogue of real servers: what they say must be what the facts say."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from changecapture.catalogue import read_catalogue
from changecapture.core.catalogue import Catalogue, Column, Engine, Table
from changecapture.errors import ConfigError
from changecapture.plan import plan
from changecapture.profiles import load_profile, recognise
from tests.conftest import NewDatabase
from tests.support.catalogues import eden, load_catalogue
from tests.support.databases import (
    DatabaseServer,
    connect_mysql,
    connect_postgresql,
    is_mariadb,
    name_of,
    run_script,
)


@contextmanager
def connected(url: str) -> Iterator[tuple[Any, Engine]]:
    if url.startswith("postgresql:"):
        with connect_postgresql(url) as connection:
            yield connection, "postgresql"
    else:
        with connect_mysql(url) as other:
            yield other, "mysql"


def read(url: str) -> Catalogue:
    with connected(url) as (connection, engine):
        return read_catalogue(connection, engine)


def told(table: Table) -> Table:
    """A table without what the facts do not tell, and without the names of foreign keys."""
    columns = [replace(c, character_set=None, collation=None) for c in table.columns]
    return replace(
        table,
        columns=tuple(c if "char" in c.type else replace(c, length=None) for c in columns),
        foreign_keys=tuple(
            sorted((replace(key, name="") for key in table.foreign_keys), key=lambda k: k.columns)
        ),
    )


def assert_same(found: Catalogue, wanted: Catalogue) -> None:
    assert found.tables.keys() == wanted.tables.keys()
    for name, table in wanted.tables.items():
        assert told(found.tables[name]) == told(table)


def columns_of(url: str, table: str) -> dict[str, Column]:
    return {column.name: column for column in read(url).tables[table].columns}


def test_eden_reads_as_the_facts_say(server: DatabaseServer, new_database: NewDatabase) -> None:
    url = new_database(server, "eden")
    if server.dialect == "mysql" and not is_mariadb(url):
        pytest.skip(
            "the facts were read on MariaDB, which tells the display width of integers; MySQL has none"
        )
    found = read(url)
    assert (found.engine, found.database) == (server.dialect, name_of(url))
    assert_same(found, eden(server.dialect, name_of(url)))


@pytest.mark.parametrize("schema", ["vesuvius", "sahana2"])
def test_the_php_applications_read_as_the_facts_say(
    mariadb: DatabaseServer, new_database: NewDatabase, schema: str
) -> None:
    assert_same(read(new_database(mariadb, schema)), load_catalogue(f"{schema}-mysql"))


def test_a_real_eden_is_recognised_and_planned_as_the_facts_are(
    server: DatabaseServer, new_database: NewDatabase
) -> None:
    url = new_database(server, "eden")
    if server.dialect == "mysql" and not is_mariadb(url):
        pytest.skip(
            "the facts were read on MariaDB, which tells the display width of integers; MySQL has none"
        )
    found = read(url)
    assert recognise(found).name == "eden"
    wanted = plan(eden(server.dialect, name_of(url)), load_profile("eden"))
    assert plan(found, load_profile("eden")) == wanted


def test_ours_are_left_out(server: DatabaseServer, new_database: NewDatabase) -> None:
    url = new_database(server)
    if server.dialect == "postgresql":
        run_script(url, "CREATE SCHEMA changecapture; CREATE TABLE changecapture.log (id int)")
    else:
        run_script(url, "CREATE TABLE changecapture_log (id int)")
    run_script(url, "CREATE TABLE changecapturex (id int); CREATE VIEW v AS SELECT 1 AS one")
    assert list(read(url).tables) == ["changecapturex"]


def test_nothing_chosen_is_an_error_that_says_so(server: DatabaseServer, new_database: NewDatabase) -> None:
    url = new_database(server)
    with connected(url) as (connection, engine):
        cursor = connection.cursor()
        if engine == "postgresql":
            cursor.execute("SET search_path = nowhere")
        else:
            cursor.execute(f"DROP DATABASE `{name_of(url)}`")
        with pytest.raises(ConfigError, match="no schema"):
            read_catalogue(connection, engine)


POSTGRESQL_TABLE = """
CREATE TYPE "Mood" AS ENUM ('ok', 'Not ok');
CREATE DOMAIN short AS varchar(5) NOT NULL;
CREATE TABLE t (
  a bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  b numeric(10, 2) DEFAULT -1.5,
  c real, d double precision, e boolean DEFAULT true, f jsonb, g bytea,
  h timestamptz DEFAULT now(), i time, j "Mood" DEFAULT 'Not ok', k short, l uuid,
  m varchar(9) DEFAULT 'it''s', n integer GENERATED ALWAYS AS (1 + 1) STORED, o char(1), p text,
  UNIQUE (m, o)
);
CREATE UNIQUE INDEX whole ON t (p) INCLUDE (m);
CREATE UNIQUE INDEX partial ON t (c) WHERE d > 0;
CREATE UNIQUE INDEX expression ON t (lower(p), i);
CREATE TABLE parts (a integer) PARTITION BY RANGE (a);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE SCHEMA other;
CREATE TABLE other.far (id integer PRIMARY KEY);
CREATE TABLE u (
  x integer REFERENCES other.far ON DELETE SET NULL, a bigint,
  FOREIGN KEY (a) REFERENCES t ON DELETE CASCADE ON UPDATE RESTRICT
);
"""


def test_postgresql_kinds_keys_and_references(postgres: DatabaseServer, new_database: NewDatabase) -> None:
    url = new_database(postgres)
    run_script(url, POSTGRESQL_TABLE)
    found = read(url)
    assert sorted(found.tables) == ["parts", "t", "u"]
    columns = columns_of(url, "t")
    assert [column.kind for column in columns.values()] == [
        *("integer", "decimal", "float32", "float64", "boolean", "json", "bytes", "instant"),
        *("time", "text", "text", "text", "text", "integer", "text", "text"),
    ]
    assert [name for name, column in columns.items() if not column.nullable] == ["a", "k"]
    assert (columns["a"].automatic, columns["n"].generated) == (True, True)
    assert [columns[name].default for name in "behjm"] == [
        *("-1.5", "true", "now()", "Not ok", "it's"),
    ]
    assert (columns["m"].length, columns["o"].length, columns["p"].length) == (9, 1, None)
    assert columns["j"].type == '"Mood"'
    assert found.tables["t"].primary_key == ("a",)
    assert found.tables["t"].uniques == (("m", "o"), ("p",))
    far, near = sorted(found.tables["u"].foreign_keys, key=lambda key: key.target)
    assert (far.target, far.on_delete) == ("other.far", "set null")
    assert (near.target_columns, near.on_delete, near.on_update) == (("a",), "cascade", "restrict")


MYSQL_TABLE = """
CREATE TABLE t (
  a bigint AUTO_INCREMENT PRIMARY KEY,
  b decimal(10, 2) DEFAULT -1.5,
  c float, d double, e tinyint(1) DEFAULT 1, f json, g longblob, h timestamp NULL
    DEFAULT current_timestamp ON UPDATE current_timestamp,
  i time, j enum('ok', 'Not ok') DEFAULT 'Not ok', k varchar(5) NOT NULL, l year,
  m varchar(9) CHARACTER SET latin1 DEFAULT 'it''s', n int AS (1 + 1) STORED, o char(1), p text,
  q bit(3), r point, s set('x', 'y'), u varchar(3) DEFAULT NULL, v datetime,
  UNIQUE whole (m, o), UNIQUE prefix (p(10))
) ENGINE = InnoDB COLLATE = utf8mb4_bin;
CREATE TABLE w (a bigint, FOREIGN KEY (a) REFERENCES t (a) ON DELETE CASCADE) ENGINE = InnoDB;
"""


def test_mysql_kinds_keys_and_references(mariadb: DatabaseServer, new_database: NewDatabase) -> None:
    url = new_database(mariadb)
    run_script(url, MYSQL_TABLE)
    found = read(url)
    columns = columns_of(url, "t")
    is_mariadb = "mariadb" in found.server.lower()
    assert [column.kind for column in columns.values()] == [
        *("integer", "decimal", "float32", "float64", "integer", "text" if is_mariadb else "json"),
        *("bytes", "instant", "time", "text", "text", "integer", "text", "integer", "text", "text"),
        *("integer", "geometry", "text", "text", "datetime"),
    ]
    assert [name for name, column in columns.items() if not column.nullable] == ["a", "k"]
    assert (columns["a"].automatic, columns["n"].generated, columns["h"].on_update) == (True,) * 3
    assert [columns[name].default for name in "abejmu"] == [
        *(None, "-1.50", "1", "Not ok", "it's", None),
    ]
    assert (columns["m"].length, columns["m"].character_set) == (9, "latin1")
    assert found.tables["t"].primary_key == ("a",)
    assert found.tables["t"].uniques == (("m", "o"),)
    assert (found.tables["t"].storage, found.tables["t"].collation) == ("InnoDB", "utf8mb4_bin")
    assert [key.on_delete for key in found.tables["w"].foreign_keys] == ["cascade"]
