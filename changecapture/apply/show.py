"""Merge and write the rows of one apply transaction, and those that waited for them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from changecapture.apply.decided import settle_conflicts
from changecapture.apply.fold import fold
from changecapture.apply.localise import localise
from changecapture.apply.match import join_matches, log_merged, name_blockers
from changecapture.apply.remove import delete_dead, hold_children, must_go
from changecapture.apply.things import find_kin, find_things, stirs
from changecapture.apply.work import BUSY, REFERENCE, Parked, Work, by_table
from changecapture.apply.write import find_inserted, hold_present, insert_absent, is_new, update_present
from changecapture.core.change import Captured, Entry, Row
from changecapture.core.merge import extend, follows, settle
from changecapture.identify import name_rows
from changecapture.publish import publish_captured
from changecapture.store.interface import Store


def show_rows(store: Store, works: list[Work]) -> list[Work]:
    """Merge and write the rows, and those that waited for them; return what became of each."""
    everything: dict[Row, Work] = {}
    anew: set[Row] = set()
    while works:
        halves = _show_once(store, works, everything)
        everything.update((work.row, work) for work in works)
        joined = join_matches(store, everything, works)
        shown = [work.row for work in works if work.inserted or (work.members and work.parked is None)]
        again = {work.row: work for work in joined}
        for work in halves:
            if work.parked is None and work.row not in again:
                again[work.row] = Work(work.table, work.row, _resume(store, work), again=True)
        for row in store.read_waiting_for([*shown, *(work.row for work in works if _may_be_flagged(work))]):
            if row.table not in store.tables_by_wire or _is_mapped(store, row):
                continue  # it has left the plan, or a mapping shows it (mapped)
            if row in again or row in anew:
                continue
            before = everything.get(row)
            if before is not None and before.parked is None:
                # It was written by what came of it alone, or before the row that it waits for was shown.
                anew.add(row)
            again[row] = Work(store.tables_by_wire[row.table], row, _resume(store, before), again=True)
        flagged = {work.row: work for work in _find_flagged(store, works, everything)}
        works = list((flagged | again).values())
    return list(everything.values())


def _is_mapped(store: Store, row: Row) -> bool:
    return store.mapping is not None and row.table in store.mapping.local_tables


def _may_be_flagged(work: Work) -> bool:
    """Return whether a row is deleted and not here, though it could be here with its flag."""
    dead = work.decision is not None and not work.decision.alive
    return dead and work.local_key is None and work.table.deleted_flag is not None


def _find_flagged(store: Store, works: Iterable[Work], everything: Mapping[Row, Work]) -> list[Work]:
    """Return the deleted rows that living ones must refer to: a flag does not take its children along."""
    wanted = {
        Row(wait.target_table, wait.target_key)
        for work in works
        if work.parked is not None and work.parked.reason == REFERENCE
        for wait in work.waiting
        if store.tables_by_wire[wait.target_table].deleted_flag is not None
    }
    wanted = {row for row in wanted if row not in everything or not everything[row].flagged}
    dead = [row for row, version in store.read_versions(wanted).items() if not version.alive]
    brought = [_resume(store, everything.get(row)) for row in dead]
    return [
        Work(store.tables_by_wire[row.table], row, fresh, again=True, flagged=True)
        for row, fresh in zip(dead, brought, strict=True)
    ]


def find_blockers(store: Store, row: Row) -> list[str]:
    """Return the keys of the rows here that have a unique value which a row would take."""
    work = Work(store.tables_by_wire[row.table], row, again=True)
    _settle(store, [work])
    if work.decision is None:
        return []
    rows = localise(store, work.table, [work])
    return name_blockers(store, work.table, rows).get(row, []) if row in rows else []


def _resume(store: Store, before: Work | None) -> list[Entry]:
    """Return what this batch brought for a row that is shown once more, and is not in the log: what has been
    merged is logged first."""
    if before is None:
        return []
    if before.parked is None:
        log_merged(store, [before])
    return before.fresh


def _show_once(store: Store, works: list[Work], everything: Mapping[Row, Work]) -> list[Work]:
    """Merge and write the rows, and those that are one thing with them; ``everything``: what came of rows
    before, in this transaction.

    Return those that were inserted where the application had deleted a whole thing in mid-apply: the rest of
    it was not looked at.
    """
    versions = store.read_versions([work.row for work in works])
    stuck = store.read_parked([work.row for work in works])
    members = store.read_members([work.row for work in works])
    for work in works:
        work.version = versions.get(work.row)
        work.members = members.get(work.row, ())
        work.again = work.again or work.row in stuck or bool(work.members)
    kin = find_kin(store, works)
    members = store.read_members([work.row for work in kin])
    for work in kin:
        work.members = members.get(work.row, ())
        work.fresh = _resume(store, everything.get(work.row))
    works += kin
    hold_present(store, [work for work in works if not is_new(work)])
    active = [work for work in works if work.parked is None]
    _decide(store, active)
    doomed = hold_children(store, active)
    active = [work for work in active if work.parked is None]
    insert_absent(store, [work for work in active if _is_absent(work)])
    find_inserted(store, [work for work in active if work.flagged and work.inserted])
    touched = publish_held(store, [*active, *doomed])
    halves: list[Work] = []
    for work in touched:
        work.version = store.read_versions([work.row]).get(work.row)
        if work.table.kin and work.inserted and stirs(work):
            halves.append(work)
        elif work.table.kin and stirs(work):
            work.parked = Parked(BUSY, "the application is changing what is one thing with it")
        work.again, work.inserted = True, False
    active = [work for work in active if work.parked is None]
    find_inserted(store, touched)
    _decide(store, touched)
    fold(store, active)
    active = [work for work in active if work.parked is None]
    update_present(store, [w for w in active if w.local_key and not w.inserted and not must_go(w)])
    delete_dead(store, [work for work in active if must_go(work)], {w.row: w for w in [*doomed, *active]})
    _finish(store, works, stuck)
    return halves


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
    things = find_things(works, logged)
    for work in works:
        entries = {entry.name: entry for entry, _ in logged.get(work.row, ())}
        merged = {entry.name for entry, applied in logged.get(work.row, ()) if applied}
        entries.update((entry.name, entry) for entry in work.fresh)
        if entries:
            fresh = frozenset(name for name in entries if name not in merged)
            thing = things.get(work.row)
            work.decision = settle(work.version, list(entries.values()), fresh, contexts, thing)


def _is_absent(work: Work) -> bool:
    return work.local_key is None and work.decision is not None and (work.decision.alive or work.flagged)


def publish_held(store: Store, works: Sequence[Work]) -> list[Work]:
    """Step 5: publish what the application did to these rows meanwhile; return the rows concerned.

    A row that is here without a version has never been published: it is published first, as backfill.
    """
    for table, group in by_table(works):
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
    if any(work.double for work in works):
        # Some of it may refer to a row that goes, by its local value: it is named while that is here.
        transactions = {item.transaction_id for item in captured}
    if transactions:
        _follow(captured, transactions)
        publish_captured(store, [c for c in captured if c.transaction_id in transactions])
        # Of itself publish writes rows too: those that refer to one that has got another key (R20).
        now = store.read_versions(rows)
        touched.update((row, work) for row, work in rows.items() if now.get(row) != work.version)
    return list(touched.values())


def _follow(captured: Iterable[Captured], transactions: set[int]) -> None:
    """Add the transactions that wrote a row of one of these, and so on: else the earlier change of a row
    could be published after the later one."""
    writers: dict[tuple[int, str], set[int]] = defaultdict(set)
    written: dict[int, set[tuple[int, str]]] = defaultdict(set)
    for item in captured:
        for text in (item.key, item.old_key):
            if text is not None:
                writers[item.table_id, text].add(item.transaction_id)
                written[item.transaction_id].add((item.table_id, text))
    ahead = list(transactions)
    while ahead:
        found = {other for place in written[ahead.pop()] for other in writers[place]} - transactions
        transactions |= found
        ahead += found


def _captured_by_table(captured: Iterable[Any]) -> list[tuple[int, list[Any]]]:
    groups: dict[int, list[Any]] = defaultdict(list)
    for item in captured:
        groups[item.table_id].append(item)
    return list(groups.items())


def _finish(store: Store, works: Sequence[Work], stuck: set[Row]) -> None:
    """Write what is known of the rows now: versions, conflicts, what waits and what is parked."""
    works = [work for work in works if not (work.flagged and work.parked)]
    shown = [work for work in works if work.parked is None and work.decision is not None]
    store.write_versions(
        {w.row: w.decision.version for w in shown if w.decision is not None},
        {w.row: w.version for w in shown},
    )
    store.forget_images([work.row for work in shown if work.decision and work.decision.alive])
    settle_conflicts(store, shown)
    store.write_conflicts([(work.row, c) for work in shown if work.decision for c in work.decision.conflicts])
    again = [work.row for work in shown if work.again]
    store.mark_applied(again)
    store.forget_parked([row for row in again if row in stuck])
    store.write_waiting({w.row: w.waiting for w in shown if w.again})
    store.add_waiting({w.row: w.waiting for w in shown if w.waiting and not w.again})
    refused = [work for work in works if work.parked is not None]
    store.write_parked({work.row: work.parked for work in refused if work.parked is not None})
    store.add_waiting({work.row: work.waiting for work in refused if work.waiting})
