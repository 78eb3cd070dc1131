"""Apply: entries of other sites, merged and shown here.

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

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from changecapture.apply.aliases import (
    merge_aliases,
    note_joined,
    publish_aliases,
    record_aliases,
    split_aliases,
)
from changecapture.apply.alike import Prepared, prepare
from changecapture.apply.mapped import retry_mapped, show_mapped, split_mapped
from changecapture.apply.match import regroup
from changecapture.apply.plain import write_plain
from changecapture.apply.show import find_blockers, show_rows
from changecapture.apply.trees import prune_trees
from changecapture.apply.work import Work
from changecapture.author import Author
from changecapture.core.alias import ALIAS, Alias
from changecapture.core.change import Entry, Row
from changecapture.core.codec import PassName
from changecapture.core.spare import Task
from changecapture.core.vector import Vector, dump_vector
from changecapture.epochs import recall
from changecapture.faults import concerns_row, explain, isolate
from changecapture.identify import find_joined
from changecapture.publish import publish
from changecapture.store.interface import Store

RETRY_LIMIT = 500

__all__ = [
    "Applied",
    "Prepared",
    "apply_entries",
    "apply_own",
    "drain",
    "find_blocking",
    "join",
    "prepare",
    "retry",
]


@dataclass(frozen=True, slots=True)
class Applied:
    """What one apply transaction came to: entries that were new, rows written, rows parked."""

    entries: int
    applied: int
    parked: int


def apply_entries(
    store: Store,
    entries: Sequence[Entry],
    passes: Mapping[PassName, str],
    contexts: Mapping[str, Vector],
    record: Callable[[], None] = lambda: None,
    ready: Task[Prepared] | None = None,
) -> Applied:
    """Apply entries in one transaction; ``record`` writes the caller's progress into it, ``ready`` makes them
    ready (``prepare``).

    In several where one of them raises what nobody foresaw: that one is parked, and ``record`` comes last.
    """
    recorded = False

    def take(part: Sequence[Entry]) -> Applied:
        nonlocal recorded
        whole = len(part) == len(entries)
        done = _apply(store, part, passes, contexts, record if whole else lambda: None, ready)
        recorded = whole
        return done

    def park(entry: Entry, error: Exception) -> Applied:
        return _set_aside(store, entry, passes, contexts, error)

    with store.lock():
        parts = isolate(entries, take, park)
        if not recorded:
            parts.append(_apply(store, (), {}, {}, record))
    return Applied(*map(sum, zip(*((p.entries, p.applied, p.parked) for p in parts), strict=True)))


def _apply(
    store: Store,
    entries: Sequence[Entry],
    passes: Mapping[PassName, str],
    contexts: Mapping[str, Vector],
    record: Callable[[], None],
    ready: Task[Prepared] | None = None,
) -> Applied:
    with store.lock():
        drain(store)
        with store.applying():
            fresh = _drop_known(store, entries)
            store.write_contexts({digest: dump_vector(v) for digest, v in contexts.items()})
            store.write_passes(passes)
            done = _show(store, fresh, ready)
            record()
    return done


def _show(store: Store, fresh: Sequence[Entry], ready: Task[Prepared] | None = None) -> Applied:
    """Merge, show and log entries that never were here, in the transaction that is open."""
    aliases, fresh = split_aliases(store, fresh)
    joined = record_aliases(store, aliases) if aliases else set()
    crossing, fresh = split_mapped(store, fresh)
    plain = write_plain(store, fresh, ready)
    works, carried = _gather(store, plain.left)
    _show_again(store, works, joined | plain.stirred)
    shown = show_rows(store, works)
    done = [entry for work in shown if work.parked is None for entry in work.fresh]
    held = [entry for work in shown if work.parked is not None for entry in work.fresh]
    store.append_entries(done, applied=True)
    store.append_entries([*held, *carried], applied=False)
    prune_trees(store, shown)
    crossed = show_mapped(store, crossing)
    return Applied(
        len(aliases) + len(fresh) + len(crossing),
        len(aliases) + len(plain.written) + len(done) + crossed.applied,
        sum(1 for work in shown if work.parked is not None) + crossed.parked,
    )


def apply_own(store: Store, author: Author, record: Callable[[], None] = lambda: None) -> Applied:
    """Apply what this site writes as if it had been received, in one transaction, under the lock that its
    author was made under; ``record`` writes the caller's progress into it.

    The names are kept first: what the application does meanwhile is published in it, and takes the next
    ones. Where something raises what nobody foresaw, all of it is parked, and shown row by row.
    """

    def write(act: Callable[[Sequence[Entry]], Applied]) -> Applied:
        with store.applying():
            author.keep_names()
            done = act(author.entries)
            author.claim()
            record()
        return done

    if not author.entries:
        return Applied(0, 0, 0)
    try:
        return write(partial(_show, store))
    except Exception as error:
        if not concerns_row(error):
            raise
        write(partial(_park, store, error=error))
    retry(store)
    rows = {entry.row for entry in author.entries}
    names = find_joined(store, rows)
    parked = len(store.read_parked({names.get(row, row) for row in rows}))
    return Applied(len(author.entries), len(author.entries) - parked, parked)


def _set_aside(
    store: Store,
    entry: Entry,
    passes: Mapping[PassName, str],
    contexts: Mapping[str, Vector],
    error: Exception,
) -> Applied:
    """Keep an entry that cannot be applied: in the log, its row parked, to be tried again like any other."""
    with store.applying():
        store.write_contexts({digest: dump_vector(v) for digest, v in contexts.items()})
        store.write_passes(passes)
        return _park(store, _drop_known(store, [entry]), error)


def _park(store: Store, entries: Sequence[Entry], error: Exception) -> Applied:
    """Log entries as they are, and park their rows, in the transaction that is open."""
    store.append_entries(entries, applied=False)
    names = find_joined(store, [entry.row for entry in entries])
    store.write_parked({names.get(entry.row, entry.row): explain(error) for entry in entries})
    return Applied(len(entries), 0, len(entries))


def join(store: Store, aliases: Iterable[Alias]) -> set[Row]:
    """Make one row of two keys each, here and everywhere; return the rows concerned that are parked now."""
    with store.lock():
        drain(store)
        with store.applying():
            works = regroup(store, {}, publish_aliases(store, aliases))
            shown = show_rows(store, works)
            prune_trees(store, shown)
    return {work.row for work in shown if work.parked is not None}


def find_blocking(store: Store, row: Row) -> list[str]:
    """Return the keys of the rows here that have a unique value which a row would take."""
    with store.applying():
        return find_blockers(store, row)


def retry(store: Store, limit: int = RETRY_LIMIT) -> int:
    """Show the parked and waiting rows again; return how many rows are still parked.

    Where there are none nothing is published either: a backlog is not to be waited for.
    """
    after: Row | None = None
    if not store.read_stuck(after, 1):
        return store.count_parked()
    while True:
        with store.lock():
            drain(store)
            with store.applying():
                rows = store.read_stuck(after, limit)
            if not rows:
                return store.count_parked()
            after = rows[-1]
            isolate(rows, partial(_show_stuck, store), partial(_stay_parked, store))


def _show_stuck(store: Store, rows: Sequence[Row]) -> None:
    with store.applying():
        works = [
            Work(table, row, again=True)
            for row in retry_mapped(store, rows)
            if (table := store.tables_by_wire.get(row.table)) is not None
        ]
        prune_trees(store, show_rows(store, works))


def _stay_parked(store: Store, row: Row, error: Exception) -> None:
    with store.applying():
        store.write_parked({row: explain(error)})


def hear_aliases(store: Store) -> None:
    """Join the keys of aliases that are carried: they came when this program knew none."""
    with store.lock():
        with store.applying():
            carried = store.read_carried(ALIAS).values()
            aliases, _ = split_aliases(store, [entry for entries in carried for entry in entries])
            if not aliases:
                return
            joined = merge_aliases(store, aliases)
            store.mark_applied([entry.row for entry in aliases])
            shown = show_rows(store, regroup(store, {}, joined))
            prune_trees(store, shown)


def drain(store: Store) -> None:
    """Publish what is captured now, so that little of it is left for the apply transaction.

    Not what comes meanwhile: beside an application that never rests there would be no end. Who holds the
    lock may publish more after it: the site has made sure of its epoch by then.
    """
    with store.lock():
        recall(store)
    waiting = store.count_captured()
    while waiting > 0 and (taken := publish(store)):
        waiting -= taken


def _drop_known(store: Store, entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries that never were here: what the vector covers was, and may be compacted by now."""
    held = store.read_vector()
    fresh = {
        (e.origin, e.epoch, e.number): e
        for e in entries
        if held.get((e.origin, e.epoch, e.scope), 0) < e.number
    }
    for name in store.find_names(fresh):
        del fresh[name]
    return list(fresh.values())


