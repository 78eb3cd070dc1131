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

from changecapture.apply.common import merge_common
from changecapture.apply.remove import delete_dead, hold_children, must_go
from changecapture.apply.show import publish_held
from changecapture.apply.work import BUSY, Work
from changecapture.apply.write import hold_present, insert_absent, update_present
from changecapture.bridge import (
    Subject,
    Widths,
    as_shown,
    find_common_rows,
    hanging,
    know,
    local_rows,
    local_subjects,
    read_applied,
    read_widths,
)
from changecapture.core.change import Entry, Row, Version
from changecapture.core.merge import Decision, merge_entries
from changecapture.mapping.difference import Known, read_parts
from changecapture.mapping.lens import Parts, put
from changecapture.mapping.model import KEY, Local, Record
from changecapture.mapping.model import Mapping as Lens
from changecapture.store.interface import Store

Merging = Mapping[Row, Sequence[Entry]]
"""Entries of common rows that are to be merged: new ones, and those that waited."""


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


def show_mapped(store: Store, entries: Sequence[Entry]) -> Shown:
    """Merge entries of common rows, append them, show the records that they are about."""
    if store.mapping is None or not entries:
        return Shown(0, 0)
    fresh: dict[Row, list[Entry]] = defaultdict(list)
    for entry in entries:
        fresh[entry.row].append(entry)
    waited = _read_unapplied(store, fresh)
    merging = {row: [*found, *waited.get(row, ())] for row, found in fresh.items()}
    crossing = Crossing(store, store.mapping, merging, merging, ())
    crossing.merge(waited)
    held = crossing.held
    store.append_entries([e for e in entries if e.row not in held], applied=True)
    store.append_entries([e for e in entries if e.row in held], applied=False)
    parked = crossing.show()
    return Shown(sum(1 for e in entries if e.row not in held), len(held) + parked)


def retry_mapped(store: Store, rows: Sequence[Row]) -> list[Row]:
    """Show the records of parked rows again; return the rows that are none of a mapping's."""
    lens = store.mapping
    if lens is None:
        return list(rows)
    common = [row for row in rows if row.table in lens.common_tables]
    local = [row for row in rows if row.table in lens.local_tables]
    if common or local:
        waited = _read_unapplied(store, common)
        crossing = Crossing(store, lens, waited, common, local)
        crossing.merge(waited)
        store.forget_parked([row for row in common if row not in crossing.held])
        crossing.show()
    return [row for row in rows if row.table not in {*lens.common_tables, *lens.local_tables}]


class Crossing:
    """The records that one transaction brings across, held: see the module."""

    def __init__(
        self, store: Store, lens: Lens, merging: Merging, common: Collection[Row], unshown: Collection[Row]
    ) -> None:
        """Find the records of ``common`` rows, and of the application's rows that are ``unshown``; lock their
        rows, and publish what the application did to them."""
        self.store, self.lens, self.unshown = store, lens, set(unshown)
        hung = _read_hanging(store, lens, merging)
        before = store.read_records(common)
        records = {row: {before.get(row), hung.get(row)} - {None} for row in common}
        subjects = _find_subjects(lens, records)
        for row in unshown:
            subjects |= dict.fromkeys(local_subjects(lens, row))
        self._works = _local_works(store, lens, subjects)
        # A row that moves to another record was the old one's until it is merged: only then is that kept.
        self._rows = find_common_rows(store, lens, subjects)
        self._hold()
        busy = {s.key for s in subjects if any(w.parked is not None for w in self._works[s].values())}
        self.held = {row for row in merging if busy and busy & {row.key, *records[row]}}
        self._free = [subject for subject in subjects if subject.key not in busy]
        self._merging = {row: found for row, found in merging.items() if row not in self.held}
        before_merging = find_common_rows(store, lens, subjects)
        store.write_mapped({row: key for row, key in hung.items() if row in self._merging})
        after_merging = find_common_rows(store, lens, subjects)
        self._rows = {s: list(dict.fromkeys([*before_merging[s], *after_merging[s]])) for s in subjects}
        self._widths = read_widths(store, lens)
        kin = {Row(table, row.key) for row in self._merging for table in lens.kin(row.table)}
        own = {row for subject in self._free for row in self._rows[subject]}
        self._entries = read_applied(store, {*own, *self._merging, *kin})

    def _hold(self) -> None:
        """Steps 1, 2 and 5: lock the application's rows; publish what was done to them."""
        every = list({work.row: work for found in self._works.values() for work in found.values()}.values())
        hold_present(self.store, every)
        roots = {
            subject: [row for row in rows if row.table == self.lens.records[subject.kind].root.table]
            for subject, rows in self._rows.items()
        }
        versions = self.store.read_versions({row for rows in roots.values() for row in rows})
        for subject, found in self._works.items():
            known_as = next((versions[row] for row in roots[subject] if row in versions), None)
            for work in found.values():
                # A record that nobody has published is published first, as backfill; any other is known.
                work.version = known_as or work.version
        publish_held(self.store, [work for work in every if work.parked is None])

    def merge(self, waited: Iterable[Row]) -> None:
        """Merge the entries into the common rows in the log; those of records that are busy wait. ``waited``:
        the rows of which some are in the log already."""
        self._before = self._put_all()
        merge_common(self.store, self.lens, self._merging, self._entries)
        self.store.write_parked({row: (BUSY, "the application holds the record") for row in self.held})
        self.store.mark_applied([row for row in waited if row not in self.held])
        for row, found in self._merging.items():
            self._entries[row] = [*self._entries.get(row, ()), *found]

    def show(self) -> int:
        """Insert, update and delete the application's rows; return how many are parked."""
        works = [work for subject in self._free for work in self._works[subject].values()]
        stuck = self.store.read_parked({work.row for work in works})
        writing = self._decide()
        _write(self.store, writing)
        parked = _finish(self.store, writing, stuck)
        _wake(self.store, self.lens, works)
        return parked

    def _put_all(self) -> dict[Subject, tuple[Parts, Parts]]:
        """Return the application's rows of each record as they are shown, and as they would be were there
        room."""
        known = know(self.lens, {s: self._rows[s] for s in self._free}, self._entries)
        return {s: _put(self._widths, self.lens.records[s.kind], s.key, known[s]) for s in self._free}

    def _decide(self) -> list[Work]:
        """Return the rows of the application that are to be written, with what."""
        writing: dict[Row, Work] = {}
        shortened: dict[tuple[Row, str], str] = {}
        for subject, (wanted, whole) in self._put_all().items():
            record, before = self.lens.records[subject.kind], self._before[subject][0]
            here = wanted[record.anchor.name] is not None
            for part in record.local:
                work, columns = self._works[subject].get(part.name), wanted[part.name]
                if work is None:
                    continue
                anew = work.local_key is None or work.row in self.unshown
                decided = _decide_row(part, subject.key, columns, before[part.name], anew, here)
                if decided is None or (columns is None and work.local_key is None):
                    continue
                full = whole[part.name] or {}
                shortened.update(((work.row, c), full[c]) for c, v in (columns or {}).items() if full[c] != v)
                alive = columns is not None
                work.decision = Decision(decided, alive, True, Version(0, "", alive, 0))
                writing[work.row] = work
        self.store.write_shortened(list(writing), shortened)
        return list(writing.values())


