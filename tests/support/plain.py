"""A store that takes no shortcut, and all that a site has, to compare two ways of coming there."""

from typing import Any

from changecapture.store.interface import Store
from tests.support.sites import AnySite

KEPT = {
    "changelog": "origin, epoch, number, pass, stamp, base_seen, scope, table_name, row_key, columns, "
    "applied",
    "row_version": "table_name, row_key, stamp, origin, alive, seen",
    "conflict": "table_name, row_key, column_name, kept_value, kept_name, lost_value, lost_name",
    "parked": "table_name, row_key, reason",
    "waiting": "table_name, row_key, column_name, target_table, target_key",
    "deleted_row": "table_name, row_key, origin",
    "vector": "origin, epoch, scope, number",
    "pass": "origin, epoch, pass, context",
    "context": "context, vector",
}


class ThoroughStore:
    """A store for which every row needs a decision: it says that keys are joined, and then finds none."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def has_aliases(self) -> bool:
        """Return True."""
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def read_all(site: AnySite) -> dict[str, Any]:
    """Return all that a site keeps and shows, but for its own numbering and times."""
    found: dict[str, Any] = {
        table: sorted(site.fetch(f"SELECT {columns} FROM {{p}}{table}")) for table, columns in KEPT.items()
    }
    with site.reader() as reader:
        found.update((f"rows of {wire}", reader.rows(wire)) for wire in reader.tables)
    return found
