"""Verify: do two sites show the same rows? And where not: which, why, and what mends it.

What is compared is what the tables show, read by us as a late read does, not what the logs say: so a write
that no trigger saw is found too. Each side makes a hash tree of its rows (core.hashtree); they compare
digests, then list the few rows whose digests differ, then these rows themselves. What one engine cannot
show as the other does (a float of 32 bits) is no difference. While applications write, what is on its way
differs.

A row differs because an entry of it is missing at one site: repairing ships the merged row, as a record,
decided column by column as an import is. Or because a table does not show what its own log says: then
only ``reconcile`` may decide, as what the application wrote is not to be lost. Or because it is parked there.
"""

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from changecapture.core.change import Row
from changecapture.core.hashtree import Prefix, find_differing
from changecapture.core.hashtree import Side as Tree
from changecapture.errors import ConfigError
from changecapture.reconcile import same
from changecapture.verify.mapped import COMMON
from changecapture.verify.side import Shape, Shared, Side, Step

Progress = Callable[[str, int, int], None]
TOLD = 20
"""Rows that are asked for at once."""


@dataclass(frozen=True, slots=True)
class Differing:
    """A row that differs. ``left``, ``right``: why each side shows what it does. ``columns``: {column: [left,
    right]}; empty when one side does not show the row."""

    table: str
    key: str
    left: str
    right: str
    columns: dict[str, list[Any]]


@dataclass(slots=True)
class Verified:
    """``tables``: how many both sites have. ``rows``: shown at the left. ``bytes``: what a link between the
    two would have carried to find the differences. ``apart``: tables or columns that one side alone has.
    ``repaired``: rows shipped."""

    tables: int = 0
    rows: int = 0
    bytes: int = 0
    in_step: bool = True
    apart: list[str] = field(default_factory=list)
    differences: list[Differing] = field(default_factory=list)
    repaired: int = 0


class CountedSide:
    """A side whose answers and questions are counted in bytes, as a link would carry them."""

    def __init__(self, side: Tree) -> None:
        """Count for this side."""
        self._side = side
        self.bytes = 0

    def ask_nodes(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """See Side: a question names the nodes, an answer has a count and a digest for each."""
        found = self._side.ask_nodes(prefixes)
        self.bytes += len(_pack_nodes(prefixes)) + sum(len(struct.pack(">IQ", *pair)) for pair in found)
        return found

    def ask_rows(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """See Side."""
        found = self._side.ask_rows(prefixes)
        self.bytes += len(_pack_nodes(prefixes)) + sum(len(struct.pack(">QQ", *pair)) for pair in found)
        return found


def _pack_nodes(prefixes: Sequence[Prefix]) -> bytes:
    return b"".join(struct.pack(">BQ", *prefix) for prefix in prefixes)


def verify(left: Side, right: Side, *, repair: bool = False, progress: Progress | None = None) -> Verified:
    """Compare what two sites show, and ship the rows that one of them lacks if told to.

    Raises ConfigError where there is nothing to compare.
    """
    found = Verified()
    (here, own), (there, other) = left.begin(), right.begin()
    found.in_step = here == there
    shared, found.apart = find_shared(own, other)
    if not shared:
        raise ConfigError(
            "there is nothing to compare: the sites have no table in common",
            why="they are two applications, or may have no module of each other",
            mend="name sites of one application, or of which one has a mapping to the other",
        )
    found.tables = len(shared)
    _go_on("tables read", (left.read(shared), right.read(shared)), progress)
    counted = CountedSide(right)
    places = set(find_differing(left, counted))
    found.rows = sum(count for count, _ in left.ask_nodes([(0, 0)]))
    rows: set[Row] = set()
    if places:
        steps = [side.find(shared, places, rows) for side in (left, right)]
        _go_on("differing rows sought", steps, progress)
    found.bytes = counted.bytes + 32
    for differing in compare_rows(left, right, own, other, sorted(rows)):
        found.bytes += len(json.dumps([differing.key, differing.columns]))
        found.differences.append(differing)
    if repair and found.differences:
        found.repaired = ship_rows(left, right, [Row(d.table, d.key) for d in found.differences])
        found.differences = list(compare_rows(left, right, own, other, sorted(rows)))
    return found


def _go_on(what: str, sides: Sequence[Iterator[Step]], progress: Progress | None) -> None:
    """Do both sides' steps by turns: where they are on two machines, they read at the same time."""
    for steps in zip_longest(*sides):
        known = [step for step in steps if step is not None]
        if progress is not None:
            progress(what, *min(known))


def find_shared(own: Shape, other: Shape) -> tuple[Shared, list[str]]:
    """Return what both sites sync, and what one alone does."""
    apart: list[str] = [*sorted(own.keys() ^ other.keys())]
    shared: dict[str, tuple[str, ...]] = {}
    for wire in sorted(own.keys() & other.keys()):
        mine, yours = own[wire].keys(), other[wire].keys()
        if all(kind == COMMON for shape in (own, other) for kind in shape[wire].values()):
            continue  # of two sites with mappings, the tables that these show are compared
        shared[wire] = tuple(sorted(mine & yours))
        if COMMON not in (*own[wire].values(), *other[wire].values()):
            apart += [f"{wire}.{name}" for name in sorted(mine ^ yours)]
    return shared, apart


def compare_rows(
    left: Side, right: Side, own: Shape, other: Shape, rows: Sequence[Row]
) -> Iterator[Differing]:
    """Yield those of the rows that differ, with why."""
    for start in range(0, len(rows), TOLD):
        part = rows[start : start + TOLD]
        for row, mine, yours in zip(part, left.tell(part), right.tell(part), strict=True):
            columns: dict[str, list[Any]] = {}
            if mine.shown is not None and yours.shown is not None:
                kinds, others = own[row.table], other[row.table]
                columns = {
                    name: [mine.shown.get(name), yours.shown.get(name)]
                    for name in sorted(kinds.keys() & others.keys())
                    if not same(*kinds[name], mine.shown.get(name), yours.shown.get(name))
                    and not same(*others[name], yours.shown.get(name), mine.shown.get(name))
                }
            if columns or (mine.shown is None) != (yours.shown is None):
                yield Differing(*row, mine.why, yours.why, columns)


def ship_rows(left: Side, right: Side, rows: Sequence[Row]) -> int:
    """Make each site know what the other has merged of some rows; return how many were written anywhere.

    A far side takes nothing (``questions``)."""
    seen, records = left.merged(rows)
    others_seen, others = right.merged(rows)
    return len(right.take(records, seen) | left.take(others, others_seen))
