"""The real Sahana schemas, built from their catalogues in tests/schemas/*.json.

``create_schema`` builds one of them, or some of its tables, in an empty database; rows, views and
routines are not in the catalogues. ``build_database`` makes a new database with a schema and is
the quick way: on PostgreSQL it copies a database that it built before.

Eden's trap is kept: the default of a uuid column is one constant, another for every table and site.
"""

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tests.support.databases import DatabaseServer, Dialect, dialect_of, name_of, run_script

CATALOGUES = Path(__file__).parent.parent / "schemas"
NAMES = ("eden-postgresql", "eden-mysql", "vesuvius-mysql", "sahana2-mysql")
CONSTANT_UUID = "<constant urn:uuid:...>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``default`` is an SQL expression or CONSTANT_UUID, ``extra`` as in the format."""

    name: str
    type: str
    nullable: bool
    default: str | None = None
    extra: str | None = None
    collation: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One reference with its actions, as SQL spells them."""

    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]
    on_delete: str
    on_update: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a catalogue; ``engine`` and ``collation`` only in MySQL's."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    uniques: tuple[tuple[str, ...], ...]
    foreign_keys: tuple[ForeignKey, ...]
    engine: str
    collation: str


Catalogue = dict[str, Table]
Quote = Callable[[str], str]


@cache
def read_catalogue(name: str) -> Catalogue:
    """Read tests/schemas/<name>.json: the tables by name, in its order."""
    found: dict[str, dict[str, Any]] = json.loads((CATALOGUES / f"{name}.json").read_text())["tables"]
    return {table: _parse_table(table, facts) for table, facts in found.items()}


def _parse_table(name: str, facts: dict[str, Any]) -> Table:
    return Table(
        name=name,
        columns=tuple(
            Column(column, kind, bool(nullable), *rest) for column, kind, nullable, *rest in facts["cols"]
        ),
        primary_key=tuple(facts["pk"]),
        uniques=tuple(tuple(columns) for columns in facts.get("uniq", [])),
        foreign_keys=tuple(
            ForeignKey(tuple(columns), table, tuple(referenced), on_delete, on_update)
            for columns, table, referenced, on_delete, on_update in facts.get("fk", [])
        ),
        engine=facts.get("engine", ""),
        collation=facts.get("collation", ""),
    )


def select_tables(
    catalogue: Catalogue, tables: Collection[str] | None = None, *, follow: bool = True
) -> Catalogue:
    """Return the part of a catalogue with these tables (None: all), in the catalogue's order.

    With ``follow`` every table that they reference comes along; without, references to other
    tables are left out. Raise ValueError for an unknown table.
    """
    if tables is None:
        return catalogue
    unknown = sorted(set(tables) - catalogue.keys())
    if unknown:
        raise ValueError(f"no such table: {', '.join(unknown)}")
    wanted: set[str] = set()
    ahead = list(tables)
    while ahead:
        name = ahead.pop()
        if name not in wanted:
            wanted.add(name)
            if follow:
                ahead += [key.table for key in catalogue[name].foreign_keys]
    return {name: table for name, table in catalogue.items() if name in wanted}


def create_schema(url: str, name: str, tables: Collection[str] | None = None, *, follow: bool = True) -> None:
    """Build a schema of NAMES in the empty database that ``url`` names."""
    catalogue = select_tables(read_catalogue(name), tables, follow=follow)
    run_script(url, render_schema(dialect_of(url), catalogue, name_of(url)))


def build_database(
    server: DatabaseServer,
    database: str,
    schema: str | None = None,
    tables: Collection[str] | None = None,
    *,
    follow: bool = True,
) -> str:
    """Create a database with a schema and return its URL.

    ``schema`` is one of NAMES, or its application alone ("eden") in the server's dialect.
    """
    if schema is None:
        return server.create_database(database)
    if schema not in NAMES:
        schema = f"{schema}-{server.dialect}"
    if server.dialect == "mysql":  # has no templates; the whole of Eden takes 0.5 s
        url = server.create_database(database)
        create_schema(url, schema, tables, follow=follow)
        return url
    catalogue = select_tables(read_catalogue(schema), tables, follow=follow)
    url = server.create_database(database, _template_of(server, schema, tables, follow))
    run_script(url, _render_uuid_defaults(catalogue.values(), database))
    return url


def _template_of(server: DatabaseServer, schema: str, tables: Collection[str] | None, follow: bool) -> str:
    """Return a database of this server with exactly these tables, built when first asked for."""
    key = (schema, frozenset(tables) if tables is not None else None, follow)
    if key not in server.templates:
        template = f"cc_{os.getpid()}_template_{len(server.templates)}"
        create_schema(server.create_database(template), schema, tables, follow=follow)
        server.templates[key] = template
    return server.templates[key]


def render_schema(dialect: Dialect, catalogue: Catalogue, database: str) -> str:
    """Return the script that creates these tables; references to other tables are left out."""
    tables = list(catalogue.values())
    if dialect == "postgresql":
        created = [_render_postgresql(table, database) for table in tables]
        altered = [_render_references(table, catalogue) for table in tables]
        return ";\n".join([*created, *filter(None, altered)])
    created = [_render_mysql(table, catalogue, database) for table in tables]
    return ";\n".join(["SET foreign_key_checks = 0", *created])


def _render_postgresql(table: Table, database: str) -> str:
    parts = [
        f"{_double_quote(column.name)} {'serial' if column.extra == 'serial' else column.type}"
        f"{'' if column.nullable else ' NOT NULL'}{_render_default(table, column, database)}"
        for column in table.columns
    ]
    parts += _render_keys(table, _double_quote)
    return f"CREATE TABLE {_double_quote(table.name)} (\n  {_list(parts)})"


def _render_references(table: Table, catalogue: Catalogue) -> str:
    """Return PostgreSQL's ALTER TABLE for the foreign keys of a table, '' when it has none."""
    added = [
        "ADD " + _render_foreign_key(key, _double_quote)
        for key in table.foreign_keys
        if key.table in catalogue
    ]
    return f"ALTER TABLE {_double_quote(table.name)}\n  {_list(added)}" if added else ""


