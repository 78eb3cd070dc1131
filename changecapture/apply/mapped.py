"""Apply at a site with a mapping: common rows are merged in the log, and shown as the application's rows.

The order is that of ``show``: lock the application's rows of the records concerned; publish what the
application did to them meanwhile; merge; then write what ``put`` makes of a record now otherwise than before.
A record that the application holds waits, all its entries not applied. A row of the application that cannot
be written is parked by itself: the entries are applied, and until it is shown it counts as if it were, so
that nothing of it is taken for the application's own change.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from changecapture.apply.decided import settle_conflicts
from changecapture.apply.remove import delete_dead, hold_children, must_go
from changecapture.apply.show import publish_held
from changecapture.apply.work import BUSY, Work
from changecapture.apply.write import hold_present, insert_absent, update_present
from changecapture.bridge import (
    Subject,
    Widths,
    as_shown,
    common_table,
    hanging,
    local_rows,
    local_subjects,
    read_known,
    read_widths,
)
from changecapture.core.change import Entry, Row, Version
from changecapture.core.merge import Decision, find_alive, merge_entries, settle
from changecapture.mapping.difference import Known, read_parts
from changecapture.mapping.lens import Parts, put
from changecapture.mapping.model import KEY
from changecapture.mapping.model import Mapping as Lens
from changecapture.store.interface import Store


class Shown(NamedTuple):
    """What became of the entries of common rows."""

    applied: int
    parked: int


def split_mapped(store: Store, entries: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Return the entries of common rows that a mapping shows, and the others.

    What comes of the application's own tables, from a site without the mapping, is carried: see _gather.
    """
    if store.mapping is None:
        return [], list(entries)
    common, others = store.mapping.common_tables, list[Entry]()
    found: list[Entry] = []
    for entry in entries:
        (found if entry.table in common else others).append(entry)
    return found, others


def retry_mapped(store: Store, rows: Sequence[Row]) -> list[Row]:
    """Show the records of parked rows again; return the rows that are none of a mapping's."""
    lens = store.mapping
    if lens is None:
        return list(rows)
    common = [row for row in rows if row.table in lens.common_tables]
    local = [row for row in rows if row.table in lens.local_tables]
    if common or local:
        show_mapped(store, [], again=common, unshown=local)
    return [row for row in rows if row.table not in {*lens.common_tables, *lens.local_tables}]


def show_mapped(
    store: Store, entries: Sequence[Entry], again: Collection[Row] = (), unshown: Collection[Row] = ()
) -> Shown:
    """Merge entries of common rows, show them, append them. ``again``: common rows that waited; ``unshown``:
    rows of the application that were parked."""
    lens = store.mapping
    if lens is None or not (entries or again or unshown):
        return Shown(0, 0)
    fresh: dict[Row, list[Entry]] = defaultdict(list)
    for entry in entries:
        fresh[entry.row].append(entry)
    waited = _read_unapplied(store, [*fresh, *again])
    whole = {row: [*fresh.get(row, ()), *waited.get(row, ())] for row in (fresh.keys() | waited.keys())}
    subjects = _find_subjects(store, lens, whole.keys() | set(again), whole)
    for row in unshown:
        subjects |= dict.fromkeys(local_subjects(lens, row))
    works = _local_works(store, lens, subjects)
    before = _hold(store, lens, list(subjects), works)
    busy = {s for s in subjects if any(w.parked is not None for w in works[s].values())}
    held = _held_rows(store, lens, busy, whole)
    _merge(store, lens, {row: found for row, found in whole.items() if row not in held}, waited)
    store.append_entries([e for e in entries if e.row not in held], applied=True)
    store.append_entries([e for e in entries if e.row in held], applied=False)
    store.write_parked({row: (BUSY, "the application holds the record") for row in held})
    store.forget_parked([row for row in again if row not in held])
    free = [subject for subject in subjects if subject not in busy]
    parked = _write(store, lens, free, works, before, set(unshown))
    _wake(store, lens, (work for s in free for work in works[s].values()))
    return Shown(sum(1 for e in entries if e.row not in held), len(held) + parked)


def _wake(store: Store, lens: Lens, works: Iterable[Work]) -> None:
    """Show the rows that waited for those that are here now."""
    here = [work.row for work in works if work.inserted and work.parked is None]
    waiting = [row for row in store.read_waiting_for(here) if row.table in lens.local_tables]
    if waiting:
        show_mapped(store, [], unshown=waiting)


def _read_unapplied(store: Store, rows: Collection[Row]) -> dict[Row, list[Entry]]:
    """Return the entries of rows that are in the log and wait."""
    found = store.read_row_entries(store.read_parked(rows)) if rows else {}
    return {
        row: waiting
        for row, logged in found.items()
        if (waiting := [entry for entry, applied in logged if not applied])
    }


