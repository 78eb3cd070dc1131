"""Apply at a site with a mapping: common rows are merged in the log, and shown as the application's rows.

Records that nobody here has heard of go in bulk (``mapped_new``), and plain edits of known ones
(``mapped_next``), the others one by one (``crossing``). A
record that the application holds waits, all its entries not applied. A row of the application that cannot
be written is parked by itself: the entries are applied, and until it is shown it counts as if it were, so
that nothing of it is taken for the application's own change.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from changecapture.apply.crossing import Crossing
from changecapture.apply.mapped_new import write_new
from changecapture.apply.mapped_next import write_next
from changecapture.apply.mapped_write import afresh, finish_works
from changecapture.apply.things import LIVES
from changecapture.apply.trees import prune_mapped
from changecapture.apply.work import Work
from changecapture.core.change import Entry, Row
from changecapture.mapping.model import Lens
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


def show_mapped(store: Store, entries: Sequence[Entry]) -> Shown:
    """Merge entries of common rows, append them, show the records that they are about."""
    if store.mapping is None or not entries:
        return Shown(0, 0)
    new, works = write_new(store, store.mapping, entries)
    parked = finish_works(store, works, set())
    _wake(store, store.mapping, works)
    entries = _without(entries, new)
    if not entries:
        return Shown(len(new), parked)
    # What may have to be inserted, or goes, comes before what is changed (R8).
    stirring = {entry.row for entry in entries if not entry.base_seen or LIVES not in entry.columns}
    early = [entry for entry in entries if entry.row in stirring]
    first = _show_known(store, store.mapping, early)
    entries = _without(entries, early)
    edits, refused = write_next(store, store.mapping, entries)
    last = _show_known(store, store.mapping, _without(entries, edits))
    applied = len(new) + first.applied + len(edits) + last.applied
    return Shown(applied, parked + first.parked + refused + last.parked)


def _without(entries: Sequence[Entry], written: Sequence[Entry]) -> Sequence[Entry]:
    if len(written) in (0, len(entries)):
        return [] if written else entries
    own = {entry.row for entry in written}
    return [entry for entry in entries if entry.row not in own]


def _show_known(store: Store, lens: Lens, entries: Sequence[Entry]) -> Shown:
    return afresh(store, partial(_cross, store, lens, entries)) if entries else Shown(0, 0)


def _cross(store: Store, lens: Lens, entries: Sequence[Entry]) -> Shown:
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
    prune_mapped(store, lens, crossing.works, entries)
    _wake(store, lens, crossing.works)
    return Shown(sum(1 for e in entries if e.row not in held), len(held) + parked)


def retry_mapped(store: Store, rows: Sequence[Row]) -> list[Row]:
    """Show the records of parked rows again; return the rows that are none of a mapping's."""
    lens = store.mapping
    if lens is None:
        return list(rows)
    common = [row for row in rows if row.table in lens.common_tables]
    local = [row for row in rows if row.table in lens.local_tables]
    if common or local:
        afresh(store, partial(_cross_again, store, lens, common, local))
    return [row for row in rows if row.table not in {*lens.common_tables, *lens.local_tables}]


def _cross_again(store: Store, lens: Lens, common: Sequence[Row], local: Sequence[Row]) -> None:
    waited = _read_unapplied(store, common)
    crossing = Crossing(store, lens, waited, common, local)
    crossing.merge(waited)
    store.forget_parked([row for row in common if row not in crossing.held])
    crossing.show()
    prune_mapped(store, lens, crossing.works, ())
    _wake(store, lens, crossing.works)


def _read_unapplied(store: Store, rows: Collection[Row]) -> dict[Row, list[Entry]]:
    """Return the entries of rows that are in the log and wait."""
    parked = store.read_parked(rows) if rows else ()
    found = store.read_row_entries(parked) if parked else {}
    return {
        row: waiting
        for row, logged in found.items()
        if (waiting := [entry for entry, applied in logged if not applied])
    }


def _wake(store: Store, lens: Lens, works: Iterable[Work]) -> None:
    """Show the rows that waited for those that are here now."""
    here = [work.row for work in works if work.inserted and work.parked is None]
    waiting = [row for row in store.read_waiting_for(here) if row.table in lens.local_tables]
    if waiting:
        afresh(store, partial(_cross_again, store, lens, (), waiting))
