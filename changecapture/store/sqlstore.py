"""A store on a SQL database: the session, the log and the rows together."""

from collections.abc import Mapping, Sequence
from typing import Any

from changecapture.core.table import SyncedTable
from changecapture.store.rows import RowStore


class SqlStore(RowStore):
    """What postgresql.py and mysql.py complete."""

    def insert_rows(self, table: SyncedTable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; columns that a row leaves out get their default, the flag says live."""
        raise NotImplementedError

    def insert_given(self, table: SyncedTable, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Insert rows of a table whose keys are ours, and keep which row has which key."""
        raise NotImplementedError

    def update_rows(self, table: SyncedTable, rows: Sequence[tuple[str | None, Mapping[str, Any]]]) -> None:
        """Update rows by local key; all rows of one call have the same columns."""
        raise NotImplementedError
