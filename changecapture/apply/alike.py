"""Entries that have the same columns, made ready to be written column by column (see ``localise``).

Most of that takes no database (``prepare``), and is done while the one at hand works (core/spare.py): what
values come to here, how the entries stand in the log. Only what they refer to has to be asked for.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from typing import Any

from changecapture.apply.localise import PLAIN_TYPES, find_fits, resolve
from changecapture.apply.things import LIVES
from changecapture.core.change import ALIVE, NOTES, Entry, Row, hash_name
from changecapture.core.codec import KEY_LENGTH
from changecapture.core.fit import Fit, find_key_fit
from changecapture.core.merge import read_columns
from changecapture.core.spare import Steps
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.wire import check_text
from changecapture.store.columns import is_constant
from changecapture.store.interface import Store

Column = Sequence[Any]
TOGETHER = 100
"""Entries that are made ready in one step: they take less than a millisecond."""


class Unfit(Exception):
    """A value needs a closer look: the rows are left."""


@dataclass(slots=True)
class Alike:
    """Entries of one table that have the same columns, each of another row as a rule."""

    table: SyncedTable
    names: tuple[str, ...]
    entries: Sequence[Entry]
    rows: Sequence[Row]
    hashes: Sequence[int]
    """Of the entries' names: what each adds to ``seen`` of its row."""
    columns: Mapping[str, Column] | None
    """What they come to here, by local name, references still keys; None when a value needs a closer look."""
    lines: Sequence[Any] | None
    """How they are inserted, the key last, where all are new and nothing has to be asked for."""

    def where(self, wanted: Sequence[bool]) -> "Alike":
        """Return those that are wanted."""
        if all(wanted):
            return self
        return Alike(
            self.table,
            self.names,
            list(compress(self.entries, wanted)),
            list(compress(self.rows, wanted)),
            list(compress(self.hashes, wanted)),
            self.columns and {name: list(compress(c, wanted)) for name, c in self.columns.items()},
            self.lines and list(compress(self.lines, wanted)),
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """Entries made ready: ``alike`` those of tables that may have plain rows, ``others`` the rest.

    ``tables``: as they were installed; ``living``: whether no row's life ends.
    """

    entries: Sequence[Entry]
    tables: Mapping[str, SyncedTable]
    alike: Sequence[Alike]
    others: Sequence[Entry]
    living: bool


def prepare(store: Store, entries: Sequence[Entry]) -> Steps[Prepared]:
    """Make entries ready, without the database."""
    tables = store.tables_by_wire
    shapes: dict[tuple[str, tuple[str, ...]], list[Entry]] = defaultdict(list)
    for start in range(0, len(entries), TOGETHER):
        part = entries[start : start + TOGETHER]
        store.spell_entries(part)
        for entry in part:
            shapes[entry.table, tuple(read_columns(entry))].append(entry)
        yield
    alike: list[Alike] = []
    others: list[Entry] = []
    for (wire, names), group in shapes.items():
        table = tables.get(wire)
        if table is None or not _suits(table):
            others += group
            continue
        columns = yield from _fit_columns(store, table, names, group)
        rows = list(map(Row, repeat(wire), [entry.key for entry in group]))
        hashes = [hash_name(entry.origin, entry.epoch, entry.number) for entry in group]
        yield
        lines = _spell_new(store, table, group, columns)
        alike.append(Alike(table, names, group, rows, hashes, columns, lines))
        yield
    living = all(LIVES in entry.columns for entry in entries)
    return Prepared(entries, tables, alike, others, living)


def _spell_new(
    store: Store, table: SyncedTable, entries: Sequence[Entry], columns: Mapping[str, Column] | None
) -> Sequence[Any] | None:
    """Return how new rows are inserted; None where some are not, or something has to be asked for."""
    refer = any(column.reference is not None for column in table.columns)
    if columns is None or refer or any(entry.base_seen for entry in entries):
        return None
    try:
        named = name_columns(store, table, [entry.key for entry in entries])
    except Unfit:
        return None
    return store.spell_rows(table, [*columns.values(), *named.values()])


def _suits(table: SyncedTable) -> bool:
    """Return whether rows are named by one text column, and are not looked for by others as well."""
    return table.identity.is_text and not table.natural


def _fit_columns(
    store: Store, table: SyncedTable, names: Sequence[str], entries: Sequence[Entry]
) -> Steps[dict[str, Column] | None]:
    """Return the columns as they are written here, by name, references still keys; None where a value has to
    be looked at by itself."""
    columns = zip(*(read_columns(entry).values() for entry in entries), strict=True)
    given: Mapping[str, Column] = dict(zip(names, columns, strict=True))
    fits = find_fits(store, table)
    found: dict[str, Column] = {}
    try:
        if not NOTES.isdisjoint(given) or not all(given.get(ALIVE, ())):
            return None
        for column in table.columns:
            if column.wire in given:
                yield
                values = given[column.wire]
                if not PLAIN_TYPES.issuperset(map(type, values)):
                    return None
                found[column.name] = _fit(fits.get(column.name), values)
    except Unfit:
        return None
    return found


def localise_columns(store: Store, alike: Alike) -> tuple[dict[str, Column], list[bool]]:
    """Return the columns with references as local values, and of each row whether what it names is here.

    Raises Unfit where a value has to be looked at by itself.
    """
    if alike.columns is None:
        raise Unfit
    found = dict(alike.columns)
    here = [True] * len(alike.entries)
    for column in alike.table.columns:
        if column.reference is not None and column.name in found:
            found[column.name] = _refer(store, column, found[column.name], here)
    return found, here


def name_columns(store: Store, table: SyncedTable, keys: Column) -> dict[str, Column]:
    """Return the identity of rows that are named by one text column; raises Unfit."""
    identity = table.identity.columns[0]
    _fit(find_key_fit(identity, store.engine), keys)
    return {identity.name: keys}


def _fit(fit: Fit | None, values: Column) -> Column:
    if fit is None:
        return values
    try:
        if is_constant(values):
            return values if values[0] is None else [fit(values[0])] * len(values)
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
