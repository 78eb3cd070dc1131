"""Two rows of every synced table of the real applications travel, are edited and deleted, whatever names
them: all four kinds of identity, on all four schemas."""

import re
from itertools import count

import pytest

from changecapture.store.sqlstore import SqlStore
from tests.support.databases import connect_mysql, connect_postgresql
from tests.support.schemas import build_database
from tests.support.sites import Site, assert_in_step, exchange

KINDS_OF = {
    "eden": {"uuid"},
    "vesuvius": {"natural", "composite", "assigned"},
    "sahana2": {"natural", "composite", "assigned"},
}
DIRECTIONS = [
    pytest.param(("eden", "postgres", "mariadb"), marks=pytest.mark.long),
    pytest.param(("eden", "mariadb", "postgres"), marks=pytest.mark.long),
    ("vesuvius", "mariadb", "mariadb"),
    ("sahana2", "mariadb", "mariadb"),
]
_numbers = count(1)


@pytest.fixture
def sites(request):
    schema, *kinds = request.param
    made = []
    for kind in kinds:
        server = request.getfixturevalue(kind)
        name = f"cc_every_{next(_numbers)}"
        made.append((server, name, Site(build_database(server, name, schema, None), schema)))
    fillers = [Filler(site) for _, _, site in made]
    yield schema, *fillers
    for filler in fillers:
        filler.connection.close()
    for server, name, site in made:
        site.close()
        server.drop_database(name)


def value_of(column, table, number):
    """Return a literal of the column's type, another for each row."""
    text = f"{number}{table}.{column.name}"[: column.length or 60]
    if column.name.endswith("json"):
        return f"'{{\"a\": {number}}}'"
    if column.type.startswith(("enum", "set")):
        return re.search(r"'[^']*'", column.type)[0]
    return {
        "integer": str(1 + number),
        "boolean": "true",
        "decimal": f"1.{number}",
        "float64": f"{number}.5",
        "float32": f"{number}.25",
        "date": f"'2024-01-0{1 + number}'",
        "time": f"'10:00:0{number}'",
        "datetime": f"'2024-01-01 10:00:0{number}'",
        "instant": f"'2024-01-01 10:00:0{number}'",
        "bytes": f"'{number}'",
        "geometry": f"POINT({number}, 1)",
    }.get(column.kind, f"'{text}'")


def is_free(table, column):
    """Return whether any short text may stand in a column."""
    plain = column.type.startswith(("varchar", "character varying", "text"))
    return plain and column.reference is None and column.name not in table.unique


class Filler:
    """Writes rows as an application would, parents first."""

    def __init__(self, site: Site) -> None:
        self.site = site
        store: SqlStore = site.store
        self.catalogue = store.read_catalogue()
        self.synced = store.tables_by_name
        self.ranks = store.ranks
        connect = connect_postgresql if site.dialect == "postgresql" else connect_mysql
        self.connection = connect(site.url)
        if site.dialect == "mysql":
            self.run("SET sql_mode = '', time_zone = '+00:00'")
        self.done: set[str] = set()

    def run(self, statement):
        with self.connection.cursor() as cursor:
            cursor.execute(statement.replace("%", "%%"))
            return cursor.fetchall() if cursor.description else ()

    def targets(self, name):
        """Return {column: (table, its column)} of the references that rows need."""
        table = self.catalogue.tables[name]
        found = {
            key.columns[0]: (key.target, key.target_columns[0])
            for key in table.foreign_keys
            if len(key.columns) == 1 and key.target in self.catalogue.tables
        }
        definition = self.synced.get(name)
        for column in (*definition.key_columns, *definition.columns) if definition else ():
            if column.reference is not None:
                found.setdefault(column.name, (column.reference.table, column.reference.target_column))
        return found

    def wanted(self, name):
        """Return the columns that are written: those that travel, and what may not be left out."""
        table, definition = self.catalogue.tables[name], self.synced.get(name)
        travelling = (
            {c.name for c in (*definition.identity.columns, *definition.columns)} if definition else set()
        )
        for column in table.columns:
            must = not column.nullable and column.default is None
            if not (column.automatic or column.generated) and (column.name in travelling or must):
                yield column

    def fill(self, name, rows=2):
        if name in self.done:
            return
        self.done.add(name)
        targets, columns = self.targets(name), list(self.wanted(name))
        for column in columns:
            if column.name in targets and not column.nullable:
                self.fill(targets[column.name][0])
        flag = self.synced[name].deleted_flag if name in self.synced else None
        for number in range(rows):
            pairs = {}
            for column in columns:
                if column.name in targets:
                    target, other = targets[column.name]
                    found = self.run(
                        f"SELECT {self.quote(other)} FROM {self.quote(target)} "
                        f"ORDER BY {self.quote(other)} LIMIT 1 OFFSET {number}"
                    )
                    pairs[column.name] = "NULL" if not found or found[0][0] is None else f"'{found[0][0]}'"
                else:
                    pairs[column.name] = value_of(column, name, number)
            if flag is not None:
                pairs[flag.column] = f"'{flag.live}'"
            names = ", ".join(map(self.quote, pairs))
            self.run(f"INSERT INTO {self.quote(name)} ({names}) VALUES ({', '.join(pairs.values())})")

    def quote(self, name):
        return self.site.quote(name)


@pytest.mark.parametrize("sites", DIRECTIONS, indirect=True, ids="-".join)
def test_rows_of_every_table_travel_are_edited_and_deleted(sites):
    schema, filler, editor = sites
    here, there = filler.site, editor.site
    if schema == "sahana2":
        for application in (
            filler,
            editor,
        ):  # the default of rms_fulfil.user_id: the first user of every site
            application.run("SET foreign_key_checks = 0")
            application.run("INSERT INTO users (p_uuid) VALUES ('1')")
            application.run("SET foreign_key_checks = 1")
    assert {table.identity.kind for table in filler.synced.values()} >= KINDS_OF[schema]
    before = {name: filler.run(f"SELECT count(*) FROM {filler.quote(name)}")[0][0] for name in filler.synced}
    for name in sorted(filler.synced, key=lambda name: filler.ranks[name]):
        filler.fill(name)
    exchange(here, there)
    assert there.parked() == {}
    compared = assert_in_step(here, there)
    for name in filler.synced:
        assert compared.rows[name.lower()] >= before[name] + 2, name
    for name, table in editor.synced.items():
        edited = next((c for c in table.columns if is_free(table, c)), None)
        if edited is not None:
            editor.run(f"UPDATE {editor.quote(name)} SET {editor.quote(edited.name)} = 'e'")
    exchange(there, here)
    assert here.parked() == {}
    assert_in_step(here, there)
    for name in sorted(filler.synced, key=lambda name: -filler.ranks[name]):
        flag = filler.synced[name].deleted_flag
        if flag is None:
            filler.run(f"DELETE FROM {filler.quote(name)}")
        else:
            filler.run(f"UPDATE {filler.quote(name)} SET {filler.quote(flag.column)} = '{flag.deleted}'")
    exchange(here, there)
    assert there.parked() == {}
    assert assert_in_step(here, there).total == 0