def _find_subjects(
    store: Store, lens: Lens, rows: Collection[Row], fresh: Mapping[Row, Sequence[Entry]]
) -> dict[Subject, None]:
    """Return the records that common rows belong to, before and after the entries; keep which."""
    before = store.read_records(rows)
    after = _read_hanging(store, lens, fresh)
    store.write_mapped(after)
    found: dict[Subject, None] = {}
    for row in sorted(rows):
        keys = sorted({key for key in (before.get(row), after.get(row)) if key is not None})
        for kind, record in enumerate(lens.records):
            if any(part.table == row.table for part in record.thing) and not record.stays(row.key):
                found[Subject(kind, row.key)] = None
            if any(part.table == row.table and part.parent for part in record.common):
                found.update((Subject(kind, key), None) for key in keys if not record.stays(key))
    return found


def _read_hanging(store: Store, lens: Lens, fresh: Mapping[Row, Sequence[Entry]]) -> dict[Row, str]:
    """Return which record rows hang on after the entries; what several columns say together is merged."""
    wide = {row for row in fresh if (part := lens.hanging.get(row.table)) and len(part.parent) > 1}
    logged = store.read_row_entries(wide) if wide else {}
    columns: dict[Row, dict[str, Any]] = {}
    for row, found in fresh.items():
        every = [*found, *(entry for entry, _ in logged.get(row, ()))]
        columns[row] = {name: cell.value for name, cell in merge_entries(every).items()}
    return hanging(lens, columns.items())


def _local_works(store: Store, lens: Lens, subjects: Iterable[Subject]) -> dict[Subject, dict[str, Work]]:
    """Return the rows of the application that records may have, each once."""
    made: dict[Row, Work] = {}
    found: dict[Subject, dict[str, Work]] = {}
    for subject in subjects:
        found[subject] = {}
        for name, row in local_rows(lens, subject).items():
            table = store.tables_by_wire.get(row.table)
            if table is not None:
                work = made.setdefault(row, Work(table, row, again=True))
                found[subject][name] = work
    return found


def _hold(
    store: Store, lens: Lens, subjects: Sequence[Subject], works: Mapping[Subject, Mapping[str, Work]]
) -> dict[Subject, Parts]:
    """Steps 1, 2 and 5: lock the rows, publish what was done to them; return what they show, by ``put``."""
    every = list({work.row: work for found in works.values() for work in found.values()}.values())
    hold_present(store, every)
    roots = _root_rows(store, lens, subjects)
    versions = store.read_versions({row for rows in roots.values() for row in rows})
    for subject, found in works.items():
        known_as = next((versions[row] for row in roots[subject] if row in versions), None)
        for work in found.values():
            # A record that nobody has published is published first, as backfill; any other is known.
            work.version = known_as or work.version
    publish_held(store, [work for work in every if work.parked is None])
    known, widths = read_known(store, lens, subjects), read_widths(store, lens)
    return {subject: _put(widths, lens, subject, known[subject])[0] for subject in subjects}


def _root_rows(store: Store, lens: Lens, subjects: Sequence[Subject]) -> dict[Subject, list[Row]]:
    """Return the common rows that may be the roots of records."""
    hung = store.read_mapped({s.key for s in subjects if lens.records[s.kind].root.parent})
    found: dict[Subject, list[Row]] = {}
    for subject in subjects:
        root = lens.records[subject.kind].root
        rows = hung.get(subject.key, ()) if root.parent else (Row(root.table, subject.key),)
        found[subject] = [row for row in rows if row.table == root.table]
    return found


def _put(
    widths: Widths, lens: Lens, subject: Subject, known: Mapping[tuple[str, str], Known]
) -> tuple[Parts, Parts]:
    """Return the application's rows of a record as they are shown, and as they would be were there room."""
    record = lens.records[subject.kind]
    whole = put(record, read_parts(record, subject.key, known))
    return as_shown(widths, record, whole), whole


def _held_rows(
    store: Store, lens: Lens, busy: Collection[Subject], whole: Mapping[Row, Sequence[Entry]]
) -> set[Row]:
    """Return the common rows, of those with entries, of records that the application holds."""
    if not busy:
        return set()
    keys = {subject.key for subject in busy}
    before, after = store.read_records(whole), _read_hanging(store, lens, whole)
    return {row for row in whole if not keys.isdisjoint((row.key, before.get(row), after.get(row)))}


