"""Apply: entries of other sites, merged and shown here (design: apply, the order that stood).

    the writers' lock -> publish, so that little is left -> BEGIN (READ COMMITTED, capture off) ->
    1  lock the rows that are there                  2  what is there but not lockable is busy
    3  insert what is absent, parents first          4  lock parents, and children that must go
    5  only now read ``captured``; publish what it holds of these rows, and merge again
    6  write, append the entries as received, raise versions, progress -> COMMIT -> unlock

What cannot be shown is *parked* with its reason: its entries are in the changelog, not applied, and are
forwarded; the rest goes on. To retry is to show the row again from all its entries. Nothing is left to
the database's cascades: before a row goes, the rows that refer to it are parked or lose the reference.
Applying anything twice changes nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from changecapture.core.change import Entry, Row, Version
from changecapture.core.codec import PassName
from changecapture.core.merge import Decision, extend, follows, settle
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.values import dump
from changecapture.core.vector import Vector, dump_vector
from changecapture.errors import DataError, RetryLater
from changecapture.identify import name_rows, place_keys
from changecapture.publish import publish, publish_captured
from changecapture.store.interface import Store

DRAIN_PASSES = 1000
RETRY_LIMIT = 500
BUSY, REFERENCE, UNIQUE = "busy", "reference", "unique"


class Parked(NamedTuple):
    """Why a row cannot be shown."""

    reason: str
    detail: str


class Waiting(NamedTuple):
    """A column whose reference waits for the row that it names."""

    column: str
    target_table: str
    target_key: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What one apply transaction came to: entries that were new, rows written, rows parked."""

    entries: int
    applied: int
    parked: int


@dataclass(slots=True)
class Work:
    """One row in one apply transaction. ``local_key`` is None while the row is absent."""

    table: SyncedTable
    row: Row
    fresh: list[Entry] = field(default_factory=list)
    version: Version | None = None
    local_key: str | None = None
    decision: Decision | None = None
    again: bool = False
    """True when the row must be settled from all its entries: it was parked, or is shown anew."""
    parked: Parked | None = None
    waiting: list[Waiting] = field(default_factory=list)
    inserted: bool = False


def apply_entries(
    store: Store,
    entries: Sequence[Entry],
    passes: Mapping[PassName, str],
    contexts: Mapping[str, Vector],
    record: Callable[[], None] = lambda: None,
) -> Applied:
    """Apply entries in one transaction; ``record`` writes the caller's progress into it."""
    with store.lock():
        drain(store)
        with store.applying():
            fresh = _drop_known(store, entries)
            store.write_contexts({digest: dump_vector(v) for digest, v in contexts.items()})
            store.write_passes(passes)
            works, carried = _gather(store, fresh)
            parked = _show(store, works)
            done = [entry for work in works if work.parked is None for entry in work.fresh]
            held = [entry for work in works if work.parked is not None for entry in work.fresh]
            store.append_entries(done, applied=True)
            store.append_entries([*held, *carried], applied=False)
            record()
    return Applied(len(fresh), len(done), parked)


def retry(store: Store, limit: int = RETRY_LIMIT) -> int:
    """Show the parked and waiting rows again; return how many rows are still parked."""
    after: Row | None = None
    while True:
        with store.lock():
            drain(store)
            with store.applying():
                rows = store.read_stuck(after, limit)
                if not rows:
                    return store.count_parked()
                works = [
                    Work(table, row, again=True)
                    for row in rows
                    if (table := store.tables_by_wire.get(row.table)) is not None
                ]
                _show(store, works)
                after = rows[-1]


def drain(store: Store) -> None:
    """Publish what is captured, so that little of it is left for the apply transaction."""
    for _ in range(DRAIN_PASSES):
        if not publish(store):
            return


def _drop_known(store: Store, entries: Iterable[Entry]) -> list[Entry]:
    fresh = {(entry.origin, entry.epoch, entry.number): entry for entry in entries}
    for name in store.find_names(fresh):
        del fresh[name]
    return list(fresh.values())


