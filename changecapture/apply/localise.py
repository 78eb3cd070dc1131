"""From rows as they travel to rows as they are written here: keys become local values, or wait."""

from base64 import b64decode
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from changecapture.apply.work import REFERENCE, Parked, Waiting, Work
from changecapture.core.change import Row
from changecapture.core.codec import KEY_LENGTH
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.values import dump
from changecapture.core.wire import check_text
from changecapture.identify import find_joined, place_keys
from changecapture.store.interface import Store

COATED_KINDS = ("bytes", "geometry")
"""Kinds whose values travel as base64 in an object."""
PLAIN_TYPES = frozenset((str, int, float, bool, type(None)))


def localise(store: Store, table: SyncedTable, works: Sequence[Work]) -> dict[Row, dict[str, Any]]:
    """Return the rows as they are written here, references as local values: {row: {column: value}}.

    A row that must refer to an absent row is left out; an optional reference to one is NULL and waits.
    """
    names = {column.wire: column.name for column in table.columns}
    same = all(wire == name for wire, name in names.items())
    special = {c.name: c for c in table.columns if c.reference is not None or c.kind in COATED_KINDS}
    rows: dict[Row, dict[str, Any]] = {}
    for work in works:
        assert work.decision is not None
        work.waiting = []
        row = work.decision.values
        if same and row.keys() <= names.keys():
            row = row.copy()
        else:
            row = {names[wire]: value for wire, value in row.items() if wire in names}
        if _check_values(work, row, special):
            rows[work.row] = row
    works = [work for work in works if work.row in rows]
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


def _check_values(work: Work, row: Mapping[str, Any], special: Mapping[str, SyncedColumn]) -> bool:
    """Park a row with a value that no column of the kind can have had anywhere; return whether it fits.

    ``special`` are the columns that hold references or values in a coat.
    """
    if PLAIN_TYPES.issuperset(map(type, row.values())):
        concerned: Iterable[str] = row.keys() & special.keys()
    else:
        concerned = row.keys()
    for name in concerned:
        value = row[name]
        if value is None:
            continue
        try:
            if name in special:
                _check_special(value, special[name])
            elif type(value) not in PLAIN_TYPES:
                raise ValueError(f"{value!r:.80} is not a plain value")
        except (ValueError, TypeError, AttributeError) as error:
            work.parked = Parked("value", f"{name}: {error}")
            return False
    return True


def _check_special(value: Any, column: SyncedColumn) -> None:
    """Raise an error when a reference is no key, or a value in a coat not what its kind travels as."""
    if column.reference is None:
        (coated,) = value.values()
        b64decode(coated, validate=True)
    elif type(value) is not int:
        check_text(value, KEY_LENGTH)


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
    row = Row(target.wire, _target_key(target, column, key))
    return Waiting(column.wire, *find_joined(store, [row]).get(row, row))


def _target_key(target: SyncedTable, column: SyncedColumn, value: Any) -> str:
    """Return the key that a reference's value, as it travels, stands for."""
    assert column.reference is not None
    if column.reference.by_key and target.identity.kind == "composite":
        return dump([value])
    return str(value)


def _resolve(
    store: Store, column: SyncedColumn, keys: Collection[Any], *, lock: bool = True
) -> dict[Any, Any]:
    """Step 4: lock the referenced rows against deletion and return {key: local value}."""
    assert column.reference is not None
    wanted = {key for key in keys if key is not None}
    if not wanted:
        return {}
    if not column.reference.must_be_here:
        return {key: key for key in wanted}
    target = store.tables_by_name[column.reference.table]
    named = {key: [_target_key(target, column, key)] for key in wanted}
    if store.has_aliases():
        named = {key: _any_key(store, target, own) for key, (own,) in named.items()}
    places = locate(store, target, {own for keys in named.values() for own in keys}, lock=lock)
    found = store.refer_rows(target, column.reference.target_column, places, lock=lock)
    return {key: found[here[0]] for key, keys in named.items() if (here := [k for k in keys if k in found])}


def _any_key(store: Store, table: SyncedTable, key: str) -> list[str]:
    """Return all keys of the row of a key, that key and its name first: it may stand here under any."""
    row = Row(table.wire, key)
    name = find_joined(store, [row]).get(row, row)
    members = store.read_members([name]).get(name, [key])
    return list(dict.fromkeys((key, name.key, *members)))


def locate(
    store: Store, table: SyncedTable, keys: Collection[str], *, lock: bool = True
) -> dict[str, list[Any]]:
    """Return {key: place} of the rows that can be here; a key that does not fit the table cannot.

    ``lock``: whether rows that keys are made of are locked against deletion, and busy ones not found.
    """
    if table.identity.kind == "assigned":
        return store.read_locators(table, keys)
    places = place_keys(table, keys)
    for index, column in enumerate(table.identity.columns):
        if column.reference is not None and not column.reference.by_key:
            found = _resolve(store, column, {items[index] for items in places.values()}, lock=lock)
            for items in places.values():
                items[index] = found.get(items[index])
    return {key: items for key, items in places.items() if None not in items}


def park_reference(work: Work) -> None:
    missing = ", ".join(f"{w.target_table} {w.target_key}" for w in work.waiting)
    work.parked = Parked(REFERENCE, f"waits for {missing}")
