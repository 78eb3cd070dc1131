"""From rows as they travel to rows as they are written here: keys become local values, or wait."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from changecapture.apply.work import REFERENCE, Parked, Waiting, Work, by_table
from changecapture.core.change import Row
from changecapture.core.codec import KEY_LENGTH
from changecapture.core.fit import COATS, Fit, find_fit, find_key_fit
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.values import dump
from changecapture.core.wire import check_text
from changecapture.identify import find_joined, place_keys
from changecapture.store.interface import Store

PLAIN_TYPES = frozenset((str, int, float, bool, type(None)))


def localise(store: Store, table: SyncedTable, works: Sequence[Work]) -> dict[Row, dict[str, Any]]:
    """Return the rows as they are written here, references as local values: {row: {column: value}}.

    A row that must refer to an absent row is left out; an optional reference to one is NULL and waits.
    """
    names = {column.wire: column.name for column in table.columns}
    same = all(wire == name for wire, name in names.items())
    references = {c.name for c in table.columns if c.reference is not None}
    fits = find_fits(store, table)
    coated = {c.name for c in table.columns if c.kind in COATS}
    rows: dict[Row, dict[str, Any]] = {}
    for work in works:
        assert work.decision is not None
        work.waiting = []
        row = work.decision.values
        if same and row.keys() <= names.keys():
            row = row.copy()
        else:
            row = {names[wire]: value for wire, value in row.items() if wire in names}
        if _check_values(work, row, references, fits, coated):
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


def find_stray(store: Store, works: Iterable[Work]) -> list[Work]:
    """Return the rows that are here and are to refer, as they must, to a row that is not (R4)."""
    found: list[Work] = []
    for table, group in by_table(work for work in works if work.local_key is not None):
        required = {c.wire for c in table.columns if c.reference is not None and c.reference.required}
        concerned = [
            w for w in group if w.decision and w.decision.alive and required & w.decision.values.keys()
        ]
        if concerned:
            rows = localise(store, table, concerned)
            found += [work for work in concerned if work.row not in rows and work.parked is None]
    return found


def find_fits(store: Store, table: SyncedTable) -> dict[str, Fit]:
    """Return what tells whether a column shows a value, for the columns that do not show all."""
    found = {
        c.name: find_fit(c, store.engine, quiet=c.wire in table.quiet)
        for c in table.columns
        if c.reference is None or c.reference.by_key
    }
    return {name: fit for name, fit in found.items() if fit is not None}


def _check_values(
    work: Work,
    row: dict[str, Any],
    references: Collection[str],
    fits: Mapping[str, Fit],
    coated: Collection[str],
) -> bool:
    """Park a row with a value that its column would not show, or that none of its kind can have had
    anywhere; return whether all fit, now as they are written."""
    plain = PLAIN_TYPES.issuperset(map(type, row.values()))
    for name, value in row.items():
        if value is None:
            continue
        try:
            if name in references and type(value) is not int:
                check_text(value, KEY_LENGTH)
            if not plain and type(value) not in PLAIN_TYPES and name not in coated:
                raise ValueError(f"{value!r:.80} is not a plain value")
            if name in fits:
                row[name] = fits[name](value)
        except (ValueError, TypeError, AttributeError) as error:
            work.parked = Parked("value", f"{name}: {error}")
            return False
    return True


def _refer(
    store: Store,
    column: SyncedColumn,
    works: Iterable[Work],
    rows: Mapping[Row, dict[str, Any]],
) -> None:
    """Replace the keys in a reference column by local values; what names an absent row waits."""
    concerned = [work for work in works if rows[work.row].get(column.name) is not None]
    found = resolve(store, column, {rows[work.row][column.name] for work in concerned})
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
        found = resolve(store, column, {items[index] for items in keys.values()})
        for work in works:
            items = keys.get(work.row.key)
            if items is not None and items[index] is not None:
                if items[index] not in found:
                    work.waiting.append(_wait(store, column, items[index]))
                items[index] = found.get(items[index])
    names = [column.name for column in table.identity.columns]
    fits = [find_key_fit(c, store.engine) for c in table.identity.columns]
    for work in works:
        try:
            values = keys[work.row.key]
            for fit, value, column in zip(fits, values, table.identity.columns, strict=True):
                if fit is not None and value is not None and column.reference is None:
                    fit(value)
            rows[work.row].update(zip(names, values, strict=True))
        except (KeyError, ValueError) as error:
            why = f": {error}" if isinstance(error, ValueError) else ""
            work.parked = Parked("key", f"the key does not fit {table.name}{why}")
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


def resolve(
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
            found = resolve(store, column, {items[index] for items in places.values()}, lock=lock)
            for items in places.values():
                items[index] = found.get(items[index])
    return {key: items for key, items in places.items() if None not in items}


def park_reference(work: Work) -> None:
    missing = ", ".join(f"{w.target_table} {w.target_key}" for w in work.waiting)
    work.parked = Parked(REFERENCE, f"waits for {missing}")
