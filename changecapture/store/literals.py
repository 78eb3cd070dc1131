"""Values and rows as they stand in a statement for MySQL, under the sql_mode that a store sets."""

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pymysql.converters import escape_item


class Many(tuple[Any, ...]):
    """The values of one condition, written at once: the driver's way is four calls for each."""


class Records(tuple[Sequence[Any], ...]):
    """The same of rows of values."""


def write_many(values: Many, mapping: Mapping[Any, Any]) -> str:
    """Return values in parentheses; ``mapping`` is how the driver writes what is none of ours."""
    return f"({','.join([_write(value, mapping) for value in values])})"


def write_records(rows: Records, mapping: Mapping[Any, Any]) -> str:
    """Return rows of values, each in parentheses, in parentheses."""
    return f"({','.join([write_many(Many(row), mapping) for row in rows])})"


def _write(value: Any, mapping: Mapping[Any, Any]) -> str:
    write = _LITERALS.get(type(value))
    return str(escape_item(value, "utf8mb4", mapping)) if write is None else write(value)


def measure(value: Any) -> int:
    """Return a size that grows with that of the value, in characters; 0 for what is never long."""
    if type(value) is dict:
        return len(next(iter(value.values())))
    return len(value) if type(value) is str else 0


def record(row: Iterable[Any]) -> str:
    """Return the record of a row of ours."""
    return f"({','.join([_LITERALS[type(value)](value) for value in row])})"


def app_record(row: Iterable[Any], ends: Sequence[str]) -> str:
    """Return the record of a row of the application; ``ends`` are literals that stand after it."""
    return f"({','.join([*(_LITERALS[type(value)](value) for value in row), *ends])})"


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
