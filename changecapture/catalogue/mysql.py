"""How the catalogue of MySQL and MariaDB reads: kinds, defaults, actions. Mirrors postgresql.py."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from changecapture.core.catalogue import Action, Column
from changecapture.errors import ConfigError

KINDS = {
    "tinyint": "integer",
    "smallint": "integer",
    "mediumint": "integer",
    "int": "integer",
    "bigint": "integer",
    "year": "integer",
    "bit": "integer",
    "decimal": "decimal",
    "double": "float64",
    "float": "float32",
    "json": "json",  # MySQL 8; MariaDB calls the same longtext, which is text
    "date": "date",
    "time": "time",
    "datetime": "datetime",
    "timestamp": "instant",
    "binary": "bytes",
    "varbinary": "bytes",
    "tinyblob": "bytes",
    "blob": "bytes",
    "mediumblob": "bytes",
    "longblob": "bytes",
    "geometry": "geometry",
    "point": "geometry",
    "linestring": "geometry",
    "polygon": "geometry",
    "multipoint": "geometry",
    "multilinestring": "geometry",
    "multipolygon": "geometry",
    "geometrycollection": "geometry",
    "geomcollection": "geometry",
}
"""Kinds (core.values) by bare type; any other type is text: the database's own text of it."""

ACTIONS: dict[str, Action] = {
    "NO ACTION": "no action",
    "RESTRICT": "restrict",
    "CASCADE": "cascade",
    "SET NULL": "set null",
    "SET DEFAULT": "set default",
}

UNBOUNDED = 2**32 - 1
"""The length of longtext and longblob."""

_GENERATED = re.compile(r"\b(virtual|stored|persistent) generated\b")
_ESCAPE = re.compile(r"''|\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "Z": "\x1a"}


def read_columns(rows: Sequence[Sequence[Any]], server: str) -> Iterator[tuple[str, Column]]:
    """Yield (table, column) of each row of the statement ``columns``; ``server`` is the version."""
    quoted = "mariadb" in server.lower()
    for table, name, full, bare, nullable, default, extra, length, character_set, collation in rows:
        extra = (extra or "").lower()
        automatic = "auto_increment" in extra
        yield (
            table,
            Column(
                name=name,
                type=_text(full),
                kind=KINDS.get(_text(bare).lower(), "text"),
                nullable=bool(nullable),
                default=None if automatic else read_default(default, quoted=quoted),
                automatic=automatic,
                generated=bool(_GENERATED.search(extra)),
                on_update="on update" in extra,
                length=None if length is None or length >= UNBOUNDED else int(length),
                character_set=character_set,
                collation=collation,
            ),
        )


def read_default(printed: str | bytes | None, *, quoted: bool) -> str | None:
    """Return a default in the common form: the bare text of a literal, else as it is printed.

    MariaDB (``quoted``) prints 'piece', and NULL where there is none; MySQL 8 prints piece.
    """
    if printed is None:
        return None
    text = _text(printed)
    if not quoted:
        return text
    if text.upper() == "NULL":
        return None
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return _ESCAPE.sub(_unescape, text[1:-1])
    return text


def read_foreign_keys(answers: Mapping[str, Sequence[Sequence[Any]]]) -> list[Sequence[Any]]:
    """Return the rows of the statement ``foreign_keys`` with their actions, which stand apart."""
    actions = {(row[0], row[1]): (ACTIONS[row[2]], ACTIONS[row[3]]) for row in answers["actions"]}
    for table, name, *_ in answers["foreign_keys"]:
        if (table, name) not in actions:
            raise ConfigError(
                f"this account does not see what the foreign key {name} of {table} does",
                why="MySQL shows that only to an account with a right besides SELECT",
                mend="use the account that installs, or grant it REFERENCES on the database",
            )
    return [(*row, *actions[row[0], row[1]]) for row in answers["foreign_keys"]]


def _unescape(match: re.Match[str]) -> str:
    letter = match.group(1)
    return "'" if letter is None else _ESCAPED.get(letter, letter)


def _text(value: str | bytes) -> str:
    """Return text: MySQL 8 gives some of these columns as blobs, which PyMySQL returns as bytes."""
    return value.decode() if isinstance(value, bytes) else value
