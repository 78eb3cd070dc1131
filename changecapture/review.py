"""Review: what needs a person: values that lost (conflicts) and rows that cannot be shown (parked).

A decision about a conflict is an ordinary entry of this site, whose author has seen both values: it
wins everywhere, needs no rule of its own, and travels like any change. It goes the way of an entry that was
received, so that a revived row, a reference or a clash is dealt with as always. The other sites settle their
records of the conflict when it arrives (apply/decided.py); so what is kept is written once more.
"""

import json
from collections.abc import Callable
from typing import Any

from changecapture.apply import apply_own, drain, find_blocking, join
from changecapture.apply.aliases import why_apart
from changecapture.author import Author
from changecapture.bridge import common_table
from changecapture.clients.spelled import read_value
from changecapture.core.alias import make_alias
from changecapture.core.change import ALIVE, UNSEEN, Row, Version
from changecapture.core.clock import next_stamp
from changecapture.core.merge import merge_entries
from changecapture.core.table import SyncedTable
from changecapture.errors import ConfigError
from changecapture.identify import find_joined
from changecapture.store.review import Lost, ParkedRow
from changecapture.store.sqlstore import SqlStore

LIST_LIMIT = 1000
TYPED = "write a value as the column has it"

LOOK = "look at its values (changecapture parked show TABLE KEY) and correct them where the row is shown"
WAITING = {
    "reference": "waits for the row that it belongs to: it is shown when that one has come",
    "busy": "tried again by itself: the application was writing the row (now: changecapture parked retry)",
    "schema": "shown by the next changecapture parked retry, or by itself",
}
"""What becomes of a row that is parked for a reason which passes."""


def read_conflicts(store: SqlStore, *, resolved: bool = False) -> list[Lost]:
    """Return the first conflicts, open ones or all."""
    return store.read_conflicts(LIST_LIMIT, resolved=resolved)


def find_conflict(store: SqlStore, id_: int) -> Lost:
    """Return a conflict; raise ConfigError when there is none of that number."""
    found = store.read_conflict(id_)
    if found is None:
        raise ConfigError(f"there is no conflict {id_}", mend="changecapture conflicts list shows them")
    return found


def read_parked_rows(store: SqlStore) -> list[ParkedRow]:
    """Return the first parked rows."""
    return store.read_parked_rows(LIST_LIMIT)


def advise(store: SqlStore, parked: ParkedRow) -> str:
    """Return what a person can do about a parked row, one sentence; read while nothing is applied."""
    row = Row(parked.table, parked.key)
    if parked.reason in WAITING:
        return WAITING[parked.reason]
    table = store.tables_by_wire.get(row.table)
    blocking = sorted(find_blocking(store, row)) if table is not None else []
    if table is None or not blocking:
        return LOOK
    names = f"{row.table} {row.key}"
    apart = "change it in one of them where that is shown, in the application; or delete one at every site: "
    apart += f"changecapture parked discard {names}"
    if why_apart(store, table) is not None:
        return f"two rows want one value: {apart}"
    return f"the same? changecapture parked join {names} --with {blocking[0]}; two? {apart}"


def find_parked(store: SqlStore, row: Row) -> tuple[ParkedRow, list[dict[str, Any]]]:
    """Return a parked row and the columns of its entries that wait; raise ConfigError when it is none."""
    found = store.read_parked_of([Row(row.table.lower(), row.key)])
    if not found:
        raise ConfigError(
            f"no row of {row.table} is parked under {row.key}", mend="changecapture parked list shows them"
        )
    parked = found[0]
    entries = store.read_row_entries([Row(parked.table, parked.key)]).values()
    held = sorted((e for of_row in entries for e, applied in of_row if not applied), key=lambda e: e.order)
    return parked, [{"name": str(e.name), "stamp": e.stamp, "columns": json.loads(e.columns)} for e in held]


def keep_shown(store: SqlStore, conflict: Lost) -> bool:
    """Write what is shown once more, so that all know it to be right; return whether it could be shown."""
    with store.lock():
        drain(store)
        row = Row(conflict.table, conflict.key)
        logged = store.read_row_entries([find_joined(store, [row]).get(row, row)])
        merged = merge_entries(entry for entries in logged.values() for entry, _ in entries)
        kept = merged.get(conflict.column)
        return write_value(store, conflict, json.loads(conflict.kept_value) if kept is None else kept.value)


