"""Review: what needs a person: values that lost (conflicts) and rows that cannot be shown (parked).

A decision about a conflict is an ordinary entry of this site, whose author has seen both values: it
wins everywhere, needs no rule of its own, and travels like any change. It goes the way of an entry that was
received, so that a revived row, a reference or a clash is dealt with as always. Keeping what is shown
changes nothing and is noted at this site only.
"""

import json
from dataclasses import dataclass
from typing import Any

from changecapture.apply import apply_entries, drain
from changecapture.core.change import UNSEEN, Entry, Row, Version
from changecapture.core.clock import next_stamp
from changecapture.core.values import dump
from changecapture.core.vector import digest_vector
from changecapture.errors import ConfigError
from changecapture.store.sqlstore import SqlStore

LIST_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Lost:
    """A conflict. Values are canonical JSON text, names are origin/epoch/number, times microseconds."""

    id: int
    table: str
    key: str
    column: str
    kept_value: str
    kept_name: str
    kept_stamp: int
    lost_value: str
    lost_name: str
    lost_stamp: int
    found_at: int
    resolved_at: int | None


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A row that cannot be shown, and why."""

    table: str
    key: str
    reason: str
    detail: str
    parked_at: int


CONFLICT = (
    "SELECT id, table_name, row_key, column_name, kept_value, kept_name, kept_stamp, "
    "lost_value, lost_name, lost_stamp, found_at, resolved_at FROM {p}conflict"
)
PARKED = "SELECT table_name, row_key, reason, detail, parked_at FROM {p}parked"


def read_conflicts(store: SqlStore, *, resolved: bool = False) -> list[Lost]:
    """Return the first conflicts, open ones or all."""
    where = "" if resolved else "WHERE resolved_at IS NULL"
    sql = f"{CONFLICT.format(p=store.prefix)} {where} ORDER BY id LIMIT {LIST_LIMIT}"
    return [Lost(*row) for row in store.query(sql)]


def find_conflict(store: SqlStore, id_: int) -> Lost:
    """Return a conflict; raise ConfigError when there is none of that number."""
    rows = store.query(f"{CONFLICT.format(p=store.prefix)} WHERE id = %s", (id_,))
    if not rows:
        raise ConfigError(f"there is no conflict {id_}", mend="changecapture conflicts list shows them")
    return Lost(*rows[0])


def read_parked_rows(store: SqlStore) -> list[ParkedRow]:
    """Return the first parked rows."""
    sql = f"{PARKED.format(p=store.prefix)} ORDER BY table_name, row_key LIMIT {LIST_LIMIT}"
    return [ParkedRow(*row) for row in store.query(sql)]


def find_parked(store: SqlStore, row: Row) -> tuple[ParkedRow, list[dict[str, Any]]]:
    """Return a parked row and the columns of its entries that wait; raise ConfigError when it is none."""
    sql = f"{PARKED.format(p=store.prefix)} WHERE table_name = %s AND row_key = %s"
    rows = store.query(sql, (row.table.lower(), row.key))
    if not rows:
        raise ConfigError(
            f"no row of {row.table} is parked under {row.key}", mend="changecapture parked list shows them"
        )
    parked = ParkedRow(*rows[0])
    entries = store.read_row_entries([Row(parked.table, parked.key)]).values()
    held = sorted((e for of_row in entries for e, applied in of_row if not applied), key=lambda e: e.order)
    return parked, [{"name": str(e.name), "stamp": e.stamp, "columns": json.loads(e.columns)} for e in held]


def keep_shown(store: SqlStore, conflict: Lost) -> None:
    """Note that what is shown is right."""
    _note(store, conflict)


def write_value(store: SqlStore, conflict: Lost, value: Any) -> bool:
    """Write a value in the place of what is shown, everywhere; return whether it could be shown here.

    ``value`` is canonical: a reference is the key of the row, ``@alive`` true or false.
    """
    row = Row(conflict.table, conflict.key)
    with store.lock():
        drain(store)
        table = store.tables_by_wire.get(row.table)
        if table is None:
            raise ConfigError(f"{row.table} is not synced here", mend="decide at a site that has it")
        site, vector = store.read_site(), store.read_vector()
        number, pass_number = site.last_number + 1, site.last_pass + 1
        known = store.read_versions([row]).get(row) or Version(0, "", False, 0)
        unseen = store.read_unapplied([row]).get(row)
        columns = {conflict.column: value} | ({UNSEEN: unseen} if unseen else {})
        stamp = next_stamp(store.read_clock(), known.stamp)
        names = site.origin, site.epoch, number, pass_number
        entry = Entry(*names, stamp, known.seen, table.scope, *row, dump(columns))
        context = {c: n for c, n in vector.items() if c[:2] != (site.origin, site.epoch)}
        digest = digest_vector(context)

        def record() -> None:
            store.write_vector({(site.origin, site.epoch, table.scope): number})
            store.write_site(last_number=number, last_pass=pass_number)
            _note(store, conflict)

        passes = {(site.origin, site.epoch, pass_number): digest}
        return apply_entries(store, [entry], passes, {digest: context}, record).parked == 0


def _note(store: SqlStore, conflict: Lost) -> None:
    store.execute(
        f"UPDATE {store.prefix}conflict SET resolved_at = %s WHERE id = %s", (store.read_clock(), conflict.id)
    )
