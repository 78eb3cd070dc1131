"""Export: the rows of a site, as they are merged, into a file.

What is captured is published first; then all is read in one snapshot, a page at a time. Parked rows are in
it: they are known, only not shown here. A file is complete or not there: it is written beside its place and
then renamed.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shutil import rmtree

from changecapture.apply import drain
from changecapture.bridge import crossing_tables
from changecapture.core.change import ALIVE, Entry, Row
from changecapture.core.merge import find_words, merge_entries
from changecapture.core.pages import walk
from changecapture.core.table import SyncedTable
from changecapture.core.vector import dump_vector
from changecapture.errors import ConfigError
from changecapture.patience import patiently
from changecapture.record.lines import LinesForm
from changecapture.record.model import Column, Form, Head, Record, Written
from changecapture.record.sheets import write_sheets
from changecapture.record.xml import XmlForm
from changecapture.store.sqlstore import SqlStore

PAGE = 500
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported: tables, rows written last from ``since`` to before ``until`` (stamps), deleted
    rows too."""

    modules: Collection[str] = ()
    tables: Collection[str] = ()
    since: int | None = None
    until: int | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """``records``: how many of each table are in the file; ``parked``: how many of all are not shown here."""

    records: dict[str, int]
    parked: int


def export_rows(
    store: SqlStore, path: Path, form: str, wanted: Wanted, progress: Progress | None = None
) -> Exported:
    """Write a file; return what is in it.

    Raises ConfigError where a table or module is not synced, or the file cannot be written.
    """
    tables = find_tables(store, wanted)
    patiently(partial(drain, store))
    written: dict[str, int] = {}
    parked = 0
    with store.snapshot():
        site = store.read_site()
        vector = dump_vector(store.read_vector())
        now = store.read_clock()
        head = Head(site.origin, site.epoch, site.profile, now, wanted.since, wanted.until, vector)
        with _open_form(path, form, head) as out:
            for done, table in enumerate(tables):
                if progress is not None:
                    progress("tables exported", done, len(tables))
                number, hidden = _write_table(store, table, wanted, out, store.read_parked_keys(table.wire))
                written[table.wire], parked = number, parked + hidden
    if progress is not None:
        progress("tables exported", len(tables), len(tables))
    return Exported({table: number for table, number in written.items() if number}, parked)


def find_tables(store: SqlStore, wanted: Wanted) -> list[SyncedTable]:
    """Return the tables of the modules and names, all where none are given, parents first."""
    known = sorted(store.tables_by_wire.values(), key=lambda table: store.ranks[table.name])
    names, modules = {name.lower() for name in wanted.tables}, set(wanted.modules)
    for name in names - store.tables_by_wire.keys():
        raise ConfigError(f"{name} is not synced", mend="changecapture plan lists the tables")
    scopes = {table.scope for table in known}
    for module in modules - scopes:
        raise ConfigError(f"there is no module {module}", mend=f"there are {', '.join(sorted(scopes))}")
    chosen = [
        table for table in known if table.wire in names or table.scope in modules or not (names or modules)
    ]
    for table in chosen:
        if table.wire in crossing_tables(store):
            raise ConfigError(
                f"{table.name} travels as rows of Eden's: nothing of it is exported here",
                mend="export at an Eden that has it, or name other tables here",
            )
    return chosen


@contextmanager
def _open_form(path: Path, form: str, head: Head) -> Iterator[Form]:
    beside = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        if form == "csv":
            if path.is_dir() and any(path.iterdir()):
                raise ConfigError(
                    f"{path} is not empty", mend="name a new folder, or a file that ends in .zip"
                )
            with write_sheets(beside, head) as sheets:
                yield sheets
        else:
            with beside.open("w", encoding="utf-8", newline="\n") as file:
                out: Form = XmlForm(file, head) if form == "xml" else LinesForm(file, head)
                yield out
                out.close()
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}", why=error.strerror or str(error)) from error
    finally:
        if beside.is_dir():
            rmtree(beside)
        beside.unlink(missing_ok=True)


def _write_table(
    store: SqlStore, table: SyncedTable, wanted: Wanted, out: Form, parked: Collection[str]
) -> tuple[int, int]:
    """Write the rows of a table; return how many, and how many of them are parked."""
    written = hidden = 0
    for record in read_records(store, table, wanted):
        if not written:
            out.begin_table(table.wire, table.scope, describe_columns(table))
        out.write(record)
        written += 1
        hidden += record.key in parked
    return written, hidden


def describe_columns(table: SyncedTable) -> dict[str, Column]:
    """Return what a file says of the columns of a table, by wire name."""
    return {
        column.wire: Column(
            "text" if column.reference is not None else column.kind,
            column.reference.table.lower() if column.reference is not None else "",
        )
        for column in table.columns
    }


def read_records(store: SqlStore, table: SyncedTable, wanted: Wanted) -> Iterator[Record]:
    """Yield the rows of a table, in order of their keys."""
    find = partial(store.read_known_keys, table.wire, deleted=wanted.deleted, since=wanted.since)
    for keys in walk(find, str, "", PAGE):
        names = {column.wire for column in table.columns}
        for record in merge_records(store, [Row(table.wire, key) for key in keys]):
            if _is_wanted(record, wanted):
                values = {name: value for name, value in record.values.items() if name in names}
                yield replace(record, values=values)


def merge_records(store: SqlStore, rows: Sequence[Row]) -> list[Record]:
    """Return the records of rows, by their names, of which anything is known still."""
    entries, members = store.read_row_entries(rows), store.read_members(rows)
    return [
        _merge(row, [entry for entry, _ in entries[row]], members.get(row, ()))
        for row in rows
        if row in entries
    ]


def _merge(row: Row, entries: Sequence[Entry], keys: Sequence[str]) -> Record:
    """``keys``: all of a joined row. The record is of one under which it exists, its name if it can be."""
    merged, key = merge_entries(entries), row.key
    living = {other: word for other, word in find_words(entries).items() if word.value} if keys else {}
    if living:
        key = min(living)
        merged[ALIVE] = living[key]
    alive = merged.pop(ALIVE, None)
    cells = {**merged, **({ALIVE: alive} if alive is not None else {})}
    latest = max((cell.entry for cell in cells.values()), key=lambda entry: entry.order)
    return Record(
        row.table,
        key,
        {column: merged[column].value for column in sorted(merged)},
        alive is None or bool(alive.value),
        Written(latest.stamp, latest.name),
        {
            column: Written(cell.entry.stamp, cell.entry.name)
            for column, cell in sorted(cells.items())
            if cell.entry.name != latest.name
        },
        [other for other in keys if other != key],
    )


def _is_wanted(record: Record, wanted: Wanted) -> bool:
    stamp = record.written.stamp or 0
    return (
        (record.alive or wanted.deleted)
        and (wanted.since is None or stamp >= wanted.since)
        and (wanted.until is None or stamp < wanted.until)
    )
