"""Edits of records that are known and shown, in bulk: at a site with a mapping, most of what comes later.

An edit is *next* when its row lives, nothing waits or is open about it, and its author had seen all that is
merged there: then its columns win, and what they show is told from them (``Showing``), with what is merged
read only where they are half of something. The record has to live and its rows to be here, none busy, parked
or cut short. Whatever else comes is left to ``Crossing``; both ways come to the same.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from changecapture.apply.mapped_write import SHOWN, finish_works
from changecapture.apply.show import publish_held
from changecapture.apply.things import LIVES
from changecapture.apply.work import Work
from changecapture.apply.write import hold_present, update_present
from changecapture.bridge import Subject, Widths, is_cut, leave_spoilt, read_values, read_widths
from changecapture.core.change import NOTES, Entry, Row, Version, add_names
from changecapture.core.merge import Decision, read_columns
from changecapture.mapping.lens import Columns, local_key
from changecapture.mapping.model import Lens, Record
from changecapture.mapping.showing import Showing, find_showing, find_written
from changecapture.store.interface import Store


@dataclass(slots=True)
class Edited:
    """A record of which common rows, by part, are edited; ``works``: the application's rows that show it."""

    record: Record
    key: str
    rows: dict[str, Row] = field(default_factory=dict)
    every: set[Row] = field(default_factory=set)
    showing: Showing | None = None
    works: dict[str, Work] = field(default_factory=dict)


def write_next(store: Store, lens: Lens, entries: Sequence[Entry]) -> tuple[list[Entry], int]:
    """Log the entries that are next edits and show them; return these, and how many rows are parked."""
    if not entries or store.has_aliases():
        return [], 0
    fresh, versions = _sort(store, entries)
    found = _find_edited(store, lens, fresh, versions) if fresh else {}
    found = _hold(store, found, versions) if found else {}
    found = _decide(store, lens, found, fresh) if found else {}
    if not found:
        return [], 0
    own = {row for edited in found.values() for row in edited.rows.values()}
    written = [entry for entry in entries if entry.row in own]
    store.append_next(written, [add_names(versions[entry.row].seen, [entry]) for entry in written])
    works = [work for e in found.values() for work in e.works.values() if work.decision is not None]
    update_present(store, works)
    return written, finish_works(store, works, set())


def _sort(store: Store, entries: Sequence[Entry]) -> tuple[dict[Row, Entry], dict[Row, Version]]:
    """Return the entries that are next, by row, and what is known of these rows; none where a life ends, or
    a row may yet have to be inserted (R8)."""
    times = Counter(entry.row for entry in entries)
    if not all(entry.base_seen and LIVES in entry.columns for entry in entries):
        return {}, {}
    versions = store.read_versions(times)
    if len(versions) < len(times) or not all(version.alive for version in versions.values()):
        return {}, {}
    fresh = {entry.row: entry for entry in entries if _is_next(versions[entry.row], entry)}
    odd = {row for row, count in times.items() if count > 1}
    odd |= store.read_parked(fresh) | {row for _, row, *_ in store.read_open_conflicts(fresh)}
    return {row: entry for row, entry in fresh.items() if row not in odd}, versions


def _is_next(version: Version, entry: Entry) -> bool:
    seen_all = version.seen == entry.base_seen and version.stamp < entry.stamp
    return seen_all and not any(note in entry.columns for note in NOTES)


def _find_edited(
    store: Store, lens: Lens, fresh: Mapping[Row, Entry], versions: dict[Row, Version]
) -> dict[Subject, Edited]:
    """Return the records that these edits are about and nothing else of the batch is, with what they show."""
    records = store.read_records([row for row in fresh if row.table in lens.hanging])
    found: dict[Subject, Edited] = {}
    odd: set[Row] = set()
    for row, entry in fresh.items():
        kinds = lens.makers.get(row.table, ())
        keys = [(kind, row.key) for kind, named, _ in kinds if named]
        hangs_on = lens.hanging.get(row.table)
        if len(keys) > 1 or (hangs_on and not read_columns(entry).keys().isdisjoint(hangs_on.parent)):
            odd.add(row)  # a super row: which of the records there is has to be found; or one that moves
            continue
        if row in records:
            keys += [(kind, records[row]) for kind, _, hangs in kinds if hangs]
        for subject in (Subject(*key) for key in keys):
            record = lens.records[subject.kind]
            if not record.stays(subject.key):
                edited = found.setdefault(subject, Edited(record, subject.key))
                edited.rows.update({p.name: row for p in record.common if p.table == row.table})
                edited.every.add(row)
    hung = store.read_mapped({s.key for s, e in found.items() if any(row in records for row in e.every)})
    _read_things(store, found, versions)
    odd |= fresh.keys() - {row for edited in found.values() for row in edited.every}
    spoilt: set[Subject] = set()
    for subject, edited in found.items():
        edited.showing = _find_showing(edited, fresh)
        tables = {row.table for row in edited.every if row in records}
        others = {row for row in hung.get(subject.key, ()) if row.table in tables} - edited.every
        alone = not others and len(edited.every) == len(set(edited.rows.values()))
        if edited.showing is None or not alone or not _lives(edited, versions):
            spoilt.add(subject)
    return _leave(found, spoilt, odd)


