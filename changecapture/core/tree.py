"""Trees: of the edges that close a cycle the latest is not shown. Pure.

Every row of a tree has at most one edge, to its parent, so cycles have no row in common and each can be
cut alone. Which edge goes follows from the merged rows, so every site cuts the same one.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from changecapture.core.merge import Cell


class Edge(NamedTuple):
    """A row's parent, by its key, and who wrote that."""

    parent: str
    cell: Cell


def find_latest(edges: Mapping[str, Edge], keys: Iterable[str]) -> dict[str, Edge]:
    """Return {key: edge} of the edge to cut in each cycle that a row of ``keys`` is part of, with the
    edge before it in order: what it lost to."""
    cut: dict[str, Edge] = {}
    for key in keys:
        cycle = _follow(edges, key)
        if cycle:
            cycle.sort(key=lambda one: edges[one].cell.entry.order)
            cut[cycle[-1]] = edges[cycle[-2] if len(cycle) > 1 else cycle[-1]]
    return cut


def _follow(edges: Mapping[str, Edge], key: str) -> list[str]:
    """Return the rows of the cycle that a row leads into; none when it leads to a root."""
    path: dict[str, None] = {}
    while key in edges and key not in path:
        path[key] = None
        key = edges[key].parent
    if key not in path:
        return []
    rows = list(path)
    return rows[rows.index(key) :]
