"""What a foreign key does to rows by itself: which deletes and updates of one table reach a synced one.

A foreign key with an action deletes or changes rows of its own table (*the child*) when the row that they
name is deleted or renamed, and so on from child to child, through tables that are not synced too. PostgreSQL
fires the children's triggers; MySQL and MariaDB fire none, so there the parent's trigger must walk the same
way first (``dialect.cascade``). Catalogue x synced tables; nothing here knows a database.

A *walk* is what befalls a row of a table: it is deleted, or columns that others refer to change. Its
*edges* are the foreign keys that then act. Only edges that end at something captured are kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from changecapture.core.catalogue import Catalogue, ForeignKey
from changecapture.core.table import SyncedTable

Event = Literal["delete", "update"]
Effect = Literal["delete", "clear", "follow"]
"""What becomes of the child: it goes too, its reference is set to NULL, or takes the new value."""


class Walk(NamedTuple):
    """What befalls a row of a table."""

    table: str
    event: Event


@dataclass(frozen=True, slots=True)
class Edge:
    """A foreign key that acts on the rows of ``child`` whose columns hold the parent's target columns."""

    name: str
    child: str
    columns: tuple[str, ...]
    target_columns: tuple[str, ...]
    effect: Effect

    @property
    def leads_to(self) -> Walk:
        """Return what befalls the child."""
        return Walk(self.child, "delete" if self.effect == "delete" else "update")


Cascades = Mapping[Walk, tuple[Edge, ...]]
"""Each walk that ends at something captured, with its edges that do, by child and name."""


def find_cascades(catalogue: Catalogue, synced: Iterable[SyncedTable]) -> Cascades:
    """Return the walks that reach rows of synced tables."""
    edges = _list_edges(catalogue)
    kept = _reach_captured(edges, {table.name: table for table in synced})
    walks = {walk: tuple(edge for edge in found if edge in kept) for walk, found in edges.items()}
    return {walk: walks[walk] for walk in sorted(walks) if walks[walk]}


def follow(cascades: Cascades, edge: Edge) -> tuple[Edge, ...]:
    """Return the edges that act next, when an edge has acted on a child."""
    found = cascades.get(edge.leads_to, ())
    if edge.effect == "delete":
        return tuple(found)
    return tuple(other for other in found if not set(other.target_columns).isdisjoint(edge.columns))


def touches(edge: Edge, table: SyncedTable) -> bool:
    """Return whether an edge changes anything of a synced child that is captured."""
    if edge.effect == "delete":
        return True
    captured = {column.name for column in (*table.key_columns, *table.columns)}
    return not captured.isdisjoint(edge.columns)


def reached_from(cascades: Cascades, start: Walk) -> frozenset[Walk]:
    """Return the walks that a walk leads to, itself only when it comes back to itself."""
    reached: set[Walk] = set()
    ahead = [start]
    while ahead:
        for edge in cascades.get(ahead.pop(), ()):
            if edge.leads_to in cascades and edge.leads_to not in reached:
                reached.add(edge.leads_to)
                ahead.append(edge.leads_to)
    return frozenset(reached)


def _list_edges(catalogue: Catalogue) -> dict[Walk, tuple[Edge, ...]]:
    spelled = {name.lower(): name for name in catalogue.tables}
    found: dict[Walk, list[Edge]] = {}
    for child in sorted(catalogue.tables):
        for key in sorted(catalogue.tables[child].foreign_keys, key=lambda key: key.name):
            parent = catalogue.tables.get(spelled.get(key.target.lower(), ""))
            if parent is None:
                continue
            targets = tuple(c.name for name in key.target_columns if (c := parent.column(name)))
            for event, effect in _effects(key):
                edge = Edge(key.name, child, key.columns, targets, effect)
                found.setdefault(Walk(parent.name, event), []).append(edge)
    return {walk: tuple(edges) for walk, edges in found.items()}


def _effects(key: ForeignKey) -> Iterable[tuple[Event, Effect]]:
    if key.on_delete == "cascade":
        yield "delete", "delete"
    elif key.on_delete == "set null":
        yield "delete", "clear"
    if key.on_update == "cascade":
        yield "update", "follow"
    elif key.on_update == "set null":
        yield "update", "clear"


def _reach_captured(edges: Cascades, synced: Mapping[str, SyncedTable]) -> set[Edge]:
    """Return the edges that act on something captured, or lead to one that does."""
    every = {edge for found in edges.values() for edge in found}
    kept = {edge for edge in every if edge.child in synced and touches(edge, synced[edge.child])}
    grown = True
    while grown:
        leading = {edge for edge in every - kept if not kept.isdisjoint(follow(edges, edge))}
        kept |= leading
        grown = bool(leading)
    return kept
