"""Values and rows as they stand in a statement for MySQL, under the sql_mode that a store sets."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pymysql.converters import escape_item

from changecapture.store.columns import Column, Spelled, is_constant, write_lines

SHORT_BYTES = 4_000
"""What is no longer is a plain literal."""


class Many(tuple[Any, ...]):
    """The values of one condition, written at once: the driver's way is four calls for each."""


class Long(str):
    """A long text: the driver's way looks up each character."""


class Records(tuple[Sequence[Any], ...]):
    """The same of rows of values."""


def spell_many(values: Many, mapping: Mapping[Any, Any]) -> str:
    """Return values in parentheses; ``mapping`` is how the driver writes what is none of ours."""
    return f"({','.join([_write(value, mapping) for value in values])})"


def spell_long(value: Long, mapping: Mapping[Any, Any]) -> str:
    """Return a text as a literal."""
    return _text(value)


def spell_records(rows: Records, mapping: Mapping[Any, Any]) -> str:
    """Return rows of values, each in parentheses, in parentheses."""
    return f"({','.join([spell_many(Many(row), mapping) for row in rows])})"


def _write(value: Any, mapping: Mapping[Any, Any]) -> str:
    write = _LITERALS.get(type(value))
    return str(escape_item(value, "utf8mb4", mapping)) if write is None else write(value)


def measure(value: Any) -> int:
    """Return a size that grows with that of the value, in characters; 0 for what is never long."""
    if type(value) is dict:
        return len(next(iter(value.values())))
    return len(value) if type(value) is str else 0


def write_records(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield rows as records: values in parentheses."""
    return write_columns(list(zip(*rows, strict=True)))


def write_columns(columns: Sequence[Column]) -> Iterator[str]:
    """Yield rows that are given column by column as records."""
    for lines in write_lines(columns, _spell, between=",", around=("(", ")")):
        yield from lines


def _spell(column: Column) -> Spelled:
    if is_constant(column):
        return _LITERALS[type(column[0])](column[0]).replace("%", "%%"), None
    types = set(map(type, column))
    if types == {int}:
        return "%s", column
    if types == {str} and _is_clean("".join(column)):
        return "'%s'", column
    return "%s", [_LITERALS[type(value)](value) for value in column]


def _is_clean(text: str) -> bool:
    return not ("\\" in text or "'" in text or "\0" in text)


def _text(value: str) -> str:
    if _is_clean(value):
        return f"'{value}'"
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0") + "'"


def spell_coated(value: Mapping[str, str], mapping: Mapping[Any, Any] = MappingProxyType({})) -> str:
    """Return bytes, given as they travel, as an expression: long ones take a third more than they are, not
    twice as much, so what the log holds of a row fits a statement that writes it."""
    content = b64decode(next(iter(value.values())))
    if len(content) <= SHORT_BYTES:
        return f"x'{content.hex()}'"
    return f"FROM_BASE64('{b64encode(content).decode()}')"  # anew: what a peer sent may be no base64


_LITERALS: dict[type, Callable[[Any], str]] = {
    int: int.__repr__,
    str: _text,
    float: lambda value: repr(value) if "e" in repr(value) else f"{value!r}e0",
    bool: lambda value: "1" if value else "0",
    type(None): lambda value: "NULL",
    dict: spell_coated,
}
"""How a value stands in a statement, under the sql_mode that a store sets."""
