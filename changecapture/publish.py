"""Publish: from ``captured`` to ``changelog``.

One pass takes whole transactions in the order of their last captured id, reads the rows of the inserts
late, in the same snapshot, and appends one entry for each row that changed. Several changes of one row
become one entry that carries every column that any of them wrote, whatever the last operation; a value
is never taken from a delete's image (R17). There is no cursor over a sequence, so no gap to miss: a
transaction that commits late is simply found by a later pass.

Publish and apply are the only writers of the changelog, one at a time (``Store.lock``). What a pass
read is deleted in the same transaction; when less can be deleted than was read, someone else was here
and the pass is rolled back (R18). Before a pass the site makes sure that it is the one that it remembers
(``epochs``).
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from changecapture.bridge import Crossed, common_table, find_changes
from changecapture.core import values
from changecapture.core.change import (
    ALIVE,
    BACKFILL,
    CHANGING,
    DELETE,
    GOING,
    INSERT,
    UNSEEN,
    UPDATE,
    Captured,
    Entry,
    Row,
    Version,
    hash_name,
)
from changecapture.core.clock import next_stamp
from changecapture.core.codec import KEY_LENGTH
from changecapture.core.group import complete
from changecapture.core.merge import merge_entries, read_columns
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.vector import digest_vector, dump_vector
from changecapture.core.wire import check_text
from changecapture.epochs import recall, remember
from changecapture.errors import DriftError
from changecapture.identify import local_reference, name_former, name_references, name_rows, place_keys
from changecapture.mapping.model import Mapping as Lens
from changecapture.store.interface import LateRow, Store

LARGEST_ROW = 24 * 1024 * 1024
"""Characters in one entry: more do not pass through a call of the relay."""
PASS_LIMIT = 2000
"""Captured changes in a pass. A single transaction above it is cut."""
ALIVE_ONLY = values.dump({ALIVE: True})


@dataclass(slots=True)
class Change:
    """What one pass has learnt of one row.

    ``columns``: wire name to local value, translated to canonical ones later. ``late``: canonical JSON
    object of further columns, from a late read; it and ``columns`` have no name in common.
    """

    table: SyncedTable
    row: Row
    local_key: str
    version: Version | None
    whole: bool = False
    alive: bool | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    late: str = "{}"
    captured_at: int = 0
    image: str | None = None
    announced: dict[str, Any] | None = None
    """The local values that a foreign key was to give to columns, empty when it was to delete the row."""
    doubted: set[str] = field(default_factory=set)
    """Columns whose values are believed if the row shows them: see _may_be_refused."""
    twice: set[str] = field(default_factory=set)
    """Columns that several updates of this pass wrote: what the row shows is taken. Where an application's
    trigger fires before ours and updates the row again, that is captured before what the statement wrote."""


def publish(store: Store, limit: int = PASS_LIMIT) -> int:
    """Publish one pass; return how many captured changes it took, 0 when none were waiting."""
    if not store.has_captured():
        return 0
    with store.lock():
        recall(store)
        store.refresh_tables()
        with store.snapshot():
            captured = store.read_captured(limit)
            if captured:
                publish_captured(store, captured)
        remember(store)
    return len(captured)


def publish_captured(store: Store, captured: Sequence[Captured]) -> None:
    """Publish these captured changes as one pass, in the transaction that is open."""
    fitting = _keep_fitting(store, captured)
    changes = _keep_home(store, _coalesce(store, fitting).values())
    if store.mapping is not None:
        changes = _cross(store, store.mapping, changes)
    read_late(store, changes)
    append_changes(store, changes)
    store.delete_captured([item.id for item in captured])


def _cross(store: Store, lens: Lens, changes: Sequence[Change]) -> list[Change]:
    """Let changes of mapped tables become changes of common rows (bridge); the others stay as they are."""
    mapped = [change for change in changes if change.table.wire in lens.local_tables]
    if not mapped:
        return list(changes)
    found = find_changes(store, lens, {change.row: change.captured_at for change in mapped}, read_whole)
    crossed = changes_of(store, found)
    return [*(change for change in changes if change.table.wire not in lens.local_tables), *crossed]


def changes_of(store: Store, found: Iterable[Crossed]) -> list[Change]:
    """Return what an application did to common rows as changes of this pass."""
    items = [(item, Row(item.part.table, item.key), at) for _, item, at in found]
    versions = store.read_versions({row for _, row, _ in items})
    return [
        Change(
            common_table(item.part.table, item.part.scope),
            row,
            "",
            versions.get(row),
            alive=item.alive,
            columns=item.columns,
            captured_at=at,
        )
        for item, row, at in items
    ]


def read_whole(store: Store, rows: Collection[Row]) -> dict[Row, dict[str, Any]]:
    """Return rows as they are now, by wire names, values canonical, references as keys, gone ones not."""
    keys: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        keys[row.table].append(row.key)
    changes: list[Change] = []
    for wire, wanted in keys.items():
        table = store.tables_by_wire.get(wire)
        if table is None:
            continue
        assigned = table.identity.kind == "assigned"
        places = store.read_locators(table, wanted) if assigned else place_keys(table, wanted)
        for key, local_key in store.find_local_keys(table, places).items():
            changes.append(Change(table, Row(wire, key), local_key, None, whole=True))
    read_late(store, changes)
    here = [change for change in changes if change.alive]
    translate(store, here)
    return {
        change.row: {
            **_key_columns(change),
            **json.loads(change.late),
            **change.columns,
        }
        for change in here
    }


def _key_columns(change: Change) -> dict[str, Any]:
    """Return the identity columns of a row whose key is in them."""
    identity = change.table.identity
    if identity.kind == "assigned":
        return {}
    items = json.loads(change.row.key) if identity.kind == "composite" else [change.row.key]
    return dict(zip((column.wire for column in identity.columns), items, strict=True))


def append_changes(store: Store, changes: Iterable[Change]) -> None:
    """Append changes as one pass, those that have an effect and can travel."""
    _append(store, _keep_large(store, [change for change in changes if _has_effect(change)]))


def _coalesce(store: Store, captured: Sequence[Captured]) -> dict[Row, Change]:
    keys = _name_captured(store, captured)
    rows = {
        Row(store.tables[item.table_id].wire, key)
        for item in captured
        for key in (keys[item.table_id][item.key], keys[item.table_id].get(item.old_key or ""))
        if key is not None
    }
    versions = store.read_versions(rows)
    changes: dict[Row, Change] = {}

    def change_of(table: SyncedTable, local_key: str, key: str) -> Change:
        row = Row(table.wire, key)
        change = changes.get(row)
        if change is None:
            change = changes[row] = Change(table, row, local_key, versions.get(row))
        change.local_key = local_key
        return change

    for item in sorted(captured):
        table = store.tables[item.table_id]
        named = keys[item.table_id]
        change = change_of(table, item.key, named[item.key])
        change.captured_at = max(change.captured_at, item.captured_at)
        if store.mapping is not None and table.wire in store.mapping.local_tables:
            change_of(
                table, item.old_key or item.key, named[item.old_key or item.key]
            ).captured_at = change.captured_at
        elif item.old_key is not None and named[item.old_key] != named[item.key]:
            left = change_of(table, item.old_key, named[item.old_key])
            left.captured_at = max(left.captured_at, item.captured_at)
            # MySQL fires its triggers for UPDATE IGNORE too, when the row is left as it was.
            left.announced = left.announced or {}
            change.whole, change.alive = True, True
            for other in _referring(store, table, item.key):
                changes.setdefault(other.row, other).whole = True
            for other in _renamed(store, table, item.key, named[item.old_key]):
                changes.setdefault(other.row, other).captured_at = item.captured_at
        else:
            columns: dict[str, Any] = json.loads(item.changed) if item.changed else {}
            if item.operation == UPDATE:
                change.twice |= change.columns.keys() & columns.keys()
                if store.engine == "mysql" and _may_be_refused(table, columns):
                    change.doubted |= columns.keys()
            _add(change, item, columns)
    for left in _left_behind(store, captured):
        changes.setdefault(left.row, left)
    return changes


def _may_be_refused(table: SyncedTable, written: Collection[str]) -> bool:
    """Return whether UPDATE IGNORE may have left a row as it was though MySQL's trigger fired for it: a
    foreign key or a unique index can have refused a value. A column that shows something else now was not
    written, or was written again since, which is captured too."""
    refusable = {c.wire for c in table.columns if c.reference is not None and c.reference.enforced}
    refusable |= {name.lower() for name in table.unique}
    return not refusable.isdisjoint(written)


def _keep_fitting(store: Store, captured: Sequence[Captured]) -> list[Captured]:
    """Return what was captured under the key columns of today; list the rest as parked.

    The application has changed a table's key, and an installation has followed, with changes waiting.
    """
    fitting: list[Captured] = []
    refused: dict[Row, tuple[str, str]] = {}
    widths = {table_id: len(table.key_columns) for table_id, table in store.tables.items()}
    for item in captured:
        # Cheap where it can be: most keys are an integer and a uuid, with as many commas as that has.
        if (
            item.key.count(",") + 1 == widths[item.table_id]
            or len(json.loads(item.key)) == widths[item.table_id]
        ):
            fitting.append(item)
        else:
            row = Row(store.tables[item.table_id].wire, item.key[:KEY_LENGTH])
            refused[row] = ("key", "captured before the table's key columns changed: install, then reconcile")
    store.write_parked(refused)
    return fitting


def _keep_home(store: Store, changes: Iterable[Change]) -> list[Change]:
    """Return the changes whose rows have a key that can travel; list the other rows as parked."""
    kept: list[Change] = []
    refused: dict[Row, tuple[str, str]] = {}
    for change in changes:
        try:
            check_text(change.row.key, KEY_LENGTH)
            kept.append(change)
        except ValueError as error:
            shown = change.row.key.replace("\0", " ")[: KEY_LENGTH - 40]
            digest = blake2b(change.row.key.encode(), digest_size=16).hexdigest()
            refused[Row(change.row.table, f"{shown} {digest}")] = ("key", f"stays here: {error}")
    store.write_parked(refused)
    return kept


def _keep_large(store: Store, changes: Iterable[Change]) -> list[Change]:
    """Return the changes that a peer can receive; list the rows of the others as parked."""
    kept: list[Change] = []
    refused: dict[Row, tuple[str, str]] = {}
    for change in changes:
        size = len(change.late)
        if change.columns:
            size += sum(len(v) for v in change.columns.values() if isinstance(v, str))
        if size <= LARGEST_ROW:
            kept.append(change)
        else:
            refused[change.row] = ("large", f"stays here: {size} characters, at most {LARGEST_ROW} travel")
    store.write_parked(refused)
    return kept


def _name_captured(store: Store, captured: Sequence[Captured]) -> dict[int, dict[str, str]]:
    local_keys: dict[int, dict[str, None]] = defaultdict(dict)
    for item in captured:
        local_keys[item.table_id][item.key] = None
        if item.old_key is not None:
            local_keys[item.table_id][item.old_key] = None
    return {
        table_id: name_rows(store, store.tables[table_id], wanted) for table_id, wanted in local_keys.items()
    }


def _add(change: Change, item: Captured, columns: dict[str, Any]) -> None:
    if item.operation == BACKFILL and change.version is not None:
        return
    if item.operation == DELETE:
        change.alive, change.image = False, item.image
    elif item.operation in (INSERT, BACKFILL):
        change.whole, change.alive = True, True
    elif item.operation in (GOING, CHANGING):
        change.announced = {**(change.announced or {}), **columns}
        change.image = item.image or change.image
        change.whole = change.whole or (change.version is None and bool(change.announced))
    else:
        _add_update(change, columns)
        # Nobody has published the row before: a peer needs all of it.
        change.whole = change.whole or change.version is None


def _add_update(change: Change, columns: dict[str, Any]) -> None:
    flag = change.table.deleted_flag
    if flag is not None and flag.column.lower() in columns:
        if columns.pop(flag.column.lower()) == flag.deleted:
            # What else a soft delete nulls is not a change of the row (R3).
            change.alive = False
            return
        if _is_deleted(change):
            change.whole, change.alive = True, True
    change.columns.update(columns)
    if not _is_deleted(change):
        change.alive = True


def _is_deleted(change: Change) -> bool:
    if change.alive is not None:
        return not change.alive
    return change.version is not None and not change.version.alive


def _referring(store: Store, table: SyncedTable, local_key: str) -> Iterable[Change]:
    """Yield the rows that refer by a local value to a row whose key has changed (R20)."""
    for other in store.tables.values():
        for column in other.local_references:
            if column.reference is not None and column.reference.table == table.name:
                for text, row in _find_referring(store, other, column, table, local_key):
                    yield Change(other, row, text, store.read_versions([row]).get(row))


def _renamed(store: Store, table: SyncedTable, local_key: str, old_key: str) -> Iterable[Change]:
    """Yield the rows whose own key names a row whose key has changed: gone by the old name, here by the
    new one."""
    for other in store.tables.values():
        for place, column in enumerate(other.identity.columns):
            target = local_reference(column.reference)
            if target is None or target[0] != table.name:
                continue
            for text, row in _find_referring(store, other, column, table, local_key):
                parts = json.loads(row.key)
                parts[place] = old_key
                left = Row(other.wire, values.dump(parts))
                versions = store.read_versions([row, left])
                yield Change(other, left, text, versions.get(left), alive=False)
                yield Change(other, row, text, versions.get(row), whole=True, alive=True)


def _left_behind(store: Store, captured: Iterable[Captured]) -> Iterable[Change]:
    """Yield the rows that are gone and whose key names a row that has got another one meanwhile: they are
    gone by the name that they were published under as well (R20)."""
    gone: dict[str, int] = {}
    renamed: dict[str, int] = {}
    for item in captured:
        if item.operation == DELETE:
            gone[store.tables[item.table_id].name] = item.captured_at
        elif item.old_key is not None:
            renamed[store.tables[item.table_id].name] = item.captured_at
    for table in store.tables.values() if gone or renamed else ():
        parts = {target[0] for c in table.identity.columns if (target := local_reference(c.reference))}
        at = max([renamed.get(name, 0) for name in parts] + [gone.get(table.name, 0)])
        if table.identity.kind != "composite" or not parts or not at:
            continue
        former = name_former(store, table, store.read_departed(table))
        versions = store.read_versions({Row(table.wire, key) for keys in former.values() for key in keys})
        for row, version in versions.items():
            if version.alive:
                yield Change(table, row, "", version, alive=False, captured_at=at)


def _find_referring(
    store: Store, other: SyncedTable, column: SyncedColumn, table: SyncedTable, local_key: str
) -> Iterable[tuple[str, Row]]:
    """Yield (local key, row) of the rows whose column refers to a row of a table."""
    texts = store.read_referring(other, column, table, local_key)
    for text, key in name_rows(store, other, texts).items():
        yield text, Row(other.wire, key)


def read_late(store: Store, changes: Sequence[Change]) -> None:
    """Read the rows of the changes that need it, as they are now, into them."""
    wanted: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        looks = change.whole or change.announced is not None or change.doubted or change.twice
        if looks and change.alive is not False:
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
            elif (change.doubted or change.twice) and not change.whole:
                pass
            elif late is None:
                _leave(change)
            else:
                _take_late(change, late)
            if change.twice and not change.whole and late is not None:
                _take_shown(change, late)


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
    if shown and not _is_deleted(change):
        change.alive = True


def _keep_shown(change: Change, late: LateRow, keys: Mapping[tuple[str, str], Mapping[Any, str]]) -> None:
    """Believe of the doubted columns what the row shows."""
    doubted = {n: v for n, v in change.columns.items() if n in change.doubted - change.twice}
    shown = _find_shown(change.table, doubted, late, keys)
    change.columns = {n: v for n, v in change.columns.items() if n not in doubted or n in shown}
    if not change.columns and change.version is not None and change.version.alive:
        change.alive = None


def _take_shown(change: Change, late: LateRow) -> None:
    """Take of the columns that were written twice what the row shows."""
    named = json.loads(late.text)
    taken = change.twice & change.columns.keys()
    change.late = values.dump({name: named[name] for name in taken & named.keys()})
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
        asked = {**{name: change.columns.get(name) for name in change.doubted}, **(change.announced or {})}
        if not asked:
            continue
        for column in change.table.local_references:
            target = local_reference(column.reference)
            value = asked.get(column.wire)
            if target is not None and value is not None:
                wanted[target].add(value)
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


def _has_effect(change: Change) -> bool:
    if change.alive is False and change.version is not None and not change.version.alive:
        return bool(change.columns) or change.late != "{}"
    return change.alive is not None or bool(change.columns)


def _append(store: Store, changes: list[Change]) -> None:
    if not changes:
        return
    site = store.read_site()
    vector = store.read_vector()
    context = {c: n for c, n in vector.items() if c[:2] != (site.origin, site.epoch)}
    number, pass_number = site.last_number, site.last_pass + 1
    translate(store, changes)
    _widen(store, changes)
    unseen = store.read_unapplied([change.row for change in changes])
    # What the application did to a parked row may be what it waited for.
    store.write_parked({row: ("changed", "its application has changed it since") for row in unseen})
    joined = store.read_members([change.row for change in changes if change.alive is False])
    entries: list[Entry] = []
    versions: dict[Row, Version] = {}
    for change in sorted(changes, key=lambda change: _place(store, change)):
        version = change.version or Version(0, "", False, 0)
        alive = version.alive if change.alive is None else change.alive
        text = _dump_columns(change, unseen.get(change.row))
        # A delete names each key that its author knew of the row (core.alias).
        for key in joined.get(change.row, (change.row.key,)):
            number += 1
            stamp = next_stamp(change.captured_at, version.stamp)
            entries.append(
                Entry(
                    site.origin,
                    site.epoch,
                    number,
                    pass_number,
                    stamp,
                    version.seen,
                    change.table.scope,
                    change.row.table,
                    key,
                    text,
                )
            )
            seen = version.seen ^ hash_name(site.origin, site.epoch, number)
            version = Version(stamp, site.origin, alive, seen)
        versions[change.row] = version
    digest = digest_vector(context)
    store.write_contexts({digest: dump_vector(context)})
    store.write_passes({(site.origin, site.epoch, pass_number): digest})
    store.append_entries(entries, applied=True)
    _settle_conflicts(store, entries)
    _stir_kin(store, changes)
    store.write_versions(versions, {change.row: change.version for change in changes})
    store.write_images(
        {c.row: c.image for c in changes if c.image and not c.alive},
        [c.row for c in changes if c.alive],
        site.origin,
    )
    raised = {(site.origin, site.epoch, entry.scope): entry.number for entry in entries}
    store.write_vector(raised)
    store.write_site(last_number=number, last_pass=pass_number)


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
    """List rows that are one thing with one that came or went, and did not themselves, to be shown anew."""
    ended = {
        Row(kin, change.row.key): bool(change.alive)
        for change in changes
        if change.table.kin and change.version is not None and change.alive is not None
        if change.alive is not change.version.alive
        for kin in change.table.kin
    }
    if ended:
        same = {change.row for change in changes}
        versions = store.read_versions(ended.keys() - same)
        stirred = [row for row, version in versions.items() if version.alive is not ended[row]]
        store.write_parked(
            {row: ("thing", "another row of the same thing has come or gone") for row in stirred}
        )


def _place(store: Store, change: Change) -> tuple[bool, int]:
    """Parents before children; what is deleted comes last, children before parents."""
    rank = store.ranks.get(change.table.name, 0)
    return (True, -rank) if change.alive is False else (False, rank)


def _dump_columns(change: Change, unseen: Sequence[str] | None) -> str:
    if not change.columns and change.alive is True and unseen is None:
        return _join(ALIVE_ONLY, change.late)  # a new row: no need to dump anything
    columns = change.columns
    if change.alive is not None:
        columns[ALIVE] = change.alive
    if unseen is not None:
        columns[UNSEEN] = unseen
    return _join(values.dump(columns), change.late)


def _join(left: str, right: str) -> str:
    """Return one JSON object of two that have no name in common."""
    if right == "{}":
        return left
    return right if left == "{}" else f"{left[:-1]},{right[1:]}"


def translate(store: Store, changes: Sequence[Change]) -> None:
    """Make the values canonical and the references keys."""
    tables: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        if change.columns:
            tables[change.table.name].append(change)
    wanted: dict[tuple[str, str], set[Any]] = defaultdict(set)
    for group in tables.values():
        for column in group[0].table.local_references:
            target = local_reference(column.reference)
            assert target is not None
            references = (change.columns.get(column.wire) for change in group)
            wanted[target].update(value for value in references if value is not None)
    found = name_references(store, store.tables_by_name, wanted)
    for group in tables.values():
        for column in group[0].table.columns:
            target = local_reference(column.reference)
            if target is not None:
                known = found.get(target, {})
                for change in group:
                    value = change.columns.get(column.wire)
                    if value is not None:
                        change.columns[column.wire] = known.get(value)
            elif values.needs_canonical(column.kind):
                for change in group:
                    value = change.columns.get(column.wire)
                    if value is not None:
                        change.columns[column.wire] = values.canonical(column.kind, value, column.zone)
