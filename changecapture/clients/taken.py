"""What is taken of clients: their changes as entries, of what they have changed and nothing else."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from changecapture.apply import apply_entries, drain
from changecapture.clients.given import Given, read_given
from changecapture.clients.since import Since, load_since, name_origin
from changecapture.clients.told import MOST
from changecapture.core.change import Entry, Name, Row
from changecapture.core.clock import next_stamp
from changecapture.core.merge import merge_entries
from changecapture.core.scopes import Scopes, load_scopes
from changecapture.core.values import dump
from changecapture.core.vector import Vector, covers_name, digest_vector, load_vector
from changecapture.errors import PeerError
from changecapture.store.interface import Store
from changecapture.sync import is_log_of


def put_changes(
    store: Store, client: str, changes: Sequence[Any], since: str, accept: Scopes
) -> dict[str, Any]:
    """Take changes of a client, all or none; return how many were new, shown and parked. Raises PeerError."""
    if store.mapping is not None:
        raise PeerError(
            "changes are not taken from programs here",
            why="this site has other tables than the common ones",
            mend="write them into the application's own tables, or put them at another site",
        )
    if not 0 < len(changes) <= MOST:
        raise PeerError(f"1 to {MOST} changes in a call, not {len(changes)}")
    given = [read_given(store, number, change, accept) for number, change in enumerate(changes)]
    held = load_since(since)
    seen = load_vector(held.vector)
    with store.lock():
        drain(store)
        site, vector = store.read_site(), store.read_vector()
        origin, epoch = name_origin(site.origin, client), site.epoch
        used = max((n for (o, e, _), n in vector.items() if (o, e) == (origin, epoch)), default=0)
        entries = _make_entries(store, given, held, (origin, epoch, used))
        if not entries:
            return {"taken": 0, "shown": 0, "parked": 0}
        context = {c: min(n, vector.get(c, 0)) for c, n in seen.items() if c[:2] != (origin, epoch)}
        digest = digest_vector(context)
        raised = {(e.origin, e.epoch, e.scope): e.number for e in entries}
        done = apply_entries(
            store,
            entries,
            {(origin, epoch, used + 1): digest},
            {digest: context},
            lambda: store.write_vector(raised),
        )
    return {"taken": done.entries, "shown": done.applied, "parked": done.parked}


def _make_entries(
    store: Store, changes: Sequence[Given], held: Since, names: tuple[str, int, int]
) -> list[Entry]:
    """Return the entries of each change, a delete's for each key of a joined row (decision 39); in the
    transaction of the writer."""
    origin, epoch, used = names
    joined = store.read_names({change.row for change in changes})
    places = [joined.get(change.row, change.row) for change in changes]
    members, known = store.read_members(set(places)), store.read_row_entries(set(places))
    versions, now = store.read_versions(set(places)), store.read_clock()
    seen, shown = load_vector(held.vector), _find_told(store, held, set(places))
    made: dict[Row, list[Entry]] = {}
    entries: list[Entry] = []
    for change, place in zip(changes, places, strict=True):
        before = [entry for entry, _ in known.get(place, ())]
        own = made.setdefault(place, [])
        told = [*(e for e in before if e.name in shown or _covers(seen, e)), *own]
        columns = _complete(change, told, before)
        if not columns:
            continue
        # Nobody writes in the future; what was seen is older than what is written after it, whether the
        # time of what was seen came back or not.
        stamps = {e.stamp for e in told}
        at = now if change.stamp is None or change.stamp in stamps else change.stamp
        stamp = next_stamp(min(now, at), max(stamps, default=0))
        version = versions.get(place)
        base = version.seen if version is not None and len(told) == len(before) and not own else 0
        for key in members.get(place, [change.row.key]) if change.deletes else [change.row.key]:
            number = used + 1 + len(entries)
            row = change.row.table, key
            entries.append(
                Entry(origin, epoch, number, used + 1, stamp, base, change.table.scope, *row, dump(columns))
            )
            own.append(entries[-1])
    return entries


def _covers(seen: Vector, entry: Entry) -> bool:
    return covers_name(seen, entry.origin, entry.epoch, entry.scope, entry.number)


def _find_told(store: Store, held: Since, rows: Collection[Row]) -> set[Name]:
    """Return the entries of the rows that a client was told by a pull that has not come to its end yet."""
    if held.epoch != store.read_site().epoch or not is_log_of(store, held.after, held.end, held.mark):
        return set()
    scopes = load_scopes(held.scopes)
    return {entry.name for entry in store.read_row_entries_until(rows, held.after) if entry.scope in scopes}


def _complete(change: Given, told: Sequence[Entry], before: Sequence[Entry]) -> dict[str, Any]:
    """Return the columns that a change writes, with all of each group that it writes a column of: as given,
    as told, or else as it stands."""
    merged = merge_entries(told)
    columns = change.find_changes(merged)
    found: Mapping[str, Any] = {
        **{name: cell.value for name, cell in {**merge_entries(before), **merged}.items()},
        **change.values,
    }
    for group in change.table.groups:
        if any(name in columns for name in group):
            columns |= {name: found[name] for name in group if name in found}
    return dict(sorted(columns.items()))
