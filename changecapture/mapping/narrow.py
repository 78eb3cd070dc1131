"""A record narrowed to some of the application's rows: what a change of these alone can concern. Pure.

A narrowed record is a record: the lens, the differences and the bridge take it like any other. It says of
those rows, and of the common rows that they make, what the whole one says.
"""

from dataclasses import replace

from changecapture.mapping.model import Record
from changecapture.mapping.parts import Pair, Place


def narrow(record: Record, parts: frozenset[str]) -> Record:
    """Return the record with the local parts of these names, the anchor, and what makes whole common rows
    of them."""
    found = record.narrowed.get(parts)
    if found is None:
        found = record.narrowed[parts] = _narrow(record, _close(record, parts))
    return found


def _narrow(record: Record, parts: frozenset[str]) -> Record:
    pairs = tuple(pair for pair in record.pairs if pair.local.part in parts)
    carried = tuple(item for item in record.carried if item.part in parts)
    common = {record.root.name, *(place.part for place in record.needs)}
    common |= {place.part for pair in pairs for place in (*pair.common, *pair.copies)}
    return replace(
        record,
        local=tuple(part for part in record.local if part.name in parts or part is record.anchor),
        common=tuple(part for part in record.common if part.name in common),
        pairs=pairs,
        carried=carried,
    )


def _close(record: Record, parts: frozenset[str]) -> frozenset[str]:
    """Add the local parts that say the rest of a common row that hangs on the record, or of a text that is
    composed: half of it says nothing."""
    thing = {part.name for part in record.thing} | {record.root.name}
    while True:
        pairs = [pair for pair in record.pairs if pair.local.part in parts]
        places = {place for pair in pairs if pair.composed for place in pair.common}
        hanging = {place.part for pair in pairs for place in pair.common} - thing
        more = {pair.local.part for pair in record.pairs if _says(pair, hanging, places)} | parts
        if more == parts:
            return parts
        parts = frozenset(more)


def _says(pair: Pair, hanging: set[str], places: set[Place]) -> bool:
    return any(place in places or place.part in hanging for place in pair.common)


def concerned(record: Record, written: frozenset[tuple[str, str]]) -> frozenset[str]:
    """Return the local parts that show any of these (common part, column)."""
    found = record.shown_in.get(written)
    if found is None:
        found = record.shown_in[written] = _concerned(record, written)
    return found


def _concerned(record: Record, written: frozenset[tuple[str, str]]) -> frozenset[str]:
    found = {item.part for item in record.carried if (record.root.name, item.name) in written}
    for pair in record.pairs:
        exact = (pair.common[0].part, pair.exact)
        if exact in written or any(tuple(place) in written for place in pair.common):
            found.add(pair.local.part)
    return frozenset(found)