def _gather(store: Store, fresh: Iterable[Entry]) -> tuple[list[Work], list[Entry]]:
    """Return the entries by row, in order, and those of tables that this site does not have."""
    works: dict[tuple[str, str], Work] = {}
    carried: list[Entry] = []
    for entry in fresh:
        place = (entry.table, entry.key)
        work = works.get(place)
        if work is None:
            table = store.tables_by_wire.get(entry.table)
            if table is None:
                carried.append(entry)
                continue
            work = works[place] = Work(table, Row(*place))
        work.fresh.append(entry)
    for work in works.values():
        if len(work.fresh) > 1:
            work.fresh.sort(key=lambda entry: entry.order)
    return list(works.values()), carried


def _show(store: Store, works: list[Work]) -> int:
    """Merge and write the rows, and those that waited for them; return how many got parked."""
    everything: dict[Row, Work] = {}
    while works:
        everything.update((work.row, work) for work in works)
        _show_once(store, works)
        shown = [work.row for work in works if work.inserted]
        works = [
            Work(store.tables_by_wire[row.table], row, again=True)
            for row in store.read_waiting_for(shown)
            if row not in everything or everything[row].parked is not None
        ]
    return sum(1 for work in everything.values() if work.parked is not None)


def _show_once(store: Store, works: list[Work]) -> None:
    versions = store.read_versions([work.row for work in works])
    stuck = store.read_parked([work.row for work in works])
    for work in works:
        work.version = versions.get(work.row)
        work.again = work.again or work.row in stuck
    _hold(store, [work for work in works if not _is_new(work)])
    active = [work for work in works if work.parked is None]
    _decide(store, active)
    doomed = _hold_children(store, active)
    _insert(store, [work for work in active if _is_absent(work)])
    touched = _publish_held(store, [*active, *doomed])
    for work in touched:
        work.again, work.inserted = True, False
        work.version = store.read_versions([work.row]).get(work.row)
    _find_inserted(store, touched)
    _decide(store, touched)
    _update(store, [w for w in active if w.local_key and not w.inserted and not _must_go(w)])
    _delete(store, [work for work in active if _must_go(work)], doomed)
    _finish(store, works, stuck)


def _is_new(work: Work) -> bool:
    """Return whether the row can be inserted unseen: nothing is known of it, and were it here after
    all, the unique index of its identity would refuse the insert."""
    return work.version is None and not work.again and work.table.identity.indexed


def _hold(store: Store, works: Sequence[Work]) -> None:
    """Steps 1 and 2: lock the rows that are there; a row that is there but not lockable is busy."""
    for table, group in _by_table(works):
        wanted = _locate(store, table, [work.row.key for work in group])
        held = store.hold_rows(table, wanted)
        missing = {key: place for key, place in wanted.items() if key not in held}
        busy = store.find_rows(table, missing) if missing else set()
        for work in group:
            work.local_key = held.get(work.row.key)
            if work.row.key in busy:
                work.parked = Parked(BUSY, "the application holds the row")


def _locate(store: Store, table: SyncedTable, keys: Collection[str]) -> dict[str, list[Any]]:
    """Return {key: place} of the rows that can be here; a key that does not fit the table cannot."""
    if table.identity.kind == "assigned":
        return store.read_locators(table, keys)
    places = place_keys(table, keys)
    for index, column in enumerate(table.identity.columns):
        if column.reference is not None and not column.reference.by_key:
            found = _resolve(store, column, {items[index] for items in places.values()})
            for items in places.values():
                items[index] = found.get(items[index])
    return {key: items for key, items in places.items() if None not in items}


def _decide(store: Store, works: Sequence[Work]) -> None:
    """Merge each row: along the fast path when every author saw what is here, else from all entries."""
    slow: list[Work] = []
    for work in works:
        if not work.again and follows(work.version, work.fresh):
            work.decision = extend(work.version, work.fresh)
            if not work.decision.whole and _needs_whole(work):
                slow.append(work)
        else:
            slow.append(work)
    if slow:
        _settle(store, slow)