def read_decided(store: SqlStore, conflict: Lost, text: str) -> Any:
    """Return the canonical value that a person wrote as JSON; raise ConfigError when the column of a conflict
    has no such value: peers would refuse what says of a row that it exists, or not, in another word."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{text!r:.60} is not JSON", why=str(error), mend="write a text as '\"text\"'"
        ) from None
    if conflict.column == ALIVE:
        if not isinstance(value, bool):
            raise ConfigError("a row exists or it does not", mend="write true or false")
        return value
    columns = {column.wire: column for column in _find_table(store, conflict.table).columns}
    if conflict.column not in columns:
        raise ConfigError(
            f"{conflict.table} has no {conflict.column} here", mend="decide at a site that has it"
        )
    try:
        return read_value(columns[conflict.column], value, None)
    except (ValueError, ArithmeticError, TypeError) as error:
        raise ConfigError(
            f"{text:.60} is no value of {conflict.column}", why=str(error), mend=TYPED
        ) from None


def take_lost(store: SqlStore, conflict: Lost) -> bool:
    """Write the value that lost in the place of what is shown, everywhere; return whether it could be shown
    here. What the same edit said of columns that belong with it is taken too, as the edit would have won."""
    table, row = _find_table(store, conflict.table), Row(conflict.table, conflict.key)
    together = {name for group in table.groups if conflict.column in group for name in group}
    same = [c for c in store.read_conflicts_of([row]) if c.lost_name == conflict.lost_name]
    lost = [conflict, *(c for c in same if c.column in together)]
    return _settle(store, conflict, {c.column: json.loads(c.lost_value) for c in lost})


def write_value(store: SqlStore, conflict: Lost, value: Any) -> bool:
    """Write a value in the place of what is shown, everywhere; return whether it could be shown here.

    ``value`` is canonical: a reference is the key of the row, ``@alive`` true or false.
    """
    return _settle(store, conflict, {conflict.column: value})


def _settle(store: SqlStore, conflict: Lost, columns: dict[str, Any]) -> bool:
    row = Row(conflict.table, conflict.key)
    with store.lock():
        drain(store)
        return _decide(store, row, columns, lambda: store.settle_conflicts([conflict.id]))


def discard_parked(store: SqlStore, row: Row) -> None:
    """Delete a row that is parked here, at every site; raise ConfigError when it is not parked."""
    row = Row(row.table.lower(), row.key)
    with store.lock():
        drain(store)
        find_parked(store, row)
        _decide(store, row, {ALIVE: False}, lambda: None, seen=True)


def join_parked(store: SqlStore, row: Row, other: str | None = None) -> tuple[Row, bool]:
    """Make one row, at every site, of a parked row and the one whose place it would take, or another.

    Return the row by its name, and whether it could be shown here. Raises ConfigError when a row is not
    known, when the other is not clear, and when rows of that table cannot be joined.
    """
    row = Row(row.table.lower(), row.key)
    with store.lock():
        drain(store)
        table = store.tables_by_wire.get(row.table)
        if table is None:
            raise ConfigError(f"{row.table} is not synced here", mend="decide at a site that has it")
        if (reason := why_apart(store, table)) is not None:
            raise ConfigError(f"rows of {table.name} cannot be joined", why=reason, mend="rename one of them")
        mend = "see changecapture parked list"
        rows = row, Row(row.table, _find_other(store, row) if other is None else other)
        for known in rows:
            if not store.read_row_entries([known]):
                raise ConfigError(f"{known.table} has no row {known.key}", mend=mend)
        names = find_joined(store, rows)
        if len({names.get(one, one) for one in rows}) == 1:
            raise ConfigError(f"{row.key} and {rows[1].key} are one row already", mend=mend)
        left = join(store, [make_alias(row.table, row.key, rows[1].key)])
        name = find_joined(store, [row])[row]
    return name, name not in left


def _find_other(store: SqlStore, row: Row) -> str:
    """Return the key of the row here whose place a parked row would take."""
    find_parked(store, row)
    found = sorted(find_blocking(store, row))
    if len(found) != 1:
        what = f"it clashes with {', '.join(found)}" if found else "it clashes with no row that is shown here"
        raise ConfigError(f"which row {row.key} is was not said", why=what, mend="name it: --with KEY")
    return found[0]


def _decide(
    store: SqlStore, row: Row, columns: dict[str, Any], note: Callable[[], None], *, seen: bool = False
) -> bool:
    """Write columns of a row as an entry of this site; return whether it could be shown here.

    ``seen``: who decides has seen what is parked of the row.
    """
    table = _find_table(store, row.table)
    row = find_joined(store, [row]).get(row, row)
    version = store.read_versions([row]).get(row) or Version(0, "", False, 0)
    if not seen and (unseen := store.read_unapplied([row]).get(row)):
        columns = {**columns, UNSEEN: unseen}
    logged = store.read_row_entries([row]).get(row, [])
    known = [entry for entry, applied in logged if applied]
    latest = max((entry.stamp for entry, _ in logged), default=0)
    stamp = next_stamp(store.read_clock(), max(version.stamp, latest))
    author = Author(store)
    author.say(table, row, columns, stamp=stamp, base=version.seen, known=known)
    return apply_own(store, author, note).parked == 0


def _find_table(store: SqlStore, wire: str) -> SyncedTable:
    """Return the table of a row that is decided about; raise ConfigError when there is none."""
    if store.mapping is not None and wire in store.mapping.common_tables:
        return common_table(wire, store.mapping.common_tables[wire])
    if wire not in store.tables_by_wire:
        raise ConfigError(f"{wire} is not synced here", mend="decide at a site that has it")
    return store.tables_by_wire[wire]
