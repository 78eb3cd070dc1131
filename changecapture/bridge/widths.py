"""How wide the columns of the application are: what a longer text is shown as."""

from collections.abc import Mapping
from typing import Any

from changecapture.core.fit import text_length
from changecapture.mapping.lens import Parts, shorten
from changecapture.mapping.model import Lens, Record
from changecapture.store.interface import Store

Widths = Mapping[str, Mapping[str, int]]
"""{table of the application: {column: most characters of it}}."""


def read_widths(store: Store, lens: Lens) -> Widths:
    """Return how many characters the columns of the application's tables take."""
    tables = {name: store.tables_by_wire.get(name) for name in lens.local_tables}
    return {
        name: {c.wire: n for c in table.columns if c.reference is None and (n := text_length(c)) is not None}
        for name, table in tables.items()
        if table is not None
    }


def as_shown(widths: Widths, record: Record, local: Parts) -> Parts:
    """Return the application's rows as its columns show them: texts cut to their length."""
    shown: Parts = {}
    for part in record.local:
        columns = shown[part.name] = local[part.name]
        if columns is not None and is_cut(widths, part.table, columns):
            lengths = widths[part.table]
            shown[part.name] = {c: shorten(value, lengths.get(c)) for c, value in columns.items()}
    return shown


def is_cut(widths: Widths, table: str, columns: Mapping[str, Any]) -> bool:
    """Return whether a text is longer than its column of the application's table."""
    lengths = widths.get(table)
    if not lengths:
        return False
    return any(isinstance(v, str) and len(v) > lengths.get(c, len(v)) for c, v in columns.items())
