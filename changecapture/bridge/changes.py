"""What the application did to the tables of a mapping, as changes of common rows.

A captured change of a mapped table makes its record dirty, no more. The record's common rows are made of the
application's rows as they are now (``lens.get``) and compared with those of what was last shown; the columns
that differ become entries. So an edit is shipped once, and what only looks different here is not shipped.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from changecapture.bridge.crossed import Crossed, ReadLocal
from changecapture.bridge.known import common_rows, find_common_rows, know, read_known
from changecapture.bridge.subject import Subject, find_subjects, hanging, local_parts, record_rows
from changecapture.bridge.widths import Widths, as_shown, read_widths
from changecapture.core.change import Row, Version
from changecapture.mapping.difference import Difference, Known, find_difference, find_new, read_parts
from changecapture.mapping.lens import Parts, get, put
from changecapture.mapping.model import Lens, Record
from changecapture.mapping.narrow import narrow
from changecapture.store.interface import Store


def find_changes(
    store: Store,
    lens: Lens,
    dirty: Mapping[Row, int],
    read_local: ReadLocal,
    *,
    whole: bool = False,
    made: Collection[Row] = (),
    changed: Mapping[Row, Collection[str]] = MappingProxyType({}),
) -> list[Crossed]:
    """Return what the application did to common rows. ``dirty``: {row of the application: when}; ``made``:
    those that it inserted or deleted; ``changed``: the columns that it changed of others. Nothing is
    written: who publishes it keeps it (``keep_crossed``).

    Of a record that is known, and is here, only what these rows concern is looked at; all if ``whole``.
    """
    when, touched = _find_touched(lens, dirty)
    records = {subject: lens.records[subject.kind] for subject in when}
    rows = find_common_rows(store, records)
    asked = {row for each in rows.values() for row in each}
    versions = store.read_versions(asked)
    if not whole:
        records |= _narrow_known(records, versions, touched)
    local = _read_records(store, lens, records, read_local)
    known: Mapping[Subject, Mapping[tuple[str, str], Known]] = {}
    if versions:
        rows = {s: common_rows(record, s.key, rows[s]) for s, record in records.items()}
        said = read_known(store, versions.keys() & {r for own in rows.values() for r in own})
        known = know(records, rows, said)
    places = {row for rows in local.values() for row, _ in rows.values()}
    parked, waiting = store.read_parked(places) - set(made), store.read_waiting(places)
    hiding = parked or waiting or changed
    widths = read_widths(store, lens)
    found: list[tuple[Subject, Difference]] = []
    due: dict[Subject, tuple[Row, ...]] = {}
    for subject, at in when.items():
        now: Parts = {name: columns for name, (_, columns) in local[subject].items()}
        hidden = _find_hidden(local[subject], parked, waiting, changed) if hiding else SHOWN
        record, facts = records[subject], known.get(subject)
        if facts or hidden.unshown or record.mixed:
            changes = list(compare(widths, record, subject.key, facts or {}, now, hidden, _datetime(at)))
        else:
            changes = list(tell_new(record, subject.key, get(record, now), _datetime(at)))
        found += [(subject, change) for change in changes]
        if facts:
            names = _find_due(record, subject.key, facts, now)
            names += _find_next(record, subject.key, facts, now, changes)
            due[subject] = tuple(local[subject][name][0] for name in names)
    versions |= store.read_versions({d.row for _, d in found} - asked)
    return [
        Crossed(s, d, _after(d, known.get(s, {}), when[s]), versions.get(d.row), due.get(s, ()))
        for s, d in found
    ]


def _find_touched(lens: Lens, dirty: Mapping[Row, int]) -> tuple[dict[Subject, int], dict[Subject, set[str]]]:
    """Return, by record: when rows of it were written last, and which parts they are."""
    when: dict[Subject, int] = {}
    touched: dict[Subject, set[str]] = defaultdict(set)
    for row, at in dirty.items():
        for subject, names in local_parts(lens, row).items():
            when[subject] = max(at, when.get(subject, 0))
            touched[subject].update(names)
    return when, touched


def _after(change: Difference, known: Mapping[tuple[str, str], Known], at: int) -> int:
    """Return when a change was made, later than what it was to be the latest after: that is in other rows."""
    part = change.part
    if part.latest is None or part.latest not in change.columns:
        return at
    orders = [facts.orders.get(part.latest) for (table, _), facts in known.items() if table == part.table]
    return max(at, *(order.stamp + 1 for order in orders if order is not None), 0)


def _narrow_known(
    records: Mapping[Subject, Record],
    versions: Mapping[Row, Version],
    touched: Mapping[Subject, set[str]],
) -> dict[Subject, Record]:
    """Return the records that live in the log, narrowed to the rows that were touched."""
    if not versions:
        return {}
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


class Hidden(NamedTuple):
    """Where the application's rows do not show what they are to: parts that are ``unshown``, of which it has
    ``written`` some columns since, and ``loose`` columns that wait for the rows which they name."""

    unshown: Collection[str] = ()
    written: Mapping[str, Collection[str]] = MappingProxyType({})
    loose: Mapping[str, Collection[str]] = MappingProxyType({})

    def uncover(self, now: Parts, shown: Parts) -> Parts:
        """Return the rows as they were, had they shown all before the application wrote."""
        found = dict(now)
        for name in self.unshown:
            here, columns = now.get(name), self.written.get(name, ())
            found[name] = shown[name]
            if here is not None and columns:
                found[name] = {**(shown[name] or {}), **{c: here[c] for c in columns if c in here}}
        for name, columns in self.loose.items():
            row, whole = found.get(name), shown.get(name)
            if row is not None and whole is not None:
                found[name] = {**row, **{c: whole.get(c) for c in columns if row.get(c) is None}}
        return found


SHOWN = Hidden()


def _find_hidden(
    places: Mapping[str, tuple[Row, object]],
    parked: Collection[Row],
    waiting: Mapping[Row, Collection[str]],
    changed: Mapping[Row, Collection[str]],
) -> Hidden:
    """Return what is hidden of a record; ``places``: {part: (row of the application, its columns)}."""
    rows = {name: row for name, (row, _) in places.items()}
    return Hidden(
        {name for name, row in rows.items() if row in parked},
        {name: changed[row] for name, row in rows.items() if row in changed},
        {name: set(waiting[row]) - set(changed.get(row, ())) for name, row in rows.items() if row in waiting},
    )


def compare(
    widths: Widths,
    record: Record,
    key: str,
    known: Mapping[tuple[str, str], Known],
    now: Parts,
    hidden: Hidden,
    at: str,
) -> Iterable[Difference]:
    parts = read_parts(record, key, known)
    if parts[record.root.name] is None:
        # It is made here now, perhaps again: what hangs on it counts as shown where no row says otherwise.
        alone: Parts = {**parts, record.root.name: get(record, now)[record.root.name]}
        shown = as_shown(widths, record, put(record, alone))
        absent = {name for name, columns in now.items() if columns is None}
        hidden = hidden._replace(unshown=absent.union(hidden.unshown))
    else:
        shown = as_shown(widths, record, put(record, parts))
    actual = get(record, hidden.uncover(now, shown))
    expected = get(record, shown)
    if not _needed(record, actual):
        actual = dict.fromkeys(record.tables)
    if parts[record.root.name] is None:
        expected.update({part.name: None for part in (*record.thing, record.root)})
    yield from find_difference(record, key, known, actual, expected, at)


def _find_due(record: Record, key: str, known: Mapping[tuple[str, str], Known], now: Parts) -> list[str]:
    """Return the parts that are not here and show what hangs on a record which was gone, or unheard of, and
    has been made here now."""
    parts = read_parts(record, key, known)
    hung = {name: columns for name, columns in parts.items() if columns is not None}
    if now[record.anchor.name] is None or record.root.name in hung or not hung:
        return []
    nothing: Parts = {**dict.fromkeys(record.tables), record.root.name: {}}
    shown, alone = put(record, {**nothing, **hung}), put(record, nothing)
    return [name for name, columns in shown.items() if columns and alone[name] is None and now[name] is None]


def _find_next(
    record: Record,
    key: str,
    known: Mapping[tuple[str, str], Known],
    now: Parts,
    changes: Iterable[Difference],
) -> list[str]:
    """Return the parts that the application deleted here and that show another common row from now on: of
    two numbers of one kind, the second."""
    gone = {tuple(change.row) for change in changes if change.part.parent and change.alive is False}
    if not gone or now[record.anchor.name] is None:
        return []
    left = {row: facts for row, facts in known.items() if row not in gone}
    shown = put(record, read_parts(record, key, left))
    return [name for name, columns in shown.items() if columns is not None and now[name] is None]


def tell_new(record: Record, key: str, actual: Parts, at: str) -> Iterable[Difference]:
    """Return the common rows of a record that nothing is known of: what ``compare`` comes to, at once."""
    return find_new(record, key, actual, _empty(record), at) if _needed(record, actual) else ()


def _empty(record: Record) -> Parts:
    """Return the common rows of a record of which the application has no more than what must always be."""
    if not record.empty:
        nothing: Parts = {**dict.fromkeys(record.tables), record.root.name: {}}
        record.empty.update(get(record, put(record, nothing)))
    return record.empty


def _needed(record: Record, parts: Parts) -> bool:
    return all((parts.get(p.part) or {}).get(p.column) is not None for p in record.needs)


@lru_cache(maxsize=256)
def _datetime(at: int) -> str:
    return datetime.fromtimestamp(at // 1_000_000, UTC).replace(tzinfo=None).isoformat()


def keep_crossed(store: Store, lens: Lens, found: Sequence[Crossed], made: Collection[Row] = ()) -> None:
    """Keep which records the common rows hang on that an application made or moved, and list what is to be
    shown with a record that it made, or waited for it, and what other records show otherwise now; what it
    ``made`` is not to be shown any more."""
    due = {row for item in found for row in item.due} | _find_shared(store, lens, found)
    store.write_mapped(hanging(lens, ((item.difference.row, item.difference.columns) for item in found)))
    if made:
        if store.read_stuck(None, 1):
            store.forget_parked(list(made))
        waiting = set(store.read_waiting_for(list(made)))
        due |= waiting - store.read_parked(waiting)
    store.write_parked({row: ("thing", "what it shows has come, gone or moved") for row in due})


def _find_shared(store: Store, lens: Lens, found: Sequence[Crossed]) -> set[Row]:
    """Return the rows of the application that show otherwise what other records say, in common rows that
    they share with those which the application wrote, and that came back, went or moved: of a note that is
    a status too, the status."""
    changes = {item.difference.row: item for item in found}
    hung = hanging(lens, ((row, item.difference.columns) for row, item in changes.items()))
    turned = {
        row
        for row, (_, change, _, version, _) in changes.items()
        if version is not None and (row in hung or change.alive is not version.alive)
    }
    if not turned:
        return set()
    before = store.read_records(turned)
    subjects = find_subjects(lens, {row: {before.get(row), hung.get(row)} for row in turned})
    others = [s for s, rows in subjects.items() if any(changes[row].subject != s for row in rows)]
    records = {subject: lens.records[subject.kind] for subject in others}
    rows = {s: list({*own, *subjects[s]}) for s, own in find_common_rows(store, records).items()}
    known = know(records, rows, read_known(store, {row for own in rows.values() for row in own}))
    due: set[Row] = set()
    for subject, record in records.items():
        said = {row: _turn(facts, changes.get(Row(*row))) for row, facts in known[subject].items()}
        shown, now = (put(record, read_parts(record, subject.key, each)) for each in (known[subject], said))
        due.update(row for name, row in record_rows(record, subject.key).items() if shown[name] != now[name])
    return due


def _turn(facts: Known, item: Crossed | None) -> Known:
    """Return what a row is merged to after a change, but for how late its columns were written."""
    if item is None:
        return facts
    _, _, alive, columns = item.difference
    order, known = facts.word
    orders = {**dict.fromkeys(columns, order), **facts.orders}
    return Known((order, known if alive is None else alive), {**facts.values, **columns}, orders)
