"""What a record is, and the head of a file of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from changecapture.core.change import ALIVE, Name
from changecapture.core.clock import check_stamp, read_time, show_time
from changecapture.core.codec import KEY_LENGTH, TABLE_LENGTH
from changecapture.core.entries import decoder
from changecapture.core.wire import check_text
from changecapture.errors import PeerError

VERSION = 1
FORMATS = ("json", "xml", "csv")
COLUMN_LENGTH = 64
NUMERIC = frozenset(("integer", "boolean", "float64", "float32"))
"""Kinds whose values are numbers in JSON."""
TRUE, FALSE = ("1", "true", "t", "yes", "y"), ("0", "false", "f", "no", "n")


class Written(NamedTuple):
    """When a value was written, and by which entry. ``stamp`` None: a person wrote it in the file, now."""

    stamp: int | None = None
    name: Name | None = None


NOW = Written()


@dataclass(frozen=True, slots=True)
class Record:
    """One row. ``values``: by wire name, canonical, what nobody has written left out. ``apart``: the columns,
    ``@alive`` among them, that were written at another time than ``written``, the latest. ``also``: the row's
    other keys, where several are one row: it exists by ``key``, or by none of them. ``place``: where it
    stands in the file, for people."""

    table: str
    key: str
    values: Mapping[str, Any]
    alive: bool = True
    written: Written = NOW
    apart: Mapping[str, Written] = field(default_factory=dict)
    also: Sequence[str] = ()
    place: str = ""

    def find_written(self, column: str) -> Written:
        """Return when a column was written."""
        return self.apart.get(column, self.written)

    @property
    def keys(self) -> list[str]:
        """Return all keys that it speaks of."""
        return [self.key, *self.also]

    @property
    def cells(self) -> dict[str, Any]:
        """Return the values, and whether the row exists."""
        return {**self.values, ALIVE: self.alive}


@dataclass(frozen=True, slots=True)
class Refused:
    """What is no record, where it stands, and why."""

    place: str
    why: str


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says of itself. ``instance``: the site that it comes from; ``vector``: what that site
    held, as JSON text. ``since``, ``until``: stamps between which the rows were written last."""

    instance: str = ""
    epoch: int = 0
    profile: str = ""
    exported_at: int | None = None
    since: int | None = None
    until: int | None = None
    vector: str = "{}"


class Form(Protocol):
    """The writer of one form of file."""

    def begin_table(self, table: str, module: str, columns: Mapping[str, "Column"]) -> None:
        """Begin a table: its columns by wire name."""

    def write(self, record: Record) -> None:
        """Write a record of the table that was begun last."""

    def close(self) -> None:
        """Write what comes last."""


class Column(NamedTuple):
    """What a file says of a column: the kind of its values, and the table whose rows it refers to, or ''."""

    kind: str
    refers: str = ""


Items = Iterator[Record | Refused]


def show_stamp(stamp: int | None) -> str:
    """Return a stamp as a time; '' for none."""
    return "" if stamp is None else show_time(stamp)


def read_stamp(text: str) -> int | None:
    """Return the stamp of a time, None for ''. Raises ValueError."""
    if not text.strip():
        return None
    try:
        stamp = read_time(text)
    except ValueError:
        raise ValueError(f"{text!r:.40} is no time: write 2026-11-20 or 2026-11-20T08:30") from None
    try:
        return check_stamp(stamp)
    except PeerError:
        raise ValueError(f"{text:.40} is not between 1970 and 2200") from None


def read_number(text: str) -> int | float:
    """Return a number that is written as JSON writes one. Raises ValueError."""
    value = decoder.decode(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{text:.40} is no number")
    return value


def read_written(stamp: str, name: str) -> Written:
    """Return when something was written, from its two texts. Raises ValueError."""
    return Written(read_stamp(stamp), _read_name(name) if name else None)


def _read_name(text: str) -> Name:
    try:
        name = Name.from_text(text)
        check_text(name.origin)
        if not (0 < name.epoch < 1 << 63 and 0 < name.number < 1 << 63):
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r:.80} is not the name of an entry (instance/epoch/number)") from None
    return name


def read_boolean(text: str) -> bool:
    """Return what a person or a program wrote for true or false. Raises ValueError."""
    word = text.strip().lower()
    if word not in TRUE + FALSE:
        raise ValueError(f"{text!r:.40} is neither true nor false")
    return word in TRUE


def check_record(record: Record) -> Record:
    """Return the record; raise ValueError when no row can be so."""
    check_text(record.table, TABLE_LENGTH)
    if not record.key:
        raise ValueError("it has no uuid")
    for key in record.keys:
        check_text(key, KEY_LENGTH)
    for name, value in record.values.items():
        check_text(name, COLUMN_LENGTH)
        if name.startswith("@"):
            raise ValueError(f"{name} is not a column")
        _check_value(name, value)
    return record


def _check_value(name: str, value: Any) -> None:
    if isinstance(value, dict):
        ok = len(value) == 1 and all(
            k in ("base64", "geometry") and isinstance(v, str) for k, v in value.items()
        )
    else:
        ok = value is None or isinstance(value, str | int | float)
    if not ok:
        raise ValueError(f"{name} holds {json.dumps(value)[:60]}, which is not a value")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name} holds half of a character (a lone surrogate)") from None
