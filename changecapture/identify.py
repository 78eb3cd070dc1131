"""From local values to keys and back: the only place that knows how a row is named.

A *local key* is the JSON array of a row's key columns, as the triggers and the late reads write it;
a *key* is the row's name in the world. References inside a composite
identity, and references in columns, travel as keys. Of keys that are one row (core.alias) one names it:
it is what a row is called here, whichever of them was written.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import Any
from uuid import uuid4

from changecapture.core import values
from changecapture.core.change import Row
from changecapture.core.fit import text_length
from changecapture.core.table import Reference, SyncedTable
from changecapture.core.zones import to_local
from changecapture.store.interface import Store

UUID_LENGTH = 36
"""Characters of a uuid as PostgreSQL's type uuid reads it; it does not read urn:uuid: before it."""


def name_rows(store: Store, table: SyncedTable, local_keys: Iterable[str]) -> dict[str, str]:
    """Return the key of each local key. A row without an identity of its own is given a key."""
    keys = _own_names(store, table, local_keys)
    if table.identity.kind == "composite":
        return keys  # what it is made of has been named already
    joined = store.read_names([Row(table.wire, key) for key in keys.values()])
    if joined:
        keys = {text: joined.get(row := Row(table.wire, key), row).key for text, key in keys.items()}
    return keys


def find_joined(store: Store, rows: Iterable[Row]) -> dict[Row, Row]:
    """Return {row by any of its keys: row by its name} of those of the rows that are joined with another,
    or whose keys are made of such a row's."""
    if not store.has_aliases():
        return {}
    wanted = list(rows)
    found = store.read_names(wanted)
    made: list[tuple[Row, SyncedTable, list[Any]]] = []
    for row in wanted:
        table = store.tables_by_wire.get(row.table)
        if table is not None and table.identity.kind == "composite" and any(_parts(table)):
            with suppress(ValueError):
                made.append((row, table, identity_values(row.key, table)))
    parts = {part for _, table, items in made for part in _part_rows(store, table, items) if part}
    named = find_joined(store, parts) if parts else {}
    for row, table, items in made:
        whole = list(items)
        for place, part in enumerate(_part_rows(store, table, items)):
            if part in named:
                whole[place] = named[part].key
        if whole != items:
            found[row] = Row(row.table, values.dump(whole))
    return found


def _part_rows(store: Store, table: SyncedTable, items: Sequence[Any]) -> list[Row | None]:
    """Return the row that each part of a composite key names, None of a plain value."""
    targets = [store.tables_by_name.get(target[0]) if target else None for target in _parts(table)]
    return [
        Row(target.wire, item) if target is not None and isinstance(item, str) else None
        for target, item in zip(targets, items, strict=True)
    ]


def _parts(table: SyncedTable) -> list[tuple[str, str] | None]:
    return [local_reference(column.reference) for column in table.identity.columns]


def _own_names(store: Store, table: SyncedTable, local_keys: Iterable[str]) -> dict[str, str]:
    """Return the key that each row has of its own."""
    wanted = list(dict.fromkeys(local_keys))
    parsed = dict(zip(wanted, json.loads(f"[{','.join(wanted)}]"), strict=True))
    identity = table.identity
    if identity.kind == "assigned":
        return _assign_keys(store, table, parsed)
    places = _identity_places(table)
    if identity.kind == "composite":
        return _compose_keys(store, table, parsed, places)
    place = places[0]
    named: dict[str, str] = {}
    nameless: dict[str, Any] = {}
    for text, items in parsed.items():
        value = items[place]
        if value is None or value in identity.missing:
            nameless[text] = items
        else:
            named[text] = str(value)
    if nameless:
        named.update(_assign_keys(store, table, nameless))
    return named


def name_references(
    store: Store, tables: Mapping[str, SyncedTable], wanted: Mapping[tuple[str, str], set[Any]]
) -> dict[tuple[str, str], dict[Any, str]]:
    """Return the keys that local values refer to: {(table, target column): {value: key}}.

    A row that is gone, but whose departure is not yet published, is named as it was. A value that refers
    to no row, or to one of a table that is synced no longer, is left out.
    """
    found: dict[tuple[str, str], dict[Any, str]] = {}
    for (name, column), references in wanted.items():
        target = tables.get(name)
        if target is None:
            continue
        local_keys = store.read_local_keys(target, column, references)
        if missing := references - local_keys.keys():
            local_keys.update(_find_departed(store, target, column, missing))
        keys = name_rows(store, target, local_keys.values())
        found[name, column] = {value: keys[local] for value, local in local_keys.items()}
    return found


def name_former(store: Store, table: SyncedTable, local_keys: Iterable[str]) -> dict[str, list[str]]:
    """Return the keys that rows of a composite identity had when what they are made of had another key, of
    rows that refer to some whose change of key is not yet published."""
    texts = list(local_keys)
    options: dict[tuple[str, str], dict[Any, list[str]]] = {}
    for place, part in zip(_identity_places(table), _parts(table), strict=True):
        target = store.tables_by_name.get(part[0]) if part is not None else None
        if (
            part is not None
            and target is not None
            and part[1] in (names := [c.name for c in target.key_columns])
        ):
            known = _find_former(store, target, names.index(part[1]))
            if len(names) == 1 and any(_parts(target)):
                # Rows that are made of others in turn.
                wanted = {values.dump([json.loads(text)[place]]) for text in texts}
                for text, keys in name_former(store, target, wanted).items():
                    known.setdefault(json.loads(text)[0], []).extend(keys)
            options[part] = known
    return _compose_former(store, table, texts, options) if any(options.values()) else {}


