"""What a person calls a row."""

from collections.abc import Mapping
from typing import Any

from changecapture.core.change import ALIVE, Row
from changecapture.core.merge import merge_entries
from changecapture.identify import find_joined
from changecapture.store.sqlstore import SqlStore

SHOWN_LIMIT = 100
"""Of conflicts and of parked rows on one page."""
LABEL_COLUMNS = 3


def read_values(store: SqlStore, rows: list[Row]) -> dict[Row, dict[str, Any]]:
    """Return what is written in rows, merged, whether it is shown or parked."""
    found: dict[Row, dict[str, Any]] = {}
    joined = find_joined(store, rows)
    logged = store.read_row_entries([joined.get(row, row) for row in rows])
    for row in rows:
        entries = [entry for entry, _ in logged.get(joined.get(row, row), [])]
        found[row] = {column: cell.value for column, cell in merge_entries(entries).items()}
    return found


def label_rows(store: SqlStore, rows: list[Row]) -> dict[Row, str]:
    """Return what a person would call each row: its columns that are names, else its first texts."""
    return {row: _label(values) for row, values in read_values(store, rows).items()}


def _label(values: Mapping[str, Any]) -> str:
    texts = {
        column: value
        for column, value in values.items()
        if isinstance(value, str) and value and column != ALIVE and "uuid" not in column
    }
    names = [value for column, value in sorted(texts.items()) if "name" in column]
    return " ".join((names or list(texts.values()))[:LABEL_COLUMNS])[:120]
