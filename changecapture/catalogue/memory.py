"""How SQLite's catalogue reads, for the store in memory: what it says of the application's tables."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from changecapture.core.catalogue import Action, Catalogue, Column, ForeignKey, Table

Query = Callable[[str], Sequence[Sequence[Any]]]
ACTIONS: dict[str, Action] = {
    "NO ACTION": "no action",
    "RESTRICT": "restrict",
    "CASCADE": "cascade",
    "SET NULL": "set null",
    "SET DEFAULT": "set default",
}


def read_catalogue(query: Query, own: str) -> Catalogue:
    """Return the catalogue; tables whose names begin with ``own`` are ours."""
    names = [name for (name,) in query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    tables = {n: _read_table(query, n) for n in names if not n.startswith((own, "sqlite_"))}
    return Catalogue(engine="memory", database="memory", schema="main", server="", tables=tables)


def _read_table(query: Query, name: str) -> Table:
    rows = query(f'PRAGMA table_info("{name}")')
    key = [column for _, column, *_, place in sorted(rows, key=lambda row: row[5]) if place]
    return Table(
        name=name,
        columns=tuple(_make_column(row, alone=key == [row[1]]) for row in rows),
        primary_key=tuple(key),
        uniques=tuple(sorted(_read_uniques(query, name))),
        foreign_keys=tuple(_read_foreign_keys(query, name)),
    )


def _make_column(row: Sequence[Any], *, alone: bool) -> Column:
    _, name, type_, required, default, place = row
    kind = "integer" if type_.lower().startswith("int") else "text"
    automatic = type_.lower() == "integer" and bool(place) and alone  # a name of the rowid
    return Column(name, type_.lower(), kind, not (required or place), default, automatic)


def _read_uniques(query: Query, name: str) -> Iterator[tuple[str, ...]]:
    for _, index, unique, origin, partial in query(f'PRAGMA index_list("{name}")'):
        if unique and origin != "pk" and not partial:
            yield tuple(column for _, _, column in query(f'PRAGMA index_info("{index}")'))


def _read_foreign_keys(query: Query, name: str) -> Iterator[ForeignKey]:
    for number, _, target, column, to, on_update, on_delete, _ in query(f'PRAGMA foreign_key_list("{name}")'):
        yield ForeignKey(f"{name}_{number}", (column,), target, (to,), ACTIONS[on_delete], ACTIONS[on_update])
