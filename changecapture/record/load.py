"""Import: records of a file into a site, as the merge would decide (decide.py).

What is written becomes entries of this site with the stamps of the file, and goes the way of entries that
were received: rows that cannot be shown are parked, references wait for the rows that they name, and other
sites get it like any change. In transactions of a bounded size; run again after an interruption it goes on,
since what is here is not written again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from changecapture.apply import apply_own, drain, join, retry
from changecapture.apply.aliases import why_apart
from changecapture.author import Author
from changecapture.bridge import crossing_tables
from changecapture.core.alias import make_alias
from changecapture.core.change import ALIVE, FROM, Entry, Row, Version
from changecapture.core.merge import Cell, Conflict
from changecapture.core.table import SyncedTable
from changecapture.core.vector import Vector, load_vector
from changecapture.errors import ConfigError, PeerError
from changecapture.faults import explain, isolate
from changecapture.identify import find_joined
from changecapture.patience import patiently
from changecapture.record.decide import Decided, decide
from changecapture.record.fit import fit, list_carried
from changecapture.record.lines import read_lines
from changecapture.record.model import Head, Items, Record, Refused
from changecapture.record.sheets import read_sheets
from changecapture.record.xml import read_xml
from changecapture.store.sqlstore import SqlStore

BATCH = 500
"""Records in one transaction."""
BATCH_CHARACTERS = 4 * 1024 * 1024
NOTED = 100
"""Refused and parked records that are named; the others are counted."""
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Loaded:
    """What came of an import. ``carried``: columns that this site does not have, kept in the log.
    ``refused``: (place, why)."""

    records: int = 0
    written: int = 0
    same: int = 0
    older: int = 0
    conflicts: int = 0
    parked: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    refusals: int = 0
    carried: set[str] = field(default_factory=set)

    def refuse(self, place: str, why: str) -> None:
        """Note a record that was not taken."""
        self.refusals += 1
        if len(self.refused) < NOTED:
            self.refused.append((place, why))


def import_rows(store: SqlStore, path: Path, progress: Progress | None = None) -> Loaded:
    """Take the records of a file. Raises ConfigError when it is none, or of another application."""
    loaded = Loaded()
    places: dict[Row, str] = {}
    with _open_records(store, path) as (head, items):
        _check_head(store, head)
        seen = _read_vector(head)
        for batch in _cut(items, loaded):
            _take_apart(store, batch, seen, loaded, places)
            if progress is not None:
                progress("records", loaded.records, 0)
    if places:
        patiently(partial(retry, store))
    _note_parked(store, places, loaded)
    return loaded


@contextmanager
def _open_records(store: SqlStore, path: Path) -> Iterator[tuple[Head, Items]]:
    try:
        if path.is_dir():
            yield read_sheets(path, partial(_find_kind, store))
            return
        with path.open("rb") as file:
            first = file.read(4)
        if not first:
            raise ConfigError(f"{path} is empty", why="it was not written, or not copied, to its end")
        if first.startswith(b"PK"):
            yield read_sheets(path, partial(_find_kind, store))
        elif first.lstrip(b"\xef\xbb\xbf \n").startswith(b"<"):
            with path.open("rb") as file:
                yield read_xml(file)
        else:
            with path.open(encoding="utf-8-sig") as text:
                yield read_lines(text)
    except OSError as error:
        raise ConfigError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8", why=str(error)) from None


def _find_kind(store: SqlStore, wire: str, column: str) -> str:
    table = store.tables_by_wire.get(wire)
    if table is not None:
        for own in table.columns:
            if own.wire == column:
                return "text" if own.reference is not None else own.kind
    return ""


def _check_head(store: SqlStore, head: Head) -> None:
    profile = store.read_site().profile
    if head.profile and head.profile != profile:
        raise ConfigError(
            f"the file is of the application {head.profile}, this database of {profile}",
            mend="import it where it belongs",
        )


def _read_vector(head: Head) -> Vector:
    try:
        return load_vector(head.vector)
    except PeerError as error:
        raise ConfigError("the head of the file cannot be read", why=str(error)) from None


def _cut(items: Items, loaded: Loaded) -> Iterator[list[Record]]:
    """Yield records in batches that one transaction takes; count them and what is none."""
    batch: list[Record] = []
    size = 0
    for item in items:
        loaded.records += 1
        if isinstance(item, Refused):
            loaded.refuse(item.place, item.why)
            continue
        batch.append(item)
        size += sum(len(value) for value in item.values.values() if isinstance(value, str))
        if len(batch) >= BATCH or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _take_apart(
    store: SqlStore, batch: Sequence[Record], seen: Vector, loaded: Loaded, places: dict[Row, str]
) -> None:
    """Take a batch in one transaction, or in several where a record raises what nobody foresaw: that one is
    refused."""

    def take(part: Sequence[Record]) -> None:
        patiently(partial(take_records, store, part, seen, loaded, places))

    def refuse(record: Record, error: Exception) -> None:
        loaded.refuse(record.place, ": ".join(explain(error)))

    if batch:
        isolate(batch, take, refuse)


def take_records(
    store: SqlStore,
    batch: Sequence[Record],
    seen: Vector,
    loaded: Loaded,
    places: dict[Row, str],
    *,
    lost: bool = True,
) -> None:
    """Write what a batch of records says, in one transaction; note where the rows that are written stand.

    ``seen``: the vector of the site that the records come from. ``lost``: whether values that lose are
    written as well, to be kept; else what wins is written whatever this site's vector says that it holds.
    """
    counts = Loaded()
    with store.lock():
        drain(store)
        store.refresh_tables()
        _join(store, batch)
        named = _name(store, batch, counts)
        rows = [row for row, _, _ in named]
        entries, versions = store.read_row_entries(rows), store.read_versions(rows)
        author, conflicts = Author(store), list[tuple[Row, Conflict]]()
        held, now = store.read_vector() if lost else {}, store.read_clock()
        for row, table, record in named:
            known = [*(entry for entry, _ in entries.get(row, ())), *author.said(row)]
            try:
                found = decide(record, known, held, seen, table.scope, now)
            except ValueError as error:
                counts.refuse(record.place, str(error))
                continue
            if not lost:
                found.drop_older(known)
            counts.older += found.older
            if found.writes:
                conflicts += _write(author, row, table, record, found, known, versions.get(row))
                counts.written += 1
                places[row] = record.place
            else:
                counts.same += 1
        apply_own(store, author, lambda: store.write_conflicts(conflicts))
    counts.conflicts = len(conflicts)
    _add(loaded, counts)


def _join(store: SqlStore, batch: Sequence[Record]) -> None:
    """Make one row of keys that are one where the file comes from."""
    alike = [record for record in batch if record.also and _can_join(store, record.table)]
    names = find_joined(store, [Row(record.table, key) for record in alike for key in record.keys])

    def find_name(wire: str, key: str) -> Row:
        return names.get(row := Row(wire, key), row)

    aliases = {
        make_alias(record.table, record.key, key)
        for record in alike
        for key in record.also
        if find_name(record.table, key) != find_name(record.table, record.key)
    }
    if aliases:
        join(store, aliases)


def _can_join(store: SqlStore, wire: str) -> bool:
    """Return whether rows of a table can be joined here."""
    table = store.tables_by_wire.get(wire)
    return table is not None and wire not in crossing_tables(store) and why_apart(store, table) is None


def _write(
    author: Author,
    row: Row,
    table: SyncedTable,
    record: Record,
    found: Decided,
    known: Sequence[Entry],
    version: Version | None,
) -> list[tuple[Row, Conflict]]:
    """Say of a row what a record says; return what that replaces without its author having seen it."""
    base = 0 if version is None else version.seen
    name = record.find_written(ALIVE).name
    for columns in found.writes.values():
        if table.natural and columns.get(ALIVE) and name is not None and name.origin != author.origin:
            columns[FROM] = name.origin
    return [
        (row, Conflict(column, Cell(entry, columns[column]), found.lost[column]))
        for stamp, columns in sorted(found.writes.items())
        for entry in author.say(
            *(table, row, columns),
            stamp=stamp,
            base=base,
            known=known,
            keys=[record.key] if columns.get(ALIVE, True) else record.keys,
        )
        for column in found.lost.keys() & columns.keys()
        if column not in table.quiet
    ]


def _add(loaded: Loaded, counts: Loaded) -> None:
    """Count a batch once it is durable: it may have been tried before."""
    loaded.written += counts.written
    loaded.same += counts.same
    loaded.older += counts.older
    loaded.conflicts += counts.conflicts
    loaded.carried |= counts.carried
    for place, why in counts.refused:
        loaded.refuse(place, why)


def _name(store: SqlStore, batch: Sequence[Record], loaded: Loaded) -> list[tuple[Row, SyncedTable, Record]]:
    """Return the records that can be taken, each with its row by its name here: several may be one row, if
    they are not joined where the file comes from."""
    found: dict[Row, tuple[Row, SyncedTable, Record]] = {}
    joined = find_joined(store, [Row(record.table, record.key) for record in batch])
    for record in batch:
        table = store.tables_by_wire.get(record.table)
        try:
            if table is None:
                raise ValueError(f"the table {record.table} is not synced here (changecapture plan says why)")
            if record.table in crossing_tables(store):
                raise ValueError(f"{record.table} travels as rows of Eden's: import it at an Eden")
            row = Row(record.table, record.key)
            if row in found:
                raise ValueError(f"{record.key} is the same row as {found[row][2].place}")
            found[row] = joined.get(row, row), table, fit(table, record)
            loaded.carried |= list_carried(table, record)
        except (ValueError, ArithmeticError, TypeError) as error:
            loaded.refuse(record.place, str(error))
    return list(found.values())


def _note_parked(store: SqlStore, places: dict[Row, str], loaded: Loaded) -> None:
    for parked in store.read_parked_rows():
        place = places.get(Row(parked.table, parked.key))
        if place is not None:
            what = f"{parked.table} {parked.key}: {parked.reason}: {parked.detail}"
            loaded.parked.append((place, what))
