"""Changes become the entries of a pass."""

import json
from collections.abc import Iterable, Sequence

from changecapture.author import Author
from changecapture.core import values
from changecapture.core.change import ALIVE, UNSEEN, Entry, Row, Version, add_names
from changecapture.core.clock import next_stamp
from changecapture.core.group import complete
from changecapture.core.merge import merge_entries, read_columns
from changecapture.publish.change import Change
from changecapture.publish.home import keep_large
from changecapture.publish.whole import translate
from changecapture.store.interface import Store

ALIVE_ONLY = values.dump({ALIVE: True})
"""What the entry of a living row says at least."""


def append_changes(store: Store, changes: Iterable[Change]) -> None:
    """Append changes as one pass, those that have an effect and can travel."""
    effective = [change for change in changes if _has_effect(change)]
    translate(store, effective)
    _widen(store, effective)
    _append(store, keep_large(store, effective))


def _has_effect(change: Change) -> bool:
    writes = bool(change.columns) or change.late != "{}"
    if change.alive is False and change.version is not None and not change.version.alive:
        return writes
    return change.alive is not None or writes


def _append(store: Store, changes: list[Change]) -> None:
    if not changes:
        return
    author = Author(store)
    unseen = store.read_unapplied([change.row for change in changes])
    # What the application did to a parked row may be what it waited for.
    store.write_parked({row: ("changed", "its application has changed it since") for row in unseen})
    joined = store.read_members([change.row for change in changes if change.alive is False])
    versions: dict[Row, Version] = {}
    for change in sorted(changes, key=lambda change: _place(store, change)):
        version = change.version or Version(0, "", False, 0)
        alive = version.alive if change.alive is None else change.alive
        text = _dump_columns(change, unseen.get(change.row))
        stamp = next_stamp(change.captured_at, version.stamp)
        keys = joined.get(change.row, ())
        made = author.write(change.row, change.table.scope, text, stamp=stamp, base=version.seen, keys=keys)
        versions[change.row] = Version(stamp, author.origin, alive, add_names(version.seen, made))
    store.append_entries(author.entries, applied=True)
    _settle_conflicts(store, author.entries)
    _stir_kin(store, changes)
    _stir_joined(store, changes)
    _stir_waiting(store, changes)
    store.write_versions(versions, {change.row: change.version for change in changes})
    store.write_images(
        {c.row: c.image for c in changes if c.image and not c.alive},
        [c.row for c in changes if c.alive],
        author.origin,
    )
    author.keep_names()
    author.claim()


def _widen(store: Store, changes: Iterable[Change]) -> None:
    """Let a change that writes one column of a group carry the whole group (core.group)."""
    grouped = [c for c in changes if c.table.groups and c.version is not None and not c.whole]
    logged = store.read_row_entries([change.row for change in grouped]) if grouped else {}
    for change in grouped:
        merged = merge_entries(entry for entry, applied in logged.get(change.row, ()) if applied)
        written = change.columns.keys() | json.loads(change.late).keys()
        change.columns.update(complete(change.table.groups, written, merged))


def _settle_conflicts(store: Store, entries: Iterable[Entry]) -> None:
    """Note as settled the conflicts that these entries decide: this site has seen both values."""
    written = {entry.row: entry for entry in entries}
    found = store.read_open_conflicts(written)
    store.settle_conflicts([id_ for id_, row, name, *_ in found if name in read_columns(written[row])])


def _stir_kin(store: Store, changes: Iterable[Change]) -> None:
    """List rows that are one thing and of which not all came, or went, to be shown anew: the latest word on
    any of them decides about all."""
    said = {c.row: c.alive for c in changes if c.table.kin and c.alive is not None}
    turned = [c for c in changes if c.row in said and (c.version is None or c.alive is not c.version.alive)]
    kin = {change.row: [Row(name, change.row.key) for name in change.table.kin] for change in turned}
    versions = store.read_versions({row for rows in kin.values() for row in rows} - said.keys())
    alive = said | {row: version.alive for row, version in versions.items()}
    # What was never shown, and waits for what is gone now, has no version.
    gone = {row for one, rows in kin.items() if not said[one] for row in rows}
    alive |= dict.fromkeys(store.read_parked(gone - alive.keys()), True)
    stirred = {
        other: one
        for one, rows in kin.items()
        for other in rows
        if alive.get(other, said[one]) is not said[one]
    }
    why = "thing", "another row of the same thing has come or gone"
    store.write_parked(dict.fromkeys([*stirred, *stirred.values()], why))


def _stir_joined(store: Store, changes: Iterable[Change]) -> None:
    """List rows with several keys that came, or went, under one of them, to be shown anew: they may be here
    under two."""
    came = [change.row for change in changes if change.alive is False or (change.whole and change.alive)]
    store.write_parked(
        {row: ("changed", "it may stand here under several of its keys") for row in store.read_members(came)}
    )


def _stir_waiting(store: Store, changes: Iterable[Change]) -> None:
    """List rows that are parked for one that is deleted now to be shown anew: while nobody had said so it was
    waited for, from now on it can be here with its flag."""
    flagged = [c.row for c in changes if c.alive is False and c.table.deleted_flag is not None]
    parked = store.read_parked(store.read_waiting_for(flagged))
    store.write_parked(dict.fromkeys(parked, ("changed", "what it waits for is deleted")))


def _place(store: Store, change: Change) -> tuple[bool, int]:
    """Parents before children; what is deleted comes last, children before parents."""
    rank = store.ranks.get(change.table.name, 0)
    return (True, -rank) if change.alive is False else (False, rank)


def _dump_columns(change: Change, unseen: Sequence[str] | None) -> str:
    if not change.columns and change.alive is True and unseen is None:
        return join_objects(ALIVE_ONLY, change.late)  # a new row: no need to dump anything
    columns = change.columns
    if change.alive is not None:
        columns[ALIVE] = change.alive
    if unseen is not None:
        columns[UNSEEN] = unseen
    return join_objects(values.dump(columns), change.late)


def join_objects(left: str, right: str) -> str:
    """Return one JSON object of two that have no name in common."""
    if right == "{}":
        return left
    return right if left == "{}" else f"{left[:-1]},{right[1:]}"
