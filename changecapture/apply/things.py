"""Rows that are one thing share one ``alive``, merged once for all of them (design: merge).

A super-entity row and its instance stand in different tables under one key (Eden's pr_pentity and
pr_person). Whether they exist is decided by the latest word on any of them: no person comes back while its
super rows stay deleted. As long as all rows of a thing live and nothing else is heard, each may be
merged alone by the fast path. Where its existence stirs, or a row is merged from all its entries, which may
say that it is dead while another row's say that it lives, all rows of it are brought in and settled together.
"""

from collections.abc import Iterable, Mapping, Sequence

from changecapture.apply.work import Work
from changecapture.core.change import ALIVE, Entry, Row, Version
from changecapture.core.merge import Cell, find_alive, follows, read_columns
from changecapture.store.interface import Store

LIVES = f'"{ALIVE}":true'
"""What an entry says, in canonical JSON, that leaves a living row alive."""


def find_kin(store: Store, works: Sequence[Work]) -> list[Work]:
    """Return the rows beyond the batch that are one thing with rows of it that are not merged alone; make
    all rows of such things be settled from all their entries."""
    batch = {work.row: work for work in works if work.table.kin}
    front = {work.row for work in batch.values() if stirs(work) or not follows(work.version, work.fresh)}
    new = [work for work in batch.values() if work.version is None and work.row not in front]
    front |= _join_dead(store, new, batch)
    found: dict[Row, Work] = {}
    reached = set(front)
    while front:
        kin = {row for one in front for row in _kin_of(store, one)} - reached
        versions = store.read_versions(kin)
        front = {row for row in kin if row in batch or row in versions}
        reached |= kin
        found.update((row, _work_of(store, row, versions[row])) for row in front if row not in batch)
    for row in reached & batch.keys():
        batch[row].again = True
    return list(found.values())


def stirs(work: Work) -> bool:
    """Return whether the row was dead, or something else is heard of it than that it lives."""
    if work.again or (work.version is not None and not work.version.alive):
        return True
    return any(LIVES not in entry.columns for entry in work.fresh)


def _join_dead(store: Store, new: Iterable[Work], batch: Mapping[Row, Work]) -> set[Row]:
    """Return the new rows whose thing is known here and is dead."""
    kin = {
        work.row: [row for row in _nearest_kin(work) if row not in batch or batch[row].version is not None]
        for work in new
    }
    versions = store.read_versions({row for rows in kin.values() for row in rows})
    dead = {row for row, version in versions.items() if not version.alive}
    return {row for row, rows in kin.items() if not dead.isdisjoint(rows)}


def _nearest_kin(work: Work) -> list[Row]:
    """Return the rows that are one thing with a new one; of a super row, the instance that it names."""
    names: Iterable[str] = work.table.kin
    if work.table.kind is not None:
        named = [read_columns(entry).get(work.table.kind) for entry in work.fresh]
        names = {str(name).lower() for name in named} & set(names)
    return [Row(name, work.row.key) for name in names]


def _kin_of(store: Store, row: Row) -> Iterable[Row]:
    return (Row(name, row.key) for name in store.tables_by_wire[row.table].kin)


def _work_of(store: Store, row: Row, version: Version) -> Work:
    return Work(store.tables_by_wire[row.table], row, version=version, again=True)


def find_things(works: Sequence[Work], logged: Mapping[Row, Sequence[tuple[Entry, bool]]]) -> dict[Row, Cell]:
    """Return for each row that is part of a thing whether the thing exists, and who said so."""
    entries: dict[str, list[Entry]] = {}
    for work in works:
        if work.table.kin:
            own = [*work.fresh, *(entry for entry, _ in logged.get(work.row, ()))]
            entries.setdefault(work.row.key, []).extend(own)
    alive = {thing: find_alive(own) for thing, own in entries.items()}
    return {work.row: cell for work in works if work.table.kin and (cell := alive[work.row.key]) is not None}
