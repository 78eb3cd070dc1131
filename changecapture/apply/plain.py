"""Step 3 in bulk: rows that need no decision, written column by column.

A row is *plain* when one entry, which says that it lives, is all that is known of it, here and in the batch;
when no key is joined, nothing of its thing is dead, every row that it refers to is here, and all its values
fit. Nothing can conflict then, and the entry is the row. Whatever is not plain, or is refused, is left to
``show``; a batch that ends the life of any row is left whole. Both ways come to the same tables, log and
versions (tests/property/test_plain.py).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, repeat
from typing import Any

from changecapture.apply.localise import PLAIN_TYPES, find_fits, resolve
from changecapture.apply.show import publish_held
from changecapture.apply.things import LIVES
from changecapture.apply.work import Work, ends_all
from changecapture.core.change import ALIVE, UNSEEN, Entry, Row
from changecapture.core.codec import KEY_LENGTH
from changecapture.core.fit import Fit, find_key_fit
from changecapture.core.merge import read_columns
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.wire import check_text
from changecapture.errors import DataError, RetryLater
from changecapture.store.interface import Store

Column = Sequence[Any]


@dataclass(slots=True)
class Plain:
    """What became of a batch: entries that are written and logged, those that are left, and rows that have
    to be shown from all their entries: what waited for the written ones, what the application touched."""

    written: list[Entry] = field(default_factory=list)
    left: list[Entry] = field(default_factory=list)
    stirred: set[Row] = field(default_factory=set)


class Unfit(Exception):
    """A value needs a closer look: the rows are left."""


def write_plain(store: Store, entries: Sequence[Entry]) -> Plain:
    """Insert the rows that are plain, parents first, and log them."""
    plain = Plain()
    if not _may_be_plain(store, entries):
        plain.left += entries
        return plain
    for table, group in _by_table(store, entries, plain):
        for names, alike in _by_shape(_find_new(store, table, group, plain)).items():
            _write_alike(store, table, names, alike, plain)
    if store.has_captured():
        _leave_touched(store, plain)
    store.append_first(plain.written)
    plain.stirred.update(store.read_waiting_for([entry.row for entry in plain.written]))
    return plain


def _by_table(store: Store, entries: Iterable[Entry], plain: Plain) -> list[tuple[SyncedTable, list[Entry]]]:
    """Return the entries of tables that may have plain rows, parents first; leave the others."""
    tables: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        tables[entry.table].append(entry)
    found: list[tuple[SyncedTable, list[Entry]]] = []
    for wire, group in tables.items():
        table = store.tables_by_wire.get(wire)
        if table is not None and _suits(table):
            found.append((table, group))
        else:
            plain.left += group
    return sorted(found, key=lambda item: store.ranks.get(item[0].name, 0))


def _leave_touched(store: Store, plain: Plain) -> None:
    """Step 5: publish what the application did to these rows meanwhile, and leave those rows."""
    tables = store.tables_by_wire
    works = [Work(tables[e.table], e.row, [e], inserted=True) for e in plain.written]
    plain.stirred.update(work.row for work in publish_held(store, works))
    if plain.stirred:
        plain.left += [work.fresh[0] for work in works if work.row in plain.stirred]
        plain.written = [work.fresh[0] for work in works if work.row not in plain.stirred]


def _may_be_plain(store: Store, entries: Iterable[Entry]) -> bool:
    return (
        store.mapping is None and not store.has_aliases() and all(LIVES in entry.columns for entry in entries)
    )


def _suits(table: SyncedTable) -> bool:
    """Return whether rows are named by one text column, and are not looked for by others as well."""
    identity = table.identity
    if identity.kind not in ("uuid", "natural") or table.natural:
        return False
    return identity.columns[0].kind == "text" and identity.columns[0].reference is None


def _find_new(store: Store, table: SyncedTable, entries: Sequence[Entry], plain: Plain) -> list[Entry]:
    """Return the entries of rows that nothing else is known of, nor anything dead of what is one thing with
    them; leave the others."""
    keys = [entry.key for entry in entries]
    rows = list(map(Row, repeat(table.wire), keys))
    known = {row.key for row in store.read_versions(rows)}
    known |= {row.key for row in store.read_parked(rows)}
    if not table.identity.indexed:  # nothing would refuse a second one
        known |= store.find_rows(table, {key: [key] for key in keys})
    if len(set(keys)) < len(keys):
        known |= {key for key, times in Counter(keys).items() if times > 1}
    kin: Iterable[str] = table.kin
    if table.kind is not None:
        kin = {str(read_columns(entry).get(table.kind)).lower() for entry in entries} & set(kin)
    known |= {row.key for row in store.find_dead([Row(name, key) for name in kin for key in keys])}
    if not known and all(entry.base_seen == 0 for entry in entries):
        return list(entries)
    new = [entry.base_seen == 0 and entry.key not in known for entry in entries]
    plain.left += (entry for entry, is_new in zip(entries, new, strict=True) if not is_new)
    return list(compress(entries, new))


def _by_shape(entries: Iterable[Entry]) -> dict[tuple[str, ...], list[Entry]]:
    shapes: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        shapes[tuple(read_columns(entry))].append(entry)
    return shapes


def _write_alike(
    store: Store, table: SyncedTable, names: Sequence[str], entries: Sequence[Entry], plain: Plain
) -> None:
    """Insert the rows of entries that have the same columns, those that refer to nothing absent."""
    values = zip(*(read_columns(entry).values() for entry in entries), strict=True)
    try:
        columns, here = _localise(
            store, table, dict(zip(names, values, strict=True)), [entry.key for entry in entries]
        )
        if not all(here):
            columns = {name: list(compress(column, here)) for name, column in columns.items()}
        if any(here):
            with store.savepoint():
                store.insert_columns(table, list(columns), list(columns.values()))
    except (Unfit, DataError, RetryLater) as error:
        if ends_all(store, error):
            raise
        plain.left += entries
        return
    plain.written += compress(entries, here)
    plain.left += (entry for entry, is_here in zip(entries, here, strict=True) if not is_here)


def _localise(
    store: Store, table: SyncedTable, given: Mapping[str, Column], keys: list[str]
) -> tuple[dict[str, Column], list[bool]]:
    """Return the columns as they are written here, by name, and of each row whether what it names is here.

    Raises Unfit where a value has to be looked at by itself.
    """
    if UNSEEN in given or not all(given[ALIVE]):
        raise Unfit
    fits = find_fits(store, table)
    here = [True] * len(keys)
    columns: dict[str, Column] = {}
    for column in table.columns:
        if column.wire not in given:
            continue
        values = given[column.wire]
        if not PLAIN_TYPES.issuperset(map(type, values)):
            raise Unfit
        if column.reference is not None:
            values = _refer(store, column, values, here)
        columns[column.name] = _fit(fits.get(column.name), values)
    identity = table.identity.columns[0]
    _fit(find_key_fit(identity, store.engine), keys)
    columns[identity.name] = keys
    return columns, here


def _fit(fit: Fit | None, values: Column) -> Column:
    if fit is None:
        return values
    try:
        return [value if value is None else fit(value) for value in values]
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise Unfit from error


def _refer(store: Store, column: SyncedColumn, values: Column, here: list[bool]) -> Column:
    """Return local values in place of keys; note in ``here`` which rows name one that is not here."""
    wanted = set(values) - {None}
    if not wanted:
        return values
    try:
        for key in wanted:
            if type(key) is not int:
                check_text(key, KEY_LENGTH)
    except ValueError as error:
        raise Unfit from error
    found = resolve(store, column, wanted)
    if len(found) < len(wanted):
        for place, key in enumerate(values):
            if key is not None and key not in found:
                here[place] = False
    return list(map(found.get, values))
