"""Apply at a site with a mapping: common rows are merged in the log, and shown as the application's rows.

The order is that of ``show``: lock the application's rows of the records concerned; publish what the
application did to them meanwhile; merge; then write what ``put`` makes of a record now otherwise than before.
A record that the application holds waits, all its entries not applied. A row of the application that cannot
be written is parked by itself: the entries are applied, and until it is shown it counts as if it were, so
that nothing of it is taken for the application's own change.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from changecapture.apply.common import merge_common
from changecapture.apply.mapped_new import write_new
from changecapture.apply.remove import delete_dead, hold_children, must_go
from changecapture.apply.show import publish_held
from changecapture.apply.things import LIVES
from changecapture.apply.work import BUSY, Work
from changecapture.apply.write import hold_present, insert_absent, update_present
from changecapture.bridge import (
    Subject,
    Widths,
    as_shown,
    common_rows,
    find_common_rows,
    find_subjects,
    hanging,
    know,
    local_parts,
    read_widths,
    record_rows,
)
from changecapture.core.change import Entry, Row, Version
from changecapture.core.merge import Decision, merge_entries, read_columns
from changecapture.mapping.difference import Known, merge_known, read_parts
from changecapture.mapping.lens import Parts, fill, put
from changecapture.mapping.model import Lens, Local, Place, Record
from changecapture.mapping.narrow import concerned, narrow
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
    new, works = write_new(store, store.mapping, entries)
    parked = _finish(store, works, set())
    _wake(store, store.mapping, works)
    if new:
        own = {entry.row for entry in new}
        entries = [entry for entry in entries if entry.row not in own]
    shown = _show_known(store, store.mapping, entries) if entries else Shown(0, 0)
    return Shown(len(new) + shown.applied, parked + shown.parked)


def _show_known(store: Store, lens: Lens, entries: Sequence[Entry]) -> Shown:
    fresh: dict[Row, list[Entry]] = defaultdict(list)
    for entry in entries:
        fresh[entry.row].append(entry)
    waited = _read_unapplied(store, fresh)
    merging = {row: [*found, *waited.get(row, ())] for row, found in fresh.items()}
    crossing = Crossing(store, lens, merging, merging, ())
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
        before = store.read_records([row for row in common if row.table in lens.hanging])
        hangs = {row: {before.get(row), hung.get(row)} - {None} for row in common}
        subjects = find_subjects(lens, hangs)
        waiting = {subject for row in unshown for subject in local_parts(lens, row)}
        self._records = {s: lens.records[s.kind] for s in [*subjects, *waiting]}
        # A row that moves to another record was the old one's until it is merged: only then is that kept.
        self._rows = find_common_rows(store, self._records)
        self._versions = store.read_versions({*self._every_row(), *merging})
        self._records |= _narrow_written(self._records, self._versions, subjects, merging, waiting)
        self._works: dict[Subject, dict[str, Work]] = {}
        if self._hold():
            self._rows = find_common_rows(store, self._records)
            self._versions = store.read_versions({*self._every_row(), *merging})
        busy = {s.key for s, ws in self._works.items() if any(w.parked is not None for w in ws.values())}
        self.held = {row for row in merging if busy and busy & {row.key, *hangs[row]}}
        self._free = {s: record for s, record in self._records.items() if s.key not in busy}
        self._merging = {row: found for row, found in merging.items() if row not in self.held}
        hanging_now = {row: key for row, key in hung.items() if row in self._merging}
        store.write_mapped({row: key for row, key in hanging_now.items() if before.get(row) != key})
        self._rows = {s: common_rows(r, s.key, self._rows[s]) for s, r in self._records.items()}
        self._add_hanging(hanging_now)
        self._widths = read_widths(store, lens)
        own = {row for subject in self._free for row in self._rows[subject] if row in self._versions}
        self._entries = store.read_said(own)

    def _every_row(self) -> Iterable[Row]:
        return (row for rows in self._rows.values() for row in rows)

    def _add_hanging(self, hung: Mapping[Row, str]) -> None:
        """Let rows belong to the records that they hang on after the entries, too."""
        more: dict[str, list[Row]] = defaultdict(list)
        for row, key in hung.items():
            more[key].append(row)
        for subject, rows in self._rows.items():
            if subject.key in more:
                new = common_rows(self._records[subject], subject.key, more[subject.key])
                self._rows[subject] = list(dict.fromkeys([*rows, *new]))

    def _hold(self) -> bool:
        """Steps 1, 2 and 5: lock the application's rows; publish what was done to them. Return whether there
        was anything."""
        self._works = _local_works(self.store, self._records)
        every = {work.row: work for found in self._works.values() for work in found.values()}
        hold_present(self.store, list(every.values()))
        if gone := {s: self.lens.records[s.kind] for s in self._records if self._has_gone(s)}:
            # It is not here any more: then all of it is looked at.
            self._records |= gone
            self._works |= _local_works(self.store, gone, every)
            wider = {work.row: work for s in gone for work in self._works[s].values()}
            more = {row: work for row, work in wider.items() if row not in every}
            hold_present(self.store, list(more.values()))
            every |= more
        roots = {
            s: [row for row in rows if row.table == self._records[s].root.table]
            for s, rows in self._rows.items()
        }
        versions = self._versions
        for subject, found in self._works.items():
            known_as = next((versions[row] for row in roots[subject] if row in versions), None)
            for work in found.values():
                # A record that nobody has published is published first, as backfill; any other is known.
                work.version = known_as or work.version
        position = self.store.last_position()
        publish_held(self.store, [work for work in every.values() if work.parked is None])
        return self.store.last_position() != position

    def _has_gone(self, subject: Subject) -> bool:
        """Return whether a record that was narrowed is not here."""
        record = self._records[subject]
        work = self._works[subject].get(record.anchor.name)
        narrowed = record is not self.lens.records[subject.kind]
        return narrowed and work is not None and work.local_key is None and work.parked is None

    def merge(self, waited: Iterable[Row]) -> None:
        """Merge the entries into the common rows in the log; those of records that are busy wait. ``waited``:
        the rows of which some are in the log already."""
        merged = {row: merge_known(found) for row, found in self._entries.items() if found}
        self._before = self._put_all(merged)
        merge_common(self.store, self.lens, self._merging, self._versions)
        self.store.write_parked({row: (BUSY, "the application holds the record") for row in self.held})
        self.store.mark_applied([row for row in waited if row not in self.held])
        for row, found in self._merging.items():
            merged[row] = merge_known([*self._entries.get(row, ()), *found])
        self._after = self._put_all(merged)

    def show(self) -> int:
        """Insert, update and delete the application's rows; return how many are parked."""
        works = [work for subject in self._free for work in self._works[subject].values()]
        stuck = self.store.read_parked({work.row for work in works})
        writing = self._decide(stuck)
        _write(self.store, writing)
        parked = _finish(self.store, writing, stuck)
        _wake(self.store, self.lens, works)
        return parked

    def _put_all(self, merged: Mapping[Row, Known]) -> dict[Subject, tuple[Parts, Parts]]:
        """Return the application's rows of each record as they are shown, and as they would be were there
        room."""
        known = know(self._free, {s: self._rows[s] for s in self._free}, merged)
        return {s: _put(self._widths, record, s.key, known[s]) for s, record in self._free.items()}

    def _decide(self, stuck: Collection[Row]) -> list[Work]:
        """Return the rows of the application that are to be written, with what; what waited to be shown and
        is no more waits no longer."""
        writing: dict[Row, Work] = {}
        idle: list[Row] = []
        shortened: dict[tuple[Row, str], str] = {}
        for subject, (wanted, whole) in self._after.items():
            record, before = self._free[subject], self._before[subject][0]
            here = wanted[record.anchor.name] is not None
            for part in record.local:
                work, columns = self._works[subject].get(part.name), wanted[part.name]
                if work is None:
                    continue
                anew = work.local_key is None or work.row in self.unshown
                decided = _decide_row(record, part, subject.key, columns, before[part.name], anew, here)
                if columns is None and work.local_key is None:
                    idle.append(work.row)
                    continue
                if decided is None:
                    continue
                full = whole[part.name] or {}
                shortened.update(((work.row, c), full[c]) for c, v in (columns or {}).items() if full[c] != v)
                alive = columns is not None
                work.decision = Decision(decided, alive, True, Version(0, "", alive, 0))
                writing[work.row] = work
        self.store.write_shortened(list(writing), shortened)
        self.store.forget_parked([row for row in idle if row in stuck])
        return list(writing.values())


