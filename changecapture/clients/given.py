"""What a client gives: a row as it should stand, perhaps one that it was told with a value edited.

What it has not changed is not read: a value that no column here would show, of a row that is parked, may be
put back as it was told. ``also`` and ``origin`` are told and may come back; they say nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changecapture.apply.localise import find_fits
from changecapture.clients.spelled import is_as_told, read_stamp, read_value
from changecapture.core.change import ALIVE, Row
from changecapture.core.codec import KEY_LENGTH
from changecapture.core.merge import Cell
from changecapture.core.scopes import Scopes
from changecapture.core.table import SyncedTable
from changecapture.errors import PeerError
from changecapture.store.interface import Store

FIELDS = {"table", "uuid", "deleted", "changed_at", "columns", "also", "origin"}


@dataclass(frozen=True, slots=True)
class Given:
    """A change as it came: its columns unread, and the values that could be read."""

    place: str
    table: SyncedTable
    row: Row
    deletes: bool
    stamp: int | None
    columns: Mapping[str, Any]
    values: Mapping[str, Any]
    refused: Mapping[str, str]
    """Why the others cannot be taken, unless they are as they were told."""

    def find_changes(self, told: Mapping[str, Cell]) -> dict[str, Any]:
        """Return what it changes of a row that was told so, ``{}`` told: everything. Raises PeerError."""
        alive = told[ALIVE].value if ALIVE in told else bool(told)
        if self.deletes:
            return {} if told and not alive else {ALIVE: False}
        changed = {}
        for name, value in self.columns.items():
            if name in told and is_as_told(value, told[name].value):
                continue
            if name in self.refused:
                raise PeerError(f"{self.place}: {self.refused[name]}")
            if name not in told or self.values[name] != told[name].value:
                changed[name] = self.values[name]
        return {**changed, ALIVE: True} if changed or not alive else {}


def read_given(store: Store, number: int, change: Any, accept: Scopes) -> Given:
    """Return a change that came; raise PeerError with its place and what is wrong."""
    place = f"change {number}"
    if not isinstance(change, Mapping) or not set(change) <= FIELDS:
        raise PeerError(f"{place}: it is a structure of {', '.join(sorted(FIELDS))}")
    name, key, columns = change.get("table"), change.get("uuid"), change.get("columns", {})
    table = store.tables_by_wire.get(name.lower()) if isinstance(name, str) else None
    if table is None or table.scope not in accept:
        raise PeerError(f"{place}: that table is not taken from this client", why=repr(name)[:80])
    if not isinstance(key, str) or not 0 < len(key) <= KEY_LENGTH or "\0" in key:
        raise PeerError(f"{place}: uuid must be a text of 1 to {KEY_LENGTH} characters")
    deleted = change.get("deleted", False)
    if columns == []:
        columns = {}  # as PHP writes an empty structure
    if type(deleted) not in (bool, int) or not isinstance(columns, Mapping):
        raise PeerError(f"{place}: deleted is a boolean, columns a structure")
    values, refused = _read_columns(store, table, columns)
    stamp = read_stamp(place, change.get("changed_at", ""))
    return Given(place, table, Row(table.wire, key), bool(deleted), stamp, columns, values, refused)


def _read_columns(
    store: Store, table: SyncedTable, columns: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of the columns in the form of core/values.py, and why the others have none."""
    known, fits = {column.wire: column for column in table.columns}, find_fits(store, table)
    values: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for name, value in columns.items():
        column = known.get(name)
        if column is None:
            refused[name] = f"{table.name} has no synced column {str(name)[:80]!r}"
            continue
        try:
            values[name] = read_value(column, value, fits.get(column.name))
        except (ValueError, TypeError, ArithmeticError) as error:
            refused[name] = f"{name} cannot be taken: {str(error)[:200]}"
    return values, refused