def _show_again(store: Store, works: list[Work], rows: Iterable[Row]) -> None:
    """Let these rows be shown from all their entries, whether or not the batch has any for them."""
    known = {work.row: work for work in works}
    for row in sorted(rows):
        if row in known:
            known[row].again = True
        elif row.table in store.tables_by_wire:
            works.append(Work(store.tables_by_wire[row.table], row, again=True))


def _gather(store: Store, fresh: Iterable[Entry]) -> tuple[list[Work], list[Entry]]:
    """Return the entries by row, in order, and those of tables that this site does not have."""
    works: dict[Row, Work] = {}
    carried: list[Entry] = []
    fresh = list(fresh)
    rows = {entry.row for entry in fresh}
    note_joined(store, rows)
    names = find_joined(store, rows)
    for entry in fresh:
        place = names.get(entry.row, entry.row)
        work = works.get(place)
        if work is None:
            table = store.tables_by_wire.get(entry.table)
            if table is None or (store.mapping is not None and entry.table in store.mapping.local_tables):
                carried.append(entry)
                continue
            work = works[place] = Work(table, place)
        work.fresh.append(entry)
    for work in works.values():
        if len(work.fresh) > 1:
            work.fresh.sort(key=lambda entry: entry.order)
    return list(works.values()), carried
