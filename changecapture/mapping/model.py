"""What a mapping is: records, each of some local rows and some common rows, and the columns that correspond.

A *record* is what one row of the application's table stands for, with what hangs on it: a person, with
details, status and contacts. Its key is that row's key, and the key of its *root*, the common row. *Local*
rows are the application's, *common* rows Eden's. Nothing here looks at a database.
"""

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Any, NamedTuple

KEY = "@key"
"""Stands for the record's key in ``set`` and ``key``."""
NOW = "@now"
"""Stands in ``set`` for the time of the change."""


class Place(NamedTuple):
    """A column of a part of a record: part name, column (wire name)."""

    part: str
    column: str


@dataclass(frozen=True, slots=True)
class Local:
    """A row of the application. ``key``: what its key is made of, KEY or constants; one item: that itself.

    ``always``: the row is there whenever the record is: the application needs it to show the record.
    ``set`` is what it gets when it is made, in columns that correspond to nothing.
    """

    name: str
    table: str
    key: tuple[str, ...] = (KEY,)
    always: bool = False
    set: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Common:
    """A common row. Without ``parent`` its key is the record's; else it is a row that refers to the record by
    that column: of several the one with the smallest key, and none is made under a key derived from the
    record's. ``match``: what it has in other columns. ``latest``: of several rows the one in which that
    column was written last. ``set`` is what it gets when it is made; ``scope`` its module.
    """

    name: str
    table: str
    scope: str
    parent: str | None = None
    match: tuple[tuple[str, Any], ...] = ()
    latest: str | None = None
    set: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """Columns that correspond: one local column, and one common column or several that compose it.

    ``own`` are the places that the local column decides, the others belong to other pairs. ``values``:
    (local, common) of a list, the first with a common value is what it becomes. ``local_none`` and
    ``common_none`` stand for NULL where a column must have a value. ``number``: local text, common
    number. ``length``: most characters of the common column.
    """

    local: Place
    common: tuple[Place, ...]
    own: tuple[Place, ...]
    join: str = " "
    values: tuple[tuple[Any, Any], ...] = ()
    local_none: Any = None
    common_none: Any = None
    number: bool = False
    length: int | None = None
    copies: tuple[Place, ...] = ()
    """Common columns that are written with the same value, and not read: super-entities copy some."""

    @property
    def composed(self) -> bool:
        """Return whether several common columns make the local one."""
        return len(self.common) > 1


@dataclass(frozen=True, slots=True)
class Record:
    """One kind of record. ``local[0]`` is the anchor, ``common[0]`` the root.

    ``carried`` are local columns that correspond to nothing: their values travel with the root, for other
    sites of the same application. ``needs``: common columns without which there is no local row.
    ``skip``: keys of rows that every site is seeded with, which stay at home.
    """

    name: str
    local: tuple[Local, ...]
    common: tuple[Common, ...]
    pairs: tuple[Pair, ...]
    carried: tuple[Place, ...] = ()
    needs: tuple[Place, ...] = ()
    skip: tuple[str, ...] = ()

    @property
    def anchor(self) -> Local:
        """Return the local row that the record stands or falls with."""
        return self.local[0]

    @property
    def root(self) -> Common:
        """Return the common row that the record stands or falls with."""
        return self.common[0]

    @property
    def thing(self) -> tuple[Common, ...]:
        """Return the common rows that exist when the root does: they have its key."""
        return tuple(part for part in self.common if part.parent is None)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping. ``title`` names the application in the names of carried columns."""

    title: str
    records: tuple[Record, ...]

    @property
    def local_tables(self) -> frozenset[str]:
        """Return the application's tables (wire names) that are not on the wire themselves."""
        return frozenset(part.table for record in self.records for part in record.local)

    @property
    def common_tables(self) -> Dict[str, str]:
        """Return {common table: scope}."""
        return {part.table: part.scope for record in self.records for part in record.common}
