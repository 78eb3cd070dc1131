"""Compares a mapping with a database: what it names and the database lacks, each with its line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from changecapture.core.catalogue import Catalogue
from changecapture.mapping.lines import Lines
from changecapture.mapping.model import Lens, Record
from changecapture.mapping.parts import Carried, Common, Local, Place


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: in which line, what."""

    line: int
    what: str


def check_mapping(mapping: Lens, text: str, catalogue: Catalogue) -> list[Finding]:
    """Return what is wrong with a mapping at a database: of the application, or of Eden.

    Which of the two it is shows from the tables that are there.
    """
    tables = {name.lower() for name in catalogue.tables}
    local = len(mapping.local_tables & tables) >= len(mapping.common_tables.keys() & tables)
    lines = Lines(text, "")
    return [
        finding
        for number, record in enumerate(mapping.records)
        for finding in _check_record(lines, number, record, mapping.title, catalogue, local)
    ]


def _check_record(
    lines: Lines, number: int, record: Record, title: str, catalogue: Catalogue, local: bool
) -> Iterator[Finding]:
    kind = "local" if local else "common"
    tables: dict[str, str] = {}
    by_name = {name.lower(): table for name, table in catalogue.tables.items()}
    parts: Sequence[Local | Common] = record.local if local else record.common
    for n, part in enumerate(parts):
        tables[part.name] = part.table
        line = lines.find((number, kind, n), "table")
        if part.table not in by_name:
            if not (isinstance(part, Common) and part.optional):
                yield Finding(line, f"{catalogue.database} has no table {part.table}")
            continue
        for key, columns in _named(part):
            for column in columns:
                if by_name[part.table].column(column) is None:
                    yield Finding(lines.find((number, kind, n), key), f"{part.table} has no column {column}")
    for n, pair in enumerate(record.pairs):
        for place in (pair.local,) if local else (*pair.common, *pair.copies):
            if not _is_ours(title, place):
                yield from _check_place(lines, (number, "column", n), kind, place, tables, catalogue)
    for carried in record.carried if local else ():
        yield from _check_place(lines, (number, "", 0), "carried", carried, tables, catalogue)


def _is_ours(title: str, place: Place) -> bool:
    """Return whether a common column is none of Eden's: it travels under the mapping's name."""
    return place.column.startswith((f"{title}:", f"{title}_"))


def _named(part: Local | Common) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the columns that a part names itself, with the key that names them."""
    yield "set", tuple(dict(part.set))
    if isinstance(part, Common):
        yield "parent", part.parent
        yield "match", tuple(dict(part.match))
        yield "latest", () if part.latest is None else (part.latest,)


def _check_place(
    lines: Lines,
    where: tuple[int, str, int],
    key: str,
    place: Place | Carried,
    tables: dict[str, str],
    catalogue: Catalogue,
) -> Iterator[Finding]:
    name = next((name for name in catalogue.tables if name.lower() == tables[place.part]), None)
    if name is not None and catalogue.tables[name].column(place.column) is None:
        yield Finding(lines.find(where, key), f"{name} has no column {place.column}")
