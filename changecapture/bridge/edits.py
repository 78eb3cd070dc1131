"""Edits of records that are known and shown: what they say can be told from the rows as they are.

An edit that changed some columns of a row says of each common column that corresponds to them what ``get``
of the row says now. Nothing that the log knows of the record has to be read for that: what an edit says more
than ``find_changes`` would say of it is what is known already (tests/unit/mapping/test_edits.py). An edit
that may be none after all, one of several in a pass, or to a field that is empty, is left, and so is that
of a row that another common row may stand for.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from changecapture.bridge.crossed import Crossed, ReadLocal
from changecapture.bridge.subject import Subject, local_parts, record_rows
from changecapture.core.change import Row, Version
from changecapture.mapping.difference import Difference, derived_key
from changecapture.mapping.lens import NOTHING, Columns, Parts, get
from changecapture.mapping.model import Lens, Record
from changecapture.mapping.narrow import narrow
from changecapture.mapping.parts import NOW, Common, Place
from changecapture.store.interface import Store

Written = frozenset[Place]
"""Columns that an application wrote, by part."""


class Edit(NamedTuple):
    """An edit of a row of the application: when, and the columns that it changed."""

    at: int
    columns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Saying:
    """What edits of some columns of a record say: common columns by part, of the record narrowed to the rows.

    ``parts``: the rows that were edited. ``alone``: texts that may stand for a common column alone, with the
    columns that say it else (``Pair.whole``).
    """

    record: Record
    parts: frozenset[str]
    says: tuple[tuple[Common, tuple[str, ...]], ...]
    alone: tuple[tuple[Place, tuple[Place, ...]], ...]


def find_edits(
    store: Store, lens: Lens, edits: Mapping[Row, Edit], others: Iterable[Row], read_local: ReadLocal
) -> tuple[list[Crossed], set[Row]]:
    """Return what edits come to, and the rows of which they are left. ``others``: rows with other changes."""
    if not edits or store.has_aliases():
        return [], set(edits)
    rows: dict[Subject, list[Row]] = defaultdict(list)
    written: dict[Subject, set[Place]] = defaultdict(set)
    spoilt = {subject for row in others for subject in local_parts(lens, row)}
    for row, edit in edits.items():
        for subject, parts in local_parts(lens, row).items():
            rows[subject].append(row)
            written[subject].update(Place(part, column) for part in parts for column in edit.columns)
    said = {
        subject: saying
        for subject, places in written.items()
        if subject not in spoilt and (saying := _say(lens.records[subject.kind], frozenset(places)))
    }
    found = _tell(store, said, {s: max(edits[row].at for row in rows[s]) for s in said}, read_local)
    left = {row for subject, own in rows.items() if subject not in found for row in own}
    return [item for items in found.values() for item in items], left


def _say(record: Record, written: Written) -> Saying | None:
    """Return what edits of these columns say, None when that takes a closer look."""
    key = frozenset((place.part, place.column) for place in written)
    if key not in record.sayings:
        record.sayings[key] = find_saying(record, written)
    found = record.sayings[key]
    assert found is None or isinstance(found, Saying)
    return found


def find_saying(record: Record, written: Written) -> Saying | None:
    """Work out what edits of these columns say, None when that takes a closer look."""
    if record.mixed or record.named or record.root.parent:
        return None
    parts = frozenset(place.part for place in written)
    narrowed = narrow(record, parts)
    pairs = [pair for pair in narrowed.pairs if pair.local in written]
    places = {place for pair in pairs for place in (*pair.own, *pair.copies)}
    if any(
        p.own and p not in pairs and not places.isdisjoint(p.common) for p in narrowed.pairs if p.composed
    ):
        return None  # what its own columns say depends on the others'
    places |= {
        Place(pair.common[0].part, pair.exact)
        for pair in narrowed.pairs
        if pair in pairs or not places.isdisjoint(pair.common)
    }
    places |= {Place(narrowed.root.name, n) for part, c, n in narrowed.carried if Place(part, c) in written}
    says: list[tuple[Common, tuple[str, ...]]] = []
    for part in narrowed.common:
        columns = tuple(sorted(place.column for place in places if place.part == part.name))
        if columns and (part.match or len(part.parent) > 1):
            return None
        if columns:
            says.append((part, columns))
    alone = tuple((p.local, _owners(narrowed, p.whole)) for p in narrowed.pairs if p.whole is not None)
    return Saying(narrowed, parts, tuple(says), alone)


def _owners(record: Record, whole: Place) -> tuple[Place, ...]:
    return tuple(pair.local for pair in record.pairs if whole in pair.own)


def _tell(
    store: Store, said: Mapping[Subject, Saying], when: Mapping[Subject, int], read_local: ReadLocal
) -> dict[Subject, list[Crossed]]:
    """Return what the edits of each record come to, of those that need no closer look."""
    places = {subject: record_rows(saying.record, subject.key) for subject, saying in said.items()}
    rows = {s: [Row(part.table, _key(part, s.key)) for part, _ in saying.says] for s, saying in said.items()}
    roots = {s: Row(saying.record.root.table, s.key) for s, saying in said.items()}
    thing = {s: [Row(part.table, s.key) for part in saying.record.thing] for s, saying in said.items()}
    versions = store.read_versions({*roots.values(), *(row for own in rows.values() for row in own)})
    dead = store.find_dead({row for own in thing.values() for row in own} - versions.keys())
    dead |= {row for row, version in versions.items() if not version.alive}
    hung = _find_hung(store, said, rows)
    local = read_local(store, {row for own in places.values() for row in own.values()})
    parked = store.read_parked({*versions, *local, *(r for own in places.values() for r in own.values())})
    found: dict[Subject, list[Crossed]] = {}
    for subject, saying in said.items():
        own, here = rows[subject], places[subject]
        known = roots[subject] in versions and all(row in versions for row in own)
        if not known or subject not in hung or not dead.isdisjoint([*own, *thing[subject]]):
            continue
        if parked and not parked.isdisjoint([*own, roots[subject], *here.values()]):
            continue
        now: Parts = {name: local.get(row) for name, row in here.items()}
        told = find_columns(saying, now, when[subject], versions, own)
        if told is not None:
            found[subject] = [
                Crossed(subject, Difference(part, row, True, columns), when[subject], versions[row])
                for (part, _), row, columns in zip(saying.says, own, told, strict=True)
            ]
    return found


def _key(part: Common, key: str) -> str:
    return derived_key(part, key) if part.parent else key


def _find_hung(
    store: Store, said: Mapping[Subject, Saying], rows: Mapping[Subject, Sequence[Row]]
) -> set[Subject]:
    """Return the records of which nothing but the rows that are edited stands for their parts."""
    tables = {s: {part.table for part, _ in saying.says if part.parent} for s, saying in said.items()}
    asked = {subject.key for subject, names in tables.items() if names}
    mapped = store.read_mapped(asked) if asked else {}
    return {
        s
        for s, names in tables.items()
        if {row for row in mapped.get(s.key, ()) if row.table in names}
        == {row for row in rows[s] if row.table in names}
    }


def find_columns(
    saying: Saying, now: Parts, at: int, versions: Mapping[Row, Version], rows: Sequence[Row]
) -> list[Columns] | None:
    """Return the columns of each common row, None when it takes a closer look."""
    record = saying.record
    if any(now[name] is None for name in (record.anchor.name, *saying.parts)) or any(
        _is_alone(now, *each) for each in saying.alone
    ):
        return None
    actual = get(record, now)
    if not all((actual.get(p.part) or {}).get(p.column) is not None for p in record.needs):
        return None
    found: list[Columns] = []
    for (part, names), row in zip(saying.says, rows, strict=True):
        columns = actual[part.name]
        if columns is None:
            return None
        if part.latest is not None:
            moment = _later(at, versions[row].stamp)
            found.append({**columns, **{c: moment for c, value in part.set if value == NOW}})
        else:
            found.append({name: columns[name] for name in names})
    return found


def _is_alone(now: Parts, text: Place, owners: Collection[Place]) -> bool:
    """Return whether a composed text may stand for what its owners leave empty."""
    return all(_value(now, place) in NOTHING for place in owners) and _value(now, text) not in NOTHING


def _value(now: Parts, place: Place) -> Any:
    return (now.get(place.part) or {}).get(place.column)


def _later(at: int, known: int) -> str:
    """Return the time of a change as a canonical datetime: later than the last word on the row."""
    moment = datetime.fromtimestamp(at // 1_000_000, UTC)
    before = datetime.fromtimestamp(known // 1_000_000, UTC)
    later = moment if before < moment else before + timedelta(seconds=1)
    return later.replace(tzinfo=None).isoformat()