def _find_former(store: Store, target: SyncedTable, place: int) -> dict[Any, list[str]]:
    """Return {value at a place of the local key: the keys of the rows that had it} of rows that were deleted
    or got another key."""
    departed = store.read_departed(target)
    keys = name_rows(store, target, departed) if departed else {}
    known: dict[Any, list[str]] = {}
    for text in departed:
        known.setdefault(json.loads(text)[place], []).append(keys[text])
    return known


def _compose_former(
    store: Store,
    table: SyncedTable,
    local_keys: Iterable[str],
    options: Mapping[tuple[str, str], Mapping[Any, Sequence[str]]],
) -> dict[str, list[str]]:
    places = _identity_places(table)
    found: dict[str, list[str]] = {}
    for text, key in name_rows(store, table, local_keys).items():
        items = json.loads(text)
        parts = [
            {now, *(options.get(part, {}).get(items[place], ()) if part else ())}
            for now, part, place in zip(json.loads(key), _parts(table), places, strict=True)
        ]
        found[text] = [other for each in product(*parts) if (other := values.dump(list(each))) != key]
    return found


def _find_departed(store: Store, target: SyncedTable, column: str, missing: set[Any]) -> dict[Any, str]:
    """Return {value of the column: local key} of rows that were deleted or got another key."""
    names = [c.name for c in target.key_columns]
    if column not in names:
        return {}
    place = names.index(column)
    departed = ((json.loads(text)[place], text) for text in store.read_departed(target))
    return {value: text for value, text in departed if value in missing}


def place_keys(table: SyncedTable, keys: Iterable[str]) -> dict[str, list[Any]]:
    """Return {key: identity values} of keys that fit the table; references in them are still keys."""
    if table.identity.kind in ("uuid", "natural") and table.identity.columns[0].kind != "integer":
        return {key: [key] for key in keys}
    places: dict[str, list[Any]] = {}
    for key in keys:
        with suppress(ValueError):
            places[key] = identity_values(key, table)
    return places


def identity_values(key: str, table: SyncedTable) -> list[Any]:
    """Return the identity columns' values that a key stands for; references in it are still keys.

    Empty for an assigned key. Raises ValueError when the key does not fit the table.
    """
    kind = table.identity.kind
    if kind == "assigned":
        return []
    if kind != "composite":
        column = table.identity.columns[0]
        return [int(key) if column.kind == "integer" else key]
    items = json.loads(key)
    if not isinstance(items, list) or len(items) != len(table.identity.columns):
        raise ValueError(f"the key {key:.80} does not fit {table.name}")
    for item in items:
        if isinstance(item, str):
            item.encode()  # half of a surrogate pair has no place in any database
        if not (item is None or isinstance(item, str | int | float)) or item != item or item == "\0":
            raise ValueError(f"the key {key:.80} holds more than plain values")
    return [
        to_local(column.zone, item) if column.zone is not None and type(item) is str else item
        for column, item in zip(table.identity.columns, items, strict=True)
    ]


def _make_key(table: SyncedTable) -> str:
    """Return a new key, in Eden's form where the column that peers write it to holds that."""
    fresh = uuid4()
    forms = (f"urn:uuid:{fresh}", str(fresh), fresh.hex)
    if not table.identity.columns:
        return forms[0]
    (column,) = table.identity.columns
    room = UUID_LENGTH if column.type == "uuid" else text_length(column)
    return next((form for form in forms if room is None or len(form) <= room), forms[0])


def _identity_places(table: SyncedTable) -> list[int]:
    names = [column.name for column in table.key_columns]
    return [names.index(column.name) for column in table.identity.columns]


def _compose_keys(
    store: Store, table: SyncedTable, parsed: Mapping[str, Sequence[Any]], places: Sequence[int]
) -> dict[str, str]:
    columns = table.identity.columns
    wanted: dict[tuple[str, str], set[Any]] = defaultdict(set)
    for items in parsed.values():
        for place, column in zip(places, columns, strict=True):
            if (target := local_reference(column.reference)) and items[place] is not None:
                wanted[target].add(items[place])
    found = name_references(store, store.tables_by_name, wanted)
    keys: dict[str, str] = {}
    for text, items in parsed.items():
        parts: list[Any] = []
        for place, column in zip(places, columns, strict=True):
            value = items[place]
            target = local_reference(column.reference)
            if target is None:
                parts.append(values.canonical(column.kind, value, column.zone))
            else:
                parts.append(found.get(target, {}).get(value))
        keys[text] = values.dump(parts)
    return keys


def local_reference(reference: Reference | None) -> tuple[str, str] | None:
    """Return (table, target column) of a reference that holds local values, None for any other."""
    if reference is None or reference.by_key:
        return None
    return reference.table, reference.target_column


def _assign_keys(store: Store, table: SyncedTable, parsed: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    width = len(table.locator)
    locators = {text: values.dump(list(items[:width])) for text, items in parsed.items()}
    known = store.read_assigned(table, locators.values())
    fresh = {locator: _make_key(table) for locator in locators.values() if locator not in known}
    if fresh:
        store.write_assigned(table, fresh)
    known.update(fresh)
    return {text: known[locator] for text, locator in locators.items()}
