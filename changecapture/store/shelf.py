"""What is kept beside the log: rows that are not shown, lost values, images, assigned keys, progress."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from changecapture.core.change import Row
from changecapture.core.merge import Conflict
from changecapture.core.table import SyncedTable
from changecapture.core.values import dump
from changecapture.store.bulk import chunks
from changecapture.store.log import LogStore
from changecapture.store.records import Progress

CONFLICT_COLUMNS = (
    *("table_name", "row_key", "column_name", "kept_value", "kept_name", "kept_stamp"),
    *("lost_value", "lost_name", "lost_stamp", "found_at"),
)
KEPT, LOST = (CONFLICT_COLUMNS.index(name) for name in ("kept_value", "lost_value"))
LONG_VALUES = 1_000_000
"""Characters of the two values of a conflict: longer ones are written one after the other."""


class ShelfStore(LogStore):
    """The part of a store that keeps what is neither in the log nor in the application's tables."""

    # Parked, waiting, conflicts
    def read_parked(self, rows: Collection[Row], reason: str = "") -> set[Row]:
        """Return those of the rows that are parked, for a reason or for any."""
        if not rows or not self.query(f"SELECT 1 FROM {self.prefix}parked LIMIT 1"):
            return set()
        select = f"SELECT table_name, row_key, reason FROM {self.prefix}parked WHERE"
        return {Row(t, k) for t, k, why in self._of_rows(select, rows) if reason in ("", why)}

    def read_unapplied(self, rows: Collection[Row]) -> dict[Row, list[str]]:
        """Return the names, as text, of the entries of parked rows that are not applied."""
        parked = self.read_parked(rows)
        if not parked:
            return {}
        return {
            row: [str(entry.name) for entry, applied in entries if not applied]
            for row, entries in self.read_row_entries(parked).items()
        }

    def write_parked(self, parked: Mapping[Row, tuple[str, str]]) -> None:
        """Park rows: {row: (reason, detail)}."""
        now = self.read_clock() if parked else 0
        rows = [(*row, reason, detail, now) for row, (reason, detail) in parked.items()]
        self._upsert("parked", ("table_name", "row_key"), ("reason", "detail", "parked_at"), rows)

    def forget_parked(self, rows: Collection[Row]) -> None:
        """The rows are shown."""
        for _ in self._of_rows(f"DELETE FROM {self.prefix}parked WHERE", rows, False):
            pass

    def count_parked(self) -> int:
        """Return how many rows are parked."""
        return int(self.query(f"SELECT count(*) FROM {self.prefix}parked")[0][0])

    def read_stuck(self, after: Row | None, limit: int) -> list[Row]:
        """Return rows worth another try, in order, after a row: parked ones, and waiting ones whose
        target is alive.

        Who is parked for a reference waits for that; but if it was shown before, what came since may have
        deleted it.
        """
        table, key = after or ("", "")
        entry = (
            f"EXISTS (SELECT 1 FROM {self.prefix}changelog c WHERE c.table_name = parked.table_name "
            "AND c.row_key = parked.row_key AND c.applied = "
        )
        ready = (
            f"SELECT w.table_name, w.row_key FROM {self.prefix}waiting w "
            f"JOIN {self.prefix}row_version v ON v.table_name = w.target_table "
            "AND v.row_key = w.target_key AND v.alive = 1 "
            f"LEFT JOIN {self.prefix}parked p ON p.table_name = w.target_table "
            "AND p.row_key = w.target_key WHERE p.row_key IS NULL"
        )
        rows = self.query(
            f"SELECT table_name, row_key FROM (SELECT table_name, row_key FROM {self.prefix}parked parked "
            f"WHERE reason <> 'reference' OR ({entry}0) AND {entry}1)) UNION {ready}) AS stuck "
            "WHERE table_name > %s OR (table_name = %s AND row_key > %s) "
            f"ORDER BY table_name, row_key LIMIT {limit}",
            (table, table, key),
        )
        return [Row(*row) for row in rows]

    def read_waiting_for(self, rows: Collection[Row]) -> list[Row]:
        """Return the rows that wait for one of these."""
        if not rows or not self.query(f"SELECT 1 FROM {self.prefix}waiting LIMIT 1"):
            return []
        found = self._of_rows(
            f"SELECT DISTINCT table_name, row_key FROM {self.prefix}waiting WHERE",
            rows,
            names=("target_table", "target_key"),
        )
        return list(dict.fromkeys(Row(*row) for row in found))

    def read_waiting(self, rows: Collection[Row]) -> dict[Row, set[str]]:
        """Return the columns, by wire name, that wait for the rows that they refer to."""
        found: dict[Row, set[str]] = defaultdict(set)
        if not rows or not self.query(f"SELECT 1 FROM {self.prefix}waiting LIMIT 1"):
            return found
        select = f"SELECT table_name, row_key, column_name FROM {self.prefix}waiting WHERE"
        for table, key, column in self._of_rows(select, rows):
            found[Row(table, key)].add(column)
        return found

    def write_waiting(self, waiting: Mapping[Row, Iterable[tuple[str, str, str]]]) -> None:
        """Replace what each row waits for: (column, target table, target key)."""
        if not waiting:
            return
        for _ in self._of_rows(f"DELETE FROM {self.prefix}waiting WHERE", waiting, False):
            pass
        self._load(
            "waiting",
            ("table_name", "row_key", "column_name", "target_table", "target_key"),
            ((*row, *item) for row, items in waiting.items() for item in items),
        )

    def add_waiting(self, waiting: Mapping[Row, Iterable[tuple[str, str, str]]]) -> None:
        """Add to what each row waits for; what another column waits for stays."""
        self._upsert(
            "waiting",
            ("table_name", "row_key", "column_name"),
            ("target_table", "target_key"),
            [(*row, *item) for row, items in waiting.items() for item in items],
        )

    def write_conflicts(self, conflicts: Sequence[tuple[Row, Conflict]]) -> None:
        """Keep values that lost."""
        now = self.read_clock() if conflicts else 0
        rows: dict[bool, list[tuple[Any, ...]]] = {False: [], True: []}
        for one in (_conflict_row(row, c, now) for row, c in conflicts):
            rows[len(one[KEPT]) + len(one[LOST]) > LONG_VALUES].append(one)
        self._load("conflict", CONFLICT_COLUMNS, rows[False])
        for row in rows[True]:
            # A statement holds each of them, and perhaps not both.
            self._load("conflict", CONFLICT_COLUMNS, [(*row[:LOST], "null", *row[LOST + 1 :])])
            names = [*CONFLICT_COLUMNS[:KEPT], "kept_name", "lost_name", "found_at"]
            which = " AND ".join(f"{name} = %s" for name in names)
            place = [row[CONFLICT_COLUMNS.index(name)] for name in names]
            self.execute(
                f"UPDATE {self.prefix}conflict SET lost_value = %s WHERE {which}", [row[LOST], *place]
            )

    def read_open_conflicts(self, rows: Collection[Row]) -> list[tuple[int, Row, str, str, str]]:
        """Return (id, row, column, name of the kept value's entry, of the lost one's) of open conflicts."""
        open_ = f"FROM {self.prefix}conflict WHERE resolved_at IS NULL"
        if not rows or not self.query(f"SELECT 1 {open_} LIMIT 1"):
            return []
        select = f"SELECT id, table_name, row_key, column_name, kept_name, lost_name {open_} AND"
        places = self._spread(rows)
        return [
            (id_, places[Row(table, key)], column, kept, lost)
            for id_, table, key, column, kept, lost in self._of_rows(select, places)
        ]

    def settle_conflicts(self, ids: Collection[int]) -> None:
        """Note that somebody has decided these conflicts."""
        now = self.read_clock() if ids else 0
        for part in chunks(set(ids)):
            condition, parameters = self._among("id", part, "bigint")
            where = f"WHERE resolved_at IS NULL AND {condition}"
            self.execute(f"UPDATE {self.prefix}conflict SET resolved_at = %s {where}", [now, *parameters])

    # Images of deleted rows
    def write_images(self, images: Mapping[Row, str | None], revived: Collection[Row], origin: str) -> None:
        """Keep the images of deleted rows; forget those of revived ones."""
        now = self.read_clock() if images else 0
        rows = [(*row, image, origin, now) for row, image in images.items() if image]
        self._upsert("deleted_row", ("table_name", "row_key"), ("image", "origin", "deleted_at"), rows)
        self.forget_images(revived)

    def forget_images(self, rows: Collection[Row]) -> None:
        """Forget the images of rows that are alive."""
        if not rows or not self.query(f"SELECT 1 FROM {self.prefix}deleted_row LIMIT 1"):
            return
        for _ in self._of_rows(f"DELETE FROM {self.prefix}deleted_row WHERE", rows, False):
            pass

    # Assigned keys
    def read_assigned(self, table: SyncedTable, locators: Collection[str]) -> dict[str, str]:
        """Return {locator: key} of rows that were given a key."""
        return self._assigned(table, "locator", locators, "row_key")

    def write_assigned(self, table: SyncedTable, keys: Mapping[str, str]) -> None:
        """Keep {locator: key}."""
        self._load(
            "local_key",
            ("table_name", "locator", "row_key"),
            ((table.wire, locator, key) for locator, key in keys.items()),
        )

    def give_key(self, table: SyncedTable, locator: str, key: str) -> None:
        """Keep that the row of a locator has a key that came from elsewhere."""
        self.execute(
            f"DELETE FROM {self.prefix}local_key WHERE table_name = %s AND row_key = %s", (table.wire, key)
        )
        self._upsert("local_key", ("table_name", "locator"), ("row_key",), [(table.wire, locator, key)])

    def forget_assigned(self, table: SyncedTable, keys: Collection[str]) -> None:
        """The rows that were given these keys are gone."""
        rows = [Row(table.wire, key) for key in keys]
        for _ in self._of_rows(f"DELETE FROM {self.prefix}local_key WHERE", rows, False):
            pass

    def _assigned(
        self, table: SyncedTable, given: str, wanted: Collection[str], asked: str
    ) -> dict[str, str]:
        found: dict[str, str] = {}
        if not wanted or not self.query(f"SELECT 1 FROM {self.prefix}local_key LIMIT 1"):
            return found
        for part in chunks(wanted):
            condition, parameters = self._among(given, part, "text")
            rows = self.query(
                f"SELECT {given}, {asked} FROM {self.prefix}local_key WHERE table_name = %s AND {condition}",
                [table.wire, *parameters],
            )
            found.update(dict(rows))
        return found

    # Peers
    def read_progress(self, site: str) -> Progress:
        """Return how far the pull from a peer has come."""
        rows = self.query(
            "SELECT site, epoch, position, end_position, target, contact_at, received "
            f"FROM {self.prefix}peer WHERE site = %s",
            (site,),
        )
        return Progress(*rows[0]) if rows else Progress(site)

    def write_progress(self, progress: Progress) -> None:
        """Keep how far the pull from a peer has come."""
        p = progress
        self._upsert(
            "peer",
            ("site",),
            ("epoch", "position", "end_position", "target", "contact_at", "received"),
            [(p.site, p.epoch, p.position, p.end, p.target, p.contact_at, p.received)],
        )

    def restart_pulls(self) -> None:
        """Begin every pull at the beginning: what was passed over is wanted now."""
        self.execute(f"UPDATE {self.prefix}peer SET position = 0, end_position = 0, target = '{{}}'")


def _conflict_row(row: Row, conflict: Conflict, now: int) -> tuple[Any, ...]:
    sides = [
        (dump(cell.value), str(cell.entry.name), cell.entry.stamp) for cell in (conflict.kept, conflict.lost)
    ]
    return (*row, conflict.column, *sides[0], *sides[1], now)
