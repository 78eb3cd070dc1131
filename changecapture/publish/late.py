"""Late reads: rows as they are now, in the snapshot of the pass."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from changecapture.core import values
from changecapture.core.table import SyncedTable
from changecapture.errors import DriftError
from changecapture.identify import local_reference, name_references
from changecapture.publish.change import Change, is_deleted
from changecapture.store.interface import Store
from changecapture.store.records import LateRow


def read_late(store: Store, changes: Sequence[Change]) -> None:
    """Read the rows of the changes that need it, as they are now, into them."""
    wanted: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        looks = change.whole or change.announced is not None or change.doubted or change.twice
        looks = looks or _find_lacking(change)
        if looks and (change.alive is not False or _is_archived_new(change)):
            wanted[change.table.name].append(change)
    for group in wanted.values():
        found = _read_group(store, group)
        keys = _name_announced(store, group)
        for change in group:
            late = found.get(change.local_key)
            if change.doubted and not change.whole and late is not None:
                _keep_shown(change, late, keys)
            if change.announced is not None and not change.whole:
                _look(change, late, keys)
            elif not change.whole:
                pass
            elif late is None:
                _leave(change)
            else:
                _take_late(change, late)
            if not change.whole and late is not None:
                _take_shown(change, late, change.twice & change.columns.keys() | _find_lacking(change))


def _is_archived_new(change: Change) -> bool:
    """Return whether a row that is new to others is archived: living rows may refer to it, and have it
    shown elsewhere too."""
    known = change.version is not None and change.version.alive
    return change.whole and not known and change.image is None


def _find_lacking(change: Change) -> set[str]:
    """Return what an edit of an archived row leaves out of the groups that it writes: its application saw
    what stands here; what others wrote since is not shown in a row that is archived."""
    if change.whole or not change.local_key or change.version is None or change.version.alive:
        return set()
    references = {column.wire for column in change.table.local_references}
    touched = [set(group) for group in change.table.groups if not change.columns.keys().isdisjoint(group)]
    return set().union(*touched) - change.columns.keys() - references


def _look(change: Change, late: LateRow | None, keys: Mapping[tuple[str, str], Mapping[Any, str]]) -> None:
    """See what a foreign key has done to a row: it may have been kept from doing what was announced.

    What another change has written since is captured by that change. ``keys`` see _name_announced.
    """
    if late is None:
        change.alive = False
        return
    change.image = None
    shown = _find_shown(change.table, change.announced or {}, late, keys)
    change.columns.update(shown)
    if shown and not is_deleted(change):
        change.alive = True


def _keep_shown(change: Change, late: LateRow, keys: Mapping[tuple[str, str], Mapping[Any, str]]) -> None:
    """Believe of the doubted columns what the row shows."""
    doubted = {n: v for n, v in change.columns.items() if n in change.doubted - change.twice}
    shown = _find_shown(change.table, doubted, late, keys)
    change.columns = {n: v for n, v in change.columns.items() if n not in doubted or n in shown}
    if not change.columns and change.version is not None and change.version.alive:
        change.alive = None


def _take_shown(change: Change, late: LateRow, taken: set[str]) -> None:
    """Take of these columns what the row shows."""
    if not taken:
        return
    named = json.loads(late.text)
    change.late = values.dump({**json.loads(change.late), **{n: named[n] for n in taken & named.keys()}})
    change.columns = {n: v for n, v in change.columns.items() if n not in taken}
    change.columns.update((name, late.values[name]) for name in taken - named.keys())


def _find_shown(
    table: SyncedTable,
    wanted: Mapping[str, Any],
    late: LateRow,
    keys: Mapping[tuple[str, str], Mapping[Any, str]],
) -> dict[str, Any]:
    """Return those of the columns' local values that the row has. ``keys`` see _name_announced."""
    named = json.loads(late.text)
    columns = {column.wire: column for column in table.columns}
    found: dict[str, Any] = {}
    for name, value in wanted.items():
        if name not in columns:
            continue
        kind, target = columns[name].kind, local_reference(columns[name].reference)
        if target is not None and value is not None and name in named:
            shown = named[name] is not None and named[name] == keys.get(target, {}).get(value)
        else:
            now = named[name] if name in named else late.values[name]
            shown = values.canonical(kind, value) == values.canonical(kind, now)  # both are local
        if shown:
            found[name] = value
    return found


def _name_announced(store: Store, group: Iterable[Change]) -> Mapping[tuple[str, str], Mapping[Any, str]]:
    """Return {(table, column): {local value: key}} of the references that were announced or are doubted.

    A late read names references by their keys, an announcement by their local values.
    """
    wanted: dict[tuple[str, str], set[Any]] = defaultdict(set)
    for change in group:
        written = {name: change.columns.get(name) for name in change.doubted}
        for column in change.table.local_references if written or change.announced else ():
            target = local_reference(column.reference)
            if target is not None:
                # A foreign key may have set what the application has written anew: either may be shown.
                asked = {source.get(column.wire) for source in (written, change.announced or {})}
                wanted[target] |= asked - {None}
    return name_references(store, store.tables_by_name, wanted) if wanted else {}


def _read_group(store: Store, group: Sequence[Change]) -> dict[str, LateRow]:
    table = group[0].table
    local_keys = [change.local_key for change in group]
    if table.name in store.tables_by_name:
        return store.read_rows(table, local_keys)
    # The table has left the plan, perhaps because the application dropped it.
    try:
        with store.savepoint():
            return store.read_rows(table, local_keys)
    except DriftError:
        for change in group:
            if change.whole or change.announced is not None:
                change.version = change.announced = None
        return {}


def _leave(change: Change) -> None:
    """The row is gone or has another key by now: what took it there comes in a later pass."""
    change.columns, change.late = {}, "{}"
    change.alive = False if change.version is not None else None


def _take_late(change: Change, late: LateRow) -> None:
    flag = change.table.deleted_flag
    change.late, change.columns = late.text, late.values
    change.alive = True
    if flag is not None and late.flag == flag.deleted:
        # First seen in a deleted state: the references that the application nulled are unknown.
        change.alive = False
        references = {column.wire for column in change.table.local_references}
        named = json.loads(change.late)
        change.late = values.dump({w: v for w, v in named.items() if v is not None or w not in references})
        change.columns = {w: v for w, v in change.columns.items() if v is not None or w not in references}
