"""Steps 4 and 6, rows that go: what refers to them is parked or loses the reference first.

Nothing is left to the database's cascades.
"""

from collections.abc import Iterable, Mapping, Sequence

from changecapture.apply.localise import find_stray, park_reference
from changecapture.apply.work import BUSY, REFERENCE, Parked, Waiting, Work, attempt, by_table
from changecapture.apply.write import find_inserted, hold_present
from changecapture.core.change import Row
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.identify import name_rows
from changecapture.store.interface import Store


def must_go(work: Work) -> bool:
    if work.local_key is None or work.decision is None:
        return False
    return work.stray or not work.decision.alive


def hold_children(store: Store, works: Sequence[Work]) -> list[Work]:
    """Step 4: lock the rows that will go, against those who would refer to them as well, and find and
    lock the rows that refer to them, and theirs, to the end."""
    front = [work for work in works if must_go(work) and work.table.deleted_flag is None]
    front += find_stray(store, works)
    if not front:
        return []
    hold_present(store, front, leaving=True)
    known = {work.row for work in works}
    waiting = _find_children(store, [work for work in front if work.parked is None])
    found = [Work(store.tables_by_wire[row.table], row) for row in waiting if row not in known]
    hold_present(store, found, leaving=True)
    if any(child.parked is not None for child in found):
        for work in front:
            work.parked = Parked(BUSY, "the application holds a row that refers to it")
    for work in front:
        if work.parked is not None:
            work.decision = None
    versions = store.read_versions([child.row for child in found])
    for child in found:
        child.version = versions.get(child.row)
    return [child for child in found if child.parked is None]


def _find_children(store: Store, parents: Sequence[Work]) -> dict[Row, list[Waiting]]:
    """Return what each row that refers to these, or to one that goes with them, will wait for."""
    found: dict[Row, list[Waiting]] = {}
    gone = {parent.row for parent in parents}
    front = list(parents)
    while front:
        reached: dict[Row, Work] = {}
        for parent in front:
            for child, column in _children(store, parent):
                if child.row not in gone:
                    wait = Waiting(column.wire, parent.row.table, parent.row.key)
                    found.setdefault(child.row, []).append(wait)
                    reached[child.row] = child
        front = [child for row, child in reached.items() if _goes_with_parent(child.table, found[row])]
        gone |= {child.row for child in front}
    return found


def _children(store: Store, parent: Work) -> Iterable[tuple[Work, SyncedColumn]]:
    for table in store.tables.values():
        for column in (*table.columns, *table.identity.columns):
            reference = column.reference
            if reference is None or reference.table != parent.table.name or not reference.must_be_here:
                continue
            assert parent.local_key is not None
            texts = store.read_referring(table, column, parent.table, parent.local_key)
            for text, key in name_rows(store, table, texts).items():
                yield Work(table, Row(table.wire, key), local_key=text), column


def _goes_with_parent(table: SyncedTable, waiting: Iterable[Waiting]) -> bool:
    """Return whether a row cannot stay without what it refers to."""
    required = {c.wire for c in table.columns if c.reference and c.reference.required}
    required |= {column.wire for column in table.identity.columns}
    return any(item.column in required for item in waiting)


def delete_dead(store: Store, works: Sequence[Work], held: Mapping[Row, Work]) -> None:
    """Step 6, rows that go: by the application's flag, or children first and for good. What is flagged stands
    in no tree any more: its edge does not count where living ones are pruned, and could close a cycle here.

    ``held`` are all rows that are locked: those of the batch, and those that referred to rows that go.
    """
    flagged = {work.row for work in works if work.table.deleted_flag is not None and not work.stray}
    for table, group in by_table(work for work in works if work.row in flagged):
        flag = table.deleted_flag
        assert flag is not None
        edges = {column.name: None for column in table.columns if column.wire in table.trees}
        store.update_rows(table, [(work.local_key, {flag.column: flag.deleted, **edges}) for work in group])
    gone = [work for work in works if work.row not in flagged and work.parked is None]
    # Looked for again: the batch has moved some to other parents, and brought others.
    waiting = _find_children(store, gone)
    if waiting.keys() - held.keys():
        for work in gone:
            work.parked = Parked(BUSY, "the application has a new row that refers to it")
        return
    # Those that this batch has inserted were not yet looked at.
    find_inserted(store, [held[row] for row in waiting])
    leaving = [*gone, *_part(store, waiting, held)]
    for work in gone:
        if work.decision is not None and not work.stray:
            store.keep_image(work.table, work.row, work.local_key, work.decision.version)
    leaving.sort(key=lambda work: -store.ranks.get(work.table.name, 0))
    _let_go(store, leaving)
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
            if work.stray and work.parked is None:
                park_reference(work)
    children = [held[row] for row in waiting]
    store.write_parked({child.row: child.parked for child in children if child.parked is not None})
    store.add_waiting({child.row: child.waiting for child in children})


def _let_go(store: Store, leaving: Sequence[Work]) -> None:
    """Empty the references among rows that go together: MySQL checks them row by row."""
    names = {work.table.name for work in leaving}
    for table, group in by_table(leaving):
        loose = {
            column.name: None
            for column in table.columns
            if column.reference and not column.reference.required and column.reference.table in names
        }
        if loose:
            store.update_rows(table, [(w.local_key, loose) for w in group if w.local_key is not None])


def _part(store: Store, waiting: Mapping[Row, list[Waiting]], held: Mapping[Row, Work]) -> Iterable[Work]:
    """Take the references to rows that go out of the rows that can stay; park and yield the others."""
    for row, items in waiting.items():
        child = held[row]
        # What a column is to refer to from now on stands there already: it waits for that, not for what goes.
        known = {item.column for item in child.waiting}
        child.waiting = [*child.waiting, *(item for item in items if item.column not in known)]
        if _goes_with_parent(child.table, items):
            child.parked, child.inserted = Parked(REFERENCE, f"waits for {items[0].target_key}"), False
            yield child
            continue
        names = {column.wire: column.name for column in child.table.columns}
        store.update_rows(child.table, [(child.local_key, {names[item.column]: None for item in items})])
