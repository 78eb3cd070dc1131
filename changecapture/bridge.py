"""The bridge: what the application did to the tables of a mapping, as changes of common rows.

A captured change of a mapped table makes its record dirty, no more. The record's common rows are made of the
application's rows as they are now (``lens.get``) and compared with those of what was last shown; the columns
that differ become entries. So an edit is shipped once, and what only looks different here is not shipped.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from changecapture.core.change import ALIVE, Entry, Row
from changecapture.core.fit import text_length
from changecapture.core.merge import merge_entries
from changecapture.core.table import Identity, SyncedTable
from changecapture.mapping.lens import (
    Difference,
    Known,
    Parts,
    find_difference,
    get,
    local_key,
    put,
    read_parts,
    shorten,
)
from changecapture.mapping.model import KEY, Record
from changecapture.mapping.model import Mapping as Lens
from changecapture.store.interface import Store

ReadLocal = Callable[[Store, Collection[Row]], Mapping[Row, dict[str, Any]]]
"""Reads rows of the application as they are now: wire names, canonical values, references as keys."""


class Subject(NamedTuple):
    """A record: the position of its kind in the mapping, and its key."""

    kind: int
    key: str


def common_table(name: str, scope: str) -> SyncedTable:
    """Return what stands for a common table where the application has none: entries need its name."""
    return SyncedTable(name, scope, (), Identity("natural"), ())


def local_subjects(lens: Lens, row: Row) -> list[Subject]:
    """Return the records that a row of the application belongs to."""
    found: list[Subject] = []
    for kind, record in enumerate(lens.records):
        for part in record.local:
            key = _record_key(part.key, row.key) if part.table == row.table else None
            if key is not None and key not in record.skip:
                found.append(Subject(kind, key))
    return list(dict.fromkeys(found))


def _record_key(form: tuple[str, ...], key: str) -> str | None:
    if form == (KEY,):
        return key
    items = json.loads(key)
    if len(items) != len(form) or any(a not in (KEY, b) for a, b in zip(form, items, strict=True)):
        return None
    return str(items[form.index(KEY)])


def find_changes(
    store: Store, lens: Lens, dirty: Mapping[Row, int], read_local: ReadLocal
) -> list[tuple[Difference, int]]:
    """Return what the application did to common rows, each with when. ``dirty``: {row: when}."""
    when: dict[Subject, int] = {}
    for row, at in dirty.items():
        for subject in local_subjects(lens, row):
            when[subject] = max(at, when.get(subject, 0))
    known = read_known(store, lens, when)
    places = {subject: local_rows(lens, subject) for subject in when}
    wanted = {row for rows in places.values() for row in rows.values()}
    local = read_local(store, wanted)
    parked = store.read_parked(wanted)
    found: list[tuple[Difference, int]] = []
    for subject, at in when.items():
        rows = places[subject]
        now: Parts = {name: local.get(row) for name, row in rows.items()}
        unshown = {name for name, row in rows.items() if row in parked}
        found += ((d, at) for d in _compare(store, lens, subject, known[subject], now, unshown, at))
    store.write_mapped(hanging(lens, ((Row(d.part.table, d.key), d.columns) for d, _ in found)))
    return found


def _compare(
    store: Store,
    lens: Lens,
    subject: Subject,
    known: Mapping[tuple[str, str], Known],
    now: Parts,
    unshown: set[str],
    at: int,
) -> Iterable[Difference]:
    record = lens.records[subject.kind]
    parts = read_parts(record, subject.key, known)
    shown = as_shown(store, record, put(lens, record, parts))
    now = {**now, **{name: shown[name] for name in unshown}}
    actual = get(lens, record, now)
    if parts[record.root.name] is None:
        # New: a part that says no more than that nothing is known is not made.
        root = actual[record.root.name]
        alone = {part.name: None for part in record.common} | {record.root.name: root}
        expected = get(lens, record, as_shown(store, record, put(lens, record, alone)))
        expected.update({part.name: None for part in record.thing})
    else:
        expected = get(lens, record, shown)
    if not _needed(record, actual):
        actual = {part.name: None for part in record.common}
    yield from find_difference(lens, record, subject.key, known, actual, expected, _datetime(at))


def as_shown(store: Store, record: Record, local: Parts) -> Parts:
    """Return the application's rows as its columns show them: texts cut to their length."""
    shown: Parts = {}
    for part in record.local:
        columns = local[part.name]
        table = store.tables_by_wire.get(part.table)
        if columns is None or table is None:
            shown[part.name] = columns
            continue
        lengths = {c.wire: text_length(c) for c in table.columns if c.reference is None}
        shown[part.name] = {name: shorten(value, lengths.get(name)) for name, value in columns.items()}
    return shown


def _needed(record: Record, parts: Parts) -> bool:
    return all((parts.get(p.part) or {}).get(p.column) is not None for p in record.needs)


def _datetime(at: int) -> str:
    return datetime.fromtimestamp(at // 1_000_000, UTC).replace(tzinfo=None).isoformat()


def local_rows(lens: Lens, subject: Subject) -> dict[str, Row]:
    """Return {part: row of the application} of a record."""
    record = lens.records[subject.kind]
    return {part.name: Row(part.table, local_key(part, subject.key)) for part in record.local}


def hanging(lens: Lens, rows: Iterable[tuple[Row, Mapping[str, Any]]]) -> dict[Row, str]:
    """Return which record rows hang on, of those whose columns say it."""
    parents = {part.table: part.parent for record in lens.records for part in record.common if part.parent}
    found: dict[Row, str] = {}
    for row, columns in rows:
        key = columns.get(parents.get(row.table, ""))
        if isinstance(key, str):
            found[row] = key
    return found


def common_rows(lens: Lens, subject: Subject, hung: Mapping[str, Iterable[Row]]) -> list[Row]:
    """Return the common rows that a record may be made of; ``hung``: {its key: rows that refer to it}."""
    record = lens.records[subject.kind]
    tables = {part.table for part in record.common if part.parent is not None}
    own = [Row(part.table, subject.key) for part in record.thing]
    return [*own, *(row for row in hung.get(subject.key, ()) if row.table in tables)]


def read_known(
    store: Store, lens: Lens, subjects: Collection[Subject]
) -> dict[Subject, dict[tuple[str, str], Known]]:
    """Return the merged common rows of records."""
    hung = store.read_mapped({subject.key for subject in subjects})
    rows = {subject: common_rows(lens, subject, hung) for subject in subjects}
    logged = store.read_row_entries({row for each in rows.values() for row in each})
    entries = {row: [entry for entry, applied in found if applied] for row, found in logged.items()}
    return {
        subject: _merge(lens.records[subject.kind], subject.key, rows[subject], entries) for subject in rows
    }


def _merge(
    record: Record, key: str, rows: Iterable[Row], entries: Mapping[Row, list[Entry]]
) -> dict[tuple[str, str], Known]:
    thing = {Row(part.table, key) for part in record.thing}
    word = merge_entries(entry for row in thing for entry in entries.get(row, ())).get(ALIVE)
    found: dict[tuple[str, str], Known] = {}
    for row in rows:
        merged = merge_entries(entries.get(row, ()))
        alive = merged.pop(ALIVE, None)
        if row in thing and row in entries:
            alive = word
        if merged or alive is not None:
            values = {column: cell.value for column, cell in merged.items()}
            orders = {column: cell.entry.order for column, cell in merged.items()}
            found[row] = Known(alive is not None and bool(alive.value), values, orders)
    return found
