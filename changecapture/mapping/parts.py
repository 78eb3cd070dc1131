"""What records of a mapping are made of: rows of the application, common rows, and columns that correspond.

*Local* rows are the application's, *common* rows Eden's. Nothing here looks at a database.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from changecapture.core.values import dump

KEY = "@key"
"""Stands for the record's key in ``set`` and ``key``."""
NOW = "@now"
"""Stands in ``set`` for the time of the change."""

EMPTY = ("", "NULL")
"""What an application writes into a key for an empty field: it names nothing."""

Codes = tuple[tuple[Any, Any], ...]
"""(local, common) of a list; of several with one common value the first is what that becomes."""


class Place(NamedTuple):
    """A column of a part of a record: part name, column (wire name)."""

    part: str
    column: str


class Carried(NamedTuple):
    """A local column that corresponds to nothing, and the name under which its value travels."""

    part: str
    column: str
    name: str


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
    """A common row. Without ``parent`` its key is the record's; else it is a row that says the record's key
    in those columns: of several rows the one with the smallest key, and where there is none one is made,
    under a key derived from the record's. ``codes``: {column of ``parent``: its list} (_translate).
    ``match``: what it has in other columns. ``latest``: of several rows the one in
    which that column was written last. ``set`` is what it gets when it is made; ``scope`` its module.
    ``optional``: an Eden may lack the table; it then passes the rows on.
    """

    name: str
    table: str
    scope: str
    parent: tuple[str, ...] = ()
    match: tuple[tuple[str, Any], ...] = ()
    latest: str | None = None
    set: tuple[tuple[str, Any], ...] = ()
    codes: Mapping[str, Codes] = field(default_factory=dict)
    optional: bool = False

    def record_key(self, columns: Mapping[str, Any]) -> str | None:
        """Return the key of the record that a row with these columns hangs on, None when they do not say."""
        items: list[str] = []
        for column in self.parent:
            value = columns.get(column)
            if column in self.codes:
                value = _translate(value, [(common, local) for local, common in self.codes[column]])
            if not isinstance(value, str) or value in EMPTY:
                return None
            items.append(value)
        return items[0] if len(items) == 1 else dump(items)

    def parent_columns(self, key: str) -> dict[str, Any] | None:
        """Return what a row of the record with that key has in ``parent``, None where no row can have it."""
        found: dict[str, Any] = {}
        if not self.parent:
            return found
        for column, value in zip(self.parent, read_key(key, len(self.parent)), strict=True):
            if column in self.codes:
                value = _translate(value, self.codes[column])
            if value is None or value in EMPTY:
                return None
            found[column] = value
        return found


def _translate(code: Any, codes: Iterable[tuple[Any, Any]]) -> Any:
    """Return what a list has for a code of a key. One that is not listed stays as it is where all are texts,
    unless it is what another one becomes: then, and elsewhere, there is none."""
    found = {one: other for one, other in codes if isinstance(one, (str, int))}
    if isinstance(code, (str, int)) and code in found:
        return found[code]
    texts = all(isinstance(item, str) for pair in found.items() for item in pair)
    return code if texts and code not in found.values() else None


def read_key(key: str, items: int) -> list[Any]:
    """Return the items of a key that is made of so many."""
    return [key] if items < 2 else list(json.loads(key))


@dataclass(frozen=True)
class Pair:
    """Columns that correspond: one local column, and one common column or several that compose it.

    ``own`` are the places that the local column decides, the others belong to other pairs. ``exact``: the
    name under which what the local column says more exactly travels. ``values``: a list of codes;
    ``one_way``: local codes that have a common value, which does not become them. ``local_none`` and
    ``common_none`` stand for NULL where a column must have a value. ``number``: local text, common number,
    alone or with the ``unit`` that it has. ``date``: a date that no calendar has is none. ``day``: the
    same, and the common column is a time: of its day the first. ``whole``: where
    is written what the local column alone says. ``length``: most characters of the common column.
    ``copies``: common columns that are written with the same value, and not read: super-entities copy some.
    """

    local: Place
    common: tuple[Place, ...]
    own: tuple[Place, ...]
    exact: str = ""
    join: str = " "
    values: Codes = ()
    one_way: Codes = ()
    local_none: Any = None
    common_none: Any = None
    number: bool = False
    length: int | None = None
    copies: tuple[Place, ...] = ()
    unit: str = ""
    date: bool = False
    day: bool = False
    whole: Place | None = None

    @cached_property
    def composed(self) -> bool:
        """Return whether several common columns make the local one."""
        return len(self.common) > 1

    @cached_property
    def coded(self) -> bool:
        """Return whether the values are codes of a list."""
        return bool(self.values or self.one_way)

    @cached_property
    def to_common(self) -> Mapping[Any, Any]:
        """Return {local code: common value}."""
        return dict(reversed((*self.values, *self.one_way)))

    @cached_property
    def to_local(self) -> Mapping[Any, Any]:
        """Return {common value: local code}."""
        return {common: local for local, common in reversed(self.values)}
