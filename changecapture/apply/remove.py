"""Steps 4 and 6, rows that go: what refers to them is parked or loses the reference first.

Nothing is left to the database's cascades.
"""

from collections.abc import Iterable, Sequence

from changecapture.apply.work import BUSY, REFERENCE, Parked, Waiting, Work, attempt, by_table
from changecapture.apply.write import hold_present
from changecapture.core.change import Row
from changecapture.core.table import SyncedColumn
from changecapture.identify import name_rows
from changecapture.store.interface import Store


def must_go(work: Work) -> bool:
    return work.local_key is not None and work.decision is not None and not work.decision.alive


def hold_children(store: Store, works: Sequence[Work]) -> list[Work]:
    """Step 4: find and lock the rows that refer to rows that will go, and theirs, to the end."""
    doomed: dict[Row, Work] = {}
    front = [work for work in works if must_go(work) and work.table.deleted_flag is None]
    known = {work.row for work in front}
    while front:
        found: list[Work] = []
        for parent in front:
            for child, column in _children(store, parent):
                if child.row in known:
                    continue
                known.add(child.row)
                assert column.reference is not None
                child.waiting = [Waiting(column.wire, parent.row.table, parent.row.key)]
                doomed[child.row] = child
                found.append(child)
        hold_present(store, found)
        if any(child.parked is not None for child in found):
            for work in works:
                if must_go(work):
                    work.parked = Parked(BUSY, "the application holds a row that refers to it")
                    work.decision = None
            return []
        front = [child for child in found if _goes_with_parent(child)]
    versions = store.read_versions(list(doomed))
    for child in doomed.values():
        child.version = versions.get(child.row)
    return list(doomed.values())


def _children(store: Store, parent: Work) -> Iterable[tuple[Work, SyncedColumn]]:
    for table in store.tables.values():
        for column in (*table.columns, *table.identity.columns):
            reference = column.reference
            if reference is None or reference.table != parent.table.name or not reference.must_be_here:
                continue
            assert parent.local_key is not None
            texts = store.read_referring(table, column, parent.table, parent.local_key)
            for key in name_rows(store, table, texts).values():
                yield Work(table, Row(table.wire, key)), column


def _goes_with_parent(child: Work) -> bool:
    """Return whether the child cannot stay without what it refers to."""
    required = {c.wire for c in child.table.columns if c.reference and c.reference.required}
    required |= {column.wire for column in child.table.identity.columns}
    return any(item.column in required for item in child.waiting)


def delete_dead(store: Store, works: Sequence[Work], doomed: Sequence[Work]) -> None:
    """Step 6, rows that go: by the application's flag, or children first and for good."""
    flagged = [work for work in works if work.table.deleted_flag is not None]
    for table, group in by_table(flagged):
        flag = table.deleted_flag
        assert flag is not None
        store.update_rows(table, [(work.local_key, {flag.column: flag.deleted}) for work in group])
    gone = [work for work in works if work.table.deleted_flag is None and work.parked is None]
    if not gone:
        return
    for child in doomed:
        if _goes_with_parent(child):
            child.parked = Parked(REFERENCE, f"waits for {child.waiting[0].target_key}")
            continue
        names = {c.wire: c.name for c in child.table.columns}
        nulls = {names[item.column]: None for item in child.waiting}
        store.update_rows(child.table, [(child.local_key, nulls)])
    for work in gone:
        assert work.decision is not None
        store.keep_image(work.table, work.row, work.local_key, work.decision.version)
    leaving = [*gone, *(child for child in doomed if child.parked is not None)]
    ranks = store.ranks
    leaving.sort(key=lambda work: -ranks.get(work.table.name, 0))
    for table, group in by_table(leaving):
        refused = attempt(
            store,
            group,
            lambda part, table=table: store.delete_rows(  # type: ignore[misc]
                table, [work.local_key for work in part]
            ),
        )
        for work in group:
            work.parked = refused.get(work.row, work.parked)
    store.write_parked({c.row: c.parked for c in doomed if c.parked is not None})
    store.write_waiting({child.row: child.waiting for child in doomed})