def _render_mysql(table: Table, catalogue: Catalogue, database: str) -> str:
    parts = [
        f"{_backquote(column.name)} {column.type}"
        f"{f' COLLATE {column.collation}' if column.collation else ''}"
        f" {'NULL' if column.nullable else 'NOT NULL'}{_render_default(table, column, database)}"
        f" {column.extra or ''}"
        for column in table.columns
    ]
    parts += _render_keys(table, _backquote)
    parts += [f"KEY ({_join(key, _backquote)})" for key in _find_unindexed(table, catalogue)]
    parts += [_render_foreign_key(key, _backquote) for key in table.foreign_keys if key.table in catalogue]
    return (
        f"CREATE TABLE {_backquote(table.name)} (\n  {_list(parts)})"
        f" ENGINE={table.engine} COLLATE={table.collation}"
    )


def _find_unindexed(table: Table, catalogue: Catalogue) -> set[tuple[str, ...]]:
    """Return referenced columns without an index: InnoDB needs one, the format lists no such."""
    indexes = [table.primary_key, *table.uniques]
    return {
        key.referenced
        for other in catalogue.values()
        for key in other.foreign_keys
        if key.table == table.name
        and not any(index[: len(key.referenced)] == key.referenced for index in indexes)
    }


def _render_default(table: Table, column: Column, database: str) -> str:
    if column.default is None:
        return ""
    if column.default == CONSTANT_UUID:
        return f" DEFAULT '{constant_uuid(database, table.name)}'"
    return f" DEFAULT {column.default}"


def constant_uuid(database: str, table: str) -> str:
    """Return the constant default of a table's uuid column: fixed for a database and a table."""
    return uuid5(NAMESPACE_URL, f"{database}/{table}").urn


def _render_uuid_defaults(tables: Iterable[Table], database: str) -> str:
    """Return the script that gives a copy of a PostgreSQL database its own constants."""
    return ";\n".join(
        f"ALTER TABLE {_double_quote(table.name)} ALTER COLUMN {_double_quote(column.name)}"
        f" SET{_render_default(table, column, database)}"
        for table in tables
        for column in table.columns
        if column.default == CONSTANT_UUID
    )


def _render_keys(table: Table, quote: Quote) -> Iterator[str]:
    if table.primary_key:
        yield f"PRIMARY KEY ({_join(table.primary_key, quote)})"
    for columns in table.uniques:
        yield f"UNIQUE ({_join(columns, quote)})"


def _render_foreign_key(key: ForeignKey, quote: Quote) -> str:
    return (
        f"FOREIGN KEY ({_join(key.columns, quote)})"
        f" REFERENCES {quote(key.table)} ({_join(key.referenced, quote)})"
        f" ON DELETE {key.on_delete} ON UPDATE {key.on_update}"
    )


def _list(parts: Iterable[str]) -> str:
    return ",\n  ".join(parts)


def _join(names: Iterable[str], quote: Quote) -> str:
    return ", ".join(quote(name) for name in names)


def _double_quote(name: str) -> str:
    return f'"{name}"'


def _backquote(name: str) -> str:
    return f"`{name}`"
