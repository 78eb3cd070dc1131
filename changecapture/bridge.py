"""The bridge: what the application did to the tables of a mapping, as changes of common rows.

A captured change of a mapped table makes its record dirty, no more. The record's common rows are made of the
application's rows as they are now (``lens.get``) and compared with those of what was last shown; the columns
that differ become entries. So an edit is shipped once, and what only looks different here is not shipped.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from changecapture.core.change import Entry, Row, Version
from changecapture.core.codec import KEY_LENGTH
from changecapture.core.fit import text_length
from changecapture.core.table import Identity, SyncedTable
from changecapture.mapping.difference import (
    Difference,
    Known,
    derived_key,
    find_difference,
    merge_known,
    read_parts,
)
from changecapture.mapping.lens import Parts, get, local_key, put, shorten
from changecapture.mapping.model import KEY, Lens, Record
from changecapture.mapping.narrow import narrow
from changecapture.store.interface import Store

ReadLocal = Callable[[Store, Collection[Row]], Mapping[Row, dict[str, Any]]]
"""Reads rows of the application as they are now: wire names, canonical values, references as keys."""


Widths = Mapping[str, Mapping[str, int]]
"""{table of the application: {column: most characters of it}}."""


class Subject(NamedTuple):
    """A record: the position of its kind in the mapping, and its key."""

    kind: int
    key: str


class Crossed(NamedTuple):
    """What the application did to a common row of a record, when, and what is known of the row."""

    subject: Subject
    difference: Difference
    at: int
    version: Version | None


def common_table(name: str, scope: str) -> SyncedTable:
    """Return what stands for a common table where the application has none: entries need its name."""
    return SyncedTable(name, scope, (), Identity("natural"), ())


def crossing_tables(store: Store) -> frozenset[str]:
    """Return the tables here (wire names) whose rows travel as common rows."""
    return frozenset() if store.mapping is None else store.mapping.local_tables


def exchanged_tables(store: Store) -> frozenset[str]:
    """Return the wire names of the tables whose rows this site shows and others may have too."""
    common = () if store.mapping is None else store.mapping.common_tables
    return (frozenset(store.tables_by_wire) - crossing_tables(store)).union(common)


def local_subjects(lens: Lens, row: Row) -> list[Subject]:
    """Return the records that a row of the application belongs to."""
    found: list[Subject] = []
    for kind, record in enumerate(lens.records):
        for part in record.local:
            key = _record_key(part.key, row.key) if part.table == row.table else None
            if key is not None and not record.stays(key):
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
    store: Store, lens: Lens, dirty: Mapping[Row, int], read_local: ReadLocal, *, whole: bool = False
) -> list[Crossed]:
    """Return what the application did to common rows. ``dirty``: {row of the application: when}. Nothing is
    written: who publishes it says to which records the rows belong (``keep_hanging``).

    Of a record that is known, and is here, only what these rows concern is looked at; all if ``whole``.
    """
    when: dict[Subject, int] = {}
    touched: dict[Subject, set[str]] = defaultdict(set)
    for row, at in dirty.items():
        for subject in local_subjects(lens, row):
            when[subject] = max(at, when.get(subject, 0))
            touched[subject].update(name for name, own in local_rows(lens, subject).items() if own == row)
    records = {subject: lens.records[subject.kind] for subject in when}
    rows = find_common_rows(store, records)
    asked = {row for each in rows.values() for row in each}
    versions = store.read_versions(asked)
    if not whole:
        records |= _narrow_known(records, versions, touched)
    local = _read_records(store, lens, records, read_local)
    rows = {s: common_rows(record, s.key, rows[s]) for s, record in records.items()}
    entries = read_applied(store, versions.keys() & {row for each in rows.values() for row in each})
    known = know(records, rows, {row: merge_known(found) for row, found in entries.items() if found})
    parked = store.read_parked({row for places in local.values() for row, _ in places.values()})
    widths = read_widths(store, lens)
    found: list[tuple[Subject, Difference]] = []
    for subject, at in when.items():
        now: Parts = {name: columns for name, (_, columns) in local[subject].items()}
        unshown = {name for name, (row, _) in local[subject].items() if row in parked} if parked else set()
        changes = _compare(widths, records[subject], subject.key, known[subject], now, unshown, _datetime(at))
        found += ((subject, change) for change in changes)
    versions |= store.read_versions({d.row for _, d in found} - asked)
    return [Crossed(subject, d, when[subject], versions.get(d.row)) for subject, d in found]


def _narrow_known(
    records: Mapping[Subject, Record],
    versions: Mapping[Row, Version],
    touched: Mapping[Subject, set[str]],
) -> dict[Subject, Record]:
    """Return the records that live in the log, narrowed to the rows that were touched."""
    things = {s: [Row(part.table, s.key) for part in r.thing] for s, r in records.items() if r.thing}
    dead = {row for row, version in versions.items() if not version.alive}
    return {
        subject: narrow(records[subject], frozenset(touched[subject]))
        for subject, rows in things.items()
        if rows[0] in versions and dead.isdisjoint(rows)
    }


def _read_records(
    store: Store, lens: Lens, records: dict[Subject, Record], read_local: ReadLocal
) -> dict[Subject, dict[str, tuple[Row, dict[str, Any] | None]]]:
    """Return {part: (row of the application, its columns)} of records. One that turns out to have no anchor
    ends: it is looked at whole."""
    places = {subject: record_rows(record, subject.key) for subject, record in records.items()}
    found = read_local(store, {row for rows in places.values() for row in rows.values()})
    gone = {
        subject: lens.records[subject.kind]
        for subject, record in records.items()
        if places[subject][record.anchor.name] not in found and record is not lens.records[subject.kind]
    }
    if gone:
        records |= gone
        places |= {subject: record_rows(record, subject.key) for subject, record in gone.items()}
        more = {row for subject in gone for row in places[subject].values()} - found.keys()
        found = {**found, **read_local(store, more)}
    return {
        subject: {name: (row, found.get(row)) for name, row in rows.items()}
        for subject, rows in places.items()
    }


def _compare(
    widths: Widths,
    record: Record,
    key: str,
    known: Mapping[tuple[str, str], Known],
    now: Parts,
    unshown: set[str],
    at: str,
) -> Iterable[Difference]:
    parts = read_parts(record, key, known)
    new = parts[record.root.name] is None
    shown = as_shown(widths, record, put(record, parts)) if unshown or not new else {}
    actual = get(record, {**now, **{name: shown[name] for name in unshown}} if unshown else now)
    if new:
        # A part that says no more than that nothing is known is not made.
        alone: Parts = {**dict.fromkeys(record.tables), record.root.name: actual[record.root.name]}
        expected = get(record, as_shown(widths, record, put(record, alone)))
        expected.update({part.name: None for part in (*record.thing, record.root)})
    else:
        expected = get(record, shown)
    if not _needed(record, actual):
        actual = dict.fromkeys(record.tables)
    yield from find_difference(record, key, known, actual, expected, at)


def read_widths(store: Store, lens: Lens) -> Widths:
    """Return how many characters the columns of the application's tables take."""
    tables = {name: store.tables_by_wire.get(name) for name in lens.local_tables}
    return {
        name: {c.wire: n for c in table.columns if c.reference is None and (n := text_length(c)) is not None}
        for name, table in tables.items()
        if table is not None
    }


