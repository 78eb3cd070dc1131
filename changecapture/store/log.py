"""What a store keeps of its own: captured, changelog, versions, vectors, parked rows, progress.

The SQL is common to both engines: it is written once, here. What differs is behind ``_among`` (is one
of many), ``_load`` (append many) and ``_upsert`` (insert or update).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from changecapture.core.change import Captured, Entry, Row, Version
from changecapture.core.codec import PassName
from changecapture.core.merge import Conflict
from changecapture.core.rank import rank
from changecapture.core.table import SyncedTable
from changecapture.core.values import dump
from changecapture.core.vector import Component, Vector, load_vector
from changecapture.errors import ConfigError, DriftError, RetryLater
from changecapture.store.interface import Progress, Site
from changecapture.store.session import Session

ENTRY = "origin, epoch, number, pass, stamp, base_seen, scope, table_name, row_key, columns"
ENTRY_COLUMNS = (*ENTRY.split(", "), "applied")
CONFLICT_COLUMNS = (
    *("table_name", "row_key", "column_name", "kept_value", "kept_name", "kept_stamp"),
    *("lost_value", "lost_name", "lost_stamp", "found_at"),
)
WINDOW = 4
"""A backlog is looked at through a window of this many times the limit of a pass."""
CHUNK = 2000
"""Values in one condition."""

T = TypeVar("T")


class LogStore(Session):
    """The part of a store that reads and writes our own tables."""

    _installed_at: int
    tables: dict[int, SyncedTable]
    tables_by_name: dict[str, SyncedTable]
    tables_by_wire: dict[str, SyncedTable]
    ranks: dict[str, int]
    key_column: str
    """The column ``key`` of captured, quoted where it must be."""

    def _upsert(
        self, table: str, keys: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert rows into a table of ours, or update the columns of those that are there."""
        raise NotImplementedError

    # The site
    def load_tables(self) -> None:
        """Read the installed definitions again; refuse a database in which nothing is installed."""
        self._installed_at = self.read_site().installed_at
        rows = self.query(
            f"SELECT table_id, definition, active FROM {self.prefix}synced_table ORDER BY table_id"
        )
        self.tables = {table_id: SyncedTable.from_json(text) for table_id, text, _ in rows}
        active = [self.tables[table_id] for table_id, _, active in rows if active]
        self.tables_by_name = {table.name: table for table in active}
        self.tables_by_wire = {table.wire: table for table in active}
        self.ranks = rank(active)

    def refresh_tables(self) -> None:
        """Read the installed definitions again if an installation has changed them meanwhile."""
        if self.read_site().installed_at != self._installed_at:
            self.load_tables()

    def read_site(self) -> Site:
        """Return who this site is; raise ConfigError when nothing is installed."""
        install = "run: changecapture install URL"
        try:
            rows = self.query(
                f"SELECT origin, epoch, last_number, last_pass, profile, installed_at FROM {self.prefix}site"
            )
        except DriftError as error:
            raise ConfigError(f"changecapture is not installed in {self.url}", mend=install) from error
        if not rows:
            raise ConfigError(f"the installation in {self.url} was not finished", mend=install)
        return Site(*rows[0])

    def write_site(self, *, last_number: int, last_pass: int) -> None:
        """Keep the last names given."""
        self.execute(
            f"UPDATE {self.prefix}site SET last_number = %s, last_pass = %s",
            (last_number, last_pass),
        )

    def read_vector(self) -> dict[Component, int]:
        """Return what this site holds."""
        rows = self.query(f"SELECT origin, epoch, scope, number FROM {self.prefix}vector")
        return {(origin, epoch, scope): number for origin, epoch, scope, number in rows}

    def write_vector(self, raised: Vector) -> None:
        """Raise components of the vector; none is lowered."""
        known = self.read_vector()
        rows = [
            (*component, number) for component, number in raised.items() if number > known.get(component, 0)
        ]
        self._upsert("vector", ("origin", "epoch", "scope"), ("number",), rows)

    # Captured
    def read_captured(self, limit: int | None) -> list[Captured]:
        """Return captured changes: whole transactions, in the order of their last id, up to a limit.

        A transaction above the limit, or spread wider than the window, is cut.
        """
        found = self._read_captured(limit, "")
        if all(item.table_id in self.tables for item in found):
            return found
        # A killed installation made triggers but did not write the definition: it waits for the next.
        known = ", ".join(map(str, self.tables)) or "0"
        return self._read_captured(limit, f"table_id IN ({known})")

    def _read_captured(self, limit: int | None, condition: str) -> list[Captured]:
        where = f"WHERE {condition}" if condition else ""
        both = f"{condition} AND" if condition else ""
        select = (
            f"SELECT id, table_id, operation, {self.key_column}, old_key, changed, image, "
            f"transaction_id, captured_at FROM {self.prefix}captured"
        )
        if limit is None:
            return [Captured(*row) for row in self.query(f"{select} {where} ORDER BY id")]
        window = self.query(
            f"SELECT id, transaction_id FROM {self.prefix}captured {where} ORDER BY id LIMIT {limit * WINDOW}"
        )
        if not window:
            return []
        ids = _choose(window, limit)
        rows = self.query(f"{select} WHERE {both} id BETWEEN %s AND %s ORDER BY id", (min(ids), max(ids)))
        return [Captured(*row) for row in rows if row[0] in ids]

    def delete_captured(self, ids: Sequence[int]) -> None:
        """Delete what was published; raise RetryLater when some of it is gone already (R18)."""
        deleted = 0
        for part in _chunks(ids):
            condition, parameters = self._among("id", part, "bigint")
            deleted += self.execute(f"DELETE FROM {self.prefix}captured WHERE {condition}", parameters)
        if deleted != len(ids):
            raise RetryLater(
                "captured changes were published by someone else",
                why=f"{len(ids)} were read, {deleted} could be deleted",
            )

    def has_captured(self) -> bool:
        """Return whether captured changes wait."""
        return bool(self.query(f"SELECT 1 FROM {self.prefix}captured LIMIT 1"))

    def count_captured(self) -> int:
        """Return how many captured changes wait."""
        return int(self.query(f"SELECT count(*) FROM {self.prefix}captured")[0][0])

    # Versions and entries
    def read_versions(self, rows: Collection[Row]) -> dict[Row, Version]:
        """Return what is known of the rows."""
        return {
            Row(table, key): Version(stamp, origin, bool(alive), seen)
            for table, key, stamp, origin, alive, seen in self._of_rows(
                f"SELECT table_name, row_key, stamp, origin, alive, seen FROM {self.prefix}row_version WHERE",
                rows,
            )
        }

    def write_versions(self, versions: Mapping[Row, Version], known: Mapping[Row, Version | None]) -> None:
        """Keep what is known of the rows; ``known`` is what is kept now, None for nothing."""
        columns = ("stamp", "origin", "alive", "seen")
        fresh = [(*row, *_plain(v)) for row, v in versions.items() if known.get(row) is None]
        changed = [(*row, *_plain(v)) for row, v in versions.items() if known.get(row) not in (None, v)]
        self._load("row_version", ("table_name", "row_key", *columns), fresh)
        self._upsert("row_version", ("table_name", "row_key"), columns, changed)

    def append_entries(self, entries: Sequence[Entry], *, applied: bool) -> None:
        """Append to the changelog."""
        self._load(
            "changelog",
            ENTRY_COLUMNS,
            (_entry_row(entry, int(applied)) for entry in entries),
        )

    def find_names(self, names: Collection[PassName]) -> set[PassName]:
        """Return those of the names (origin, epoch, number) that are in the changelog."""
        return set(self._numbered("changelog", "number", "number", names))

    def read_entries(self, after: int, end: int, limit: int) -> list[tuple[int, Entry]]:
        """Return (position, entry) with after < position <= end, in order."""
        rows = self.query(
            f"SELECT {ENTRY}, position FROM {self.prefix}changelog "
            f"WHERE position > %s AND position <= %s ORDER BY position LIMIT {limit}",
            (after, end),
        )
        return [(row[10], Entry(*row[:10])) for row in rows]

    def last_position(self) -> int:
        """Return the greatest position, 0 when the changelog is empty."""
        return int(self.query(f"SELECT coalesce(max(position), 0) FROM {self.prefix}changelog")[0][0])

    def read_row_entries(self, rows: Collection[Row]) -> dict[Row, list[tuple[Entry, bool]]]:
        """Return all entries of the rows, each with whether it is applied."""
        found: dict[Row, list[tuple[Entry, bool]]] = defaultdict(list)
        select = f"SELECT {ENTRY}, applied FROM {self.prefix}changelog WHERE"
        for row in self._of_rows(select, rows):
            entry = Entry(*row[:10])
            found[entry.row].append((entry, bool(row[10])))
        return found

    def read_unapplied(self, rows: Collection[Row]) -> dict[Row, list[str]]:
        """Return the names, as text, of the entries of parked rows that are not applied."""
        parked = self.read_parked(rows)
        if not parked:
            return {}
        return {
            row: [str(entry.name) for entry, applied in entries if not applied]
            for row, entries in self.read_row_entries(parked).items()
        }

    def mark_applied(self, rows: Collection[Row]) -> None:
        """Say that all entries of the rows are applied."""
        for _ in self._of_rows(
            f"UPDATE {self.prefix}changelog SET applied = 1 WHERE applied = 0 AND", rows, False
        ):
            pass

    def write_contexts(self, contexts: Mapping[str, str]) -> None:
        """Keep {digest: vector as JSON}."""
        known = self._known("context", "context", contexts)
        self._load("context", ("context", "vector"), ((d, v) for d, v in contexts.items() if d not in known))

    def write_passes(self, passes: Mapping[PassName, str]) -> None:
        """Keep {pass: digest of its context}."""
        known = self.read_passes(passes)
        self._load(
            "pass",
            ("origin", "epoch", "pass", "context"),
            ((*name, digest) for name, digest in passes.items() if name not in known),
        )

    def read_passes(self, passes: Collection[PassName]) -> dict[PassName, str]:
        """Return {pass: digest of its context}."""
        return self._numbered("pass", "pass", "context", passes)

    def read_contexts(self, passes: Collection[PassName]) -> dict[PassName, Vector]:
        """Return what the authors of the passes had seen."""
        digests = self.read_passes(passes)
        vectors = self._known("context", "context", set(digests.values()), "vector")
        loaded = {digest: load_vector(text) for digest, text in vectors.items()}
        return {name: loaded[digest] for name, digest in digests.items() if digest in loaded}

    # Parked, waiting, conflicts
    def read_parked(self, rows: Collection[Row]) -> set[Row]:
        """Return those of the rows that are parked."""
        if not rows or not self.query(f"SELECT 1 FROM {self.prefix}parked LIMIT 1"):
            return set()
        select = f"SELECT table_name, row_key FROM {self.prefix}parked WHERE"
        return {Row(*row) for row in self._of_rows(select, rows)}

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
        target is alive."""
        table, key = after or ("", "")
        ready = (
            f"SELECT w.table_name, w.row_key FROM {self.prefix}waiting w "
            f"JOIN {self.prefix}row_version v ON v.table_name = w.target_table "
            "AND v.row_key = w.target_key AND v.alive = 1 "
            f"LEFT JOIN {self.prefix}parked p ON p.table_name = w.target_table "
            "AND p.row_key = w.target_key WHERE p.row_key IS NULL"
        )
        rows = self.query(
            f"SELECT table_name, row_key FROM (SELECT table_name, row_key FROM {self.prefix}parked "
            f"WHERE reason <> 'reference' UNION {ready}) AS stuck "
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

    def write_conflicts(self, conflicts: Sequence[tuple[Row, Conflict]]) -> None:
        """Keep values that lost."""
        now = self.read_clock() if conflicts else 0
        self._load("conflict", CONFLICT_COLUMNS, (_conflict_row(row, c, now) for row, c in conflicts))

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

    def _assigned(
        self, table: SyncedTable, given: str, wanted: Collection[str], asked: str
    ) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in _chunks(wanted):
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

    # Helpers
    def _numbered(
        self, table: str, column: str, value: str, wanted: Collection[PassName]
    ) -> dict[PassName, Any]:
        """Return {(origin, epoch, number): value} from a table that is keyed so."""
        numbers: dict[tuple[str, int], list[int]] = defaultdict(list)
        for origin, epoch, number in wanted:
            numbers[origin, epoch].append(number)
        found: dict[PassName, Any] = {}
        for (origin, epoch), group in numbers.items():
            for part in _chunks(group):
                condition, parameters = self._among(column, part, "bigint")
                rows = self.query(
                    f"SELECT {column}, {value} FROM {self.prefix}{table} "
                    f"WHERE origin = %s AND epoch = %s AND {condition}",
                    [origin, epoch, *parameters],
                )
                found.update(((origin, epoch, number), item) for number, item in rows)
        return found

    def _known(
        self, table: str, column: str, wanted: Collection[str], value: str | None = None
    ) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in _chunks(wanted):
            condition, parameters = self._among(column, part, "text")
            rows = self.query(
                f"SELECT {column}, {value or column} FROM {self.prefix}{table} WHERE {condition}",
                parameters,
            )
            found.update(dict(rows))
        return found

    def _of_rows(
        self,
        statement: str,
        rows: Iterable[Row],
        fetch: bool = True,
        names: tuple[str, str] = ("table_name", "row_key"),
    ) -> Iterator[tuple[Any, ...]]:
        """Run a statement, ending in WHERE or AND, for rows given by table and key."""
        keys: dict[str, list[str]] = defaultdict(list)
        for table, key in rows:
            keys[table].append(key)
        for table, wanted in keys.items():
            for part in _chunks(wanted):
                condition, parameters = self._among(names[1], part, "text")
                sql = f"{statement} {names[0]} = %s AND {condition}"
                if fetch:
                    yield from self.query(sql, [table, *parameters])
                else:
                    self.execute(sql, [table, *parameters])


def _choose(window: Sequence[tuple[int, int]], limit: int) -> set[int]:
    """Return the ids of a pass from (id, transaction), in order of id: whole transactions if it can."""
    groups: dict[int, list[int]] = defaultdict(list)
    for id_, transaction in window:
        groups[transaction].append(id_)
    chosen: list[int] = []
    for group in sorted(groups.values(), key=lambda ids: ids[-1]):
        if chosen and len(chosen) + len(group) > limit:
            break
        chosen += group
    return set(chosen[: max(limit, 1)])


def _entry_row(e: Entry, applied: int) -> tuple[Any, ...]:
    names = (e.origin, e.epoch, e.number, e.pass_number, e.stamp, e.base_seen, e.scope)
    return (*names, e.table, e.key, e.columns, applied)


def _conflict_row(row: Row, conflict: Conflict, now: int) -> tuple[Any, ...]:
    sides = [
        (dump(cell.value), str(cell.entry.name), cell.entry.stamp) for cell in (conflict.kept, conflict.lost)
    ]
    return (*row, conflict.column, *sides[0], *sides[1], now)


def _plain(version: Version) -> tuple[int, str, int, int]:
    return version.stamp, version.origin, int(version.alive), version.seen


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    every = list(items)
    for start in range(0, len(every), CHUNK):
        yield every[start : start + CHUNK]


__all__ = ["CHUNK", "LogStore"]
