"""A store on a SQL database: the session, the log and the rows together."""

from collections.abc import Mapping, Sequence
from typing import Any

from changecapture.core.table import SyncedTable
from changecapture.core.values import dump
from changecapture.errors import ConfigError, DriftError
from changecapture.revision import find_head, read_revisions
from changecapture.store.columns import Column
from changecapture.store.search import SearchStore


class SqlStore(SearchStore):
    """What postgresql.py and mysql.py complete."""

    def check_revision(self) -> None:
        """Refuse fixed objects of another revision than this program's."""
        try:
            rows = self.query(f"SELECT version_num FROM {self.prefix}{self.dialect.VERSION_TABLE}")
        except DriftError:
            return  # nothing is installed: who reads it says so
        if not rows or rows[0][0] == find_head():
            return
        found = f"of revision {rows[0][0]}, this program needs {find_head()}"
        what = f"what is installed in {self.url} is {found}"
        if rows[0][0] in read_revisions():
            raise DriftError(what, mend="run: changecapture install URL")
        raise ConfigError(what, mend="use the changecapture that installed it, or a newer one")

    def insert_rows(self, table: SyncedTable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; columns that a row leaves out get their default, the flag says live."""
        raise NotImplementedError

    def spell_rows(self, table: SyncedTable, columns: Sequence[Column]) -> Sequence[Any] | None:
        """Return how rows will be inserted; without the database."""
        return None

    def insert_columns(
        self,
        table: SyncedTable,
        names: Sequence[str],
        columns: Sequence[Column],
        lines: Sequence[Any] | None = None,
    ) -> None:
        """Insert rows that are given column by column, at least one of each; ``lines``: see spell_rows."""
        raise NotImplementedError

    def insert_given(self, table: SyncedTable, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Insert rows of a table whose keys are ours, and keep which row has which key."""
        raise NotImplementedError

    def update_rows(self, table: SyncedTable, rows: Sequence[tuple[str | None, Mapping[str, Any]]]) -> None:
        """Update rows by local key; all rows of one call have the same columns, in any order."""
        known = [(key, row) for key, row in rows if key is not None]
        if known:
            names = list(known[0][1])
            columns = [[row[name] for _, row in known] for name in names]
            self.update_columns(table, [key for key, _ in known], names, columns)

    def update_columns(
        self, table: SyncedTable, local_keys: Sequence[str], names: Sequence[str], columns: Sequence[Column]
    ) -> None:
        """Update rows, given by local key and column by column, at least one of each."""
        raise NotImplementedError

    def show_relay(self) -> None:
        """Let others see that a relay works with this database, while this connection lasts."""
        raise NotImplementedError

    def sees_relay(self) -> bool:
        """Return whether a relay works with this database now."""
        raise NotImplementedError

    def locate_rows(self, table: SyncedTable, places: Mapping[str, Sequence[Any]]) -> dict[str, str]:
        """Return {key: local key} of the rows that are at these places, locked or not."""
        return dict(self._select_places(table, places, [self._key(table)], ""))

    def rename_row(self, table: SyncedTable, local_key: str, key: str, place: Sequence[Any]) -> None:
        """Give a row another name: the key, and where that is made of others', their values."""
        if table.identity.kind == "assigned":
            self.give_key(table, dump(self._locators(table, [local_key])[0]), key)
            return
        names = [column.name for column in table.identity.columns]
        values = [key] if table.identity.kind == "uuid" else list(place)
        if len(values) == len(names):
            self.update_rows(table, [(local_key, dict(zip(names, values, strict=True)))])
