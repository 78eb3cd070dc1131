"""What a mapping is: records, each of some local rows and some common rows, and the columns that correspond.

A *record* is what one row of the application's table stands for, with what hangs on it: a person, with
details, status and contacts. Its key is that row's key, and the key of its *root*, the common row; or, where
the application names a row by what it refers to (who is in which group), the key is made of columns of the
root. What records are made of is ``parts``. Nothing here looks at a database.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from typing import Any

from changecapture.mapping.parts import Carried, Common, Local, Pair, Place, read_key


@dataclass(frozen=True)
class Record:
    """One kind of record. ``local[0]`` is the anchor, ``common[0]`` the root.

    ``carried`` are local columns that correspond to nothing: their values travel with the root, for other
    sites of the same application. ``needs``: common columns without which there is no local row.
    ``skip``: patterns of keys, or of their first items, that stay at home: what every site is seeded with.
    ``named``: people named it (a short name): two sites that name it alike mean one thing.
    """

    name: str
    local: tuple[Local, ...]
    common: tuple[Common, ...]
    pairs: tuple[Pair, ...]
    carried: tuple[Carried, ...] = ()
    needs: tuple[Place, ...] = ()
    skip: tuple[str, ...] = ()
    named: bool = False

    @cached_property
    def anchor(self) -> Local:
        """Return the local row that the record stands or falls with."""
        return self.local[0]

    @cached_property
    def root(self) -> Common:
        """Return the common row that the record stands or falls with."""
        return self.common[0]

    @cached_property
    def thing(self) -> tuple[Common, ...]:
        """Return the common rows that exist when the root does: they have its key."""
        return tuple(part for part in self.common if not part.parent)

    @cached_property
    def hung(self) -> frozenset[str]:
        """Return the tables of the common rows that hang on the record."""
        return frozenset(part.table for part in self.common if part.parent)

    @cached_property
    def made(self) -> tuple[Common, ...]:
        """Return the common rows that are known by the key which is derived for them."""
        return tuple(p for p in self.common if p.parent and (p is self.root or p.latest is not None))

    @cached_property
    def tables(self) -> Mapping[str, str]:
        """Return {common part: its table}."""
        return {part.name: part.table for part in self.common}

    @cached_property
    def reading(self) -> tuple[tuple[Pair, str, str], ...]:
        """Return the pairs, with their local part and column, in the order in which they are read: what is
        composed, after its pieces."""
        return tuple((pair, *pair.local) for pair in sorted(self.pairs, key=lambda pair: pair.composed))

    @cached_property
    def further(self) -> tuple[str, ...]:
        """Return the common parts that hang on the root: there is none where nothing is said of it."""
        return tuple(part.name for part in self.common if part.parent and part is not self.root)

    @cached_property
    def blank(self) -> dict[frozenset[str], dict[str, dict[str, Any]]]:
        """Return what ``lens.get`` made of empty local rows, by the parts that are there."""
        return {}

    @cached_property
    def unsaid(self) -> dict[frozenset[str], tuple[dict[str, dict[str, Any]], tuple[Pair, ...]]]:
        """Return what ``lens.put`` made of empty common rows, and the pairs of the others, by the parts that
        are there."""
        return {}

    @cached_property
    def together(self) -> Mapping[Place, frozenset[str]]:
        """Return {local column: the columns of its row that say parts of one composed text with it}."""
        found: dict[Place, frozenset[str]] = {}
        for composed in self.pairs:
            if composed.composed:
                pieces = set(composed.common)
                alike = [pair.local for pair in self.pairs if not pieces.isdisjoint(pair.common)]
                for local in alike:
                    own = {place.column for place in alike if place.part == local.part}
                    found[local] = found.get(local, frozenset()) | own
        return found

    @cached_property
    def narrowed(self) -> dict[frozenset[str], "Record"]:
        """Return what ``narrow`` made of it, by the local parts asked for."""
        return {}

    @cached_property
    def mixed(self) -> bool:
        """Return whether what one common row says may depend on another one."""
        composed = any(len({place.part for place in pair.common}) > 1 for pair in self.pairs)
        return composed or bool(self.needs and self.further)

    @cached_property
    def empty(self) -> dict[str, dict[str, Any] | None]:
        """Return the common rows of a record of which nothing is known, once they were asked for."""
        return {}

    @cached_property
    def shown_in(self) -> dict[frozenset[tuple[str, str]], frozenset[str]]:
        """Return what ``concerned`` found, by the columns asked for."""
        return {}

    def travels_as(self, part: str, column: str) -> str | None:
        """Return the column of the root that a local column alone decides, or is carried in; None where it
        is none."""
        for item in self.carried:
            if item[:2] == (part, column):
                return item.name
        for pair in self.pairs:
            if pair.local == (part, column) and not pair.composed and pair.common[0].part == self.root.name:
                return pair.common[0].column
        return None

    @cached_property
    def sayings(self) -> dict[frozenset[tuple[str, str]], object]:
        """Return what edits of the application's columns say (bridge.edits), by the columns asked for."""
        return {}

    @cached_property
    def common_places(self) -> frozenset[Place]:
        """Return the common columns that anything here depends on; a peer may write others."""
        found = {place for pair in self.pairs for place in pair.common}
        found |= {Place(pair.common[0].part, pair.exact) for pair in self.pairs}
        found |= {Place(self.root.name, item.name) for item in self.carried} | set(self.needs)
        for part in self.common:
            asked = [*part.parent, *dict(part.match), *([] if part.latest is None else [part.latest])]
            found |= {Place(part.name, column) for column in asked}
        return frozenset(found)

    @cached_property
    def written(self) -> dict[tuple[tuple[str, tuple[str, ...]], ...], frozenset[Place]]:
        """Return what ``showing.find_written`` found, by the columns asked for."""
        return {}

    @cached_property
    def showings(self) -> dict[frozenset[Place], object]:
        """Return what edits of common columns show (showing), by the columns asked for."""
        return {}

    @cached_property
    def skipped(self) -> re.Pattern[str]:
        """Return what the keys of ``skip``, or their first items, match."""
        return re.compile("|".join(map(translate, self.skip)) if self.skip else r"(?!)")

    def stays(self, key: str) -> bool:
        """Return whether the record with that key stays at home, or no common row could stand for it."""
        root = self.root
        name = str(read_key(key, len(root.parent))[0]) if root.parent else key
        if self.skipped.match(name):
            return True
        return bool(root.parent) and root.parent_columns(key) is None