def _needs_whole(work: Work) -> bool:
    assert work.decision is not None
    if not work.decision.alive:
        return False
    return work.local_key is None or (work.version is not None and not work.version.alive)


def _settle(store: Store, works: Sequence[Work]) -> None:
    logged = store.read_row_entries([work.row for work in works])
    authors = {
        (entry.origin, entry.epoch, entry.pass_number)
        for work in works
        for entry in [*work.fresh, *(entry for entry, _ in logged.get(work.row, ()))]
    }
    contexts = store.read_contexts(authors)
    for work in works:
        entries = {entry.name: entry for entry, _ in logged.get(work.row, ())}
        merged = {entry.name for entry, applied in logged.get(work.row, ()) if applied}
        entries.update((entry.name, entry) for entry in work.fresh)
        if entries:
            fresh = frozenset(name for name in entries if name not in merged)
            work.decision = settle(work.version, list(entries.values()), fresh, contexts)


def _is_absent(work: Work) -> bool:
    return work.local_key is None and work.decision is not None and work.decision.alive


def _must_go(work: Work) -> bool:
    return work.local_key is not None and work.decision is not None and not work.decision.alive


def _insert(store: Store, works: Sequence[Work]) -> None:
    """Step 3: insert what is absent, in rounds, until every row that can be is there."""
    todo = sorted(works, key=lambda work: store.ranks.get(work.table.name, 0))
    while todo:
        left: list[Work] = []
        for table, group in _by_table(todo):
            rows = _localise(store, table, group)
            ready = [work for work in group if work.row in rows]
            left += [work for work in group if work.row not in rows and work.parked is None]
            _insert_ready(store, table, ready, rows)
        if len(left) == len(todo):
            for work in left:
                _park_reference(work)
            break
        todo = left
    _fill_waiting(store, [work for work in works if work.inserted and work.waiting])


def _insert_ready(
    store: Store, table: SyncedTable, works: list[Work], rows: Mapping[Row, dict[str, Any]]
) -> None:
    def write(part: Sequence[Work]) -> None:
        store.insert_rows(table, [rows[work.row] for work in part])

    if not works:
        return
    try:
        with store.savepoint():
            write(works)
        refused: dict[Row, Parked] = {}
    except DataError:
        # Perhaps the application has such a row, which was not looked for.
        _hold(store, [work for work in works if _is_new(work)])
        refused = _attempt(store, [w for w in works if w.local_key is None and not w.parked], write)
    for work in works:
        if work.row in refused:
            work.parked = refused[work.row]
        else:
            work.inserted = work.local_key is None and work.parked is None


def _find_inserted(store: Store, works: Iterable[Work]) -> None:
    for table, group in _by_table(work for work in works if work.local_key is None):
        held = store.hold_rows(table, _locate(store, table, [work.row.key for work in group]))
        for work in group:
            work.local_key = held.get(work.row.key)


def _localise(store: Store, table: SyncedTable, works: Sequence[Work]) -> dict[Row, dict[str, Any]]:
    """Return the rows as they are written here, references as local values: {row: {column: value}}.

    A row that must refer to an absent row is left out; an optional reference to one is NULL and waits.
    """
    names = {column.wire: column.name for column in table.columns}
    rows: dict[Row, dict[str, Any]] = {}
    for work in works:
        assert work.decision is not None
        work.waiting = []
        rows[work.row] = {names[wire]: value for wire, value in work.decision.values.items() if wire in names}
    for column in table.columns:
        if column.reference is not None:
            _refer(store, column, works, rows)
    absent = [work for work in works if work.local_key is None]
    if absent and table.identity.kind != "assigned":
        _identify(store, table, absent, rows)
    required = {c.wire for c in table.columns if c.reference is not None and c.reference.required}
    required |= {column.wire for column in table.identity.columns}
    for work in works:
        if any(item.column in required for item in work.waiting):
            rows.pop(work.row, None)
    return rows


