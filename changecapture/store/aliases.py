"""Which keys are one row: what a store keeps of aliases (core.alias).

``key_alias`` holds, for every key that is joined with another, the name of their row, which is one of
them. It is empty at most sites, and short: seeded tables are. So each question asks first whether it is.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from changecapture.core.change import Row
from changecapture.store.bulk import BulkSession


class AliasStore(BulkSession):
    """The part of a store that knows which keys are joined."""

    _aliased: bool | None = None
    """Whether any keys are joined, once it was asked under the writers' lock: nobody else joins any then."""

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the writers' lock; raise RetryLater when another writer keeps it for too long."""
        with super().lock():
            if self._lock_depth == 1:
                self._aliased = None
            yield

    def has_aliases(self) -> bool:
        """Return whether any keys are joined."""
        if self._lock_depth == 0 or self._aliased is None:
            self._aliased = bool(self.query(f"SELECT 1 FROM {self.prefix}key_alias LIMIT 1"))
        return self._aliased

    def read_names(self, rows: Collection[Row]) -> dict[Row, Row]:
        """Return {row by any of its keys: row by its name} of those of the rows that are joined."""
        if not rows or not self.has_aliases():
            return {}
        select = f"SELECT table_name, row_key, name FROM {self.prefix}key_alias WHERE"
        return {Row(table, key): Row(table, name) for table, key, name in self._of_rows(select, rows)}

    def read_members(self, rows: Collection[Row]) -> dict[Row, list[str]]:
        """Return {row by its name: all its keys} of those of the rows that are joined."""
        if not rows or not self.has_aliases():
            return {}
        found: dict[Row, list[str]] = defaultdict(list)
        select = f"SELECT table_name, row_key, name FROM {self.prefix}key_alias WHERE"
        for table, key, name in self._of_rows(select, rows, names=("table_name", "name")):
            found[Row(table, name)].append(key)
        return {row: sorted(keys) for row, keys in found.items()}

    def write_names(self, table: str, names: Mapping[str, str]) -> None:
        """Keep {key: name of its row} of keys of a table (wire name) that are joined."""
        rows = [(table, key, name) for key, name in names.items()]
        self._aliased = None
        self._upsert("key_alias", ("table_name", "row_key"), ("name",), rows)

    def _spread(self, rows: Collection[Row]) -> dict[Row, Row]:
        """Return {row by any of its keys: row by its name} of rows that are joined or not."""
        found = {row: row for row in rows}
        for row, keys in self.read_members(rows).items():
            found.update((Row(row.table, key), row) for key in keys)
        return found
