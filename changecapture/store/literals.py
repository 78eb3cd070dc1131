"""Values and rows as they stand in a statement for MySQL, under the sql_mode that a store sets."""

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from changecapture.core.table import SyncedColumn


def measure(value: Any) -> int:
    """Return a size that grows with that of the value, in characters; 0 for what is never long."""
    if type(value) is dict:
        return len(next(iter(value.values())))
    return len(value) if type(value) is str else 0


def record(row: Iterable[Any]) -> str:
    """Return the record of a row of ours."""
    return f"({','.join([_LITERALS[type(value)](value) for value in row])})"


def app_record(columns: Sequence[SyncedColumn], row: Iterable[Any], ends: Sequence[str]) -> str:
    """Return the record of a row of the application: ``row`` in the order of the columns."""
    texts = [_LITERALS[type(value)](value) for value in row]
    for place, column in enumerate(columns):
        if column.kind == "geometry":
            texts[place] = place_value(column) % texts[place]
    return f"({','.join([*texts, *ends])})"


def _text(value: str) -> str:
    if "\\" in value or "'" in value or "\0" in value:
        return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0") + "'"
    return f"'{value}'"


def _coated(value: Mapping[str, str]) -> str:
    return f"x'{b64decode(next(iter(value.values()))).hex()}'"


_LITERALS: dict[type, Callable[[Any], str]] = {
    int: int.__repr__,
    str: _text,
    float: lambda value: repr(value) if "e" in repr(value) else f"{value!r}e0",
    bool: lambda value: "1" if value else "0",
    type(None): lambda value: "NULL",
    dict: _coated,
}
"""How a value stands in a statement, under the sql_mode that a store sets."""


def place_value(column: SyncedColumn) -> str:
    """Return what stands for a value of a column: %s, with what it needs around it."""
    return "ST_GeomFromWKB(%s)" if column.kind == "geometry" else "%s"