@dataclass(frozen=True)
class Lens:
    """A mapping. ``title`` names the application in the names of carried columns."""

    title: str
    records: tuple[Record, ...]

    @cached_property
    def local_tables(self) -> frozenset[str]:
        """Return the application's tables (wire names) that are not on the wire themselves."""
        return frozenset(part.table for record in self.records for part in record.local)

    @cached_property
    def local_places(self) -> frozenset[Place]:
        """Return the columns of the application, by table, that correspond to something or are carried."""
        return frozenset(
            Place(part.table, column)
            for record in self.records
            for part in record.local
            for place in (*(pair.local for pair in record.pairs), *record.carried)
            if place[0] == part.name
            for column in (place[1],)
        )

    @cached_property
    def common_tables(self) -> Mapping[str, str]:
        """Return {common table: scope}."""
        return {part.table: part.scope for record in self.records for part in record.common}

    @cached_property
    def owners(self) -> Mapping[str, Sequence[tuple[int, Local]]]:
        """Return {table of the application: the kinds of records that have rows of it, and which}."""
        found: dict[str, list[tuple[int, Local]]] = {}
        for kind, record in enumerate(self.records):
            for part in record.local:
                found.setdefault(part.table, []).append((kind, part))
        return found

    @cached_property
    def makers(self) -> Mapping[str, Sequence[tuple[int, bool, bool]]]:
        """Return {common table: the kinds of records that have rows of it, whether these have the record's
        key, and whether they hang on it}."""
        found: dict[str, dict[int, tuple[bool, bool]]] = {}
        for kind, record in enumerate(self.records):
            for part in record.common:
                kinds = found.setdefault(part.table, {})
                named, hangs = kinds.get(kind, (False, False))
                kinds[kind] = named or not part.parent, hangs or bool(part.parent)
        return {table: [(k, *how) for k, how in kinds.items()] for table, kinds in found.items()}

    @cached_property
    def hanging(self) -> Mapping[str, Common]:
        """Return {common table: the part that hangs on a record by its columns}."""
        return {p.table: p for record in self.records for p in record.common if p.parent}

    def kin(self, table: str) -> frozenset[str]:
        """Return the tables, it among them, whose rows of one key are one thing with those of a table."""
        return self._kin.get(table, frozenset())

    @cached_property
    def _kin(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for record in self.records:
            tables = frozenset(part.table for part in record.thing)
            found |= {table: found.get(table, frozenset()) | tables for table in tables}
        return found
