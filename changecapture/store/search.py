"""What is looked for in the log: entries by what they are about, rows by a text, and all rows in turn."""

import json
from dataclasses import dataclass
from typing import Any

from changecapture.core.change import Entry, Row
from changecapture.store.counts import CountStore
from changecapture.store.log import ENTRY


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries: all that have what is given. ``since``: a stamp."""

    since: int | None = None
    table: str | None = None
    key: str | None = None
    origin: str | None = None


class SearchStore(CountStore):
    """The part of a store that finds what a person looks for."""

    def find_entries(self, wanted: Filter, after: int, end: int, limit: int) -> list[tuple[int, Entry, bool]]:
        """Return (position, entry, whether it is applied) of the first that are wanted, after a position up
        to another."""
        conditions: list[tuple[str, Any]] = [("position > %s", after), ("position <= %s", end)]
        if wanted.since is not None:
            conditions.append(("stamp >= %s", wanted.since))
        if wanted.table is not None:
            conditions.append(("table_name = %s", wanted.table.lower()))
        if wanted.key is not None:
            conditions.append(("row_key = %s", wanted.key))
        if wanted.origin is not None:
            conditions.append(("origin = %s", wanted.origin))
        where = " AND ".join(text for text, _ in conditions)
        rows = self.query(
            f"SELECT {ENTRY}, position, applied FROM {self.prefix}changelog "
            f"WHERE {where} ORDER BY position LIMIT {limit}",
            [value for _, value in conditions],
        )
        return [(int(row[10]), Entry(*row[:10]), bool(row[11])) for row in rows]

    def has_entries_of(self, table: str) -> bool:
        """Return whether any entry is of a table (wire name)."""
        sql = f"SELECT 1 FROM {self.prefix}changelog WHERE table_name = %s LIMIT 1"
        return bool(self.query(sql, (table,)))

    def search_rows(self, text: str, limit: int) -> list[Row]:
        """Return the first rows whose key or whose values hold a text, in whatever case."""
        escaped = text.lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")
        in_json = json.dumps(escaped, ensure_ascii=False)[1:-1]
        rows = self.query(
            f"SELECT DISTINCT table_name, row_key FROM {self.prefix}changelog "
            f"WHERE lower(row_key) LIKE %s ESCAPE '!' OR lower(columns) LIKE %s ESCAPE '!' "
            f"ORDER BY table_name, row_key LIMIT {limit}",
            (f"%{escaped}%", f"%{in_json}%"),
        )
        return [Row(str(table), str(key)) for table, key in rows]

    def read_known_keys(
        self, table: str, after: str, limit: int, *, deleted: bool = True, since: int | None = None
    ) -> list[str]:
        """Return the next keys of a table (wire name) that are known, shown or parked.

        ``deleted``: those of deleted rows too. ``since``: of shown rows only those with a later stamp.
        """
        known = f"SELECT row_key FROM {self.prefix}row_version WHERE table_name = %s AND row_key > %s"
        if not deleted:
            known += " AND alive = 1"
        if since is not None:
            known += f" AND stamp >= {since:d}"
        parked = f"SELECT row_key FROM {self.prefix}parked WHERE table_name = %s AND row_key > %s"
        first = f"ORDER BY row_key LIMIT {limit}"
        rows = self.query(
            f"SELECT row_key FROM (SELECT row_key FROM ({known} {first}) AS v "
            f"UNION SELECT row_key FROM ({parked} {first}) AS p) AS k {first}",
            (table, after) * 2,
        )
        return [key for (key,) in rows]
