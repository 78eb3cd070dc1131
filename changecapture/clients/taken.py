"""What is taken of clients: their changes as entries, of what they have changed and nothing else."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from changecapture.apply import apply_own, drain
from changecapture.author import Author
from changecapture.clients.given import Given, read_given
from changecapture.clients.since import Since, load_since, name_origin
from changecapture.clients.told import MOST
from changecapture.core.change import Entry, Name, Row
from changecapture.core.clock import next_stamp
from changecapture.core.merge import merge_entries
from changecapture.core.scopes import Scopes, load_scopes
from changecapture.core.vector import Vector, covers_name, load_vector
from changecapture.errors import PeerError
from changecapture.identify import find_joined
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
    with store.lock():
        drain(store)
        origin = name_origin(store.read_site().origin, client)
        author = Author(store, origin, load_vector(held.vector))
        _write(store, author, given, held)
        done = apply_own(store, author)
    return {"taken": done.entries, "shown": done.applied, "parked": done.parked}


def _write(store: Store, author: Author, changes: Sequence[Given], held: Since) -> None:
    """Write what each change changes, in the transaction of the writer."""
    joined = find_joined(store, {change.row for change in changes})
    rows = [joined.get(change.row, change.row) for change in changes]
    known, versions = store.read_row_entries(set(rows)), store.read_versions(set(rows))
    seen, shown = load_vector(held.vector), _find_told(store, held, set(rows))
    now = store.read_clock()
    for change, row in zip(changes, rows, strict=True):
        before = [entry for entry, _ in known.get(row, ())]
        told = [entry for entry in before if entry.name in shown or _covers(seen, entry)]
        base = versions[row].seen if row in versions and len(told) == len(before) else 0
        told += author.said(row)
        columns = _complete(change, told, before)
        if not columns:
            continue
        # Nobody writes in the future; what was seen is older than what is written after it, whether the
        # time of what was seen came back or not.
        stamps = {entry.stamp for entry in told}
        at = now if change.stamp is None or change.stamp in stamps else change.stamp
        stamp = next_stamp(min(now, at), max(stamps, default=0))
        author.say(change.table, row, columns, stamp=stamp, base=base, known=before)


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