def _refer(
    store: Store,
    column: SyncedColumn,
    works: Iterable[Work],
    rows: Mapping[Row, dict[str, Any]],
) -> None:
    """Replace the keys in a reference column by local values; what names an absent row waits."""
    concerned = [work for work in works if rows[work.row].get(column.name) is not None]
    found = _resolve(store, column, {rows[work.row][column.name] for work in concerned})
    for work in concerned:
        row = rows[work.row]
        key = row[column.name]
        row[column.name] = found.get(key)
        if key not in found:
            work.waiting.append(_wait(store, column, key))


def _identify(
    store: Store, table: SyncedTable, works: Sequence[Work], rows: dict[Row, dict[str, Any]]
) -> None:
    """Add the identity columns to absent rows; an identity that names an absent row waits."""
    keys = place_keys(table, [work.row.key for work in works])
    for index, column in enumerate(table.identity.columns):
        if column.reference is None:
            continue
        found = _resolve(store, column, {items[index] for items in keys.values()})
        for work in works:
            items = keys.get(work.row.key)
            if items is not None and items[index] is not None:
                if items[index] not in found:
                    work.waiting.append(_wait(store, column, items[index]))
                items[index] = found.get(items[index])
    names = [column.name for column in table.identity.columns]
    for work in works:
        if work.row.key in keys:
            rows[work.row].update(zip(names, keys[work.row.key], strict=True))
        else:
            work.parked = Parked("key", f"the key does not fit {table.name}")
            del rows[work.row]


def _wait(store: Store, column: SyncedColumn, key: Any) -> Waiting:
    assert column.reference is not None
    target = store.tables_by_name[column.reference.table]
    return Waiting(column.wire, target.wire, _target_key(target, column, key))


def _target_key(target: SyncedTable, column: SyncedColumn, value: Any) -> str:
    """Return the key that a reference's value, as it travels, stands for."""
    assert column.reference is not None
    if column.reference.by_key and target.identity.kind == "composite":
        return dump([value])
    return str(value)


def _resolve(store: Store, column: SyncedColumn, keys: Collection[Any]) -> dict[Any, Any]:
    """Step 4: lock the referenced rows against deletion and return {key: local value}."""
    assert column.reference is not None
    wanted = {key for key in keys if key is not None}
    if not wanted:
        return {}
    if not column.reference.must_be_here:
        return {key: key for key in wanted}
    target = store.tables_by_name[column.reference.table]
    named = {_target_key(target, column, key): key for key in wanted}
    found = store.refer_rows(target, column.reference.target_column, _locate(store, target, named))
    return {named[name]: value for name, value in found.items()}


def _park_reference(work: Work) -> None:
    missing = ", ".join(f"{w.target_table} {w.target_key}" for w in work.waiting)
    work.parked = Parked(REFERENCE, f"waits for {missing}")


def _fill_waiting(store: Store, works: Sequence[Work]) -> None:
    """Set the optional references whose rows were inserted after the row itself."""
    _find_inserted(store, works)
    for table, group in _by_table(works):
        rows = _localise(store, table, group)
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


def _publish_held(store: Store, works: Sequence[Work]) -> list[Work]:
    """Step 5: publish what the application did to these rows meanwhile; return the rows concerned.

    A row that is here without a version has never been published: it is published first, as backfill.
    """
    for table, group in _by_table(works):
        unknown = [
            work.local_key
            for work in group
            if work.version is None and work.local_key is not None and not work.inserted
        ]
        if unknown:
            store.capture_rows(table, unknown)
    captured = store.read_captured(None)
    if not captured:
        return []
    rows = {work.row: work for work in works}
    touched: dict[Row, Work] = {}
    transactions: set[int] = set()
    for table_id, group_captured in _captured_by_table(captured):
        table = store.tables[table_id]
        texts = [key for item in group_captured for key in (item.key, item.old_key) if key]
        keys = name_rows(store, table, texts)
        for item in group_captured:
            for text in (item.key, item.old_key):
                if text and (work := rows.get(Row(table.wire, keys[text]))) is not None:
                    touched[work.row] = work
                    transactions.add(item.transaction_id)
    if touched:
        publish_captured(store, [c for c in captured if c.transaction_id in transactions])
    return list(touched.values())