def _narrow_written(
    records: Mapping[Subject, Record],
    versions: Mapping[Row, Version],
    subjects: Mapping[Subject, Iterable[Row]],
    merging: Merging,
    whole: Collection[Subject],
) -> dict[Subject, Record]:
    """Return the records that live, and of which the entries say no more than some columns, narrowed to the
    rows that show these."""
    things = {s: [Row(p.table, s.key) for p in r.thing] for s, r in records.items() if r.thing}
    found: dict[Subject, Record] = {}
    for subject, rows in things.items():
        if subject in whole or not all(row in versions and versions[row].alive for row in rows):
            continue
        own = subjects[subject]
        if not all(row in merging for row in own):
            continue  # it is shown again, whatever the entries say
        if all(LIVES in entry.columns for row in own for entry in merging[row]):
            record = records[subject]
            found[subject] = narrow(record, concerned(record, _find_written(record, rows, own, merging)))
    return found


def _find_written(
    record: Record, thing: Collection[Row], rows: Iterable[Row], merging: Merging
) -> frozenset[tuple[str, str]]:
    """Return the (common part, column) that entries write; of a row that hangs on the record, all: it may
    come in the place of another."""
    parts = {part.table: part.name for part in record.thing}
    hanging = {row.table for row in rows if row not in thing}
    written = {
        (parts[row.table], name)
        for row in rows
        if row in thing
        for entry in merging.get(row, ())
        for name in read_columns(entry)
    }
    for pair in record.pairs:
        written |= {(p.part, p.column) for p in pair.common if record.tables[p.part] in hanging}
    return frozenset(written)


