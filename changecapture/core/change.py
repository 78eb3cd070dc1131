"""A change on its way: captured by a trigger, published as an entry, shipped with its pass.

An *entry* is what travels: some columns of one row, with their values, as its origin wrote them. Its
*name* (origin, epoch, number) is unique in the world; its *order* (stamp, origin, epoch, number)
decides which of two values of one column stays. ``columns`` is canonical JSON text: an object from
wire column name to canonical value. Names that begin with ``@`` are ours:

- ``@alive``   true or false: whether the row exists. It is merged like any other column.
- ``@unseen``  a list of names (as text) that the author's context covers but that the author's
  application could not see, because they were parked there.
- ``@from``    the site that last said so, where an import says for it that the row exists.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

ALIVE = "@alive"
UNSEEN = "@unseen"
FROM = "@from"
NOTES = frozenset((UNSEEN, FROM))
"""What an entry says of itself, and not of its row."""

INSERT = "I"
UPDATE = "U"
DELETE = "D"
GOING = "d"
CHANGING = "u"
"""What MySQL's triggers announce of rows that a foreign key is about to delete or to change."""
BACKFILL = "B"
"""A row from before the installation: published like an insert, but as old as its row says."""


class Row(NamedTuple):
    """The identity of a row: wire table name and key."""

    table: str
    key: str


class Name(NamedTuple):
    """The name of an entry in the world."""

    origin: str
    epoch: int
    number: int

    def __str__(self) -> str:
        """Return the name as text, as ``@unseen`` and messages write it."""
        return f"{self.origin}/{self.epoch}/{self.number}"

    @classmethod
    def from_text(cls, text: str) -> "Name":
        """Return the name that ``str`` wrote."""
        origin, epoch, number = text.rsplit("/", 2)
        return cls(origin, int(epoch), int(number))


class Order(NamedTuple):
    """Where an entry stands among all entries: the later wins each column."""

    stamp: int
    origin: str
    epoch: int
    number: int


class Captured(NamedTuple):
    """What a trigger wrote. ``key``, ``old_key``: JSON array of the key columns' local values.

    ``changed``: JSON object, column to new local value (updates; of an announced one only the names
    count). ``image``: JSON object, the full old row (deletes), for people only. ``captured_at``:
    microseconds since 1970 UTC.
    """

    id: int
    table_id: int
    operation: str
    key: str
    old_key: str | None
    changed: str | None
    image: str | None
    transaction_id: int
    captured_at: int


@dataclass(slots=True, unsafe_hash=True)
class Entry:
    """One entry of the changelog. ``stamp``: microseconds since 1970 UTC (clock.py); ``base_seen``: the
    author's ``seen`` of the row before it, signed 64 bit; ``scope``: the origin's module of the table.

    Never changed once made; that is not enforced, as it would double the time that making one takes, and
    everything that travels is one.
    """

    origin: str
    epoch: int
    number: int
    pass_number: int
    stamp: int
    base_seen: int
    scope: str
    table: str
    key: str
    columns: str
    parsed: dict[str, Any] | None = field(default=None, compare=False, repr=False)
    """The columns as a mapping, where someone has parsed them already. Not to be changed."""
    line: Any = field(default=None, compare=False, repr=False)
    """How it is sent to the log of the database at hand, as applied, where its store has made that."""

    @property
    def name(self) -> Name:
        """Return the entry's name in the world."""
        return Name(self.origin, self.epoch, self.number)

    @property
    def order(self) -> Order:
        """Return where the entry stands among all entries."""
        return Order(self.stamp, self.origin, self.epoch, self.number)

    @property
    def row(self) -> Row:
        """Return the row that the entry is about."""
        return Row(self.table, self.key)


class Version(NamedTuple):
    """What a site knows of a row. ``seen``: XOR of the hashes of all entries merged into it."""

    stamp: int
    origin: str
    alive: bool
    seen: int


def hash_name(origin: str, epoch: int, number: int) -> int:
    """Return the signed 64-bit hash of an entry's name that ``seen`` is made of.

    A hash of (origin, epoch), plus the number, through splitmix64: names of one origin and epoch never
    collide. It is part of the format: every site must come to the same.
    """
    x = (_seed(origin, epoch) + number * 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    x ^= x >> 31
    return x - (1 << 64) if x >> 63 else x


def add_names(seen: int, entries: Iterable[Entry]) -> int:
    """Return ``seen`` of a row once these entries are merged into it."""
    for entry in entries:
        seen ^= hash_name(entry.origin, entry.epoch, entry.number)
    return seen


def digest_entry(entry: Entry) -> str:
    """Return the 16 hex digits that tell two contents of one name apart."""
    content = [*entry.order, entry.pass_number, entry.base_seen, entry.scope, *entry.row, entry.columns]
    return blake2b(json.dumps(content).encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=1024)
def _seed(origin: str, epoch: int) -> int:
    return int.from_bytes(blake2b(f"{origin}/{epoch}".encode(), digest_size=8).digest(), "big")


_MASK = (1 << 64) - 1