def as_shown(widths: Widths, record: Record, local: Parts) -> Parts:
    """Return the application's rows as its columns show them: texts cut to their length."""
    shown: Parts = {}
    for part in record.local:
        columns, lengths = local[part.name], widths.get(part.table, {})
        shown[part.name] = columns and {
            name: shorten(value, lengths.get(name)) for name, value in columns.items()
        }
    return shown


def _needed(record: Record, parts: Parts) -> bool:
    return all((parts.get(p.part) or {}).get(p.column) is not None for p in record.needs)


def _datetime(at: int) -> str:
    return datetime.fromtimestamp(at // 1_000_000, UTC).replace(tzinfo=None).isoformat()


def local_rows(lens: Lens, subject: Subject) -> dict[str, Row]:
    """Return {part: row of the application} of a record."""
    return record_rows(lens.records[subject.kind], subject.key)


def record_rows(record: Record, key: str) -> dict[str, Row]:
    """Return {part: row of the application} of a record, or of what it was narrowed to."""
    return {part.name: Row(part.table, local_key(part, key)) for part in record.local}


def find_subjects(lens: Lens, records: Mapping[Row, Iterable[str | None]]) -> dict[Subject, list[Row]]:
    """Return the records that common rows belong to, with those; ``records``: the keys of those that they
    hang on."""
    things = [{part.table for part in record.thing} for record in lens.records]
    hanging = [{part.table for part in record.common if part.parent} for record in lens.records]
    found: dict[Subject, list[Row]] = defaultdict(list)
    for row in sorted(records):
        for kind, record in enumerate(lens.records):
            keys = [row.key] if row.table in things[kind] else []
            if row.table in hanging[kind]:
                keys += sorted(key for key in records[row] if key is not None and key not in keys)
            for key in keys:
                if not record.stays(key):
                    found[Subject(kind, key)].append(row)
    return found


def record_subjects(store: Store, lens: Lens, kind: int, roots: Collection[Row]) -> list[Subject]:
    """Return the records of a kind that have these roots."""
    if lens.records[kind].root.parent:
        keys: Iterable[str] = store.read_records(roots).values()
    else:
        keys = [row.key for row in roots]
    return [Subject(kind, key) for key in keys if not lens.records[kind].stays(key)]


def hanging(lens: Lens, rows: Iterable[tuple[Row, Mapping[str, Any]]]) -> dict[Row, str]:
    """Return which record rows hang on, of those whose columns say it."""
    found: dict[Row, str] = {}
    for row, columns in rows:
        part = lens.hanging.get(row.table)
        key = None if part is None else part.record_key(columns)
        if key is not None and 0 < len(key) <= KEY_LENGTH and "\0" not in key:
            found[row] = key
    return found


def keep_hanging(store: Store, lens: Lens, found: Iterable[Crossed]) -> None:
    """Keep which records the common rows hang on that an application made or moved."""
    store.write_mapped(hanging(lens, ((item.difference.row, item.difference.columns) for item in found)))


def common_rows(record: Record, key: str, hung: Iterable[Row]) -> list[Row]:
    """Return the common rows that a record may be made of; ``hung``: rows that refer to it."""
    tables = {part.table for part in record.common if part.parent}
    own = [Row(part.table, key) for part in record.thing]
    # What was made for the record may have moved to another one: then it is not to be written again.
    made = [p for p in record.common if p.parent and (p is record.root or p.latest is not None)]
    rows = [*own, *(Row(part.table, derived_key(part, key)) for part in made)]
    return list(dict.fromkeys([*rows, *(row for row in hung if row.table in tables)]))


def find_common_rows(store: Store, records: Mapping[Subject, Record]) -> dict[Subject, list[Row]]:
    """Return the common rows that records may be made of."""
    hung = store.read_mapped({subject.key for subject in records})
    return {
        subject: common_rows(record, subject.key, hung.get(subject.key, ()))
        for subject, record in records.items()
    }


def read_applied(store: Store, rows: Iterable[Row]) -> dict[Row, list[Entry]]:
    """Return the applied entries of rows."""
    wanted = set(rows)
    logged = store.read_row_entries(wanted) if wanted else {}
    return {row: [entry for entry, applied in found if applied] for row, found in logged.items()}


def know(
    records: Mapping[Subject, Record],
    rows: Mapping[Subject, Sequence[Row]],
    merged: Mapping[Row, Known],
) -> dict[Subject, dict[tuple[str, str], Known]]:
    """Return the common rows of records, of which these are the rows, and what they are merged to."""
    return {subject: _gather(records[subject], subject.key, own, merged) for subject, own in rows.items()}


def _gather(
    record: Record, key: str, rows: Iterable[Row], merged: Mapping[Row, Known]
) -> dict[tuple[str, str], Known]:
    found: dict[tuple[str, str], Known] = {row: merged[row] for row in rows if row in merged}
    thing = [row for part in record.thing if (row := (part.table, key)) in found]
    if len(thing) > 1:
        word = max(found[row].word for row in thing)
        found |= {row: found[row]._replace(word=word) for row in thing}
    return found
