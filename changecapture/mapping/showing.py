"""What edits of some common columns show in the application's rows, worked out once. Pure.

``put`` makes the rows of a record from all that is merged of it. Where an edit writes all that some local
columns are made of, these columns are told from it alone; where it does not, the rest has to be read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from changecapture.mapping.lens import Columns, show_pair
from changecapture.mapping.model import Record
from changecapture.mapping.parts import Carried, Pair, Place

MOST = 1000
"""Sets of columns of which is kept what they show: peers choose which they write."""


@dataclass(frozen=True, slots=True)
class Showing:
    """The local columns that edits of some common columns show: ``pairs`` and ``carried``, in rows that are
    there whenever the record is.

    ``parts``: these rows, and the anchor; none where nothing is shown. ``halves``: those of these rows of
    which the edits do not say all; ``reads``: the common parts that say the rest. ``needs``: whether the
    record may have no row here.
    """

    pairs: tuple[Pair, ...]
    carried: tuple[Carried, ...]
    parts: tuple[str, ...]
    halves: frozenset[str]
    reads: tuple[str, ...]
    needs: bool

    def show(
        self, record: Record, said: Mapping[str, Columns], known: Mapping[str, Columns]
    ) -> dict[str, Columns]:
        """Return {local part: columns} that show something else than before; ``said``: what the edits say,
        ``known``: what is merged of ``reads``, by common part. What the edits say all of is as they say."""
        after = {**said, **{name: {**row, **said.get(name, {})} for name, row in known.items()}}
        found = self._show(record, after, self.parts)
        before = self._show(record, known, self.halves) if self.halves else {}
        return found | {part: _find_changed(record, part, before[part], found[part]) for part in before}

    def _show(self, record: Record, rows: Mapping[str, Columns], parts: Iterable[str]) -> dict[str, Columns]:
        found: dict[str, Columns] = {name: {} for name in parts}
        for pair in self.pairs:
            part, column = pair.local
            if part in found:
                found[part][column] = show_pair(pair, rows)
        for part, column, name in self.carried:
            if part in found:
                found[part][column] = rows[record.root.name].get(name)
        return found


def find_written(record: Record, said: tuple[tuple[str, tuple[str, ...]], ...]) -> frozenset[Place]:
    """Return which columns that anything here depends on are among these, given by common part."""
    found = record.written.get(said)
    if found is None:
        if len(record.written) >= MOST:
            record.written.clear()
        every = {Place(part, column) for part, columns in said for column in columns}
        found = record.written[said] = record.common_places & every
    return found


def find_showing(record: Record, written: frozenset[Place]) -> Showing | None:
    """Return what edits of these common columns show; None when that takes a closer look."""
    if written not in record.showings:
        if len(record.showings) >= MOST:
            record.showings.clear()
        record.showings[written] = _find_showing(record, written)
    found = record.showings[written]
    assert found is None or isinstance(found, Showing)
    return found


def _find_showing(record: Record, written: frozenset[Place]) -> Showing | None:
    parts = {part.name: part for part in record.common}
    tables = [part.table for part in record.common]
    if record.root.parent:
        return None
    for name in {place.part for place in written}:
        part = parts[name]
        columns = {place.column for place in written if place.part == name}
        alone = tables.count(part.table) == 1 and not part.match and columns.isdisjoint(part.parent)
        if not alone or (part.latest is not None and part.latest not in columns):
            return None  # another row may stand for it, or it for another part
    pairs = _find_pairs(record, written)
    carried = tuple(item for item in record.carried if Place(record.root.name, item.name) in written)
    local = {pair.local.part for pair in pairs} | {item.part for item in carried}
    if local - {part.name for part in record.local if part.always or part is record.anchor}:
        return None  # a row that says nothing is none
    if not written.isdisjoint(record.needs):
        return None
    halves = {pair.local.part for pair in pairs if not written.issuperset(_places(pair))}
    reads = {place.part for pair in pairs if pair.local.part in halves for place in pair.common}
    reads |= {record.root.name for item in carried if item.part in halves}
    here = {part.name for part in record.thing} | {place.part for place in written}
    if reads - here:
        return None
    names = tuple(p.name for p in record.local if local and (p.name in local or p is record.anchor))
    return Showing(pairs, carried, names, frozenset(halves), tuple(sorted(reads)), bool(record.needs))


def _find_pairs(record: Record, written: frozenset[Place]) -> tuple[Pair, ...]:
    """Return the pairs that are made of these columns, and those that say parts of one text with them."""
    found = {pair.local for pair in record.pairs if not written.isdisjoint(_places(pair))}
    for local in list(found):
        found |= {Place(local.part, column) for column in record.together.get(local, ())}
    return tuple(pair for pair in record.pairs if pair.local in found)


def _places(pair: Pair) -> Iterable[Place]:
    return (*pair.common, Place(pair.common[0].part, pair.exact))


def _find_changed(record: Record, part: str, before: Columns, after: Columns) -> dict[str, Any]:
    """Return the columns of a row that show something else than before; of a composed text all pieces."""
    changed = {column for column, value in after.items() if before[column] != value}
    for column in tuple(changed):
        changed |= record.together.get(Place(part, column), frozenset())
    return {column: after[column] for column in after if column in changed}
