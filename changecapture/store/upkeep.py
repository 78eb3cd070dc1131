"""What a store is asked by compaction: rows by the position of their entries, and what nobody needs."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from changecapture.core.change import Entry, Row
from changecapture.core.codec import PassName
from changecapture.store.bulk import chunks
from changecapture.store.lives import LifeStore
from changecapture.store.log import ENTRY
from changecapture.store.records import Compaction, Place


class UpkeepStore(LifeStore):
    """The part of a store that keeps its log small."""

    def read_compaction(self) -> Compaction:
        """Return how far compaction has come."""
        rows = self.query(f"SELECT scanned, reached, swept_at FROM {self.prefix}compaction")
        return Compaction(*rows[0]) if rows else Compaction()

    def write_compaction(self, state: Compaction) -> None:
        """Keep how far compaction has come."""
        columns = ("scanned", "reached", "swept_at")
        self._upsert("compaction", ("one",), columns, [(1, state.scanned, state.reached, state.swept_at)])

    def count_entries(self) -> int:
        """Return how many entries the changelog has."""
        return int(self.query(f"SELECT count(*) FROM {self.prefix}changelog")[0][0])

    # How old an entry is here
    def note_tide(self, now: int) -> None:
        """Note how far the changelog reaches now; what a clock that was ahead has noted counts from now."""
        self.execute(f"UPDATE {self.prefix}tide SET noted_at = %s WHERE noted_at > %s", (now, now))
        position = self.last_position()
        if not self.query(f"SELECT 1 FROM {self.prefix}tide WHERE position >= %s LIMIT 1", (position,)):
            self._load("tide", ("position", "noted_at"), [(position, now)])

    def read_tide(self, at: int) -> int:
        """Return how far the changelog reached at a time, and forget what was noted before that."""
        rows = self.query(
            f"SELECT coalesce(max(position), 0) FROM {self.prefix}tide WHERE noted_at <= %s", (at,)
        )
        position = int(rows[0][0])
        self.execute(f"DELETE FROM {self.prefix}tide WHERE position < %s", (position,))
        return position

    # Entries
    def read_places(self, after: int, upto: int, limit: int) -> list[Place]:
        """Return where the entries with after < position <= upto stand, in order."""
        rows = self.query(
            f"SELECT position, table_name, row_key, length(columns) FROM {self.prefix}changelog "
            f"WHERE position > %s AND position <= %s ORDER BY position LIMIT {limit}",
            (after, upto),
        )
        return [Place(position, Row(table, key), size) for position, table, key, size in rows]

    def read_applied(self, rows: Collection[Row], upto: int) -> dict[Row, dict[int, Entry]]:
        """Return the applied entries of the rows, by their positions, up to a position."""
        found: dict[Row, dict[int, Entry]] = defaultdict(dict)
        select = (
            f"SELECT {ENTRY}, position FROM {self.prefix}changelog "
            f"WHERE applied = 1 AND position <= {upto} AND"
        )
        for row in self._of_rows(select, rows):
            entry = Entry(*row[:10])
            found[entry.row][row[10]] = entry
        return found

    def delete_entries(self, positions: Collection[int]) -> None:
        """Delete entries by their positions."""
        for part in chunks(sorted(positions)):
            condition, parameters = self._among("position", part, "bigint")
            self.execute(f"DELETE FROM {self.prefix}changelog WHERE {condition}", parameters)

    # Passes and contexts
    def list_epochs(self) -> list[tuple[str, int]]:
        """Return every origin and epoch that passes are kept of, in order."""
        sql = f"SELECT DISTINCT origin, epoch FROM {self.prefix}pass ORDER BY origin, epoch"
        return [(str(origin), int(epoch)) for origin, epoch in self.query(sql)]

    def read_pass_numbers(self, origin: str, epoch: int, after: int, limit: int) -> list[tuple[int, int]]:
        """Return (number, pass) of the entries of an origin and epoch above a number, in order."""
        rows = self.query(
            f"SELECT number, pass FROM {self.prefix}changelog "
            f"WHERE origin = %s AND epoch = %s AND number > %s ORDER BY number LIMIT {limit}",
            (origin, epoch, after),
        )
        return [(int(number), int(pass_number)) for number, pass_number in rows]

    def read_passes_between(
        self, origin: str, epoch: int, after: int, upto: int, limit: int
    ) -> list[tuple[int, str]]:
        """Return (pass, digest of its context) with after < pass <= upto, in order."""
        rows = self.query(
            f"SELECT pass, context FROM {self.prefix}pass WHERE origin = %s AND epoch = %s "
            f"AND pass > %s AND pass <= %s ORDER BY pass LIMIT {limit}",
            (origin, epoch, after, upto),
        )
        return [(int(number), str(digest)) for number, digest in rows]

    def delete_passes(self, passes: Sequence[PassName], digests: Collection[str]) -> None:
        """Delete passes, and those of their contexts that no other pass has."""
        groups: dict[tuple[str, int], list[int]] = defaultdict(list)
        for origin, epoch, number in passes:
            groups[origin, epoch].append(number)
        for (origin, epoch), numbers in groups.items():
            for part in chunks(numbers):
                condition, parameters = self._among("pass", part, "bigint")
                self.execute(
                    f"DELETE FROM {self.prefix}pass WHERE origin = %s AND epoch = %s AND {condition}",
                    [origin, epoch, *parameters],
                )
        for digest_part in chunks(digests):
            unused = set(digest_part) - self._known("pass", "context", digest_part).keys()
            if unused:
                condition, parameters = self._among("context", unused, "text")
                self.execute(f"DELETE FROM {self.prefix}context WHERE {condition}", parameters)