def _update(store: Store, works: Sequence[Work]) -> None:
    """Step 6, rows that stay: write the columns that the merge gave, the flag of a revived row too."""
    for table, group in _by_table(works):
        rows = _localise(store, table, group)
        for work in group:
            if work.row not in rows:
                _park_reference(work)
        changes: list[tuple[Work, dict[str, Any]]] = []
        for work in group:
            if work.row in rows:
                row = rows[work.row]
                flag = table.deleted_flag
                if flag is not None and work.version is not None and not work.version.alive:
                    row[flag.column] = flag.live
                if row:
                    changes.append((work, row))
        shapes: dict[frozenset[str], list[tuple[Work, dict[str, Any]]]] = defaultdict(list)
        for work, row in changes:
            shapes[frozenset(row)].append((work, row))
        for shape in shapes.values():
            values = {work.row: row for work, row in shape}
            refused = _attempt(
                store,
                [work for work, _ in shape],
                lambda part, values=values, table=table: store.update_rows(  # type: ignore[misc]
                    table, [(work.local_key, values[work.row]) for work in part]
                ),
            )
            for work, _ in shape:
                work.parked = refused.get(work.row)


def _hold_children(store: Store, works: Sequence[Work]) -> list[Work]:
    """Step 4: find and lock the rows that refer to rows that will go, and theirs, to the end."""
    doomed: dict[Row, Work] = {}
    front = [work for work in works if _must_go(work) and work.table.deleted_flag is None]
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
        _hold(store, found)
        if any(child.parked is not None for child in found):
            for work in works:
                if _must_go(work):
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


def _delete(store: Store, works: Sequence[Work], doomed: Sequence[Work]) -> None:
    """Step 6, rows that go: by the application's flag, or children first and for good."""
    flagged = [work for work in works if work.table.deleted_flag is not None]
    for table, group in _by_table(flagged):
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
    for table, group in _by_table(leaving):
        refused = _attempt(
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


def _finish(store: Store, works: Sequence[Work], stuck: set[Row]) -> None:
    """Write what is known of the rows now: versions, conflicts, what waits and what is parked."""
    shown = [work for work in works if work.parked is None and work.decision is not None]
    store.write_versions(
        {w.row: w.decision.version for w in shown if w.decision is not None},
        {w.row: w.version for w in shown},
    )
    store.forget_images([work.row for work in shown if work.decision and work.decision.alive])
    store.write_conflicts([(work.row, c) for work in shown if work.decision for c in work.decision.conflicts])
    again = [work.row for work in shown if work.again]
    store.mark_applied(again)
    store.forget_parked([row for row in again if row in stuck])
    store.write_waiting({w.row: w.waiting for w in shown if w.waiting or w.again})
    refused = [work for work in works if work.parked is not None]
    store.write_parked({work.row: work.parked for work in refused if work.parked is not None})
    store.write_waiting({work.row: work.waiting for work in refused if work.waiting})


def _attempt(
    store: Store, works: Sequence[Work], write: Callable[[Sequence[Work]], None]
) -> dict[Row, Parked]:
    """Write the rows together; halve until each row that cannot be written stands alone, parked."""
    if not works:
        return {}
    try:
        with store.savepoint():
            write(works)
        return {}
    except DataError as error:
        parked = Parked(error.reason, str(error))
    except RetryLater as error:
        if not store.in_transaction():
            raise
        parked = Parked(BUSY, str(error))
    if len(works) == 1:
        return {works[0].row: parked}
    half = len(works) // 2
    return _attempt(store, works[:half], write) | _attempt(store, works[half:], write)


def _by_table(works: Iterable[Work]) -> list[tuple[SyncedTable, list[Work]]]:
    groups: dict[str, tuple[SyncedTable, list[Work]]] = {}
    for work in works:
        groups.setdefault(work.table.name, (work.table, []))[1].append(work)
    return list(groups.values())


def _captured_by_table(captured: Iterable[Any]) -> list[tuple[int, list[Any]]]:
    groups: dict[int, list[Any]] = defaultdict(list)
    for item in captured:
        groups[item.table_id].append(item)
    return list(groups.items())
