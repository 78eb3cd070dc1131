"""Steps 1 to 3 and 6: lock what is there, insert what is absent, write what stays."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from changecapture.apply.fold import hold_members
from changecapture.apply.localise import localise, locate, park_reference
from changecapture.apply.match import UNIQUE, match_rows, park_clashing
from changecapture.apply.placeholder import make_placeholder
from changecapture.apply.work import BUSY, REFERENCE, Parked, Work, attempt, by_table, ends_all
from changecapture.core.change import Row
from changecapture.core.table import SyncedTable
from changecapture.errors import DataError, RetryLater
from changecapture.publish.home import LARGE
from changecapture.store.interface import Store

OTHER = Parked("", "")
AWAITS = Parked(REFERENCE, "what it refers to is being joined")


def insert_absent(store: Store, works: Sequence[Work]) -> None:
    """Step 3: insert what is absent, in rounds, until every row that can be is there."""
    todo = sorted(works, key=lambda work: store.ranks.get(work.table.name, 0))
    while todo:
        left: list[Work] = []
        for table, group in by_table(todo):
            rows = localise(store, table, group)
            ready = [work for work in group if work.row in rows]
            match_rows(store, table, ready, rows, works)
            _await_joins(table, ready, works)
            ready = [work for work in ready if work.match is None and work.parked is None]
            left += [work for work in group if work.row not in rows and work.parked is None]
            _insert_ready(store, table, ready, rows)
            park_clashing(store, table, ready, rows)
        if len(left) == len(todo):
            for work in left:
                park_reference(work)
            break
        todo = left
    _fill_waiting(store, [work for work in works if work.inserted and work.waiting])


def _await_joins(table: SyncedTable, ready: Sequence[Work], works: Iterable[Work]) -> None:
    """Let a row wait, that is known by what it refers to, for a row of the batch that is about to be joined:
    it cannot be told from its like before."""
    wires = {column.wire for column in table.columns if column.name in table.natural}
    if not wires:
        return
    joining = {work.row for work in works if work.match is not None or work.parked is AWAITS}
    for work in ready:
        named = {Row(i.target_table, i.target_key) for i in work.waiting if i.column in wires}
        if work.parked is None and not named.isdisjoint(joining):
            work.parked = AWAITS


def _insert_ready(
    store: Store, table: SyncedTable, works: list[Work], rows: Mapping[Row, dict[str, Any]]
) -> None:
    def write(part: Sequence[Work]) -> None:
        if table.identity.kind == "assigned":
            store.insert_given(table, {work.row.key: rows[work.row] for work in part})
        else:
            store.insert_rows(table, [rows[work.row] for work in part])

    if not works:
        return
    try:
        with store.savepoint():
            write(works)
        refused: dict[Row, Parked] = {}
    except (DataError, RetryLater) as error:
        if ends_all(store, error):
            raise
        # Perhaps the application has such a row, which was not looked for.
        hold_present(store, [work for work in works if is_new(work)])
        refused = attempt(store, [w for w in works if w.local_key is None and not w.parked], write)
    for work in works:
        if work.row in refused:
            work.parked = refused[work.row]
        else:
            work.inserted = work.local_key is None and work.parked is None


def find_inserted(store: Store, works: Iterable[Work]) -> None:
    for table, group in by_table(work for work in works if work.local_key is None):
        held = store.hold_rows(table, locate(store, table, [work.row.key for work in group]))
        for work in group:
            work.local_key = held.get(work.row.key)


def _fill_waiting(store: Store, works: Sequence[Work]) -> None:
    """Set the optional references whose rows were inserted after the row itself."""
    find_inserted(store, works)
    for table, group in by_table(works):
        rows = localise(store, table, group)
        columns = {column.wire: column.name for column in table.columns}
        for work in group:
            assert work.decision is not None
            references = [
                columns[wire]
                for wire, value in work.decision.values.items()
                if value is not None
                and wire in columns
                and rows[work.row][columns[wire]] is not None
                and _is_reference(table, wire)
            ]
            if references and work.local_key is not None:
                part = {name: rows[work.row][name] for name in references}
                store.update_rows(table, [(work.local_key, part)])


def _is_reference(table: SyncedTable, wire: str) -> bool:
    return any(c.wire == wire and c.reference is not None for c in table.columns)


def update_present(store: Store, works: Sequence[Work]) -> None:
    """Step 6, rows that stay: write the columns that the merge gave, the flag of a revived row too.

    A row that must refer to one that is not here turns out to be stray: it is left to ``delete_dead``.
    """
    for table, group in by_table(works):
        rows = localise(store, table, group)
        for work in group:
            work.stray = work.row not in rows and work.parked is None
        changes: list[tuple[Work, dict[str, Any]]] = []
        for work in group:
            if work.row in rows:
                row = rows[work.row]
                flag = table.deleted_flag
                dead = work.version is not None and not work.version.alive
                if flag is not None and (dead or work.members):
                    row[flag.column] = flag.live
                if row:
                    changes.append((work, row))
        refused = _write_shapes(store, table, changes)
        clashing = [(work, row) for work, row in changes if refused.get(work.row, OTHER).reason == UNIQUE]
        for swapped in swap_values(store, table, clashing):
            del refused[swapped]
        for work, _ in changes:
            work.parked = refused.get(work.row)
        park_clashing(store, table, [work for work, _ in changes], rows)


def _write_shapes(
    store: Store, table: SyncedTable, changes: Iterable[tuple[Work, dict[str, Any]]]
) -> dict[Row, Parked]:
    """Write rows, those with the same columns together; return those that were refused."""
    shapes: dict[frozenset[str], list[tuple[Work, dict[str, Any]]]] = defaultdict(list)
    for work, row in changes:
        shapes[frozenset(row)].append((work, row))
    refused: dict[Row, Parked] = {}
    for shape in shapes.values():
        values = {work.row: row for work, row in shape}
        refused |= attempt(
            store,
            [work for work, _ in shape],
            lambda part, values=values, table=table: store.update_rows(  # type: ignore[misc]
                table, [(work.local_key, values[work.row]) for work in part]
            ),
        )
    return refused


def swap_values(
    store: Store, table: SyncedTable, clashing: Sequence[tuple[Work, dict[str, Any]]]
) -> list[Row]:
    """Write rows that clash only with each other (names swapped) in two steps, a placeholder first; return
    those that are written. Rows that clash with others as well keep what they show (R14)."""
    left = list(clashing)
    while len(left) > 1:
        refused: dict[Row, Parked] = {}
        try:
            with store.savepoint():
                _write_shapes(store, table, [(work, _place_held(table, work, row)) for work, row in left])
                refused = _write_shapes(store, table, left)
                if refused:
                    raise DataError("clashes with others as well", reason=UNIQUE)
            return [work.row for work, _ in left]
        except DataError:
            if not refused:
                raise
            left = [(work, row) for work, row in left if work.row not in refused]
    return []


def _place_held(table: SyncedTable, work: Work, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what holds the place of the unique values that a row is about to get; of all its values where
    what is unique is an expression of some, or of some rows only, which the catalogue does not tell."""
    held: dict[str, Any] = {}
    told = not row.keys().isdisjoint(table.unique)
    for column in table.columns:
        if column.name in row and (column.name in table.unique or not told):
            place = None if column.nullable else make_placeholder(column, work.row.key)
            if column.nullable or place is not None:
                held[column.name] = place
    return held


def is_new(work: Work) -> bool:
    """Return whether the row can be inserted unseen: nothing is known of it, and were it here after
    all, the unique index of its identity would refuse the insert."""
    return work.version is None and not work.again and work.table.identity.indexed


def hold_present(store: Store, works: Sequence[Work], *, leaving: bool = False) -> None:
    """Steps 1 and 2: lock the rows that are there; a row that is there but not lockable is busy.

    A row that is too large to travel is left as it is: what it shows is in no log.
    """
    large = store.read_parked([work.row for work in works], LARGE)
    for work in works:
        if work.row in large:
            work.parked = Parked(LARGE, "stays here, and as it is, until it is small enough to travel")
    for table, group in by_table(work for work in works if work.row not in large):
        wanted = locate(store, table, [work.row.key for work in group])
        held = store.hold_rows(table, wanted, leaving=leaving)
        missing = {key: place for key, place in wanted.items() if key not in held}
        busy = store.find_rows(table, missing) if missing else set()
        for work in group:
            work.local_key = held.get(work.row.key)
            if work.row.key in busy:
                work.parked = Parked(BUSY, "the application holds the row")
        if joined := [work for work in group if work.members]:
            hold_members(store, table, joined)
