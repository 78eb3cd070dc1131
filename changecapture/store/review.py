"""What waits for a person: values that lost, rows that cannot be shown, changes that capture missed."""

from collections.abc import Iterable
from dataclasses import dataclass

from changecapture.core.change import Row
from changecapture.store.rows import RowStore


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


@dataclass(frozen=True, slots=True)
class Missed:
    """A table of which capture failed while the application's statements went on."""

    table: str
    count: int
    """Failures that were noted, at most one a second: not how many rows they met."""
    last_at: int
    reason: str
    """That of the last one."""


LOST = (
    "id, table_name, row_key, column_name, kept_value, kept_name, kept_stamp, "
    "lost_value, lost_name, lost_stamp, found_at, resolved_at"
)
PARKED = "table_name, row_key, reason, detail, parked_at"


class ReviewStore(RowStore):
    """The part of a store that lists what waits for a person."""

    def read_conflicts(self, limit: int, *, resolved: bool = False) -> list[Lost]:
        """Return the first conflicts, open ones or all."""
        where = "" if resolved else "WHERE resolved_at IS NULL"
        sql = f"SELECT {LOST} FROM {self.prefix}conflict {where} ORDER BY id LIMIT {limit}"
        return [Lost(*row) for row in self.query(sql)]

    def read_conflict(self, id_: int) -> Lost | None:
        """Return the conflict of a number."""
        rows = self.query(f"SELECT {LOST} FROM {self.prefix}conflict WHERE id = %s", (id_,))
        return Lost(*rows[0]) if rows else None

    def read_conflicts_of(self, rows: Iterable[Row]) -> list[Lost]:
        """Return the conflicts of rows, by each of their keys, open or not."""
        select = f"SELECT {LOST} FROM {self.prefix}conflict WHERE"
        return sorted((Lost(*row) for row in self._of_rows(select, list(rows))), key=lambda lost: lost.id)

    def read_parked_rows(self, limit: int | None = None) -> list[ParkedRow]:
        """Return the first parked rows, or all."""
        first = "" if limit is None else f"LIMIT {limit}"
        sql = f"SELECT {PARKED} FROM {self.prefix}parked ORDER BY table_name, row_key {first}"
        return [ParkedRow(*row) for row in self.query(sql)]

    def read_parked_keys(self, table: str) -> set[str]:
        """Return the keys of the parked rows of a table (wire name)."""
        sql = f"SELECT row_key FROM {self.prefix}parked WHERE table_name = %s"
        return {str(key) for (key,) in self.query(sql, (table,))}

    def read_parked_of(self, rows: Iterable[Row]) -> list[ParkedRow]:
        """Return those of the rows that are parked, with the reason."""
        select = f"SELECT {PARKED} FROM {self.prefix}parked WHERE"
        return sorted((ParkedRow(*row) for row in self._of_rows(select, list(rows))), key=_place)

    def read_missed(self) -> list[Missed]:
        """Return what capture has missed, by table."""
        rows = self.query(
            f"SELECT m.table_name, c.counted, m.missed_at, m.reason FROM {self.prefix}missed AS m JOIN "
            f"(SELECT max(id) AS id, count(*) AS counted FROM {self.prefix}missed GROUP BY table_name) AS c "
            "ON c.id = m.id ORDER BY m.table_name"
        )
        return [Missed(str(name), int(n), int(at), str(reason)) for name, n, at, reason in rows]

    def last_missed(self) -> int:
        """Return the number of the last failure of capture, 0 when there was none."""
        return int(self.query(f"SELECT coalesce(max(id), 0) FROM {self.prefix}missed")[0][0])

    def forget_missed(self, last: int, table: str | None = None) -> None:
        """What capture has missed up to a number, of one table or of all, was found by comparing."""
        sql = f"DELETE FROM {self.prefix}missed WHERE id <= %s"
        if table is None:
            self.execute(sql, (last,))
        else:
            self.execute(f"{sql} AND table_name = %s", (last, table))


def _place(parked: ParkedRow) -> tuple[str, str]:
    return parked.table, parked.key