def _find_showing(edited: Edited, fresh: Mapping[Row, Entry]) -> Showing | None:
    said = tuple((part, tuple(read_columns(fresh[row]))) for part, row in edited.rows.items())
    return find_showing(edited.record, find_written(edited.record, said))


def _leave(
    found: dict[Subject, Edited], spoilt: Collection[Subject], odd: Collection[Row] = ()
) -> dict[Subject, Edited]:
    """Return the records without those that are spoilt, and without all that share a row with these."""
    if not spoilt and not odd:
        return found
    rows = {subject: edited.every for subject, edited in found.items()}
    return {subject: found[subject] for subject in leave_spoilt(rows, spoilt, odd)}


def _read_things(store: Store, found: Mapping[Subject, Edited], versions: dict[Row, Version]) -> None:
    """Read what is known of the roots of these records, and of what is dead of their things."""
    things = {Row(part.table, e.key) for e in found.values() for part in e.record.thing} - versions.keys()
    roots = {Row(e.record.root.table, e.key) for e in found.values()} - versions.keys()
    versions |= store.read_versions(roots)
    versions |= {row: Version(0, "", False, 0) for row in store.find_dead(things - versions.keys())}


def _lives(edited: Edited, versions: Mapping[Row, Version]) -> bool:
    rows = [Row(part.table, edited.key) for part in edited.record.thing]
    return rows[:1] != [] and rows[0] in versions and all(versions[r].alive for r in rows if r in versions)


def _hold(
    store: Store, found: dict[Subject, Edited], versions: Mapping[Row, Version]
) -> dict[Subject, Edited]:
    """Steps 1, 2 and 5: lock the application's rows, and leave the records that do not have them or of which
    they show something else; none are left where the application did something meanwhile."""
    for edited in found.values():
        for part in edited.record.local:
            table = store.tables_by_wire.get(part.table)
            if edited.showing and part.name in edited.showing.parts and table is not None:
                work = Work(table, Row(part.table, local_key(part, edited.key)))
                work.version = versions[Row(edited.record.root.table, edited.key)]
                edited.works[part.name] = work
    works = [work for edited in found.values() for work in edited.works.values()]
    hold_present(store, works)
    rows = [work.row for work in works]
    hidden = store.read_parked(rows) | store.read_waiting(rows).keys() | store.read_shortened(rows)
    found = _leave(found, {s for s, edited in found.items() if not _shows(edited, hidden)})
    position = store.last_position()
    publish_held(store, [work for e in found.values() for work in e.works.values() if work.local_key])
    return found if store.last_position() == position else {}


def _shows(edited: Edited, hidden: Collection[Row]) -> bool:
    """Return whether the rows of a record are here and show what is merged; or there is none, and none is
    to be."""
    assert edited.showing is not None
    works = [edited.works.get(name) for name in edited.showing.parts]
    if any(w is None or w.parked is not None or w.row in hidden or w.table.trees for w in works):
        return False
    here = [work is not None and work.local_key is not None for work in works]
    return not any(here) if edited.showing.needs else all(here)


def _decide(
    store: Store, lens: Lens, found: dict[Subject, Edited], fresh: Mapping[Row, Entry]
) -> dict[Subject, Edited]:
    """Say what is written into the application's rows; leave the records of which something would be cut."""
    more = {s: _rows_read(edited) for s, edited in found.items()}
    known = read_values(store, {row for rows in more.values() for row in rows.values()})
    widths = read_widths(store, lens)
    cut: set[Subject] = set()
    for subject, edited in found.items():
        if edited.showing is None or edited.showing.needs or not edited.works:
            edited.works = {}
            continue
        before = {name: known.get(row, {}) for name, row in more[subject].items()}
        said = {name: read_columns(fresh[row]) for name, row in edited.rows.items()}
        if _decide_works(edited, edited.showing.show(edited.record, said, before), widths):
            cut.add(subject)
    return _leave(found, cut)


def _rows_read(edited: Edited) -> dict[str, Row]:
    """Return the common rows, by part, of which what is merged has to be read."""
    if edited.showing is None or edited.showing.needs or not edited.showing.reads:
        return {}
    things = {part.name: Row(part.table, edited.key) for part in edited.record.thing}
    return {name: edited.rows.get(name) or things[name] for name in edited.showing.reads}


def _decide_works(edited: Edited, shown: Mapping[str, Columns], widths: Widths) -> bool:
    """Give each row its columns; return whether something would be cut."""
    for name, columns in shown.items():
        work = edited.works[name]
        if is_cut(widths, work.row.table, columns):
            return True
        if columns:
            work.decision = Decision(columns, True, True, SHOWN)
    return False
