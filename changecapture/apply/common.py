"""Common rows merged in the log of a site that has no tables for them: versions, conflicts, what is settled.

As ``show`` decides, along the same two paths: where each author saw what is here, the versions alone tell;
else, and where the existence of a thing stirs, all entries do.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from changecapture.apply.decided import settle_conflicts
from changecapture.apply.things import stirs
from changecapture.apply.work import Work
from changecapture.bridge import common_table, read_applied
from changecapture.core.change import Entry, Row, Version
from changecapture.core.merge import extend, find_alive, follows, settle
from changecapture.mapping.model import Lens
from changecapture.store.interface import Store


def merge_common(
    store: Store,
    lens: Lens,
    merging: Mapping[Row, Sequence[Entry]],
    versions: Mapping[Row, Version],
    dead: Collection[Row],
) -> None:
    """Merge entries into common rows. ``versions``: what is known of these; ``dead``: which rows of their
    things are deleted."""
    works = [_work_of(lens, row, more) for row, more in merging.items()]
    kin = {work.row: [Row(table, work.row.key) for table in lens.kin(work.row.table)] for work in works}
    stirred: set[Row] = set()
    for work in works:
        work.version = versions.get(work.row)
        if stirs(work) or any(row in dead for row in kin[work.row]):
            stirred.update((work.row, *kin[work.row]))
    slow: list[Work] = []
    for work in works:
        if work.row in stirred or not follows(work.version, work.fresh):
            slow.append(work)
        else:
            work.decision = extend(work.version, work.fresh)
    if kindred := stirred - versions.keys():
        versions = {**versions, **store.read_versions(kindred)}
    # What is one thing with a row whose existence stirs comes or goes with it.
    for row in sorted((stirred & versions.keys()) - merging.keys()):
        work = _work_of(lens, row, ())
        work.version, kin[row] = versions[row], [Row(table, row.key) for table in lens.kin(row.table)]
        works.append(work)
        slow.append(work)
    if slow:
        _settle(store, slow, kin, merging)
    decisions = [(work, work.decision) for work in works if work.decision is not None]
    store.write_versions(
        {work.row: decision.version for work, decision in decisions},
        {work.row: work.version for work in works},
    )
    settle_conflicts(store, works)
    store.write_conflicts([(work.row, c) for work, decision in decisions for c in decision.conflicts])


def _work_of(lens: Lens, row: Row, more: Iterable[Entry]) -> Work:
    table = common_table(row.table, lens.common_tables[row.table])
    return Work(table, row, sorted(more, key=lambda entry: entry.order))


def _settle(
    store: Store,
    works: Sequence[Work],
    kin: Mapping[Row, Iterable[Row]],
    merging: Mapping[Row, Sequence[Entry]],
) -> None:
    """Merge rows from all their entries; what is one thing exists or not together (things)."""
    entries = read_applied(store, {row for work in works for row in (work.row, *kin[work.row])})

    def every(row: Row) -> list[Entry]:
        return [*entries.get(row, ()), *merging.get(row, ())]

    authors = [entry for work in works for row in {work.row, *kin[work.row]} for entry in every(row)]
    contexts = store.read_contexts({(e.origin, e.epoch, e.pass_number) for e in authors})
    for work in works:
        thing = find_alive(entry for row in kin[work.row] for entry in every(row)) if kin[work.row] else None
        names = frozenset(entry.name for entry in work.fresh)
        work.decision = settle(work.version, every(work.row), names, contexts, thing)