def _decide_row(
    part: Local, key: str, columns: dict[str, Any] | None, was: dict[str, Any] | None, anew: bool, here: bool
) -> dict[str, Any] | None:
    """Return what is written into a row of the application, None when nothing is. ``columns``: what it is to
    show, None when it goes; ``was``: what it showed; ``here``: whether the record is to be there."""
    if columns is None:
        # What the mapping never showed there is the application's own.
        return None if was is None and not anew and here else {}
    if anew:
        return {**{c: key if v == KEY else v for c, v in part.set}, **columns}
    old = {} if was is None else was
    return {c: v for c, v in columns.items() if c not in old or old[c] != v} or None


def _put(
    widths: Widths, record: Record, key: str, known: Mapping[tuple[str, str], Known]
) -> tuple[Parts, Parts]:
    whole = put(record, read_parts(record, key, known))
    return as_shown(widths, record, whole), whole


def _read_unapplied(store: Store, rows: Collection[Row]) -> dict[Row, list[Entry]]:
    """Return the entries of rows that are in the log and wait."""
    parked = store.read_parked(rows) if rows else ()
    found = store.read_row_entries(parked) if parked else {}
    return {
        row: waiting
        for row, logged in found.items()
        if (waiting := [entry for entry, applied in logged if not applied])
    }


def _find_subjects(lens: Lens, records: Mapping[Row, Iterable[str | None]]) -> dict[Subject, None]:
    """Return the records that common rows belong to; ``records``: the keys of those that they hang on."""
    found: dict[Subject, None] = {}
    for row in sorted(records):
        for kind, record in enumerate(lens.records):
            if any(part.table == row.table for part in record.thing) and not record.stays(row.key):
                found[Subject(kind, row.key)] = None
            if any(part.table == row.table and part.parent for part in record.common):
                keys = sorted(key for key in records[row] if key is not None)
                found.update((Subject(kind, key), None) for key in keys if not record.stays(key))
    return found


def _read_hanging(store: Store, lens: Lens, merging: Merging) -> dict[Row, str]:
    """Return which record rows hang on after the entries; what several columns say together is merged."""
    wide = {row for row in merging if (part := lens.hanging.get(row.table)) and len(part.parent) > 1}
    logged = store.read_row_entries(wide) if wide else {}
    columns: dict[Row, dict[str, Any]] = {}
    for row, found in merging.items():
        if row.table in lens.hanging:
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


def _write(store: Store, works: Sequence[Work]) -> None:
    """Step 6: insert, update and delete, as ``show`` does."""
    doomed = hold_children(store, works)
    if doomed:
        publish_held(store, doomed)
    active = [work for work in works if work.parked is None]
    insert_absent(store, [w for w in active if w.local_key is None and w.decision and w.decision.alive])
    active = [work for work in active if work.parked is None]
    update_present(store, [w for w in active if w.local_key and not w.inserted and not must_go(w)])
    delete_dead(store, [w for w in active if must_go(w)], {w.row: w for w in [*doomed, *active]})


def _finish(store: Store, works: Sequence[Work], stuck: set[Row]) -> int:
    """Say which rows are shown now, and which are parked; return how many these are."""
    shown = [work for work in works if work.parked is None]
    store.forget_images([work.row for work in shown if work.decision and work.decision.alive])
    store.forget_parked([work.row for work in shown if work.row in stuck])
    store.write_waiting({work.row: work.waiting for work in shown})
    refused = [work for work in works if work.parked is not None]
    store.write_parked({work.row: work.parked for work in refused if work.parked is not None})
    store.add_waiting({work.row: work.waiting for work in refused if work.waiting})
    return len(refused)


def _wake(store: Store, lens: Lens, works: Iterable[Work]) -> None:
    """Show the rows that waited for those that are here now."""
    here = [work.row for work in works if work.inserted and work.parked is None]
    waiting = [row for row in store.read_waiting_for(here) if row.table in lens.local_tables]
    if waiting:
        crossing = Crossing(store, lens, {}, (), waiting)
        crossing.merge(())
        crossing.show()
