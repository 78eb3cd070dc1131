"""The records that one transaction brings across at a site with a mapping.

The order is that of ``show``: lock the application's rows of the records concerned; publish what the
application did to them meanwhile; merge; then write what ``put`` makes of a record now otherwise than before.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from changecapture.apply.common import merge_common
from changecapture.apply.mapped_write import decide_row, finish_works, write_works
from changecapture.apply.show import publish_held
from changecapture.apply.things import LIVES
from changecapture.apply.work import BUSY, Work
from changecapture.apply.write import hold_present
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
from changecapture.mapping.difference import Known, extend_known, merge_known, read_parts
from changecapture.mapping.lens import Parts, put
from changecapture.mapping.model import Lens, Record
from changecapture.mapping.narrow import concerned, narrow
from changecapture.store.interface import Store

Merging = Mapping[Row, Sequence[Entry]]
"""Entries of common rows that are to be merged: new ones, and those that waited."""


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
        self._read_versions(merging)
        self._records |= _narrow_written(
            self._records, self._versions, self._dead, subjects, merging, waiting
        )
        self._works: dict[Subject, dict[str, Work]] = {}
        if self._hold():
            self._rows = find_common_rows(store, self._records)
            self._read_versions(merging)
        busy = {s.key for s, ws in self._works.items() if any(w.parked is not None for w in ws.values())}
        self.held = {row for row in merging if busy and busy & {row.key, *hangs[row]}}
        self._free = {s: record for s, record in self._records.items() if s.key not in busy}
        self._merging = {row: found for row, found in merging.items() if row not in self.held}
        hanging_now = {row: key for row, key in hung.items() if row in self._merging}
        store.write_mapped({row: key for row, key in hanging_now.items() if before.get(row) != key})
        self._rows = {s: common_rows(r, s.key, self._rows[s]) for s, r in self._records.items()}
        self._add_hanging(hanging_now)
        self._widths = read_widths(store, lens)
        own = {row for subject in self._free for row in self._rows[subject]}
        self._entries = store.read_said(own)

    def _read_versions(self, merging: Collection[Row]) -> None:
        """Read what is known of the rows that are merged and of the roots of the records, and which rows of
        their things are dead."""
        roots = {s: r.root.table for s, r in self._records.items()}
        known = {row for s, rows in self._rows.items() for row in rows if row.table == roots[s]}
        self._versions = self.store.read_versions({*merging, *known})
        things = {Row(part.table, s.key) for s, r in self._records.items() for part in r.thing}
        things |= {Row(table, row.key) for row in merging for table in self.lens.kin(row.table)}
        self._dead = self.store.find_dead(things - self._versions.keys())
        self._dead |= {row for row, version in self._versions.items() if not version.alive}

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
        joined = self.store.read_members(merged)
        merge_common(self.store, self.lens, self._merging, self._versions, self._dead)
        self.store.write_parked({row: (BUSY, "the application holds the record") for row in self.held})
        self.store.mark_applied([row for row in waited if row not in self.held])
        for row, found in self._merging.items():
            later = extend_known(merged[row], found) if row in merged and row not in joined else None
            merged[row] = later or merge_known([*self._entries.get(row, ()), *found])
        self._after = self._put_all(merged)

    def show(self) -> int:
        """Insert, update and delete the application's rows; return how many are parked."""
        stuck = self.store.read_parked({work.row for work in self.works})
        writing = self._decide(stuck)
        write_works(self.store, writing)
        return finish_works(self.store, writing, stuck)

    @property
    def works(self) -> list[Work]:
        """Return the rows of the application that the records have, those of busy ones left out."""
        return [work for subject in self._free for work in self._works[subject].values()]

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
                anew = work.local_key is None or work.row in self.unshown or work.row in stuck
                decided = decide_row(record, part, subject.key, columns, before[part.name], anew, here)
                if columns is None and work.local_key is None:
                    idle.append(work.row)
                    continue
                if decided is None:
                    continue
                full = whole[part.name] or {}
                shortened.update(((work.row, c), full[c]) for c, v in (columns or {}).items() if full[c] != v)
                alive = columns is not None
                work.again = anew  # else the columns that are not written wait on for what they refer to
                work.decision = Decision(decided, alive, True, Version(0, "", alive, 0))
                writing[work.row] = work
        self.store.write_shortened(list(writing), shortened)
        self.store.forget_parked([row for row in idle if row in stuck])
        return list(writing.values())


def _narrow_written(
    records: Mapping[Subject, Record],
    versions: Collection[Row],
    dead: Collection[Row],
    subjects: Mapping[Subject, Iterable[Row]],
    merging: Merging,
    whole: Collection[Subject],
) -> dict[Subject, Record]:
    """Return the records that live, and of which the entries say no more than some columns, narrowed to the
    rows that show these."""
    things = {s: [Row(p.table, s.key) for p in r.thing] for s, r in records.items() if r.thing}
    found: dict[Subject, Record] = {}
    for subject, rows in things.items():
        if subject in whole or rows[0] not in versions or any(row in dead for row in rows):
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


def _put(
    widths: Widths, record: Record, key: str, known: Mapping[tuple[str, str], Known]
) -> tuple[Parts, Parts]:
    whole = put(record, read_parts(record, key, known))
    return as_shown(widths, record, whole), whole


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
