"""The changelog for people and tools: each entry with what the row was before it and after it.

Before and after are the row as it merges from the entries that are here and older, by the order that decides
(core.merge), not by their arrival: so every site tells the same. Where compaction took older entries, what
only they said is missing from both. The envelope is that of Debezium.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from changecapture.bridge import exchanged_tables
from changecapture.core.change import ALIVE, NOTES, Entry
from changecapture.core.merge import merge_entries, read_columns
from changecapture.errors import ConfigError
from changecapture.store.search import Filter
from changecapture.store.sqlstore import SqlStore

PAGE = 500
Operation = Literal["c", "u", "d"]


@dataclass(frozen=True, slots=True)
class Told:
    """An entry, where it stands here, whether the row shows it, and the row before and after it."""

    position: int
    entry: Entry
    applied: bool
    operation: Operation
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def columns(self) -> dict[str, Any]:
        """Return what the entry says of the row's own columns."""
        return _own(read_columns(self.entry))


def read_log(store: SqlStore, wanted: Filter, after: int = 0) -> Iterator[Told]:
    """Yield the entries that are wanted, in the order of their arrival here, after a position."""
    end = store.last_position()
    while page := store.find_entries(wanted, after, end, PAGE):
        after = page[-1][0]
        logged = store.read_row_entries({entry.row for _, entry, _ in page})
        for position, entry, applied in page:
            yield tell(position, entry, applied, [other for other, _ in logged.get(entry.row, ())])


def check_table(store: SqlStore, name: str) -> None:
    """Raise ConfigError when no entry is of a table, and none could be: it is misspelt."""
    if name.lower() not in exchanged_tables(store) and not store.has_entries_of(name.lower()):
        raise ConfigError(f"no table {name} is synced here", mend="changecapture plan URL lists the tables")


def tell(position: int, entry: Entry, applied: bool, entries: list[Entry]) -> Told:
    """Return an entry with the row before and after it; ``entries``: all that are here of its row."""
    older = merge_entries(other for other in entries if other.order < entry.order)
    lived = ALIVE in older and bool(older[ALIVE].value)
    values = {column: cell.value for column, cell in older.items()}
    before = _own(values) if lived else None
    columns = read_columns(entry)
    lives = bool(columns.get(ALIVE, lived))
    if not lives:
        return Told(position, entry, applied, "d" if lived or ALIVE in columns else "u", before, None)
    operation: Operation = "u" if lived else "c"
    return Told(position, entry, applied, operation, before, _own({**values, **columns}))


def _own(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in columns.items() if name != ALIVE and name not in NOTES}


def to_envelope(told: Told, database: str) -> dict[str, Any]:
    """Return the envelope of an entry."""
    entry = told.entry
    return {
        "op": told.operation,
        "before": told.before,
        "after": told.after,
        "source": {
            "connector": "changecapture",
            "db": database,
            "table": entry.table,
            "key": entry.key,
            "origin": entry.origin,
            "epoch": entry.epoch,
            "number": entry.number,
            "pass": entry.pass_number,
            "module": entry.scope,
            "position": told.position,
            "applied": told.applied,
            "ts_ms": entry.stamp // 1000,
            "ts_us": entry.stamp,
        },
        "ts_ms": entry.stamp // 1000,
    }


def describe(columns: dict[str, Any]) -> str:
    """Return columns and their values in one line, for people."""
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in columns.items())