def _decide_row(
    record: Record,
    part: Local,
    key: str,
    columns: dict[str, Any] | None,
    was: dict[str, Any] | None,
    anew: bool,
    here: bool,
) -> dict[str, Any] | None:
    """Return what is written into a row of the application, None when nothing is. ``columns``: what it is to
    show, None when it goes; ``was``: what it showed; ``here``: whether the record is to be there.

    Of a composed text all pieces are written: the application may have left some empty (``Pair.whole``).
    """
    if columns is None:
        # What the mapping never showed there is the application's own.
        return None if was is None and not anew and here else {}
    if anew:
        return fill(part, key, columns)
    old = {} if was is None else was
    changed = {c for c, v in columns.items() if c not in old or old[c] != v}
    changed.update(*(record.together.get(Place(part.name, column), ()) for column in changed))
    return {c: columns[c] for c in columns if c in changed} or None


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


def _local_works(
    store: Store, records: Mapping[Subject, Record], known: Mapping[Row, Work] = MappingProxyType({})
) -> dict[Subject, dict[str, Work]]:
    """Return the rows of the application that records may have, each once."""
    made: dict[Row, Work] = dict(known)
    found: dict[Subject, dict[str, Work]] = {}
    for subject, record in records.items():
        found[subject] = {}
        for name, row in record_rows(record, subject.key).items():
            table = store.tables_by_wire.get(row.table)
            if table is not None:
                work = made.get(row)
                if work is None:
                    work = made[row] = Work(table, row, again=True)
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