def _merge(
    store: Store,
    lens: Lens,
    fresh: Mapping[Row, Sequence[Entry]],
    waited: Mapping[Row, Sequence[Entry]],
) -> None:
    """Merge entries into the common rows in the log: versions, conflicts."""
    things = _things(lens, fresh)
    logged = store.read_row_entries({*fresh, *(row for rows in things.values() for row in rows)})
    versions = store.read_versions(fresh.keys())
    entries = {row: [entry for entry, applied in found if applied] for row, found in logged.items()}
    for row, more in fresh.items():
        entries[row] = [*entries.get(row, ()), *more]
    every = [entry for found in entries.values() for entry in found]
    contexts = store.read_contexts({(e.origin, e.epoch, e.pass_number) for e in every})
    decided: list[Work] = []
    for row, more in fresh.items():
        kin = things.get(row)
        thing = None if kin is None else find_alive(e for one in kin for e in entries.get(one, ()))
        work = Work(common_table(row.table, lens.common_tables[row.table]), row, list(more))
        work.version = versions.get(row)
        names = frozenset(entry.name for entry in more)
        work.decision = settle(work.version, entries[row], names, contexts, thing)
        decided.append(work)
    store.write_versions(
        {w.row: w.decision.version for w in decided if w.decision}, {w.row: w.version for w in decided}
    )
    settle_conflicts(store, decided)
    store.write_conflicts([(w.row, c) for w in decided if w.decision for c in w.decision.conflicts])
    store.mark_applied([row for row in waited if row in fresh])


def _things(lens: Lens, rows: Iterable[Row]) -> dict[Row, set[Row]]:
    """Return, of the rows that are one thing with others, all rows of that."""
    found: dict[Row, set[Row]] = defaultdict(set)
    for row in rows:
        for record in lens.records:
            tables = {part.table for part in record.thing}
            if row.table in tables:
                found[row] |= {Row(table, row.key) for table in tables}
    return found


def _write(
    store: Store,
    lens: Lens,
    subjects: Sequence[Subject],
    works: Mapping[Subject, Mapping[str, Work]],
    before: Mapping[Subject, Parts],
    unshown: set[Row],
) -> int:
    """Show records: insert, update and delete the application's rows; return how many are parked."""
    known, widths = read_known(store, lens, subjects), read_widths(store, lens)
    writing: dict[Row, Work] = {}
    shortened: dict[tuple[Row, str], str] = {}
    stuck = store.read_parked({work.row for s in subjects for work in works[s].values()})
    for subject in subjects:
        record = lens.records[subject.kind]
        wanted, whole = _put(widths, lens, subject, known[subject])
        for part in record.local:
            work = works[subject].get(part.name)
            if work is None:
                continue
            columns, was = wanted[part.name], before[subject].get(part.name)
            anew = work.local_key is None or work.row in unshown
            if columns is None:
                # What the mapping never showed there is the application's own.
                kept = was is None and not anew and wanted[record.anchor.name] is not None
                if work.local_key is None or kept:
                    continue
                values: dict[str, Any] = {}
            else:
                full = whole[part.name] or {}
                shortened.update(((work.row, c), full[c]) for c, v in columns.items() if full[c] != v)
                fixed = {c: subject.key if v == KEY else v for c, v in part.set}
                old = {} if anew or was is None else was
                values = {c: v for c, v in columns.items() if c not in old or old[c] != v}
                if anew:
                    values = {**fixed, **values}
                elif not values:
                    continue
            version = Version(0, "", columns is not None, 0)
            work.decision = Decision(values, columns is not None, True, version)
            writing[work.row] = work
    active = list(writing.values())
    store.write_shortened(list(writing), shortened)
    doomed = hold_children(store, active)
    if doomed:
        publish_held(store, doomed)
    active = [work for work in active if work.parked is None]
    insert_absent(store, [w for w in active if w.local_key is None and w.decision and w.decision.alive])
    active = [work for work in active if work.parked is None]
    update_present(store, [w for w in active if w.local_key and not w.inserted and not must_go(w)])
    delete_dead(store, [w for w in active if must_go(w)], {w.row: w for w in [*doomed, *active]})
    return _finish(store, list(writing.values()), stuck)


def _finish(store: Store, works: Sequence[Work], stuck: set[Row]) -> int:
    shown = [work for work in works if work.parked is None]
    store.forget_images([work.row for work in shown if work.decision and work.decision.alive])
    store.forget_parked([work.row for work in shown if work.row in stuck])
    store.write_waiting({work.row: work.waiting for work in shown})
    refused = [work for work in works if work.parked is not None]
    store.write_parked({work.row: work.parked for work in refused if work.parked is not None})
    store.add_waiting({work.row: work.waiting for work in refused if work.waiting})
    return len(refused)
