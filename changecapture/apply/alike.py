"""From entries that have the same columns to what is written here, column by column (see ``localise``)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from changecapture.apply.localise import PLAIN_TYPES, find_fits, resolve
from changecapture.core.change import ALIVE, UNSEEN, Entry
from changecapture.core.codec import KEY_LENGTH
from changecapture.core.fit import Fit, find_key_fit
from changecapture.core.merge import read_columns
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.wire import check_text
from changecapture.store.columns import is_constant
from changecapture.store.interface import Store

Column = Sequence[Any]


class Unfit(Exception):
    """A value needs a closer look: the rows are left."""


def by_shape(entries: Iterable[Entry]) -> dict[tuple[str, ...], list[Entry]]:
    """Return the entries by the columns that they have, in order."""
    shapes: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        shapes[tuple(read_columns(entry))].append(entry)
    return shapes


def localise_columns(
    store: Store, table: SyncedTable, names: Sequence[str], entries: Sequence[Entry]
) -> tuple[dict[str, Column], list[bool]]:
    """Return the columns as they are written here, by name, and of each row whether what it names is here.

    Raises Unfit where a value has to be looked at by itself.
    """
    columns = zip(*(read_columns(entry).values() for entry in entries), strict=True)
    given: Mapping[str, Column] = dict(zip(names, columns, strict=True))
    if UNSEEN in given or not all(given[ALIVE]):
        raise Unfit
    fits = find_fits(store, table)
    here = [True] * len(entries)
    found: dict[str, Column] = {}
    for column in table.columns:
        if column.wire not in given:
            continue
        values = given[column.wire]
        if not PLAIN_TYPES.issuperset(map(type, values)):
            raise Unfit
        if column.reference is not None:
            values = _refer(store, column, values, here)
        found[column.name] = _fit(fits.get(column.name), values)
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
