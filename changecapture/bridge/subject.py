"""Records and their rows: which rows of the application a record has, and which records a row belongs to."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from changecapture.core.change import Row
from changecapture.core.codec import KEY_LENGTH
from changecapture.mapping.lens import local_key
from changecapture.mapping.model import Lens, Record
from changecapture.mapping.parts import KEY
from changecapture.store.interface import Store


class Subject(NamedTuple):
    """A record: the position of its kind in the mapping, and its key."""

    kind: int
    key: str


def local_parts(lens: Lens, row: Row) -> dict[Subject, list[str]]:
    """Return the records that a row of the application belongs to, and which parts of them it is."""
    found: dict[Subject, list[str]] = {}
    for kind, part in lens.owners.get(row.table, ()):
        key = _record_key(part.key, row.key)
        if key is not None and not lens.records[kind].stays(key):
            found.setdefault(Subject(kind, key), []).append(part.name)
    return found


def _record_key(form: tuple[str, ...], key: str) -> str | None:
    if form == (KEY,):
        return key
    items = json.loads(key)
    if len(items) != len(form) or any(a not in (KEY, b) for a, b in zip(form, items, strict=True)):
        return None
    return str(items[form.index(KEY)])


def local_rows(lens: Lens, subject: Subject) -> dict[str, Row]:
    """Return {part: row of the application} of a record."""
    return record_rows(lens.records[subject.kind], subject.key)


def record_rows(record: Record, key: str) -> dict[str, Row]:
    """Return {part: row of the application} of a record, or of what it was narrowed to."""
    return {part.name: Row(part.table, local_key(part, key)) for part in record.local}


def find_subjects(lens: Lens, records: Mapping[Row, Iterable[str | None]]) -> dict[Subject, list[Row]]:
    """Return the records that common rows belong to, with those; ``records``: the keys of those that they
    hang on."""
    found: dict[Subject, list[Row]] = defaultdict(list)
    for row in sorted(records):
        for kind, named, hangs in lens.makers.get(row.table, ()):
            keys = [row.key] if named else []
            if hangs:
                keys += sorted(key for key in records[row] if key is not None and key not in keys)
            for key in keys:
                if not lens.records[kind].stays(key):
                    found[Subject(kind, key)].append(row)
    return found


def leave_spoilt(
    subjects: Mapping[Subject, Collection[Row]], spoilt: Iterable[Subject], odd: Iterable[Row] = ()
) -> list[Subject]:
    """Return the records that are not spoilt, have no odd row, and share none with one that is or has."""
    left, tainted = set(spoilt), set(odd)
    tainted.update(row for subject in left for row in subjects[subject])
    while more := {s for s, rows in subjects.items() if s not in left and not tainted.isdisjoint(rows)}:
        left |= more
        tainted.update(row for subject in more for row in subjects[subject])
    return [subject for subject in subjects if subject not in left]


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
