"""How PostgreSQL's catalogue reads: kinds, defaults, actions. Mirrors mysql.py."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from changecapture.core.catalogue import Action, Column

KINDS = {
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
    "bool": "boolean",
    "numeric": "decimal",
    "money": "decimal",
    "float8": "float64",
    "float4": "float32",
    "json": "json",
    "jsonb": "json",
    "date": "date",
    "time": "time",
    "timestamp": "datetime",
    "timestamptz": "instant",
    "bytea": "bytes",
}
"""Kinds (core.values) by bare type; any other type is text: the database's own text of it."""

ACTIONS: dict[str, Action] = {
    "a": "no action",
    "r": "restrict",
    "c": "cascade",
    "n": "set null",
    "d": "set default",
}

_STRING = re.compile(r"^(E?)'((?:[^']|'')*)'(?:::[^'()]+(?:\([\d,]+\))?(?:\[\])?)?$", re.DOTALL)
_NUMBER = re.compile(r"^\(*(-?\d+(?:\.\d+)?)\)*(?:::[a-z ]+)?\)*$")


def read_columns(rows: Sequence[Sequence[Any]], server: str) -> Iterator[tuple[str, Column]]:
    """Yield (table, column) of each row of the statement ``columns``."""
    for table, name, full, bare, nullable, default, extra, length, character_set, collation in rows:
        automatic = extra == "identity" or (default or "").startswith("nextval(")
        yield (
            table,
            Column(
                name=name,
                type=full,
                kind=KINDS.get(bare, "text"),
                nullable=bool(nullable),
                default=None if automatic else read_default(default),
                automatic=automatic,
                generated=extra == "generated",
                length=length,
                character_set=character_set,
                collation=collation,
            ),
        )


def read_default(printed: str | None) -> str | None:
    """Return a default in the common form: the bare text of a literal, else as it is printed.

    'piece'::character varying gives piece, '-1'::integer gives -1, NULL::text gives None.
    """
    if printed is None or printed.upper().split("::")[0] == "NULL":
        return None
    string = _STRING.match(printed)
    if string:
        text = string.group(2).replace("''", "'")
        return text.replace("\\\\", "\\") if string.group(1) else text
    number = _NUMBER.match(printed)
    return number.group(1) if number else printed


def read_foreign_keys(answers: Mapping[str, Sequence[Sequence[Any]]]) -> list[Sequence[Any]]:
    """Return the rows of the statement ``foreign_keys`` with their actions spelled out."""
    return [(*row[:5], ACTIONS[row[5]], ACTIONS[row[6]]) for row in answers["foreign_keys"]]
