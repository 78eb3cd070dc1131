"""Reads a catalogue: what a database says about the application's own tables.

A handful of set-based reads of the whole schema (462 to 643 tables in Eden), put together here into
``core.catalogue``, one form for both engines. What the engines print differently is made
comparable: kinds are ours, a literal default is its bare text (urn:uuid:.., piece, 0.0), an
expression stays as the database prints it (now(), current_timestamp()), a default that only says
"automatic" is dropped. Types keep the database's own spelling.

Nothing is decided here and nothing is written. Foreign keys to tables outside the catalogue stay:
the plan needs to know them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from changecapture.catalogue import mysql, postgresql
from changecapture.core.catalogue import Action, Catalogue, Column, Engine, ForeignKey, Table
from changecapture.errors import ConfigError
from changecapture.sql import read_statements

Rows = Sequence[Sequence[Any]]

_READERS = {"postgresql": postgresql, "mysql": mysql}


def read_catalogue(connection: Any, engine: Engine) -> Catalogue:
    """Return the catalogue of the database that a connection has chosen.

    ``connection`` is psycopg's or PyMySQL's, with rows as tuples. It is only read; a transaction
    that this begins is the caller's to end. Raises ConfigError when no schema is chosen.
    """
    reader = _READERS[engine]
    statements = read_statements("changecapture.catalogue", f"{engine}.sql")
    cursor = connection.cursor()
    try:
        answers = {name: _fetch(cursor, text) for name, text in statements.items()}
    finally:
        cursor.close()
    database, schema, server = answers["server"][0]
    if not schema:
        raise ConfigError(
            "no tables to look at: the connection has no schema",
            why=f"the search_path of database {database} names none that exists",
            mend="name the application's database in the URL, or set the role's search_path",
        )
    return Catalogue(
        engine=engine,
        database=database,
        schema=schema,
        server=server,
        tables=_assemble(
            answers["tables"],
            reader.read_columns(answers["columns"], server),
            answers["keys"],
            reader.read_foreign_keys(answers),
        ),
    )


def _fetch(cursor: Any, statement: str) -> Rows:
    cursor.execute(statement)
    rows: Rows = cursor.fetchall()
    return rows


def _assemble(
    tables: Rows,
    columns: Iterable[tuple[str, Column]],
    keys: Rows,
    foreign_keys: Rows,
) -> dict[str, Table]:
    """Return the tables by name, each with what the other answers say of it."""
    columns_of: defaultdict[str, list[Column]] = defaultdict(list)
    for table, column in columns:
        columns_of[table].append(column)
    primary, uniques = _group_keys(keys)
    references = _group_foreign_keys(foreign_keys)
    return {
        name: Table(
            name=name,
            columns=tuple(columns_of[name]),
            primary_key=primary.get(name, ()),
            uniques=tuple(sorted(uniques[name])),
            foreign_keys=tuple(references[name]),
            storage=storage or "",
            collation=collation or "",
            inherited=bool(inherited),
        )
        for name, storage, collation, inherited in tables
    }


def _group_keys(
    rows: Rows,
) -> tuple[dict[str, tuple[str, ...]], defaultdict[str, set[tuple[str, ...]]]]:
    """Return the primary key of each table, and its other unique indexes.

    An index with a part that is no whole column (None) is dropped: no columns are unique by it.
    """
    indexes: defaultdict[tuple[str, str, bool], list[str | None]] = defaultdict(list)
    for table, index, is_primary, column in rows:
        indexes[table, index, bool(is_primary)].append(column)
    primary: dict[str, tuple[str, ...]] = {}
    uniques: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for (table, _, is_primary), parts in indexes.items():
        columns = tuple(part for part in parts if part is not None)
        if len(columns) < len(parts):
            continue
        if is_primary:
            primary[table] = columns
        else:
            uniques[table].add(columns)
    return primary, uniques


def _group_foreign_keys(rows: Rows) -> defaultdict[str, list[ForeignKey]]:
    """Return the foreign keys of each table, by name; a row is one column of a key."""
    pairs: defaultdict[tuple[str, str, str, Action, Action], list[tuple[str, str]]]
    pairs = defaultdict(list)
    for table, name, column, target, target_column, on_delete, on_update in rows:
        pairs[table, name, target, on_delete, on_update].append((column, target_column))
    grouped: defaultdict[str, list[ForeignKey]] = defaultdict(list)
    for (table, name, target, on_delete, on_update), columns in pairs.items():
        grouped[table].append(
            ForeignKey(
                name=name,
                columns=tuple(here for here, _ in columns),
                target=target,
                target_columns=tuple(there for _, there in columns),
                on_delete=on_delete,
                on_update=on_update,
            )
        )
    return grouped
