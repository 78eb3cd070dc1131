"""How much there is of what a store keeps, and how far it has come: for status and the page."""

from changecapture.store.records import Progress
from changecapture.store.review import ReviewStore


class CountStore(ReviewStore):
    """The part of a store that counts."""

    def count_tables(self) -> tuple[int, int]:
        """Return how many tables are synced, and how many of them are still to be backfilled."""
        sql = f"SELECT count(*), sum(1 - backfilled) FROM {self.prefix}synced_table WHERE active = 1"
        tables, to_backfill = self.query(sql)[0]
        return int(tables), int(to_backfill or 0)

    def count_entries(self) -> int:
        """Return how many entries the log has; by reading all of its index."""
        return self._count("changelog")

    def count_images(self) -> int:
        """Return how many images of deleted rows are kept for people."""
        return self._count("deleted_row")

    def count_waiting(self) -> int:
        """Return how many references wait for their row."""
        return self._count("waiting")

    def find_oldest_captured(self) -> int | None:
        """Return when the oldest change was captured that is not published yet."""
        ((at,),) = self.query(f"SELECT min(captured_at) FROM {self.prefix}captured")
        return None if at is None else int(at)

    def count_reasons(self) -> dict[str, int]:
        """Return how many rows are parked, by reason."""
        sql = f"SELECT reason, count(*) FROM {self.prefix}parked GROUP BY reason ORDER BY reason"
        return {str(reason): int(count) for reason, count in self.query(sql)}

    def count_parked_by_table(self) -> dict[str, int]:
        """Return how many rows are parked, by wire name."""
        return self._count_by_table("parked")

    def count_conflicts_by_table(self) -> dict[str, int]:
        """Return how many conflicts are open, by wire name."""
        return self._count_by_table("conflict WHERE resolved_at IS NULL")

    def count_rows(self) -> dict[str, tuple[int, int]]:
        """Return how many rows are known, alive and deleted, by wire name; by reading all of an index."""
        found: dict[str, tuple[int, int]] = {}
        for table, alive, count in self.query(
            f"SELECT table_name, alive, count(*) FROM {self.prefix}row_version GROUP BY table_name, alive"
        ):
            living, deleted = found.get(table, (0, 0))
            found[table] = (living + int(count), deleted) if alive else (living, deleted + int(count))
        return found

    def read_pulls(self) -> list[Progress]:
        """Return how far the pull from each peer has come, one for each set of modules that was asked for
        (core/scopes.py)."""
        rows = self.query(
            "SELECT site, epoch, position, end_position, target, contact_at, received "
            f"FROM {self.prefix}peer ORDER BY site"
        )
        return [Progress(*row) for row in rows]

    def _count(self, source: str) -> int:
        return int(self.query(f"SELECT count(*) FROM {self.prefix}{source}")[0][0])

    def _count_by_table(self, source: str) -> dict[str, int]:
        rows = self.query(f"SELECT table_name, count(*) FROM {self.prefix}{source} GROUP BY table_name")
        return {str(name): int(count) for name, count in rows}
